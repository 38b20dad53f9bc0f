//! moto: somebody else's AWS, the second opinion beside our own double. Its metadata service and its paging are not AWS's
//!, so those come from the double.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::inputs;
use crate::process::{Daemon, command, text, unlinked};
use crate::wait::wait_for;

/// A running moto; it ends with this value.
#[derive(Debug)]
pub struct Moto {
    url: String,
    _daemon: Daemon,
}

impl Moto {
    /// Starts it on 127.0.0.1:5000, without TLS, and waits until it accepts.
    pub(crate) fn start() -> Self {
        Self::listen(5000, &[], "http")
    }

    /// Starts it with TLS. The certificate must name 127.0.0.1.
    #[must_use]
    pub fn start_tls(port: u16, certificate: &Path, key: &Path) -> Self {
        Self::listen(port, &["-s", "-c", &certificate.to_string_lossy(), "-k", &key.to_string_lossy()], "https")
    }

    fn listen(port: u16, more: &[&str], scheme: &str) -> Self {
        let log = unlinked();
        let port_text = port.to_string();
        let mut server = command(inputs::venv("moto_server"));
        // Its own calls must find neither credentials nor a way out.
        server
            .args(["-H", "127.0.0.1", "-p", &port_text])
            .args(more)
            .env("AWS_ACCESS_KEY_ID", "moto")
            .env("HOME", "/nonexistent");
        let mut daemon = Daemon::start(&mut server, &log);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let up = wait_for(Duration::from_secs(60), || {
            if let Some(status) = daemon.ended() {
                panic!("moto ended with {status}: {}", text(&log));
            }
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()
        });
        assert!(up.is_some(), "moto does not accept on {address} after 60 s: {}", text(&log));
        Self { url: format!("{scheme}://{address}"), _daemon: daemon }
    }

    /// The endpoint of all its services.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
