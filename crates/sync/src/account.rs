//! The account as IAM tells it: users, groups, memberships, tags and policies, but no keys. Plain data.
//!
//! Names, tag keys and policies are kept as IAM writes them; IAM compares names and tag keys ignoring case, and so must whoever compares
//! them here ([`same_name`]).

use std::collections::{BTreeMap, BTreeSet};

/// Users, groups and the account's own managed policies at one reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Every user, by IAM's id of the user (`AIDA…`), which outlives a rename and is never used again.
    pub users: BTreeMap<String, User>,
    /// Every group, by IAM's id of the group (`AGPA…`).
    pub groups: BTreeMap<String, Group>,
    /// The documents (JSON) of the account's own managed policies, by ARN: each in its default version.
    pub policies: BTreeMap<String, String>,
    /// The account's number, from the users' and groups' ARNs; `None` where there is neither.
    pub number: Option<String>,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The name, which IAM lets nobody else in the account have in any case.
    pub name: String,
    /// The path, `/` or `/a/b/`.
    pub path: String,
    /// The names of the user's groups.
    pub groups: BTreeSet<String>,
    /// The user's tags by key.
    pub tags: BTreeMap<String, String>,
    /// What policies the user has.
    pub policies: Policies,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// The name, which IAM lets no other group in the account have in any case.
    pub name: String,
    /// What policies the group has.
    pub policies: Policies,
}

/// The policies of a user or a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    /// The documents (JSON) of the inline policies, by name.
    pub inline: BTreeMap<String, String>,
    /// The ARNs of the attached managed policies.
    pub attached: BTreeSet<String>,
    /// The ARN of the permissions boundary; groups have none.
    pub boundary: Option<String>,
}

/// Whether a text is an account's number: 12 digits.
#[must_use]
pub fn is_number(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number of the account that an ARN names: `arn:aws:iam::123456789012:user/…`.
#[must_use]
pub fn number_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|number| !number.is_empty())
}

/// Whether two names, or tag keys, are one to IAM.
#[must_use]
pub fn same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}
