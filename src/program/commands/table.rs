//! What `iam-ssh` can do: commands, options and exit codes, with the texts that help and manual are made of.

use super::{Call, Code, Command, Opt};
use crate::exit::Exit;

/// Every command, in the order in which people meet them.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "wire",
        options: &[Opt {
            long: "dry-run",
            short: None,
            value_name: None,
            summary: "show as a diff what would change, and change nothing",
            text: &["Show as a diff what would change in which file, and change nothing."],
        }],
        summary: "make sshd ask iam-ssh for keys; tested first, put back on any failure",
        text: WIRE,
        call: |given| Call::Wire { dry_run: given.has("dry-run") },
    },
    Command {
        name: "unwire",
        options: &[Opt {
            long: "dry-run",
            short: None,
            value_name: None,
            summary: "show as a diff what would change, and change nothing",
            text: &["Show as a diff what would be taken away, and change nothing."],
        }],
        summary: "take that away again",
        text: UNWIRE,
        call: |given| Call::Unwire { dry_run: given.has("dry-run") },
    },
    Command {
        name: "refresh",
        options: &[],
        summary: "ask AWS for all that logins may need, and keep it in the cache",
        text: REFRESH,
        call: |_| Call::Refresh,
    },
];

/// The options that every command has, and that also stand alone.
pub const GLOBAL: &[(Opt, Call)] = &[
    (
        Opt {
            long: "version",
            short: Some('V'),
            value_name: None,
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
        summary: "declined, because another AuthorizedKeysCommand could not be kept working or the drop-in's place is \
                  taken",
        text: &[
            "Declined, because another `AuthorizedKeysCommand` could not be kept working, or because the drop-in's \
             place is taken. Nothing was changed.",
        ],
    },
];

const WIRE: &[&str] = &[
    "Make sshd(8) use iam-ssh. Writes the drop-in `/etc/ssh/sshd_config.d/05-iam-ssh.conf` and, where there is none, \
     `/etc/ssh/sshrc`. Where `/etc/ssh/sshd_config` does not include the drop-ins, a marked block at its end has the \
     same settings; what stands before it stays as it is.",
    "The drop-in sets `LogLevel VERBOSE`, `ExposeAuthInfo yes`, `PermitUserEnvironment SSH_KEY_OWNER` (unless \
     `user_environment` is false), as far as this sshd(8) knows them, and `AuthorizedKeysCommand` and \
     `AuthorizedKeysCommandUser` in a `Match all` block. Such a block takes precedence over global settings, over \
     `-o` on the command line of sshd(8), and over later `Match` blocks.",
    "Where the administrator set `PermitUserEnvironment` in any file that sshd(8) reads, that setting stays and the \
     drop-in has none. `wire` says so, and says which explicit `LogLevel` and `ExposeAuthInfo` the drop-in overrides.",
    "sshd(8) must accept its configuration before and after (`-t`), and must show the command in effect (`-T`) for \
     each login user that is configured, and for one who is not; this is tried on a copy before anything is changed. \
     If sshd's configuration changed, a running sshd(8) is reloaded and must be seen to listen again. Where any of \
     this fails, everything is put back. Running sessions go on. An sshd(8) that listens on an address that the \
     machine does not have now is not reloaded, because it would lose it; `wire` says so, and the next one does it.",
    "Where sshd(8) would run another `AuthorizedKeysCommand`, iam-ssh takes its place and keeps it working: one that \
     is set in any file that sshd(8) reads, with `-o` in its unit or on the command line of a running sshd(8), or in \
     a `Match User` block with names. `wire` says which it is and notes it in `/etc/iam-ssh/wired.toml`. A lookup \
     that finds no key of ours then runs it, for at most 5 seconds; see iam-ssh(8), and `chain` in iam-ssh.toml(5). \
     The other one's own configuration is never edited: once `unwire` has taken our files away, it is in effect \
     again.",
    "Nothing is changed where the other one could not be called just as sshd(8) calls it: where it stands in a \
     `Match` block with other criteria (also one that says `none`), has no absolute path or no `AuthorizedKeysCommandUser`, uses other tokens \
     than `%u`, `%U`, `%h`, `%t`, `%k` and `%f`, for example `%C` or `%D`, or uses `%f` while `FingerprintHash` is \
     not sha256; nor where a unit or a running daemon cannot be understood. Nothing is changed either where `05-iam-ssh.conf` exists and its first line is not the one that \
     `wire` writes, and where sshd_config includes no drop-ins and is a link, has several names or is not UTF-8.",
    "An `/etc/ssh/sshrc` of the administrator's own is never changed, nor one that was changed after `wire` wrote it, \
     nor anything there that is not a regular file; `wire` says what to add to it.",
    "Running `wire` again changes nothing, unless something else changed. Run it after a change of the `[sshd]` table \
     in iam-ssh.toml(5), and after another `AuthorizedKeysCommand` came: the drop-in wins over that one, but asks it \
     only when `wire` has noted it. The package runs `wire` when it is installed or upgraded, and when another \
     package changes how sshd(8) is configured or started, unless it was unwired by hand.",
];

const UNWIRE: &[&str] =
    &["Take away what `wire` wrote: the drop-in or the block in `/etc/ssh/sshd_config`, `/etc/ssh/sshrc` and \
     `/etc/iam-ssh/wired.toml`; then reload sshd(8). What was changed after `wire` wrote it stays, and `unwire` says \
     so. An `AuthorizedKeysCommand` that was there before is in effect again. Running it again changes nothing. The \
     package runs it before it is removed."];

const REFRESH: &[&str] = &[
    "Bring the cache up to date ahead of logins: ask AWS for the lists and documents of all login users, whatever is \
     in the cache already. The role, its region and its credentials are asked for anew, too. Every problem goes to \
     syslog(3) and to standard error; standard output says how many documents and lists were answered, and how many \
     failed. An answer that something does not exist or is denied counts as one, and is logged only where it is news. \
     It ends within 32 seconds.",
    "`iam-ssh-refresh.timer` runs it 18 to 26 seconds after it last ended. It is off until it is enabled with \
     `systemctl enable --now iam-ssh-refresh.timer`.",
];
