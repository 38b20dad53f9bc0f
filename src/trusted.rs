//! Reads files that decide who gets in: configuration, principals files, roots of trust.
//!
//! A file counts only if nobody but root could have written it: the check is made on the open handle, and on every
//! directory that is walked through, those that hold a symbolic link included. It must never fall back to an
//! unchecked read.

use nix::fcntl::OFlag;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

/// Largest file that is read, in bytes; a bundle of all public roots has about 220 KB.
const MAX_LEN: u64 = 1024 * 1024;
/// Most symbolic links that are followed, as many as the kernel follows.
const MAX_LINKS: usize = 40;
/// Write permission for the group or for others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Whose hands a trusted file may have been in. The product trusts root alone; tests run as whoever they are, and
/// wherever the build's folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// The user who, beside root, may own files and folders.
    uid: u32,
    /// A folder, free of symbolic links, that is taken as trusted together with those above it.
    given: Option<&'static Path>,
}

impl Trust {
    /// Root alone, all the way up.
    pub const ROOT: Self = Self { uid: 0, given: None };

    /// Root and `uid`, with `given` and all folders above it taken as trusted. For tests.
    #[must_use]
    pub fn below(given: &'static Path, uid: u32) -> Self {
        Self { uid, given: Some(given) }
    }
}

/// Why a file is not read. Each names the path.
#[derive(Debug)]
pub enum TrustError {
    /// There is no such file.
    Missing(PathBuf),
    /// It cannot be opened or read.
    Io(PathBuf, io::Error),
    /// It is not a regular file.
    Kind(PathBuf),
    /// It is not a directory where one is needed, but a file or a link.
    NotDirectory(PathBuf),
    /// It belongs to the first user id, and this runs as the second.
    NotOurs(PathBuf, u32, u32),
    /// It, or a directory above it, belongs to somebody else; the user id.
    Ownership(PathBuf, u32),
    /// It, or a directory above it, is writable by group or others; the mode.
    Mode(PathBuf, u32),
    /// It is larger than 1 MiB; its size in bytes.
    TooLarge(PathBuf, u64),
    /// It is not UTF-8.
    NotText(PathBuf),
}

/// Reads a trusted text file.
///
/// # Errors
/// [`TrustError`], naming what to mend; [`TrustError::Missing`] where there is no file.
pub fn read(path: &Path, trust: Trust) -> Result<String, TrustError> {
    let resolved = resolve(path, trust)?;
    // Not blocking: a FIFO in the file's place must not hold a login. Not following: it is resolved already.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let file =
        OpenOptions::new().read(true).custom_flags(flags.bits()).open(&resolved).map_err(|e| io_error(path, e))?;
    let len = check_handle(path, &file, trust)?;
    // One byte more, so that the end is seen without another allocation.
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default() + 1);
    file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(|e| io_error(path, e))?;
    String::from_utf8(bytes).map_err(|_| TrustError::NotText(path.to_owned()))
}

/// A program that sshd would run as an AuthorizedKeysCommand: it and all folders above its real path belong to root, and
/// nobody else can write to them. Debian's sshd lets root's own group write; so does this.
///
/// # Errors
/// [`TrustError`], naming what to mend; [`TrustError::Missing`] where there is none.
pub fn check_program(path: &Path) -> Result<(), TrustError> {
    let real = path.canonicalize().map_err(|e| io_error(path, e))?;
    if !real.is_file() {
        return Err(TrustError::Kind(path.to_owned()));
    }
    for part in real.ancestors() {
        let meta = part.symlink_metadata().map_err(|e| io_error(part, e))?;
        if meta.uid() != 0 {
            return Err(TrustError::Ownership(part.to_owned(), meta.uid()));
        }
        let others = if meta.gid() == 0 { 0o002 } else { WRITABLE_BY_OTHERS };
        if meta.mode() & others != 0 {
            return Err(TrustError::Mode(part.to_owned(), meta.mode() & 0o7777));
        }
    }
    Ok(())
}

/// A directory that belongs to `uid` and that nobody else can write to, below directories that only root could have
/// made. Gives its path without symbolic links.
///
/// # Errors
/// [`TrustError`], naming what to mend; [`TrustError::Missing`] where there is none.
pub fn own_directory(path: &Path, uid: u32, trust: Trust) -> Result<PathBuf, TrustError> {
    let owner = Trust { uid, ..trust };
    let parent = path.parent().unwrap_or(path);
    let directory = resolve(parent, trust)?.join(path.file_name().unwrap_or_default());
    let meta = directory.symlink_metadata().map_err(|e| io_error(path, e))?;
    if !meta.is_dir() {
        return Err(TrustError::NotDirectory(path.to_owned()));
    }
    if meta.uid() != uid {
        return Err(TrustError::NotOurs(path.to_owned(), meta.uid(), uid));
    }
    check_owner_and_mode(path, &meta, owner)?;
    Ok(directory)
}

/// Follows `path` to a path without symbolic links, checking every directory on the way before anything in it is
/// believed: a link that somebody else could have made or moved could lead to any file of root's, also to one whose
/// content that somebody chose (`/proc/<pid>/cmdline` of a setuid program).
fn resolve(path: &Path, trust: Trust) -> Result<PathBuf, TrustError> {
    let mut pending: Vec<PathBuf> = components(path);
    let mut resolved = PathBuf::from("/");
    let mut links = 0;
    check_directory(&resolved, trust)?;
    while let Some(part) = pending.pop() {
        if part == Path::new("..") {
            resolved.pop();
            continue;
        }
        let next = resolved.join(part);
        let meta = next.symlink_metadata().map_err(|e| io_error(path, e))?;
        if meta.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(TrustError::Kind(path.to_owned()));
            }
            let target = next.read_link().map_err(|e| io_error(path, e))?;
            if target.is_absolute() {
                resolved = PathBuf::from("/");
            }
            pending.extend(components(&target));
        } else {
            if meta.is_dir() {
                check_owner_and_mode(&next, &meta, trust)?;
            }
            resolved = next;
        }
    }
    Ok(resolved)
}

/// The parts of a path behind the root, last first.
fn components(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir));
    parts.map(|c| PathBuf::from(c.as_os_str())).rev().collect()
}

fn io_error(path: &Path, error: io::Error) -> TrustError {
    match error.kind() {
        io::ErrorKind::NotFound => TrustError::Missing(path.to_owned()),
        _ => TrustError::Io(path.to_owned(), error),
    }
}

fn check_handle(path: &Path, file: &File, trust: Trust) -> Result<u64, TrustError> {
    let meta = file.metadata().map_err(|e| TrustError::Io(path.to_owned(), e))?;
    if !meta.is_file() {
        return Err(TrustError::Kind(path.to_owned()));
    }
    check_owner_and_mode(path, &meta, trust)?;
    if meta.len() > MAX_LEN {
        return Err(TrustError::TooLarge(path.to_owned(), meta.len()));
    }
    Ok(meta.len())
}

fn check_directory(dir: &Path, trust: Trust) -> Result<(), TrustError> {
    let meta = dir.metadata().map_err(|e| io_error(dir, e))?;
    check_owner_and_mode(dir, &meta, trust)
}

fn check_owner_and_mode(path: &Path, meta: &std::fs::Metadata, trust: Trust) -> Result<(), TrustError> {
    if trust.given.is_some_and(|given| given.starts_with(path)) {
        return Ok(());
    }
    if meta.uid() != 0 && meta.uid() != trust.uid {
        return Err(TrustError::Ownership(path.to_owned(), meta.uid()));
    }
    if meta.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(TrustError::Mode(path.to_owned(), meta.mode() & 0o7777));
    }
    Ok(())
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{}: there is no such file", path.display()),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Kind(path) => write!(f, "{}: not a regular file", path.display()),
            Self::NotDirectory(path) => write!(f, "{}: not a directory", path.display()),
            Self::NotOurs(path, owner, uid) => {
                write!(
                    f,
                    "{}: belongs to user id {owner}, but must belong to the user iam-ssh, and this runs as user id {uid}",
                    path.display()
                )
            }
            Self::Ownership(path, uid) => {
                write!(f, "{0}: belongs to user id {uid}, so it is not trusted; run `chown root {0}`", path.display())
            }
            Self::Mode(path, mode) => write!(
                f,
                "{0}: mode {mode:04o} lets others write to it, so it is not trusted; run `chmod go-w {0}`",
                path.display()
            ),
            Self::TooLarge(path, len) => write!(f, "{}: {len} bytes, the limit is {MAX_LEN}", path.display()),
            Self::NotText(path) => write!(f, "{}: not UTF-8 text", path.display()),
        }
    }
}

impl std::error::Error for TrustError {}
