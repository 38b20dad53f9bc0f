//! The cache of a machine, from outside: its files are opaque, but they can be kept, put back, taken away and counted, and lookups can
//! be watched while they use it.

use std::path::Path;
use std::time::Duration;

use crate::debian::Debian;
use crate::process::{Outcome, command, run};
use crate::wait::wait_for;

/// Where the package keeps its cache.
pub const CACHE: &str = "/var/cache/iam-ssh";
/// As sshd starts its AuthorizedKeysCommand: as its own user, with an environment of almost nothing.
pub const AS_LOOKUP: &str = "setpriv --reuid iam-ssh --regid iam-ssh --clear-groups \
    env -i PATH=/usr/bin:/bin USER=iam-ssh LOGNAME=iam-ssh HOME=/nonexistent";
/// What tests configure as `lookup.deadline`, unless they say otherwise.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// The promise: a lookup ends within its deadline and this.
const PROMISED: Duration = Duration::from_millis(300);
/// What starting it costs a busy machine of two cores (nsenter, chroot, bash, setpriv), also where that stands still for a second; and no
/// more: a lookup that its own alarm ended, two seconds behind the deadline, is still seen.
const NOISE: Duration = Duration::from_millis(1400);
/// What the rest of a login costs there: key exchange, PAM, a shell. Behind it, an alarm is no longer seen.
pub(crate) const LOGIN: Duration = Duration::from_millis(1500);

/// The time in which a lookup with this deadline must have ended.
pub(crate) fn in_time(deadline: Duration) -> Duration {
    deadline + PROMISED + NOISE
}

impl Outcome {
    /// Whether a lookup ended in the time that is promised with this deadline.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn expect_in_time(&self, deadline: Duration) -> &Self {
        let bound = in_time(deadline);
        assert!(self.took <= bound, "it took more than {bound:?}: {self}");
        self
    }
}

impl Debian {
    /// The names, sizes and owners of the cache's files.
    #[must_use]
    pub fn cache_files(&self) -> Vec<String> {
        self.settle();
        let list = self.sh(&format!("cd {CACHE} && find . -mindepth 1 -printf '%P %s %u %m\\n' | sort"));
        list.lines().map(str::to_owned).collect()
    }

    /// Waits until nobody writes to the cache any more: a lookup leaves that to a process of its own. One that is stopped, as some
    /// tests do, writes nothing either.
    pub fn settle(&self) {
        let _ = wait_for(Duration::from_secs(5), || self.lookups_running().is_empty().then_some(()));
    }

    /// Keeps the cache as it is for [`Debian::restore_cache`].
    pub fn keep_cache(&self) {
        self.settle();
        self.run(&format!("rm -rf /root/cache.kept && cp -a {CACHE} /root/cache.kept")).expect_ok();
    }

    /// Puts the cache back to what was kept.
    pub fn restore_cache(&self) {
        self.settle();
        let put_back = format!("rm -rf {CACHE} && cp -a /root/cache.kept {CACHE}");
        self.run(&put_back).expect_ok();
    }

    /// Takes the cache's files away, as an administrator may at any time.
    pub fn empty_cache(&self) {
        self.settle();
        self.run(&format!("find {CACHE} -mindepth 1 -delete")).expect_ok();
    }

    /// The processes of the system user that lookups run as.
    #[must_use]
    pub fn lookups_running(&self) -> Vec<String> {
        // pgrep fails when there are none.
        self.run("pgrep -u iam-ssh -a").stdout.lines().map(str::to_owned).collect()
    }

    /// Runs a shell command as the system user that lookups run as.
    #[must_use]
    pub fn run_as_lookup(&self, script: &str) -> Outcome {
        let (words, quoted) = (AS_LOOKUP, script.replace('\'', r"'\''"));
        self.run(&format!("cd / && exec {words} /bin/bash -c '{quoted}'"))
    }

    /// Calls the lookup as sshd does, and records which sockets it and its children open and where they connect to: one system call a line.
    #[must_use]
    pub fn traced_lookup(&self, arguments: &[&str]) -> (Outcome, Vec<String>) {
        let trace = self.path("/root/trace");
        let outcome = self.lookup_under_strace(&["-e", "trace=socket,connect"], &trace, arguments);
        let calls = std::fs::read_to_string(trace).expect("a trace").lines().map(str::to_owned).collect();
        (outcome, calls)
    }

    /// Calls the lookup as sshd does, on a disk that takes so long for whatever must reach it. What it leaves behind goes on after this.
    #[must_use]
    pub fn lookup_on_slow_disk(&self, delay: Duration, arguments: &[&str]) -> Outcome {
        let calls = "fsync,fdatasync,sync_file_range,rename,renameat,renameat2";
        let inject = format!("inject={calls}:delay_enter={}", delay.as_micros());
        // In the background: else strace ends with the last process that it follows.
        let options = ["-D", "-e", &format!("trace={calls}"), "-e", &inject];
        self.lookup_under_strace(&options, Path::new("/dev/null"), arguments)
    }

    fn lookup_under_strace(&self, options: &[&str], trace: &Path, arguments: &[&str]) -> Outcome {
        let mut strace = command("strace");
        strace.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(trace);
        strace.args(options);
        strace.args(self.enter()).args(["/usr/bin/env", "-i", "PATH=/usr/bin:/bin"]).args(AS_LOOKUP.split(' '));
        run(strace.arg("/usr/libexec/iam-ssh/authorized-keys").args(arguments), b"")
    }
}
