//! A copy of sshd's configuration, to ask sshd itself what it would do with other files.
//!
//! `sshd -T -f` reads the copy: each file that is included stands beside the others under a number, and the `Include`s
//! name those. So what is in effect without our wiring, and what would be with it, is sshd's word and not our reading,
//! and it is known before anything is changed.

use super::files::Tree;
use super::{ObserveError, RUN, SCRATCH};
use crate::sshd::config::included_by;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Includes within includes, as many as sshd follows (`SERVCONF_MAX_DEPTH`).
const MAX_DEPTH: u32 = 16;

/// The copy; it is removed with this value.
#[derive(Debug)]
pub struct Copy {
    folder: PathBuf,
    main: PathBuf,
}

impl Copy {
    /// Copies `main` and all that it includes.
    ///
    /// # Errors
    /// Where something cannot be read or written.
    pub fn of(tree: &Tree, main: &Path) -> Result<Self, ObserveError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(format!("{RUN}/{SCRATCH}{}.{next}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).map_err(|e| ObserveError::Io(folder.display().to_string(), e))?;
        let mut copy = Self { main: folder.join("0.conf"), folder };
        let mut names = BTreeMap::new();
        copy.main = copy.take(tree, main, 0, &mut names)?;
        Ok(copy)
    }

    /// What `sshd -f` takes.
    #[must_use]
    pub fn main(&self) -> &Path {
        &self.main
    }

    fn take(
        &self,
        tree: &Tree,
        path: &Path,
        depth: u32,
        names: &mut BTreeMap<PathBuf, PathBuf>,
    ) -> Result<PathBuf, ObserveError> {
        if depth > MAX_DEPTH {
            return Err(ObserveError::TooMuch(path.to_owned(), "16 levels of Include"));
        }
        if let Some(name) = names.get(path) {
            return Ok(name.clone());
        }
        let mut text = String::new();
        for line in tree.read(path)?.unwrap_or_default().split_inclusive('\n') {
            let Some(patterns) = included_by(line) else {
                text.push_str(line);
                continue;
            };
            for pattern in patterns {
                for file in tree.expand(&pattern)? {
                    let _ = writeln!(text, "Include {}", self.take(tree, &file, depth + 1, names)?.display());
                }
            }
        }
        let name = self.folder.join(format!("{}.conf", names.len()));
        let mut file = OpenOptions::new();
        let written = file.write(true).create_new(true).mode(0o600).open(&name);
        written
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| ObserveError::Io(name.display().to_string(), error))?;
        names.insert(path.to_owned(), name.clone());
        Ok(name)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
