//! S3 over the wire: conditions, encodings, paging, access.
//!
//! What is asserted here must be what S3 does (S3 API reference), not what is convenient.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{get, send, tags};
use iam_ssh_doubles::{Double, Fault, Match, Service};

fn code(answer: &common::Answer) -> (u16, String) {
    (answer.status, tags(&answer.body, "Code").pop().unwrap_or_default())
}

#[test]
fn an_object_is_read_conditionally_and_its_key_is_decoded() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "users/a+b=c,d@e.f_g-h/authorized_keys", "line\n");
    let target = "/b/users/a%2Bb%3Dc%2Cd%40e.f_g-h/authorized_keys";
    let answer = get(&double, target);
    assert_eq!((answer.status, answer.body.as_str()), (200, "line\n"));
    let etag = answer.header("etag").unwrap();
    assert_eq!(etag, "\"5b4bd9815cdb17b8ceae19eb1810c34c\"", "the quoted MD5, here of md5sum");
    assert_eq!(get(&double, "/b/users/a+b=c,d@e.f_g-h/authorized_keys").status, 200, "a plus in a path is a plus");
    let same = send(&double, "GET", target, &[("if-none-match", &etag)], b"");
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    assert!(double.requests()[2].conditional && !double.requests()[0].conditional);
    assert_eq!(send(&double, "HEAD", target, &[], b"").header("content-length").unwrap(), "5");
    assert_eq!(code(&get(&double, "/b/none")), (404, "NoSuchKey".to_owned()));
    assert_eq!(code(&get(&double, "/none/none")), (404, "NoSuchBucket".to_owned()));
}

#[test]
fn access_is_refused_as_s3_refuses_it() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "x").set_bucket_owner("b", "111111111111");
    let owned = |owner| send(&double, "GET", "/b/k", &[("x-amz-expected-bucket-owner", owner)], b"");
    assert_eq!(owned("111111111111").status, 200);
    assert_eq!(code(&owned("222222222222")), (403, "AccessDenied".to_owned()));
    double.deny("b", "k");
    assert_eq!(code(&get(&double, "/b/k")), (403, "AccessDenied".to_owned()));
    double.allow("b", "k").hide_missing("b");
    assert_eq!(get(&double, "/b/k").status, 200);
    assert_eq!(code(&get(&double, "/b/none")), (403, "AccessDenied".to_owned()));
}

#[test]
fn writes_obey_their_conditions_and_drop_their_framing() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_bucket("b");
    let put = |headers: &[(&str, &str)], body: &[u8]| send(&double, "PUT", "/b/k", headers, body);
    assert_eq!(code(&put(&[("if-match", "\"x\"")], b"1")), (404, "NoSuchKey".to_owned()));
    let etag = put(&[("if-none-match", "*")], b"one").header("etag").unwrap();
    assert_eq!(code(&put(&[("if-none-match", "*")], b"two")), (412, "PreconditionFailed".to_owned()));
    assert_eq!(code(&put(&[("if-match", "\"x\"")], b"two")), (412, "PreconditionFailed".to_owned()));
    assert_eq!(double.object("b", "k").unwrap(), b"one");
    assert_eq!(put(&[("if-match", &etag)], b"two").status, 200);
    let chunked = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "7"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ];
    let body = b"3\r\nabc\r\n4;chunk-signature=0\r\n\r\n\r\n\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
    assert_eq!(put(&chunked, body).status, 200);
    assert_eq!(double.object("b", "k").unwrap(), b"abc\r\n\r\n");
    assert_eq!(code(&put(&chunked, b"9\r\nabc\r\n")), (400, "IncompleteBody".to_owned()));
    let delete = |headers: &[(&str, &str)]| send(&double, "DELETE", "/b/k", headers, b"").status;
    assert_eq!((delete(&[("if-match", "\"x\"")]), delete(&[]), delete(&[])), (412, 204, 204));
    assert!(double.objects("b").is_empty());
}

/// As the API reference and the user guide's pages on conditional writes and deletes have it.
#[test]
fn a_condition_meets_another_writer() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "mine");
    let etag = get(&double, "/b/k").header("etag").unwrap();
    let with =
        |method: &str, key: &str| code(&send(&double, method, &format!("/b/{key}"), &[("if-match", &etag)], b"new"));
    for method in ["PUT", "DELETE"] {
        assert_eq!(with(method, "none"), (404, "NoSuchKey".to_owned()));
        double.put_object("b", "k", "mine").on_call(Match::any_of(&[Service::S3]), 1, |change| {
            change.put_object("b", "k", "somebody else's");
        });
        assert_eq!(with(method, "k"), (412, "PreconditionFailed".to_owned()), "written right before {method}");
        assert_eq!(double.object("b", "k").unwrap(), b"somebody else's");
        double.put_object("b", "k", "mine").on_call(Match::any(), 1, |change| {
            change.remove_object("b", "k");
        });
        assert_eq!(with(method, "k").0, 404, "deleted right before {method}");
        double.put_object("b", "k", "mine");
        double.fault(Match::any().times(1), Fault::Status(409, "ConditionalRequestConflict".to_owned()));
        assert_eq!(with(method, "k"), (409, "ConditionalRequestConflict".to_owned()));
        assert_eq!(double.object("b", "k").unwrap(), b"mine", "a conflict changes nothing");
    }
    assert_eq!(send(&double, "DELETE", "/b/k", &[("if-match", "*")], b"").status, 204);
}

#[test]
fn an_object_of_ten_megabytes_comes_back_as_it_went() {
    let double = Double::start("127.0.0.1:0").unwrap();
    let body = "0123456789abcdef".repeat(640 * 1024);
    let put = send(&double, "PUT", "/b", &[], b"").status;
    assert_eq!((put, send(&double, "PUT", "/b/state", &[], body.as_bytes()).status), (200, 200));
    let got = send(&double, "GET", "/b/state", &[("x-amz-checksum-mode", "ENABLED")], b"");
    assert!(got.header("x-amz-checksum-crc32").is_some() && got.body == body);
}

#[test]
fn lists_page_and_encode_their_keys() {
    let double = Double::start("127.0.0.1:0").unwrap();
    for number in 0..5 {
        double.put_object("b", &format!("users/u{number}/authorized_keys"), "");
    }
    double.put_object("b", "other", "").put_object("b", "users/a +\u{1}&/x", "").list_cap(2);
    let (mut keys, mut token) = (Vec::new(), String::new());
    for page_number in 0.. {
        let page = get(&double, &format!("/b?list-type=2&prefix=users%2F&encoding-type=url&max-keys=1000{token}")).body;
        let found = tags(&page, "Key");
        assert!(found.len() == 2 && page_number < 3);
        keys.extend(found);
        let Some(next) = tags(&page, "NextContinuationToken").pop() else { break };
        token = format!("&continuation-token={next}");
    }
    assert_eq!(keys[0], "users/a+%2B%01%26/x");
    assert_eq!(keys.len(), 6);
    assert!(get(&double, "/b?list-type=2").body.contains("<Key>other</Key>"));
    assert!(get(&double, "/b?list-type=2&prefix=users/a").body.contains("<Key>users/a +&#x1;&amp;/x</Key>"));
    assert_eq!(get(&double, "/b?list-type=2&continuation-token=mine").status, 400);
    assert_eq!(get(&double, "/b?list-type=2&delimiter=/").status, 501);
    assert_eq!(get(&double, "/none?list-type=2").status, 404);
    double.deny("b", "");
    assert_eq!(get(&double, "/b?list-type=2").status, 403);
}

#[test]
fn opaque_etags_differ_for_the_same_content() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.opaque_etags("b").put_object("b", "k", "x").put_object("b", "l", "x");
    assert_ne!(get(&double, "/b/k").header("etag"), get(&double, "/b/l").header("etag"));
}

/// As a client that wants to check what it gets asks for it; the value is `crc32` of another implementation, in base64.
#[test]
fn an_object_has_a_checksum_for_whoever_asks() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_object("b", "k", "123456789");
    let asked = send(&double, "GET", "/b/k", &[("x-amz-checksum-mode", "ENABLED")], b"");
    assert_eq!(asked.header("x-amz-checksum-crc32").unwrap(), "y/Q5Jg==");
    assert_eq!(asked.header("x-amz-checksum-type").unwrap(), "FULL_OBJECT");
    assert_eq!(get(&double, "/b/k").header("x-amz-checksum-crc32"), None);
}
