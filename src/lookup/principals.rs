//! The principals of a login from its four sources: the configuration, a file, an SSM parameter, an instance tag.
//!
//! Each source is judged alone, and within a source each entry: what is wrong is logged and the rest counts. The file
//! must be one that only root could have written; who may write the parameter or the tag is decided in AWS.

use super::ports::{FetchError, Instance, Parameters};
use crate::audit::Event;
use crate::cache::state::List;
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

/// The text of a list, and what to call the list in the log.
pub async fn fetch<A: Parameters + Instance>(list: &List, aws: &A) -> (String, Result<String, FetchError>) {
    match list {
        List::Parameter(template) => {
            let (name, value) = Parameters::get(aws, template).await;
            (format!("principals_parameter {name}"), value)
        }
        List::Tag(key) => (format!("principals_tag {key}"), aws.tag(key).await),
    }
}

/// The good entries of a list that came from AWS, in their order.
#[must_use]
pub fn good(text: &str) -> Vec<Principal> {
    parse_list(text).into_iter().filter_map(Result::ok).collect()
}

/// What is wrong in a list that came from AWS.
#[must_use]
pub fn complaints(text: &str, what: &str) -> Option<Event> {
    let mut events = Vec::new();
    take(text, what, false, &mut Vec::new(), &mut events);
    events.pop()
}

/// The name of the parameter that `template` means on an instance with this role.
///
/// # Errors
/// [`FetchError::Denied`] where there can be no such parameter.
pub fn parameter_name(template: &str, role: &str) -> Result<String, FetchError> {
    // IAM allows `+ = , @` in role names, SSM does not in parameter names.
    if role.contains(['+', '=', ',', '@']) {
        return Err(FetchError::Denied(format!(
            "the role name {role} cannot be part of a parameter name; name the parameter without {{role}}"
        )));
    }
    Ok(template.replace(ROLE, role))
}

/// What stands for the role's name.
pub const ROLE: &str = "{role}";

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
