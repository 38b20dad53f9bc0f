//! The secret behind the seals: a file of root's, made when the first connection is recorded.
//!
//! It belongs to one machine: an image made of this one makes a secret of its own, because everybody who starts the image could
//! read the one in it. It must never be read where anybody but root could have written it.

use super::seal::Secret;
use crate::trusted::{self, Trust};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Where the secret is; the folder is root's alone.
pub const DIRECTORY: &str = "/var/lib/iam-ssh";
const FILE: &str = "audit-secret";
/// Names an installation of an operating system (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";

/// The secret of this machine, if there is one that can be believed. Only root can read it.
#[must_use]
pub fn read(directory: &Path, trust: Trust) -> Option<Secret> {
    parse(&trusted::read(&directory.join(FILE), trust).ok()?, &machine())
}

/// The same, made where there is none, or where the one there is another machine's.
///
/// # Errors
/// Where it cannot be written.
pub fn make(directory: &Path, trust: Trust) -> io::Result<Secret> {
    if let Some(secret) = read(directory, trust) {
        return Ok(secret);
    }
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let mut secret = Secret([0; 32]);
    File::open("/dev/urandom")?.read_exact(&mut secret.0)?;
    let text = format!("{}\n{}\n", machine(), crate::cache::seal::hex(&secret.0));
    let new = directory.join(format!("{FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let published = file.write_all(text.as_bytes()).and_then(|()| match is_another_machine_s(directory, trust) {
        true => std::fs::rename(&new, directory.join(FILE)),
        // Of several who make one at the same time, the first counts: a link, unlike a rename, replaces nothing.
        false => std::fs::hard_link(&new, directory.join(FILE)),
    });
    let _ = std::fs::remove_file(&new);
    match published {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read(directory, trust).ok_or_else(|| io::Error::other("what was written cannot be read")),
    }
}

/// Whether the file there was made by another machine. One that cannot be believed at the moment may be this one's.
fn is_another_machine_s(directory: &Path, trust: Trust) -> bool {
    let text = trusted::read(&directory.join(FILE), trust);
    text.is_ok_and(|text| text.split_once('\n').is_none_or(|(owner, _)| owner != machine()))
}

fn machine() -> String {
    let instance = crate::cache::store::instance_id();
    let id = std::fs::read_to_string(MACHINE_ID).unwrap_or_default();
    format!("{} {}", instance.as_deref().unwrap_or("-"), id.trim())
}

fn parse(text: &str, machine: &str) -> Option<Secret> {
    let (owner, secret) = text.split_once('\n')?;
    let digits = secret.trim_end().as_bytes();
    let mut bytes = [0; 32];
    if owner != machine || digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Secret(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> (tempfile::TempDir, Trust) {
        let dir = tempfile::tempdir().unwrap();
        let path: &'static Path = Box::leak(dir.path().canonicalize().unwrap().into_boxed_path());
        (dir, Trust::below(path, nix::unistd::geteuid().as_raw()))
    }

    #[test]
    fn it_is_made_once() {
        let (dir, trust) = trust();
        let secret = make(dir.path(), trust).unwrap();
        assert_eq!(make(dir.path(), trust).unwrap(), secret);
        assert_eq!(read(dir.path(), trust), Some(secret));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn what_cannot_be_believed_is_not_replaced() {
        let (dir, trust) = trust();
        let secret = make(dir.path(), trust).unwrap();
        let mode = |mode: u32| {
            let file = dir.path().join(FILE);
            std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        mode(0o666);
        assert!(make(dir.path(), trust).is_err());
        mode(0o600);
        assert_eq!(make(dir.path(), trust).unwrap(), secret);
    }

    #[test]
    fn the_secret_of_another_machine_is_replaced() {
        let (dir, trust) = trust();
        let other = format!("i-0123 another\n{}\n", "ab".repeat(32));
        std::fs::write(dir.path().join(FILE), &other).unwrap();
        assert_eq!(read(dir.path(), trust), None);
        let secret = make(dir.path(), trust).unwrap();
        assert_ne!(secret.0, [0xab; 32]);
        assert_eq!(make(dir.path(), trust).unwrap(), secret);
    }
}
