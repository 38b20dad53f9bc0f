//! The accounts: one run for each, some at a time, each below a prefix of its own; and what came of them all.
//!
//! It must never let one account's failure touch another's documents, and never forget it either: the exit code tells.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;

use crate::bucket::s3::S3Bucket;
use crate::budget::Budget;
use crate::clients::Clients;
use crate::directory::Directory;
use crate::directory::iam::IamDirectory;
use crate::error::Error;
use crate::events::{Change, Invocation, What};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::pace::Pacer;
use crate::report::Report;
use crate::run::{Run, Task};
use crate::settings::{Settings, Source};

/// The age of a heartbeat that there never was: old enough for every alarm.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// Everything that runs need, built once.
#[derive(Debug)]
pub struct Accounts {
    bucket: S3Bucket,
    accounts: Vec<Account>,
    settings: Settings,
    log: Log,
    emits: bool,
}

/// One account.
#[derive(Debug)]
struct Account {
    /// Its number, where several are set.
    number: Option<String>,
    directory: IamDirectory,
    prefix: String,
}

/// What came of the runs.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Each account's number, where several are set, and its run's report.
    pub runs: Vec<(Option<String>, Result<Report, Error>)>,
    /// The messages whose events changed nothing yet, and may do so later.
    pub retry_messages: Vec<String>,
}

impl Outcomes {
    /// The process's exit code: 1 where a run failed, else 3 where one was refused, else 0 (CONTRACT, "Sync").
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let codes = || {
            self.runs.iter().map(|(_, run)| match run {
                Ok(report) => report.exit_code(),
                Err(error) => error.exit_code(),
            })
        };
        [2, 1, 3].into_iter().find(|code| codes().any(|found| found == *code)).unwrap_or(0)
    }
}

impl Accounts {
    /// The accounts that the settings name, reached through these clients.
    pub async fn new(clients: Clients, settings: Settings, log: Log) -> Self {
        let bucket = S3Bucket::new(clients.s3.clone(), settings.bucket.clone(), settings.bucket_owner.clone());
        let emits = settings.metrics.unwrap_or_else(crate::lambda::is_lambda);
        let directory = |client| IamDirectory::new(client, Arc::new(Pacer::new(settings.max_rate)), clients.attempts);
        let mut accounts = Vec::new();
        for Source { number, role } in &settings.accounts {
            let client = match role {
                Some(role) => clients.iam_as(role, settings.external_id.as_deref()).await,
                None => clients.iam.clone(),
            };
            let prefix = format!("{}{number}/", settings.prefix);
            accounts.push(Account { number: Some(number.clone()), directory: directory(client), prefix });
        }
        if accounts.is_empty() {
            let directory = directory(clients.iam.clone());
            accounts.push(Account { number: None, directory, prefix: settings.prefix.clone() });
        }
        Self { bucket, accounts, settings, log, emits }
    }

    /// What is set.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The program's log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Does what is asked for in every account that it is about.
    pub async fn invoke(&self, what: &Invocation, budget: Budget) -> Outcomes {
        let tasks = self.accounts.iter().filter_map(|account| Some((account, task(account, what)?)));
        let runs: Vec<(Option<String>, Result<Report, Error>)> = stream::iter(tasks)
            .map(|(account, task)| async move { (account.number.clone(), self.run(account, &task, budget).await) })
            .buffered(self.settings.accounts_in_flight)
            .collect()
            .await;
        let mut outcomes = Outcomes { runs, retry_messages: Vec::new() };
        if let Invocation::Changes(changes) = what {
            outcomes.retry_messages = without_news(changes, &outcomes);
        }
        outcomes
    }

    async fn run(&self, account: &Account, task: &Task, budget: Budget) -> Result<Report, Error> {
        let began = Instant::now();
        let calls = account.directory.calls();
        let number = account.number.as_deref();
        let run = Run {
            directory: &account.directory,
            bucket: &self.bucket,
            prefix: &account.prefix,
            account: number,
            settings: &self.settings,
            progress: self.log.progress(),
            budget,
            now: OffsetDateTime::now_utc,
        };
        let result = run.run(task, |warning| self.log.warning(number, &warning)).await;
        match &result {
            Ok(report) => self.tell(number, report),
            Err(error) if error.is_incomplete() => self.log.warning(number, error),
            Err(error) => {
                self.log.error(number, error);
                error.failures().iter().for_each(|failure| self.log.error(number, failure));
            }
        }
        if self.emits && !task.dry_run {
            let beats = matches!(&result, Ok(report) if report.refusal.is_none()) && task.changes.is_none();
            let age = if beats { Duration::ZERO } else { run.heartbeat_age().await.unwrap_or(NEVER) };
            let after = account.directory.calls();
            let metrics = Metrics {
                duration: began.elapsed(),
                iam_calls: after.sent - calls.sent,
                throttled: after.throttled - calls.throttled,
                heartbeat_age: Some(age),
                ..metrics(&result)
            };
            let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
            let account = number.unwrap_or("own");
            self.log.metrics(&metrics.emf(&self.settings.namespace, &self.settings.bucket, account, now));
        }
        result
    }

    /// Logs a report: what was done, then what was left out and why.
    fn tell(&self, account: Option<&str>, report: &Report) {
        let log = &self.log;
        for name in &report.vanished {
            let name = iam_ssh_core::text::escape(name.as_bytes(), 128);
            log.note(account, &format_args!("user `{name}` vanished while IAM was read and counts as deleted"));
        }
        // A run about some users says nothing new of all others.
        if report.news.is_none() {
            for (user, why) in &report.excluded {
                log.note(account, &format_args!("user `{user}` counts as deactivated: {why}"));
            }
            report.skipped.iter().for_each(|skipped| log.warning(account, skipped));
        }
        for key in &report.foreign {
            let key = iam_ssh_core::text::escape(key.as_bytes(), 300);
            log.warning(account, &format_args!("`{key}` is no document of ours and is left alone"));
        }
        log.info(account, report);
        match &report.refusal {
            // The plan of a run about some users is a part of the whole one, which can only be confirmed as a whole.
            Some(_) if report.news.is_some() => {
                let held = report.held;
                log.warning(account, &format_args!("{held} lines are held back; the next complete run names the plan"));
            }
            Some(refusal) => log.error(account, refusal),
            None => {}
        }
        for why in &report.unread {
            log.error(account, &format_args!("a document cannot be read, and would be left alone: {why}"));
        }
    }
}

/// The messages that should come once more, because what they tell of was not to be seen: IAM may not show it yet.
fn without_news(changes: &[Change], outcomes: &Outcomes) -> Vec<String> {
    let mut has_news = vec![false; changes.len()];
    for (number, run) in &outcomes.runs {
        // Those that the run of this account was about, in the same order.
        let concerned = (0..).zip(changes).filter(|(_, change)| concerns(number.as_deref(), change));
        let news = run.as_ref().ok().and_then(|report| report.news.as_ref());
        for (place, (index, _)) in concerned.enumerate() {
            // A run that could not look, for want of a complete one before, leaves it to that.
            let is_news = news.map_or(run.is_ok(), |news| news.get(place).copied().unwrap_or(true));
            if let Some(found) = has_news.get_mut::<usize>(index) {
                *found |= is_news;
            }
        }
    }
    let without = changes.iter().zip(has_news).filter(|(_, has_news)| !has_news);
    let first = without.flat_map(|(change, _)| &change.messages).filter(|message| message.receives <= 1);
    first.map(|message| message.id.clone()).collect()
}

/// Whether a change is about this account: where only one is set, all are.
fn concerns(number: Option<&str>, change: &Change) -> bool {
    match (number, &change.account) {
        (Some(number), Some(account)) => number == account,
        _ => true,
    }
}

/// What is to be done in an account; nothing where it is about others.
fn task(account: &Account, what: &Invocation) -> Option<Task> {
    match what {
        Invocation::Full { dry_run, confirm } => {
            Some(Task { changes: None, dry_run: *dry_run, confirm: confirm.clone() })
        }
        Invocation::Changes(changes) => {
            let number = account.number.as_deref();
            let concerned = changes.iter().filter(|change| concerns(number, change));
            let changes: Vec<What> = concerned.map(|change| change.what.clone()).collect();
            (!changes.is_empty()).then_some(Task { changes: Some(changes), dry_run: false, confirm: None })
        }
        Invocation::Bad(_) => None,
    }
}

/// What a run's result says in numbers.
fn metrics(result: &Result<Report, Error>) -> Metrics {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    match result {
        Ok(report) => {
            // A run about some users sees no more than them.
            let whole = |number: usize| report.news.is_none().then(|| count(number));
            Metrics {
                changes: count(report.changes()),
                refused: Some(count(report.held)),
                failed: report.news.is_none().then_some(false),
                excluded: whole(report.excluded.len()),
                skipped: whole(report.skipped.len()),
                foreign: whole(report.foreign.len()),
                users: whole(report.users),
                keys: whole(report.keys),
                ..Metrics::default()
            }
        }
        Err(Error::Unfinished(unfinished)) => Metrics {
            changes: count(unfinished.written + unfinished.deleted),
            failed: Some(true),
            ..Metrics::default()
        },
        Err(error) => {
            let ended_early = error.is_incomplete();
            Metrics { failed: (!ended_early).then_some(true), incomplete: ended_early, ..Metrics::default() }
        }
    }
}
