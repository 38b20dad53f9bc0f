//! What is not sure does not change what is: files that prove nothing, logs that begin late or come in the wrong order,
//! and what somebody adds to them.

use super::*;
use iam_ssh::history::Begin;

fn text(identifier: &str, message: &str) -> String {
    format!("2026-11-22T13:35:25Z web {identifier}: {message}\n")
}

fn sealed(record: &Record) -> String {
    SECRET.seal(&record.line())
}

/// The entry of a record by root.
fn root(record: &Record) -> String {
    entry(0, "iam-ssh", 1767, &record.line())
}

fn shown(sessions: &[Session]) -> (String, String) {
    (show::log(sessions).last().unwrap(), show::json(sessions).last().unwrap())
}

#[test]
fn a_file_proves_nothing_but_by_its_seals() {
    let other = Record { sshd_pid: 1766, port: Some(51235), ..opened("b") };
    let log = [
        entry(0, "iam-ssh", 1767, &sealed(&opened("a"))),
        root(&other),
        entry(LOOKUP, "iam-ssh", 1770, &offered().replace("sshd=1765", "sshd=1771")),
        entry(0, "sshd", 1771, &accepted().replace("51234", "51236")),
        entry(1000, "iam-ssh", 1772, &opened("c").line()),
        entry(1000, "sshd", 1773, &accepted()),
    ]
    .concat();
    for (secret, verified) in [(Some(SECRET), [true, false, false]), (None, [false; 3])] {
        let read = read_bytes(log.as_bytes(), secret);
        assert_eq!(read.sessions.iter().map(|session| session.verified).collect::<Vec<_>>(), verified);
        assert_eq!(read.sessions[2].record.owner.as_deref(), Some("jane@example.org"), "both lines prove as much");
        assert_eq!((read.forged, read.unsealed), (2, 0), "by the file's own word");
    }
    assert!(read_journal(log.as_bytes(), None).sessions.iter().all(|session| session.verified));
}

#[test]
fn nobody_ends_a_session_that_is_sure() {
    let record = Record { port: None, ..opened("a") };
    let end = "pam_unix(sshd:session): session closed for user ec2-user";
    let log = [
        text("iam-ssh[1767]", &sealed(&record)),
        text("sshd[1765]", &accepted()),
        text("sshd[1765]", end),
        text("iam-ssh[1767]", &closed("a").line()),
    ];
    let read = read_bytes(log.concat().as_bytes(), Some(SECRET));
    let [session] = &read.sessions[..] else { panic!("{read:?}") };
    assert!(session.verified && session.record.port.is_none(), "{session:?}");
    assert_eq!((session.state, session.duration), (State::Unknown, None));
    // One that is not sure either may be ended so.
    let read = read_bytes(log.concat().as_bytes(), None);
    assert_eq!((read.sessions.len(), read.sessions[0].state), (1, State::Closed));
}

#[test]
fn when_it_began_is_known_or_said_to_be_unknown() {
    let begin = opened("a").at;
    let end = closed("a");
    let endless = Record { what: What::Closed { duration: None }, ..end.clone() };
    for (records, at, how) in [
        (vec![&end], begin, Begin::Reckoned),
        (vec![&endless], end.at, Begin::Unknown),
        (vec![&endless, &opened("a")], begin, Begin::Logged),
        (vec![&end, &opened("a")], begin, Begin::Logged),
        (vec![&endless, &end], begin, Begin::Reckoned),
    ] {
        let log: String = records.iter().map(|record| root(record)).collect();
        let read = read_journal(log.as_bytes(), None);
        let [session] = &read.sessions[..] else { panic!("{read:?}") };
        assert_eq!((session.record.at, session.begin, session.state), (at, how, State::Closed), "{records:?}");
        let (row, json) = shown(&read.sessions);
        assert_eq!(row.starts_with("unknown "), how == Begin::Unknown, "{row}");
        assert_eq!(json.starts_with("{\"time\":null,"), how == Begin::Unknown, "{json}");
    }
    // sshd tells of the login, if nothing else does.
    let read = read_journal((entry(0, "sshd", 1765, &accepted()) + &root(&endless)).as_bytes(), None);
    assert_eq!((read.sessions.len(), read.sessions[0].record.at), (1, begin), "{read:?}");
}

#[test]
fn a_sure_end_keeps_the_beginning_that_is_known() {
    let early = Record { at: opened("a").at - 5000, ..opened("a") };
    let endless = Record { what: What::Closed { duration: None }, ..closed("a") };
    for (end, at) in [(closed("a"), opened("a").at), (endless, early.at)] {
        // The beginning is by a file's word, the end has a seal.
        let log = root(&early) + &entry(0, "iam-ssh", 1768, &sealed(&end));
        let read = read_bytes(log.as_bytes(), Some(SECRET));
        let [session] = &read.sessions[..] else { panic!("{read:?}") };
        assert_eq!((session.verified, session.state, session.record.at), (true, State::Closed, at), "{session:?}");
    }
}

#[test]
fn what_was_revoked_is_said_to_be() {
    let revoked = Record { what: What::Revoked, at: closed("a").at, ..opened("a") };
    for records in [vec![&opened("a"), &revoked, &closed("a")], vec![&revoked, &closed("a")]] {
        let log: String = records.iter().map(|record| root(record)).collect();
        let read = read_journal(log.as_bytes(), None);
        assert_eq!((read.sessions.len(), read.sessions[0].record.at), (1, opened("a").at), "{read:?}");
        let (row, json) = shown(&read.sessions);
        assert!(
            row.ends_with(" groups/Administrators revoked\n") && json.contains("\"state\":\"revoked\""),
            "{row}{json}"
        );
    }
    let read = read_journal(entry(1000, "iam-ssh", 1, &revoked.line()).as_bytes(), None);
    assert_eq!((read.sessions.len(), read.forged), (0, 1));
}

/// A forger who makes every row as wide as a line can be.
#[test]
fn no_forged_line_makes_the_table_wide() {
    let long = "x".repeat(900);
    let fields = [" owner=", " login=", " from=", " type=", " principal=", " method=", " id="];
    let line = fields.iter().fold(opened("a").line(), |line, field| {
        let (before, after) = line.split_once(field).unwrap();
        format!("{before}{field}{long}{}", after.split_once(' ').map_or(String::new(), |(_, rest)| format!(" {rest}")))
    });
    assert!(Record::parse(&line.replace(&long, "x")).is_some(), "{line}");
    let short = line.replace(&long, &"x".repeat(400));
    let read = read_bytes((text("iam-ssh", &short) + &text("iam-ssh", &sealed(&opened("b")))).as_bytes(), None);
    assert_eq!(read.sessions.len(), 2);
    let widest = show::log(&read.sessions).filter(|row| row.contains("john")).map(|row| row.len()).max().unwrap();
    assert!(widest < 350, "{widest}");
    assert!(show::json(&read.sessions).all(|line| line.len() < 1800 && !line.contains(&"x".repeat(161))));
}

#[test]
fn records_of_another_secret_are_told_apart_from_other_forgeries() {
    let of_another = Secret([8; 32]).seal(&opened("a").line());
    let log = text("iam-ssh[1767]", &of_another) + &text("iam-ssh[1767]", "session opened owner=boss");
    let read = read_bytes(log.as_bytes(), Some(SECRET));
    assert_eq!((read.sessions.len(), read.forged, read.unsealed), (0, 2, 1));
}

#[test]
fn beside_a_journal_only_seals_count() {
    let mut history = History::new(Some(SECRET), Some(LOOKUP), None);
    let log = [
        text("sshd[1700]", &accepted()),
        text("iam-ssh[1767]", &opened("b").line()),
        text("iam-ssh[1767]", "session opened owner=boss"),
        text("iam-ssh[1767]", &sealed(&opened("a"))),
        text("iam-ssh[1767]", &sealed(&opened("a"))),
    ]
    .concat();
    let take = |entry: &Entry<'_>| {
        history.take_sealed(entry);
        true
    };
    sources::entries(log.as_bytes(), false, now(), &|_| 0, take).unwrap();
    assert_eq!((history.forged, history.unsealed), (0, 0));
    let sessions = history.finish();
    assert!(sessions.len() == 1 && sessions[0].verified && sessions[0].record.id == "a", "{sessions:?}");
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    let json = "{\"MESSAGE\":\"Accepted password for x from 1.2.3.4 port 5 ssh2\",\"SYSLOG_IDENTIFIER\":\"sshd\"}\n";
    let rfc5424 = "<86>1 2026-11-22T13:35:25Z web sshd 1765 - - Accepted password for x from 1.2.3.4 port 5 ssh2\n";
    let random: Vec<u8> = (0u32..5000).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let recognised = |bytes: &[u8]| sources::entries(bytes, false, now(), &|_| 0, |_| true).unwrap().0.recognised;
    for bad in [json.as_bytes(), rfc5424.as_bytes(), &random, b"__init__ = 1\n", b"\n\n"] {
        assert!(!recognised(bad), "{}", String::from_utf8_lossy(bad));
    }
    for good in ["", "Nov 22 13:35:25 web kernel: x\n", "x\n2026-11-22T13:35:25Z web x: y\n", "__CURSOR=1\n_UID=0\n\n"]
    {
        assert!(recognised(good.as_bytes()), "{good}");
    }
}

#[test]
fn the_command_says_what_is_wrong_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (good, json, empty) =
        (file("good", &text("sshd[1]", &accepted())), file("json", "{\"MESSAGE\":\"x\"}\n"), file("empty", ""));
    let run = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_iam-ssh")).arg("log").args(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    for (args, code, said) in [
        (vec!["--file", &json], 1, "not recognised"),
        (vec!["--file", &good, "--file", &json], 1, "not recognised"),
        (vec!["--file", &good], 0, "what is marked with ? could have been written by any user"),
        (vec!["--forged", "--active"], 2, "`--forged` is about lines"),
        (vec!["--forged", "--owner", "x", "--file", &good], 2, "`--forged` is about lines"),
        (vec!["--forged", "--login", "x", "--file", &good], 2, "`--forged` is about lines"),
        (vec!["--forged", "--since", "1h", "--file", &good], 0, ""),
    ] {
        let (exit, out, err) = run(&args);
        assert!(exit == Some(code) && err.contains(said), "{args:?}: {exit:?} {out} {err}");
        assert_eq!(
            out.lines().any(|line| line.contains("unknown?")),
            args.len() < 5 && args.contains(&good.as_str()),
            "{out}"
        );
    }
    // Nothing is explained that is not shown.
    for args in [vec!["--file", &empty], vec!["--file", &good, "--login", "other"]] {
        let (exit, out, err) = run(&args);
        assert_eq!((exit, out.lines().count(), err.as_str()), (Some(0), 1, ""), "{args:?}");
    }
}
