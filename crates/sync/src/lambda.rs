//! The sync as a Lambda function: each invocation is understood ([`crate::events`]), carried out in the time that Lambda gives, and
//! answered.
//!
//! It must never report success for a run that failed or held something back: the invocation is then marked as failed. For
//! events from the queue a failure brings the messages again, and what is held back is told by the metric.

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::{Value, json};

use crate::accounts::Outcomes;
use crate::budget::Budget;
use crate::cli::Sync;
use crate::error::Error;
use crate::events::{Event, Invocation};
use crate::report::Report;

/// Set by Lambda alone: where the runtime asks for invocations.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// Whether Lambda started this process.
#[must_use]
pub fn is_lambda() -> bool {
    std::env::var_os(RUNTIME_API).is_some_and(|address| !address.is_empty())
}

/// Serves invocations until Lambda ends the process.
///
/// # Errors
/// When Lambda's runtime API cannot be used.
pub async fn serve(sync: &Sync) -> Result<(), Error> {
    let handler = service_fn(|event: LambdaEvent<Value>| invocation(sync, event));
    lambda_runtime::run(handler).await.map_err(|error| Error::Start(format!("Lambda's runtime API: {error}")))
}

async fn invocation(sync: &Sync, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let budget = Budget::until(event.context.deadline());
    let event = Event::parse(&event.payload);
    for ignored in &event.ignored {
        sync.log().note(None, &format_args!("ignored: {ignored}"));
    }
    let outcomes = match &event.invocation {
        Invocation::Bad(why) => {
            sync.log().error(None, why);
            return Err(Diagnostic { error_type: "BadEvent".to_owned(), error_message: why.clone() });
        }
        Invocation::Changes(changes) if changes.is_empty() => Outcomes::default(),
        what => sync.invoke(what, budget).await,
    };
    if event.queue { Ok(messages_again(&event, outcomes)) } else { answer(&outcomes) }
}

/// Which messages SQS should deliver once more: all where a run failed, else those whose events IAM does not show yet. A
/// refusal would only be refused again; its metric tells of it.
fn messages_again(event: &Event, outcomes: Outcomes) -> Value {
    // Also where another run was at work: nothing was looked at.
    let has_failed = outcomes.runs.iter().any(|(_, run)| run.is_err());
    let ids: Vec<String> = if has_failed {
        event.messages.iter().map(|message| message.id.clone()).collect()
    } else {
        outcomes.retry_messages
    };
    json!({ "batchItemFailures": ids.into_iter().map(|id| json!({ "itemIdentifier": id })).collect::<Vec<Value>>() })
}

fn is_failed(run: &Result<Report, Error>) -> bool {
    matches!(run, Err(error) if !error.is_incomplete())
}

/// What was done, or why the invocation failed.
fn answer(outcomes: &Outcomes) -> Result<Value, Diagnostic> {
    let with_account = |account: &Option<String>, text: String| match account {
        Some(account) => format!("{account}: {text}"),
        None => text,
    };
    let failures: Vec<String> = outcomes
        .runs
        .iter()
        .filter_map(|(account, run)| {
            let why = match run {
                Err(error) if error.is_incomplete() => return None,
                Err(error) => error.to_string(),
                // A dry run only looks.
                Ok(report) => report.refusal.as_ref().filter(|_| !report.dry_run)?.to_string(),
            };
            Some(with_account(account, why))
        })
        .collect();
    if !failures.is_empty() {
        let failed = outcomes.runs.iter().any(|(_, run)| is_failed(run));
        let error_type = if failed { "SyncFailed" } else { "ShrinkRefused" }.to_owned();
        return Err(Diagnostic { error_type, error_message: failures.join("; ") });
    }
    let summaries: Vec<String> =
        outcomes.runs.iter().map(|(account, run)| with_account(account, summary(run))).collect();
    let runs: Vec<Value> = outcomes.runs.iter().map(|(account, run)| told(account.as_deref(), run)).collect();
    let incomplete = outcomes.runs.iter().any(|(_, run)| run.is_err());
    Ok(json!({ "summary": summaries.join("; "), "incomplete": incomplete, "runs": runs }))
}

fn summary(run: &Result<Report, Error>) -> String {
    run.as_ref().map_or_else(ToString::to_string, Report::summary)
}

/// One account's run in numbers; a run that is not complete has none.
fn told(account: Option<&str>, run: &Result<Report, Error>) -> Value {
    let mut told = match run {
        Err(_) => json!({ "incomplete": true }),
        Ok(report) => json!({
            "incomplete": false, "put": report.put.len(), "deleted": report.deleted.len(), "kept": report.kept,
            "skipped": report.skipped.len(), "excluded": report.excluded.len(), "foreign": report.foreign.len()
        }),
    };
    if let (Some(account), Some(told)) = (account, told.as_object_mut()) {
        told.insert("account".to_owned(), account.into());
    }
    told
}
