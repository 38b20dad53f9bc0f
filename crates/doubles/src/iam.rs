//! IAM's query protocol: users, groups, memberships, policies and SSH public keys, truly paged.
//!
//! It must never return a whole list where AWS would truncate it, and never change by being asked: that is what this double is for.
//! Names are unique ignoring case; SSH key bodies are not validated, because tests want bad ones.

use crate::incoming::Pairs;
use crate::reply::{IAM_NAMESPACE, Reply};
use crate::request::Service;

mod account;
mod calls;
mod details;
mod directory;
mod home;
mod look;
mod page;
mod people;
mod policies;
mod populate;
mod xml;

pub use directory::Directory;

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
pub(crate) fn answer(directory: &mut Directory, form: &Pairs) -> Reply {
    let action = form.get("Action").unwrap_or_default();
    let view = directory.view();
    let result = if action == "GetAccountAuthorizationDetails" {
        details::answer(&view, directory, form)
    } else {
        calls::answer(&view, directory.cap(), action, form)
    };
    match result {
        Ok(result) => Reply::result(IAM_NAMESPACE, action, &result),
        Err(Refusal(status, code, message)) => Reply::error(Service::Iam, status, code, &message),
    }
}

fn required<'a>(form: &'a Pairs, name: &str) -> Result<&'a str, Refusal> {
    form.get(name).ok_or_else(|| Refusal::invalid(format!("{name} is required")))
}
