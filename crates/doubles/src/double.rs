//! The handle that a test holds: starts the double, fills it, reads its request log, and stops it when dropped.
//!
//! The double runs in a thread of its own with a runtime of its own, so that tests may block. What a test sets is in force for the
//! next request; the state never changes by itself (but IAM's answers may lag, see [`Double::lag`]).

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::accounts::Accounts;
use crate::fault::{Fault, Faults, Match};
use crate::hook::Hooks;
use crate::imds::Imds;
use crate::request::Request;
use crate::s3::S3;
use crate::server::serve;
use crate::ssm::Ssm;
use crate::throttle::Throttle;

/// Everything that the double knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) accounts: Accounts,
    pub(crate) s3: S3,
    pub(crate) ssm: Ssm,
    pub(crate) imds: Imds,
    pub(crate) faults: Faults,
    pub(crate) throttle: Throttle,
    pub(crate) hooks: Hooks,
    pub(crate) log: Vec<Request>,
}

pub(crate) type Shared = Arc<Mutex<State>>;

/// The state, also after a panic elsewhere: a test that fails must say why, not that a lock is poisoned.
pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running fake AWS. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Double {
    shared: Shared,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Double {
    /// Starts a double; `127.0.0.1:0` picks a free port. Once this returns, it answers.
    ///
    /// # Errors
    /// When the address cannot be bound or no thread can be started.
    pub fn start(address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Shared::default();
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("aws-double".to_owned())
            .spawn(move || runtime.block_on(serve(listener, served, stopped)))?;
        Ok(Self { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint URL of all its services: `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the requests that `which` means fail with `fault` from now on. The first fault set that meets a request counts.
    pub fn fault(&self, which: Match, fault: Fault) -> &Self {
        self.state().faults.add(which, fault);
        self
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) -> &Self {
        self.state().faults.clear();
        self
    }

    /// From now on each account's IAM answers `rate_per_second` calls a second, after `burst` at once; what comes beyond that is
    /// answered with IAM's `Throttling`. STS and S3 are not meant.
    pub fn throttle(&self, rate_per_second: f64, burst: f64) -> &Self {
        self.state().throttle.set(Some((rate_per_second, burst)));
        self
    }

    /// Takes [`Double::throttle`] back.
    pub fn unthrottle(&self) -> &Self {
        self.state().throttle.set(None);
        self
    }

    /// How many of the requests so far were answered with a throttle, by [`Double::throttle`] or [`Fault::Throttle`].
    #[must_use]
    pub fn throttled(&self) -> usize {
        self.state().log.iter().filter(|request| request.throttled).count()
    }

    /// Every request so far, in the order of arrival, those that failed included.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state().log.clone()
    }

    /// How many of the requests so far `which` means (its `skip` and `times` do not count here).
    #[must_use]
    pub fn count(&self, which: &Match) -> usize {
        self.state().log.iter().filter(|request| which.matches(request)).count()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) -> &Self {
        self.state().log.clear();
        self
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
