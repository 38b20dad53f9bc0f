//! What a test sets about the account: users, groups, memberships and keys.
//!
//! It must never check what it is given: tests want names and keys that AWS would refuse.

use super::SshKey;
use super::xml;
use crate::double::Double;

/// The account's people.
impl Double {
    /// At most this many entries per page of any IAM list, whatever the client asks for. Default 100, as AWS's.
    pub fn page_cap(&self, entries: usize) -> &Self {
        self.state().iam.page_cap = entries.max(1);
        self
    }

    /// A user without keys or groups.
    pub fn add_user(&self, name: &str) -> &Self {
        self.state().iam.users.entry(name.to_owned()).or_default();
        self
    }

    /// Deletes a user with all keys and memberships.
    pub fn remove_user(&self, name: &str) -> &Self {
        self.state().iam.users.remove(name);
        self
    }

    /// A tag of a user, who is added if need be.
    pub fn tag_user(&self, name: &str, key: &str, value: &str) -> &Self {
        let mut state = self.state();
        state.iam.users.entry(name.to_owned()).or_default().tags.insert(key.to_owned(), value.to_owned());
        drop(state);
        self
    }

    /// A group without members.
    pub fn add_group(&self, name: &str) -> &Self {
        self.state().iam.groups.insert(name.to_owned());
        self
    }

    /// Deletes a group; its members stay.
    pub fn remove_group(&self, name: &str) -> &Self {
        let mut state = self.state();
        state.iam.groups.remove(name);
        for user in state.iam.users.values_mut() {
            user.groups.remove(name);
        }
        drop(state);
        self
    }

    /// Puts a user into a group; both are added if need be.
    pub fn add_member(&self, group: &str, user: &str) -> &Self {
        let mut state = self.state();
        state.iam.groups.insert(group.to_owned());
        state.iam.users.entry(user.to_owned()).or_default().groups.insert(group.to_owned());
        drop(state);
        self
    }

    /// Takes a user out of a group.
    pub fn remove_member(&self, group: &str, user: &str) -> &Self {
        if let Some(user) = self.state().iam.users.get_mut(user) {
            user.groups.remove(group);
        }
        self
    }

    /// Uploads a key for a user, who is added if need be, on the first day of 2026. `status` is `Active`, `Inactive`, `Expired` or
    /// anything else.
    pub fn add_key(&self, user: &str, id: &str, body: &str, status: &str) -> &Self {
        let uploaded = Some(xml::CREATED.to_owned());
        let key = SshKey { id: id.to_owned(), body: body.to_owned(), status: status.to_owned(), uploaded };
        self.state().iam.users.entry(user.to_owned()).or_default().keys.push(key);
        self
    }

    /// Changes the status of a key; nothing happens where there is no such key.
    pub fn set_key_status(&self, user: &str, id: &str, status: &str) -> &Self {
        if let Some(user) = self.state().iam.users.get_mut(user) {
            user.keys.iter_mut().filter(|key| key.id == id).for_each(|key| status.clone_into(&mut key.status));
        }
        self
    }

    /// Changes when a key was uploaded (`2026-01-31T12:00:00Z`; `None`: IAM does not say); nothing happens where there is no such key.
    pub fn set_key_date(&self, user: &str, id: &str, date: Option<&str>) -> &Self {
        if let Some(user) = self.state().iam.users.get_mut(user) {
            let keys = user.keys.iter_mut().filter(|key| key.id == id);
            keys.for_each(|key| key.uploaded = date.map(str::to_owned));
        }
        self
    }

    /// Deletes a key.
    pub fn remove_key(&self, user: &str, id: &str) -> &Self {
        if let Some(user) = self.state().iam.users.get_mut(user) {
            user.keys.retain(|key| key.id != id);
        }
        self
    }
}
