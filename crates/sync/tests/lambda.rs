//! The sync as a Lambda function, against a runtime API of a few lines: what is posted for a good run and for a failed one.
//!
//! The API is the one of the Lambda developer guide ("Using the Lambda runtime API"); nothing of it is simulated beyond one invocation
//! after the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use common::{ED25519, against, document, double, line};
use iam_ssh_doubles::{Double, Fault, Match};

/// What the function posted: the last part of the path, and the body.
type Posted = (String, serde_json::Value);

/// A runtime API that hands out one invocation each time `Invoker` says so.
struct RuntimeApi {
    address: String,
    invoke: Sender<()>,
    posted: Receiver<Posted>,
}

impl RuntimeApi {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (invoke, invoked) = channel();
        let (post, posted) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if answer(stream.unwrap(), &invoked, &post).is_none() {
                    return;
                }
            }
        });
        Self { address, invoke, posted }
    }

    fn invocation(&self) -> Posted {
        self.invoke.send(()).unwrap();
        self.posted.recv_timeout(Duration::from_secs(30)).unwrap()
    }
}

/// Answers one request per connection; `None` when the test is over.
fn answer(mut stream: TcpStream, invoked: &Receiver<()>, post: &Sender<Posted>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut words = first.split(' ');
    let reply = match (words.next().unwrap(), words.next().unwrap()) {
        ("GET", "/2018-06-01/runtime/invocation/next") => {
            invoked.recv().ok()?;
            "200 OK\r\nLambda-Runtime-Aws-Request-Id: r1\r\nLambda-Runtime-Deadline-Ms: 9999999999999\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:f\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        }
        ("POST", path) if path.starts_with("/2018-06-01/runtime/invocation/r1/") => {
            let kind = path.rsplit('/').next().unwrap().to_owned();
            post.send((kind, serde_json::from_slice(&body).unwrap())).ok()?;
            "202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        }
        other => panic!("{other:?}"),
    };
    stream.write_all(format!("HTTP/1.1 {reply}").as_bytes()).unwrap();
    Some(())
}

/// The function's process; killed when dropped, as Lambda does.
struct Function(Child);

impl Function {
    fn start(double: &Double, api: &RuntimeApi) -> Self {
        let mut command = against(&double.url());
        command
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "f")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "s")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "g")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Ends the process and gives its log: standard output, standard error.
    fn log(mut self) -> (String, String) {
        self.0.kill().unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (out, err)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn each_invocation_is_a_run_and_a_failed_run_is_a_failed_invocation() {
    let double = double();
    double.add_key("ann", "APKA1", ED25519, "Active").add_key("ann", "APKA2", "bad", "Active");
    let api = RuntimeApi::start();
    let function = Function::start(&double, &api);
    let (kind, body) = api.invocation();
    assert_eq!((kind.as_str(), &body["summary"]), ("response", &"1 put, 0 deleted, 0 kept".into()));
    assert_eq!(document(&double, "users/ann").unwrap(), line("ann", ED25519));

    double.fault(Match::action("ListSSHPublicKeys"), Fault::Status(403, "AccessDenied".to_owned()));
    let (kind, body) = api.invocation();
    assert_eq!((kind.as_str(), &body["errorType"]), ("error", &"SyncFailed".into()));
    let told = body["errorMessage"].as_str().unwrap();
    assert!(told.contains("nothing was changed: iam:ListSSHPublicKeys for user `ann` failed: AccessDenied"), "{told}");

    double.clear_faults();
    let (kind, body) = api.invocation();
    assert_eq!((kind.as_str(), &body["kept"]), ("response", &1.into()), "the same process goes on");
    let (out, err) = function.log();
    assert!(out.starts_with("put users/ann (+1 -0)\n1 put, 0 deleted, 0 kept\n"), "{out}");
    assert!(
        err.contains("warning: key `APKA2` of user `ann`") && err.contains("error: nothing was changed: "),
        "{err}"
    );
}
