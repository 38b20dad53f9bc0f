//! What a test sets about the account: users, groups, memberships and keys.
//!
//! It must never check what it is given: tests want names and keys that AWS would refuse. A change of what does not exist does nothing.

use std::sync::Arc;

use super::account::{SshKey, User, fold};
use super::directory::Directory;
use super::xml;

/// Users.
impl Directory {
    fn change_user(&mut self, name: &str, change: impl FnOnce(&mut User)) -> &mut Self {
        if let Some(user) = self.edit().known_user(name) {
            change(user);
        }
        self
    }

    /// A user without keys or groups; nothing happens where there is one of this name.
    pub fn add_user(&mut self, name: &str) -> &mut Self {
        self.edit().user(name);
        self
    }

    /// Deletes a user with all keys and memberships. A user who is added again is another one with another UserId.
    pub fn remove_user(&mut self, name: &str) -> &mut Self {
        let account = self.edit();
        if let Some(user) = account.users.remove(&fold(name)) {
            for group in &user.groups {
                if let Some(group) = account.known_group(group) {
                    group.members.remove(&fold(name));
                }
            }
        }
        self
    }

    /// Renames a user, who keeps everything, the UserId too. Nothing happens where the new name is taken.
    pub fn rename_user(&mut self, old: &str, new: &str) -> &mut Self {
        let account = self.edit();
        let (from, to) = (fold(old), fold(new));
        if from != to && account.users.contains_key(&to) {
            return self;
        }
        if let Some(mut user) = account.users.remove(&from) {
            new.clone_into(&mut Arc::make_mut(&mut user).name);
            for group in &user.groups {
                if let Some(group) = account.known_group(group) {
                    group.members.remove(&from);
                    group.members.insert(to.clone());
                }
            }
            account.users.insert(to, user);
        }
        self
    }

    /// Changes a user's path (`/staff/`).
    pub fn set_user_path(&mut self, user: &str, path: &str) -> &mut Self {
        self.change_user(user, |user| path.clone_into(&mut user.path))
    }

    /// A tag of a user, who is added if need be. Its key replaces one that differs in case only.
    pub fn tag_user(&mut self, user: &str, key: &str, value: &str) -> &mut Self {
        let tags = &mut self.edit().user(user).tags;
        tags.retain(|known, _| !known.eq_ignore_ascii_case(key));
        tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Takes a tag off a user.
    pub fn untag_user(&mut self, user: &str, key: &str) -> &mut Self {
        self.change_user(user, |user| user.tags.retain(|known, _| !known.eq_ignore_ascii_case(key)))
    }
}

/// Groups.
impl Directory {
    /// A group without members.
    pub fn add_group(&mut self, name: &str) -> &mut Self {
        self.edit().group(name);
        self
    }

    /// Deletes a group; its members stay.
    pub fn remove_group(&mut self, name: &str) -> &mut Self {
        let account = self.edit();
        if let Some(group) = account.groups.remove(&fold(name)) {
            for user in &group.members {
                if let Some(user) = account.known_user(user) {
                    user.groups.remove(&fold(name));
                }
            }
        }
        self
    }

    /// Renames a group, which keeps its members and its GroupId. Nothing happens where the new name is taken.
    pub fn rename_group(&mut self, old: &str, new: &str) -> &mut Self {
        let account = self.edit();
        let (from, to) = (fold(old), fold(new));
        if from != to && account.groups.contains_key(&to) {
            return self;
        }
        if let Some(mut group) = account.groups.remove(&from) {
            new.clone_into(&mut Arc::make_mut(&mut group).name);
            for user in &group.members {
                if let Some(user) = account.known_user(user) {
                    user.groups.remove(&from);
                    user.groups.insert(to.clone());
                }
            }
            account.groups.insert(to, group);
        }
        self
    }

    /// Changes a group's path (`/teams/`).
    pub fn set_group_path(&mut self, group: &str, path: &str) -> &mut Self {
        if let Some(group) = self.edit().known_group(group) {
            path.clone_into(&mut group.path);
        }
        self
    }

    /// Puts a user into a group; both are added if need be.
    pub fn add_member(&mut self, group: &str, user: &str) -> &mut Self {
        let account = self.edit();
        account.group(group).members.insert(fold(user));
        account.user(user).groups.insert(fold(group));
        self
    }

    /// Takes a user out of a group.
    pub fn remove_member(&mut self, group: &str, user: &str) -> &mut Self {
        let account = self.edit();
        if let Some(group) = account.known_group(group) {
            group.members.remove(&fold(user));
        }
        if let Some(user) = account.known_user(user) {
            user.groups.remove(&fold(group));
        }
        self
    }
}

/// Keys.
impl Directory {
    /// Uploads a key for a user, who is added if need be, on the first day of 2026. `status` is `Active`, `Inactive`, `Expired` or
    /// anything else.
    pub fn add_key(&mut self, user: &str, id: &str, body: &str, status: &str) -> &mut Self {
        let uploaded = Some(xml::CREATED.to_owned());
        let key = SshKey { id: id.to_owned(), body: body.to_owned(), status: status.to_owned(), uploaded };
        self.edit().user(user).keys.push(key);
        self
    }

    fn change_key(&mut self, user: &str, id: &str, change: impl Fn(&mut SshKey)) -> &mut Self {
        self.change_user(user, |user| user.keys.iter_mut().filter(|key| key.id == id).for_each(change))
    }

    /// Changes the status of a key; nothing happens where there is no such key.
    pub fn set_key_status(&mut self, user: &str, id: &str, status: &str) -> &mut Self {
        self.change_key(user, id, |key| status.clone_into(&mut key.status))
    }

    /// Changes when a key was uploaded (`2026-01-31T12:00:00Z`; `None`: IAM does not say); nothing happens where there is no such key.
    pub fn set_key_date(&mut self, user: &str, id: &str, date: Option<&str>) -> &mut Self {
        self.change_key(user, id, |key| key.uploaded = date.map(str::to_owned))
    }

    /// Deletes a key.
    pub fn remove_key(&mut self, user: &str, id: &str) -> &mut Self {
        self.change_user(user, |user| user.keys.retain(|key| key.id != id))
    }
}
