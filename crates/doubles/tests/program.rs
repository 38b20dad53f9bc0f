//! `aws-double` as a process: it says where it serves, obeys its settings, and ends with its standard input.
//!
//! It must never outlive whoever started it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn it_serves_until_its_input_ends() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_aws-double"))
        .args(["127.0.0.1:0", "role=web", "region=eu-west-1", "tag:a=b=c", "bucket=b", "parameter:/p=v"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let mut stream = TcpStream::connect(url.trim().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /b/k HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("NoSuchKey"), "the bucket is there: {answer}");
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
}

#[test]
fn forever_it_serves_without_an_input() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_aws-double"))
        .args(["127.0.0.1:0", "forever"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
    assert!(TcpStream::connect(url.trim().strip_prefix("http://").unwrap()).is_ok());
    process.kill().unwrap();
    assert!(!process.wait().unwrap().success());
}

#[test]
fn what_it_does_not_understand_it_says() {
    for arguments in [&[][..], &["127.0.0.1:0", "colour=red"], &["127.0.0.1:0", "role"], &["nowhere"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_aws-double")).args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}
