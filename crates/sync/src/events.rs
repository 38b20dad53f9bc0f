//! What an invocation of the Lambda function asks for: a full run, a run for what IAM events name, or nothing.
//!
//! It must never take more from an event than a hint where to look: names are checked and bounded, and what is published
//! comes from IAM alone. It must never do I/O.

mod changes;
mod iam;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use iam_ssh_core::text::escape;
use serde_json::Value;

use changes::Changes;

/// How many users one batch may name; for more of them a full run is not much dearer, and it is surer.
pub const MOST_USERS: usize = 25;
/// How many ignored things are told one by one.
const MOST_TOLD: usize = 20;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Everything is read anew.
    Full {
        /// Whether to change nothing.
        dry_run: bool,
        /// The refused plan that is confirmed.
        confirm: Option<String>,
    },
    /// Only what IAM events name; nothing if there is none.
    Changes(Vec<Change>),
    /// Nobody can mean this; what is wrong, escaped.
    Bad(String),
}

/// What changed in one account, and which messages say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The account's number, if the event tells it.
    pub account: Option<String>,
    /// Who is to be looked at.
    pub what: What,
    /// The queue's messages that asked for it; none if the function was invoked with the event itself.
    pub messages: Vec<Message>,
}

/// Who is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// One user, by what may be several names: old and new. No two are the same ignoring case.
    User {
        /// Names that IAM could have given.
        names: BTreeSet<String>,
        /// Whether the keys are to be listed anew.
        keys: bool,
        /// Whether the inline policies are to be read anew.
        policies: bool,
        /// Whether the user is said to be deleted: only then may there be nobody of that name.
        deleted: bool,
    },
    /// The account's groups: which there are, and their policies.
    Groups,
}

/// A message of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What the answer calls it by.
    pub id: String,
    /// How often the queue has delivered it, this time included.
    pub receives: u32,
}

/// An invocation's payload, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What is to be done.
    pub invocation: Invocation,
    /// Whether SQS asks, which wants to hear which messages to deliver again.
    pub queue: bool,
    /// All messages that ask for something, also where they became a full run.
    pub messages: Vec<Message>,
    /// What was ignored and why, escaped.
    pub ignored: Vec<String>,
}

impl Invocation {
    /// A full run that changes what is to be changed.
    #[must_use]
    pub fn full() -> Self {
        Self::Full { dry_run: false, confirm: None }
    }
}

impl Event {
    /// Understands a payload: a batch of SQS messages with IAM events in them, an IAM event, `{"confirm":"<plan id>"}`,
    /// `{"dry_run":true}`; everything else, as a schedule's event, asks for a full run.
    #[must_use]
    pub fn parse(payload: &Value) -> Self {
        if let Some(records) = queue_records(payload) {
            return batch(records);
        }
        if !iam::is_event(payload) {
            return Self { invocation: asked(payload), queue: false, messages: Vec::new(), ignored: Vec::new() };
        }
        let mut changes = Changes::default();
        let ignored = iam::read(payload).map(|read| changes.add(read.account, read.what, None)).err();
        Self { invocation: changes.into(), queue: false, messages: Vec::new(), ignored: ignored.into_iter().collect() }
    }
}

/// The records of a batch from SQS.
fn queue_records(payload: &Value) -> Option<&Vec<Value>> {
    let records = payload.get("Records")?.as_array()?;
    let from_queue = |record: &Value| record.get("eventSource").and_then(Value::as_str) == Some("aws:sqs");
    (!records.is_empty() && records.iter().all(from_queue)).then_some(records)
}

/// A queue takes IAM events and nothing else: whoever may send to it may not confirm a plan.
fn batch(records: &[Value]) -> Event {
    let (mut changes, mut messages, mut ignored) = (Changes::default(), Vec::new(), Vec::new());
    for record in records {
        let message = message(record);
        match iam_event(record).and_then(|event| iam::read(&event)) {
            Ok(read) => {
                messages.extend(message.clone());
                changes.add(read.account, read.what, message);
            }
            Err(why) => ignored.push(match message {
                Some(Message { id, .. }) => format!("message {id}: {why}"),
                None => why,
            }),
        }
    }
    if ignored.len() > MOST_TOLD {
        let more = ignored.len() - MOST_TOLD;
        ignored.truncate(MOST_TOLD);
        ignored.push(format!("and {more} more"));
    }
    Event { invocation: changes.into(), queue: true, messages, ignored }
}

fn iam_event(record: &Value) -> Result<Value, String> {
    let body = record.get("body").and_then(Value::as_str).unwrap_or_default();
    match serde_json::from_str(body) {
        Ok(event) if iam::is_event(&event) => Ok(event),
        _ => Err(format!("no IAM event from CloudTrail: {}", escape(body.as_bytes(), 200))),
    }
}

/// The message, unless its id is not one that SQS could have given: then it cannot be asked for again.
fn message(record: &Value) -> Option<Message> {
    let id = record.get("messageId").and_then(Value::as_str)?;
    let legal =
        (1..=100).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let receives = record
        .get("attributes")
        .and_then(|attributes| attributes.get("ApproximateReceiveCount")?.as_str()?.parse().ok());
    // Where the count is missing, the message is not asked for once more.
    legal.then(|| Message { id: id.to_owned(), receives: receives.unwrap_or(u32::MAX) })
}

/// What a payload asks for that is no IAM event.
fn asked(payload: &Value) -> Invocation {
    let dry_run = match payload.get("dry_run") {
        None => false,
        Some(Value::Bool(dry_run)) => *dry_run,
        // Not to be taken for a run that changes something.
        Some(other) => return Invocation::Bad(format!("dry_run must be true or false, not {}", shown(other))),
    };
    let confirm = match payload.get("confirm") {
        None => None,
        Some(Value::String(id)) if is_plan_id(id) => Some(id.clone()),
        Some(other) => {
            return Invocation::Bad(format!(
                "confirm must be a plan id, 16 digits 0-9 a-f in quotes, not {}",
                shown(other)
            ));
        }
    };
    Invocation::Full { dry_run, confirm }
}

fn shown(value: &Value) -> String {
    escape(value.to_string().as_bytes(), 100)
}

/// Whether this can be the id of a plan: 16 lower-case hexadecimal digits.
#[must_use]
pub fn is_plan_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
