//! Every IAM operation but GetAccountAuthorizationDetails.
//!
//! It must do no work that grows with the account, except for what it returns.

use super::account::{Account, Group, User, fold};
use super::page::Asked;
use super::{Refusal, required, xml};
use crate::incoming::Pairs;
use crate::reply::escape;

/// Answers one call: the content of its result element.
pub(crate) fn answer(account: &Account, cap: usize, action: &str, form: &Pairs) -> Result<String, Refusal> {
    let asked = Asked::of(form, cap)?;
    match action {
        "ListUsers" => {
            let users = account.users.range::<str, _>(asked.range()).map(|(_, user)| user);
            Ok(asked.page(users, |user| fold(&user.name)).xml("Users", |user| xml::user_fields(account, user)))
        }
        "ListGroups" => {
            let groups = account.groups.range::<str, _>(asked.range()).map(|(_, group)| group);
            Ok(asked.page(groups, |group| fold(&group.name)).xml("Groups", |group| xml::group_fields(account, group)))
        }
        "GetGroup" => {
            let group = group(account, form)?;
            let members = group.members.range::<str, _>(asked.range()).filter_map(|name| account.users.get(name));
            let page = asked.page(members, |user| fold(&user.name));
            let users = page.xml("Users", |user| xml::user_fields(account, user));
            Ok(format!("<Group>{}</Group>{users}", xml::group_fields(account, group)))
        }
        "GetUser" => get_user(account, form),
        "ListGroupsForUser" => {
            let groups = user(account, form)?.groups.range::<str, _>(asked.range());
            let page = asked.page(groups.filter_map(|name| account.groups.get(name)), |group| fold(&group.name));
            Ok(page.xml("Groups", |group| xml::group_fields(account, group)))
        }
        "ListAttachedUserPolicies" => {
            let attached = user(account, form)?.rights.attached.range::<str, _>(asked.range());
            Ok(asked.page(attached, |arn| (*arn).clone()).xml("AttachedPolicies", |arn| xml::attached_fields(arn)))
        }
        "ListUserPolicies" => {
            let policies = user(account, form)?.rights.inline.range::<str, _>(asked.range()).map(|(name, _)| name);
            Ok(asked.page(policies, |name| (*name).clone()).xml("PolicyNames", |name| escape(name).into_owned()))
        }
        "GetUserPolicy" => get_user_policy(account, form),
        "ListUserTags" => {
            let tags = user(account, form)?.tags.range::<str, _>(asked.range());
            Ok(asked.page(tags, |(key, _)| (*key).clone()).xml("Tags", |(key, value)| xml::tag_fields(key, value)))
        }
        "ListSSHPublicKeys" => list_keys(account, form, &asked),
        "GetSSHPublicKey" => get_key(account, form),
        other => Err(Refusal(400, "InvalidAction", format!("the double does not know {other}"))),
    }
}

fn user<'a>(account: &'a Account, form: &Pairs) -> Result<&'a User, Refusal> {
    let name = required(form, "UserName")?;
    account.users.get(&fold(name)).map(AsRef::as_ref).ok_or_else(|| Refusal::no_such("user", name))
}

fn group<'a>(account: &'a Account, form: &Pairs) -> Result<&'a Group, Refusal> {
    let name = required(form, "GroupName")?;
    account.groups.get(&fold(name)).map(AsRef::as_ref).ok_or_else(|| Refusal::no_such("group", name))
}

/// Without a name it means the caller, who is never a user here.
fn get_user(account: &Account, form: &Pairs) -> Result<String, Refusal> {
    if form.get("UserName").is_none() {
        return Err(Refusal::invalid("Must specify userName when calling with non-User credentials"));
    }
    let user = user(account, form)?;
    Ok(format!("<User>{}{}</User>", xml::user_fields(account, user), xml::user_extras(user)))
}

fn get_user_policy(account: &Account, form: &Pairs) -> Result<String, Refusal> {
    let user = user(account, form)?;
    let name = required(form, "PolicyName")?;
    let document = user.rights.inline.get(name).ok_or_else(|| Refusal::no_such("user policy", name))?;
    Ok(format!("<UserName>{}</UserName>{}", escape(&user.name), xml::policy_fields(name, document)))
}

/// In the order of upload, so that a position is a number.
fn list_keys(account: &Account, form: &Pairs, asked: &Asked) -> Result<String, Refusal> {
    let user = user(account, form)?;
    let start = match asked.after.as_deref().map(str::parse::<usize>) {
        None => 0,
        Some(Ok(position)) => position,
        Some(Err(_)) => return Err(Refusal::invalid("Invalid Marker.")),
    };
    let rest = user.keys.iter().enumerate().skip(start);
    let page = asked.page(rest, |(index, _)| (index + 1).to_string());
    Ok(page.xml("SSHPublicKeys", |(_, key)| xml::key_fields(&user.name, key)))
}

fn get_key(account: &Account, form: &Pairs) -> Result<String, Refusal> {
    let user = user(account, form)?;
    let id = required(form, "SSHPublicKeyId")?;
    if required(form, "Encoding")? != "SSH" {
        return Err(Refusal(400, "UnrecognizedPublicKeyEncoding", "the double only knows SSH".to_owned()));
    }
    let key = user.keys.iter().find(|key| key.id == id).ok_or_else(|| Refusal::no_such("SSH public key", id))?;
    Ok(format!(
        "<SSHPublicKey>{}<Fingerprint>00:00</Fingerprint><SSHPublicKeyBody>{}</SSHPublicKeyBody></SSHPublicKey>",
        xml::key_fields(&user.name, key),
        escape(&key.body)
    ))
}
