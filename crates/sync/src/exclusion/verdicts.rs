//! What must be known of groups and policies to judge any user, in a form to remember. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::reason::shown_policy;
use crate::account::{Account, Group};
use crate::policy::denies_everything;
use crate::scope::term::escaped;

/// What the account's policies and groups say about their users. It does not depend on [`super::Rules`], so it stays
/// right when those change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// The ARNs of the account's own managed policies that deny everything.
    pub deny_all_policies: BTreeSet<String>,
    /// The groups that deny their members everything, by name in lower case: the policy that does, as it is shown.
    pub deny_all_groups: BTreeMap<String, String>,
    /// The policies of the groups that have any, by name in lower case: ARNs of attached ones, names of inline ones.
    pub group_policies: BTreeMap<String, BTreeSet<String>>,
}

impl Verdicts {
    /// What this account's policies and groups say.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        let denying = account.policies.iter().filter(|(_, document)| denies_everything(document));
        let mut verdicts = Self { deny_all_policies: denying.map(|(arn, _)| arn.clone()).collect(), ..Self::default() };
        for group in account.groups.values() {
            let name = group.name.to_ascii_lowercase();
            if let Some(what) = verdicts.denied_by(group) {
                verdicts.deny_all_groups.insert(name.clone(), what);
            }
            let policies: BTreeSet<String> =
                group.policies.attached.iter().chain(group.policies.inline.keys()).cloned().collect();
            if !policies.is_empty() {
                verdicts.group_policies.insert(name, policies);
            }
        }
        verdicts
    }

    /// Whether the managed policy denies everything: one of the account's own that was read, or AWS's for this purpose.
    pub(super) fn is_deny_all(&self, arn: &str) -> bool {
        self.deny_all_policies.contains(arn) || of_aws(arn) == Some("AWSDenyAll")
    }

    fn denied_by(&self, group: &Group) -> Option<String> {
        if let Some(arn) = group.policies.attached.iter().find(|arn| self.is_deny_all(arn)) {
            return Some(format!("policy `{}`", shown_policy(arn)));
        }
        let (name, _) = group.policies.inline.iter().find(|(_, document)| denies_everything(document))?;
        Some(format!("inline policy `{}`", escaped(name)))
    }
}

/// The name of a managed policy, if this is the ARN of one: what follows its path.
pub(super) fn policy_name(arn: &str) -> Option<&str> {
    let (_, _, path) = parts(arn)?;
    path.rsplit('/').next()
}

/// The name of the policy, if it is one of those by which AWS quarantines users, in any partition.
pub(super) fn quarantine(arn: &str) -> Option<&str> {
    of_aws(arn).filter(|name| name.starts_with("AWSCompromisedKeyQuarantine"))
}

/// The name of a policy of AWS's own.
fn of_aws(arn: &str) -> Option<&str> {
    let (_, owner, name) = parts(arn)?;
    (owner == "aws").then_some(name)
}

/// Partition, owner and path with name: `arn:<partition>:iam::<account or aws>:policy/<path/and/name>`.
fn parts(arn: &str) -> Option<(&str, &str, &str)> {
    let (partition, rest) = arn.strip_prefix("arn:")?.split_once(":iam::")?;
    let (owner, path) = rest.split_once(":policy/")?;
    Some((partition, owner, path))
}
