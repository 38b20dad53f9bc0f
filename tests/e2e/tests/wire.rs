//! The wire of the fault matrix, as a client meets it: each of its states, without the package.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use iam_ssh_e2e::{BUCKET, State, Wire, World};

/// What must come has come by then.
const LONG: Duration = Duration::from_secs(5);
/// What must not come has not come by then.
const SHORT: Duration = Duration::from_millis(200);

/// Sends a request; what became of the connection if there is none.
fn asks(wire: &Wire, patience: Duration) -> Result<TcpStream, ErrorKind> {
    let mut stream = TcpStream::connect_timeout(&wire.address(), patience).map_err(|error| error.kind())?;
    let _ = write!(stream, "GET /{BUCKET}/key HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    Ok(stream)
}

/// What a client hears to the end, and how it ended.
fn hears(wire: &Wire) -> (String, ErrorKind) {
    let mut stream = match asks(wire, LONG) {
        Ok(stream) => stream,
        Err(error) => return (String::new(), error),
    };
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes).map_or_else(|error| error.kind(), |_| ErrorKind::UnexpectedEof);
    (String::from_utf8(bytes).unwrap(), ended)
}

/// A client hears exactly this, and then nothing more on an open connection.
#[track_caller]
fn hears_only(wire: &Wire, all: &str) {
    let mut stream = asks(wire, LONG).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut bytes = vec![0; all.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), all);
    stream.set_read_timeout(Some(SHORT)).unwrap();
    assert!(is_silence(stream.read(&mut [0; 1]).unwrap_err().kind()));
}

fn is_silence(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[test]
fn each_state_of_a_wire() {
    let world = World::new();
    world.double().put_object(BUCKET, "key", "the body");
    let wire = Wire::lay(8001, world.double().address());
    let open = || {
        wire.set(State::Open);
        let (said, ended) = hears(&wire);
        assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("the body"), "{said}");
        assert_eq!(ended, ErrorKind::UnexpectedEof);
    };
    open();
    wire.set(State::Refused);
    assert_eq!(hears(&wire), (String::new(), ErrorKind::ConnectionRefused));
    open();
    wire.set(State::Deaf);
    for _ in 0..3 {
        assert_eq!(asks(&wire, SHORT).unwrap_err(), ErrorKind::TimedOut, "not even refused");
    }
    open();
    wire.set(State::Mute);
    hears_only(&wire, "");
    open();
    wire.set(State::StalledAfter(8));
    hears_only(&wire, "HTTP/1.1");
    wire.set(State::CutAfter(8));
    let (said, ended) = hears(&wire);
    assert_eq!(said, "HTTP/1.1");
    assert!(!is_silence(ended), "it ended");
    open();
}

#[test]
fn a_change_ends_what_was_open() {
    let world = World::new();
    let wire = Wire::lay(8001, world.double().address());
    wire.set(State::Mute);
    let mut stream = TcpStream::connect(wire.address()).unwrap();
    stream.write_all(b"x").unwrap();
    wire.set(State::Open);
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let ended = stream.read(&mut [0; 1]);
    assert!(matches!(&ended, Ok(0)) || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    drop(wire);
    drop(Wire::lay(8001, world.double().address()));
}
