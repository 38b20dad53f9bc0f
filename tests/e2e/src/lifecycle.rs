//! A package's life seen from outside: other versions of it, what a system's files and sshd's settings are before and after, and logins
//! and sessions that go on meanwhile.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::debian::Debian;
use crate::inputs;
use crate::process::{Outcome, command, run, text, unlinked};
use crate::ssh::Login;
use crate::wait::eventually;
use crate::world::World;

/// For apt: a configuration file that the administrator has edited stays, also where its default changed. Without a terminal, dpkg would
/// ask and give up.
pub const KEEP_EDITED: &str = "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold";

/// Leaves a process of the lookup's user behind, which goes on for a moment after the package's files are gone.
pub const UNDER_WAY: &str = "setpriv --reuid iam-ssh --regid iam-ssh --clear-groups \
    /bin/sh -c 'while [ -e /usr/bin/iam-ssh ]; do sleep 0.05; done; sleep 2' </dev/null >/dev/null 2>&1 &";

/// The package under test under another version number, with `edit` done to its unpacked tree. Made anew at each call.
///
/// # Panics
/// When it cannot be made.
pub fn repacked(world: &World, version: &str, edit: impl FnOnce(&Path)) -> PathBuf {
    let tree = world.scratch().join(format!("repacked-{version}"));
    let deb = tree.with_extension("deb");
    run(command("dpkg-deb").arg("-R").arg(inputs::deb()).arg(&tree), b"").expect_ok();
    let control = tree.join("DEBIAN/control");
    let old = std::fs::read_to_string(&control).unwrap();
    let fields = old
        .lines()
        .map(|line| if line.starts_with("Version:") { format!("Version: {version}") } else { line.to_owned() });
    std::fs::write(&control, fields.map(|line| line + "\n").collect::<String>()).unwrap();
    edit(&tree);
    // Uncompressed: it is installed at once.
    run(command("dpkg-deb").args(["-Znone", "-b"]).arg(&tree).arg(&deb), b"").expect_ok();
    std::fs::remove_dir_all(&tree).unwrap();
    deb
}

/// Files of a system: of each its kind, owner, mode and target, and its content's checksum where that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files(BTreeMap<String, String>);

impl Files {
    /// Every file of these file systems, without contents. That one of them goes meanwhile is no failure.
    #[must_use]
    pub fn listed(debian: &Debian, below: &str) -> Self {
        let list = debian.sh(&format!("find {below} -xdev -ignore_readdir_race -printf '%p\\t%y %U:%G %m %l\\n'"));
        Self(
            list.lines()
                .map(|line| line.split_once('\t').unwrap())
                .map(|(path, is)| (path.to_owned(), is.to_owned()))
                .collect(),
        )
    }

    /// The same with contents.
    #[must_use]
    pub fn read(debian: &Debian, below: &str) -> Self {
        let mut files = Self::listed(debian, below);
        for line in
            debian.sh(&format!("find {below} -xdev -type f -exec sha256sum --zero {{}} +")).split_terminator('\0')
        {
            let (sum, path) = line.split_once("  ").unwrap();
            files.0.get_mut(path).unwrap_or_else(|| panic!("{path} appeared while it was read")).push_str(sum);
        }
        files
    }

    /// Without those files.
    #[must_use]
    pub fn without(mut self, left_out: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|path, _| !left_out(path));
        self
    }

    /// What differs, one line a file; empty where nothing does.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (path, is) in &self.0 {
            match before.0.get(path) {
                None => changes.push(format!("new: {path} {is}")),
                Some(was) if was != is => changes.push(format!("changed: {path} {was} -> {is}")),
                Some(_) => {}
            }
        }
        changes.extend(before.0.keys().filter(|path| !self.0.contains_key(*path)).map(|path| format!("gone: {path}")));
        changes
    }
}

/// Every file below /etc/ssh, with contents: what must be byte by byte as before.
#[must_use]
pub fn ssh_files(debian: &Debian) -> Files {
    Files::read(debian, "/etc/ssh")
}

/// sshd's effective settings, for root and for a login user.
#[must_use]
pub fn sshd_settings(debian: &Debian) -> String {
    debian.sh("for user in root ec2-user; do sshd -T -C user=$user,host=client,addr=127.0.0.1 || exit; done")
}

impl Debian {
    /// Runs a shell command that is killed when it is about to make the call number `point` of these system calls, counted for each of
    /// its processes.
    #[must_use]
    pub fn run_killed_at(&self, calls: &str, point: usize, script: &str) -> Outcome {
        let inject = format!("inject={calls}:signal=KILL:when={point}");
        let mut strace = command("strace");
        strace
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject])
            .args(self.enter());
        run(strace.args(["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "/bin/bash", "-c", script]), b"")
    }
}

/// A session that stays open until it is asked whether it still is.
#[derive(Debug)]
pub struct Session {
    client: Child,
    output: std::fs::File,
}

impl Session {
    /// Logs in and waits until the session runs.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn open(login: &Login) -> Self {
        let output = unlinked();
        let mut command = login.command("echo opened; exec cat");
        let (out, err) = (output.try_clone().unwrap(), output.try_clone().unwrap());
        let client = command.stdin(Stdio::piped()).stdout(out).stderr(err).spawn().unwrap();
        let session = Self { client, output };
        session.expect("opened");
        session
    }

    /// # Panics
    /// When it is not open any more.
    #[track_caller]
    pub fn expect_open(&mut self) {
        let word = format!("still open {}", text(&self.output).len());
        let input = self.client.stdin.as_mut().unwrap();
        input.write_all(format!("{word}\n").as_bytes()).expect("a session that is open");
        self.expect(&word);
    }

    #[track_caller]
    fn expect(&self, word: &str) {
        eventually(&format!("{word:?} from a session"), || text(&self.output).contains(word).then_some(()));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

/// Logs in again and again while `work` runs, and returns how each login went. `work` gets a number that grows with each.
///
/// # Panics
/// When `work` does.
pub fn logins_during(login: &Login, work: impl FnOnce(&AtomicUsize)) -> Vec<Outcome> {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // A thread is in the namespaces of the one that started it.
        let logins = scope.spawn(|| {
            let mut outcomes = Vec::new();
            while !over.load(Ordering::SeqCst) {
                outcomes.push(login.run("true"));
                count.fetch_add(1, Ordering::SeqCst);
            }
            outcomes
        });
        let stop = Stop(&over);
        work(&count);
        drop(stop);
        logins.join().unwrap()
    })
}
