//! What the sync costs for a full-size account, beside the algorithm that it replaces, on the same double: calls, writes, memory,
//! and time under a throttle.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use iam_ssh_e2e::doubles::{Double, Match, Request, Service};
use iam_ssh_e2e::measure::Bar;
use iam_ssh_e2e::{BUCKET, command, seed, sync_bin};

use crate::figure;

/// Calls a second that the throttled account grants, and its users, with a key each: 50 seconds.
const RATE: u32 = 20;
const THROTTLED_USERS: usize = 500;
/// From which call on the rate is known.
const ADAPTED: usize = 500;
/// Who is in scope where only some are.
const SCOPE: &str = "tag:team=ops";

/// What a run cost.
struct Cost {
    calls: f64,
    writes: f64,
    peak: f64,
    wall: Duration,
}

/// Prints all of it.
pub(crate) fn report() {
    // It hardly needs the processor, so the rest is measured meanwhile.
    let throttled = std::thread::spawn(throttled);
    let double = full_size();
    let first = run(&double, &[]);
    let steady = run(&double, &[]);
    let event = event(&double);
    let scope = ["--scope", SCOPE, "--s3-prefix", "scoped/"];
    run(&double, &scope);
    let scoped = run(&double, &scope);
    let tags = run(&double, &["--key-sources", "tags", "--scope", SCOPE, "--s3-prefix", "tags/"]);
    double.clear_requests();
    seed::read(double.address());
    let seed = calls(&double);

    let count = |name: &str, value: f64, bar: Bar| figure(&format!("sync-{name}-calls"), value, "calls", bar);
    figure("seed-calls", seed, "calls", Bar::None);
    count("first", first.calls, Bar::AtMost(15_010.0));
    count("steady", steady.calls, Bar::AtMost(5_010.0));
    count("scoped", scoped.calls, Bar::AtMost(510.0));
    count("tags", tags.calls, Bar::AtMost(10.0));
    count("event", event.calls, Bar::AtMost(5.0));
    figure("sync-first-vs-seed-calls", seed / first.calls, "times", Bar::AtLeast(2.9));
    figure("sync-steady-vs-seed-calls", seed / steady.calls, "times", Bar::AtLeast(8.6));
    figure("sync-scoped-vs-seed-calls", seed / scoped.calls, "times", Bar::None);
    figure("sync-event-vs-seed-calls", seed / event.calls, "times", Bar::None);
    figure("sync-steady-writes", steady.writes, "documents", Bar::AtMost(0.0));
    figure("sync-event-writes", event.writes, "documents", Bar::AtMost(3.0));
    for (name, cost) in [("first", &first), ("steady", &steady), ("event", &event)] {
        figure(&format!("sync-{name}-peak-memory"), cost.peak, "MiB", Bar::AtMost(128.0));
        figure(&format!("sync-{name}-wall"), cost.wall.as_secs_f64(), "s", Bar::None);
    }
    let (wall, share) = throttled.join().expect("a throttled run");
    figure("sync-throttled-wall", wall, "times", Bar::AtMost(1.1));
    figure("sync-throttled-share", share, "percent", Bar::AtMost(2.0));
}

/// 5,000 users with two keys in two of 300 groups; 500 of them are marked.
fn full_size() -> Double {
    let double = Double::start("127.0.0.1:0").expect("a double");
    double.populate(5000, 2, 300, 2).add_bucket(BUCKET);
    double.iam(|directory| {
        for number in (0..5000).step_by(10) {
            directory.tag_user(&format!("user{number:05}"), "team", "ops");
        }
    });
    double
}

fn sync(double: &Double) -> Command {
    let mut sync = command(sync_bin());
    sync.envs([("AWS_ENDPOINT_URL", double.url().as_str()), ("AWS_REGION", "us-east-1"), ("S3_BUCKET", BUCKET)]);
    sync.envs([("AWS_ACCESS_KEY_ID", "AKIADOUBLE"), ("AWS_SECRET_ACCESS_KEY", "double"), ("IAM_MAX_RATE", "1000000")]);
    sync.stdin(Stdio::null()).stdout(Stdio::null());
    sync
}

/// One run that must succeed, with what it cost.
fn run(double: &Double, arguments: &[&str]) -> Cost {
    double.clear_requests();
    let began = Instant::now();
    let mut child = sync(double).args(arguments).spawn().expect("the sync");
    let (pid, (tell, told)) = (child.id(), channel());
    // Giving the lease back is what a run does last.
    double.on_call(Match::action("DeleteObject"), 1, move |_| {
        let _ = tell.send(peak(pid));
    });
    assert!(child.wait().expect("the sync").success());
    cost(double, told.try_recv().expect("a run that gave its lease back"), began)
}

/// One invocation of the Lambda function by an event, after a user got another key.
fn event(double: &Double) -> Cost {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDKIpeqf//HCVFGuDlyI25X79mvlIxcIQiaieWuzqkDF";
    double.add_key("user01234", "APKZ", KEY, "Active").clear_requests();
    let event = r#"{"source":"aws.iam","detail-type":"AWS API Call via CloudTrail","account":"123456789012",
        "detail":{"eventSource":"iam.amazonaws.com","eventName":"UploadSSHPublicKey",
        "requestParameters":{"userName":"user01234"}}}"#;
    let api = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut function = sync(double);
    function.env("AWS_LAMBDA_RUNTIME_API", api.local_addr().expect("an address").to_string());
    function.envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "iam-ssh-sync"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "sync"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "sync"),
    ]);
    let began = Instant::now();
    let mut child = function.spawn().expect("the sync");
    loop {
        let (mut stream, _) = api.accept().expect("a connection");
        let mut reader = BufReader::new(stream.try_clone().expect("a connection"));
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first).expect("a request");
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).expect("a header");
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        reader.read_exact(&mut vec![0; length]).expect("a body");
        if first.starts_with("POST") {
            assert!(first.contains("/response"), "{first}");
            break;
        }
        let size = event.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:iam-ssh-sync\r\n\
             Content-Type: application/json\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n{event}"
        )
        .expect("an invocation");
    }
    let cost = cost(double, peak(child.id()), began);
    child.kill().expect("the sync");
    child.wait().expect("the sync");
    cost
}

fn cost(double: &Double, peak: f64, began: Instant) -> Cost {
    let wall = began.elapsed();
    let is_document = |request: &&Request| request.is_write() && request.resource.ends_with("/authorized_keys");
    Cost { calls: calls(double), writes: number(double.requests().iter().filter(is_document).count()), peak, wall }
}

/// A reading of an account that is throttled: how long against what the rate allows, and how much of it was throttled in percent.
fn throttled() -> (f64, f64) {
    let double = Double::start("127.0.0.1:0").expect("a double");
    double.populate(THROTTLED_USERS, 1, 10, 2).add_bucket(BUCKET).throttle(RATE.into(), RATE.into());
    let ended = sync(&double).arg("--dry-run").status().expect("the sync");
    assert!(ended.success());
    let mut asked = double.requests();
    asked.retain(|request| request.service == Service::Iam);
    let wall = asked[asked.len() - 1].at - asked[0].at;
    let answered = asked.iter().filter(|request| !request.throttled).count();
    let late = &asked[ADAPTED..];
    let refused = late.iter().filter(|request| request.throttled).count();
    (wall.as_secs_f64() * f64::from(RATE) / number(answered), 100.0 * number(refused) / number(late.len()))
}

/// The most memory that a process had in use at a time so far, in MiB.
fn peak(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1024.0
}

fn calls(double: &Double) -> f64 {
    number(double.count(&Match::service(Service::Iam)))
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a small number"))
}
