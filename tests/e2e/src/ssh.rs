//! The client's side: ssh, scp, sftp and rsync with one key, and nothing of this machine's own ssh configuration.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use crate::keys::Key;
use crate::process::{Daemon, Outcome, command, run, text, unlinked};

/// One way to log in: a user, a key, options. Each call is a connection of its own.
#[derive(Clone, Debug)]
pub struct Login {
    user: String,
    host: String,
    options: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Login {
    pub(crate) fn new(user: &str, scratch: &Path) -> Self {
        let hosts = scratch.join("known_hosts");
        let mut login =
            Self { user: user.to_owned(), host: "127.0.0.1".to_owned(), options: Vec::new(), environment: Vec::new() };
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "PreferredAuthentications=publickey",
            "GlobalKnownHostsFile=none",
            "StrictHostKeyChecking=accept-new",
            "ConnectTimeout=20",
            "LogLevel=ERROR",
        ] {
            login = login.option(option);
        }
        login.option(&format!("UserKnownHostsFile={}", hosts.display()))
    }

    /// The same with the cheap key exchange: OpenSSH's first choice takes 130 ms, longer than the rest of a login.
    pub(crate) fn quick(self) -> Self {
        self.option("KexAlgorithms=curve25519-sha256")
    }

    /// Offers a key, after those already given.
    #[must_use]
    pub fn key(self, key: &Key) -> Self {
        let option = format!("IdentityFile={}", key.private().display());
        self.option(&option)
    }

    /// One more `-o`.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.options.extend(["-o".to_owned(), option.to_owned()]);
        self
    }

    /// Another value for an option, of which ssh takes the first that it is given.
    #[must_use]
    pub fn instead(mut self, option: &str) -> Self {
        self.options.splice(0..0, ["-o".to_owned(), option.to_owned()]);
        self
    }

    /// Authenticates by this method, with this password where it is asked for one; the script that says it is put beside the hosts.
    ///
    /// # Panics
    /// When the script cannot be written.
    #[must_use]
    pub fn password(self, method: &str, password: &str, directory: &Path) -> Self {
        let script = directory.join("askpass");
        // Not a file that is open for writing while another thread starts a process.
        run(
            command("install").args(["-m", "0755", "/dev/stdin"]).arg(&script),
            format!("#!/bin/sh\necho '{password}'\n").as_bytes(),
        )
        .expect_ok();
        self.instead("BatchMode=no")
            .instead(&format!("PreferredAuthentications={method}"))
            .env("SSH_ASKPASS", &script.to_string_lossy())
            .env("SSH_ASKPASS_REQUIRE", "force")
    }

    /// Connects to another address of the machine.
    #[must_use]
    pub fn at(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// A variable in the client's own environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Logs in and runs a command.
    #[must_use]
    pub fn run(&self, remote: &str) -> Outcome {
        self.run_with(&[], remote, b"")
    }

    /// The same with flags for ssh (`-tt`) and input for the command.
    #[must_use]
    pub fn run_with(&self, flags: &[&str], remote: &str, input: &[u8]) -> Outcome {
        let mut arguments: Vec<&str> = flags.to_vec();
        let target = self.target();
        arguments.extend([target.as_str(), remote]);
        self.client("ssh", &arguments, input)
    }

    /// Starts `ssh` with these flags and, unless it is empty, this command, and lets it run until it is dropped.
    #[must_use]
    pub fn start(&self, flags: &[&str], remote: &str) -> Client {
        let said = unlinked();
        let mut ssh = self.base("ssh");
        ssh.args(["-F", "none"]).args(&self.options).args(flags).arg(self.target());
        ssh.args((!remote.is_empty()).then_some(remote));
        Client { daemon: Daemon::start(&mut ssh, &said), said }
    }

    /// The bare `ssh` for a remote command, for those who take its time themselves.
    #[must_use]
    pub fn command(&self, remote: &str) -> Command {
        let mut ssh = self.base("ssh");
        ssh.args(["-F", "none"]).args(&self.options).args([self.target().as_str(), remote]);
        ssh
    }

    /// `scp`; `remote:` in front of a path stands for the machine.
    #[must_use]
    pub fn scp(&self, arguments: &[&str]) -> Outcome {
        self.transfer("scp", arguments)
    }

    /// `sftp` in batch mode, with these commands.
    #[must_use]
    pub fn sftp(&self, batch: &str) -> Outcome {
        self.client("sftp", &["-q", "-b", "-", &self.target()], batch.as_bytes())
    }

    /// `rsync` over this login; `remote:` in front of a path stands for the machine.
    #[must_use]
    pub fn rsync(&self, arguments: &[&str]) -> Outcome {
        let shell = format!("ssh -F none {}", self.options.join(" "));
        let mut rsync = self.base("rsync");
        rsync.args(["-e", &shell]).args(self.resolve(arguments));
        run(&mut rsync, b"")
    }

    fn transfer(&self, program: &str, arguments: &[&str]) -> Outcome {
        let resolved = self.resolve(arguments);
        let arguments: Vec<&str> = resolved.iter().map(String::as_str).collect();
        self.client(program, &arguments, b"")
    }

    fn client(&self, program: &str, arguments: &[&str], input: &[u8]) -> Outcome {
        run(self.base(program).args(["-F", "none"]).args(&self.options).args(arguments), input)
    }

    fn base(&self, program: &str) -> Command {
        let mut command = command(program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn resolve(&self, arguments: &[&str]) -> Vec<String> {
        let remote = format!("{}:", self.target());
        arguments
            .iter()
            .map(|argument| {
                argument.strip_prefix("remote:").map_or((*argument).to_owned(), |path| format!("{remote}{path}"))
            })
            .collect()
    }

    fn target(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }
}

/// An `ssh` that runs; it is killed with this value.
#[derive(Debug)]
pub struct Client {
    daemon: Daemon,
    said: File,
}

impl Client {
    /// What it said so far.
    #[must_use]
    pub fn said(&self) -> String {
        text(&self.said)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.daemon.ended().is_some()
    }
}

impl Outcome {
    /// Whether sshd refused the keys (and not: something else went wrong).
    #[must_use]
    pub fn refused(&self) -> bool {
        self.status.code() == Some(255) && self.stderr.contains("Permission denied (publickey")
    }
}
