//! Opens the configuration files, in name order, and checks that nobody but root could have written them.
//!
//! No file at all is the inert package and not an error. A file that cannot be read or trusted is an error for the
//! whole configuration: carrying on without it could let in whom it would have kept out.

use super::{Config, ConfigError};
use crate::trusted::{self, Trust, TrustError};
use std::path::{Path, PathBuf};

/// Where the configuration lives.
pub const DIRECTORY: &str = "/etc/iam-ssh";

/// Loads `config.toml` and `config.d/*.toml` below `directory`.
///
/// # Errors
/// [`ConfigError`] for the first file that is not trusted, not readable or not right.
pub fn load(directory: &Path, trust: Trust) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    for path in files(directory)? {
        let name = path.display().to_string();
        match trusted::read(&path, trust) {
            Ok(text) => config.layer(&name, &text)?,
            Err(TrustError::Missing(_)) => {}
            // The message names the path itself.
            Err(why) => return Err(whole(&path, strip_path(&why.to_string(), &name))),
        }
    }
    Ok(config)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let snippets = directory.join("config.d");
    let mut files = Vec::new();
    match std::fs::read_dir(&snippets) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(|e| whole(&snippets, e))?.path();
                let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
                if !hidden && path.extension().is_some_and(|e| e == "toml") {
                    files.push(path);
                }
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(whole(&snippets, error)),
    }
    files.sort();
    files.insert(0, directory.join("config.toml"));
    Ok(files)
}

fn whole(path: &Path, what: impl std::fmt::Display) -> ConfigError {
    ConfigError::at(&path.display().to_string(), "", None, what)
}

fn strip_path(message: &str, path: &str) -> String {
    message.strip_prefix(path).and_then(|m| m.strip_prefix(": ")).unwrap_or(message).to_owned()
}
