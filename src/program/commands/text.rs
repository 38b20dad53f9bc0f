//! The texts of the commands in the manual.

pub(super) const WIRE: &[&str] = &[
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
    "PAM is told to run `/usr/libexec/iam-ssh/session-audit` for sshd(8) when a connection opens and when it closes, \
     unless `session_audit` is false: on Debian with a profile of pam-auth-update(8), which neither asks nor is \
     forced; elsewhere with a marked block in `/etc/pam.d/sshd`. Where that cannot be, because `UsePAM` is off or \
     because PAM's configuration has local changes, `wire` says so, and what to add by hand, and wires the rest; with \
     `audit = \"required\"` it changes nothing.",
    "An `/etc/ssh/sshrc` of the administrator's own is never changed, nor one that was changed after `wire` wrote it, \
     nor anything there that is not a regular file; `wire` says what to add to it.",
    "Running `wire` again changes nothing, unless something else changed. Run it after a change of the `[sshd]` table \
     in iam-ssh.toml(5), and after another `AuthorizedKeysCommand` came: the drop-in wins over that one, but asks it \
     only when `wire` has noted it. The package runs `wire` when it is installed or upgraded, and when another \
     package changes how sshd(8) is configured or started, unless it was unwired by hand.",
];

pub(super) const UNWIRE: &[&str] = &[
    "Take away what `wire` wrote: the drop-in or the block in `/etc/ssh/sshd_config`, `/etc/ssh/sshrc` and \
     `/etc/iam-ssh/wired.toml`; then reload sshd(8). Have PAM no longer run `session-audit`, also where \
     pam-auth-update(8) leaves everything alone because of local changes. What was changed after `wire` wrote it stays, and `unwire` says \
     so. An `AuthorizedKeysCommand` that was there before is in effect again. Running it again changes nothing. The \
     package runs it before it is removed.",
];

pub(super) const REFRESH: &[&str] = &[
    "Bring the cache up to date ahead of logins: ask AWS for the lists and documents of all login users, whatever is \
     in the cache already. The role, its region and its credentials are asked for anew, too. Every problem goes to \
     syslog(3) and to standard error; standard output says how many documents and lists were answered, and how many \
     failed. An answer that something does not exist or is denied counts as one, and is logged only where it is news. \
     It ends within 32 seconds.",
    "`iam-ssh-refresh.timer` runs it 18 to 26 seconds after it last ended. It is off until it is enabled with \
     `systemctl enable --now iam-ssh-refresh.timer`.",
];

pub(super) const LOG: &[&str] = &[
    "Say who logged in by ssh(1): when, which IAM user's key, as which login user, from where, for how long, and \
     how. Oldest first; times are UTC. The sources are this machine's journal and, for what that does not have any \
     more, the records in `/var/log/auth.log` and `/var/log/secure` with what was rotated away; where \
     systemd-journald(8) does not run, these alone; or the files that are named.",
    "What it shows are the records of `session-audit`. Where there are none, because sshd(8) does without PAM, a \
     login is the line \"Accepted\" of sshd(8) with the owner from the line \"offered\" of the lookup, by process \
     id, fingerprint and login user; when such a session ended is known only where PAM said so. A record whose \
     owner is unknown gets its owner in the same way. The owner is `unknown` where the key is none of ours, or \
     where there was none.",
    "Lines count by who sent them. In this machine's journal, those count that root sent, and of the lookup's those \
     of the user \"iam-ssh\". A file does not prove who wrote a line, and an export of a journal is one, too: \
     there, only the records with a valid seal are sure; the secret of the seals is in `/var/lib/iam-ssh` and only \
     root can read it. A `?` behind the owner says what others could have written: all that a file has without a \
     seal, if it is an export of a journal or if there is no secret to verify it with, and what sshd(8) says in a \
     text file. What claims to be a record and is none is counted on standard error. The secret is this machine's, \
     and not that of before iam-ssh was removed and installed again, or before the instance was restored from an \
     image: what has an older seal, or another machine's, is counted there, too, and is to be had from the journal \
     of that machine. Beside a journal, a text file is read for what has a valid seal, and for nothing else.",
    "In a text file, a time stamp without a zone is read in the zone of who runs `log`, and one without a year as \
     of the last year in which it is not later than the date of the file.",
    "The duration is `active` for a session that is open now, `lost` for one whose process is gone without a record \
     of its end, and `unknown` where the log does not say. The time is `unknown` where only the end was logged, \
     without a duration; with `--since`, such a session is shown if it ended since then. What `refresh --enforce` \
     ended has `revoked` behind how it was opened.",
    "Which sessions are open, `session-audit` notes for root; others are told by the log and by which processes of \
     sshd(8) run. Who sees neither is told so, and nothing else.",
    "With `--json` each object has these names, with null for what is not known or not there: `time`; `owner`; \
     `login`; `address`; `port`; `state`, which is \"active\", \"closed\", \"revoked\", \"lost\" or \"unknown\"; \
     `duration_seconds`; `method`; `key_type`; `key`, its fingerprint; `principal`, through which the key was let \
     in; `certificate`, its key id, and `authority`, the fingerprint of who signed it; `sshd_pid`; `audit_session`, \
     the `ses` of auditd(8); `id`; `source`, which is \"session-audit\" or \"sshd\"; `verified`. With `--forged` \
     they are `time`, `sender_uid`, `sender_pid`, `sender_command`, `identifier` and `message`. Bytes that are not \
     printable ASCII, spaces within a value and backslashes stand there as `\\x` and two digits. What has no seal \
     is cut, with three dots: at 64 characters in the table, and at 160 in JSON.",
];

pub(super) const WHO: &[&str] =
    &["Say who is logged in now by ssh(1), by owner: the sessions that `log` has with `--active`. Root sees all of \
     them, by what `session-audit` noted; others need to see the processes of root and to read all of the journal, \
     as the group \"systemd-journal\" may."];
