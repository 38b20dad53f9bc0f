//! `authorized-keys <user> [<type> <base64>]`: sshd's AuthorizedKeysCommand.
//!
//! Called by sshd as `%u %t %k` for every key a client offers; prints at most the one line of that key. With the user
//! alone it prints every line, for people and tests. It answers from the cache and knows no network: where the cache does
//! not do, `fetch` takes its place. It ignores its environment.

use super::call::{self, Begun, End, Log};
use super::keeper;
use crate::audit::Event;
use crate::copies::Copies;
use crate::exit::Exit;
use crate::lookup::{self, Outcome};
use crate::trusted::Trust;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// The program that asks AWS. A program of its own, because what it is made of costs more to load than the rest of a lookup.
pub const FETCH: &str = "/usr/libexec/iam-ssh/fetch";

/// The one argument with which `fetch` starts this program as its keeper. No login user's name: no table can have it.
pub(super) const KEEP: &str = "/keep";

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let started = Instant::now();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let log = Log::open();
    if args == [KEEP] {
        return keeper::run(&log).into();
    }
    // sshd runs this as root only where another command needs it. What asks that one runs this again, as the user that it
    // is to run as.
    if args.len() == 3 && nix::unistd::geteuid().is_root() {
        call::become_chain(&args, &log);
        return Exit::Failed.into();
    }
    run(&args, started, &log).unwrap_or_else(|end| end).finish(&args, &log).into()
}

fn run(args: &[OsString], started: Instant, log: &Log) -> Result<End, End> {
    let Begun { call, cache, config, now } = call::begin("authorized-keys", args, log)?;
    let question = lookup::question(&config, &call.user, call.offered.as_ref(), now.unix(), Trust::ROOT);
    let Some((question, mut events)) = question.filter(|_| config.bucket.is_some()) else {
        return Ok(End::Miss(Exit::Ok));
    };
    let mut copies = Copies::open(&config, cache, now);
    let found = match question.answer(&mut copies) {
        Outcome::Answer(found) => found,
        Outcome::Ask(_) => {
            if config.network {
                let error = Command::new(FETCH).args(args).exec();
                events.push(Event::error(format!("cannot run {FETCH}, so only the cache is asked: {error}")));
            }
            copies.settle();
            let found = question.settled(&mut copies);
            // A refresh may have replaced a copy between reading of it and reading it.
            if found.is_empty() && copies.reload_damaged() { question.settled(&mut copies) } else { found }
        }
    };
    Ok(call::answer(&found, &call, (started, copies.moment()), log, || {
        events.extend(copies.take_events(found.is_empty()));
        events
    }))
}
