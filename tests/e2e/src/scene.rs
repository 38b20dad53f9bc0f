//! What most tests start from: a company with people and keys in moto, and a machine with the package that serves them.

use crate::inputs::Suite;
use crate::keys::{Key, KeyKind};
use crate::machine::Machine;
use crate::world::{BUCKET, World};

/// A configuration for `ec2-user` with these principals (the lines of its table), asking this endpoint.
#[must_use]
pub fn configuration(endpoint: &str, login: &str) -> String {
    format!("bucket = \"{BUCKET}\"\nendpoint_url = \"{endpoint}\"\n\n[login.ec2-user]\n{login}\n")
}

/// The same configuration, for tests that change documents under a machine's eyes: nothing is fresh, every lookup asks.
#[must_use]
pub fn asking_always(configuration: &str) -> String {
    format!("{configuration}\n[lookup]\nfresh_for = \"0s\"\n")
}

/// A machine with the package installed and configured so, and sshd running.
#[must_use]
pub fn armed(world: &World, suite: Suite, endpoint: &str, login: &str) -> Machine {
    world.imds();
    let machine = Machine::boot(world, suite);
    machine.install().expect_ok();
    machine.configure(&configuration(endpoint, login));
    machine.start_sshd();
    machine
}

/// One machine for `groups/Administrators`, asking our own double.
#[must_use]
pub fn armed_by_double(world: &World, login: &str) -> Machine {
    armed(world, Suite::Bookworm, &world.double().url(), login)
}

/// Somebody with a user in IAM and an uploaded key.
#[derive(Debug)]
pub struct Person {
    /// The user's name.
    pub name: &'static str,
    /// Their key pair.
    pub key: Key,
    /// The id of the uploaded public key.
    pub key_id: String,
}

impl Person {
    /// Creates the user in moto, in these groups, and uploads a new key.
    #[must_use]
    pub fn join(world: &World, name: &'static str, kind: KeyKind, groups: &[&str]) -> Self {
        world.iam().create_user(name, groups);
        let key = world.key(name, kind);
        let key_id = world.iam().upload_key(name, &key.bare());
        Self { name, key, key_id }
    }
}

/// The line that the sync publishes for a key.
#[must_use]
pub fn published(owner: &str, key: &Key) -> String {
    format!("environment=\"SSH_KEY_OWNER={owner}\" {} {owner}\n", key.bare())
}

/// Publishes one person's own document in our double.
pub fn publish(world: &World, owner: &str, key: &Key) {
    world.double().put_object(BUCKET, &format!("users/{owner}/authorized_keys"), published(owner, key));
}
