//! Configuration: TOML text to a checked [`Config`]. Pure; [`load`] opens the files.
//!
//! Every value is checked when it is read, so that an error can name file, line and column, and nothing unchecked
//! travels further. Files are layers: what a later file sets replaces what an earlier one set, login by login and
//! key by key.

pub mod load;
mod raw;
pub mod reference;
mod values;

use iam_ssh_core::Principal;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use values::Endpoint;

/// The whole configuration, checked, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// S3 bucket that the sync publishes to; without it the package is inert.
    pub bucket: Option<String>,
    /// Account that must own the bucket.
    pub bucket_owner: Option<String>,
    /// The bucket's region; `None`: the instance's own.
    pub region: Option<String>,
    /// Key prefix inside the bucket, empty or ending in `/`.
    pub prefix: String,
    /// Another S3 and SSM endpoint than AWS's.
    pub endpoint: Option<Endpoint>,
    /// PEM file of the roots to trust instead of Amazon's.
    pub ca_bundle: Option<PathBuf>,
    /// Where credentials come from.
    pub credentials: CredentialSource,
    /// The instance metadata service.
    pub imds_endpoint: Endpoint,
    /// Time for a whole lookup.
    pub deadline: Duration,
    /// Whether a lookup may open a socket at all.
    pub network: bool,
    /// Age up to which the cache answers without asking.
    pub fresh_for: Duration,
    /// Age up to which the cache answers while AWS fails transiently.
    pub max_stale: Duration,
    /// The login users that are ours.
    pub logins: BTreeMap<String, Login>,
    /// What `iam-ssh wire` sets up.
    pub sshd: Sshd,
}

/// `[aws] credentials`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialSource {
    /// The instance role by IMDSv2, and nothing else.
    Instance,
    /// The SDK's default chain, which reads environment and home directory: for hosts outside EC2.
    DefaultChain,
}

/// `[login.<user>]`: whose keys open this login. The union of all sources counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// Named in the configuration itself.
    pub principals: Vec<Principal>,
    /// Named in a file.
    pub file: Option<PathBuf>,
    /// Named in an SSM parameter; `{role}` stands for the instance's role name.
    pub parameter: Option<String>,
    /// Named in an instance tag.
    pub tag: Option<String>,
}

/// `[sshd]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sshd {
    /// Put `SSH_KEY_OWNER` in the session's environment.
    pub user_environment: bool,
    /// Let `~/.ssh/rc` run for our keys.
    pub user_rc: bool,
    /// On a miss, ask the command that was effective before us.
    pub chain: bool,
    /// The PAM session hook.
    pub session_audit: bool,
    /// What happens to a connection that the hook could not record.
    pub audit: Audit,
}

/// `[sshd] audit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// It goes on.
    Optional,
    /// It is refused.
    Required,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bucket: None,
            bucket_owner: None,
            region: None,
            prefix: String::new(),
            endpoint: None,
            ca_bundle: None,
            credentials: CredentialSource::Instance,
            imds_endpoint: Endpoint::imds(),
            deadline: Duration::from_secs(2),
            network: true,
            fresh_for: Duration::from_secs(30),
            max_stale: Duration::from_secs(24 * 3600),
            logins: BTreeMap::new(),
            sshd: Sshd {
                user_environment: true,
                user_rc: false,
                chain: true,
                session_audit: true,
                audit: Audit::Optional,
            },
        }
    }
}

impl Config {
    /// Lays the settings of one file over this configuration.
    ///
    /// # Errors
    /// [`ConfigError`], naming `file`, line and column of what is wrong; `self` is then unchanged.
    pub fn layer(&mut self, file: &str, text: &str) -> Result<(), ConfigError> {
        raw::Layer::parse(file, text)?.apply(self);
        Ok(())
    }
}

/// What is wrong with a configuration file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file's path.
    pub file: String,
    /// Line and column, from 1; `None` where the file as a whole is meant.
    pub position: Option<(usize, usize)>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl ConfigError {
    pub(crate) fn at(file: &str, text: &str, offset: Option<usize>, what: impl fmt::Display) -> Self {
        // One line, whatever the parser's message looks like.
        let what = what.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let position = offset.map(|offset| {
            let before = text.get(..offset).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or_default().chars().count() + 1)
        });
        Self { file: file.to_owned(), position, what }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for ConfigError {}
