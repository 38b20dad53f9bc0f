//! The program: settings, clients, one run, its report; or the Lambda loop where Lambda started it.
//!
//! It must never end with exit code 0 unless the bucket is in sync (or the dry run is complete).

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use time::OffsetDateTime;

use crate::bucket::s3::S3Bucket;
use crate::clients::Clients;
use crate::directory::iam::IamDirectory;
use crate::documents::Skipped;
use crate::error::Error;
use crate::lambda;
use crate::report::Report;
use crate::run::run;
use crate::settings::{Arguments, Settings};

/// Runs the program and gives its exit code (CONTRACT, "Sync").
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            // Help and version come this way, too.
            let _ = told.print();
            return if told.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            error.exit_code()
        }
    }
}

fn start(arguments: Arguments) -> Result<(), Error> {
    let settings = Settings::try_from(arguments)?;
    // One thread: the work is waiting for answers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Start(error.to_string()))?.block_on(async {
        let clients = Clients::load().await?;
        let sync = Sync::new(clients, settings);
        if lambda::is_lambda() {
            return lambda::serve(&sync).await;
        }
        let report = sync.run().await?;
        say(&report);
        Ok(())
    })
}

/// Everything that a run needs, built once.
#[derive(Debug)]
pub struct Sync {
    directory: IamDirectory,
    bucket: S3Bucket,
    settings: Settings,
}

impl Sync {
    /// A sync through these clients.
    #[must_use]
    pub fn new(clients: Clients, settings: Settings) -> Self {
        let bucket = S3Bucket::new(clients.s3, settings.bucket.clone(), settings.bucket_owner.clone());
        Self { directory: IamDirectory::new(clients.iam), bucket, settings }
    }

    /// One run by the system's clock; what was left out is logged.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn run(&self) -> Result<Report, Error> {
        let report = run(&self.directory, &self.bucket, &self.settings, OffsetDateTime::now_utc).await?;
        for skipped in &report.skipped {
            let kind = if matches!(skipped, Skipped::Gone(_)) { "note" } else { "warning" };
            log(&format_args!("{kind}: {skipped}"));
        }
        Ok(report)
    }
}

/// A failed run: what happened and how far it came, then every failure on a line of its own where there are several.
pub(crate) fn complain(error: &Error) {
    log(&format_args!("error: {error}"));
    for failure in error.failures() {
        log(&format_args!("error: {failure}"));
    }
}

/// A line for whoever watches: standard error, which in Lambda is the log.
pub(crate) fn log(line: &dyn Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The result: standard output, which in Lambda is the log, too.
pub(crate) fn say(report: &Report) {
    let _ = writeln!(std::io::stdout().lock(), "{report}");
}
