//! The sync as a Lambda function: one run per invocation, whatever the event says.
//!
//! It must never report success for a run that failed: the invocation is then marked as failed, so that alarms and retries see it.

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::{Value, json};

use crate::cli::{Sync, complain, say};
use crate::error::Error;

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
    let handler = service_fn(|_event: LambdaEvent<Value>| invocation(sync));
    lambda_runtime::run(handler).await.map_err(|error| Error::Start(format!("Lambda's runtime API: {error}")))
}

async fn invocation(sync: &Sync) -> Result<Value, Diagnostic> {
    match sync.run().await {
        Ok(report) => {
            say(&report);
            Ok(json!({ "summary": report.summary(), "put": report.put.len(), "deleted": report.deleted.len(),
                       "kept": report.kept, "skipped": report.skipped.len() }))
        }
        Err(error) => {
            complain(&error);
            Err(Diagnostic { error_type: "SyncFailed".to_owned(), error_message: error.to_string() })
        }
    }
}
