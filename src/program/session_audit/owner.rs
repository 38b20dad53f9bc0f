//! Whose key it is that sshd says was proven.
//!
//! First what the lookup noted when it gave sshd the key's line for this very connection. A key that sshd took from elsewhere, a
//! local `authorized_keys` file, can be an IAM user's all the same: then any document in the cache names its owner, however old it is,
//! and else the lookup is asked about the key. None of these looks at anything that the user of the session can write.

use super::call;
use crate::cache::store::{self, Store};
use crate::clock::Moment;
use crate::config::load;
use crate::connection::Connection;
use crate::copies::Copies;
use crate::granted;
use crate::program::child;
use crate::sshd::COMMAND;
use crate::trusted::Trust;
use iam_ssh_core::offered::Offered;
use iam_ssh_core::{KeyLine, PublicKey};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// Longest time for the lookup: it may have to ask AWS, and the login waits.
const LOOKUP: Duration = Duration::from_millis(400);
/// Longest time for the whole search, also where a disk stands still.
const SEARCH: Duration = Duration::from_millis(500);

/// The key that was proven, and whose it is.
#[derive(Debug)]
pub(super) struct Proven<'a> {
    /// The key; of several, the one that is somebody's.
    pub(super) key: Option<&'a Offered>,
    /// Its owner, if it is one of ours.
    pub(super) owner: Option<Owner>,
}

/// An IAM user.
#[derive(Debug)]
pub(super) struct Owner {
    /// Their name.
    pub(super) name: String,
    /// The principal that let the key in, where it was a lookup that did.
    pub(super) principal: Option<String>,
}

impl<'a> Proven<'a> {
    /// Finds the owner of the keys that a connection proved to sshd's process `sshd_pid`, which runs since `since`.
    pub(super) fn of(connection: &'a Connection, sshd_pid: u32, since: i64) -> Self {
        let keys = || connection.keys.iter();
        let by = |find: &dyn Fn(&Offered) -> Option<Owner>| keys().find_map(|key| Some((key, find(key)?)));
        let grant = granted::to(sshd_pid, since).filter(|grant| grant.login == connection.login);
        let granted = |key: &Offered| {
            let grant = grant.as_ref().filter(|grant| key.certificate.is_none() && grant.key == key.fingerprint())?;
            Some(Owner { name: grant.owner.clone(), principal: Some(grant.principal.clone()) })
        };
        if let Some((key, owner)) = by(&granted) {
            return Self { key: Some(key), owner: Some(owner) };
        }
        match search(connection) {
            Some((place, owner)) => Self { key: keys().nth(place), owner: Some(owner) },
            None => Self { key: keys().next(), owner: None },
        }
    }
}

/// Searches for the owner of one of the keys, and gives up in time: the place of the key, and its owner.
fn search(connection: &Connection) -> Option<(usize, Owner)> {
    if connection.keys.is_empty() {
        return None;
    }
    let (found, waiting) = mpsc::sync_channel(1);
    let Connection { login, keys, .. } = connection.clone();
    // A thread, so that a disk that stands still does not keep the record from being written. It ends with the process.
    let search = move || {
        let keys = || keys.iter().enumerate();
        let cached = copies();
        let owner = keys()
            .find_map(|(place, key)| Some((place, in_cache(cached.as_ref()?, key)?)))
            .or_else(|| keys().find_map(|(place, key)| Some((place, asked(&login, key)?))));
        let _ = found.send(owner);
    };
    std::thread::Builder::new().spawn(search).ok()?;
    waiting.recv_timeout(SEARCH).ok().flatten()
}

fn copies() -> Option<Copies> {
    let config = load::load(Path::new(load::DIRECTORY), Trust::ROOT).ok()?;
    config.bucket.as_ref()?;
    let store = Store::open_anyone_s(Path::new(store::DIRECTORY), Trust::ROOT).ok()?;
    Some(Copies::open(&config, Ok(store), Moment::now()))
}

fn in_cache(copies: &Copies, key: &Offered) -> Option<Owner> {
    let line = copies.any_line_of(&PublicKey::new(&key.key_type, &key.base64()).ok()?)?;
    Some(Owner { name: line.owner().as_str().to_owned(), principal: None })
}

/// Asks the lookup, as it would be asked by sshd, but for nobody's login.
fn asked(login: &str, key: &Offered) -> Option<Owner> {
    PublicKey::new(&key.key_type, &key.base64()).ok()?;
    let mut command = Command::new(COMMAND);
    // None of the variables that this program was started with: some may be a user's. It gives up root itself.
    command.env_clear().args([login, &key.key_type, &key.base64(), call::FOR_NOBODY]).current_dir("/");
    let ended = child::run(command, LOOKUP).ok().filter(|ended| ended.status.success())?;
    let line = ended.output.split(|byte| *byte == b'\n').find_map(|line| KeyLine::parse(line).ok())?;
    Some(Owner { name: line.owner().as_str().to_owned(), principal: None })
}
