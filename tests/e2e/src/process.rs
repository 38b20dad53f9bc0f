//! Children: run one to its end within a bound, or keep one running until it is dropped.
//!
//! Every child is started through `setpriv --pdeathsig KILL`, so it dies with the thread that started it, whatever kills that. Its
//! environment is empty but for what is given: the machine's own AWS settings must never reach a test.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::wait::wait_for;

const BOUND: Duration = Duration::from_secs(120);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a command did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The command, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// Whether it ended with status 0.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.status.success()
    }

    /// Its standard output.
    ///
    /// # Panics
    /// When it failed.
    #[track_caller]
    pub fn expect_ok(&self) -> &str {
        assert!(self.ok(), "{self}");
        &self.stdout
    }

    /// Standard output and standard error together.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {} after {:?}", self.command, self.status, self.took)?;
        write!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// A command that dies with this thread and sees nothing of this process's environment.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).env_clear().env("PATH", PATH).env("LC_ALL", "C.UTF-8");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Runs a command to its end and hands it `input`.
///
/// # Panics
/// When it cannot be started or runs for more than two minutes.
#[must_use]
pub fn run(command: &mut Command, input: &[u8]) -> Outcome {
    // Files, not pipes: nobody has to drain them, and a grandchild that keeps one open cannot stall the test.
    let (mut stdin, stdout, stderr) = (unlinked(), unlinked(), unlinked());
    stdin.write_all(input).unwrap();
    stdin.rewind().unwrap();
    command.stdin(stdin).stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
    let shown = shown(command);
    let start = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let Some(status) = wait_for(BOUND, || child.try_wait().unwrap()) else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{shown}: still running after {BOUND:?}: {}{}", text(&stdout), text(&stderr));
    };
    let took = start.elapsed();
    Outcome { command: shown, status, stdout: text(&stdout), stderr: text(&stderr), took }
}

/// A child that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts it; what it prints is in `log` for the case that it fails.
    pub(crate) fn start(command: &mut Command, log: &File) -> Self {
        Self::start_split(command, log, log)
    }

    /// The same with what it complains about in another place.
    pub(crate) fn start_split(command: &mut Command, log: &File, complaints: &File) -> Self {
        let shown = shown(command);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(complaints.try_clone().unwrap());
        Self(command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}")))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The direct children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// A file without a name: it is gone when it is closed.
pub(crate) fn unlinked() -> File {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags((nix::fcntl::OFlag::O_TMPFILE | nix::fcntl::OFlag::O_APPEND).bits())
        .mode(0o600)
        .open(crate::inputs::scratch())
        .expect("a file in the scratch file system")
}

/// All that a file holds, whoever is writing to it.
pub(crate) fn text(file: &File) -> String {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    let length = file.read_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

fn shown(command: &Command) -> String {
    // Without `setpriv --pdeathsig KILL --`.
    let words: Vec<_> = command.get_args().skip(3).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}
