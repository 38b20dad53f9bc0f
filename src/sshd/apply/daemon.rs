//! The sshd that runs: has it read its configuration again, and sees that it listens afterwards.
//!
//! A daemon that does not come back would lock everybody out, whatever `sshd -t` said. So its listening sockets are looked
//! at, and where they do not come back the caller puts the files back and has it started again.

use super::Report;
use crate::sshd::observe::{Sshd, processes};
use crate::sshd::shown;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Present while systemd is the running init (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
/// Time for sshd to listen again; it takes some 50 ms.
const PATIENCE: Duration = Duration::from_secs(10);
/// After this time sockets that are still the same count, too: those that systemd holds are handed on, not opened anew.
const SAME_SOCKETS: Duration = Duration::from_millis(1500);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// The state of a listening socket in /proc/net/tcp.
const LISTENING: &str = "0A";

/// What runs.
#[derive(Debug)]
pub(super) enum Daemon {
    /// A unit of systemd that is active.
    Unit(&'static str, BTreeSet<u64>),
    /// A process that systemd knows nothing of: its program, its arguments, the file with its process id.
    Process { program: String, arguments: Vec<String>, pid_file: String, pid: i32, sockets: BTreeSet<u64> },
    /// None that would have to be told.
    Nothing,
}

impl Daemon {
    /// Looks which it is.
    pub(super) fn find(sshd: &Sshd) -> Self {
        if Path::new(SYSTEMD).exists() {
            let active = |unit: &&&str| systemctl(&["is-active", "--quiet", unit]).is_ok();
            let unit = ["ssh.service", "sshd.service"].iter().find(active);
            return unit.map_or(Self::Nothing, |unit| Self::Unit(unit, listening(main_pid(unit))));
        }
        let effective = sshd.effective("root").ok();
        let Some(pid_file) = effective.as_ref().and_then(|e| e.get("PidFile")).filter(|path| path.starts_with('/'))
        else {
            return Self::Nothing;
        };
        let Some(pid) = pid_in(pid_file) else { return Self::Nothing };
        let daemons = processes::daemons(&[sshd.program()]);
        let Some((_, line)) = daemons.into_iter().find(|(daemon, _)| *daemon == pid) else { return Self::Nothing };
        // As it shows itself: `sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`, or as it was started.
        let line = line.replace('\0', " ");
        let shown = line.split(" [listener]").next().unwrap_or_default();
        let arguments = shown.split_whitespace().skip_while(|word| !word.starts_with('-'));
        Self::Process {
            program: sshd.program().to_owned(),
            arguments: arguments.filter(|word| *word != "-D").map(str::to_owned).collect(),
            pid_file: pid_file.to_owned(),
            pid,
            sockets: listening(Some(pid)),
        }
    }

    /// Has it read its configuration.
    ///
    /// # Errors
    /// What was seen, where it does not listen afterwards.
    pub(super) fn reload(&self, report: &mut Report) -> Result<(), String> {
        match self {
            Self::Unit(unit, sockets) => {
                let words = systemctl(&["try-reload-or-restart", unit]).err();
                let state = || systemctl(&["show", "-p", "ActiveState", "--value", unit]).unwrap_or_default();
                listens_again(sockets, || main_pid(unit), || matches!(state().as_str(), "failed" | "inactive"))?;
                report
                    .say(words.map_or(format!("reloaded {unit}"), |words| format!("{unit} was not reloaded: {words}")));
            }
            Self::Process { pid_file, pid, sockets, program, .. } => {
                kill(Pid::from_raw(*pid), Signal::SIGHUP).map_err(|error| format!("process {pid}: {error}"))?;
                let gone = || processes::daemons(&[program]).is_empty();
                listens_again(sockets, || pid_in(pid_file), gone)?;
                report.say(format!("reloaded sshd, process {pid}"));
            }
            Self::Nothing if Path::new(SYSTEMD).exists() => {}
            Self::Nothing => {
                report.say("systemd is not running: sshd reads the change when it starts or is reloaded".to_owned());
            }
        }
        Ok(())
    }

    /// Starts it after it has died.
    ///
    /// # Errors
    /// Why it does not listen.
    pub(super) fn start_again(&self) -> Result<(), String> {
        let none = BTreeSet::new();
        match self {
            Self::Unit(unit, _) => {
                let _ = systemctl(&["reset-failed", unit]);
                systemctl(&["restart", unit])?;
                listens_again(&none, || main_pid(unit), || false)
            }
            Self::Process { program, arguments, pid_file, .. } => {
                let mut command = Command::new(program);
                command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                command.status().map_err(|error| format!("{program}: {error}"))?;
                listens_again(&none, || pid_in(pid_file), || false)
            }
            Self::Nothing => Ok(()),
        }
    }
}

/// Waits until the daemon has listening sockets, as many as `before` and none of them, within [`PATIENCE`].
fn listens_again(before: &BTreeSet<u64>, pid: impl Fn() -> Option<i32>, gone: impl Fn() -> bool) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let now = listening(pid());
        // All of them: the old ones are closed, and the new ones opened, one after the other.
        let anew = now.len() >= before.len() && now.is_disjoint(before);
        if !now.is_empty() && (anew || start.elapsed() > SAME_SOCKETS) {
            return Ok(());
        }
        if gone() {
            return Err("it ended".to_owned());
        }
        if start.elapsed() > PATIENCE {
            return Err(format!("it does not listen after {} seconds", PATIENCE.as_secs()));
        }
        std::thread::sleep(PAUSE);
    }
}

/// The inodes of a process's listening TCP sockets.
fn listening(pid: Option<i32>) -> BTreeSet<u64> {
    let Some(pid) = pid else { return BTreeSet::new() };
    let table = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let open: BTreeSet<u64> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .map(|fds| fds.flatten().filter_map(|fd| socket_inode(&fd.path().read_link().ok()?)).collect())
        .unwrap_or_default();
    let inodes = [table("tcp"), table("tcp6")].concat();
    inodes.lines().filter_map(listening_inode).filter(|inode| open.contains(inode)).collect()
}

fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The inode of a listening socket in a line of /proc/net/tcp (proc_net_tcp(5)): the fourth and the tenth field.
fn listening_inode(line: &str) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let state = fields.nth(3)?;
    fields.nth(5).filter(|_| state == LISTENING)?.parse().ok()
}

fn main_pid(unit: &str) -> Option<i32> {
    systemctl(&["show", "-p", "MainPID", "--value", unit]).ok()?.parse().ok().filter(|pid| *pid > 0)
}

fn pid_in(file: &str) -> Option<i32> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// What systemctl prints; its complaint where it fails.
fn systemctl(args: &[&str]) -> Result<String, String> {
    let output = Command::new("systemctl").args(args).output().map_err(|error| format!("systemctl: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(shown(&text(&output.stderr))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_count() {
        let line = |state: &str| {
            format!(
                "   0: 00000000:0016 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0"
            )
        };
        assert_eq!(listening_inode(&line("0A")), Some(4711));
        assert_eq!(listening_inode(&line("01")), None);
        assert_eq!(
            listening_inode(
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
            ),
            None
        );
    }

    #[test]
    fn a_process_s_own_sockets_are_found() {
        let before = listening(i32::try_from(std::process::id()).ok());
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let now = listening(i32::try_from(std::process::id()).ok());
        assert_eq!(now.difference(&before).count(), 1);
        drop(socket);
        assert_eq!(listening(Some(i32::MAX)), BTreeSet::new());
    }
}
