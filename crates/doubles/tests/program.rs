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
fn it_serves_a_whole_account_at_a_pace() {
    let settings = ["populate=3,1,2,1", "account=111122223333", "page-cap=2", "throttle=0,2", "lag=0.5"];
    let mut process = Command::new(env!("CARGO_BIN_EXE_aws-double"))
        .arg("127.0.0.1:0")
        .args(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let ask = || {
        let mut stream = TcpStream::connect(url.trim().strip_prefix("http://").unwrap()).unwrap();
        let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded";
        stream.write_all(format!("{head}\r\ncontent-length: 16\r\n\r\nAction=ListUsers").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let first = ask();
    assert_eq!(first.matches("<Arn>arn:aws:iam::111122223333:user/user0000").count(), 2, "{first}");
    assert!(ask().starts_with("HTTP/1.1 200") && ask().contains("<Code>Throttling</Code>"));
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
    for arguments in [
        &[][..],
        &["127.0.0.1:0", "colour=red"],
        &["127.0.0.1:0", "role"],
        &["127.0.0.1:0", "populate=1,2"],
        &["127.0.0.1:0", "lag=-1"],
        &["nowhere"],
    ] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_aws-double")).args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}
