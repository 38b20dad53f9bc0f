//! Which line counts where several could: decided by the order of the principals, never by who answers first.

use crate::scene::{JOHN, MARY, NOW, line, own};
use iam_ssh::config::{Config, Login};
use iam_ssh::lookup::ports::{FetchError, Instance, Objects, Parameters};
use iam_ssh::lookup::{Answer, Question, lookup};
use iam_ssh_core::PublicKey;
use std::collections::BTreeMap;
use std::time::Duration;

/// A bucket whose objects take their time.
struct Bucket(BTreeMap<&'static str, (u64, String)>);
struct Nothing;

impl Objects for Bucket {
    async fn get(&self, key: &str) -> Result<Vec<u8>, FetchError> {
        let name = key.trim_end_matches("/authorized_keys");
        let (millis, text) = self.0.get(name).ok_or(FetchError::Missing("none".into()))?;
        tokio::time::sleep(Duration::from_millis(*millis)).await;
        Ok(text.clone().into_bytes())
    }
}

impl Parameters for Nothing {
    async fn get(&self, _: &str) -> Result<String, FetchError> {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok("users/late".into())
    }
}

impl Instance for Nothing {
    async fn role(&self) -> Result<String, FetchError> {
        Ok("web".into())
    }
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
    let question = Question { user: "u", login: &login, offered: key.as_ref(), now: NOW, trust: own() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let started = tokio::time::Instant::now();
        let config = Config::default();
        let answer = lookup(&config, question, Duration::from_secs(2), (&objects, &Nothing, &Nothing)).await;
        (answer, started.elapsed())
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
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert!(answer.events.is_empty());
}

#[test]
fn at_the_deadline_what_is_known_is_the_answer() {
    let objects = [("users/first", 10_000, line("first", JOHN)), ("groups/second", 1, line("second", MARY))];
    let (answer, took) = ask(&objects, Some(MARY), true);
    assert_eq!(owners(&answer), ["second"]);
    assert_eq!(took, Duration::from_secs(2));
    let said = answer.events[0].line(900);
    assert!(said.contains("users/first, the list of principals"), "{said}");
}

#[test]
fn an_expired_line_hides_no_living_one() {
    let text = format!("expiry-time=\"20200101\",{}{}", line("first", JOHN), line("first", JOHN));
    let (answer, _) = ask(&[("users/first", 0, text)], Some(JOHN), false);
    assert_eq!(owners(&answer), ["first"]);
}
