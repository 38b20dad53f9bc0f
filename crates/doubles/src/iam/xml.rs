//! IAM's entities as XML fields.
//!
//! It must escape every name: the double also serves names that AWS would refuse.

use super::page::Page;
use super::{SshKey, User};
use crate::reply::escape;

/// When everything was made, unless told otherwise.
pub(crate) const CREATED: &str = "2026-01-01T00:00:00Z";
const ACCOUNT: &str = "123456789012";

/// One entry of GetAccountAuthorizationDetails.
pub(crate) enum Entry<'a> {
    User(&'a str, &'a User),
    Group(&'a str),
}

/// The fields that ListUsers and GetGroup give of a user: no tags, as on AWS.
pub(crate) fn user_fields(name: &str) -> String {
    let name = escape(name);
    format!(
        "<Path>/</Path><UserName>{name}</UserName><UserId>AIDA{id}</UserId>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/{name}</Arn><CreateDate>{CREATED}</CreateDate>",
        id = identity(&name)
    )
}

/// The fields of a group; nowhere do they hold its members.
pub(crate) fn group_fields(name: &str) -> String {
    let name = escape(name);
    format!(
        "<Path>/</Path><GroupName>{name}</GroupName><GroupId>AGPA{id}</GroupId>\
         <Arn>arn:aws:iam::{ACCOUNT}:group/{name}</Arn><CreateDate>{CREATED}</CreateDate>",
        id = identity(&name)
    )
}

/// The fields of a key that both ListSSHPublicKeys and GetSSHPublicKey give.
pub(crate) fn key_fields(user: &str, key: &SshKey) -> String {
    let uploaded = key.uploaded.as_deref().map(|date| format!("<UploadDate>{}</UploadDate>", escape(date)));
    format!(
        "<UserName>{}</UserName><SSHPublicKeyId>{}</SSHPublicKeyId><Status>{}</Status>{}",
        escape(user),
        escape(&key.id),
        escape(&key.status),
        uploaded.unwrap_or_default()
    )
}

/// A page of GetAccountAuthorizationDetails.
pub(crate) fn details(page: &Page<Entry<'_>>) -> String {
    let (mut users, mut groups) = (String::new(), String::new());
    for entry in &page.entries {
        match entry {
            Entry::User(name, user) => users.push_str(&format!("<member>{}</member>", user_detail(name, user))),
            Entry::Group(name) => groups.push_str(&format!(
                "<member>{}<GroupPolicyList/><AttachedManagedPolicies/></member>",
                group_fields(name)
            )),
        }
    }
    format!(
        "{}<UserDetailList>{users}</UserDetailList><GroupDetailList>{groups}</GroupDetailList><RoleDetailList/><Policies/>",
        page.tail()
    )
}

fn user_detail(name: &str, user: &User) -> String {
    let groups: String = user.groups.iter().map(|group| format!("<member>{}</member>", escape(group))).collect();
    let tags: String = user
        .tags
        .iter()
        .map(|(key, value)| format!("<member><Key>{}</Key><Value>{}</Value></member>", escape(key), escape(value)))
        .collect();
    format!("{}<GroupList>{groups}</GroupList><AttachedManagedPolicies/><Tags>{tags}</Tags>", user_fields(name))
}

/// Sixteen characters that look like the tail of an IAM id and differ between names.
fn identity(name: &str) -> String {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016X}")
}
