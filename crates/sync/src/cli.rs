//! The program: settings, clients, one run for each account, its reports; or the Lambda loop where Lambda started it.
//!
//! It must never end with exit code 0 unless the bucket is in sync (or the dry run is complete).

use std::process::ExitCode;

use clap::Parser;

use crate::accounts::{Accounts, Outcomes};
use crate::budget::Budget;
use crate::clients::Clients;
use crate::error::Error;
use crate::events::Invocation;
use crate::lambda;
use crate::log::{Format, Log};
use crate::progress::Progress;
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
    let settings = Settings::try_from(arguments);
    let log = log(settings.as_ref().ok());
    match settings.map_err(Error::from).and_then(|settings| start(settings, &log)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            log.error(None, &error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn log(settings: Option<&Settings>) -> Log {
    let default = if lambda::is_lambda() { Format::Json } else { Format::Text };
    let format = settings.and_then(|settings| settings.log_format).unwrap_or(default);
    Log::new(format, Progress::for_terminal(matches!(format, Format::Text)))
}

fn start(settings: Settings, log: &Log) -> Result<u8, Error> {
    // One thread: the work is waiting for answers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Start(error.to_string()))?.block_on(async {
        let sync = Sync { accounts: Accounts::new(Clients::load().await?, settings, log.clone()).await };
        if lambda::is_lambda() {
            return lambda::serve(&sync).await.map(|()| 0);
        }
        let settings = sync.accounts.settings();
        let what = Invocation::Full { dry_run: settings.dry_run, confirm: settings.confirm.clone() };
        let budget = settings.time_budget.map_or_else(Budget::unlimited, Budget::lasting);
        Ok(sync.invoke(&what, budget).await.exit_code())
    })
}

/// Everything that a run needs, built once.
#[derive(Debug)]
pub struct Sync {
    accounts: Accounts,
}

impl Sync {
    /// Does what is asked for, in every account that it is about; reports, failures and metrics are logged.
    pub async fn invoke(&self, what: &Invocation, budget: Budget) -> Outcomes {
        self.accounts.invoke(what, budget).await
    }

    /// The program's log.
    #[must_use]
    pub fn log(&self) -> &Log {
        self.accounts.log()
    }
}
