//! `iam-ssh log` over a journal's export of a million entries, as a large machine has them: most are not about logins.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::process::Command;

use iam_ssh_e2e::Machine;
use iam_ssh_e2e::measure::{Bar, Cost};

use crate::figure;

const ENTRIES: u64 = 1_000_000;
/// One entry in so many is a session's, opened or closed.
const SESSIONS: u64 = 100;
/// Where the export is, in the machine.
const EXPORT: &str = "/root/journal.export";

/// Prints what it takes. The file is read from memory: it was just written.
pub(crate) fn report(machine: &Machine) {
    let file = machine.path(EXPORT);
    write(&file);
    let size = std::fs::metadata(&file).unwrap().len();
    let mut log = Command::new(machine.path("/usr/bin/iam-ssh"));
    log.args(["log", "--json", "--file"]).arg(&file);
    let wanted = format!("\"id\":\"{}\"", ENTRIES / SESSIONS - 2);
    let runs: Vec<Cost> = (0..3).map(|_| Cost::of(&mut log, &wanted)).collect();
    figure("log-export-size", f64::from(u32::try_from(size / 1_000_000).unwrap()), "MB", Bar::None);
    figure("log-million-entries-wall", Cost::median(&runs).wall.as_secs_f64(), "s", Bar::AtMost(5.0));
    std::fs::remove_file(&file).unwrap();
}

fn write(file: &std::path::Path) {
    let mut out = BufWriter::new(File::create(file).unwrap());
    let mut entry = String::new();
    for number in 0..ENTRIES {
        entry.clear();
        let at = 1_795_000_000_000_000 + number * 1000;
        write!(
            entry,
            "__CURSOR=s=4a1bb6c1c8f64d1a8d8f1d6e0b6f0f11;i={number:x};b=0123456789abcdef0123456789abcdef;m={number:x};t={at:x};x=1\n\
             __REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={number}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
             _TRANSPORT=syslog\n_MACHINE_ID=fedcba9876543210fedcba9876543210\n_HOSTNAME=ip-10-0-0-5\nPRIORITY=6\nSYSLOG_FACILITY=10\n\
             _UID=0\n_GID=0\n_SYSTEMD_SLICE=system.slice\n_CAP_EFFECTIVE=1ffffffffff\n_SELINUX_CONTEXT=unconfined\n\
             _SYSTEMD_CGROUP=/system.slice/ssh.service\n_SYSTEMD_UNIT=ssh.service\n_COMM=sshd\n_EXE=/usr/sbin/sshd\n\
             _CMDLINE=sshd: ec2-user [priv]\n_PID={pid}\nSYSLOG_PID={pid}\n_SOURCE_REALTIME_TIMESTAMP={at}\n",
            pid = number % 30_000 + 1000,
        )
        .unwrap();
        if number % SESSIONS == 0 {
            // Each is closed by the next of them.
            let (id, what) = (number / SESSIONS / 2 * 2, (number / SESSIONS) % 2);
            let what = ["opened", "closed"][usize::try_from(what).unwrap()];
            let duration = if what == "closed" { " duration=0.100s" } else { "" };
            writeln!(
                entry,
                "SYSLOG_IDENTIFIER=iam-ssh\nMESSAGE=session {what} owner=john@example.org login=ec2-user key=SHA256:x from=203.0.113.7 \
                 port=51234{duration} type=ssh-ed25519 principal=groups/Administrators method=publickey sshd=1765 id={id} at={} mac=none\n",
                at / 1000
            )
            .unwrap();
        } else if number % 3 == 0 {
            // Binary, as journald stores whatever has control characters.
            entry += "SYSLOG_IDENTIFIER=sshd\nMESSAGE\n";
            out.write_all(entry.as_bytes()).unwrap();
            let message = format!("Invalid user \u{1b}[2J{number} from 198.51.100.7 port 40000");
            out.write_all(&(message.len() as u64).to_le_bytes()).unwrap();
            entry.clear();
            writeln!(entry, "{message}\n").unwrap();
        } else {
            writeln!(entry, "SYSLOG_IDENTIFIER=sshd\nMESSAGE=Failed password for invalid user admin from 198.51.100.7 port 40000 ssh2\n")
                .unwrap();
        }
        out.write_all(entry.as_bytes()).unwrap();
    }
    out.flush().unwrap();
}
