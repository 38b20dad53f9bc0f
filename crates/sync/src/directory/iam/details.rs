//! The pages of GetAccountAuthorizationDetails, put together.
//!
//! Paging is no snapshot: who is renamed between two pages may stand there twice, or not at all. It must never let an account pass that
//! contradicts itself.

use std::collections::BTreeMap;

use aws_sdk_iam::operation::get_account_authorization_details::GetAccountAuthorizationDetailsOutput as Page;
use aws_sdk_iam::types::{AttachedPolicy, GroupDetail, ManagedPolicyDetail, PolicyDetail, UserDetail};
use iam_ssh_core::text::escape;

use super::super::DirectoryError;
use super::call::Call;
use crate::account::{Account, Group, Policies, User, number_of};
use crate::cause::Cause;

/// What was read so far.
#[derive(Default)]
pub(super) struct Parts {
    account: Account,
    /// Lower-case name and id of every user and every group.
    users: BTreeMap<String, String>,
    groups: BTreeMap<String, String>,
    torn: Option<String>,
}

impl Parts {
    /// Takes a page in.
    pub(super) fn take(&mut self, call: &Call<'_>, page: &Page) -> Result<(), DirectoryError> {
        for user in page.user_detail_list() {
            self.user(call, user)?;
        }
        for group in page.group_detail_list() {
            self.group(call, group)?;
        }
        self.account.policies.extend(page.policies().iter().filter_map(default_version));
        Ok(())
    }

    /// The account, if nothing in it contradicts anything else.
    pub(super) fn assemble(self, call: &Call<'_>) -> Result<Account, DirectoryError> {
        match self.torn {
            Some(what) => Err(call.error(Cause::Torn(what))),
            None => Ok(self.account),
        }
    }

    fn user(&mut self, call: &Call<'_>, user: &UserDetail) -> Result<(), DirectoryError> {
        let (id, name) = match (user.user_id(), user.user_name()) {
            (Some(id), Some(name)) => (id.to_owned(), name.to_owned()),
            _ => return Err(call.nonsense("a user has no id or no name")),
        };
        self.number(call, user.arn())?;
        let tags = user.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
        let found = User {
            name: name.clone(),
            path: user.path().unwrap_or("/").to_owned(),
            groups: user.group_list().iter().cloned().collect(),
            tags: tags.collect(),
            policies: Policies {
                boundary: user.permissions_boundary().and_then(|it| it.permissions_boundary_arn()).map(str::to_owned),
                ..policies(user.user_policy_list(), user.attached_managed_policies())
            },
        };
        if let Some(before) = self.account.users.insert(id.clone(), found.clone()).filter(|before| *before != found) {
            self.contradicts("user", &id, &before.name, &name);
        }
        if let Some(other) = self.users.insert(name.to_ascii_lowercase(), id.clone()).filter(|other| *other != id) {
            self.contradicts("user", &name, &other, &id);
        }
        Ok(())
    }

    fn group(&mut self, call: &Call<'_>, group: &GroupDetail) -> Result<(), DirectoryError> {
        let (id, name) = match (group.group_id(), group.group_name()) {
            (Some(id), Some(name)) => (id.to_owned(), name.to_owned()),
            _ => return Err(call.nonsense("a group has no id or no name")),
        };
        self.number(call, group.arn())?;
        let policies = policies(group.group_policy_list(), group.attached_managed_policies());
        let found = Group { name: name.clone(), policies };
        if let Some(before) = self.account.groups.insert(id.clone(), found.clone()).filter(|before| *before != found) {
            self.contradicts("group", &id, &before.name, &name);
        }
        if let Some(other) = self.groups.insert(name.to_ascii_lowercase(), id.clone()).filter(|other| *other != id) {
            self.contradicts("group", &name, &other, &id);
        }
        Ok(())
    }

    fn contradicts(&mut self, kind: &str, what: &str, one: &str, other: &str) {
        let [what, one, other] = [what, one, other].map(|text| escape(text.as_bytes(), 128));
        self.torn.get_or_insert(format!("{kind} `{what}` stands there as `{one}` and as `{other}`"));
    }

    /// The account's number, from an ARN.
    fn number(&mut self, call: &Call<'_>, arn: Option<&str>) -> Result<(), DirectoryError> {
        let number = arn.and_then(number_of);
        match (number, &self.account.number) {
            (Some(number), Some(known)) if number != known => Err(call.nonsense("it is about several accounts")),
            (Some(number), None) => {
                self.account.number = Some(number.to_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn policies(inline: &[PolicyDetail], attached: &[AttachedPolicy]) -> Policies {
    let inline = inline.iter().filter_map(|policy| {
        Some((policy.policy_name()?.to_owned(), policy.policy_document().unwrap_or_default().to_owned()))
    });
    Policies {
        inline: inline.collect(),
        attached: attached.iter().filter_map(|policy| policy.policy_arn().map(str::to_owned)).collect(),
        boundary: None,
    }
}

/// ARN and document of a managed policy, in the version that counts.
fn default_version(policy: &ManagedPolicyDetail) -> Option<(String, String)> {
    let version = policy.policy_version_list().iter().find(|version| version.is_default_version())?;
    Some((policy.arn()?.to_owned(), version.document()?.to_owned()))
}
