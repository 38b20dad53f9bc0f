//! Several events become as few changes as they can: one for a user and all of the user's names, one for an account's groups.

use std::mem::take;

use super::iam::insert;
use super::{Change, Invocation, MOST_USERS, Message, What};

/// What a batch asks for so far.
#[derive(Default)]
pub(super) struct Changes {
    changes: Vec<Change>,
    /// Whether there were too many users to look at one by one.
    too_many: bool,
}

impl Changes {
    pub(super) fn add(&mut self, account: Option<String>, what: What, message: Option<Message>) {
        if self.too_many {
            return;
        }
        let mut change = Change { account, what, messages: Vec::new() };
        for known in take(&mut self.changes) {
            if same(&known, &change) {
                join(&mut change, known);
            } else {
                self.changes.push(known);
            }
        }
        change.messages.extend(message);
        self.changes.push(change);
        let users = self.changes.iter().filter(|change| matches!(change.what, What::User { .. })).count();
        self.too_many = users > MOST_USERS;
    }
}

impl From<Changes> for Invocation {
    fn from(changes: Changes) -> Self {
        if changes.too_many { Self::full() } else { Self::Changes(changes.changes) }
    }
}

/// Whether both are about the same user, or the same account's groups.
fn same(one: &Change, other: &Change) -> bool {
    one.account == other.account
        && match (&one.what, &other.what) {
            (What::User { names: one, .. }, What::User { names: other, .. }) => {
                one.iter().any(|one| other.iter().any(|other| one.eq_ignore_ascii_case(other)))
            }
            (What::Groups, What::Groups) => true,
            _ => false,
        }
}

/// Adds to `change` what is known already; the earlier messages and names come first.
fn join(change: &mut Change, mut known: Change) {
    if let What::User { names, keys, policies, deleted } = &mut known.what
        && let What::User { names: new, keys: new_keys, policies: new_policies, deleted: new_deleted } = &change.what
    {
        new.iter().for_each(|name| insert(names, name));
        *keys |= new_keys;
        *policies |= new_policies;
        *deleted |= new_deleted;
    }
    known.messages.append(&mut change.messages);
    *change = known;
}
