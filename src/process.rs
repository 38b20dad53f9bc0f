//! What the kernel tells of a process: its program, since when it runs, its audit session.
//!
//! A process id is used again; together with the moment since when it runs, it names one process until the machine is started anew.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Clock ticks a second in what `/proc` tells: 100 on every architecture that EC2 has (USER_HZ, proc(5)).
const MILLIS_PER_TICK: i64 = 10;
/// What the kernel says where there is no audit session.
const NO_SESSION: u32 = u32::MAX;

/// Since when a process runs, in milliseconds since the machine was started, rounded down to 10; `None` where it does not.
#[must_use]
pub fn running_since(pid: u32) -> Option<i64> {
    let stat = Stat::of(pid)?;
    if matches!(stat.field(3), Some("Z" | "X")) {
        return None;
    }
    let ticks: i64 = stat.field(22)?.parse().ok()?;
    ticks.checked_mul(MILLIS_PER_TICK)
}

/// Whether a process runs one of sshd's programs. `None` where that cannot be told.
#[must_use]
pub fn is_sshd(pid: u32) -> Option<bool> {
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(program(&exe).file_name()?.as_bytes().starts_with(b"sshd"))
}

/// The program that the kernel's link `exe` of a process names. An upgrade replaces the file under a process that runs on.
#[must_use]
pub fn program(exe: &Path) -> &Path {
    let bytes = exe.as_os_str().as_bytes();
    Path::new(OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)))
}

/// Every process that there is.
pub fn all() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The processes that a process started and that are still there.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    all().filter(|child| parent(*child) == Some(pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    Stat::of(pid)?.field(4)?.parse().ok()
}

/// What `/proc/<pid>/stat` says, behind the name of the program.
struct Stat(String);

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is that name, in parentheses, and may hold anything.
        stat.rsplit_once(')').map(|(_, rest)| Self(rest.to_owned()))
    }

    /// A field by its number in proc(5), from 3 on.
    fn field(&self, number: usize) -> Option<&str> {
        self.0.split_ascii_whitespace().nth(number.checked_sub(3)?)
    }
}

/// This process's audit session, the `ses=` of auditd's records, where it has one.
#[must_use]
pub fn audit_session() -> Option<u32> {
    let id: u32 = std::fs::read_to_string("/proc/self/sessionid").ok()?.trim().parse().ok()?;
    (id != NO_SESSION).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    #[test]
    fn a_process_runs_since_a_moment_that_does_not_change() {
        let own = std::process::id();
        let since = running_since(own).unwrap();
        let now = Moment::now().boot.unwrap().millis;
        assert!(since > 0 && since <= now, "{since} {now}");
        assert_eq!(running_since(own), Some(since));
        assert_eq!(is_sshd(own), Some(false));
        assert_eq!((running_since(0), is_sshd(0)), (None, None));
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(children(own).contains(&child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!children(own).contains(&child.id()));
    }
}
