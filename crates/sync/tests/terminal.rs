//! What somebody sees who runs the sync by hand on a terminal: a line that tells how far it is, and nothing of it afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::process::{Command, Stdio};

use common::{against, double, finish};

/// Runs the program with its errors on a terminal of its own, and gives what the terminal got.
fn on_a_terminal(settings: &Command) -> String {
    // script(1) makes the terminal; what goes to standard output is not shown there.
    let program = format!("'{}' >/dev/null", env!("CARGO_BIN_EXE_iam-ssh-sync"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &program, "/dev/null"]).stdin(Stdio::null()).env_clear();
    command.envs(settings.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin");
    let ran = finish(command);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.out
}

#[test]
fn the_progress_is_shown_on_a_terminal_and_wiped_away() {
    let double = double();
    double.populate(20, 1, 1, 1);
    // The key of the last user is none: a warning that must stand on a line of its own.
    double.add_key("zoe", "APKAEXAMPLEEXAMPLE01", "bad", "Active");
    let shown = on_a_terminal(&against(&double.url()));
    assert!(shown.contains("\rreading keys: ") && shown.contains(" of 21 users, "), "{shown:?}");
    let (progress, rest) = shown.rsplit_once('\r').and_then(|(before, _)| before.rsplit_once("warning: ")).unwrap();
    assert!(progress.ends_with(" \r") && rest.starts_with("key `APKAEXAMPLEEXAMPLE01`"), "{shown:?}");
}

#[test]
fn without_a_terminal_or_as_json_nothing_is_shown() {
    let double = double();
    double.populate(5, 1, 1, 1);
    assert_eq!(finish(against(&double.url())).err, "");
    let mut json = against(&double.url());
    json.env("LOG_FORMAT", "json");
    let shown = on_a_terminal(&json);
    assert!(!shown.contains("reading keys") && shown.starts_with('{'), "{shown:?}");
}
