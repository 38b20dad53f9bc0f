//! One user, in as few calls as IAM has for that: GetUser, ListGroupsForUser, ListAttachedUserPolicies, and only where inline policies
//! are asked for ListUserPolicies and a GetUserPolicy for each.
//!
//! It must follow every list to its end.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::operation::list_attached_user_policies::ListAttachedUserPoliciesOutput;
use aws_sdk_iam::operation::list_groups_for_user::ListGroupsForUserOutput;
use aws_sdk_iam::operation::list_user_policies::ListUserPoliciesOutput;

use super::super::{DirectoryError, Found};
use super::call::{Call, unless_gone};
use super::{IamDirectory, PAGE};
use crate::account::{Policies, User, number_of};
use crate::whole;

impl IamDirectory {
    /// The user of this name, without groups and policies; `NoSuchEntity` where there is none.
    pub(super) async fn bare_user(&self, name: &str) -> Result<Found, DirectoryError> {
        let call = Call { operation: "GetUser", user: Some(name) };
        let send = || self.client.get_user().user_name(name).customize().interceptor(whole::USER).send();
        let answer = self.caller.send(&call, send).await?;
        let user = answer.user().ok_or_else(|| call.nonsense("there is no user in it"))?;
        let tags = user.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
        let boundary = user.permissions_boundary().and_then(|it| it.permissions_boundary_arn()).map(str::to_owned);
        let found = User {
            name: user.user_name().to_owned(),
            path: user.path().to_owned(),
            tags: tags.collect(),
            groups: BTreeSet::new(),
            policies: Policies { boundary, ..Policies::default() },
        };
        let account = number_of(user.arn()).map(str::to_owned);
        Ok(Found { id: user.user_id().to_owned(), account, user: found })
    }

    /// The same user with groups and attached policies.
    pub(super) async fn with_groups_and_policies(&self, mut found: Found) -> Result<Found, DirectoryError> {
        found.user.groups = self.groups_of(&found.user.name).await?;
        found.user.policies.attached = self.attached_to(&found.user.name).await?;
        Ok(found)
    }

    async fn groups_of(&self, name: &str) -> Result<BTreeSet<String>, DirectoryError> {
        let call = Call { operation: "ListGroupsForUser", user: Some(name) };
        let mut found = BTreeSet::new();
        let send = |marker| {
            let request = self.client.list_groups_for_user().user_name(name).max_items(PAGE);
            request.set_marker(marker).customize().interceptor(whole::GROUPS).send()
        };
        let take = |page: ListGroupsForUserOutput| {
            found.extend(page.groups().iter().map(|group| group.group_name().to_owned()));
            Ok((page.is_truncated(), page.marker))
        };
        self.caller.pages(&call, send, take).await?;
        Ok(found)
    }

    async fn attached_to(&self, name: &str) -> Result<BTreeSet<String>, DirectoryError> {
        let call = Call { operation: "ListAttachedUserPolicies", user: Some(name) };
        let mut found = BTreeSet::new();
        let send = |marker| {
            let request = self.client.list_attached_user_policies().user_name(name).max_items(PAGE);
            request.set_marker(marker).customize().interceptor(whole::ATTACHED).send()
        };
        let take = |page: ListAttachedUserPoliciesOutput| {
            found.extend(page.attached_policies().iter().filter_map(|policy| policy.policy_arn().map(str::to_owned)));
            Ok((page.is_truncated(), page.marker))
        };
        self.caller.pages(&call, send, take).await?;
        Ok(found)
    }

    pub(super) async fn inline_of(&self, name: &str) -> Result<BTreeMap<String, String>, DirectoryError> {
        let call = Call { operation: "ListUserPolicies", user: Some(name) };
        let mut names = Vec::new();
        let send = |marker| {
            let request = self.client.list_user_policies().user_name(name).max_items(PAGE);
            request.set_marker(marker).customize().interceptor(whole::INLINE).send()
        };
        let take = |page: ListUserPoliciesOutput| {
            names.extend(page.policy_names().iter().cloned());
            Ok((page.is_truncated(), page.marker))
        };
        self.caller.pages(&call, send, take).await?;
        let mut found = BTreeMap::new();
        let call = Call { operation: "GetUserPolicy", user: Some(name) };
        for policy in names {
            let send = || {
                let request = self.client.get_user_policy().user_name(name).policy_name(&policy);
                request.customize().interceptor(whole::POLICY).send()
            };
            // One that vanished since it was listed counts no more.
            if let Some(answer) = unless_gone(self.caller.send(&call, send).await)? {
                let document = answer.policy_document().to_owned();
                found.insert(policy, document);
            }
        }
        Ok(found)
    }
}
