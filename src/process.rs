//! What the kernel tells of a process: its program, since when it runs, its audit session.
//!
//! A process id is used again; together with the moment since when it runs, it names one process until the machine is started anew.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// Clock ticks a second in what `/proc` tells: 100 on every architecture that EC2 has (USER_HZ, proc(5)).
const MILLIS_PER_TICK: i64 = 10;
/// What the kernel says where there is no audit session.
const NO_SESSION: u32 = u32::MAX;

/// Since when a process runs, in milliseconds since the machine was started, rounded down to 10; `None` where it does not.
#[must_use]
pub fn running_since(pid: u32) -> Option<i64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, which may hold anything; what runs since is the twentieth behind it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    let ticks: i64 = fields.nth(18)?.parse().ok()?;
    ticks.checked_mul(MILLIS_PER_TICK)
}

/// Whether a process runs one of sshd's programs. `None` where that cannot be told.
#[must_use]
pub fn is_sshd(pid: u32) -> Option<bool> {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?.into_os_string().into_vec();
    // An upgrade replaces the file under a process that runs on.
    let program = program.strip_suffix(b" (deleted)").unwrap_or(&program);
    let name = std::path::Path::new(std::ffi::OsStr::from_bytes(program)).file_name()?;
    Some(name.as_bytes().starts_with(b"sshd"))
}

/// The processes that a process started and that are still there.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let all = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|child| parent(*child) == Some(pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
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
