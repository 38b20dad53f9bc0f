//! A double of Lambda's runtime API ("Using the Lambda runtime API" in its developer guide), and the function under it.
//!
//! It hands out one invocation when a test says so and takes what the function posts for it; it must not know what the function
//! does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde_json::Value;

/// How long the function may need before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the function posted for an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Response(Value),
    /// The type of the error, and what it says.
    Error(String, String),
}

impl Answer {
    /// The response, which it must be.
    pub fn response(self) -> Value {
        match self {
            Self::Response(value) => value,
            Self::Error(kind, message) => panic!("{kind}: {message}"),
        }
    }

    /// The error, which it must be.
    pub fn error(self) -> (String, String) {
        match self {
            Self::Error(kind, message) => (kind, message),
            Self::Response(value) => panic!("{value}"),
        }
    }
}

/// One invocation: its payload as sent, and the time by which it must have ended.
type Invocation = (String, SystemTime);

/// A runtime API with one function.
pub struct Runtime {
    address: String,
    invocations: Sender<Invocation>,
    answers: Receiver<Answer>,
}

impl Runtime {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (invocations, invoked) = channel();
        let (answer, answers) = channel();
        std::thread::spawn(move || {
            let mut given = 0;
            for stream in listener.incoming() {
                if serve(stream.unwrap(), &mut given, &invoked, &answer).is_none() {
                    return;
                }
            }
        });
        Self { address, invocations, answers }
    }

    /// Invokes the function with the longest time that Lambda gives, and waits for its answer.
    pub fn invoke(&self, payload: &Value) -> Answer {
        self.invoke_within(payload, Duration::from_secs(900))
    }

    /// Invokes the function with so much time.
    pub fn invoke_within(&self, payload: &Value, time: Duration) -> Answer {
        self.invocations.send((payload.to_string(), SystemTime::now() + time)).unwrap();
        self.answers.recv_timeout(PATIENCE).expect("an answer")
    }
}

/// Answers one request per connection; `None` when the test is over. `given` counts the invocations handed out: the id of the last.
fn serve(
    mut stream: TcpStream,
    given: &mut u32,
    invoked: &Receiver<Invocation>,
    answer: &Sender<Answer>,
) -> Option<()> {
    let (method, path, body) = request(&stream)?;
    let reply = match (method.as_str(), path.strip_prefix("/2018-06-01/runtime/")) {
        ("GET", Some("invocation/next")) => {
            let (payload, deadline) = invoked.recv().ok()?;
            *given += 1;
            let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
            format!(
                "200 OK\r\nLambda-Runtime-Aws-Request-Id: {}\r\nLambda-Runtime-Deadline-Ms: {deadline}\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:iam-ssh-sync\r\n\
                 Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{payload}",
                id(*given),
                payload.len()
            )
        }
        ("POST", Some(posted)) => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let told = if posted == format!("invocation/{}/response", id(*given)) {
                Answer::Response(body)
            } else if posted == format!("invocation/{}/error", id(*given)) || posted == "init/error" {
                let text = |key: &str| body[key].as_str().unwrap().to_owned();
                Answer::Error(text("errorType"), text("errorMessage"))
            } else {
                panic!("posted to {path}: {body}")
            };
            answer.send(told).ok()?;
            "202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
        }
        _ => panic!("{method} {path}"),
    };
    stream.write_all(format!("HTTP/1.1 {reply}").as_bytes()).ok()
}

fn id(number: u32) -> String {
    format!("8476a536-e9f4-11e8-9739-{number:012}")
}

/// Method, path and body.
fn request(stream: &TcpStream) -> Option<(String, String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    Some((words.next()?, words.next()?, body))
}

/// What a process wrote, while it still runs.
type Collected = (Arc<Mutex<Vec<u8>>>, JoinHandle<()>);

/// The function's process. It is killed when dropped, as Lambda does; when the test is killed, the runtime API is gone and it ends.
pub struct Function {
    process: Child,
    out: Collected,
    err: Collected,
}

impl Function {
    /// Starts `program` as Lambda starts a bootstrap, with `settings` as its environment besides what Lambda sets itself.
    pub fn start(program: &Path, settings: &Command, runtime: &Runtime) -> Self {
        let folder = program.parent().unwrap();
        let mut command = Command::new(program);
        command.env_clear().current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(settings.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("AWS_LAMBDA_RUNTIME_API", &runtime.address).env("LAMBDA_TASK_ROOT", folder);
        command.envs([
            ("_HANDLER", "bootstrap"),
            ("AWS_LAMBDA_FUNCTION_NAME", "iam-ssh-sync"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/iam-ssh-sync"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/23/[$LATEST]0123456789abcdef0123456789abcdef"),
            ("TZ", ":UTC"),
            ("LANG", "en_US.UTF-8"),
            ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ]);
        let mut process = command.spawn().unwrap();
        let (out, err) = (collect(process.stdout.take().unwrap()), collect(process.stderr.take().unwrap()));
        Self { process, out, err }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the process and gives what it wrote: standard output, standard error.
    pub fn log(mut self) -> (String, String) {
        self.process.kill().unwrap();
        let text = |collected: &mut Collected| {
            // A thread cannot be joined through a reference: another one takes its place.
            std::mem::replace(&mut collected.1, std::thread::spawn(|| {})).join().unwrap();
            String::from_utf8(collected.0.lock().unwrap().clone()).unwrap()
        };
        (text(&mut self.out), text(&mut self.err))
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads on, so that the function never has to wait for a reader.
fn collect(mut from: impl Read + Send + 'static) -> Collected {
    let text = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&text);
    let thread = std::thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut part) {
            into.lock().unwrap().extend_from_slice(&part[..read]);
        }
    });
    (text, thread)
}
