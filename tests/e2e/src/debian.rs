//! A Debian system that commands can be run in, files written to, and the package installed into; chroot or booted.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use crate::cached::AS_LOOKUP;
use crate::inputs;
use crate::process::{Outcome, command, run};
use crate::ssh::Login;
use crate::wait::eventually;

/// The drop-in that `iam-ssh wire` writes.
pub const DROP_IN: &str = "/etc/ssh/sshd_config.d/05-iam-ssh.conf";
/// The script that sshd runs at the beginning of every session.
pub const SSHRC: &str = "/etc/ssh/sshrc";
/// sshd's main configuration file.
pub const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";

/// A system's file tree and the way into it.
#[derive(Debug)]
pub struct Debian {
    scratch: PathBuf,
    root: PathBuf,
    enter: Vec<String>,
}

impl Debian {
    /// `enter` is the command that runs what follows it inside.
    pub(crate) fn new(scratch: &Path, root: &Path, enter: Vec<String>) -> Self {
        Self { scratch: scratch.to_owned(), root: root.to_owned(), enter }
    }

    /// The command that runs what follows it inside.
    pub(crate) fn enter(&self) -> &[String] {
        &self.enter
    }

    /// Where its files are, seen from outside.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs a shell command as root.
    #[must_use]
    pub fn run(&self, script: &str) -> Outcome {
        self.run_with(script, b"")
    }

    /// The same with input.
    #[must_use]
    pub fn run_with(&self, script: &str, input: &[u8]) -> Outcome {
        let mut inside = command(&self.enter[0]);
        inside.args(&self.enter[1..]).args(["/usr/bin/env", "-i", "HOME=/root", "TERM=dumb", "LC_ALL=C.UTF-8"]);
        inside.args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "/bin/bash", "-c", script]);
        let mut outcome = run(&mut inside, input);
        script.clone_into(&mut outcome.command);
        outcome
    }

    /// Runs a shell command and returns what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.run(script).expect_ok().to_owned()
    }

    /// Writes a file, and the directories above it.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) {
        let file = self.path(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Reads a file, if it is there.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read(self.path(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A path inside, seen from outside.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Creates a login user with a home directory and no password.
    pub fn add_user(&self, user: &str) {
        self.run(&format!("useradd --create-home --shell /bin/bash '{user}'")).expect_ok();
    }

    /// Makes a key log a user in without iam-ssh.
    pub fn authorize(&self, user: &str, line: &str) {
        self.write(&format!("/home/{user}/.ssh/authorized_keys"), format!("{line}\n"), 0o600);
        self.run(&format!("chmod 700 ~{user}/.ssh && chown -R {user}: ~{user}/.ssh")).expect_ok();
    }

    /// Installs the package under test, as an administrator does.
    #[must_use]
    pub fn install(&self) -> Outcome {
        self.install_deb(&inputs::deb(), "")
    }

    /// Installs another package, or another version of it, with these further options for apt.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn install_deb(&self, deb: &Path, options: &str) -> Outcome {
        std::fs::copy(deb, self.path("/root/iam-ssh.deb")).expect("a copy of the package");
        self.run(&format!("DEBIAN_FRONTEND=noninteractive apt-get install -q -y {options} /root/iam-ssh.deb 2>&1"))
    }

    /// The same by dpkg alone, which is quicker: also an older version, or the same one again. Edited configuration files stay.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn dpkg_install(&self, deb: &Path) -> Outcome {
        std::fs::copy(deb, self.path("/root/iam-ssh.deb")).expect("a copy of the package");
        self.run("DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold -i /root/iam-ssh.deb 2>&1")
    }

    /// Removes it; its configuration stays.
    #[must_use]
    pub fn remove(&self) -> Outcome {
        self.run("DEBIAN_FRONTEND=noninteractive apt-get remove -q -y iam-ssh 2>&1")
    }

    /// Removes it and its configuration.
    #[must_use]
    pub fn purge(&self) -> Outcome {
        self.run("DEBIAN_FRONTEND=noninteractive apt-get purge -q -y iam-ssh 2>&1")
    }

    /// Writes the package's configuration.
    pub fn configure(&self, toml: &str) {
        self.write("/etc/iam-ssh/config.toml", toml, 0o644);
    }

    /// Calls the lookup as sshd does: as its own user, with an environment of almost nothing.
    #[must_use]
    pub fn lookup(&self, arguments: &[&str]) -> Outcome {
        let quoted: Vec<String> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
        self.run(&format!("cd / && exec {AS_LOOKUP} /usr/libexec/iam-ssh/authorized-keys {}", quoted.join(" ")))
    }

    /// A client of this system's sshd.
    #[must_use]
    pub fn login(&self, user: &str) -> Login {
        self.client(user).quick()
    }

    /// The same with the key exchange that such a client prefers, for measurements.
    #[must_use]
    pub fn client(&self, user: &str) -> Login {
        Login::new(user, &self.scratch)
    }

    /// Waits until sshd greets.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_sshd(&self) {
        use std::io::Read;
        eventually("sshd's banner on port 22", || {
            let mut stream = std::net::TcpStream::connect("127.0.0.1:22").ok()?;
            stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).ok()?;
            let mut banner = [0; 8];
            stream.read_exact(&mut banner).ok()?;
            banner.starts_with(b"SSH-2.0-").then_some(())
        });
    }
}

/// A root file system of one's own: all that is written to it stays in `directory`, which must be this world's.
pub(crate) fn overlay(suite: inputs::Suite, directory: &Path) -> PathBuf {
    let [upper, work, root] = ["upper", "work", "root"].map(|name| directory.join(name));
    for made in [&upper, &work, &root] {
        std::fs::create_dir_all(made).unwrap();
    }
    let layers = format!(
        "lowerdir={},upperdir={},workdir={}",
        inputs::root_of(suite).display(),
        upper.display(),
        work.display()
    );
    mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(layers.as_str())).expect("an overlay");
    root
}
