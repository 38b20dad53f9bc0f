//! A machine's /dev/log, with the test at the other end: every line as it was sent, and who sent it.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, setsockopt, sockopt};

/// One datagram that reached /dev/log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// As it was sent, with its priority and time.
    pub raw: String,
    /// Facility times eight plus severity: 85 is authpriv.notice.
    pub priority: u8,
    /// The program it says it is from.
    pub tag: String,
    /// The process it says it is from.
    pub pid: Option<u32>,
    /// The rest.
    pub message: String,
    /// Who really sent it, by the kernel's word.
    pub sender: u32,
}

impl LogLine {
    fn parse(raw: &str, sender: u32) -> Self {
        let (priority, rest) = raw.strip_prefix('<').and_then(|rest| rest.split_once('>')).unwrap_or(("", raw));
        // "Nov 22 13:35:25 sshd[1765]: text"
        let rest = rest.get(16..).unwrap_or(rest);
        let (head, message) = rest.split_once(": ").unwrap_or(("", rest));
        let (tag, pid) = head.strip_suffix(']').and_then(|head| head.split_once('[')).unwrap_or((head, ""));
        Self {
            priority: priority.parse().unwrap_or(0),
            tag: tag.to_owned(),
            pid: pid.parse().ok(),
            message: message.trim_end_matches(['\0', '\n']).to_owned(),
            sender,
            raw: raw.to_owned(),
        }
    }
}

type Lines = Arc<(Mutex<Vec<LogLine>>, Condvar)>;

/// Listens until the process ends.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Lines);

impl Recorder {
    /// Becomes the `log` socket in this directory.
    pub(crate) fn listen(directory: &Path) -> Self {
        let socket = log_socket(directory);
        setsockopt(&socket, sockopt::PassCred, &true).unwrap();
        let lines = Lines::default();
        let recorded = Arc::clone(&lines);
        std::thread::spawn(move || record(&socket, &recorded));
        Self(lines)
    }

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.0.0.lock().unwrap().clone()
    }

    /// The first line from number `from` on that `wanted` means, waiting for it until `bound` is over.
    pub(crate) fn wait(&self, from: usize, bound: Duration, wanted: impl Fn(&LogLine) -> bool) -> Option<LogLine> {
        let end = Instant::now() + bound;
        let (lines, more) = &*self.0;
        let mut lines = lines.lock().unwrap();
        loop {
            if let Some(found) = lines.iter().skip(from).find(|line| wanted(line)) {
                return Some(found.clone());
            }
            let left = end.checked_duration_since(Instant::now())?;
            lines = more.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// Binds the `log` socket of this directory, for everybody to write to.
fn log_socket(directory: &Path) -> UnixDatagram {
    at_short_path(directory, |path| {
        let socket = UnixDatagram::bind(path).expect("/dev/log of the machine");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        socket
    })
}

/// The same, full: not one more datagram fits in.
pub(crate) fn clogged_log_socket(directory: &Path) -> UnixDatagram {
    let socket = log_socket(directory);
    // One sender's own buffer may be full before the socket is: it is once another one gets nothing in.
    loop {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        at_short_path(directory, |path| sender.connect(path).unwrap());
        if sender.send(b"<38>clogged").is_err() {
            return socket;
        }
        while sender.send(b"<38>clogged").is_ok() {}
    }
}

/// The `log` of a directory by way of a descriptor: the path to a machine's root may be longer than a socket's address can be.
fn at_short_path<T>(directory: &Path, act: impl FnOnce(&str) -> T) -> T {
    let directory = std::fs::File::open(directory).unwrap();
    act(&format!("/proc/self/fd/{}/log", directory.as_raw_fd()))
}

fn record(socket: &UnixDatagram, lines: &Lines) {
    let mut buffer = vec![0; 65536];
    loop {
        let mut control = nix::cmsg_space!(nix::sys::socket::UnixCredentials);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let Ok(message) = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())
        else {
            continue;
        };
        let sender = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|one| if let ControlMessageOwned::ScmCredentials(who) = one { Some(who.uid()) } else { None })
        });
        let length = message.bytes;
        let text = String::from_utf8_lossy(&buffer[..length]);
        lines.0.lock().unwrap().push(LogLine::parse(&text, sender.unwrap_or(u32::MAX)));
        lines.1.notify_all();
    }
}
