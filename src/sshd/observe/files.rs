//! Finds and reads the files that configure sshd: what sshd_config includes, and its units.
//!
//! Whatever of sshd's own files cannot be read, or is too much to read, is an error: a file that was left out might
//! hold a setting that wiring would replace. The files can be looked at as they would be after a change ([`Tree`]).

use super::ObserveError;
use crate::sshd::config::{ConfigFile, includes};
use crate::sshd::glob;
use nix::fcntl::OFlag;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

/// Most files that are followed through `Include`.
const MAX_FILES: usize = 512;
/// Most files that a pattern may stand for.
const MAX_ENTRIES: usize = 4096;
/// Largest file that is read, in bytes.
const MAX_LEN: u64 = 1024 * 1024;

/// Folders of units, in systemd's order.
const UNITS: [&str; 11] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];
const UNIT_NAMES: [&str; 4] = ["ssh.service", "sshd.service", "ssh@.service", "sshd@.service"];

/// sshd's files as they would be with some changed.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// By path: the text; `None` for a file that is not there any more.
    changed: BTreeMap<PathBuf, Option<String>>,
}

impl Tree {
    /// The same with this file changed, too; `None`: removed.
    #[must_use]
    pub fn with(mut self, path: &str, text: Option<String>) -> Self {
        self.changed.insert(path.into(), text);
        self
    }

    /// The text of a regular file; nothing where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or is too large.
    pub fn read(&self, path: &Path) -> Result<Option<String>, ObserveError> {
        self.changed.get(path).map_or_else(|| read(path), |text| Ok(text.clone()))
    }

    /// The paths that match a pattern, by glob(3)'s rules and in its order: a wildcard stands for part of one name, in any
    /// part of the path.
    ///
    /// # Errors
    /// Where there are too many.
    pub fn expand(&self, pattern: &Path) -> Result<Vec<PathBuf>, ObserveError> {
        let mut paths = expand(pattern)?;
        paths.retain(|path| self.changed.get(path).is_none_or(Option::is_some));
        let added = self.changed.iter().filter(|(path, text)| text.is_some() && stands_for(pattern, path));
        paths.extend(added.map(|(path, _)| path.clone()));
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// A configuration file and all that it includes, as sshd finds them.
    ///
    /// # Errors
    /// Where one cannot be read, or there are too many.
    pub fn included(&self, main: &Path) -> Result<Vec<ConfigFile>, ObserveError> {
        let mut found: Vec<ConfigFile> = Vec::new();
        let mut pending = vec![(main.to_owned(), false)];
        while let Some((path, scoped)) = pending.pop() {
            if found.iter().any(|file| file.path == path && file.scoped == scoped) {
                continue;
            }
            let Some(text) = self.read(&path)? else { continue };
            if found.len() >= MAX_FILES {
                return Err(ObserveError::TooMuch(main.to_owned(), "512 included files"));
            }
            for (pattern, in_match) in includes(&text) {
                pending.extend(self.expand(&pattern)?.into_iter().map(|path| (path, scoped || in_match)));
            }
            found.push(ConfigFile { path, text, scoped });
        }
        Ok(found)
    }
}

/// Whether a pattern stands for a path that may not exist.
fn stands_for(pattern: &Path, path: &Path) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.components().collect(), path.components().collect());
    let one = |(pattern, part): (&Component<'_>, &Component<'_>)| match pattern {
        Component::Normal(p) if glob::is_pattern(p.as_bytes()) => {
            glob::matches(p.as_bytes(), part.as_os_str().as_bytes())
        }
        _ => pattern == part,
    };
    pattern.len() == path.len() && pattern.iter().zip(&path).all(one)
}

/// The name of each unit of sshd, and its texts with those of its settings files, in systemd's order. What cannot be read
/// is left out: systemd cannot read it either.
#[must_use]
pub fn units() -> Vec<(String, Vec<String>)> {
    UNIT_NAMES.iter().filter_map(|name| Some(((*name).to_owned(), unit(name)?))).collect()
}

fn unit(name: &str) -> Option<Vec<String>> {
    let at = |name: &str| UNITS.iter().map(|folder| Path::new(folder).join(name)).collect::<Vec<_>>();
    let file = at(name).into_iter().find(|path| path.symlink_metadata().is_ok())?;
    // An alias shares the settings files of the unit that it leads to, and the other way round.
    let same = |other: &str| other == name || at(other).iter().any(|path| leads_to_the_same(path, &file));
    let folders = UNIT_NAMES.iter().filter(|name| same(name)).map(|name| format!("{name}.d"));
    let folders: Vec<String> = folders.chain(std::iter::once("service.d".to_owned())).collect();
    let mut snippets: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for folder in UNITS {
        for folder in folders.iter().map(|name| Path::new(folder).join(name)) {
            for path in list(&folder).unwrap_or_default() {
                // Of two of the same name the first folder's counts; they are read in the order of their names.
                if let (Some(name), Some("conf")) = (path.file_name(), path.extension().and_then(OsStr::to_str)) {
                    snippets.entry(name.to_owned()).or_insert(path);
                }
            }
        }
    }
    let texts = std::iter::once(file).chain(snippets.into_values()).filter_map(|path| read(&path).ok().flatten());
    Some(texts.collect())
}

fn leads_to_the_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn expand(pattern: &Path) -> Result<Vec<PathBuf>, ObserveError> {
    let mut paths = vec![PathBuf::new()];
    for part in pattern.components() {
        paths = match part {
            Component::Normal(part) if glob::is_pattern(part.as_bytes()) => {
                paths.iter().flat_map(|folder| matching(folder, part)).take(MAX_ENTRIES + 1).collect()
            }
            part => paths.iter().map(|folder| folder.join(part)).collect(),
        };
        if paths.len() > MAX_ENTRIES {
            return Err(ObserveError::TooMuch(pattern.to_owned(), "4096 files"));
        }
    }
    Ok(paths)
}

/// A folder that cannot be listed has no matches for sshd either.
fn matching(folder: &Path, pattern: &OsStr) -> Vec<PathBuf> {
    let mut entries = list(folder).unwrap_or_default();
    entries.retain(|path| path.file_name().is_some_and(|name| glob::matches(pattern.as_bytes(), name.as_bytes())));
    entries
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, ObserveError> {
    let failed = |error| ObserveError::Io(folder.display().to_string(), error);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>().map_err(failed),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// The text of a regular file; nothing where there is none.
///
/// # Errors
/// Where it cannot be read, or is too large.
pub fn read(path: &Path) -> Result<Option<String>, ObserveError> {
    let failed = |error| ObserveError::Io(path.display().to_string(), error);
    // Not blocking: a FIFO must not hold an installation.
    let file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_LEN) {
        return Err(ObserveError::TooMuch(path.to_owned(), "1 MiB of text"));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("DIR", &dir.path().display().to_string())).unwrap();
        }
        dir
    }

    fn names(dir: &tempfile::TempDir, files: Result<Vec<ConfigFile>, ObserveError>) -> Vec<String> {
        let inside = |file: ConfigFile| file.path.strip_prefix(dir.path()).unwrap().display().to_string();
        let mut names: Vec<String> = files.unwrap().into_iter().map(inside).collect();
        names.sort();
        names
    }

    #[test]
    fn includes_are_followed_as_sshd_does() {
        let dir = folder(&[
            ("sshd_config", "\"Include\" DIR/teams/*/[jk]eys.c*nf\nInclude \"DIR/d/*.conf\"\nInclude DIR/gone\n"),
            ("teams/a/keys.conf", "Include DIR/deep\n"),
            ("teams/b/jeys.cnf", ""),
            ("teams/.hidden/keys.conf", ""),
            ("teams/c/other.conf", ""),
            ("d/50-a.conf", "Include DIR/sshd_config\n"),
            ("d/.50-b.conf", ""),
            ("deep", ""),
        ]);
        fs::create_dir(dir.path().join("d/folder.conf")).unwrap();
        let found = names(&dir, Tree::default().included(&dir.path().join("sshd_config")));
        assert_eq!(found, ["d/50-a.conf", "deep", "sshd_config", "teams/a/keys.conf", "teams/b/jeys.cnf"]);
    }

    #[test]
    fn what_a_match_block_includes_is_scoped() {
        let dir = folder(&[("main", "Include DIR/a\nMatch User x\nInclude DIR/b\n"), ("a", ""), ("b", "")]);
        let found = Tree::default().included(&dir.path().join("main")).unwrap();
        assert!(found.iter().all(|file| file.scoped == file.path.ends_with("b")), "{found:?}");
    }

    #[test]
    fn a_tree_can_be_looked_at_as_it_would_be() {
        let dir = folder(&[("main", "Include DIR/d/*.conf\n"), ("d/20.conf", "x"), ("d/30.conf", "y")]);
        let at = |name: &str| dir.path().join(name).display().to_string();
        let tree = Tree::default().with(&at("d/10.conf"), Some("new".to_owned())).with(&at("d/30.conf"), None);
        let tree = tree.with(&at("d/deep/10.conf"), Some(String::new())).with(&at("d/10.txt"), Some(String::new()));
        let expanded = tree.expand(&dir.path().join("d/*.conf")).unwrap();
        assert_eq!(expanded, [dir.path().join("d/10.conf"), dir.path().join("d/20.conf")]);
        let found = tree.included(&dir.path().join("main")).unwrap();
        assert!(found.iter().any(|file| file.text == "new") && found.iter().all(|file| file.text != "y"), "{found:?}");
    }

    #[test]
    fn too_much_is_an_error_not_silence() {
        let dir = folder(&[("x.conf", &"# long\n".repeat(200_000))]);
        let found = Tree::default().included(&dir.path().join("x.conf"));
        assert!(matches!(found, Err(ObserveError::TooMuch(..))));
    }
}
