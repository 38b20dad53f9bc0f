//! `iam-ssh`: the administrator's tool. It wires sshd to iam-ssh, takes the wiring away again, and refreshes the cache.

use super::authorized_keys::FETCH;
use super::fetch::REFRESH;
use crate::config::{self, load};
use crate::exit::Exit;
use crate::sshd::apply::{self, Report, WireError};
use crate::trusted::Trust;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: iam-ssh wire      make sshd ask iam-ssh for keys; tested first, put back on any failure
       iam-ssh unwire    take that away again
       iam-ssh refresh   ask AWS for all that logins may need and keep it in the cache, whatever is there already
       iam-ssh --version
       iam-ssh --help

Settings are in /etc/iam-ssh/config.toml. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 declined because another
AuthorizedKeysCommand is configured or the drop-in's place is taken; after 1 and 3 sshd is configured as before.
";

/// Runs the tool.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["wire"] => finish("not wired", wire()),
        ["unwire"] => finish("not unwired", apply::unwire().map_err(Failure::Wire)),
        ["refresh"] => refresh(),
        ["--version" | "-V"] => say(&format!("iam-ssh {}\n", env!("CARGO_PKG_VERSION"))),
        ["--help" | "-h" | "help"] => say(USAGE),
        _ => {
            let _ = io::stderr().write_all(USAGE.as_bytes());
            Exit::Usage
        }
    }
    .into()
}

enum Failure {
    Config(config::ConfigError),
    Wire(WireError),
}

fn wire() -> Result<Report, Failure> {
    let config = load::load(Path::new(load::DIRECTORY), Trust::ROOT).map_err(Failure::Config)?;
    apply::wire(&config).map_err(Failure::Wire)
}

/// Becomes the program that knows the network; this one needs none of it.
fn refresh() -> Exit {
    let error = Command::new(FETCH).arg(REFRESH).exec();
    let _ = writeln!(io::stderr(), "iam-ssh: not refreshed: cannot run {FETCH}: {error}.");
    Exit::Failed
}

fn finish(failed: &str, result: Result<Report, Failure>) -> Exit {
    let (text, exit) = match result {
        Ok(report) => return say(&report.lines.iter().map(|line| format!("iam-ssh: {line}\n")).collect::<String>()),
        Err(Failure::Config(error)) => (error.to_string(), Exit::Failed),
        Err(Failure::Wire(error)) if error.is_declined() => (error.to_string(), Exit::Declined),
        Err(Failure::Wire(error)) => (error.to_string(), Exit::Failed),
    };
    let _ = writeln!(io::stderr(), "iam-ssh: {failed}: {text}.");
    exit
}

fn say(text: &str) -> Exit {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => Exit::Ok,
    }
}
