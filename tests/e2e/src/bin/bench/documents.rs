//! The documents that are looked up: those of the seed's own example, and groups with few and with many keys.

use iam_ssh_e2e::scene::published;
use iam_ssh_e2e::{BUCKET, Key, World};

/// Whose keys may log in, as the seed's document has it (with `users/` spelt as its bucket has it). The offered key is in the last
/// one's document, so that nobody gets away with asking for the first alone.
pub(crate) const DOCUMENTED: &[&str] = &["groups/Administrators", "users/Admin"];
/// The least that can be configured.
pub(crate) const ONE: &[&str] = &["users/Admin"];
/// A small group.
pub(crate) const TEN: &[&str] = &["groups/Ten"];
/// 5,000 users with two keys each.
pub(crate) const THOUSANDS: &[&str] = &["groups/Thousands"];

/// A principal and its document.
pub(crate) type Document = (&'static str, String);

/// Every document, each with the offered key but the first.
pub(crate) fn documents(offered: &Key, other: &Key) -> [Document; 4] {
    [
        (DOCUMENTED[0], published("jane@example.org", other)),
        (DOCUMENTED[1], published("Admin", offered)),
        (TEN[0], group(10, offered)),
        (THOUSANDS[0], group(10_000, offered)),
    ]
}

/// Publishes them in our own double.
pub(crate) fn publish(world: &World, documents: &[Document]) {
    for (principal, text) in documents {
        world.double().put_object(BUCKET, &format!("{principal}/authorized_keys"), text.as_str());
    }
}

/// A group's document with so many keys, two per user; the offered key is the last.
fn group(keys: usize, offered: &Key) -> String {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let lines = (1..keys).map(|number| {
        let owner = format!("user-{:04}@example.org", number / 2);
        format!("environment=\"SSH_KEY_OWNER={owner}\" {} {owner}\n", random.key())
    });
    lines.chain([published("Admin", offered)]).collect()
}

/// The same keys in every run (xorshift).
struct Random(u64);

impl Random {
    /// An Ed25519 key: any 32 bytes are one to every parser, OpenSSH's included.
    fn key(&mut self) -> String {
        const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let tail: String = (0..42)
            .map(|_| {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                char::from(BASE64[usize::try_from(self.0 >> 58).unwrap()])
            })
            .collect();
        // The fields' lengths and the type's name, up to the key's first bits.
        format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA{tail}")
    }
}
