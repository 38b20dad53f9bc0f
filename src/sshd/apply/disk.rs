//! Reads, writes and removes the files of the wiring, one `iam-ssh` at a time.
//!
//! A file is written whole or not at all. What is not a regular file, a symbolic link above all, is somebody else's:
//! it is seen as such, never followed to be replaced.

use super::error::WireError;
use crate::pam::SERVICE_FILE;
use crate::sshd::chain::RECORD;
use crate::sshd::observe::{RUN, SCRATCH};
use crate::sshd::plan::Mode;
use crate::sshd::sshrc::SSHRC;
use crate::sshd::{COMMAND_USER, DROP_IN, SSHD_CONFIG};
use nix::fcntl::{Flock, FlockArg, OFlag};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Held while files are looked at and changed. Only root can open it, so only root can make another wait.
const LOCK: &str = "/run/iam-ssh-wire.lock";

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Text(String),
    /// No regular file; the text of the one that a symbolic link leads to.
    Other(Option<String>),
}

/// The lock. What is in its file tells that sshd has yet to read what was changed; in `/run`, because a reboot tells sshd.
/// It is there only as long as something depends on it.
#[derive(Debug)]
pub(super) struct Lock {
    file: Flock<File>,
    /// Whether sshd has yet to read something.
    lags: bool,
}

/// Waits until no other `iam-ssh` wires or unwires; until the answer is dropped, others wait.
pub(super) fn lock() -> Result<Lock, WireError> {
    let path = Path::new(LOCK);
    let failed = |error| WireError::Io(path.to_owned(), error);
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    loop {
        let file = open.open(path).map_err(failed)?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))?;
        // Whoever held it may have removed it; then others lock the new one.
        let inode = |meta: fs::Metadata| meta.ino();
        if fs::symlink_metadata(path).map(inode).ok() == lock.metadata().map(inode).ok() {
            sweep();
            let lags = lock.metadata().is_ok_and(|meta| meta.len() > 0);
            return Ok(Lock { file: lock, lags });
        }
    }
}

/// Removes what a run that was killed left half-written. Nobody else writes there: the lock is ours.
fn sweep() {
    for path in [DROP_IN, SSHD_CONFIG, SSHRC, RECORD, SERVICE_FILE] {
        let _ = fs::remove_file(temporary(Path::new(path)));
    }
    for entry in fs::read_dir(RUN).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(SCRATCH)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Lock {
    /// Whether sshd has yet to read what was changed, by an earlier run that was ended before or by this one.
    pub(super) fn sshd_lags(&self) -> bool {
        self.lags
    }

    /// Notes that sshd has yet to read what will be changed now.
    pub(super) fn note_change(&mut self) -> Result<(), WireError> {
        self.lags = true;
        self.file.write_all(b"changed\n").map_err(|error| WireError::Io(LOCK.into(), error))
    }

    /// Notes that sshd has read everything.
    pub(super) fn note_read(&mut self) {
        self.lags = false;
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.lags {
            let _ = fs::remove_file(LOCK);
        }
    }
}

/// What is there. A file that is not UTF-8, or has several names, could not be put back to the byte: it is seen as no
/// regular one.
pub(super) fn read(path: &Path) -> Result<Found, WireError> {
    let failed = |error| WireError::Io(path.to_owned(), error);
    let lossy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => {
            let bytes = fs::read(path).map_err(failed)?;
            Ok(match String::from_utf8(bytes) {
                Ok(text) if meta.nlink() == 1 => Found::Text(text),
                Ok(text) => Found::Other(Some(text)),
                Err(error) => Found::Other(Some(lossy(error.into_bytes()))),
            })
        }
        Ok(_) => {
            let file = fs::metadata(path).ok().filter(fs::Metadata::is_file);
            Ok(Found::Other(file.and_then(|_| fs::read(path).ok()).map(lossy)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file whole or not at all: beside its place, synced, then renamed.
pub(super) fn write(path: &Path, text: &str, mode: Mode) -> Result<(), WireError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let temporary = temporary(path);
    let _ = fs::remove_file(&temporary);
    let result = (|| {
        let mut file = match mode {
            Mode::Kept => like(path, &temporary)?,
            _ => OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?,
        };
        // The umask is the caller's, the mode is not.
        match mode {
            Mode::Kept => {}
            Mode::Ours(mode) => file.set_permissions(fs::Permissions::from_mode(mode))?,
            Mode::OursForLookup => {
                let group = nix::unistd::Group::from_name(COMMAND_USER)?.map(|group| group.gid.as_raw());
                std::os::unix::fs::fchown(&file, None, group)?;
                file.set_permissions(fs::Permissions::from_mode(0o640))?;
            }
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.map_err(|error| WireError::Io(path.to_owned(), error))
}

/// An empty file with everything that another has beside its text: owner, mode, ACL, extended attributes, SELinux label.
fn like(path: &Path, new: &Path) -> io::Result<File> {
    let copied = Command::new("cp").args(["-a", "--attributes-only", "--"]).args([path, new]).output()?;
    if !copied.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&copied.stderr).trim().to_owned()));
    }
    OpenOptions::new().write(true).open(new)
}

/// Does not end in .conf, so sshd never reads a half-written one.
fn temporary(path: &Path) -> PathBuf {
    path.with_extension("iam-ssh-new")
}

pub(super) fn remove(path: &Path) -> Result<(), WireError> {
    fs::remove_file(path).map_err(|error| WireError::Io(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("gone", at("dangling")).unwrap();
        assert_eq!(read(&at("file")).unwrap(), Found::Text("text".to_owned()));
        assert_eq!(read(&at("gone")).unwrap(), Found::Nothing);
        assert_eq!(read(&at("link")).unwrap(), Found::Other(Some("text".to_owned())));
        assert_eq!(read(&at("dangling")).unwrap(), Found::Other(None));
        assert_eq!(read(dir.path()).unwrap(), Found::Other(None));
        fs::write(at("latin"), b"caf\xe9").unwrap();
        assert!(matches!(read(&at("latin")).unwrap(), Found::Other(Some(_))), "it could not be written again");
        fs::hard_link(at("file"), at("twin")).unwrap();
        assert!(matches!(read(&at("file")).unwrap(), Found::Other(Some(_))), "its twin would keep the old text");
    }

    #[test]
    fn a_file_is_written_with_its_mode_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("05-iam-ssh.conf");
        for text in ["one", "two"] {
            write(&path, text, Mode::Ours(0o600)).unwrap();
            assert_eq!(read(&path).unwrap(), Found::Text(text.to_owned()));
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write(&path, "three", Mode::Kept).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
