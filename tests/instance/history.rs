//! Who logged in, out of logs as they are found on Debian 11, 12 and 13 and on Enterprise Linux, and out of what a forger adds to them.

mod doubt;

use iam_ssh::history::sources::{self, Log};
use iam_ssh::history::stamp::{since, utc};
use iam_ssh::history::{Entry, History, Session, Source, State, show};
use iam_ssh::record::seal::Secret;
use iam_ssh::record::{Record, What};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SECRET: Secret = Secret([7; 32]);
const LOOKUP: u32 = 997;
const BOOT: &str = "0123456789abcdef0123456789abcdef";
const FP: &str = "SHA256:NVgC3Dn0WpsMhHhNVgC3Dn0WpsMhHhNVgC3Dn0WpsM1";

fn now() -> i64 {
    since("2026-11-22T20:00:00Z", 0, &|_| 0).unwrap()
}

/// What was found, and how many forgeries and how many broken entries.
#[derive(Debug)]
struct Read {
    sessions: Vec<Session>,
    forged: u64,
    /// Forgeries that may be another machine's records.
    unsealed: u64,
    broken: u64,
}

/// Puts together what `each` reads.
fn joined(secret: Option<Secret>, each: impl FnOnce(&mut dyn FnMut(&Entry<'_>) -> bool) -> u64) -> Read {
    let mut history = History::new(secret, Some(LOOKUP), Some(BOOT.to_owned()));
    let broken = each(&mut |entry| {
        let _ = history.take(entry);
        true
    });
    let (forged, unsealed) = (history.forged, history.unsealed);
    Read { sessions: history.finish(), forged, unsealed, broken }
}

fn read(files: &[&Path], secret: Option<Secret>) -> Read {
    joined(secret, |each| {
        let mut broken = 0;
        for file in files {
            let outcome = sources::read(&Log::File((*file).to_owned()), None, now(), &|_| 0, &mut *each)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(outcome.recognised, "{}", file.display());
            broken += outcome.broken;
        }
        broken
    })
}

/// Of a file.
fn read_bytes(bytes: &[u8], secret: Option<Secret>) -> Read {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    std::fs::write(&file, bytes).unwrap();
    read(&[&file], secret)
}

/// Of this machine's journal, as journalctl prints it.
fn read_journal(bytes: &[u8], secret: Option<Secret>) -> Read {
    joined(secret, |each| sources::entries(bytes, true, now(), &|_| 0, each).unwrap().0.broken)
}

/// `time owner login address:port duration`, a `?` where it is not verified.
fn short(sessions: &[Session]) -> Vec<String> {
    let show = |session: &Session| {
        let record = &session.record;
        let owner = record.owner.as_deref().unwrap_or("unknown");
        let mark = if session.verified { "" } else { "?" };
        let (address, port) = (record.address.as_deref().unwrap_or("-"), record.port.unwrap_or_default());
        format!("{} {owner}{mark} {} {address}:{port} {:?}", utc(record.at), record.login, session.duration)
    };
    sessions.iter().map(show).collect()
}

fn opened(id: &str) -> Record {
    Record {
        what: What::Opened,
        owner: Some("john@example.org".to_owned()),
        login: "ec2-user".to_owned(),
        key: Some(FP.to_owned()),
        key_type: Some("ssh-ed25519".to_owned()),
        address: Some("203.0.113.7".to_owned()),
        port: Some(51234),
        principal: Some("groups/Administrators".to_owned()),
        method: "publickey".to_owned(),
        certificate: None,
        audit_session: None,
        sshd_pid: 1765,
        id: id.to_owned(),
        at: since("2026-11-22T13:35:25Z", 0, &|_| 0).unwrap(),
    }
}

fn closed(id: &str) -> Record {
    let record = opened(id);
    Record { what: What::Closed { duration: Some(Duration::from_secs(60)) }, at: record.at + 60_000, ..record }
}

/// An entry of a journal's export.
fn entry(uid: u32, identifier: &str, pid: u32, message: &str) -> String {
    let at = opened("").at * 1000;
    format!(
        "__CURSOR=s=0;i=1;b={BOOT};m=1;t=1;x=1\n__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP=123\n_BOOT_ID={BOOT}\n\
         _TRANSPORT=syslog\n_UID={uid}\n_GID=0\n_COMM=logger\nPRIORITY=6\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER={identifier}\n\
         SYSLOG_PID={pid}\n_PID={pid}\nMESSAGE={message}\n_SOURCE_REALTIME_TIMESTAMP={at}\n\n"
    )
}

fn accepted() -> String {
    format!("Accepted publickey for ec2-user from 203.0.113.7 port 51234 ssh2: ED25519 {FP}")
}

fn offered() -> String {
    format!(
        "offered owner=jane@example.org login=ec2-user principal=users/jane@example.org key={FP} source=cache took=2ms sshd=1765"
    )
}

#[test]
fn a_record_counts_once_whatever_else_tells_of_it() {
    let seal = |record: Record| SECRET.seal(&record.line());
    let (open, close) = (seal(opened("a")), seal(closed("a")));
    let log = [
        entry(LOOKUP, "iam-ssh", 1766, &offered()),
        entry(0, "sshd", 1765, &accepted()),
        entry(0, "iam-ssh", 1767, &open),
        entry(1000, "iam-ssh", 4000, &open),
        entry(0, "iam-ssh", 1768, &close),
        entry(1000, "iam-ssh", 4001, &close),
    ];
    let read = read_journal(log.concat().as_bytes(), Some(SECRET));
    assert_eq!(short(&read.sessions), ["2026-11-22T13:35:25Z john@example.org ec2-user 203.0.113.7:51234 Some(60s)"]);
    assert_eq!((read.sessions[0].source, read.sessions[0].state, read.forged), (Source::Record, State::Closed, 0));
    // Without the secret, the sender decides.
    let read = read_journal(log.concat().as_bytes(), None);
    assert_eq!((read.sessions.len(), read.sessions[0].verified, read.forged), (1, true, 2));
    // The end alone, of a log whose beginning is gone.
    let read = read_journal(entry(0, "iam-ssh", 1768, &close).as_bytes(), None);
    assert_eq!(short(&read.sessions), ["2026-11-22T13:35:25Z john@example.org ec2-user 203.0.113.7:51234 Some(60s)"]);
}

#[test]
fn what_a_user_sends_to_the_journal_is_no_record() {
    let forged = Record { owner: Some("boss".to_owned()), ..opened("b") };
    let sealed = Secret([8; 32]).seal(&forged.line());
    let root = entry(0, "iam-ssh", 1, &forged.line());
    let twice = |field: &str| root.replace("_TRANSPORT", &format!("{field}\n_TRANSPORT"));
    let stdout = root.replace("_TRANSPORT=syslog", "_TRANSPORT=stdout");
    let kernel = root.replace("_TRANSPORT=syslog", "_TRANSPORT=kernel");
    let no_sender = root.replace("_UID=0\n", "");
    for secret in [None, Some(SECRET)] {
        for log in [
            entry(1000, "iam-ssh", 1, &forged.line()),
            entry(1000, "iam-ssh", 1, &sealed),
            entry(1000, "sshd", 1765, &accepted()),
            entry(1000, "sshd-session", 1765, &accepted()),
            entry(LOOKUP, "iam-ssh", 1, &forged.line()),
            entry(1000, "iam-ssh", 1, "session opened owner=boss"),
            twice("MESSAGE=harmless"),
            twice("SYSLOG_IDENTIFIER=harmless"),
            stdout.clone(),
            kernel.clone(),
            no_sender.clone(),
        ] {
            let read = read_journal(log.as_bytes(), secret.clone());
            assert_eq!((read.sessions.len(), read.forged), (0, 1), "{log}: {read:?}");
        }
    }
    // An offer of anybody else gives nobody an owner.
    for (uid, owner) in [(1000, "unknown"), (LOOKUP, "jane@example.org")] {
        let log = entry(uid, "iam-ssh", 1766, &offered()) + &entry(0, "sshd", 1765, &accepted());
        let read = read_journal(log.as_bytes(), None);
        let expected = format!("2026-11-22T13:35:25Z {owner} ec2-user 203.0.113.7:51234 None");
        assert_eq!((short(&read.sessions), read.forged), (vec![expected], 0), "{uid}");
    }
}

#[test]
fn an_owner_that_the_record_lacks_comes_from_the_lookup_s_line() {
    let record = Record { owner: None, principal: None, ..opened("c") };
    let log = entry(LOOKUP, "iam-ssh", 1766, &offered()) + &entry(0, "iam-ssh", 1767, &record.line());
    let read = read_journal(log.as_bytes(), None);
    assert_eq!(read.sessions[0].record.owner.as_deref(), Some("jane@example.org"));
    assert_eq!(read.sessions[0].record.principal.as_deref(), Some("users/jane@example.org"));
    for other in [
        log.replacen("sshd=1765", "sshd=1766", 1),
        log.replacen("login=ec2-user", "login=root", 1),
        log.replacen(FP, &FP.replace('N', "M"), 1),
        log.replacen(&format!("_UID={LOOKUP}"), "_UID=1000", 1),
    ] {
        assert_eq!(read_journal(other.as_bytes(), None).sessions[0].record.owner, None, "{other}");
    }
}

const BULLSEYE: &str =
    "Nov 22 06:25:01 ip-10-0-0-5 CRON[900]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)
Nov 22 13:35:20 ip-10-0-0-5 sshd[1765]: Connection from 203.0.113.7 port 51234 on 10.0.0.5 port 22 rdomain \"\"
Nov 22 13:35:24 ip-10-0-0-5 iam-ssh[1766]: OFFERED
Nov 22 13:35:24 ip-10-0-0-5 sshd[1765]: Accepted key ED25519 FP found at /usr/libexec/iam-ssh/authorized-keys:1
Nov 22 13:35:25 ip-10-0-0-5 sshd[1765]: Accepted publickey for ec2-user from 203.0.113.7 port 51234 ssh2: ED25519 FP
Nov 22 13:35:25 ip-10-0-0-5 sshd[1765]: pam_unix(sshd:session): session opened for user ec2-user(uid=1000) by (uid=0)
Nov 22 13:35:25 ip-10-0-0-5 systemd-logind[400]: New session 12 of user ec2-user.
Nov 22 13:36:25 ip-10-0-0-5 sshd[1770]: Received disconnect from 203.0.113.7 port 51234:11: disconnected by user
Nov 22 13:36:25 ip-10-0-0-5 sshd[1765]: pam_unix(sshd:session): session closed for user ec2-user
";
const BOOKWORM: &str = "2026-11-22T13:35:24.101010+00:00 web iam-ssh[1766]: OFFERED
2026-11-22T13:35:25.202020+00:00 web sshd[1765]: Accepted publickey for ec2-user from 203.0.113.7 port 51234 ssh2: ED25519 FP
2026-11-22T13:35:25.303030+00:00 web sshd[1765]: pam_unix(sshd:session): session opened for user ec2-user(uid=1000) by (uid=0)
2026-11-22T13:36:25.303030+00:00 web sshd[1765]: pam_unix(sshd:session): session closed for user ec2-user
";

fn sample(text: &str) -> String {
    text.replace("OFFERED", &offered()).replace("FP", FP)
}

#[test]
fn text_logs_of_every_distribution_are_read_and_marked() {
    let debian_13 = BOOKWORM.replace("sshd[1765]", "sshd-session[1765]");
    let red_hat = BULLSEYE.replace("ip-10-0-0-5", "el9").replace("FP found", "SHA found");
    for text in [BULLSEYE, BOOKWORM, &debian_13, &red_hat] {
        for secret in [None, Some(SECRET)] {
            let read = read_bytes(sample(text).as_bytes(), secret);
            let [session] = &read.sessions[..] else { panic!("{text}: {read:?}") };
            assert_eq!(session.duration.map(|duration| duration.as_secs()), Some(60), "{text}");
            let shown = short(std::slice::from_ref(session)).remove(0);
            assert!(shown.starts_with("2026-11-22T13:35:25Z jane@example.org? ec2-user 203.0.113.7:51234 "), "{shown}");
            assert_eq!((read.forged, session.source), (0, Source::Sshd));
        }
    }
    let others = "Nov 22 13:35:25 a sshd[1]: Accepted password for root from ::1 port 1 ssh2
Nov 22 13:35:26 a sshd[2]: Accepted keyboard-interactive/pam for root from 10.0.0.1 port 2 ssh2
Nov 22 13:35:27 a sshd[3]: Accepted gssapi-with-mic for a from 10.0.0.1 port 3 ssh2: a@EXAMPLE.ORG
Nov 22 13:35:28 a sshd[4]: Accepted publickey for a from 10.0.0.1 port 4 ssh2: ED25519-CERT FP ID a b (serial 0) CA RSA FP
";
    let read = read_bytes(sample(others).as_bytes(), None);
    let how: Vec<_> = show::log(&read.sessions)
        .skip(1)
        .map(|line| line.split("unknown ").last().unwrap().trim().to_owned())
        .collect();
    let certificate = format!("publickey ED25519-CERT certificate=a\\x20b authority={FP}");
    assert_eq!(how, ["password", "keyboard-interactive/pam", "gssapi-with-mic", &certificate]);
}

#[test]
fn in_a_text_log_only_the_seal_counts() {
    let line = |text: &str| format!("Nov 22 13:35:25 web iam-ssh[1767]: {text}\n");
    let real = SECRET.seal(&opened("a").line());
    let forged = Record { owner: Some("boss".to_owned()), ..opened("b") }.line();
    let changed = real.replace("john", "boss");
    let log = [
        sample(BULLSEYE),
        line(&real),
        line(&real),
        line(&SECRET.seal(&closed("a").line())),
        line(&forged),
        line(&changed),
    ]
    .concat();
    let read = read_bytes(log.as_bytes(), Some(SECRET));
    assert_eq!(short(&read.sessions), ["2026-11-22T13:35:25Z john@example.org ec2-user 203.0.113.7:51234 Some(60s)"]);
    assert_eq!(read.forged, 2);
    // Who cannot read the secret sees that nothing is sure.
    let read = read_bytes(log.as_bytes(), None);
    assert!(read.sessions.iter().all(|session| !session.verified) && read.forged == 0, "{read:?}");
    assert!(
        show::log(&read.sessions).any(|line| line.contains("john@example.org?"))
            && show::json(&read.sessions).all(|line| line.contains("\"verified\":false"))
    );
}

/// What a program makes of `bytes`.
fn packed(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(program);
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn packed_files_are_unpacked_by_what_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    for (at, program) in ["gzip", "xz", "zstd", "bzip2"].iter().enumerate() {
        let text = sample(BULLSEYE).replace("port 51234", &format!("port {at}"));
        let file = dir.path().join(format!("auth.log.{at}"));
        std::fs::write(&file, packed(program, text.as_bytes())).unwrap();
        files.push(file);
    }
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    assert_eq!(read(&files, None).sessions.len(), 4);
    // One that is cut off is said to be so, after what could be read of it.
    let whole = std::fs::read(files[0]).unwrap();
    std::fs::write(files[0], &whole[..whole.len() - 9]).unwrap();
    let error = sources::read(&Log::File(files[0].to_owned()), None, now(), &|_| 0, |_| true).unwrap_err();
    assert!(error.to_string().contains("`gzip` failed"), "{error}");
    std::fs::write(files[0], b"LPKSHHRH\0\0\0\0").unwrap();
    let error = sources::read(&Log::File(files[0].to_owned()), None, now(), &|_| 0, |_| true).unwrap_err();
    assert!(error.to_string().contains("journalctl -o export"), "{error}");
    assert!(sources::read(&Log::File(dir.path().to_owned()), None, now(), &|_| 0, |_| true).is_err());
}

/// Whatever is spliced into a log: nothing panics, the good entries behind it are read, and nothing unprintable comes out.
#[test]
fn damage_costs_only_what_is_damaged() {
    let export = entry(0, "sshd", 1765, &accepted());
    let text = sample(BOOKWORM);
    let evil: [&[u8]; 7] = [
        b"\0\0\0\xff\xfe\n\n",
        b"Nov 22 13:35:25 web sshd[1]: Accepted password for \x1b[2J\xff from 1.2.3.4 port 5 ssh2\n",
        b"2026-11-22T13:35:25Z web iam-ssh: session opened owner=\x1b[31mboss\n",
        b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff",
        b"MESSAGE\n\x05\0\0\0\0\0\0\0abcde\n\n",
        b"\n\n\n=\n\n",
        &[b'x'; 3_000_000],
    ];
    for (good, count) in [(export.as_bytes(), 2), (text.as_bytes(), 1)] {
        for evil in evil {
            let log = [good, evil, b"\n\n", good, good].concat();
            let read = read_bytes(&log, None);
            assert!(read.sessions.len() >= count - 1, "{:?}: {read:?}", &evil[..evil.len().min(40)]);
            let sessions = &read.sessions;
            for shown in
                [show::log(sessions).collect::<String>(), show::json(sessions).collect(), show::who(sessions).collect()]
            {
                assert!(shown.bytes().all(|byte| byte == b'\n' || (0x20..=0x7e).contains(&byte)), "{shown:?}");
            }
        }
    }
    let cut = read_bytes(&[export.as_bytes(), &export.as_bytes()[..export.len() / 2]].concat(), None);
    assert_eq!((cut.sessions.len(), cut.broken), (1, 1), "{cut:?}");
}
