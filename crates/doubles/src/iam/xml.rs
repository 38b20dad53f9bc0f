//! IAM's entities as XML fields.
//!
//! It must escape every name: the double also serves names that AWS would refuse.

use super::account::{Account, Group, Policy, Rights, SshKey, User};
use crate::reply::escape;

/// When everything was made, unless told otherwise.
pub(crate) const CREATED: &str = "2026-01-01T00:00:00Z";

/// The fields that ListUsers and GetGroup give of a user: no tags, as on AWS.
pub(crate) fn user_fields(account: &Account, user: &User) -> String {
    let (name, path) = (escape(&user.name), escape(&user.path));
    format!(
        "<Path>{path}</Path><UserName>{name}</UserName><UserId>{}</UserId>\
         <Arn>arn:aws:iam::{}:user{path}{name}</Arn><CreateDate>{CREATED}</CreateDate>",
        user.id, account.number
    )
}

/// The fields of a group; nowhere do they hold its members.
pub(crate) fn group_fields(account: &Account, group: &Group) -> String {
    let (name, path) = (escape(&group.name), escape(&group.path));
    format!(
        "<Path>{path}</Path><GroupName>{name}</GroupName><GroupId>{}</GroupId>\
         <Arn>arn:aws:iam::{}:group{path}{name}</Arn><CreateDate>{CREATED}</CreateDate>",
        group.id, account.number
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

/// A tag.
pub(crate) fn tag_fields(key: &str, value: &str) -> String {
    format!("<Key>{}</Key><Value>{}</Value>", escape(key), escape(value))
}

/// An attached managed policy: its name is the last part of its ARN.
pub(crate) fn attached_fields(arn: &str) -> String {
    let (name, arn) = (escape(arn.rsplit('/').next().unwrap_or_default()), escape(arn));
    format!("<PolicyName>{name}</PolicyName><PolicyArn>{arn}</PolicyArn>")
}

/// An inline policy; `document` is encoded already.
pub(crate) fn policy_fields(name: &str, document: &str) -> String {
    format!("<PolicyName>{}</PolicyName><PolicyDocument>{document}</PolicyDocument>", escape(name))
}

/// What GetUser and GetAccountAuthorizationDetails give of a user and the lists do not: boundary and tags.
pub(crate) fn user_extras(user: &User) -> String {
    let boundary = user.boundary.as_deref().map(|arn| {
        format!(
            "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
             <PermissionsBoundaryArn>{}</PermissionsBoundaryArn></PermissionsBoundary>",
            escape(arn)
        )
    });
    boundary.unwrap_or_default() + &list("Tags", user.tags.iter().map(|(key, value)| tag_fields(key, value)))
}

/// A list element; an empty one has no closing tag, as AWS writes it.
pub(crate) fn list(name: &str, entries: impl IntoIterator<Item = String>) -> String {
    let mut members = String::new();
    for entry in entries {
        members.push_str("<member>");
        members.push_str(&entry);
        members.push_str("</member>");
    }
    if members.is_empty() { format!("<{name}/>") } else { format!("<{name}>{members}</{name}>") }
}

/// Inline policies in a list called `inline`, and attached ones.
fn rights(inline: &str, rights: &Rights) -> String {
    let attached = rights.attached.iter().map(|arn| attached_fields(arn));
    list(inline, rights.inline.iter().map(|(name, document)| policy_fields(name, document)))
        + &list("AttachedManagedPolicies", attached)
}

/// A user in GetAccountAuthorizationDetails.
pub(crate) fn user_detail(account: &Account, user: &User) -> String {
    let groups = user.groups.iter().filter_map(|name| account.groups.get(name));
    user_fields(account, user)
        + &list("GroupList", groups.map(|group| escape(&group.name).into_owned()))
        + &rights("UserPolicyList", &user.rights)
        + &user_extras(user)
}

/// A group in GetAccountAuthorizationDetails.
pub(crate) fn group_detail(account: &Account, group: &Group) -> String {
    group_fields(account, group) + &rights("GroupPolicyList", &group.rights)
}

/// A managed policy in GetAccountAuthorizationDetails, with the documents of all its versions, the newest first.
pub(crate) fn policy_detail(account: &Account, policy: &Policy) -> String {
    let versions = policy.versions.iter().enumerate().rev().map(|(index, document)| {
        let default = index == policy.default;
        format!(
            "<Document>{document}</Document><VersionId>v{}</VersionId><IsDefaultVersion>{default}</IsDefaultVersion>\
             <CreateDate>{CREATED}</CreateDate>",
            index + 1
        )
    });
    let (name, versions) = (escape(&policy.name), list("PolicyVersionList", versions));
    format!(
        "<PolicyName>{name}</PolicyName><PolicyId>{}</PolicyId><Arn>arn:aws:iam::{}:policy/{name}</Arn><Path>/</Path>\
         <DefaultVersionId>v{}</DefaultVersionId><IsAttachable>true</IsAttachable><CreateDate>{CREATED}</CreateDate>\
         <UpdateDate>{CREATED}</UpdateDate>{versions}",
        policy.id,
        account.number,
        policy.default + 1
    )
}
