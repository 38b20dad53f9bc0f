//! A wire between a machine and a server that can be cut, stopped or made deaf, below HTTP and TLS: a TCP proxy on a port of its own.
//!
//! It must never look at what it carries. What is set is in force for new connections; those that were open before are closed.

use std::io::{Read, copy};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{Backlog, listen};

/// How the wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything goes through.
    Open,
    /// Connections are refused: nobody listens.
    Refused,
    /// Connections are neither accepted nor refused: no answer to the first packet.
    Deaf,
    /// Connections are accepted, and nothing is ever said.
    Mute,
    /// So many bytes of the server go through, then nothing more, on an open connection.
    StalledAfter(u64),
    /// So many bytes of the server go through, then the connection ends.
    CutAfter(u64),
}

/// A wire to one server; it ends with this value.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddrV4,
    server: SocketAddr,
    running: Mutex<Running>,
}

impl Wire {
    /// Lays an open wire from this port of 127.0.0.1. The port must lie below those that the kernel gives to clients.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn lay(port: u16, server: SocketAddr) -> Self {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let running = Mutex::new(Running::start(State::Open, address, server));
        Self { address, server, running }
    }

    /// Where a client connects to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address.into()
    }

    /// The same as an endpoint without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes it; once this returns, nothing of the former state is left.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn set(&self, state: State) {
        let mut running = self.running.lock().unwrap();
        running.stop();
        *running = Running::start(state, self.address, self.server);
    }
}

type Open = Arc<Mutex<Vec<TcpStream>>>;

/// One state while it lasts.
#[derive(Debug, Default)]
struct Running {
    accepting: Option<(JoinHandle<()>, Arc<AtomicBool>, SocketAddrV4)>,
    open: Open,
    deaf: Option<(TcpListener, Vec<TcpStream>)>,
}

impl Running {
    fn start(state: State, address: SocketAddrV4, server: SocketAddr) -> Self {
        let mut running = Self::default();
        if state == State::Refused {
            return running;
        }
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        if state == State::Deaf {
            let waiting = fill_queue(&listener, address);
            running.deaf = Some((listener, waiting));
            return running;
        }
        let over = Arc::new(AtomicBool::new(false));
        let (opened, ended) = (Arc::clone(&running.open), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                carry(state, client, server, &opened);
            }
        });
        running.accepting = Some((thread, over, address));
        running
    }

    fn stop(&mut self) {
        if let Some((thread, over, address)) = self.accepting.take() {
            over.store(true, Ordering::SeqCst);
            // Wakes the thread, which then sees that it is over.
            let _ = TcpStream::connect(address);
            let _ = thread.join();
        }
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.deaf = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Carries one connection, in threads that end with it.
fn carry(state: State, client: TcpStream, server: SocketAddr, open: &Open) {
    let keep = |stream: &TcpStream| open.lock().unwrap().push(stream.try_clone().unwrap());
    keep(&client);
    if state == State::Mute {
        return;
    }
    let Ok(server) = TcpStream::connect(server) else {
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    keep(&server);
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    std::thread::spawn(move || {
        let (limit, is_cut) = match state {
            State::StalledAfter(bytes) => (bytes, false),
            State::CutAfter(bytes) => (bytes, true),
            _ => (u64::MAX, true),
        };
        let carried = copy(&mut (&server).take(limit), &mut (&client)).unwrap_or_default();
        if is_cut || carried < limit {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    });
}

/// Lets connections wait until the listener's queue is full, for as long as they are kept: nobody accepts them, and the kernel drops the
/// first packet of every further one.
fn fill_queue(listener: &TcpListener, address: SocketAddrV4) -> Vec<TcpStream> {
    // It listens already; a second time only changes how many may wait.
    listen(listener, Backlog::new(1).unwrap()).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address.into(), Duration::from_millis(100)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue of {address} never fills");
    }
    waiting
}
