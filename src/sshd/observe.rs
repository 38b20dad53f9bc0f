//! Looks at the sshd of this system: its effective settings, its files, its units, its running processes.
//!
//! `sshd -T` alone is blind to `-o` on the daemon's command line (which is how EC2 Instance Connect hooks in on
//! Ubuntu) and to `Match` blocks of users it was not asked about; so files, units and processes are read as well. It
//! changes nothing, but lends sshd what its self-test needs and an image under construction lacks: a host key and
//! the privilege separation directory.

pub mod files;
pub mod processes;

use super::config::{ConfigFile, other_commands};
use super::{Effective, SSH_FOLDER, SSHD_CONFIG, Setting, shown};
use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where sshd is installed.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];

/// Debian's compiled-in privilege separation directory; its unit makes it at start.
const PRIVSEP: &str = "/run/sshd";

/// Why sshd could not be asked.
#[derive(Debug)]
pub enum ObserveError {
    /// There is no sshd.
    NoSshd,
    /// sshd refuses its configuration as it is; what it says, escaped.
    Refused(String),
    /// Something could not be run or read; what, and why.
    Io(String, io::Error),
    /// There is more below this path than is read; how much that is.
    TooMuch(PathBuf, &'static str),
}

/// The system's sshd.
#[derive(Debug)]
pub struct Sshd {
    program: PathBuf,
    /// A host key lent for the self-test; removed with the folder.
    lent: Option<Lent>,
    made_privsep: bool,
}

#[derive(Debug)]
struct Lent(PathBuf);

impl Sshd {
    /// Finds sshd and whatever it takes to make it test its configuration.
    ///
    /// # Errors
    /// [`ObserveError`], where there is none, or it refuses its configuration even so.
    pub fn find() -> Result<Self, ObserveError> {
        let program = SSHD.iter().map(PathBuf::from).find(|p| p.exists()).ok_or(ObserveError::NoSshd)?;
        let mut sshd = Self { program, lent: None, made_privsep: false };
        if sshd.test().is_ok() {
            return Ok(sshd);
        }
        if !Path::new(PRIVSEP).exists() {
            sshd.made_privsep = std::fs::DirBuilder::new().mode(0o755).create(PRIVSEP).is_ok();
        }
        if sshd.test().is_err() {
            sshd.lent = Some(Lent::new()?);
        }
        sshd.test().map(|()| sshd)
    }

    /// `sshd -t`: whether sshd would start.
    ///
    /// # Errors
    /// [`ObserveError::Refused`] with sshd's words.
    pub fn test(&self) -> Result<(), ObserveError> {
        self.run(&["-t"]).map(|_| ())
    }

    /// `sshd -T` for a login of `user`. Every criterion that a `Match` can name must be given, or sshd refuses.
    ///
    /// # Errors
    /// [`ObserveError::Refused`] with sshd's words.
    pub fn effective(&self, user: &str) -> Result<Effective, ObserveError> {
        let login = format!("user={user},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22");
        let output = self.run(&["-T", "-C", &login])?;
        Ok(Effective::new(&String::from_utf8_lossy(&output.stdout)))
    }

    fn run(&self, args: &[&str]) -> Result<Output, ObserveError> {
        let mut command = Command::new(&self.program);
        command.args(args);
        if let Some(Lent(dir)) = &self.lent {
            command.arg("-h").arg(dir.join("key"));
        }
        let output = command.output().map_err(|e| ObserveError::Io(self.program.display().to_string(), e))?;
        if output.status.success() {
            return Ok(output);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = words.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        Err(ObserveError::Refused(shown(&lines.join("; "))))
    }
}

impl Lent {
    fn new() -> Result<Self, ObserveError> {
        let dir = PathBuf::from(format!("/run/iam-ssh-wire.{}", std::process::id()));
        let failed = |e| ObserveError::Io(dir.display().to_string(), e);
        std::fs::DirBuilder::new().mode(0o700).create(&dir).map_err(failed)?;
        let lent = Self(dir.clone());
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(dir.join("key"))
            .output()
            .map_err(|e| ObserveError::Io("ssh-keygen".to_owned(), e))?;
        Ok(lent)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if self.made_privsep {
            // Fails where a daemon has begun to use it, and then it stays.
            let _ = std::fs::remove_dir(PRIVSEP);
        }
    }
}

/// The configuration files that sshd reads.
///
/// # Errors
/// Where one cannot be read: then nothing can be said about sshd.
pub fn configuration() -> Result<Vec<ConfigFile>, ObserveError> {
    files::included(Path::new(SSHD_CONFIG))
}

/// Every AuthorizedKeysCommand of somebody else that is configured anywhere on this system: in `configuration`, in
/// any file below `/etc/ssh` that could become part of it, in units, in running daemons.
///
/// # Errors
/// Where a file below `/etc/ssh` cannot be read.
pub fn foreign_commands(configuration: &[ConfigFile]) -> Result<Vec<Setting>, ObserveError> {
    let nearby = files::below(Path::new(SSH_FOLDER))?;
    let units = files::units();
    let mut found: Vec<Setting> = Vec::new();
    for file in configuration.iter().chain(&nearby).chain(&units) {
        for setting in other_commands(&file.path, &file.text) {
            // Most files are seen twice: included, and below /etc/ssh.
            if !found.contains(&setting) {
                found.push(setting);
            }
        }
    }
    found.extend(processes::other_commands(&SSHD));
    Ok(found)
}

impl fmt::Display for ObserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSshd => write!(f, "there is no sshd: install openssh-server"),
            Self::Refused(words) => write!(f, "sshd refuses its configuration: {words}"),
            Self::Io(what, error) => write!(f, "{}: {error}", shown(what)),
            Self::TooMuch(path, limit) => {
                write!(
                    f,
                    "{} has more than {limit}, too much to look for other settings",
                    shown(&path.to_string_lossy())
                )
            }
        }
    }
}

impl std::error::Error for ObserveError {}
