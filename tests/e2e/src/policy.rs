//! What policies allow: an evaluator of our own for the policies that are deployed, because moto looks at neither conditions nor, outside
//! S3, at resources.
//!
//! It knows the elements that these policies use (IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements") and stops the
//! test at any other: what it does not understand must not pass for allowed or denied.

use std::collections::BTreeMap;
use std::path::Path;

use iam_ssh_doubles::{Request, Service};
use serde_json::Value;

use crate::inputs;

/// One call as policies see it.
#[derive(Clone, Debug)]
pub struct Call {
    /// `s3:GetObject`.
    pub action: String,
    /// The ARN that it is about, `*` where the action knows none.
    pub resource: String,
    /// The condition keys that are there, names in lower case. Of a call: `s3:prefix`; of who calls: `aws:principalarn`.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Call {
    /// A call without context.
    #[must_use]
    pub fn new(action: &str, resource: &str) -> Self {
        Self { action: action.to_owned(), resource: resource.to_owned(), context: BTreeMap::new() }
    }

    /// The same with a condition key.
    #[must_use]
    pub fn with(mut self, key: &str, values: &[&str]) -> Self {
        self.context.insert(key.to_ascii_lowercase(), values.iter().map(|value| (*value).to_owned()).collect());
        self
    }

    /// What a request that our double received needs. Reading an object also needs that its absence may be told: without that right
    /// S3 answers 403 where nothing is there, and asks for it with the object's key as prefix.
    ///
    /// # Panics
    /// At a request that nobody said what right it needs.
    #[must_use]
    pub fn of(request: &Request, region: &str) -> Vec<Self> {
        let (action, resource) = (request.action.as_str(), request.resource.as_str());
        match request.service {
            Service::Imds => Vec::new(),
            Service::Iam if action == "GetAccountAuthorizationDetails" => {
                vec![Self::new(&format!("iam:{action}"), "*")]
            }
            Service::Iam => {
                assert!(!resource.is_empty(), "whom is this about? {request:?}");
                vec![Self::new(&format!("iam:{action}"), &format!("arn:aws:iam::{}:user/{resource}", request.account))]
            }
            Service::Sts => vec![Self::new(&format!("sts:{action}"), resource)],
            Service::Ssm => {
                let arn =
                    format!("arn:aws:ssm:{region}:{}:parameter/{}", request.account, resource.trim_start_matches('/'));
                vec![Self::new(&format!("ssm:{action}"), &arn)]
            }
            Service::S3 => {
                let bucket = request.path.split('/').nth(1).expect("a bucket");
                let bucket = format!("arn:aws:s3:::{bucket}");
                let list = Self::new("s3:ListBucket", &bucket).with("s3:prefix", &[resource]);
                let object = format!("{bucket}/{resource}");
                match action {
                    "ListObjectsV2" => vec![list],
                    "GetObject" | "HeadObject" => vec![Self::new("s3:GetObject", &object), list],
                    // With a condition on what is there, S3 wants the right to read it, too.
                    "PutObject" | "DeleteObject" if request.conditional => {
                        vec![Self::new(&format!("s3:{action}"), &object), Self::new("s3:GetObject", &object), list]
                    }
                    "PutObject" | "DeleteObject" => vec![Self::new(&format!("s3:{action}"), &object)],
                    other => panic!("what right does {other} need?"),
                }
            }
        }
    }
}

/// What a policy says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement denies it, whatever else allows it.
    Denied,
    /// Nothing is said, which is no.
    Unsaid,
}

/// A policy document.
#[derive(Clone, Debug)]
pub struct Policy(Value);

impl Policy {
    /// A document as text.
    ///
    /// # Panics
    /// When it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).expect("a policy document");
        assert_eq!(document["Version"], "2012-10-17", "without it, policy variables are not replaced");
        Self(document)
    }

    /// A document of `deploy/policies`, by its name.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn deployed(name: &str) -> Self {
        let path = inputs::source().join("deploy/policies").join(Path::new(name).with_extension("json"));
        Self::parse(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.0
    }

    /// What it says to a call.
    #[must_use]
    pub fn verdict(&self, call: &Call) -> Verdict {
        let mut verdict = Verdict::Unsaid;
        for statement in list(&self.0["Statement"]) {
            if !applies(statement, call) {
                continue;
            }
            match statement["Effect"].as_str() {
                Some("Deny") => return Verdict::Denied,
                Some("Allow") => verdict = Verdict::Allowed,
                other => panic!("what effect is {other:?}?"),
            }
        }
        verdict
    }
}

/// An element that may be one thing or several.
pub(crate) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

fn texts(value: &Value) -> Vec<String> {
    list(value).into_iter().map(|item| item.as_str().map_or_else(|| item.to_string(), ToOwned::to_owned)).collect()
}

fn applies(statement: &Value, call: &Call) -> bool {
    for element in statement.as_object().expect("a statement").keys() {
        let known = ["Sid", "Effect", "Principal", "Action", "Resource", "NotResource", "Condition"];
        assert!(known.contains(&element.as_str()), "what is {element}?");
    }
    let action = call.action.to_ascii_lowercase();
    let actions = texts(&statement["Action"]);
    let replaced = |element: &str| texts(&statement[element]).iter().map(|arn| replaced(arn, call)).collect();
    let (Some::<Vec<String>>(these), Some::<Vec<String>>(others)) = (replaced("Resource"), replaced("NotResource"))
    else {
        return false;
    };
    let is_one_of = |arns: &[String]| arns.iter().any(|arn| matches(arn, &call.resource));
    let resource = if others.is_empty() { is_one_of(&these) } else { !is_one_of(&others) };
    let conditions = statement["Condition"].as_object();
    actions.iter().any(|wanted| matches(&wanted.to_ascii_lowercase(), &action))
        && resource
        && conditions.is_none_or(|all| all.iter().all(|(operator, keys)| condition(operator, keys, call)))
        && principal(&statement["Principal"], call)
}

/// Of a bucket policy: whether it speaks of who calls. Accounts stand for all who belong to them.
fn principal(value: &Value, call: &Call) -> bool {
    match value {
        Value::Null => true,
        Value::String(everybody) if everybody == "*" => true,
        Value::Object(kinds) => {
            let who = &call.context["aws:principalarn"][0];
            let account = who.split(':').nth(4).expect("an ARN");
            texts(&kinds["AWS"])
                .iter()
                .any(|arn| arn == who || arn == account || *arn == format!("arn:aws:iam::{account}:root"))
        }
        other => panic!("who is {other}?"),
    }
}

/// A resource, its policy variables replaced; nothing where one stands for nothing. AWS says that this "might cause the entire
/// statement to be invalid" (IAM user guide, "Policy variables"): the whole statement then says nothing here, not even no.
fn replaced(pattern: &str, call: &Call) -> Option<String> {
    let mut text = pattern.to_owned();
    while let Some((before, rest)) = text.clone().split_once("${") {
        let (name, after) = rest.split_once('}').expect("a policy variable");
        text = format!("{before}{}{after}", call.context.get(&name.to_ascii_lowercase())?[0]);
    }
    Some(text)
}

fn condition(operator: &str, keys: &Value, call: &Call) -> bool {
    keys.as_object().expect("condition keys").iter().all(|(key, wanted)| {
        let there = call.context.get(&key.to_ascii_lowercase());
        let wanted = texts(wanted);
        assert!(!wanted.iter().any(|text| text.contains("${")), "what does {wanted:?} stand for?");
        let any = |value: &String| wanted.iter().any(|pattern| matches(pattern, value));
        let equal = |value: &String| wanted.contains(value);
        match (operator, there) {
            ("StringEquals", there) => there.is_some_and(|values| values.iter().any(equal)),
            ("StringLike" | "ForAnyValue:StringLike" | "ArnLike" | "ArnEquals", there) => {
                there.is_some_and(|values| values.iter().any(any))
            }
            // No value at all is like everything, too.
            ("StringLikeIfExists" | "ForAllValues:StringLike", there) => {
                there.is_none_or(|values| values.iter().all(any))
            }
            // Negated ones also hold where the key is missing.
            ("ArnNotEquals" | "ArnNotLike", there) => !there.is_some_and(|values| values.iter().any(any)),
            ("Bool", there) => there.is_some_and(|values| values.iter().any(equal)),
            ("Null", there) => there.is_none() == (wanted == ["true"]),
            _ => panic!("what is {operator}?"),
        }
    })
}

/// Whether a text is like a pattern, in which `*` stands for any text and `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Which prefixes of the text the pattern so far is like.
    let mut like = vec![false; text.len() + 1];
    like[0] = true;
    for wanted in pattern {
        if wanted == '*' {
            let first = like.iter().position(|yes| *yes).unwrap_or(like.len());
            like[first..].fill(true);
            continue;
        }
        for end in (1..like.len()).rev() {
            like[end] = like[end - 1] && (wanted == '?' || wanted == text[end - 1]);
        }
        like[0] = false;
    }
    like[text.len()]
}
