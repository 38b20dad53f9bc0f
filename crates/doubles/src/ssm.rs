//! SSM's JSON protocol: GetParameter.
//!
//! It must answer a missing parameter with 400 and a denied one with 400, as AWS does: only the error's type tells them apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::double::Double;
use crate::reply::Reply;
use crate::request::Service;

/// All parameters.
#[derive(Debug, Default)]
pub(crate) struct Ssm {
    parameters: BTreeMap<String, String>,
    denied: BTreeSet<String>,
}

/// Answers one call.
pub(crate) fn answer(ssm: &Ssm, operation: &str, input: &Value) -> Reply {
    let refuse = |code: &str, message: &str| Reply::error(Service::Ssm, 400, code, message);
    if operation != "GetParameter" {
        return refuse("UnknownOperationException", operation);
    }
    let Some(name) = input.get("Name").and_then(Value::as_str) else {
        return refuse("ValidationException", "Name is required");
    };
    if ssm.denied.contains(name) {
        return refuse("AccessDeniedException", "not authorized to perform: ssm:GetParameter");
    }
    match ssm.parameters.get(name) {
        None => refuse("ParameterNotFound", ""),
        Some(value) => Reply::json(
            200,
            &json!({ "Parameter": {
                "Name": name, "Type": "String", "Value": value, "Version": 1, "DataType": "text",
                "ARN": format!("arn:aws:ssm:us-east-1:123456789012:parameter{name}"),
                "LastModifiedDate": 1_767_225_600.0,
            }}),
        ),
    }
}

/// Parameters.
impl Double {
    /// Sets a parameter of type String.
    pub fn put_parameter(&self, name: &str, value: &str) -> &Self {
        self.state().ssm.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Deletes a parameter.
    pub fn remove_parameter(&self, name: &str) -> &Self {
        self.state().ssm.parameters.remove(name);
        self
    }

    /// Reading this parameter is refused with AccessDeniedException.
    pub fn deny_parameter(&self, name: &str) -> &Self {
        self.state().ssm.denied.insert(name.to_owned());
        self
    }
}
