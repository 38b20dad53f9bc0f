//! Looks at the sshd of this system: its effective settings, its files, its units, its running processes.
//!
//! `sshd -T` alone is blind to `-o` on the daemon's command line (which is how EC2 Instance Connect hooks in on
//! Ubuntu) and to `Match` blocks of users it was not asked about; so files, units and processes are read as well. It
//! changes nothing, but lends sshd what its self-test needs and an image under construction lacks: a host key and
//! the privilege separation directory.

use super::{Effective, SSHD_CONFIG, Setting, command_by_option, includes, other_commands};
use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where sshd is installed.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];

/// Debian's compiled-in privilege separation directory; its unit makes it at start.
const PRIVSEP: &str = "/run/sshd";

/// Files and folders in which a unit, or the settings file of one, may hand options to sshd.
const UNITS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const OPTION_FILES: [&str; 2] = ["/etc/default/ssh", "/etc/sysconfig/sshd"];

/// Most files that are followed through `Include`.
const MAX_FILES: usize = 512;

/// Why sshd could not be asked.
#[derive(Debug)]
pub enum ObserveError {
    /// There is no sshd.
    NoSshd,
    /// sshd refuses its configuration as it is; what it says.
    Refused(String),
    /// Something could not be run or read; what, and why.
    Io(String, io::Error),
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

    /// `sshd -T` for a login of `user`.
    ///
    /// # Errors
    /// [`ObserveError::Refused`] with sshd's words.
    pub fn effective(&self, user: &str) -> Result<Effective, ObserveError> {
        let output = self.run(&["-T", "-C", &format!("user={user},host=localhost,addr=127.0.0.1")])?;
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
        Err(ObserveError::Refused(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
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

/// Every AuthorizedKeysCommand of somebody else that is configured anywhere on this system.
///
/// # Errors
/// Where sshd's own configuration cannot be read: then nothing can be said.
pub fn foreign_commands() -> Result<Vec<Setting>, ObserveError> {
    let mut found = in_configuration()?;
    for path in OPTION_FILES.iter().map(PathBuf::from).chain(units()) {
        if let Ok(text) = std::fs::read_to_string(&path) {
            found.extend(command_by_option(&path.display().to_string(), &text));
        }
    }
    found.extend(in_processes());
    Ok(found)
}

fn in_configuration() -> Result<Vec<Setting>, ObserveError> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::from(SSHD_CONFIG)];
    let mut seen = Vec::new();
    while let Some(path) = pending.pop() {
        if seen.contains(&path) || seen.len() >= MAX_FILES {
            continue;
        }
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ObserveError::Io(path.display().to_string(), error)),
        };
        found.extend(other_commands(&path, &text));
        pending.extend(includes(&text).iter().flat_map(|pattern| expand(pattern)));
        seen.push(path);
    }
    Ok(found)
}

/// The files of a glob pattern. Only `*` in the last part is read as sshd does; any other pattern is taken for the
/// whole folder, which can only find more.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let text = pattern.to_string_lossy();
    if !text.contains(['*', '?', '[']) {
        return vec![pattern.to_owned()];
    }
    let folder = pattern.ancestors().find(|p| !p.to_string_lossy().contains(['*', '?', '[']));
    let Some(entries) = folder.and_then(|folder| std::fs::read_dir(folder).ok()) else { return Vec::new() };
    let name = pattern.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let suffix = name.strip_prefix('*').filter(|s| !s.contains(['*', '?', '['])).unwrap_or_default().to_owned();
    entries.flatten().map(|e| e.path()).filter(|p| p.is_file() && p.to_string_lossy().ends_with(&suffix)).collect()
}

fn units() -> impl Iterator<Item = PathBuf> {
    let names = ["ssh.service", "sshd.service", "ssh@.service", "sshd@.service"];
    UNITS.iter().flat_map(move |dir| names.map(|name| Path::new(dir).join(name))).flat_map(|unit| {
        let snippets = std::fs::read_dir(unit.with_extension("service.d"));
        let snippets: Vec<PathBuf> = snippets.into_iter().flatten().flatten().map(|e| e.path()).collect();
        std::iter::once(unit).chain(snippets)
    })
}

fn in_processes() -> Vec<Setting> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    // Where an image is built in a chroot, the host's sshd is not the one that will run this image.
    let root = |path: &str| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let here = root("/");
    pids.filter_map(|pid| {
        let is_sshd = std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "sshd");
        let is_ours = is_sshd && root(&format!("/proc/{pid}/root/")) == here;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|_| is_ours)?;
        command_by_option(&format!("process {pid}"), &String::from_utf8_lossy(&line))
    })
    .collect()
}

impl fmt::Display for ObserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSshd => write!(f, "there is no sshd: install openssh-server"),
            Self::Refused(words) => write!(f, "sshd refuses its configuration: {words}"),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for ObserveError {}
