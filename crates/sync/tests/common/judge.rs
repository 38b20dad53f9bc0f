//! The judge of what a run left behind: it knows the account and the specification, and nothing of the program.
//!
//! After a run that says it succeeded the bucket says what the account says; after any other, each document is either its old or its
//! new self.

use std::collections::{BTreeMap, BTreeSet};

use iam_ssh_doubles::{Directory, Double, Fault, Match, Service};

use super::{BUCKET, Ran, against, documents, finish, line};

/// Documents by key.
pub type Documents = BTreeMap<String, Vec<u8>>;

/// What the bucket should hold for the home account.
pub fn desired(double: &Double) -> Documents {
    double.iam(|directory| of(directory, ""))
}

/// What it should hold for an account below a prefix: members by name, keys by id, Active ones alone. No two users share a key here.
pub fn of(directory: &Directory, prefix: &str) -> Documents {
    let text = |user: &str| {
        let mut keys = directory.keys(user);
        keys.sort();
        let active = keys.iter().filter(|(_, _, status)| status == "Active");
        active.map(|(_, body, _)| line(user, body)).collect::<String>()
    };
    let users =
        directory.users().into_iter().map(|user| (format!("{prefix}users/{user}/authorized_keys"), text(&user)));
    let groups = directory.groups().into_iter().map(|group| {
        let mut members = directory.members(&group);
        members.sort();
        let text: String = members.iter().map(|member| text(member)).collect();
        (format!("{prefix}groups/{group}/authorized_keys"), text)
    });
    users.chain(groups).map(|(key, text)| (key, text.into_bytes())).collect()
}

/// The documents, as text that a failing test can show.
fn shown(documents: &Documents) -> BTreeMap<&str, String> {
    documents.iter().map(|(key, body)| (key.as_str(), String::from_utf8_lossy(body).into_owned())).collect()
}

/// The bucket says what the account says.
pub fn in_sync(double: &Double, when: &str) {
    let (found, desired) = (documents(double), desired(double));
    assert_eq!(shown(&found), shown(&desired), "{when}");
}

/// Each document is what it was or what it should be.
pub fn between(before: &Documents, double: &Double, when: &str) {
    let (now, after) = (documents(double), desired(double));
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).chain(after.keys()).collect();
    for key in keys {
        let (was, is, will) = (before.get(key), now.get(key), after.get(key));
        assert!(is == was || is == will, "{when}: {key} is neither old nor new: {:?}", shown(&now));
    }
}

/// The same, and who or what has another name now is there under one of the two at least: what is new is written before what is old is
/// deleted. Where a write fails that is not so: what should be withdrawn is, whatever else fails.
pub fn served(before: &Documents, double: &Double, when: &str) {
    between(before, double, when);
    let (now, after) = (documents(double), desired(double));
    let (was, is, will) = (users_keys(before), users_keys(&now), users_keys(&after));
    for key in was.intersection(&will) {
        assert!(is.contains(key), "{when}: {key} is not below users/ any more: {:?}", shown(&now));
    }
    for (old, text) in before.iter().filter(|(old, text)| !after.contains_key(*old) && !text.is_empty()) {
        let new = after.iter().find(|(new, other)| !before.contains_key(*new) && *other == text);
        let Some((new, _)) = new else { continue };
        assert!(now.contains_key(old) || now.contains_key(new), "{when}: neither {old} nor {new}");
    }
}

/// Whoever is in both of these is in the bucket, wherever documents are named the same.
pub fn never_lost(stay: &Documents, double: &Double, when: &str) {
    let now = documents(double);
    for (key, text) in stay {
        let found = now.get(key).map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
        for line in String::from_utf8_lossy(text).lines() {
            assert!(found.lines().any(|known| known == line), "{when}: {key} lost {line}; it holds {found:?}");
        }
    }
}

/// The public keys in all documents of users.
fn users_keys(documents: &Documents) -> BTreeSet<&str> {
    let of_users = documents.iter().filter(|(key, _)| key.contains("users/"));
    let texts = of_users.map(|(_, text)| std::str::from_utf8(text).unwrap());
    texts.flat_map(str::lines).map(|line| line.split(' ').nth(2).unwrap()).collect()
}

/// The heartbeat as it stands.
pub fn heartbeat(double: &Double) -> Option<Vec<u8>> {
    double.object(BUCKET, "iam-ssh/heartbeat.json")
}

/// One run whose lease is soon over if it dies, and that waits for that of another.
pub fn run(double: &Double) -> Ran {
    run_with(double, &[])
}

/// The same with further settings; an empty value takes one away.
pub fn run_with(double: &Double, settings: &[(&str, &str)]) -> Ran {
    let mut command = against(&double.url());
    command.env("LEASE_SECONDS", "1").env("LEASE_WAIT", "10");
    for (name, value) in settings {
        if value.is_empty() {
            command.env_remove(name)
        } else {
            command.env(name, value)
        };
    }
    finish(command)
}

/// A run without any fault must make everything right and leave a new heartbeat.
pub fn repaired(double: &Double, when: &str) {
    double.clear_faults().clear_requests();
    let ran = run(double);
    assert_eq!(ran.code, 0, "{when}: {ran:?}");
    in_sync(double, when);
    assert_eq!(super::heartbeats(double), 1, "{when}");
    assert_eq!(double.object(BUCKET, "iam-ssh/lease.json"), None, "{when}");
}

/// Does the same with each of these, some at a time: tests that mostly wait need not do so one after the other.
pub fn each<T: Send>(cases: impl IntoIterator<Item = T, IntoIter: Send>, at_once: usize, check: impl Fn(T) + Sync) {
    let cases = std::sync::Mutex::new(cases.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let case = cases.lock().unwrap().next();
                    match case {
                        Some(case) => check(case),
                        None => return,
                    }
                }
            });
        }
    });
}

/// Every call of a run.
pub fn all() -> Match {
    Match::any_of(&[Service::Iam, Service::S3])
}

/// An error that AWS answers with.
pub fn status(code: u16, name: &str) -> Fault {
    Fault::Status(code, name.to_owned())
}

/// Every way to fail.
pub fn faults() -> [Fault; 6] {
    [
        status(403, "AccessDenied"),
        status(500, "InternalError"),
        Fault::Throttle,
        Fault::CloseConnection,
        Fault::Truncate,
        Fault::CutBody(String::new()),
    ]
}
