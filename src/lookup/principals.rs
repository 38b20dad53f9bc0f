//! The principals of a login from its four sources: the configuration, a file, an SSM parameter, an instance tag.
//!
//! Each source is judged alone, and within a source each entry: what is wrong is logged and the rest counts. The file
//! must be one that only root could have written; who may write the parameter or the tag is decided in AWS.

use super::ports::{FetchError, Instance, Parameters};
use crate::audit::Event;
use crate::config::Login;
use crate::trusted::{self, Trust};
use iam_ssh_core::principal::parse_list;
use iam_ssh_core::{Principal, PrincipalError};

/// The principals that are known without asking anybody: inline, then the file's.
pub(super) fn local(login: &Login, trust: Trust) -> (Vec<Principal>, Vec<Event>) {
    let mut principals = login.principals.clone();
    let mut events = Vec::new();
    if let Some(path) = &login.file {
        match trusted::read(path, trust) {
            Ok(text) => take(&text, &format!("principals_file {}", path.display()), true, &mut principals, &mut events),
            Err(why) => events.push(Event::error(format!("principals_file {why}"))),
        }
    }
    (principals, events)
}

/// Whether the login names a source that must be asked.
pub(super) fn has_remote(login: &Login) -> bool {
    login.parameter.is_some() || login.tag.is_some()
}

/// The principals from the parameter, then the tag's; both are asked at once.
pub(super) async fn remote<P: Parameters, I: Instance>(
    login: &Login,
    parameters: &P,
    instance: &I,
) -> (Vec<Principal>, Vec<Event>) {
    let from_parameter = async {
        let Some(template) = &login.parameter else { return None };
        let (name, value) = match parameter_name(template, instance).await {
            Ok(name) => {
                let value = parameters.get(&name).await;
                (name, value)
            }
            Err(error) => (template.clone(), Err(error)),
        };
        Some((format!("principals_parameter {name}"), value))
    };
    let from_tag = async {
        let Some(key) = &login.tag else { return None };
        Some((format!("principals_tag {key}"), instance.tag(key).await))
    };
    let (parameter, tag) = futures_util::future::join(from_parameter, from_tag).await;

    let mut principals = Vec::new();
    let mut events = Vec::new();
    for (what, value) in [parameter, tag].into_iter().flatten() {
        match value {
            Ok(text) => take(&text, &what, false, &mut principals, &mut events),
            Err(error) => events.extend(error.event(&what)),
        }
    }
    (principals, events)
}

async fn parameter_name<I: Instance>(template: &str, instance: &I) -> Result<String, FetchError> {
    if !template.contains("{role}") {
        return Ok(template.to_owned());
    }
    let role = instance.role().await?;
    // IAM allows `+ = , @` in role names, SSM does not in parameter names.
    if role.contains(['+', '=', ',', '@']) {
        return Err(FetchError::Denied(format!(
            "the role name {role} cannot be part of a parameter name; name the parameter without {{role}}"
        )));
    }
    Ok(template.replace("{role}", &role))
}

/// Takes the good entries of a list; the bad ones become one event.
///
/// What stands in the file is root's own text and is quoted. A parameter or a tag may hold something that was never
/// meant for a log (a secret, under a misspelt name), so of those an entry is quoted only where it looks like a
/// principal.
fn take(text: &str, what: &str, quote: bool, principals: &mut Vec<Principal>, events: &mut Vec<Event>) {
    let mut wrong = Vec::new();
    for (index, entry) in parse_list(text).into_iter().enumerate() {
        match entry {
            Ok(principal) => principals.push(principal),
            Err(PrincipalError::Kind { meant: None, .. }) if !quote => {
                wrong.push(format!("entry {} begins with neither `users/` nor `groups/`", index + 1));
            }
            Err(why) => wrong.push(why.to_string()),
        }
    }
    if !wrong.is_empty() {
        events.push(Event::error(format!("{what}: {}", wrong.join("; "))));
    }
}
