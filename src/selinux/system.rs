//! SELinux on this system: what is to be seen of it, and the programs that change it.

use super::{MODULE, Mode, NAME, PRIORITY, Seen, Use, setting};
use crate::booted;
use crate::cache::store::DIRECTORY as CACHE;
use crate::record::secret::DIRECTORY as SECRET;
use crate::sessions::RUN;
use iam_ssh_core::text::escape;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Present while the kernel has a policy (selinuxfs).
const RUNNING: &str = "/sys/fs/selinux/enforce";
const CONFIG: &str = "/etc/selinux/config";
/// Where policies are stored; the second where /var is not part of the system's image (semanage.conf(5), store-root).
const STORES: [&str; 2] = ["/var/lib/selinux", "/etc/selinux"];
/// How much of a program's complaint is shown.
const SHOWN: usize = 500;
/// The text that was put in last. The store's own copy is compressed.
const LAST: &str = "/var/lib/iam-ssh/selinux.cil";

/// Puts the module in where SELinux is used, and labels the cache and the records' folders. Returns lines for people.
#[must_use]
pub fn install(mode: Mode) -> Vec<String> {
    let seen = look();
    let usage = seen.usage();
    if usage == Use::None {
        return Vec::new();
    }
    let text = match fs::read_to_string(MODULE) {
        Ok(text) => text,
        Err(error) => return vec![format!("the SELinux module cannot be installed: {MODULE}: {error}")],
    };
    if !seen.semodule {
        let why = "SELinux is on, but there is no semodule to install a module with, so sshd may be denied lookups";
        return vec![format!("{why}: install policycoreutils, then run `iam-ssh wire`")];
    }
    let mut lines = Vec::new();
    if !seen.holds(&text) {
        let command = semodule(usage, &["-X", PRIORITY, "-i", MODULE]);
        if mode == Mode::DryRun {
            return vec![format!("would install the SELinux module {NAME}: {command}")];
        }
        match command.run().and_then(|()| remember(&text)) {
            Ok(()) => lines.push(format!("installed the SELinux module {NAME}")),
            Err(why) => {
                return vec![format!(
                    "the SELinux module {NAME} was not installed, so sshd may be denied what a lookup needs: {why}"
                )];
            }
        }
    }
    // An image is labelled when it is finished, or when it boots.
    if usage == Use::Running && mode == Mode::Real {
        for folder in [CACHE, SECRET, RUN].into_iter().filter(|folder| Path::new(folder).exists()) {
            let label = Tool::new("restorecon", &["-R", folder]);
            lines.extend(label.run().err().map(|why| format!("{folder} could not be labelled for SELinux: {why}")));
        }
    }
    lines
}

/// Takes the module out again, where it is in. Returns lines for people.
#[must_use]
pub fn remove(mode: Mode) -> Vec<String> {
    let seen = look();
    let mut lines = Vec::new();
    if seen.stored {
        let command = semodule(seen.usage(), &["-X", PRIORITY, "-r", NAME]);
        if mode == Mode::DryRun {
            return vec![format!("would remove the SELinux module {NAME}: {command}")];
        }
        lines.push(match command.run() {
            Ok(()) => format!("removed the SELinux module {NAME}"),
            Err(why) => format!("the SELinux module {NAME} was not removed: {why}"),
        });
    }
    if mode == Mode::Real {
        let _ = fs::remove_file(LAST);
    }
    lines
}

fn look() -> Seen {
    let config = fs::read_to_string(CONFIG).ok();
    let stored = |policy: &str| {
        STORES
            .iter()
            .any(|store| Path::new(store).join(policy).join("active/modules").join(PRIORITY).join(NAME).exists())
    };
    let policy = config.as_deref().and_then(|config| setting(config, "SELINUXTYPE")).unwrap_or("targeted");
    Seen {
        // The host's, where an image is made in a chroot.
        running: Path::new(RUNNING).exists() && booted::is_running_from_here(),
        stored: stored(policy),
        semodule: find("semodule").is_some(),
        last: fs::read_to_string(LAST).ok(),
        config,
    }
}

fn remember(text: &str) -> Result<(), String> {
    let last = Path::new(LAST);
    // The folder is root's alone.
    let made = last.parent().map_or(Ok(()), |folder| DirBuilder::new().mode(0o700).recursive(true).create(folder));
    made.and_then(|()| fs::write(last, text)).map_err(|error| format!("{LAST}: {error}"))
}

/// semodule, which leaves the kernel alone where that is not the one of the system that is changed.
fn semodule(usage: Use, arguments: &[&'static str]) -> Tool {
    let mut tool = Tool::new("semodule", arguments);
    if usage != Use::Running {
        tool.arguments.insert(0, "-n");
    }
    tool
}

/// A program of the system's, and how it is called.
struct Tool {
    name: &'static str,
    arguments: Vec<&'static str>,
}

impl Tool {
    fn new(name: &'static str, arguments: &[&'static str]) -> Self {
        Self { name, arguments: arguments.to_vec() }
    }

    /// Runs it; its own words where it fails.
    fn run(&self) -> Result<(), String> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let program = find(self.name).ok_or_else(missing);
        let output =
            program.and_then(|program| Command::new(program).args(&self.arguments).stdin(Stdio::null()).output());
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!("{self}: {}", escape(output.stderr.trim_ascii(), SHOWN))),
            Err(error) => Err(format!("{self}: {error}")),
        }
    }
}

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.arguments.join(" "))
    }
}

fn find(program: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/sbin"].iter().map(|folder| Path::new(folder).join(program)).find(|path| path.exists())
}
