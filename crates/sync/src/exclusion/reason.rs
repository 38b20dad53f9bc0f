//! Why a user is excluded, in an administrator's words. Pure.

use std::fmt;

use super::verdicts::policy_name;
use crate::scope::term::escaped;

/// Why a user is excluded. Policies are ARNs, or names of inline ones; nothing is escaped before it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The user has a managed policy that denies everything.
    DenyAllAttached(String),
    /// The user has an inline policy that does.
    DenyAllInline(String),
    /// The user's permissions boundary does.
    DenyAllBoundary(String),
    /// One of the user's groups has such a policy.
    DenyAllGroup {
        /// The group.
        group: String,
        /// The policy, ready to be shown.
        what: String,
    },
    /// AWS quarantined the user; the policy's name.
    Quarantined(String),
    /// The user is in a group for those who are deactivated.
    Group(String),
    /// The user carries a tag for those who are deactivated; the rule's tag, ready to be shown.
    Tag(String),
    /// The user has a policy for those who are deactivated.
    Policy(String),
    /// One of the user's groups has one.
    GroupPolicy {
        /// The group.
        group: String,
        /// The policy.
        policy: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DenyAllAttached(arn) => {
                write!(f, "policy `{}` is attached, which denies everything", shown_policy(arn))
            }
            Self::DenyAllInline(name) => write!(f, "its inline policy `{}` denies everything", escaped(name)),
            Self::DenyAllBoundary(arn) => {
                write!(f, "its permissions boundary `{}` denies everything", shown_policy(arn))
            }
            Self::DenyAllGroup { group, what } => {
                write!(f, "group `{}`, of which it is a member, has {}, which denies everything", escaped(group), what)
            }
            Self::Quarantined(name) => write!(f, "AWS quarantined it ({}): its access keys leaked", escaped(name)),
            Self::Group(name) => write!(f, "it is in the deny group `{}`", escaped(name)),
            Self::Tag(tag) => write!(f, "it carries the tag `{tag}`"),
            Self::Policy(policy) => write!(f, "it has policy `{}`", shown_policy(policy)),
            Self::GroupPolicy { group, policy } => {
                write!(f, "group `{}`, of which it is a member, has policy `{}`", escaped(group), shown_policy(policy))
            }
        }
    }
}

/// A policy as it is shown: by its name alone.
pub(super) fn shown_policy(policy: &str) -> String {
    escaped(policy_name(policy).unwrap_or(policy))
}
