//! A whole account at once: users, keys and groups as many as AWS allows, the same in every run.
//!
//! The keys are as real as a parser can tell: RSA with a modulus of 2048 bits, each its own. Nobody has their private halves.

use super::account::{SshKey, fold, scramble, unique};
use super::directory::Directory;
use super::xml;
use crate::base64::base64;

impl Directory {
    /// Users `user00000` and so on with so many active keys each, groups `group000` and so on, and each user in so many groups, in turn.
    pub fn populate(&mut self, users: usize, keys_per_user: usize, groups: usize, groups_per_user: usize) -> &mut Self {
        let account = self.edit();
        let group_names: Vec<String> = (0..groups).map(|number| format!("group{number:03}")).collect();
        for name in &group_names {
            account.group(name);
        }
        for number in 0..users {
            let name = format!("user{number:05}");
            let of_this_user = (0..groups_per_user.min(groups)).map(|turn| (number * groups_per_user + turn) % groups);
            for group in of_this_user.filter_map(|index| group_names.get(index)) {
                account.group(group).members.insert(fold(&name));
                account.user(&name).groups.insert(fold(group));
            }
            let first = number * keys_per_user;
            account.user(&name).keys.extend((first..first + keys_per_user).map(key));
        }
        self
    }
}

/// The key of this number.
fn key(number: usize) -> SshKey {
    let seed = u64::try_from(number).unwrap_or_default();
    SshKey {
        id: unique("APKA", !seed, 16),
        body: body(seed),
        status: "Active".to_owned(),
        uploaded: Some(xml::CREATED.to_owned()),
    }
}

/// `ssh-rsa` with the exponent 65537 and an odd modulus of 2048 bits.
fn body(seed: u64) -> String {
    let mut blob = Vec::with_capacity(279);
    blob.extend_from_slice(b"\0\0\0\x07ssh-rsa\0\0\0\x03\x01\0\x01\0\0\x01\x01\0");
    for place in 0..32 {
        let mut bytes = scramble(seed.wrapping_mul(32).wrapping_add(place)).to_be_bytes();
        let [first, .., last] = &mut bytes;
        *first |= if place == 0 { 0x80 } else { 0 };
        *last |= u8::from(place == 31);
        blob.extend_from_slice(&bytes);
    }
    format!("ssh-rsa {}", base64(&blob))
}
