//! Which lines become one session, and that nothing unprintable comes out of them, whatever is in them.

use super::*;
use crate::history::show;
use crate::record::tests::record;
use proptest::prelude::*;

const FP: &str = "SHA256:NVgC3Dn0WpsMhHhNVgC3Dn0WpsMhHhNVgC3Dn0WpsM1";

fn take(history: &mut History, time: i64, uid: u32, identifier: &str, message: &str) -> Verdict {
    let sender = Sender::Journal { own: true, boot: b"now" };
    let (identifier, message) = (identifier.as_bytes(), message.as_bytes());
    history.take(&Entry { time, identifier, message, sender, uid: Some(uid), pid: Some(1765), comm: b"" })
}

fn history() -> History {
    History::new(None, Some(997), Some("now".to_owned()))
}

fn offer(pid: u32) -> String {
    format!("offered owner=john@example.org login=ec2-user principal=users/j key={FP} source=s3 took=1ms sshd={pid}")
}

fn accepted() -> String {
    format!("Accepted publickey for ec2-user from 203.0.113.7 port 51234 ssh2: ED25519 {FP}")
}

#[test]
fn an_old_offer_names_nobody() {
    for (age, owner) in [(0, true), (NEAR, true), (NEAR + 1, false), (-SAME, true), (-SAME - 1, false)] {
        let mut history = history();
        take(&mut history, 1_000_000_000, 997, "iam-ssh", &offer(1765));
        take(&mut history, 1_000_000_000 + age, 0, "sshd", &accepted());
        assert_eq!(history.finish()[0].record.owner.is_some(), owner, "{age}");
    }
}

#[test]
fn offers_that_nobody_follows_up_are_forgotten() {
    let mut history = history();
    for pid in 0..100_000 {
        take(&mut history, i64::from(pid), 997, "iam-ssh", &offer(pid));
    }
    assert!(history.offers.waiting <= offers::OFFERS);
    take(&mut history, 100_000, 997, "iam-ssh", &offer(1765));
    take(&mut history, 100_000, 0, "sshd", &accepted());
    assert!(history.finish()[0].record.owner.is_some());
}

/// Who makes up offers for one process makes neither the search long nor an offer last.
#[test]
fn of_many_offers_to_one_process_the_last_are_remembered() {
    let mut history = history();
    for number in 0..8000 {
        take(&mut history, 0, 997, "iam-ssh", &offer(1765).replace("john", &format!("j{number}")));
    }
    assert_eq!(history.offers.waiting, 16);
    take(&mut history, 0, 0, "sshd", &accepted());
    assert_eq!(history.finish()[0].record.owner.as_deref(), Some("j7999@example.org"));
    // What could be forged pushes out nothing.
    let mut history = self::history();
    take(&mut history, 0, 997, "iam-ssh", &offer(1765));
    for _ in 0..100 {
        let message = offer(1765).replace("john", "boss").into_bytes();
        let (identifier, sender) = (b"iam-ssh".as_slice(), Sender::Doubted);
        let _ =
            history.take(&Entry { time: 0, identifier, message: &message, sender, uid: None, pid: None, comm: b"" });
    }
    take(&mut history, 0, 0, "sshd", &accepted());
    assert_eq!(history.finish()[0].record.owner.as_deref(), Some("john@example.org"));
}

/// OpenSSH before 8.0 tells PAM neither port nor, perhaps, the address.
#[test]
fn what_the_record_lacks_comes_from_sshd() {
    let mut history = history();
    let record = Record { address: Some("client.example.org".to_owned()), port: None, ..record() };
    take(&mut history, record.at, 0, "sshd", &accepted());
    take(&mut history, record.at, 0, "iam-ssh", &record.line());
    let end = "pam_unix(sshd:session): session closed for user ec2-user";
    take(&mut history, record.at + 5000, 0, "sshd", &end.replace("ec2", "other"));
    take(&mut history, record.at + 5000, 1000, "sshd", end);
    take(&mut history, record.at + 7000, 0, "sshd", end);
    let sessions = history.finish();
    assert_eq!((sessions.len(), sessions[0].record.port), (1, Some(51234)));
    assert_eq!((sessions[0].state, sessions[0].duration), (State::Closed, Some(Duration::from_secs(7))));
    assert_eq!(sessions[0].this_boot, Some(true));
}

#[test]
fn a_connection_with_another_port_is_another_one() {
    let mut history = history();
    take(&mut history, record().at, 0, "iam-ssh", &record().line());
    take(&mut history, record().at, 0, "sshd", &accepted().replace("51234", "51235"));
    take(&mut history, record().at + NEAR + 1, 0, "sshd", &accepted());
    assert_eq!(history.finish().len(), 3);
}

proptest! {
    /// Bytes of an attacker's choice, in place of every text that one can choose.
    #[test]
    fn whatever_goes_in_printable_ascii_comes_out(
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        text in "\\PC{0,40}",
        own: bool,
        secret: bool,
    ) {
        let bytes = [text.as_bytes(), &bytes].concat();
        let mut history = History::new(secret.then_some(Secret([1; 32])), Some(997), None);
        let key = format!("ED25519-CERT {FP} ID # (serial 0) CA RSA {FP}");
        for line in [
            format!("offered owner=# login=# principal=# key={FP} source=s3 took=1ms sshd=1765"),
            "Accepted publickey for # from 203.0.113.7 port 1 ssh2: ".to_owned() + &key,
            "Accepted # for x from fe80::1%# port 1 ssh2".to_owned(),
            "session opened owner=#".to_owned(),
            record().line().replace("john", "#"),
            record().line().replace("ec2-user", "#"),
            "#".to_owned(),
        ] {
            let message: Vec<u8> =
                line.bytes().flat_map(|byte| if byte == b'#' { bytes.clone() } else { vec![byte] }).collect();
            for (identifier, uid) in [("sshd", 0), ("iam-ssh", 0), ("iam-ssh", 997)] {
                let sender = if own { Sender::Journal { own, boot: &bytes } } else { Sender::Text };
                let identifier = identifier.as_bytes();
                let entry =
                    Entry { time: 0, identifier, message: &message, sender, uid: Some(uid), pid: Some(1765), comm: &bytes };
                history.take(&entry);
            }
        }
        let sessions = history.finish();
        prop_assert!(!sessions.is_empty());
        for shown in [show::log(&sessions).collect::<String>(), show::json(&sessions).collect(), show::who(&sessions).collect()] {
            prop_assert!(shown.bytes().all(|byte| byte == b'\n' || (0x20..=0x7e).contains(&byte)), "{shown:?}");
            prop_assert_eq!(shown.lines().count() - usize::from(shown.starts_with(['T', 'O'])), sessions.len());
        }
    }
}
