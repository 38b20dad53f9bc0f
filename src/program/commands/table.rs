//! What `iam-ssh` can do: commands, options and exit codes, with the texts that help and manual are made of.

use super::{Call, Code, Command, Opt, Query, text};
use crate::exit::Exit;

/// Every command, in the order in which people meet them.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "wire",
        options: &[Opt {
            long: "dry-run",
            short: None,
            value_name: None,
            repeats: false,
            summary: "show as a diff what would change, and change nothing",
            text: &["Show as a diff what would change in which file, and change nothing."],
        }],
        summary: "make sshd ask iam-ssh for keys; tested first, put back on any failure",
        text: text::WIRE,
        call: |given| Call::Wire { dry_run: given.has("dry-run") },
    },
    Command {
        name: "unwire",
        options: &[Opt {
            long: "dry-run",
            short: None,
            value_name: None,
            repeats: false,
            summary: "show as a diff what would change, and change nothing",
            text: &["Show as a diff what would be taken away, and change nothing."],
        }],
        summary: "take that away again",
        text: text::UNWIRE,
        call: |given| Call::Unwire { dry_run: given.has("dry-run") },
    },
    Command {
        name: "refresh",
        options: &[Opt {
            long: "enforce",
            short: None,
            value_name: None,
            repeats: false,
            summary: "end sessions whose key or principal was revoked",
            text: &["Afterwards, end sessions whose key or principal was revoked."],
        }],
        summary: "ask AWS for all that logins may need, and keep it in the cache",
        text: text::REFRESH,
        call: |given| Call::Refresh { enforce: given.has("enforce") },
    },
    Command {
        name: "log",
        options: LOG,
        summary: "say who logged in, when, from where and how",
        text: text::LOG,
        call: |given| {
            let value = |name| given.value(name).map(str::to_owned);
            Call::Log(Query {
                owner: value("owner"),
                login: value("login"),
                since: value("since"),
                active: given.has("active"),
                json: given.has("json"),
                forged: given.has("forged"),
                files: given.values("file").map(str::to_owned).collect(),
            })
        },
    },
    Command {
        name: "who",
        options: &[Opt {
            long: "json",
            short: None,
            value_name: None,
            repeats: false,
            summary: "one JSON object a line instead of a table",
            text: &["Print one JSON object a line instead of a table, with the names that `log` has."],
        }],
        summary: "say who is logged in now, by owner",
        text: text::WHO,
        call: |given| Call::Who { json: given.has("json") },
    },
];

const LOG: &[Opt] = &[
    Opt {
        long: "owner",
        short: None,
        value_name: Some("NAME"),
        repeats: false,
        summary: "only sessions of this IAM user",
        text: &["Only sessions that were opened with a key of this IAM user; `unknown` finds those without an owner."],
    },
    Opt {
        long: "login",
        short: None,
        value_name: Some("USER"),
        repeats: false,
        summary: "only sessions of this login user",
        text: &["Only sessions of this login user."],
    },
    Opt {
        long: "since",
        short: None,
        value_name: Some("TIME"),
        repeats: false,
        summary: "only sessions opened since then: 2026-11-22, \"2026-11-22 13:00\", today, yesterday, 30m, 2h, 7d",
        text: &[
            "Only sessions that were opened since then: `2026-11-22`, `2026-11-22 13:00` or `2026-11-22 13:00:00` in local \
                 time, `2026-11-22T13:00:00Z`, `today`, `yesterday`, or so long ago: `30m`, `2h`, `7d`.",
        ],
    },
    Opt {
        long: "active",
        short: None,
        value_name: None,
        repeats: false,
        summary: "only sessions that are open now",
        text: &["Only sessions that are open now, on this machine."],
    },
    Opt {
        long: "json",
        short: None,
        value_name: None,
        repeats: false,
        summary: "one JSON object a line instead of a table",
        text: &["Print one JSON object a line instead of a table."],
    },
    Opt {
        long: "forged",
        short: None,
        value_name: None,
        repeats: false,
        summary: "the lines that claim to be a record and are none, with who sent them",
        text: &[
            "Instead of sessions, list the lines that claim to be a record and are none, escaped, with who really sent them as \
                 far as the log says. Of the options that choose, only `--since` goes with it.",
        ],
    },
    Opt {
        long: "file",
        short: None,
        value_name: Some("PATH"),
        repeats: true,
        summary: "read this log (- is standard input) instead of this machine's own",
        text: &["Read this log instead of this machine's own; `-` is standard input. It is an export of a journal \
                 (`journalctl -o export`) or a text file of syslog's, packed by gzip(1), xz(1), zstd(1) or bzip2(1) or not: what it is, \
                 its content says. What is neither is not read. May be given several times, oldest first."],
    },
];

/// The options that every command has, and that also stand alone.
pub const GLOBAL: &[(Opt, Call)] = &[
    (
        Opt {
            long: "version",
            short: Some('V'),
            value_name: None,
            repeats: false,
            summary: "print the version",
            text: &["Print the version."],
        },
        Call::Version,
    ),
    (
        Opt {
            long: "help",
            short: Some('h'),
            value_name: None,
            repeats: false,
            summary: "print a short help",
            text: &["Print a short help."],
        },
        Call::Help,
    ),
];

/// How `iam-ssh` ends.
pub const EXIT_CODES: &[Code] = &[
    Code { exit: Exit::Ok, number: 0, summary: "done", text: &["Done."] },
    Code {
        exit: Exit::Failed,
        number: 1,
        summary: "failed",
        text: &[
            "Failed; standard error says why. After a failed `wire`, sshd(8) is configured as before. Of `refresh`: \
             AWS gave no answer to something, the configuration is wrong, or the cache cannot be used.",
        ],
    },
    Code {
        exit: Exit::Usage,
        number: 2,
        summary: "wrong usage",
        text: &["Called wrongly. Standard error names the wrong word."],
    },
    Code {
        exit: Exit::Declined,
        number: 3,
        summary: "declined, because another AuthorizedKeysCommand could not be kept working, the drop-in's place is \
                  taken, or the required audit could not be put in effect",
        text: &["Declined, because another `AuthorizedKeysCommand` could not be kept working, because the drop-in's \
             place is taken, or because `audit = \"required\"` could not be put in effect. Nothing was changed."],
    },
];
