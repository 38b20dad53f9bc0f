//! Each fault, as a client meets it.
//!
//! A fault must only meet the requests that were meant, and a failed request must change nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{get, iam, open, send, tags, try_send};
use iam_ssh_doubles::{Double, Fault, Match, Service};

/// Waits until the double has surely read the request: it is in the log.
fn is_in_the_log(double: &Double) {
    let begun = Instant::now();
    while double.requests().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no request");
        std::thread::yield_now();
    }
}

/// Nothing more comes on a connection that stays open.
#[track_caller]
fn is_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
}

#[test]
fn a_status_has_the_error_document_of_its_service() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.fault(Match::any(), Fault::Status(500, "Broken".to_owned()));
    let from_iam = iam(&double, "Action=ListUsers");
    assert_eq!((from_iam.status, tags(&from_iam.body, "Code")), (500, vec!["Broken".to_owned()]));
    assert!(from_iam.body.starts_with("<ErrorResponse"));
    assert!(get(&double, "/b/k").body.contains("<Error><Code>Broken</Code>"));
    let ssm = send(&double, "POST", "/", &[("x-amz-target", "AmazonSSM.GetParameter")], b"{}");
    assert!(ssm.body.contains("\"__type\":\"Broken\""));
    assert_eq!(get(&double, "/latest/meta-data/instance-id").status, 500);
    double.clear_faults();
    assert_eq!(iam(&double, "Action=ListUsers").status, 200);
}

#[test]
fn throttling_is_said_in_each_services_words() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.fault(Match::any(), Fault::Throttle);
    let from_iam = iam(&double, "Action=ListUsers");
    assert_eq!((from_iam.status, tags(&from_iam.body, "Code")), (400, vec!["Throttling".to_owned()]));
    assert_eq!((get(&double, "/b/k").status, get(&double, "/latest/x").status), (503, 429));
}

#[test]
fn a_fault_meets_what_was_meant_as_often_as_was_meant() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "").put_object("b", "l", "");
    double.fault(Match::action("GetObject").on("k").skip(1).times(2), Fault::Status(503, "SlowDown".to_owned()));
    let statuses: Vec<u16> = (0..5).map(|_| get(&double, "/b/k").status).collect();
    assert_eq!(statuses, [200, 503, 503, 200, 200]);
    assert_eq!(get(&double, "/b/l").status, 200);
    double.fault(Match::service(Service::S3), Fault::Status(500, "InternalError".to_owned()));
    assert_eq!(send(&double, "PUT", "/b/new", &[], b"x").status, 500);
    assert_eq!(double.object("b", "new"), None, "what fails changes nothing");
    assert!(double.requests().last().unwrap().is_write());
    assert_eq!(double.clear_requests().requests().len(), 0);
}

/// How a test lets every call of a run fail in its turn, whatever service it is for.
#[test]
fn requests_are_counted_over_several_services() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "");
    double.fault(Match::any_of(&[Service::Iam, Service::S3]).skip(2).times(1), Fault::Status(500, "Broken".to_owned()));
    let s3 = || get(&double, "/b/k").status;
    let sts = || iam(&double, "Action=GetCallerIdentity&Version=2011-06-15").status;
    let statuses = [s3(), sts(), iam(&double, "Action=ListUsers").status, sts(), s3(), s3()];
    assert_eq!(statuses, [200, 200, 200, 200, 500, 200]);
    let both = Match::any_of(&[Service::Iam, Service::S3]);
    assert_eq!((double.count(&both), double.count(&both.clone().on("k")), double.count(&Match::any())), (4, 3, 6));
}

#[test]
fn a_hanging_request_is_read_and_never_answered() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "x").fault(Match::action("GetObject").times(1), Fault::Hang);
    let mut stream = open(&double, "GET", "/b/k", &[], b"");
    is_in_the_log(&double);
    is_silent(&mut stream);
    assert_eq!(double.requests().len(), 1);
    assert_eq!(get(&double, "/b/k").status, 200, "others are served meanwhile");
}

#[test]
fn a_closed_connection_has_no_answer() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "x").fault(Match::any().times(1), Fault::CloseConnection);
    assert!(try_send(&double, "GET", "/b/k", &[], b"").is_none());
    assert_eq!(get(&double, "/b/k").status, 200);
}

#[test]
fn a_slow_body_takes_its_time_and_is_whole() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "x".repeat(300)).fault(Match::any(), Fault::SlowBody { bytes_per_sec: 1000 });
    let begun = Instant::now();
    let answer = get(&double, "/b/k");
    assert_eq!((answer.header("content-length").unwrap().as_str(), answer.body.len()), ("300", 300));
    assert!(begun.elapsed() >= Duration::from_millis(295), "{:?}", begun.elapsed());
}

#[test]
fn a_cut_body_has_no_length_and_ends_with_the_connection() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_user("ann").add_user("bob").fault(Match::any(), Fault::CutBody("<member>".to_owned()));
    let answer = iam(&double, "Action=ListUsers");
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.starts_with("<ListUsersResponse") && answer.body.ends_with("<Users><member>"),
        "{}",
        answer.body
    );
    assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (None, None));
    double.clear_faults().fault(Match::any(), Fault::CutBody("<nowhere>".to_owned()));
    assert!(iam(&double, "Action=ListUsers").body.ends_with("</ListUsersResponse>"));
    double.clear_faults().fault(Match::any(), Fault::CutBody(String::new()));
    let answer = iam(&double, "Action=ListUsers");
    assert_eq!((answer.status, answer.body.as_str(), answer.header("content-length")), (200, "", None));
}

#[test]
fn a_foreign_body_takes_the_place_of_the_right_one_and_nothing_is_done() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_bucket("b").fault(Match::any(), Fault::Body("<Hello/>".to_owned()));
    assert_eq!(send(&double, "PUT", "/b/k", &[], b"x").body, "<Hello/>");
    assert_eq!(double.object("b", "k"), None);
    let kind = |answer: common::Answer| answer.header("content-type").unwrap();
    let ssm = send(&double, "POST", "/", &[("x-amz-target", "AmazonSSM.GetParameter")], b"{}");
    assert_eq!((ssm.status, kind(ssm).as_str()), (200, "application/x-amz-json-1.1"));
    assert_eq!(kind(get(&double, "/b/k")), "binary/octet-stream");
    assert_eq!(kind(iam(&double, "Action=ListUsers")), "text/xml");
    assert_eq!(kind(get(&double, "/latest/meta-data/instance-id")), "text/plain");
}

#[test]
fn a_truncated_body_is_shorter_than_announced() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "x".repeat(300)).put_object("b", "empty", "").fault(Match::any(), Fault::Truncate);
    let answer = get(&double, "/b/k");
    assert_eq!(
        (answer.status, answer.header("content-length").unwrap().as_str(), answer.body.len()),
        (200, "300", 150)
    );
    assert_eq!(get(&double, "/b/empty").body, "", "nothing to cut");
}

#[test]
fn a_hanging_body_stops_halfway_on_an_open_connection() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "x".repeat(300)).fault(Match::any(), Fault::HangBody);
    let mut stream = open(&double, "GET", "/b/k", &[], b"");
    let mut bytes = Vec::new();
    let half = format!("\r\n\r\n{}", "x".repeat(150));
    while !bytes.ends_with(half.as_bytes()) {
        let mut next = [0];
        stream.read_exact(&mut next).unwrap();
        bytes.extend(next);
    }
    let head = String::from_utf8(bytes).unwrap();
    assert!(head.contains("content-length: 300"), "{head}");
    is_silent(&mut stream);
}

#[test]
fn a_huge_body_has_its_size_told_or_not() {
    let double = Double::start("127.0.0.1:0").unwrap();
    let bytes = 3_000_001;
    double.fault(Match::any().times(1), Fault::HugeBody { bytes, told: true });
    let answer = get(&double, "/b/k");
    assert_eq!((answer.status, answer.header("content-length").unwrap().as_str()), (200, "3000001"));
    assert_eq!(answer.body.len(), 3_000_001);
    assert!(answer.body.bytes().all(|byte| byte == b'#'));
    double.fault(Match::any(), Fault::HugeBody { bytes, told: false });
    let answer = get(&double, "/b/k");
    assert_eq!(answer.header("content-length"), None);
    assert!(answer.body.len() > 3_000_001, "in chunks, which this client does not take apart");
}

#[test]
fn a_wrong_checksum_is_a_checksum_of_something_else() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "123456789").fault(Match::any(), Fault::WrongChecksum);
    let asked = || send(&double, "GET", "/b/k", &[("x-amz-checksum-mode", "ENABLED")], b"");
    let wrong = asked();
    assert_eq!((wrong.status, wrong.body.as_str()), (200, "123456789"));
    let (wrong, silent) = (wrong.header("x-amz-checksum-crc32").unwrap(), get(&double, "/b/k"));
    double.clear_faults();
    assert_ne!(asked().header("x-amz-checksum-crc32").unwrap(), wrong);
    assert_eq!(silent.header("x-amz-checksum-crc32"), None, "only for whoever asks");
}

#[test]
fn a_redirect_is_s3s_own() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "x").fault(Match::any(), Fault::Redirect("eu-central-1".to_owned()));
    let answer = get(&double, "/b/k");
    assert_eq!((answer.status, tags(&answer.body, "Code")), (301, vec!["PermanentRedirect".to_owned()]));
    assert_eq!(answer.header("x-amz-bucket-region").unwrap(), "eu-central-1");
    assert_eq!(answer.header("location"), None, "S3 sends none");
}

#[test]
fn a_fault_can_depend_on_who_asks() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "x");
    double.fault(
        Match::service(Service::S3).header("x-amz-security-token", "old"),
        Fault::Status(400, "ExpiredToken".to_owned()),
    );
    let with = |token: &str| send(&double, "GET", "/b/k", &[("X-Amz-Security-Token", token)], b"").status;
    assert_eq!((with("old"), with("new"), get(&double, "/b/k").status), (400, 200, 200));
}

#[test]
fn a_dropped_double_frees_its_port_and_ends_what_hangs() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.fault(Match::any(), Fault::Hang);
    let mut hanging = open(&double, "GET", "/b/k", &[], b"");
    let address = double.address();
    is_in_the_log(&double);
    drop(double);
    let ended = hanging.read(&mut [0; 1]);
    assert!(matches!(&ended, Ok(0)) || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    assert!(TcpStream::connect(address).is_err());
}
