//! GetAccountAuthorizationDetails: users, then groups, then the account's managed policies, in one paged sequence.
//!
//! It must never be a snapshot over several pages: each page is read when it is asked for, and begins behind the last entry of the one
//! before. Roles and AWS's own policies are filters that it knows and lists that are empty.

use std::ops::Bound;

use super::account::{Account, Group, Policy, User};
use super::directory::Directory;
use super::page::{Asked, tail};
use super::{Refusal, xml};
use crate::incoming::Pairs;

const FILTERS: [&str; 5] = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

/// One entry, and what it is found by.
enum Entry<'a> {
    User(&'a str, &'a User),
    Group(&'a str, &'a Group),
    Policy(&'a str, &'a Policy),
}

/// Where a page ended: its number, the kind of its last entry, and the name of that.
struct Position {
    page: usize,
    kind: u8,
    name: String,
}

impl Position {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let (page, kind, name) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned());
        (page > 0).then_some(Self { page, kind, name })
    }

    /// What of the list of this kind is behind here; a whole list if it is of a later kind.
    fn range(&self, kind: u8) -> Option<(Bound<&str>, Bound<&str>)> {
        let start = match self.kind.cmp(&kind) {
            std::cmp::Ordering::Less => Bound::Unbounded,
            std::cmp::Ordering::Equal => Bound::Excluded(self.name.as_str()),
            std::cmp::Ordering::Greater => return None,
        };
        Some((start, Bound::Unbounded))
    }
}

impl Entry<'_> {
    fn position(&self, page: usize) -> String {
        let (kind, name) = match self {
            Self::User(name, _) => (1, name),
            Self::Group(name, _) => (2, name),
            Self::Policy(name, _) => (3, name),
        };
        format!("{page}/{kind}/{name}")
    }
}

/// Answers one page.
pub(crate) fn answer(account: &Account, directory: &mut Directory, form: &Pairs) -> Result<String, Refusal> {
    let filter = form.members("Filter");
    if let Some(unknown) = filter.iter().find(|kind| !FILTERS.contains(kind)) {
        return Err(Refusal::invalid(format!("{unknown} is no entity type")));
    }
    let wanted = |kind| filter.is_empty() || filter.contains(&kind);
    let asked = Asked::of(form, directory.cap())?;
    let start = match asked.after.as_deref() {
        None => Position { page: 0, kind: 0, name: String::new() },
        Some(text) => Position::parse(text).ok_or_else(|| Refusal::invalid("Invalid Marker."))?,
    };
    let page = start.page + 1;

    let users = start.range(1).filter(|_| wanted("User")).map(|range| account.users.range::<str, _>(range));
    let groups = start.range(2).filter(|_| wanted("Group")).map(|range| account.groups.range::<str, _>(range));
    let policies =
        start.range(3).filter(|_| wanted("LocalManagedPolicy")).map(|range| account.policies.range::<str, _>(range));
    let users = users.into_iter().flatten().map(|(name, user)| Entry::User(name, user));
    let groups = groups.into_iter().flatten().map(|(name, group)| Entry::Group(name, group));
    let policies = policies.into_iter().flatten().map(|(name, policy)| Entry::Policy(name, policy));
    let mut rest = users.chain(groups).chain(policies).peekable();

    if page == 1 && directory.loses(1) {
        rest.by_ref().take(asked.size).for_each(drop);
    }
    let entries: Vec<Entry<'_>> = rest.by_ref().take(asked.size).collect();
    let mut last = entries.last().map(|entry| entry.position(page));
    if rest.peek().is_some() && directory.loses(page + 1) {
        last = rest.by_ref().take(asked.size).last().map(|entry| entry.position(page));
    }
    let next = last.filter(|_| rest.peek().is_some());
    Ok(content(account, &entries, next.as_deref()))
}

fn content(account: &Account, entries: &[Entry<'_>], next: Option<&str>) -> String {
    let (mut users, mut groups, mut policies) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::User(_, user) => users.push(xml::user_detail(account, user)),
            Entry::Group(_, group) => groups.push(xml::group_detail(account, group)),
            Entry::Policy(_, policy) => policies.push(xml::policy_detail(account, policy)),
        }
    }
    tail(next)
        + &xml::list("UserDetailList", users)
        + &xml::list("GroupDetailList", groups)
        + "<RoleDetailList/>"
        + &xml::list("Policies", policies)
}
