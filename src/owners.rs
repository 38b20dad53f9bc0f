//! Whose keys opened connections since the machine was started: for a session's sshrc, which runs as the user and cannot read the cache.
//!
//! One file for each key, named by its digest and readable by everybody who knows the key. It is for greeting and for the seed's line,
//! and it is never evidence.

use iam_ssh_core::Name;
use iam_ssh_core::offered::Offered;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the files are; root's, and not to be listed.
pub const DIRECTORY: &str = "/run/iam-ssh/owners";

/// Notes whose key it is.
///
/// # Errors
/// Where it cannot be written.
pub fn note(key: &Offered, owner: &str) -> io::Result<()> {
    note_in(Path::new(DIRECTORY), key, owner)
}

/// Whose key it is, if one of theirs opened a connection.
#[must_use]
pub fn of(key: &Offered) -> Option<Name> {
    Name::new(&std::fs::read_to_string(file(Path::new(DIRECTORY), key)).ok()?).ok()
}

fn note_in(directory: &Path, key: &Offered, owner: &str) -> io::Result<()> {
    let path = file(directory, key);
    if std::fs::read_to_string(&path).is_ok_and(|known| known == owner) {
        return Ok(());
    }
    let new = directory.join(format!("tmp-{}", std::process::id()));
    let _ = std::fs::remove_file(&new);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
    file.write_all(owner.as_bytes()).and_then(|()| std::fs::rename(&new, &path))
}

fn file(directory: &Path, key: &Offered) -> PathBuf {
    directory.join(crate::cache::seal::hex(&Sha256::digest(key.fingerprint())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_owner_counts() {
        let dir = tempfile::tempdir().unwrap();
        let key = Offered::read("ssh-ed25519", "AAAA").unwrap();
        for owner in ["john@example.org", "john@example.org", "jane"] {
            note_in(dir.path(), &key, owner).unwrap();
            assert_eq!(std::fs::read_to_string(file(dir.path(), &key)).unwrap(), owner);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
