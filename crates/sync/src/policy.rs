//! Whether an IAM policy denies everything: AWS's own way to deactivate a user and leave the credentials where they
//! are. Pure.
//!
//! Only a statement that says so literally counts. What cannot be read denies nothing: IAM does not store policies that
//! are none, and to lock people out for what nobody understands would be worse.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Elements that make a statement one about something else than everything for its user.
const OTHERS: [&str; 4] = ["NotAction", "NotResource", "Principal", "NotPrincipal"];

/// Whether one of the policy's statements denies every action on every resource, unconditionally. The document is JSON,
/// or JSON percent-encoded as IAM's API gives it.
#[must_use]
pub fn denies_everything(document: &str) -> bool {
    let document = document.trim();
    let policy = if document.starts_with('{') {
        serde_json::from_str::<Value>(document)
    } else {
        serde_json::from_slice(&percent_decode_str(document).collect::<Vec<u8>>())
    };
    let Ok(policy) = policy else { return false };
    match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().any(is_deny_all),
        Some(statement) => is_deny_all(statement),
        None => false,
    }
}

fn is_deny_all(statement: &Value) -> bool {
    let has = |name: &str, fits: fn(&str) -> bool| match statement.get(name) {
        Some(Value::String(text)) => fits(text),
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).any(fits),
        _ => false,
    };
    let unconditional = match statement.get("Condition") {
        None => true,
        Some(conditions) => conditions.as_object().is_some_and(serde_json::Map::is_empty),
    };
    statement.get("Effect").and_then(Value::as_str) == Some("Deny")
        && unconditional
        && OTHERS.iter().all(|name| statement.get(name).is_none())
        && has("Action", |action| is_everything(action) || action.split_once(':').is_some_and(all_services))
        && has("Resource", is_everything)
}

/// `*`; as a pattern, more of them mean the same.
fn is_everything(pattern: &str) -> bool {
    !pattern.is_empty() && pattern.bytes().all(|byte| byte == b'*')
}

fn all_services((service, action): (&str, &str)) -> bool {
    is_everything(service) && is_everything(action)
}

#[cfg(test)]
mod tests {
    use super::denies_everything;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    fn both(document: &str) -> bool {
        let encoded = utf8_percent_encode(document, NON_ALPHANUMERIC).to_string();
        assert_eq!(denies_everything(document), denies_everything(&encoded), "{document}");
        denies_everything(document)
    }

    fn statement(elements: &str) -> bool {
        let (one, many) = (
            both(&format!("{{\"Version\":\"2012-10-17\",\"Statement\":{{{elements}}}}}")),
            both(&format!(
                "\n{{\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}},{{{elements}}}]}}"
            )),
        );
        assert_eq!(one, many, "{elements}");
        one
    }

    #[test]
    fn a_literal_denial_of_everything_counts() {
        for elements in [
            r#""Effect":"Deny","Action":"*","Resource":"*""#,
            r#""Sid":"Off ä","Effect":"Deny","Action":["s3:GetObject","*"],"Resource":["arn:aws:s3:::b","*"]"#,
            r#""Effect":"Deny","Action":"*:*","Resource":"*","Condition":{}"#,
            r#""Effect":"Deny","Action":"**","Resource":"**""#,
        ] {
            assert!(statement(elements), "{elements}");
        }
    }

    #[test]
    fn what_denies_less_does_not() {
        for elements in [
            r#""Effect":"Allow","Action":"*","Resource":"*""#,
            r#""Effect":"deny","Action":"*","Resource":"*""#,
            r#""Effect":"Deny","Action":"s3:*","Resource":"*""#,
            r#""Effect":"Deny","Action":["*:Get*","iam:*"],"Resource":"*""#,
            r#""Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::*""#,
            r#""Effect":"Deny","NotAction":"iam:*","Resource":"*""#,
            r#""Effect":"Deny","Action":"*","NotAction":"iam:*","Resource":"*""#,
            r#""Effect":"Deny","Action":"*","Resource":"*","NotResource":"x""#,
            r#""Effect":"Deny","Action":"*","Resource":"*","Principal":"*""#,
            r#""Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}"#,
            r#""Effect":"Deny","Action":"*""#,
            r#""Effect":"Deny","Action":"","Resource":"*""#,
            r#""Effect":"Deny","Action":[],"Resource":["*"]"#,
            r#""Effect":"Deny","Action":{"*":"*"},"Resource":"*""#,
            r#""effect":"Deny","action":"*","resource":"*""#,
        ] {
            assert!(!statement(elements), "{elements}");
        }
    }

    #[test]
    fn what_cannot_be_read_denies_nothing() {
        for text in [
            "",
            "{",
            "null",
            "[]",
            "{\"Statement\":7}",
            "{\"Statement\":[\"*\",null]}",
            "%7B",
            "%ff%7B",
            "%",
            "Deny * *",
        ] {
            assert!(!denies_everything(text), "{text}");
        }
    }
}
