//! What a lookup let in, noted for the session record: the key that sshd was given a line for, its owner and its principal.
//!
//! sshd runs a lookup again right before it verifies a signature, so what was noted last for its process is what the login was granted
//! by, whatever happens to the cache afterwards. The notes are in memory, and bounded: anybody can offer anybody's public key, again and
//! again. They prove nothing alone: a note counts for a key that sshd says was proven.

use crate::cache::store::Store;
use crate::clock::Moment;
use crate::process;
use crate::trusted::{Trust, TrustError};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Where the notes are; the folder belongs to the user that lookups run as.
pub const DIRECTORY: &str = "/run/iam-ssh/granted";
/// Most notes there are, each in a place chosen by sshd's process id.
const PLACES: u32 = 4096;
/// From one place that another process's note has to the next that is tried, and how many are.
const STEP: u32 = 1021;
const TRIES: u32 = 8;

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
    // Not where a process that is still there has its note: somebody might make it so on purpose.
    let is_free =
        |place: &String| read(store, place).is_none_or(|there| there.sshd_pid == grant.sshd_pid || !there.counts());
    let place = places(grant.sshd_pid).find(is_free).or_else(|| places(grant.sshd_pid).next()).unwrap_or_default();
    // Nothing has to reach a disk: it is in memory, and of no use once the machine is started anew.
    store.make(&place, serde_json::to_string(grant)?.as_bytes())
}

fn get(store: &Store, sshd_pid: u32, since: i64) -> Option<Grant> {
    let there = places(sshd_pid).filter_map(|place| read(store, &place));
    // Of this process, and not of one that had the same number before it.
    let its = there.filter(|grant| grant.sshd_pid == sshd_pid && grant.is_since(since));
    its.max_by_key(|grant| grant.at.boot.as_ref().map(|boot| boot.millis))
}

fn read(store: &Store, place: &str) -> Option<Grant> {
    serde_json::from_slice(&store.sealed(place)?).ok()
}

/// The places of a process's note, in the order in which they are tried.
fn places(sshd_pid: u32) -> impl Iterator<Item = String> {
    (0..TRIES).map(move |number| format!("{:04}", (sshd_pid % PLACES + number * STEP) % PLACES))
}

impl Grant {
    /// Whether it was noted since then.
    fn is_since(&self, since: i64) -> bool {
        self.at.boot.as_ref().is_some_and(|boot| boot.millis >= since)
    }

    /// Whether the process that it was noted for is still there.
    fn counts(&self) -> bool {
        process::running_since(self.sshd_pid).is_some_and(|since| self.is_since(since))
    }
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
        let own = std::process::id();
        put(&store, &grant(own, "SHA256:c")).unwrap();
        for number in 1..3 {
            put(&store, &grant(own + PLACES * number, "SHA256:d")).unwrap();
        }
        assert_eq!(get(&store, own, 0).unwrap().key, "SHA256:c", "nobody takes the place of a process that is there");
        assert_eq!(get(&store, own + PLACES, 0), None, "of one that is not, the place is taken");
        assert_eq!(get(&store, own + PLACES * 2, 0).unwrap().key, "SHA256:d");
        for pid in 0..PLACES * 2 {
            put(&store, &grant(pid, "SHA256:x")).unwrap();
        }
        assert_eq!(std::fs::read_dir(path).unwrap().count(), usize::try_from(PLACES).unwrap());
    }
}
