//! Which line counts where several could: decided by the order of the principals, never by who answers first.

use crate::scene::{Answer, JOHN, MARY, NOW, line, own};
use iam_ssh::clock::Moment;
use iam_ssh::config::{Config, Login};
use iam_ssh::copies::Copies;
use iam_ssh::lookup::ports::{FetchError, Instance, Object, Objects, Parameters};
use iam_ssh::lookup::question;
use iam_ssh::refresh;
use iam_ssh::trusted::TrustError;
use iam_ssh_core::PublicKey;
use std::collections::BTreeMap;
use std::time::Duration;

/// A bucket whose objects take their time, and nothing else that answers.
struct Bucket(BTreeMap<&'static str, (u64, String)>);

impl Objects for Bucket {
    async fn get(&self, key: &str, _: Option<&str>) -> Result<Object, FetchError> {
        let name = key.trim_end_matches("/authorized_keys");
        let (millis, text) = self.0.get(name).ok_or(FetchError::Missing("none".into()))?;
        tokio::time::sleep(Duration::from_millis(*millis)).await;
        Ok(Object::Content { bytes: text.clone().into_bytes(), etag: None })
    }
}

impl Parameters for Bucket {
    async fn get(&self, name: &str) -> (String, Result<String, FetchError>) {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        (name.to_owned(), Ok("users/late".into()))
    }
}

impl Instance for Bucket {
    async fn tag(&self, _: &str) -> Result<String, FetchError> {
        Err(FetchError::Missing("none".into()))
    }
}

/// Asks on a paused clock: time passes only where somebody waits for it. Gives the answer and the time it took.
fn ask(objects: &[(&'static str, u64, String)], offered: Option<&str>, parameter: bool) -> (Answer, Duration) {
    let objects = Bucket(objects.iter().map(|(name, ms, text)| (*name, (*ms, text.clone()))).collect());
    let login = Login {
        principals: ["users/first", "groups/second"].map(|p| p.parse().unwrap()).to_vec(),
        parameter: parameter.then(|| "/p".to_owned()),
        ..Login::default()
    };
    let key = offered.map(|k| PublicKey::from_openssh(k).unwrap());
    let config = Config { logins: [("u".to_owned(), login)].into(), ..Config::default() };
    let (question, _) = question(&config, "u", key.as_ref(), NOW, own()).unwrap();
    let mut copies = Copies::open(&config, Err(TrustError::Missing("no cache".into())), Moment::now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let started = tokio::time::Instant::now();
        let found = refresh::lookup(&question, &mut copies, &objects, "", Duration::from_secs(2)).await;
        (Answer { found, events: copies.take_events(false) }, started.elapsed())
    })
}

fn owners(answer: &Answer) -> Vec<&str> {
    answer.found.iter().map(|found| found.line.owner().as_str()).collect()
}

#[test]
fn the_first_principal_decides_however_late_it_is() {
    let restricted = format!("restrict,{}", line("first", JOHN));
    let objects = [("users/first", 900, restricted), ("groups/second", 1, line("second", JOHN))];
    for offered in [Some(JOHN), None] {
        let (answer, _) = ask(&objects, offered, false);
        assert_eq!(owners(&answer), ["first"]);
        assert!(answer.found[0].line.to_string().contains("restrict"), "its restrictions, and no second line");
    }
}

#[test]
fn a_key_of_two_owners_is_said_to_be_one() {
    let both = line("first", JOHN) + &line("second", JOHN);
    let (answer, _) = ask(&[("groups/second", 1, both)], Some(JOHN), false);
    assert_eq!(owners(&answer), ["first"]);
    let said = answer.events.last().unwrap().line(900);
    assert!(said.contains("is published for first and second"), "{said}");
}

#[test]
fn a_decided_answer_waits_for_nobody() {
    let objects = [("users/first", 5, line("first", JOHN)), ("groups/second", 1900, line("second", MARY))];
    let (answer, took) = ask(&objects, Some(JOHN), true);
    assert_eq!(owners(&answer), ["first"]);
    assert!(took < Duration::from_millis(200), "but for a moment, so that what arrives is in the cache: {took:?}");
    assert!(answer.events.is_empty());
}

#[test]
fn at_the_deadline_what_is_known_is_the_answer() {
    let objects = [("users/first", 10_000, line("first", JOHN)), ("groups/second", 1, line("second", MARY))];
    let (answer, took) = ask(&objects, Some(MARY), true);
    assert_eq!(owners(&answer), ["second"]);
    assert_eq!(took, Duration::from_secs(2));
    let said = answer.events[0].line(900);
    assert!(said.contains("principals_parameter /p, users/first"), "{said}");
}

#[test]
fn an_expired_line_hides_no_living_one() {
    let text = format!("expiry-time=\"20200101\",{}{}", line("first", JOHN), line("first", JOHN));
    let (answer, _) = ask(&[("users/first", 0, text)], Some(JOHN), false);
    assert_eq!(owners(&answer), ["first"]);
}
