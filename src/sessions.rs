//! The connections that are open now, as `session-audit` noted them when they were opened: one file of root's for each, in memory.
//!
//! It is what the end of a connection is logged from, because at that time the environment is no longer sshd's alone. It also says whose
//! keys opened which connection, for `iam-ssh who` and for closing what was revoked.

use crate::cache::store::{self, Store, Sync};
use crate::clock::Moment;
use crate::record::Record;
use crate::trusted::{Trust, TrustError};
use crate::{granted, owners, process};
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

/// Where everything is that lasts until the machine is started anew; root's.
pub const RUN: &str = "/run/iam-ssh";
/// Where the notes are; root's alone.
pub const DIRECTORY: &str = "/run/iam-ssh/sessions";

/// An open connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The line that was logged when it was opened.
    pub record: Record,
    /// The key that signed, `<type> <base64>`, if it was one.
    pub key: Option<String>,
    /// When it was opened.
    pub opened: Moment,
    /// Since when sshd's process runs, in milliseconds since the machine was started.
    pub sshd_since: i64,
}

/// The notes.
#[derive(Debug)]
pub struct Sessions(Store);

/// Makes every folder below [`RUN`] that is not there, as systemd-tmpfiles(8) does at boot: that of the lookup's notes belongs to the
/// user that the cache belongs to.
///
/// # Errors
/// The first that cannot be made.
pub fn make_folders() -> io::Result<()> {
    for (path, mode) in [(RUN, 0o755), (DIRECTORY, 0o700), (owners::DIRECTORY, 0o711), (granted::DIRECTORY, 0o700)] {
        match std::fs::DirBuilder::new().mode(mode).create(path) {
            Ok(()) => {
                // Whatever the umask.
                std::fs::set_permissions(path, Permissions::from_mode(mode))?;
                if path == granted::DIRECTORY {
                    let cache = std::fs::metadata(store::DIRECTORY)?;
                    chown(path, Some(cache.uid()), Some(cache.gid()))?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Open {
    /// Whether sshd's process is still there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        process::running_since(self.record.sshd_pid) == Some(self.sshd_since)
    }
}

impl Sessions {
    /// The notes of this machine.
    ///
    /// # Errors
    /// [`TrustError`] where they are not there, or others than root could have written them.
    pub fn open() -> Result<Self, TrustError> {
        Store::open(Path::new(DIRECTORY), Trust::ROOT).map(Self)
    }

    /// The same, made where they are not there.
    ///
    /// # Errors
    /// As for [`Sessions::open`].
    pub fn make() -> Result<Self, TrustError> {
        Self::open().or_else(|_| {
            // Where it cannot be made, opening says why.
            let _ = make_folders();
            Self::open()
        })
    }

    /// Notes an open connection.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn put(&self, open: &Open) -> io::Result<()> {
        self.0.write(&open.record.sshd_pid.to_string(), serde_json::to_string(open)?.as_bytes(), Sync::Later)
    }

    /// The connection of sshd's process `pid`, which runs since `since`.
    #[must_use]
    pub fn of(&self, pid: u32, since: i64) -> Option<Open> {
        self.get(pid).filter(|open| open.sshd_since == since)
    }

    /// Forgets the connection of sshd's process `pid`. Whether it was there: of several who do so at the same time, one is told that it
    /// was.
    #[must_use]
    pub fn take(&self, pid: u32) -> bool {
        self.0.take(&pid.to_string())
    }

    /// Every connection that is noted, in the order in which they were opened.
    #[must_use]
    pub fn all(&self) -> Vec<Open> {
        let mut all: Vec<Open> = self.0.numbers().into_iter().filter_map(|pid| self.get(pid)).collect();
        all.sort_by(|a, b| (a.record.at, &a.record.id).cmp(&(b.record.at, &b.record.id)));
        all
    }

    /// How many notes of running processes cannot be read.
    #[must_use]
    pub fn unreadable(&self) -> usize {
        let noted = self.0.numbers().into_iter();
        noted.filter(|pid| process::running_since(*pid).is_some() && self.get(*pid).is_none()).count()
    }

    /// Connections whose process is gone although nobody saw their end.
    #[must_use]
    pub fn lost(&self) -> Vec<Open> {
        // The quick look first: most are there.
        let numbers = self.0.numbers().into_iter();
        let gone = numbers.filter(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        gone.filter_map(|pid| self.get(pid)).filter(|open| !open.is_alive()).collect()
    }

    /// What is noted under a process id.
    #[must_use]
    pub fn get(&self, pid: u32) -> Option<Open> {
        serde_json::from_slice(&self.0.sealed(&pid.to_string())?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;

    fn open(pid: u32, since: i64) -> Open {
        let record = Record { sshd_pid: pid, ..record::tests::record() };
        Open { record, key: None, opened: Moment::now(), sshd_since: since }
    }

    #[test]
    fn a_connection_is_noted_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path: &'static Path = Box::leak(dir.path().canonicalize().unwrap().into_boxed_path());
        let store = Store::open(path, Trust::below(path, nix::unistd::geteuid().as_raw())).unwrap();
        let sessions = Sessions(store);
        let own = std::process::id();
        let since = process::running_since(own).unwrap();
        sessions.put(&open(own, since)).unwrap();
        // Beyond the largest process id.
        sessions.put(&open(4_194_305, 1)).unwrap();
        std::fs::write(path.join("4194306"), "damaged").unwrap();
        assert_eq!(sessions.unreadable(), 0, "of no process that there is");
        std::fs::write(path.join("1"), "damaged").unwrap();
        assert_eq!(sessions.unreadable(), 1);
        std::fs::write(path.join("tmp-17"), "").unwrap();
        assert_eq!(sessions.all().len(), 2);
        assert_eq!(sessions.of(own, since).map(|open| open.is_alive()), Some(true));
        assert_eq!(sessions.of(own, since - 10), None, "another process that had this number");
        assert_eq!(sessions.lost().iter().map(|open| open.record.sshd_pid).collect::<Vec<_>>(), [4_194_305]);
        assert!(sessions.take(4_194_305));
        assert!(!sessions.take(4_194_305));
        assert_eq!(sessions.all().len(), 1);
    }
}
