//! What a lookup let in, noted for the session record: the key that sshd was given a line for, its owner and its principal.
//!
//! sshd runs a lookup again right before it verifies a signature, so what was noted last for its process is what the login was granted
//! by, whatever happens to the cache afterwards. The notes are in memory, and bounded: anybody can offer anybody's public key, again and
//! again. They prove nothing alone: a note counts for a key that sshd says was proven.

use crate::cache::store::{Store, Sync};
use crate::clock::Moment;
use crate::trusted::{Trust, TrustError};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Where the notes are; the folder belongs to the user that lookups run as.
pub const DIRECTORY: &str = "/run/iam-ssh/granted";
/// Most notes there are, each in a place chosen by sshd's process id. Ids are given in turn, so those of two connections that are being
/// authenticated at the same time have places of their own.
const PLACES: u32 = 4096;

/// One note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Process id of sshd's process for the connection.
    pub sshd_pid: u32,
    /// The login user.
    pub login: String,
    /// Fingerprint of the key.
    pub key: String,
    /// Its owner.
    pub owner: String,
    /// Through which principal.
    pub principal: String,
    /// When.
    pub at: Moment,
}

/// Notes what was granted. Nothing is noted where there is no folder for it.
///
/// # Errors
/// Why it could not be noted.
pub fn note(grant: &Grant) -> Result<(), String> {
    let store = match Store::open(Path::new(DIRECTORY), Trust::ROOT) {
        Ok(store) => store,
        Err(TrustError::Missing(_)) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    put(&store, grant).map_err(|error| format!("{DIRECTORY}: {error}"))
}

/// What was granted to sshd's process `sshd_pid`, which runs since `since` (milliseconds since the machine was started).
#[must_use]
pub fn to(sshd_pid: u32, since: i64) -> Option<Grant> {
    get(&Store::open_anyone_s(Path::new(DIRECTORY), Trust::ROOT).ok()?, sshd_pid, since)
}

fn put(store: &Store, grant: &Grant) -> io::Result<()> {
    // Nothing has to reach a disk: it is in memory, and of no use once the machine is started anew.
    store.write(&place(grant.sshd_pid), serde_json::to_string(grant)?.as_bytes(), Sync::Later)
}

fn get(store: &Store, sshd_pid: u32, since: i64) -> Option<Grant> {
    let grant: Grant = serde_json::from_slice(&store.sealed(&place(sshd_pid))?).ok()?;
    // Of this process, and not of one that had the same number before it.
    let is_its = grant.sshd_pid == sshd_pid && grant.at.boot.as_ref().is_some_and(|boot| boot.millis >= since);
    is_its.then_some(grant)
}

fn place(sshd_pid: u32) -> String {
    format!("{:04}", sshd_pid % PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_note_of_the_process_itself_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path: &'static Path = Box::leak(dir.path().canonicalize().unwrap().into_boxed_path());
        let store = Store::open(path, Trust::below(path, nix::unistd::geteuid().as_raw())).unwrap();
        let grant = |sshd_pid: u32, key: &str| Grant {
            sshd_pid,
            login: "ec2-user".to_owned(),
            key: key.to_owned(),
            owner: "john".to_owned(),
            principal: "users/john".to_owned(),
            at: Moment::now(),
        };
        put(&store, &grant(7, "SHA256:a")).unwrap();
        put(&store, &grant(7, "SHA256:b")).unwrap();
        assert_eq!(get(&store, 7, 0).unwrap().key, "SHA256:b");
        assert_eq!(get(&store, 8, 0), None);
        assert_eq!(get(&store, 7, Moment::now().boot.unwrap().millis + 1), None, "that process is a later one");
        put(&store, &grant(7 + PLACES, "SHA256:c")).unwrap();
        assert_eq!(get(&store, 7, 0), None, "its place was taken");
        for pid in 0..PLACES * 2 {
            put(&store, &grant(pid, "SHA256:x")).unwrap();
        }
        assert_eq!(std::fs::read_dir(path).unwrap().count(), usize::try_from(PLACES).unwrap());
    }
}
