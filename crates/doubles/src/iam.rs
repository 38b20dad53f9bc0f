//! IAM's query protocol: users, groups, memberships and SSH public keys, truly paged.
//!
//! It must never return a whole list where AWS would truncate it: that is what this double is for. Names are kept as given and
//! compared exactly; SSH key bodies are not validated, because tests want bad ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::incoming::Pairs;
use crate::reply::{IAM_NAMESPACE, REQUEST_ID, Reply, escape};
use crate::request::Service;

mod page;
mod people;
mod xml;

/// One uploaded SSH public key.
#[derive(Debug)]
pub(crate) struct SshKey {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) status: String,
    pub(crate) uploaded: Option<String>,
}

/// One user: keys in the order of upload, tags by key.
#[derive(Debug, Default)]
pub(crate) struct User {
    pub(crate) keys: Vec<SshKey>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An account.
#[derive(Debug)]
pub(crate) struct Iam {
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) page_cap: usize,
}

impl Default for Iam {
    fn default() -> Self {
        Self { users: BTreeMap::new(), groups: BTreeSet::new(), page_cap: 100 }
    }
}

/// An error of the service: status, code, message.
pub(crate) struct Refusal(u16, &'static str, String);

impl Refusal {
    fn no_such(kind: &str, name: &str) -> Self {
        Self(404, "NoSuchEntity", format!("The {kind} with name {name} cannot be found."))
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self(400, "ValidationError", message.into())
    }
}

/// Answers one call.
pub(crate) fn answer(iam: &Iam, form: &Pairs) -> Reply {
    let action = form.get("Action").unwrap_or_default();
    let result = match action {
        "GetAccountAuthorizationDetails" => authorization_details(iam, form),
        "ListUsers" => {
            page::of(iam, form, iam.users.keys().collect()).map(|page| page.xml("Users", |name| xml::user_fields(name)))
        }
        "ListGroups" => page::of(iam, form, iam.groups.iter().collect())
            .map(|page| page.xml("Groups", |name| xml::group_fields(name))),
        "GetGroup" => group(iam, form),
        "ListSSHPublicKeys" => list_keys(iam, form),
        "GetSSHPublicKey" => get_key(iam, form),
        other => Err(Refusal(400, "InvalidAction", format!("the double does not know {other}"))),
    };
    match result {
        Ok(result) => Reply::xml(
            200,
            format!(
                "<{action}Response xmlns=\"{IAM_NAMESPACE}\"><{action}Result>{result}</{action}Result>\
                 <ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{action}Response>"
            ),
        ),
        Err(Refusal(status, code, message)) => Reply::error(Service::Iam, status, code, &message),
    }
}

fn required<'a>(form: &'a Pairs, name: &str) -> Result<&'a str, Refusal> {
    form.get(name).ok_or_else(|| Refusal::invalid(format!("{name} is required")))
}

fn user<'a>(iam: &'a Iam, form: &'a Pairs) -> Result<(&'a str, &'a User), Refusal> {
    let name = required(form, "UserName")?;
    iam.users.get(name).map(|user| (name, user)).ok_or_else(|| Refusal::no_such("user", name))
}

/// Users first, then groups, in one paged sequence, as the real call does.
fn authorization_details(iam: &Iam, form: &Pairs) -> Result<String, Refusal> {
    let filter = form.members("Filter");
    let wanted = |kind| filter.is_empty() || filter.contains(&kind);
    let mut entries = Vec::new();
    if wanted("User") {
        entries.extend(iam.users.iter().map(|(name, user)| xml::Entry::User(name, user)));
    }
    if wanted("Group") {
        entries.extend(iam.groups.iter().map(|name| xml::Entry::Group(name)));
    }
    let page = page::of(iam, form, entries)?;
    Ok(xml::details(&page))
}

fn group(iam: &Iam, form: &Pairs) -> Result<String, Refusal> {
    let name = required(form, "GroupName")?;
    if !iam.groups.contains(name) {
        return Err(Refusal::no_such("group", name));
    }
    let members = iam.users.iter().filter(|(_, user)| user.groups.contains(name)).map(|(name, _)| name).collect();
    let page = page::of(iam, form, members)?;
    Ok(format!("<Group>{}</Group>{}", xml::group_fields(name), page.xml("Users", |name| xml::user_fields(name))))
}

fn list_keys(iam: &Iam, form: &Pairs) -> Result<String, Refusal> {
    let (name, user) = user(iam, form)?;
    let page = page::of(iam, form, user.keys.iter().collect())?;
    Ok(page.xml("SSHPublicKeys", |key| xml::key_fields(name, key)))
}

fn get_key(iam: &Iam, form: &Pairs) -> Result<String, Refusal> {
    let (name, user) = user(iam, form)?;
    let id = required(form, "SSHPublicKeyId")?;
    if required(form, "Encoding")? != "SSH" {
        return Err(Refusal(400, "UnrecognizedPublicKeyEncoding", "the double only knows SSH".to_owned()));
    }
    let key = user.keys.iter().find(|key| key.id == id).ok_or_else(|| Refusal::no_such("SSH public key", id))?;
    Ok(format!(
        "<SSHPublicKey>{}<Fingerprint>00:00</Fingerprint><SSHPublicKeyBody>{}</SSHPublicKeyBody></SSHPublicKey>",
        xml::key_fields(name, key),
        escape(&key.body)
    ))
}
