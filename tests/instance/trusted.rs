//! Files that decide who gets in are read only where nobody but root (here: the test's user) could have written them.

use crate::scene::own;
use iam_ssh::trusted::{TrustError, read};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

#[test]
fn what_others_could_have_written_is_refused() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = dir.path().join("f");
    fs::write(&file, "text").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(read(&file, own()).unwrap(), "text");

    let link = dir.path().join("link");
    symlink(&file, &link).unwrap();
    assert_eq!(read(&link, own()).unwrap(), "text", "a link to a trusted file is one");

    for mode in [0o666, 0o664, 0o646] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(read(&file, own()), Err(TrustError::Mode(..))), "{mode:o}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();

    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(read(&file, own()), Err(TrustError::Mode(..))), "in a folder that others can write to");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();

    assert!(matches!(read(dir.path(), own()), Err(TrustError::Kind(..) | TrustError::Io(..))), "a folder");
    assert!(matches!(read(&dir.path().join("none"), own()), Err(TrustError::Missing(..))));
    fs::write(&file, vec![b'x'; 1024 * 1024 + 1]).unwrap();
    assert!(matches!(read(&file, own()), Err(TrustError::TooLarge(..))));
    fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(matches!(read(&file, own()), Err(TrustError::NotText(..))));
}

/// A link is as trustworthy as the folder it lies in: whoever can make it chooses what is read, and among root's files
/// are some whose content others choose.
#[test]
fn a_link_that_others_could_have_made_is_refused() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (file, open, closed) = (dir.path().join("f"), dir.path().join("open"), dir.path().join("closed"));
    fs::write(&file, "text").unwrap();
    fs::create_dir(&open).unwrap();
    fs::create_dir(&closed).unwrap();
    symlink(&file, open.join("link")).unwrap();
    symlink("../open/link", closed.join("link")).unwrap();
    symlink("loop", closed.join("loop")).unwrap();
    assert_eq!(read(&closed.join("link"), own()).unwrap(), "text");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(read(&open.join("link"), own()), Err(TrustError::Mode(..))));
    assert!(matches!(read(&closed.join("link"), own()), Err(TrustError::Mode(..))), "on the way of another link");
    assert!(matches!(read(&open.join("../f"), own()), Err(TrustError::Mode(..))), "walked through");
    assert!(matches!(read(&closed.join("loop"), own()), Err(TrustError::Kind(..))));
}

#[test]
fn a_fifo_does_not_hold_the_login() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(matches!(read(&fifo, own()), Err(TrustError::Kind(..))));
}
