//! A machine on trial: its cache is filled, people who may log in and one who may not are at hand, and whatever it asks can fail.
//!
//! A row of the fault matrix is one call: it puts the cache back to the good one, lets the people try, takes the cache away, and lets
//! them try again. Rows do not depend on each other.

use std::net::SocketAddr;

use iam_ssh_doubles::Double;

use crate::cached::{DEADLINE, LOGIN, in_time};
use crate::inputs::Suite;
use crate::keys::{Key, KeyKind};
use crate::machine::Machine;
use crate::process::Outcome;
use crate::scene::published;
use crate::ssh::Login;
use crate::wire::Wire;
use crate::world::{BUCKET, World};

/// A user with a document of her own.
pub const ANNA: &str = "anna@example.org";
/// A member of the group whose document is asked for, too.
pub const BOB: &str = "bob@example.org";
/// Anna's document.
pub const ANNAS: &str = "users/anna@example.org/authorized_keys";
/// Bob's group's document.
pub const GROUPS: &str = "groups/Operators/authorized_keys";
/// Both, as a configuration names them.
pub const BOTH: &str = r#"principals = ["users/anna@example.org", "groups/Operators"]"#;
/// Ports of the wires, below those that the kernel gives to clients.
const S3_PORT: u16 = 8001;
const IMDS_PORT: u16 = 8002;

/// Syslog's severities.
pub const ERROR: u8 = 3;
/// It went on without something.
pub const WARNING: u8 = 4;

/// A machine, its people, and the wires to what it asks.
#[derive(Debug)]
pub struct Trial<'a> {
    /// Its world.
    pub world: &'a World,
    /// The machine, sshd running.
    pub machine: Machine,
    /// The wire to S3 and SSM.
    pub s3: Wire,
    /// The wire to the metadata service.
    pub imds: Wire,
    /// The key of [`ANNA`].
    pub anna: Key,
    /// The key of [`BOB`].
    pub bob: Key,
    /// A key that is in no document.
    pub stranger: Key,
    /// A key in the login user's own `authorized_keys`.
    pub local: Key,
    endpoint: String,
}

impl<'a> Trial<'a> {
    /// Asks our own double, which holds the documents. Every lookup asks; the cache is not filled.
    #[must_use]
    pub fn new(world: &'a World) -> Self {
        let endpoint = format!("http://127.0.0.1:{S3_PORT}");
        let trial = Self::asking(world, world.double().address(), &endpoint);
        trial.configure("0s", BOTH);
        trial.publish();
        trial
    }

    /// Asks this endpoint, which leads to the wire to this server. Nothing is configured yet.
    #[must_use]
    pub fn asking(world: &'a World, server: SocketAddr, endpoint: &str) -> Self {
        let [anna, bob, stranger, local] =
            [ANNA, BOB, "stranger", "local"].map(|name| world.key(name, KeyKind::Ed25519));
        let imds = Wire::lay(IMDS_PORT, world.imds().address());
        let machine = Machine::boot(world, Suite::Bookworm);
        machine.install().expect_ok();
        machine.authorize("ec2-user", local.line());
        machine.start_sshd();
        let s3 = Wire::lay(S3_PORT, server);
        Self { world, machine, s3, imds, anna, bob, stranger, local, endpoint: endpoint.to_owned() }
    }

    /// Puts the people's documents into our double.
    pub fn publish(&self) {
        let double = self.world.double();
        double.put_object(BUCKET, ANNAS, published(ANNA, &self.anna));
        double.put_object(BUCKET, GROUPS, published(BOB, &self.bob));
    }

    /// Changes the documents, but nobody's access: the people's lines now stand behind so many more lines of remarks, so that half a
    /// document would grant nothing.
    pub fn publish_again(&self, round: usize) {
        let remarks = format!("# round {round}\n").repeat(1000);
        for (document, owner, key) in [(ANNAS, ANNA, &self.anna), (GROUPS, BOB, &self.bob)] {
            self.world.double().put_object(BUCKET, document, format!("{remarks}{}", published(owner, key)));
        }
    }

    /// Our double of S3 and SSM.
    #[must_use]
    pub fn double(&self) -> &Double {
        self.world.double()
    }

    /// Configures the time for which an answer is fresh, and the login's table. The cache may be a day old, the region is known.
    pub fn configure(&self, fresh_for: &str, login: &str) {
        let lookup = format!("deadline = \"{}s\"\nfresh_for = \"{fresh_for}\"", DEADLINE.as_secs());
        self.configure_with("", &lookup, login);
    }

    /// The same with lines at the top and all of the lookup's table.
    pub fn configure_with(&self, top: &str, lookup: &str, login: &str) {
        let (endpoint, imds) = (&self.endpoint, self.imds.url());
        self.machine.configure(&format!(
            "bucket = \"{BUCKET}\"\nregion = \"us-east-1\"\nendpoint_url = \"{endpoint}\"\n{top}\n\
             [aws]\nimds_endpoint = \"{imds}\"\n[lookup]\n{lookup}\n[login.ec2-user]\n{login}\n"
        ));
    }

    /// Asks for every key, so that every document is in the cache, and keeps that cache for the rows.
    ///
    /// # Panics
    /// When not both people are answered.
    #[track_caller]
    pub fn fill(&self) {
        self.machine.empty_cache();
        let answer = self.machine.lookup(&["ec2-user"]);
        for key in [&self.anna, &self.bob] {
            assert!(answer.expect_ok().contains(key.base64()), "{answer}\n{}", self.machine.log_text());
        }
        self.machine.keep_cache();
    }

    /// The lookup for one key.
    #[must_use]
    pub fn lookup(&self, key: &Key) -> Outcome {
        self.machine.lookup(&["ec2-user", key.kind(), key.base64()])
    }

    /// A client without a key.
    #[must_use]
    pub fn client(&self) -> Login {
        self.machine.login("ec2-user")
    }

    /// A login with this key.
    #[must_use]
    pub fn login(&self, key: &Key) -> Outcome {
        self.client().key(key).run("echo $SSH_KEY_OWNER")
    }

    /// Somebody logs in.
    ///
    /// # Panics
    /// When they do not, or not as this owner.
    #[track_caller]
    pub fn gets_in(&self, name: &str, key: &Key, owner: &str) {
        let session = self.login(key);
        session.expect_in_time(DEADLINE + LOGIN);
        assert!(session.ok(), "{name}: {owner} should get in: {session}\n{}", self.machine.log_text());
        assert_eq!(session.stdout.trim(), owner, "{name}: {session}");
    }

    /// Somebody is refused.
    ///
    /// # Panics
    /// When they are not.
    #[track_caller]
    pub fn is_refused(&self, name: &str, key: &Key) {
        let session = self.login(key);
        session.expect_in_time(DEADLINE + LOGIN);
        assert!(session.refused(), "{name}: should be refused: {session}\n{}", self.machine.log_text());
    }

    /// A line of the lookup, among those from number `from` on, of this severity and with one of these words, in any case.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn says(&self, name: &str, from: usize, severity: u8, words: &[&str]) {
        let said = self.machine.wait_log_from(from, |line| {
            let text = line.message.to_lowercase();
            line.tag == "iam-ssh"
                && line.priority & 7 == severity
                && words.iter().any(|word| text.contains(&word.to_lowercase()))
        });
        let lines = || self.log_from(from);
        assert!(said.is_some(), "{name}: no line of severity {severity} says one of {words:?}:\n{}", lines());
    }

    fn log_from(&self, from: usize) -> String {
        self.machine.logs().iter().skip(from).map(|line| format!("{}\n", line.raw)).collect()
    }

    /// The lookup found this key in time, and nothing else; or found nothing. It leaves no process behind.
    ///
    /// # Panics
    /// When not.
    #[track_caller]
    pub fn finds(&self, name: &str, key: &Key, is_found: bool) {
        let answer = self.lookup(key);
        let lines: Vec<&str> = answer.stdout.lines().collect();
        let fits = if is_found { lines.len() == 1 && lines[0].contains(key.base64()) } else { lines.is_empty() };
        assert!(answer.ok() && fits, "{name}: found should be {is_found}: {answer}\n{}", self.machine.log_text());
        answer.expect_in_time(DEADLINE);
        // What was learnt is written by a process of its own, which ends a moment later.
        self.machine.settle();
        assert_eq!(self.machine.lookups_running(), Vec::<String>::new(), "{name}");
    }

    /// A row in which S3 cannot say who may log in: what was known still counts, and where nothing was known, nobody gets in who is not in
    /// a local file. The log says one of these words in a warning.
    ///
    /// # Panics
    /// When the promise is broken.
    #[track_caller]
    pub fn goes_on(&self, name: &str, words: &[&str]) {
        self.machine.restore_cache();
        let from = self.machine.logs().len();
        // sshd asks twice for a login. If something hangs, it does so once.
        self.gets_in(name, &self.anna, ANNA);
        self.says(name, from, WARNING, words);
        let offered = self.machine.wait_log_from(from, |line| line.message.starts_with("offered owner=anna"));
        let offered = offered.unwrap_or_else(|| panic!("{name}: nothing was offered:\n{}", self.log_from(from)));
        assert!(offered.message.contains(" source=stale "), "{name}: {offered:?}");
        // A login's own bound is too wide for that.
        let took = offered.message.split_once(" took=").and_then(|(_, rest)| rest.split_once("ms")).expect("a time").0;
        assert!(took.parse::<u128>().unwrap() <= in_time(DEADLINE).as_millis(), "{name}: {offered:?}");
        self.is_refused(name, &self.stranger);
        self.without_a_cache(name);
    }

    /// A row in which Anna has lost her access, and nobody else: it is over at once, with and without a cache. The log says one of these
    /// words.
    ///
    /// # Panics
    /// When the promise is broken.
    #[track_caller]
    pub fn loses_access(&self, name: &str, severity: u8, words: &[&str]) {
        self.machine.restore_cache();
        let from = self.machine.logs().len();
        self.is_refused(name, &self.anna);
        self.says(name, from, severity, words);
        self.is_refused(name, &self.stranger);
        self.gets_in(name, &self.bob, BOB);
        self.without_a_cache(name);
        self.finds(name, &self.bob, true);
    }

    #[track_caller]
    fn without_a_cache(&self, name: &str) {
        let name = format!("{name}, without a cache");
        self.machine.empty_cache();
        self.finds(&name, &self.anna, false);
        self.finds(&name, &self.stranger, false);
        self.gets_in(&name, &self.local, "");
    }
}
