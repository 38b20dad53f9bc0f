//! Finds and reads the files that may configure sshd: what it includes, what lies below `/etc/ssh`, its units.
//!
//! Whatever cannot be read, or is too much to read, is an error: a file that was left out might hold a setting that
//! wiring would replace.

use super::ObserveError;
use crate::sshd::config::{ConfigFile, includes};
use crate::sshd::glob;
use nix::fcntl::OFlag;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

/// Most files that are followed through `Include`.
const MAX_FILES: usize = 512;
/// Most entries and levels of `/etc/ssh`.
const MAX_ENTRIES: usize = 4096;
const MAX_DEPTH: usize = 8;
/// Largest file that is read, in bytes.
const MAX_LEN: u64 = 1024 * 1024;

/// Folders of units, in which a unit may hand options to sshd; and files that its unit takes options from.
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
const OPTION_FILES: [&str; 2] = ["/etc/default/ssh", "/etc/sysconfig/sshd"];

/// A configuration file and all that it includes, as sshd finds them.
///
/// # Errors
/// Where one cannot be read, or there are too many.
pub fn included(main: &Path) -> Result<Vec<ConfigFile>, ObserveError> {
    let mut found: Vec<ConfigFile> = Vec::new();
    let mut pending = vec![(main.to_owned(), false)];
    while let Some((path, scoped)) = pending.pop() {
        if found.iter().any(|file| file.path == path && file.scoped == scoped) {
            continue;
        }
        let Some(text) = read(&path)? else { continue };
        if found.len() >= MAX_FILES {
            return Err(ObserveError::TooMuch(main.to_owned(), "512 included files"));
        }
        for (pattern, in_match) in includes(&text) {
            pending.extend(expand(&pattern)?.into_iter().map(|path| (path, scoped || in_match)));
        }
        found.push(ConfigFile { path, text, scoped });
    }
    Ok(found)
}

/// Every file below a folder that is named like sshd's configuration, whether anything includes it or not.
///
/// # Errors
/// Where one cannot be read, or there are too many.
pub fn below(folder: &Path) -> Result<Vec<ConfigFile>, ObserveError> {
    let mut found = Vec::new();
    let mut entries = 0;
    let mut pending = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = pending.pop() {
        if depth > MAX_DEPTH {
            return Err(ObserveError::TooMuch(folder, "8 levels of folders above it"));
        }
        for entry in list(&folder)? {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(ObserveError::TooMuch(folder, "4096 entries in and above it"));
            }
            let name = entry.file_name().unwrap_or_default();
            // A link to a folder is not followed: it may lead anywhere. What sshd includes through it is found.
            if entry.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                pending.push((entry, depth + 1));
            } else if (name == "sshd_config" || name.as_bytes().ends_with(b".conf"))
                && let Some(text) = read(&entry)?
            {
                found.push(ConfigFile { path: entry, text, scoped: false });
            }
        }
    }
    Ok(found)
}

/// sshd's units and their settings files. What cannot be read is left out: systemd cannot read it either.
#[must_use]
pub fn units() -> Vec<ConfigFile> {
    let units = UNITS.iter().flat_map(|folder| UNIT_NAMES.map(|name| Path::new(folder).join(name)));
    // `service.d` is for all services.
    let snippets = units.clone().map(|unit| unit.with_extension("service.d"));
    let snippets = snippets.chain(UNITS.iter().map(|folder| Path::new(folder).join("service.d")));
    let snippets = snippets.filter_map(|folder| list(&folder).ok()).flatten();
    let paths = OPTION_FILES.iter().map(PathBuf::from).chain(units.clone()).chain(snippets);
    let file = |path: PathBuf| Some(ConfigFile { text: read(&path).ok()??, path, scoped: false });
    paths.filter_map(file).collect()
}

/// The paths that match a pattern, by glob(3)'s rules: a wildcard stands for part of one name, in any part of the path.
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
fn read(path: &Path) -> Result<Option<String>, ObserveError> {
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
        let found = names(&dir, included(&dir.path().join("sshd_config")));
        assert_eq!(found, ["d/50-a.conf", "deep", "sshd_config", "teams/a/keys.conf", "teams/b/jeys.cnf"]);
    }

    #[test]
    fn what_a_match_block_includes_is_scoped() {
        let dir = folder(&[("main", "Include DIR/a\nMatch User x\nInclude DIR/b\n"), ("a", ""), ("b", "")]);
        let found = included(&dir.path().join("main")).unwrap();
        assert!(found.iter().all(|file| file.scoped == file.path.ends_with("b")), "{found:?}");
    }

    #[test]
    fn the_net_finds_what_nothing_includes() {
        let dir = folder(&[
            ("sshd_config", ""),
            ("teams/a/b/keys.conf", ""),
            (".hidden/x.conf", ""),
            ("teams/sshd_config", ""),
            ("moduli", ""),
            ("sshd_config.dpkg-old", ""),
        ]);
        let found = names(&dir, below(dir.path()));
        assert_eq!(found, [".hidden/x.conf", "sshd_config", "teams/a/b/keys.conf", "teams/sshd_config"]);
    }

    #[test]
    fn too_much_is_an_error_not_silence() {
        let dir = folder(&[("1/2/3/4/5/6/7/8/9/x.conf", "")]);
        assert!(matches!(below(dir.path()), Err(ObserveError::TooMuch(..))));
        let dir = folder(&[("x.conf", &"# long\n".repeat(200_000))]);
        assert!(matches!(below(dir.path()), Err(ObserveError::TooMuch(..))));
        assert!(matches!(included(&dir.path().join("x.conf")), Err(ObserveError::TooMuch(..))));
    }
}
