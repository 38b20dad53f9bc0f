//! The wire of the fault matrix, as a client meets it: each of its states, without the package.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use iam_ssh_e2e::{BUCKET, State, Wire, World};

const SHORT: Duration = Duration::from_millis(200);

/// What a client hears, and how it ended: `None` where nothing more came and the connection stayed open.
fn hears(wire: &Wire) -> (String, Option<ErrorKind>) {
    let mut stream = match TcpStream::connect_timeout(&wire.address(), SHORT) {
        Ok(stream) => stream,
        Err(error) => return (String::new(), Some(error.kind())),
    };
    stream.set_read_timeout(Some(SHORT)).unwrap();
    let _ = write!(stream, "GET /{BUCKET}/key HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut bytes = Vec::new();
    let ended = match stream.read_to_end(&mut bytes) {
        Ok(_) => Some(ErrorKind::UnexpectedEof),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => Some(error.kind()),
    };
    (String::from_utf8(bytes).unwrap(), ended)
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
        assert_eq!(ended, Some(ErrorKind::UnexpectedEof));
    };
    open();
    wire.set(State::Refused);
    assert_eq!(hears(&wire), (String::new(), Some(ErrorKind::ConnectionRefused)));
    open();
    wire.set(State::Deaf);
    for _ in 0..3 {
        assert_eq!(hears(&wire), (String::new(), Some(ErrorKind::TimedOut)), "not even refused");
    }
    open();
    wire.set(State::Mute);
    assert_eq!(hears(&wire), (String::new(), None));
    open();
    wire.set(State::StalledAfter(8));
    assert_eq!(hears(&wire), ("HTTP/1.1".to_owned(), None));
    wire.set(State::CutAfter(8));
    let (said, ended) = hears(&wire);
    assert_eq!(said, "HTTP/1.1");
    assert!(ended.is_some(), "it ended");
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
