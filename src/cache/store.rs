//! The cache's files: read only where nobody else could have written them, written whole or not at all.
//!
//! The directory belongs to the system user `iam-ssh`, who alone writes. A file that somebody else owns, that is a link, or
//! that others may write is not there. Nothing here waits for a lock longer than it is told to.

use super::state::is_document_file;
use crate::trusted::{self, Trust, TrustError};
use nix::fcntl::OFlag;
use std::collections::HashSet;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

/// Where the cache lives.
pub const DIRECTORY: &str = "/var/cache/iam-ssh";
/// The state's file.
pub const STATE: &str = "state";
/// The file of the instance's facts.
pub const INSTANCE: &str = "instance";
const LOCK: &str = "lock";
const SPARE_LOCK: &str = "spare-lock";
const WRITE_LOCK: &str = "write-lock";
const TEMPORARY: &str = "tmp-";

/// Most bytes of a sealed file: a thousand principals take some 500 KB.
const MAX_SEALED: u64 = 64 * 1024 * 1024;
/// Age of files that nobody refers to, from which they are litter and not somebody's work.
const LITTER: Duration = Duration::from_secs(60);
/// How often a file is made anew because somebody else replaced it meanwhile.
const ATTEMPTS: usize = 10;

/// The cache's directory, checked.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
    uid: u32,
}

/// Holds the cache's lock until it is dropped; so does the process that ends.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// The file that holds it, to be handed to another process, which then holds it.
    #[must_use]
    pub fn into_file(self) -> File {
        self.0
    }
}

/// Whether content must have reached the disk before it gets its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// It must.
    Disk,
    /// It need not: the name alone is what matters now.
    Later,
}

/// Why the lock is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLock {
    /// Another process holds it.
    Busy,
    /// There is none to be had: a read-only disk, or no cache.
    Unavailable,
}

impl Store {
    /// The cache in `directory`, for the user who runs this.
    ///
    /// # Errors
    /// [`TrustError`] where it is not there, belongs to somebody else, or others could have written to it.
    pub fn open(directory: &Path, trust: Trust) -> Result<Self, TrustError> {
        Self::open_of(directory, nix::unistd::geteuid().as_raw(), trust)
    }

    /// The same, of whomever the directory belongs to: for root, to read in.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn open_anyone_s(directory: &Path, trust: Trust) -> Result<Self, TrustError> {
        let meta = directory.symlink_metadata().map_err(|error| TrustError::Io(directory.to_owned(), error))?;
        Self::open_of(directory, meta.uid(), trust)
    }

    fn open_of(directory: &Path, uid: u32, trust: Trust) -> Result<Self, TrustError> {
        let directory = trusted::own_directory(directory, uid, trust)?;
        Ok(Self { directory, uid })
    }

    /// The content of a sealed file; `None` where there is none that can be believed.
    #[must_use]
    pub fn sealed(&self, name: &str) -> Option<Vec<u8>> {
        let file = self.file(name)?;
        let len = file.metadata().ok()?.len().min(MAX_SEALED);
        // One byte more, so that the end is seen without another allocation.
        let mut bytes = Vec::with_capacity(usize::try_from(len).ok()? + 1);
        file.take(MAX_SEALED).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// A file of the cache, open for reading; `None` where there is none that can be believed.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<File> {
        // Not following: nobody but us makes files here, and we make no links. Not blocking: nor pipes.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(self.directory.join(name)).ok()?;
        let meta = file.metadata().ok()?;
        (meta.is_file() && meta.uid() == self.uid && meta.mode() & 0o022 == 0).then_some(file)
    }

    /// Writes a file, replacing the one that is there in one step.
    ///
    /// # Errors
    /// Where it cannot be written; what was there is then unchanged.
    pub fn write(&self, name: &str, content: &[u8], sync: Sync) -> io::Result<()> {
        self.prepare(content, sync)?.publish(&self.directory.join(name))
    }

    /// Makes a file anew, and not in one step: for what is in memory, and read when it is finished.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn make(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.write_temporary(&self.directory.join(name), content, Sync::Later)
    }

    /// The files whose names are numbers.
    #[must_use]
    pub fn numbers(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// Whether a file that can be believed has this content.
    #[must_use]
    pub fn holds(&self, name: &str, content: &[u8]) -> bool {
        let Some(file) = self.file(name) else { return false };
        let mut found = Vec::with_capacity(content.len() + 1);
        let limit = u64::try_from(content.len()).unwrap_or(u64::MAX).saturating_add(1);
        file.take(limit).read_to_end(&mut found).is_ok() && found == content
    }

    /// Replaces a sealed file by what `next` makes of its present content, so that nothing that another process writes at
    /// the same time is lost. Slow work is done before the lock is taken, which is waited for up to `patience`; where the
    /// file is another one by then, it is done again. Where `next` makes nothing, nothing is written.
    ///
    /// # Errors
    /// Where it cannot be written; what was there is then unchanged.
    pub fn update(
        &self,
        name: &str,
        sync: Sync,
        patience: Duration,
        mut next: impl FnMut(Option<&[u8]>) -> Option<String>,
    ) -> io::Result<()> {
        let mut seen = self.sealed(name);
        for _ in 0..ATTEMPTS {
            let Some(content) = next(seen.as_deref()) else { return Ok(()) };
            let prepared = self.prepare(content.as_bytes(), sync)?;
            let lock = self.wait_for(WRITE_LOCK, patience);
            let lock = lock.map_err(|why| io::Error::other(format!("the lock to write {name} is {why}")))?;
            let present = self.sealed(name);
            if present == seen {
                return prepared.publish(&self.directory.join(name));
            }
            drop(lock);
            seen = present;
        }
        Err(io::Error::other(format!("others replaced {name} {ATTEMPTS} times meanwhile")))
    }

    /// Writes content to a file that nobody else reads yet.
    fn prepare(&self, content: &[u8], sync: Sync) -> io::Result<Prepared> {
        let path = self.directory.join(format!("{TEMPORARY}{}", std::process::id()));
        self.write_temporary(&path, content, sync).map(|()| Prepared(path.clone())).inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
        })
    }

    fn write_temporary(&self, path: &Path, content: &[u8], sync: Sync) -> io::Result<()> {
        let create = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(OFlag::O_NOFOLLOW.bits())
                .open(path)
        };
        let mut file = match create() {
            // Of a process that was killed and had the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                std::fs::remove_file(path)?;
                create()?
            }
            other => other?,
        };
        file.write_all(content)?;
        match sync {
            Sync::Disk => file.sync_data(),
            Sync::Later => Ok(()),
        }
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes a file; whether it was there, and this is who removed it.
    #[must_use]
    pub fn take(&self, name: &str) -> bool {
        std::fs::remove_file(self.directory.join(name)).is_ok()
    }

    /// Removes documents that are not in `keep`, and what killed processes left behind, unless it is so new that somebody
    /// may still be at work on it.
    pub fn sweep(&self, keep: &HashSet<String>) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let ours = name.starts_with(TEMPORARY) || (is_document_file(name) && !keep.contains(name));
            if ours && entry.metadata().and_then(|meta| meta.modified()).is_ok_and(is_litter) {
                let _ = self.remove(name);
            }
        }
    }

    /// Waits up to `patience` for the lock under which one process at a time asks AWS.
    ///
    /// # Errors
    /// [`NoLock`].
    pub fn lock(&self, patience: Duration) -> Result<Lock, NoLock> {
        self.wait_for(LOCK, patience)
    }

    /// The lock for whoever has to write although another process does not let go of the first one: so there are two who
    /// write at most, however long a disk stands still.
    ///
    /// # Errors
    /// [`NoLock`].
    pub fn spare_lock(&self) -> Result<Lock, NoLock> {
        self.wait_for(SPARE_LOCK, Duration::ZERO)
    }

    fn wait_for(&self, name: &str, patience: Duration) -> Result<Lock, NoLock> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let path = self.directory.join(name);
        // Created only where it is not there: on a file system that stands still, that alone would have to wait.
        let create =
            || OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags.bits()).open(&path);
        let open = || OpenOptions::new().read(true).custom_flags(flags.bits()).open(&path);
        let file = match open() {
            // Created by somebody else at the same time, or by us.
            Err(error) if error.kind() == io::ErrorKind::NotFound => create().or_else(|_| open()),
            other => other,
        };
        let file = file.map_err(|_| NoLock::Unavailable)?;
        if !file.metadata().is_ok_and(|meta| meta.is_file() && meta.uid() == self.uid) {
            return Err(NoLock::Unavailable);
        }
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return Err(NoLock::Unavailable),
        }
        // A thread that waits, so that nobody has to ask again and again. Where it waits in vain, it ends with the process.
        let (held, waiting) = mpsc::sync_channel(1);
        let wait = move || {
            if file.lock().is_ok() {
                let _ = held.send(file);
            }
        };
        let thread = std::thread::Builder::new().stack_size(64 * 1024).spawn(wait);
        thread.map_err(|_| NoLock::Unavailable)?;
        waiting.recv_timeout(patience).map(Lock).map_err(|_| NoLock::Busy)
    }

    /// Makes sure that what was renamed stays so after a power failure.
    ///
    /// # Errors
    /// Where the disk cannot promise it.
    pub fn settle(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// A written file that has not got its name yet; it goes with this value.
struct Prepared(PathBuf);

impl Prepared {
    fn publish(self, path: &Path) -> io::Result<()> {
        std::fs::rename(&self.0, path)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Gone already where it was published.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl fmt::Display for NoLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "held by another process",
            Self::Unavailable => "not to be had",
        })
    }
}

/// The EC2 instance id, where the firmware tells it (Nitro instances; EC2 user guide, "Identify EC2 instances").
#[must_use]
pub fn instance_id() -> Option<String> {
    let tag = std::fs::read_to_string("/sys/devices/virtual/dmi/id/board_asset_tag").ok()?;
    let id = tag.trim().strip_prefix("i-")?;
    let is_id = (8..=17).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| format!("i-{id}"))
}

/// Old, or with a date that a clock set back made a future one.
fn is_litter(modified: SystemTime) -> bool {
    let now = SystemTime::now();
    now.duration_since(modified).or_else(|_| modified.duration_since(now)).is_ok_and(|age| age > LITTER)
}
