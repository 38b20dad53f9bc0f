//! The command lines of the sshd daemons that run.
//!
//! Anybody can start a program that calls itself sshd with any arguments, so a process counts only if it is root's and
//! its program is one that only root can have installed as sshd. A session's process is no daemon.

use crate::sshd::Setting;
use crate::sshd::config::shown_option;
use crate::{booted, process};
use std::path::{Path, PathBuf};

/// The options about AuthorizedKeysCommand that a daemon shows whose program is one of `programs`, as for `-o`. A process
/// that ends while it is looked at does not count.
///
/// # Errors
/// Where and what, if it has some that cannot be told from what it shows.
pub fn options(programs: &[&str]) -> Result<Vec<String>, Setting> {
    for (pid, line) in daemons(programs) {
        let setting = |value: String| Setting { place: format!("process {pid}"), value };
        // One with a configuration file of its own is none of ours.
        if line.split(['\0', ' ']).take_while(|word| *word != "[listener]").any(|word| word == "-f") {
            continue;
        }
        let mut options = Vec::new();
        for keyword in ["AuthorizedKeysCommand", "AuthorizedKeysCommandUser"] {
            if let Some(value) = shown_option(&line, keyword) {
                options.push(format!("{keyword} {}", value.map_err(setting)?));
            }
        }
        if !options.is_empty() {
            return Ok(options);
        }
    }
    Ok(Vec::new())
}

/// Process id and command line of each of root's processes whose program is one of `programs`.
#[must_use]
pub fn daemons(programs: &[&str]) -> Vec<(i32, String)> {
    let programs: Vec<PathBuf> = programs.iter().filter_map(|path| Path::new(path).canonicalize().ok()).collect();
    let found = process::all().filter_map(|pid| {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let status = std::fs::read_to_string(process.join("status")).ok()?;
        let exe = std::fs::read_link(process.join("exe")).ok()?;
        // Where an image is built in a chroot, the host's sshd is not the one that will run this image.
        let counts = is_roots(&status) && is_one_of(&exe, &programs) && booted::shares_our_root(&process);
        let line = std::fs::read(process.join("cmdline")).ok().filter(|_| counts)?;
        Some((pid.try_into().ok()?, String::from_utf8_lossy(&line).into_owned()))
    });
    found.collect()
}

/// Whether the real and the effective user of a process are root, by its `/proc/PID/status`.
fn is_roots(status: &str) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    let mut ids = ids.split_ascii_whitespace();
    ids.next() == Some("0") && ids.next() == Some("0")
}

/// Whether `exe` is one of the programs.
fn is_one_of(exe: &Path, programs: &[PathBuf]) -> bool {
    programs.iter().any(|program| program == process::program(exe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roots_own_processes_count() {
        assert!(is_roots("Name:\tsshd\nUid:\t0\t0\t0\t0\n"));
        for uids in ["1000\t1000\t1000\t1000", "1000\t0\t0\t0", "0\t1000\t0\t0", ""] {
            assert!(!is_roots(&format!("Name:\tsshd\nUid:\t{uids}\nGid:\t0\t0\t0\t0\n")), "{uids}");
        }
        assert!(!is_roots("Name:\tsshd\n"));
    }

    #[test]
    fn only_an_installed_sshd_counts() {
        let programs = [PathBuf::from("/usr/sbin/sshd")];
        assert!(is_one_of(Path::new("/usr/sbin/sshd"), &programs));
        assert!(is_one_of(Path::new("/usr/sbin/sshd (deleted)"), &programs));
        for exe in ["/tmp/sshd", "/usr/lib/openssh/sshd-session", "/usr/bin/sleep"] {
            assert!(!is_one_of(Path::new(exe), &programs), "{exe}");
        }
    }
}
