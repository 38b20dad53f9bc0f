//! `iam-ssh`: the administrator's tool. It wires sshd to iam-ssh, takes the wiring away again, refreshes the cache, and
//! says who logged in.

use super::authorized_keys::FETCH;
use super::commands::{self, Call};
use super::fetch::REFRESH;
use super::{enforce, history, who};
use crate::config::{self, load};
use crate::exit::Exit;
use crate::sshd::apply::{self, Report, Run, WireError};
use crate::trusted::Trust;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs the tool.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    match commands::parse(&args) {
        Ok(Call::Wire { dry_run }) => finish("not wired", wire(run(dry_run))),
        Ok(Call::Unwire { dry_run }) => finish("not unwired", apply::unwire(run(dry_run)).map_err(Failure::Wire)),
        Ok(Call::Refresh { enforce: false }) => refresh(),
        Ok(Call::Refresh { enforce: true }) => enforce::run(),
        Ok(Call::Log(query)) => history::run(&query),
        Ok(Call::Who { json }) => who::run(json),
        Ok(Call::Version) => say(&format!("iam-ssh {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Call::Help) => say(&commands::usage()),
        Err(wrong) => {
            let _ = write!(io::stderr(), "iam-ssh: {wrong}\n\n{}", commands::usage());
            Exit::Usage
        }
    }
    .into()
}

fn run(dry: bool) -> Run {
    if dry { Run::Dry } else { Run::Real }
}

enum Failure {
    Config(config::ConfigError),
    Wire(WireError),
}

fn wire(run: Run) -> Result<Report, Failure> {
    let config = load::load(Path::new(load::DIRECTORY), Trust::ROOT).map_err(Failure::Config)?;
    apply::wire(&config, run).map_err(Failure::Wire)
}

/// Becomes the program that knows the network; this one needs none of it.
fn refresh() -> Exit {
    let error = Command::new(FETCH).arg(REFRESH).exec();
    let _ = writeln!(io::stderr(), "iam-ssh: not refreshed: cannot run {FETCH}: {error}.");
    Exit::Failed
}

fn finish(failed: &str, result: Result<Report, Failure>) -> Exit {
    let (text, exit) = match result {
        Ok(report) => return tell(&report),
        Err(Failure::Config(error)) => (error.to_string(), Exit::Failed),
        Err(Failure::Wire(error)) if error.is_declined() => (error.to_string(), Exit::Declined),
        Err(Failure::Wire(error)) => (error.to_string(), Exit::Failed),
    };
    let _ = writeln!(io::stderr(), "iam-ssh: {failed}: {text}.");
    exit
}

fn tell(report: &Report) -> Exit {
    let lines: String = report.lines.iter().map(|line| format!("iam-ssh: {line}\n")).collect();
    match report.diff.as_deref() {
        None => say(&lines),
        Some("") => say(&format!("{lines}iam-ssh: nothing would be changed\n")),
        Some(diff) => say(&format!("{lines}iam-ssh: this would be changed:\n{diff}")),
    }
}

fn say(text: &str) -> Exit {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => Exit::Ok,
    }
}
