//! The completions: that for bash in a real bash, as a person types; all of them complete by the table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh::program::commands::{COMMANDS, GLOBAL};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    iam_ssh_manual::write(folder.path()).unwrap();
    folder
}

/// What an interactive bash on a terminal of its own says after these keys.
fn typed(keys: &str) -> String {
    let folder = written();
    let rc = folder.path().join("rc");
    let script = folder.path().join("iam-ssh.bash");
    fs::write(&rc, format!("PS1=; . {}\niam-ssh() {{ echo \"called: $*;\"; }}\n", script.display())).unwrap();
    let mut bash = Command::new("timeout")
        .args(["--kill-after=1", "30", "script", "--quiet", "--return", "--command"])
        .args([format!("bash --noprofile --rcfile {} -i", rc.display()), "/dev/null".to_owned()])
        .env("TERM", "dumb")
        .env("INPUTRC", "/dev/null")
        .env("HISTFILE", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script");
    bash.stdin.take().unwrap().write_all(format!("{keys}\nexit\n").as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tab_completes_commands_and_options_in_bash() {
    for (keys, called) in [
        ("iam-ssh wi\t", "called: wire;"),
        ("iam-ssh wi\t--d\t", "called: wire --dry-run;"),
        ("iam-ssh un\t--d\t", "called: unwire --dry-run;"),
        ("iam-ssh r\t--v\t", "called: refresh --version;"),
        ("iam-ssh l\t--act\t--fo\t", "called: log --active --forged;"),
        ("iam-ssh --h\t", "called: --help;"),
    ] {
        let said = typed(keys);
        assert!(said.contains(called), "{keys:?}: {said}");
    }
}

/// What bash would offer for the last word of a line.
fn offered(line: &[&str]) -> BTreeSet<String> {
    let folder = written();
    let (last, before) = (line[line.len() - 1], line[line.len() - 2]);
    // As readline calls it (bash(1), "Programmable Completion"), whatever the function is called.
    let code = r#"set -eu; . "$1"; shift; spec=$(complete -p iam-ssh); spec=${spec#*-F }
        word=$1; before=$2; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        "${spec%% *}" iam-ssh "$word" "$before"; printf '%s\n' "${COMPREPLY[@]}""#;
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-c", code, "bash"])
        .arg(folder.path().join("iam-ssh.bash"))
        .args([last, before])
        .args(line)
        .output()
        .unwrap();
    assert!(output.status.success(), "{line:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_offers_what_the_table_has() {
    let globals: BTreeSet<String> = GLOBAL.iter().map(|(option, _)| format!("--{}", option.long)).collect();
    let names: BTreeSet<String> = COMMANDS.iter().map(|command| command.name.to_owned()).collect();
    assert!(names.is_subset(&offered(&["iam-ssh", ""])));
    assert_eq!(offered(&["iam-ssh", "--"]), globals);
    for command in COMMANDS {
        let own = command.options.iter().map(|option| format!("--{}", option.long));
        assert_eq!(offered(&["iam-ssh", command.name, "--"]), own.chain(globals.clone()).collect(), "{}", command.name);
    }
}

#[test]
fn every_shell_knows_every_command_and_option() {
    let folder = written();
    for name in ["iam-ssh.bash", "_iam-ssh", "iam-ssh.fish"] {
        let script = fs::read_to_string(folder.path().join(name)).unwrap();
        let options =
            COMMANDS.iter().flat_map(|command| command.options).chain(GLOBAL.iter().map(|(option, _)| option));
        let words = COMMANDS.iter().map(|command| command.name).chain(options.map(|option| option.long));
        for word in words {
            assert!(script.contains(word), "{name} lacks {word}");
        }
        assert!(!script.contains("iam_ssh\n"), "{name} is for iam-ssh");
    }
}
