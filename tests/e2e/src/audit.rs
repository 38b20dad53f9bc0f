//! What the log says of connections: the records of `session-audit`, each beside sshd's own line of the same connection.
//!
//! What a record must say is never taken from the record, but from sshd's `Accepted` line, from ssh-keygen and from openssl.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;

use crate::debian::Debian;
use crate::keys::Key;
use crate::machine::Machine;
use crate::process::{command, run};
use crate::recorder::LogLine;
use crate::wait::eventually;

/// The program.
pub const HOOK: &str = "/usr/libexec/iam-ssh/session-audit";
/// The secret of the records' seals.
const SECRET: &str = "/var/lib/iam-ssh/audit-secret";

/// One line of the record, taken apart.
#[derive(Clone, Debug)]
pub struct Record {
    /// `opened` or `closed`.
    pub event: String,
    fields: BTreeMap<String, String>,
    /// All of it.
    pub text: String,
}

impl Record {
    /// Reads a line of the record.
    ///
    /// # Panics
    /// When a field stands in it twice, or is no field.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (event, rest) = text.strip_prefix("session ")?.split_once(' ')?;
        let mut fields = BTreeMap::new();
        for field in rest.split(' ') {
            let (name, value) = field.split_once('=').unwrap_or_else(|| panic!("{field:?} in {text:?}"));
            assert!(fields.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice: {text}");
        }
        Some(Self { event: event.to_owned(), fields, text: text.to_owned() })
    }

    /// A field; nothing where it is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// sshd's own word of a connection that it let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Process id of sshd's process for it.
    pub pid: u32,
    method: String,
    login: String,
    address: String,
    port: String,
}

impl Accepted {
    /// `Accepted publickey for ec2-user from 127.0.0.1 port 51234 ssh2: …`
    fn parse(line: &LogLine) -> Option<Self> {
        let said = line.message.strip_prefix("Accepted ")?;
        let words: Vec<&str> = said.split(' ').collect();
        let ([method, "for", login, "from", address, "port", port, ..], 0, true) =
            (&words[..], line.sender, line.tag.starts_with("sshd"))
        else {
            return None;
        };
        let [method, login, address, port] = [*method, *login, *address, *port].map(str::to_owned);
        Some(Self { pid: line.pid.expect("sshd's pid"), method, login, address, port })
    }
}

/// Both records of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The line that opens it.
    pub opened: Record,
    /// The line that closes it.
    pub closed: Record,
    /// What sshd said of it.
    pub sshd: Accepted,
}

impl Connection {
    /// A field that both lines must have, and alike.
    #[must_use]
    #[track_caller]
    pub fn get(&self, name: &str) -> &str {
        assert_eq!(self.opened.get(name), self.closed.get(name), "{name}: {self:?}");
        self.opened.get(name)
    }

    /// Both lines say this.
    #[track_caller]
    pub fn expect(&self, what: &str, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            assert_eq!(self.get(name), *value, "{what}: {name}: {self:#?}");
        }
    }
}

/// The records among these lines: those of root, and no others.
#[must_use]
pub fn records(lines: &[LogLine]) -> Vec<Record> {
    let ours =
        lines.iter().filter(|line| line.sender == 0 && line.tag == "iam-ssh" && line.message.starts_with("session "));
    ours.map(|line| {
        assert_eq!(line.priority, 85, "authpriv.notice: {line:?}");
        assert!(line.raw.len() <= 960 && line.raw.bytes().all(|b| (0x20..=0x7e).contains(&b)), "{line:?}");
        Record::parse(&line.message).expect("a record")
    })
    .collect()
}

impl Machine {
    /// Does something and waits until each connection that sshd let in meanwhile has ended. Returns them, after having seen of each that
    /// it is recorded once when it was opened and once when it was closed, and as sshd said.
    ///
    /// # Panics
    /// When one is not.
    #[track_caller]
    pub fn connections(&self, what: &str, act: impl FnOnce()) -> Vec<Connection> {
        // Of those before it, sshd may not be done with the last.
        self.settle_connections(what, 0);
        let before = self.logs().len();
        act();
        self.connections_since(what, before)
    }

    /// Waits for the end of every connection that sshd let in since the log had so many lines, and of what is run at that.
    #[track_caller]
    fn settle_connections(&self, what: &str, since: usize) -> Vec<Accepted> {
        self.read_the_log();
        let accepted: Vec<Accepted> = self.logs()[since..].iter().filter_map(Accepted::parse).collect();
        eventually(&format!("the end of every connection: {what}"), || {
            accepted.iter().all(|one| !self.runs(one.pid)).then_some(())
        });
        self.read_the_log();
        accepted
    }

    /// The same for all since the log had so many lines.
    ///
    /// # Panics
    /// When one is not recorded, or not as it was.
    #[track_caller]
    pub fn connections_since(&self, what: &str, before: usize) -> Vec<Connection> {
        // Whoever logged in has a line by now; when its process is gone, so is every hook that it ran.
        let accepted = self.settle_connections(what, before);
        let records = records(&self.logs()[before..]);
        let log = || -> String { self.logs()[before..].iter().map(|line| format!("{}\n", line.raw)).collect() };
        assert_eq!(records.len(), accepted.len() * 2, "{what}:\n{}", log());
        accepted.into_iter().map(|sshd| self.connection(what, &records, sshd)).collect()
    }

    /// The same for exactly one connection.
    ///
    /// # Panics
    /// When there is another number of them.
    #[track_caller]
    pub fn connection_of(&self, what: &str, act: impl FnOnce()) -> Connection {
        let mut all = self.connections(what, act);
        assert_eq!(all.len(), 1, "{what}: one connection: {all:#?}");
        all.remove(0)
    }

    /// Waits until all that was sent to the log before has been read: what is sent now comes behind it.
    fn read_the_log(&self) {
        let before = self.logs().len();
        let marker = UnixDatagram::unbound().unwrap();
        marker.send_to(b"<15>Jan  1 00:00:00 rig[1]: so far", self.path("/dev/log")).expect("the machine's log");
        let read = self.wait_log_from(before, |line| line.tag == "rig" && line.message == "so far");
        assert!(read.is_some(), "the log is not read");
    }

    /// Does something during which nobody logs in, and sees that nothing is recorded.
    ///
    /// # Panics
    /// When something is.
    #[track_caller]
    pub fn records_nothing(&self, what: &str, act: impl FnOnce()) {
        assert_eq!(self.connections(what, act).len(), 0, "{what}");
    }

    /// Whether a process of the machine runs, by the number that it has there.
    #[must_use]
    pub fn runs(&self, pid: u32) -> bool {
        self.path(&format!("/proc/{pid}")).exists()
    }

    #[track_caller]
    fn connection(&self, what: &str, records: &[Record], sshd: Accepted) -> Connection {
        let pid = sshd.pid.to_string();
        let of = |event: &str| {
            let all: Vec<&Record> = records.iter().filter(|one| one.event == event && one.get("sshd") == pid).collect();
            assert_eq!(all.len(), 1, "{what}: {event} once: {records:#?}");
            all[0].clone()
        };
        let connection = Connection { opened: of("opened"), closed: of("closed"), sshd };
        let sshd = &connection.sshd;
        connection.expect(what, &[("login", &sshd.login), ("from", &sshd.address), ("port", &sshd.port)]);
        let last = connection.get("method").rsplit(',').next().unwrap();
        assert_eq!(last, sshd.method, "{what}: {connection:#?}");
        let id = connection.get("id");
        assert_eq!(records.iter().filter(|one| one.get("id") == id).count(), 2, "{what}: the id is its own");
        let [from, to] = [&connection.opened, &connection.closed].map(|one| one.get("at").parse::<i64>().unwrap());
        let duration = connection.closed.get("duration").strip_suffix('s').expect("seconds").parse::<f64>().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a test")]
        let by_clock = (to - from) as f64 / 1000.0;
        assert!((duration - by_clock).abs() < 0.1, "{what}: {duration} s, by the clock {by_clock} s");
        connection
    }
}

impl Debian {
    /// Whether a line carries the seal of this machine's root, by the word of openssl.
    ///
    /// # Panics
    /// When there is no secret, or others than root can read it.
    #[must_use]
    pub fn is_sealed(&self, line: &str) -> bool {
        let meta = std::fs::metadata(self.path(SECRET)).expect("a secret");
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o600), "the secret is root's alone");
        let text = self.read(SECRET).expect("the secret");
        let secret = text.lines().nth(1).expect("the secret's digits");
        let Some((said, seal)) = line.rsplit_once(" mac=") else { return false };
        let mut openssl = command("openssl");
        openssl.args(["dgst", "-sha256", "-mac", "HMAC", "-macopt", &format!("hexkey:{secret}"), "-r"]);
        let sum = run(&mut openssl, said.as_bytes());
        seal.len() == 32 && sum.expect_ok().starts_with(seal)
    }
}

impl Key {
    /// Its fingerprint by the word of ssh-keygen.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let told = run(command("ssh-keygen").args(["-l", "-E", "sha256", "-f"]).arg(self.private()), b"");
        told.expect_ok().split(' ').nth(1).expect("a fingerprint").to_owned()
    }

    /// Makes a certificate of it, which ssh finds beside it, with these flags of ssh-keygen (`-I <key id> -n <principals>`).
    pub fn certify(&self, authority: &Self, flags: &[&str]) {
        let public = format!("{}.pub", self.private().display());
        run(command("ssh-keygen").arg("-q").arg("-s").arg(authority.private()).args(flags).arg(public), b"")
            .expect_ok();
    }
}
