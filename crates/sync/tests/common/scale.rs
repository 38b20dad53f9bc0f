//! A full-size account (as many users as AWS allows, two keys and two groups each), and what a run against it costs.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use iam_ssh_doubles::{Double, Match, Service};

use super::{Ran, document, double, line};

pub const USERS: usize = 5000;
pub const GROUPS: usize = 300;

/// A double with a full-size account and an empty bucket.
pub fn full_size() -> Double {
    let double = double();
    double.populate(USERS, 2, GROUPS, 2);
    double
}

/// How many IAM calls were made, throttled ones included.
pub fn calls(double: &Double) -> usize {
    double.count(&Match::service(Service::Iam))
}

/// Runs the program to its end; gives with what it said the most memory that it had in use at a time, in MiB.
pub fn measured(double: &Double, mut command: Command) -> (Ran, f64) {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (pid, (tell, told)) = (child.id(), channel());
    // What a run does last: whatever it needed, it has needed by then.
    let last = Match::action("DeleteObject").on("iam-ssh/lease.json");
    double.on_call(last, 1, move |_| {
        let _ = tell.send(peak(pid));
    });
    let ran = child.wait_with_output().unwrap().into();
    let peak = told.try_recv();
    (ran, peak.expect("the run gave its lease back"))
}

/// The most memory that a process had in use at a time so far, in MiB.
pub fn peak(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: f64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kib / 1024.0
}

/// The user of this number, as the double names them.
pub fn user(number: usize) -> String {
    format!("user{number:05}")
}

/// Whether all that is published is right: everybody has two keys of their own, groups have those of their members, by name.
pub fn assert_published(double: &Double) {
    let users: Vec<String> =
        (0..USERS).map(|number| document(double, &format!("users/{}", user(number))).unwrap()).collect();
    let mut keys = BTreeSet::new();
    for (number, text) in users.iter().enumerate() {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        for published in lines {
            let key = published.split(' ').nth(2).unwrap();
            assert_eq!(format!("{published}\n"), line(&user(number), &format!("ssh-rsa {key}")));
            assert!(keys.insert(key.to_owned()), "{published} is published twice");
        }
    }
    for number in (0..USERS).step_by(499) {
        assert_eq!(users[number], expected(double, &user(number)));
    }
    let mut groups = vec![String::new(); GROUPS];
    for (number, text) in users.iter().enumerate() {
        groups[2 * number % GROUPS] += text;
        groups[(2 * number + 1) % GROUPS] += text;
    }
    for (number, text) in groups.iter().enumerate() {
        assert_eq!(document(double, &format!("groups/group{number:03}")).as_ref(), Some(text), "group {number}");
    }
    let count = |prefix: &str| double.objects(super::BUCKET).keys().filter(|key| key.starts_with(prefix)).count();
    assert_eq!((count("users/"), count("groups/")), (USERS, GROUPS));
}

/// A user's document, as IAM itself tells the keys; IAM is asked without the program.
fn expected(double: &Double, user: &str) -> String {
    let mut ids = tags(&ask(double, &format!("Action=ListSSHPublicKeys&UserName={user}")), "SSHPublicKeyId");
    ids.sort();
    let body = |id: &String| {
        let asked = format!("Action=GetSSHPublicKey&UserName={user}&SSHPublicKeyId={id}&Encoding=SSH");
        tags(&ask(double, &asked), "SSHPublicKeyBody").remove(0)
    };
    ids.iter().map(|id| line(user, &body(id))).collect()
}

fn ask(double: &Double, form: &str) -> String {
    let mut stream = TcpStream::connect(double.address()).unwrap();
    let form = format!("{form}&Version=2010-05-08");
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: iam.amazonaws.com\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn tags(xml: &str, tag: &str) -> Vec<String> {
    let (begin, end) = (format!("<{tag}>"), format!("</{tag}>"));
    let found = xml.split(&begin).skip(1).filter_map(|rest| rest.split_once(&end));
    found.map(|(inside, _)| inside.to_owned()).collect()
}
