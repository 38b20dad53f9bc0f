//! Throttling by token bucket: what it refuses, how it says so, and what it leaves alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::time::{Duration, Instant};

use common::{get, iam, send, tags};
use iam_ssh_doubles::{Double, Match, Service};

#[test]
fn calls_beyond_the_burst_are_refused_and_counted() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_user("ann").put_object("b", "k", "x").throttle(0.0, 3.0);
    let statuses: Vec<u16> = (0..5).map(|_| iam(&double, "Action=ListUsers").status).collect();
    assert_eq!(statuses, [200, 200, 200, 400, 400]);
    let refused = iam(&double, "Action=GetUser&UserName=ann");
    assert_eq!(
        (tags(&refused.body, "Code"), tags(&refused.body, "Message")),
        (vec!["Throttling".into()], vec!["Rate exceeded".into()])
    );
    assert_eq!(get(&double, "/b/k").status, 200, "S3 has no part in it");
    assert_eq!(iam(&double, "Action=GetCallerIdentity&Version=2011-06-15").status, 200, "nor has STS");
    let log = double.requests();
    let throttled: Vec<bool> = log.iter().map(|request| request.throttled).collect();
    assert_eq!(throttled, [false, false, false, true, true, true, false, false]);
    assert!(log.windows(2).all(|pair| pair[0].at <= pair[1].at), "the log says when each came");
    assert_eq!((double.throttled(), double.count(&Match::service(Service::Iam))), (3, 6));
    assert_eq!(double.clear_requests().throttled(), 0);
    double.unthrottle();
    assert_eq!(iam(&double, "Action=ListUsers").status, 200);
}

#[test]
fn the_bucket_fills_again() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.throttle(50.0, 1.0);
    let (begun, mut admitted) = (Instant::now(), 0_u32);
    while admitted < 6 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never fills");
        admitted += u32::from(iam(&double, "Action=ListUsers").status == 200);
    }
    assert!(begun.elapsed() >= Duration::from_millis(100), "one at once, then one in 20 ms");
}

#[test]
fn each_account_has_a_bucket_of_its_own() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.with_account("222222222222", |directory| {
        directory.add_user("far");
    });
    double.throttle(0.0, 1.0);
    let there = [
        ("content-type", "application/x-www-form-urlencoded"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=ASIA222222222222ROLE/20260101/us-east-1/iam/aws4_request, Signature=0",
        ),
    ];
    let far = || send(&double, "POST", "/", &there, b"Action=ListUsers").status;
    assert_eq!((iam(&double, "Action=ListUsers").status, iam(&double, "Action=ListUsers").status), (200, 400));
    assert_eq!((far(), far()), (200, 400));
}
