//! A bucket, an instance and a configuration, as most tests here need them.

use iam_ssh::audit::Event;
use iam_ssh::aws::Aws;
use iam_ssh::cache::state::State;
use iam_ssh::cache::store::{STATE, Store};
use iam_ssh::clock::Moment;
use iam_ssh::config::Config;
use iam_ssh::copies::Copies;
use iam_ssh::lookup::{Found, Outcome, question};
use iam_ssh::refresh;
use iam_ssh::trusted::{Trust, TrustError};
use iam_ssh_core::PublicKey;
use iam_ssh_doubles::Double;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) const BUCKET: &str = "company-iam";
/// 2026-01-01T00:00:00Z
pub(crate) const NOW: i64 = 1_767_225_600;

pub(crate) const JOHN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPMVhXAzDPC2Mnj8+sZdhKaBC1TvKXgZfmDLoUsWt6Bz";
pub(crate) const MARY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBQ9xSkFqLkFAGrx3xHzcXLTLbDRwb5Z3z9y2c6XZYxu";

/// A published line as the sync writes it.
pub(crate) fn line(owner: &str, key: &str) -> String {
    format!("environment=\"SSH_KEY_OWNER={owner}\" {key} {owner}\n")
}

/// The line that sshd is to see for it.
pub(crate) fn printed(owner: &str, key: &str) -> String {
    format!("no-user-rc,environment=\"SSH_KEY_OWNER={owner}\" {key} {owner}")
}

/// A double of AWS with an empty bucket and an instance role.
pub(crate) fn aws() -> Double {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_bucket(BUCKET).set_role(Some("web")).set_region("eu-central-1");
    double
}

/// A configuration for the double: `top` stands before the tables, `login` in `[login.ec2-user]`.
pub(crate) fn config(double: &Double, top: &str, login: &str) -> Config {
    let url = double.url();
    let text = format!(
        "bucket = \"{BUCKET}\"\nregion = \"eu-central-1\"\nendpoint_url = \"{url}\"\n{top}\n\
         [aws]\nimds_endpoint = \"{url}\"\n[login.ec2-user]\n{login}\n"
    );
    let mut config = Config::default();
    config.layer("test.toml", &text).unwrap();
    config
}

/// Trusts the files of whoever runs the tests, wherever they are built.
pub(crate) fn own() -> Trust {
    let folder = std::fs::canonicalize(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Trust::below(Box::leak(folder.into_boxed_path()), nix::unistd::geteuid().as_raw())
}

/// What a lookup gave.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) found: Vec<Found>,
    pub(crate) events: Vec<Event>,
}

/// A cache in a directory of its own.
pub(crate) struct Cache(pub(crate) tempfile::TempDir);

impl Cache {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn store(&self) -> Result<Store, TrustError> {
        Store::open(self.path(), own())
    }

    /// What is known without asking, as a lookup begins.
    pub(crate) fn copies(&self, config: &Config) -> Copies {
        Copies::open(config, self.store(), Moment::now())
    }

    /// One lookup: from the cache, and where that does not do, from AWS; what was learnt is kept.
    pub(crate) fn ask(&self, config: &Config, offered: Option<&str>) -> Answer {
        run(config, offered, self.copies(config), true)
    }

    /// Makes everything that is known older by so many seconds.
    pub(crate) fn age(&self, seconds: i64) {
        let shift = |moment: &mut Moment| {
            moment.wall -= seconds * 1000;
            moment.boot.as_mut().unwrap().millis -= seconds * 1000;
        };
        self.change(|state| {
            let documents = state
                .documents
                .values_mut()
                .map(|e| (e.known.as_mut().map(|k| &mut k.confirmed), e.failed.as_mut().map(|f| &mut f.at)));
            let lists = state
                .lists
                .values_mut()
                .map(|e| (e.known.as_mut().map(|k| &mut k.confirmed), e.failed.as_mut().map(|f| &mut f.at)));
            for (confirmed, failed) in documents.chain(lists) {
                confirmed.into_iter().chain(failed).for_each(shift);
            }
        });
    }

    /// Changes the state as somebody could who may write there.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        let sealed = std::fs::read(self.path().join(STATE)).unwrap();
        let mut state: State = serde_json::from_str(iam_ssh::cache::seal::unseal(&sealed).unwrap()).unwrap();
        change(&mut state);
        std::fs::write(self.path().join(STATE), state.render()).unwrap();
    }

    /// The names of its files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.path()).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    }
}

/// Asks for `offered`, or for every key, where there is no cache.
pub(crate) fn ask(config: &Config, offered: Option<&str>) -> Answer {
    run(config, offered, Copies::open(config, Err(TrustError::Missing("no cache".into())), Moment::now()), false)
}

fn run(config: &Config, offered: Option<&str>, mut copies: Copies, cached: bool) -> Answer {
    let key = offered.map(|key| PublicKey::from_openssh(key).unwrap());
    let (question, mut events) = question(config, "ec2-user", key.as_ref(), NOW, own()).unwrap();
    let found = match question.answer(&mut copies) {
        Outcome::Answer(found) => found,
        Outcome::Ask(_) => {
            let aws = Aws::new(config, copies.instance(config), NOW);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let lookup = refresh::lookup(&question, &mut copies, &aws, &config.prefix, config.deadline);
            let found = runtime.block_on(lookup);
            runtime.shutdown_timeout(Duration::ZERO);
            if cached {
                // On a disk that is busy with something else, too.
                copies.save(aws.learnt(copies.host()), Instant::now() + Duration::from_secs(60));
            }
            found
        }
    };
    events.extend(copies.take_events(found.is_empty()));
    Answer { found, events }
}

pub(crate) fn lines(answer: &Answer) -> Vec<String> {
    answer.found.iter().map(|found| found.line.to_string()).collect()
}

/// The events as the log would have them, with their severity.
pub(crate) fn log(answer: &Answer) -> Vec<String> {
    answer.events.iter().map(|e: &Event| format!("{:?}: {}", e.severity(), e.line(2000))).collect()
}

/// The text of the configuration file that the package ships.
pub(crate) fn shipped_configuration() -> String {
    // Asked at run time: a build that is shared between checkouts must not remember the one that it was made in.
    let checkout = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    std::fs::read_to_string(Path::new(&checkout).join("etc/iam-ssh/config.toml")).unwrap()
}
