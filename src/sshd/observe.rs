//! Looks at the sshd of this system: its effective settings, its files, its units, its running processes.
//!
//! `sshd -T` alone is blind to `-o` on the daemon's command line (which is how EC2 Instance Connect hooks in on
//! Ubuntu) and to `Match` blocks of users it was not asked about; so files, units and processes are read as well. It
//! changes nothing, but lends sshd what its self-test needs and an image under construction lacks: a host key and
//! the privilege separation directory.

pub mod copy;
pub mod files;
pub mod processes;

use super::{Effective, Setting, shown, unit};
use copy::Copy;
use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where sshd is installed.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];

/// Where folders for a short time are made; a reboot empties it.
pub const RUN: &str = "/run";
/// How their names begin.
pub const SCRATCH: &str = "iam-ssh-wire.d.";

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
    program: &'static str,
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
        let program = SSHD.into_iter().find(|path| Path::new(path).exists()).ok_or(ObserveError::NoSshd)?;
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

    /// The path of its program.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// `sshd -t`: whether sshd would start.
    ///
    /// # Errors
    /// [`ObserveError::Refused`] with sshd's words.
    pub fn test(&self) -> Result<(), ObserveError> {
        self.run(&["-t"]).map(|_| ())
    }

    /// The same with a copy of its configuration.
    ///
    /// # Errors
    /// [`ObserveError::Refused`] with sshd's words.
    pub fn test_copy(&self, copy: &Copy) -> Result<(), ObserveError> {
        self.run(&["-t", "-f", &copy.main().to_string_lossy()]).map(|_| ())
    }

    /// `sshd -T` for a login of `user`.
    ///
    /// # Errors
    /// [`ObserveError::Refused`] with sshd's words.
    pub fn effective(&self, user: &str) -> Result<Effective, ObserveError> {
        self.settings(user, &[])
    }

    /// The same with a copy of its configuration, and with a daemon's `-o`.
    ///
    /// # Errors
    /// [`ObserveError::Refused`] with sshd's words.
    pub fn effective_in(&self, copy: &Copy, options: &[String], user: &str) -> Result<Effective, ObserveError> {
        let main = copy.main().to_string_lossy();
        let options = options.iter().flat_map(|option| ["-o", option]);
        self.settings(user, &["-f", &main].into_iter().chain(options).collect::<Vec<_>>())
    }

    /// Every criterion that a `Match` can name must be given, or sshd refuses.
    fn settings(&self, user: &str, args: &[&str]) -> Result<Effective, ObserveError> {
        let login = format!("user={user},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22");
        let output = self.run(&[&["-T", "-C", &login], args].concat())?;
        Ok(Effective::new(&String::from_utf8_lossy(&output.stdout)))
    }

    fn run(&self, args: &[&str]) -> Result<Output, ObserveError> {
        let mut command = Command::new(self.program);
        command.args(args);
        if let Some(Lent(dir)) = &self.lent {
            command.arg("-h").arg(dir.join("key"));
        }
        let output = command.output().map_err(|e| ObserveError::Io(self.program.to_owned(), e))?;
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
        let dir = PathBuf::from(format!("{RUN}/{SCRATCH}key.{}", std::process::id()));
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

/// The `-o` about AuthorizedKeysCommand that a daemon gets: by its unit or, where no unit has any, by what a running one
/// shows.
///
/// # Errors
/// Where and what, if there is something that cannot be understood.
pub fn daemon_options() -> Result<Vec<String>, Setting> {
    const KEYWORD: &str = "authorizedkeyscommand";
    let read = |path: &str| files::read(Path::new(path)).ok().flatten();
    for (name, texts) in files::units() {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let unit::Options { mut values, file } = unit::options(&texts, read);
        values.retain(|option| option.to_ascii_lowercase().trim_start().starts_with(KEYWORD));
        let unclear = |value: &str| Setting { place: name.clone(), value: value.to_owned() };
        if let Some(file) = file {
            return Err(unclear(&format!("-f {file}")));
        }
        let is_comment = |line: &&str| line.trim_start().starts_with(['#', ';']);
        let mut lines = texts.iter().flat_map(|text| text.lines()).filter(|line| !is_comment(line));
        if values.is_empty()
            && let Some(line) = lines.find(|line| line.to_ascii_lowercase().contains(KEYWORD))
        {
            return Err(unclear(line.trim()));
        }
        if !values.is_empty() {
            return Ok(values);
        }
    }
    processes::options(&SSHD)
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
