//! The accounts that the double knows, each with an IAM of its own; S3, SSM and the instance are shared.
//!
//! There is always a home account: what is signed with keys that the double did not give out belongs to it.

use std::collections::BTreeMap;

use crate::double::Double;
use crate::iam::Directory;

/// The home account's number unless a test says otherwise.
const HOME: &str = "123456789012";

/// All accounts by number.
#[derive(Debug)]
pub(crate) struct Accounts {
    home: Directory,
    others: BTreeMap<String, Directory>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { home: Directory::new(HOME), others: BTreeMap::new() }
    }
}

impl Accounts {
    pub(crate) fn home(&mut self) -> &mut Directory {
        &mut self.home
    }

    pub(crate) fn home_number(&self) -> &str {
        self.home.account()
    }

    pub(crate) fn get(&self, number: &str) -> Option<&Directory> {
        if number == self.home_number() { Some(&self.home) } else { self.others.get(number) }
    }

    pub(crate) fn get_mut(&mut self, number: &str) -> Option<&mut Directory> {
        if number == self.home_number() { Some(&mut self.home) } else { self.others.get_mut(number) }
    }

    /// The account of this number, made if need be.
    pub(crate) fn entry(&mut self, number: &str) -> &mut Directory {
        if number == self.home.account() {
            return &mut self.home;
        }
        self.others.entry(number.to_owned()).or_insert_with(|| Directory::new(number))
    }
}

/// Accounts.
impl Double {
    /// Several changes of the home account at once; no request is answered in between.
    pub fn iam<R>(&self, change: impl FnOnce(&mut Directory) -> R) -> R {
        change(self.state().accounts.home())
    }

    /// The same for the account of this number, which is made if need be: from then on AssumeRole reaches it.
    pub fn with_account<R>(&self, number: &str, change: impl FnOnce(&mut Directory) -> R) -> R {
        change(self.state().accounts.entry(number))
    }

    /// The number of the home account. Default 123456789012.
    pub fn set_account(&self, number: &str) -> &Self {
        self.iam(|directory| directory.set_account(number));
        self
    }

    /// The UserId of a user of the home account, see [`Directory::user_id`].
    #[must_use]
    pub fn user_id(&self, name: &str) -> Option<String> {
        self.iam(|directory| directory.user_id(name))
    }
}
