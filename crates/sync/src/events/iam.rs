//! One IAM event as CloudTrail writes it and EventBridge delivers it: whom it concerns.

use std::collections::BTreeSet;

use iam_ssh_core::Name;
use iam_ssh_core::text::escape;
use serde_json::Value;

use super::What;
use crate::account::is_number;

/// What one event says.
pub(super) struct Read {
    pub(super) account: Option<String>,
    pub(super) what: What,
}

/// Whether this is an event about an IAM call.
pub(super) fn is_event(payload: &Value) -> bool {
    text(payload, "source") == Some("aws.iam") && text(payload, "detail-type") == Some("AWS API Call via CloudTrail")
}

/// Whom the event concerns, or why nobody, escaped.
pub(super) fn read(event: &Value) -> Result<Read, String> {
    let detail = event.get("detail").ok_or("an IAM event without detail")?;
    let name = text(detail, "eventName").unwrap_or_default();
    let refuse = |why: &str| format!("IAM event {}: {why}", escape(name.as_bytes(), 60));
    if let Some(code) = detail.get("errorCode").filter(|code| !code.is_null()) {
        let code = code.as_str().map_or_else(|| code.to_string(), ToOwned::to_owned);
        return Err(refuse(&format!("the call failed with {}, nothing changed", escape(code.as_bytes(), 60))));
    }
    let account = match event.get("account") {
        None => None,
        Some(Value::String(number)) if is_number(number) => Some(number.clone()),
        Some(_) => return Err(refuse("its account is no account number")),
    };
    let user = |keys, policies| {
        let names = names(detail).map_err(|why| refuse(&why))?;
        Ok(What::User { names, keys, policies, deleted: name == "DeleteUser" })
    };
    let what = match name {
        // A tag can bring a user into scope, and a membership, too.
        "UploadSSHPublicKey"
        | "UpdateSSHPublicKey"
        | "DeleteSSHPublicKey"
        | "CreateUser"
        | "DeleteUser"
        | "UpdateUser"
        | "AddUserToGroup"
        | "RemoveUserFromGroup"
        | "TagUser"
        | "UntagUser" => user(true, false),
        "AttachUserPolicy" | "DetachUserPolicy" | "PutUserPermissionsBoundary" | "DeleteUserPermissionsBoundary" => {
            user(false, false)
        }
        "PutUserPolicy" | "DeleteUserPolicy" => user(false, true),
        "CreateGroup" | "DeleteGroup" | "UpdateGroup" | "AttachGroupPolicy" | "DetachGroupPolicy"
        | "PutGroupPolicy" | "DeleteGroupPolicy"
        // Whose policies it is about, only the account as a whole tells.
        | "CreatePolicy" | "CreatePolicyVersion" | "DeletePolicyVersion" | "SetDefaultPolicyVersion" => Ok(What::Groups),
        _ => Err(refuse("it says nothing about who may log in")),
    }?;
    Ok(Read { account, what })
}

/// The user's name, and the new one of a user who was renamed.
fn names(detail: &Value) -> Result<BTreeSet<String>, String> {
    let parameters = detail.get("requestParameters").ok_or("it has no parameters")?;
    let mut names = BTreeSet::new();
    for (key, needed) in [("userName", true), ("newUserName", false)] {
        match parameters.get(key) {
            None | Some(Value::Null) if needed => return Err(format!("it has no {key}")),
            None | Some(Value::Null) => {}
            Some(name) => {
                let name = Name::new(name.as_str().unwrap_or_default()).map_err(|why| format!("{key}: {why}"))?;
                insert(&mut names, name.as_str());
            }
        }
    }
    Ok(names)
}

/// Adds a name unless it is there in any case.
pub(super) fn insert(names: &mut BTreeSet<String>, name: &str) {
    if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        names.insert(name.to_owned());
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}
