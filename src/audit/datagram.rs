//! Sends one datagram to a log's socket without waiting long for room in it.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::cell::Cell;
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Instant;

/// Longest wait, in milliseconds, for room in a full socket, for all lines of a program together.
pub const PATIENCE: u16 = 100;

/// Sends `datagram` to the socket at `path`; whether it was taken. Waits for room as long as `patience` says, in milliseconds, and takes
/// what it waited from that. It never fails a caller.
pub fn send(path: &Path, datagram: &[u8], patience: &Cell<u16>) -> bool {
    let Ok(socket) = UnixDatagram::unbound() else { return false };
    if socket.set_nonblocking(true).is_err() || socket.connect(path).is_err() {
        return false;
    }
    loop {
        match socket.send(datagram) {
            Ok(_) => return true,
            Err(error) if error.kind() == ErrorKind::WouldBlock && patience.get() > 0 => {
                let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
                let started = Instant::now();
                // Others may fill the room that there was: asked again until the time is over.
                let _ = poll(&mut ready, PollTimeout::from(patience.get()));
                let waited = u16::try_from(started.elapsed().as_millis()).unwrap_or(u16::MAX);
                patience.set(patience.get().saturating_sub(waited.max(1)));
            }
            Err(_) => return false,
        }
    }
}
