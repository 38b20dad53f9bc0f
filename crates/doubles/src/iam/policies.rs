//! What a test sets about rights: inline policies, managed policies of the account, attachments, boundaries.
//!
//! Documents are plain JSON here and are kept as IAM sends them: URL-encoded (RFC 3986). Nothing evaluates them.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::account::{Rights, fold};
use super::directory::Directory;

/// What RFC 3986 calls unreserved stays as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encode(document: &str) -> String {
    utf8_percent_encode(document, KEPT).to_string()
}

/// Policies.
impl Directory {
    fn user_rights<T>(&mut self, user: &str, change: impl FnOnce(&mut Rights) -> T) -> &mut Self {
        self.edit().known_user(user).map(|user| change(&mut user.rights));
        self
    }

    fn group_rights<T>(&mut self, group: &str, change: impl FnOnce(&mut Rights) -> T) -> &mut Self {
        self.edit().known_group(group).map(|group| change(&mut group.rights));
        self
    }

    /// An inline policy of a user, who is added if need be.
    pub fn put_user_policy(&mut self, user: &str, name: &str, document: &str) -> &mut Self {
        self.add_user(user).user_rights(user, |rights| rights.inline.insert(name.to_owned(), encode(document)))
    }

    /// Deletes an inline policy of a user.
    pub fn delete_user_policy(&mut self, user: &str, name: &str) -> &mut Self {
        self.user_rights(user, |rights| rights.inline.remove(name))
    }

    /// Attaches the managed policy of this ARN to a user, who is added if need be; it need not exist.
    pub fn attach_user_policy(&mut self, user: &str, arn: &str) -> &mut Self {
        self.add_user(user).user_rights(user, |rights| rights.attached.insert(arn.to_owned()))
    }

    /// Detaches a managed policy from a user.
    pub fn detach_user_policy(&mut self, user: &str, arn: &str) -> &mut Self {
        self.user_rights(user, |rights| rights.attached.remove(arn))
    }

    /// An inline policy of a group, which is added if need be.
    pub fn put_group_policy(&mut self, group: &str, name: &str, document: &str) -> &mut Self {
        self.add_group(group).group_rights(group, |rights| rights.inline.insert(name.to_owned(), encode(document)))
    }

    /// Deletes an inline policy of a group.
    pub fn delete_group_policy(&mut self, group: &str, name: &str) -> &mut Self {
        self.group_rights(group, |rights| rights.inline.remove(name))
    }

    /// Attaches the managed policy of this ARN to a group, which is added if need be; it need not exist.
    pub fn attach_group_policy(&mut self, group: &str, arn: &str) -> &mut Self {
        self.add_group(group).group_rights(group, |rights| rights.attached.insert(arn.to_owned()))
    }

    /// Detaches a managed policy from a group.
    pub fn detach_group_policy(&mut self, group: &str, arn: &str) -> &mut Self {
        self.group_rights(group, |rights| rights.attached.remove(arn))
    }

    /// A user's permissions boundary, the ARN of a managed policy; the user is added if need be.
    pub fn set_boundary(&mut self, user: &str, arn: Option<&str>) -> &mut Self {
        self.edit().user(user).boundary = arn.map(str::to_owned);
        self
    }

    /// A managed policy of the account, `arn:aws:iam::<account>:policy/<name>`. Where there is one, this is its next version (v2 and so
    /// on), which is then the one in force.
    pub fn put_policy(&mut self, name: &str, document: &str) -> &mut Self {
        let policy = self.edit().policy(name);
        policy.default = policy.versions.len();
        policy.versions.push(encode(document));
        self
    }

    /// Puts a version (`v1`) of a managed policy in force; nothing happens where there is no such version.
    pub fn set_policy_version(&mut self, name: &str, version: &str) -> &mut Self {
        let index =
            version.strip_prefix('v').and_then(|number| number.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
        if let (Some(index), Some(policy)) = (index, self.edit().policies.get_mut(&fold(name)).map(Arc::make_mut)) {
            policy.default = if index < policy.versions.len() { index } else { policy.default };
        }
        self
    }

    /// Deletes a managed policy with all its versions; attachments are not looked for.
    pub fn remove_policy(&mut self, name: &str) -> &mut Self {
        self.edit().policies.remove(&fold(name));
        self
    }
}
