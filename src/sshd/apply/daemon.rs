//! The sshd that runs: has it read its configuration again, and sees that it listens afterwards.
//!
//! A daemon that does not come back would lock everybody out, whatever `sshd -t` said. So its listening sockets are looked
//! at, and where they do not come back the caller puts the files back and has it started again.

use super::Report;
use crate::booted;
use crate::sshd::observe::{Sshd, processes};
use crate::sshd::{COMMAND_USER, shown};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time for sshd to listen again; it takes some 50 ms.
const PATIENCE: Duration = Duration::from_secs(10);
/// After this time sockets that are still the same count, too: those that systemd holds are handed on, not opened anew.
const SAME_SOCKETS: Duration = Duration::from_millis(1500);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// The state of a listening socket in /proc/net/tcp.
const LISTENING: &str = "0A";

/// Listening TCP sockets by their inodes, with the addresses that they are bound to.
type Sockets = BTreeMap<u64, IpAddr>;

/// What runs.
#[derive(Debug)]
pub(super) enum Daemon {
    /// A unit of systemd that is active.
    Unit(&'static str, Sockets),
    /// A process that no unit of sshd's has started: its program, its arguments.
    Process { program: &'static str, arguments: Vec<String>, pid: i32, sockets: Sockets },
    /// Several, so that it cannot be told which one is meant.
    Several(Vec<i32>),
    /// None that would have to be told.
    Nothing,
}

impl Daemon {
    /// Looks which it is.
    pub(super) fn find(sshd: &Sshd) -> Self {
        if booted::has_systemd() {
            let active = |unit: &&&'static str| systemctl(&["is-active", "--quiet", unit]).is_ok();
            let units = ["ssh.service", "sshd.service"];
            let unit = units.iter().filter(active).find_map(|unit| Some((*unit, main_pid(unit)?)));
            if let Some((unit, pid)) = unit {
                return Self::Unit(unit, listening(Some(pid)));
            }
        }
        let daemons = listeners(sshd.program());
        let effective = sshd.effective(COMMAND_USER).ok();
        let named = effective.as_ref().and_then(|e| e.get("PidFile")).and_then(pid_in);
        let (pid, line) = match (daemons.iter().find(|(pid, _)| Some(*pid) == named), daemons.as_slice()) {
            (Some(daemon), _) | (None, [daemon]) => daemon.clone(),
            (None, []) => return Self::Nothing,
            (None, several) => return Self::Several(several.iter().map(|(pid, _)| *pid).collect()),
        };
        // As it shows itself: `sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`, or as it was started.
        let line = line.replace('\0', " ");
        let shown = line.split(" [listener]").next().unwrap_or_default();
        let arguments = shown.split_whitespace().skip_while(|word| !word.starts_with('-'));
        Self::Process {
            program: sshd.program(),
            arguments: arguments.filter(|word| *word != "-D").map(str::to_owned).collect(),
            pid,
            sockets: listening(Some(pid)),
        }
    }

    /// An address that it listens on and that this machine does not have now: a daemon that is reloaded loses it.
    fn lost_address(&self) -> Option<IpAddr> {
        let (Self::Unit(_, sockets) | Self::Process { sockets, .. }) = self else { return None };
        // To bind to a link-local address takes its interface, which the kernel's table does not name.
        let local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let any = |address: &IpAddr| address.is_unspecified() || local(address);
        let gone = |address: &&IpAddr| !any(address) && TcpListener::bind((**address, 0)).is_err();
        sockets.values().find(gone).copied()
    }

    /// Has it read its configuration. Whether it has, or need not.
    ///
    /// # Errors
    /// What was seen, where it does not listen afterwards.
    pub(super) fn reload(&self, report: &mut Report) -> Result<bool, String> {
        if let Some(address) = self.lost_address() {
            report.say(format!(
                "RELOAD SSHD once this machine has the address {address} again: sshd listens there and would lose it now. Until \
                 then it works as before"
            ));
            return Ok(false);
        }
        match self {
            Self::Unit(unit, sockets) => {
                let words = systemctl(&["try-reload-or-restart", unit]).err();
                let state = || systemctl(&["show", "-p", "ActiveState", "--value", unit]).unwrap_or_default();
                listens_again(sockets, || main_pid(unit), || matches!(state().as_str(), "failed" | "inactive"))?;
                report
                    .say(words.map_or(format!("reloaded {unit}"), |words| format!("{unit} was not reloaded: {words}")));
            }
            Self::Process { pid, sockets, program, .. } => {
                let others: Vec<i32> =
                    listeners(program).into_iter().map(|(pid, _)| pid).filter(|p| p != pid).collect();
                kill(Pid::from_raw(*pid), Signal::SIGHUP).map_err(|error| format!("process {pid}: {error}"))?;
                let now = || listeners(program).into_iter().map(|(pid, _)| pid).find(|pid| !others.contains(pid));
                let gone = || processes::daemons(&[program]).iter().all(|(pid, _)| others.contains(pid));
                listens_again(sockets, now, gone)?;
                report.say(format!("reloaded sshd, process {pid}"));
            }
            Self::Several(pids) => {
                report.say(format!("RELOAD SSHD: several run, {pids:?}, and which one is meant cannot be told"));
                return Ok(false);
            }
            Self::Nothing if booted::has_systemd() => {}
            Self::Nothing => {
                report.say("systemd is not running: sshd reads the change when it starts or is reloaded".to_owned());
            }
        }
        Ok(true)
    }

    /// Starts it after it has died.
    ///
    /// # Errors
    /// Why it does not listen.
    pub(super) fn start_again(&self) -> Result<(), String> {
        let none = Sockets::new();
        match self {
            Self::Unit(unit, _) => {
                let _ = systemctl(&["reset-failed", unit]);
                systemctl(&["restart", unit])?;
                listens_again(&none, || main_pid(unit), || false)
            }
            Self::Process { program, arguments, .. } => {
                let mut command = Command::new(program);
                command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                command.status().map_err(|error| format!("{program}: {error}"))?;
                listens_again(&none, || listeners(program).first().map(|(pid, _)| *pid), || false)
            }
            Self::Several(_) | Self::Nothing => Ok(()),
        }
    }
}

/// The processes of sshd that listen, with their command lines.
fn listeners(program: &str) -> Vec<(i32, String)> {
    let mut daemons = processes::daemons(&[program]);
    daemons.retain(|(pid, _)| !listening(Some(*pid)).is_empty());
    daemons
}

/// Waits until the daemon has listening sockets, as many as `before` and none of them, within [`PATIENCE`].
fn listens_again(before: &Sockets, pid: impl Fn() -> Option<i32>, gone: impl Fn() -> bool) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let now = listening(pid());
        // All of them: the old ones are closed, and the new ones opened, one after the other.
        let anew = now.len() >= before.len() && now.keys().all(|inode| !before.contains_key(inode));
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

/// A process's listening TCP sockets.
fn listening(pid: Option<i32>) -> Sockets {
    let Some(pid) = pid else { return Sockets::new() };
    let table = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let open: BTreeSet<u64> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .map(|fds| fds.flatten().filter_map(|fd| socket_inode(&fd.path().read_link().ok()?)).collect())
        .unwrap_or_default();
    let tables = [table("tcp"), table("tcp6")].concat();
    tables.lines().filter_map(listening_socket).filter(|(inode, _)| open.contains(inode)).collect()
}

fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Inode and address of a listening socket in a line of /proc/net/tcp or tcp6 (proc_net_tcp(5)): the second, the fourth and
/// the tenth field. An address is written as words of 32 bits in the machine's own order.
fn listening_socket(line: &str) -> Option<(u64, IpAddr)> {
    let mut fields = line.split_ascii_whitespace();
    let (address, _) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5).filter(|_| state == LISTENING)?.parse().ok()?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let address = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let bytes: Vec<u8> = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)
        }
        _ => return None,
    };
    Some((inode, address))
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
        let line = |address: &str, state: &str| {
            format!(
                "   0: {address}:0016 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0"
            )
        };
        let of = |address: &str, state: &str| listening_socket(&line(address, state));
        assert_eq!(of("0100007F", "0A"), Some((4711, "127.0.0.1".parse().unwrap())));
        assert_eq!(of("00000000000000000000000000000000", "0A"), Some((4711, "::".parse().unwrap())));
        assert_eq!(of("B80D0120000000000000000001000000", "0A"), Some((4711, "2001:db8::1".parse().unwrap())));
        assert_eq!(of("0100007F", "01"), None);
        assert_eq!(
            listening_socket(
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
            ),
            None
        );
    }

    #[test]
    fn a_process_s_own_sockets_are_found() {
        let before = listening(i32::try_from(std::process::id()).ok());
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let now = listening(i32::try_from(std::process::id()).ok());
        assert!(now.len() > before.len() && now.values().any(IpAddr::is_loopback), "{now:?}");
        drop(socket);
        assert_eq!(listening(Some(i32::MAX)), Sockets::new());
    }
}
