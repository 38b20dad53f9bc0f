//! Who counts as deactivated although the keys are still Active. Pure.
//!
//! AWS's own way to deactivate a user is a policy that denies everything, and AWS quarantines users whose access keys
//! leaked: neither touches SSH keys. It must name a reason for everybody whom it excludes, and must never need the
//! whole account to judge one user: what matters about groups and policies is kept as [`Verdicts`].

mod reason;
#[cfg(test)]
mod tests;
mod verdicts;

pub use reason::Reason;
pub use verdicts::Verdicts;

use crate::account::{User, same_name};
use crate::policy::denies_everything;
use crate::scope::term::{Tag, escaped, group_name, terms};
use verdicts::{policy_name, quarantine};

/// What deactivates a user. By default a policy that denies everything, and AWS's quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    DenyAll,
    Quarantine,
    Group(String),
    Tag(Tag),
    Policy(String),
}

impl Default for Rules {
    fn default() -> Self {
        Self(vec![Rule::DenyAll, Rule::Quarantine])
    }
}

const FORMS: &str = "write deny-all, quarantine, group:<name>, tag:<key>, tag:<key>=<value> or policy:<name or ARN>, \
                     several of them separated by `;`, or none alone";

impl Rules {
    /// Reads rules that are separated by `;` or line breaks: `deny-all`, `quarantine`, `group:<name>`, `tag:<key>`,
    /// `tag:<key>=<value>`, `policy:<name or ARN>`. Nothing at all means the default; `none` alone means that nobody is
    /// excluded.
    ///
    /// # Errors
    /// What is wrong with which rule, for people; the rule is escaped.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut written = terms(text).peekable();
        if written.peek().is_none() {
            return Ok(Self::default());
        }
        let written: Vec<&str> = written.collect();
        if written == ["none"] {
            return Ok(Self(Vec::new()));
        }
        written.into_iter().map(Rule::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Why this user is excluded: by the first rule that fits, in the order in which they were written.
    #[must_use]
    pub fn reason(&self, user: &User, verdicts: &Verdicts) -> Option<Reason> {
        self.0.iter().find_map(|rule| rule.reason(user, verdicts))
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let rule = match text.split_once(':') {
            None if text == "deny-all" => Some(Self::DenyAll),
            None if text == "quarantine" => Some(Self::Quarantine),
            Some(("group", name)) => group_name(name).map(Self::Group),
            Some(("tag", tag)) => Tag::parse(tag).map(Self::Tag),
            Some(("policy", policy)) => is_policy(policy).then(|| Self::Policy(policy.to_owned())),
            _ => None,
        };
        rule.ok_or_else(|| format!("`{}` is no rule of exclusion: {FORMS}", escaped(text)))
    }

    fn reason(&self, user: &User, verdicts: &Verdicts) -> Option<Reason> {
        match self {
            Self::DenyAll => deny_all(user, verdicts),
            Self::Quarantine => quarantined(user, verdicts),
            Self::Group(name) => {
                let group = user.groups.iter().find(|group| same_name(group, name))?;
                Some(Reason::Group(group.clone()))
            }
            Self::Tag(tag) => tag.fits(&user.tags).then(|| Reason::Tag(tag.to_string())),
            Self::Policy(policy) => has_policy(user, verdicts, policy),
        }
    }
}

/// Whether a policy can be called so, by name (`policyNameType`) or ARN.
fn is_policy(text: &str) -> bool {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    match policy_name(text) {
        Some(name) => !name.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()),
        None => (1..=128).contains(&text.len()) && is_name(text),
    }
}

fn deny_all(user: &User, verdicts: &Verdicts) -> Option<Reason> {
    let own = &user.policies;
    if let Some(arn) = own.attached.iter().find(|arn| verdicts.is_deny_all(arn)) {
        return Some(Reason::DenyAllAttached(arn.clone()));
    }
    if let Some((name, _)) = own.inline.iter().find(|(_, document)| denies_everything(document)) {
        return Some(Reason::DenyAllInline(name.clone()));
    }
    if let Some(arn) = own.boundary.as_ref().filter(|arn| verdicts.is_deny_all(arn)) {
        return Some(Reason::DenyAllBoundary(arn.clone()));
    }
    user.groups.iter().find_map(|group| {
        let what = verdicts.deny_all_groups.get(&group.to_ascii_lowercase())?;
        Some(Reason::DenyAllGroup { group: group.clone(), what: what.clone() })
    })
}

fn quarantined(user: &User, verdicts: &Verdicts) -> Option<Reason> {
    let own = user.policies.attached.iter().chain(user.policies.boundary.iter()).find_map(|arn| quarantine(arn));
    if let Some(name) = own {
        return Some(Reason::Quarantined(name.to_owned()));
    }
    through_group(user, verdicts, |policy| quarantine(policy).is_some())
}

fn has_policy(user: &User, verdicts: &Verdicts, wanted: &str) -> Option<Reason> {
    let own = &user.policies;
    let mut all = own.attached.iter().chain(own.inline.keys()).chain(own.boundary.iter());
    if let Some(policy) = all.find(|policy| is_called(policy, wanted)) {
        return Some(Reason::Policy(policy.clone()));
    }
    through_group(user, verdicts, |policy| is_called(policy, wanted))
}

fn through_group(user: &User, verdicts: &Verdicts, fits: impl Fn(&str) -> bool) -> Option<Reason> {
    user.groups.iter().find_map(|group| {
        let policy = verdicts.group_policies.get(&group.to_ascii_lowercase())?.iter().find(|policy| fits(policy))?;
        Some(Reason::GroupPolicy { group: group.clone(), policy: policy.clone() })
    })
}

/// Whether the policy, an ARN or the name of an inline one, is the wanted one, by ARN or by name; IAM compares names
/// ignoring case.
fn is_called(policy: &str, wanted: &str) -> bool {
    same_name(policy, wanted) || policy_name(policy).is_some_and(|name| same_name(name, wanted))
}
