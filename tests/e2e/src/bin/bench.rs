//! `make bench`: what one lookup costs, beside the seed's command with the AWS CLI and beside curl, all asking the same moto for the
//! same objects, over plain HTTP and over TLS, interleaved in one session. It judges nothing: it prints figures and their bars.
//!
//! The lookup and the AWS CLI take their credentials from the metadata service, as on an instance; curl is handed its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use iam_ssh_e2e::measure::{Bar, Cost, line};
use iam_ssh_e2e::scene::{configuration, published};
use iam_ssh_e2e::{Authority, BUCKET, Key, KeyKind, Machine, Moto, Suite, World};

/// Whose keys may log in, as the seed's document has it (with `users/` spelt as its bucket has it). The offered key is in the last
/// one's document, so that nobody gets away with asking for the first alone.
const DOCUMENTED: &[&str] = &["groups/Administrators", "users/Admin"];
/// The least that can be configured.
const ONE: &[&str] = &["users/Admin"];
/// Rounds; in each the AWS CLI runs once and the fast ones several times in a row: one CLI run is long enough to warm itself up.
const ROUNDS: usize = 11;
const FAST: usize = 10;

/// The seed's AuthorizedKeysCommand with inline principals, its cheapest form (the one with SSM starts the AWS CLI once more).
const SEED: &str = r#"#!/bin/bash
SSH_USER=$1
IAM_BUCKET='company-iam'
IAM_PRINCIPALS=$2
SSH_USER_HOME=$(getent passwd ${SSH_USER} | cut -d: -f6)
if [ "$SSH_USER" == 'ec2-user' ]; then
    for iam_principal in ${IAM_PRINCIPALS//,/ } ; do
        aws s3 cp s3://${IAM_BUCKET}/${iam_principal}/authorized_keys -
    done
fi
"#;

/// Plain or TLS.
struct Way {
    name: &'static str,
    endpoint: String,
    root: Option<PathBuf>,
    principals: &'static [&'static str],
    lookup: Vec<Cost>,
    seed: Vec<Cost>,
    curl: Vec<Cost>,
}

impl Way {
    fn new(name: &'static str, endpoint: &str, root: Option<PathBuf>, principals: &'static [&'static str]) -> Self {
        Self {
            name,
            endpoint: endpoint.to_owned(),
            root,
            principals,
            lookup: Vec::new(),
            seed: Vec::new(),
            curl: Vec::new(),
        }
    }

    fn configure(&self, machine: &Machine) {
        let trust = if self.root.is_some() { "ca_bundle = \"/etc/iam-ssh/root.pem\"\n" } else { "" };
        let login = format!("principals = {:?}", self.principals);
        machine.configure(&format!("{trust}{}", configuration(&self.endpoint, &login)));
    }

    fn seed(&self, script: &str, path: &str) -> Command {
        let mut seed = Command::new("/bin/bash");
        seed.args([script, "ec2-user", &self.principals.join(",")])
            .env_clear()
            .env("PATH", path)
            .env("HOME", "/nonexistent");
        seed.env("AWS_ENDPOINT_URL_S3", &self.endpoint).env("AWS_DEFAULT_REGION", "us-east-1");
        if let Some(root) = &self.root {
            seed.env("AWS_CA_BUNDLE", root);
        }
        seed
    }

    fn curl(&self) -> Command {
        let paths: Vec<String> = self.principals.iter().map(|p| format!("{BUCKET}/{p}/authorized_keys")).collect();
        let mut curl = self.curl_to(&paths);
        curl.arg("-f");
        curl
    }

    fn put(&self, path: &str, body: &str) {
        let mut curl = self.curl_to(&[path.to_owned()]);
        curl.args(["-f", "-X", "PUT", "-H", "Content-Type: text/plain", "--data-binary", body]);
        assert!(curl.status().expect("curl").success(), "PUT {path}");
    }

    fn curl_to(&self, paths: &[String]) -> Command {
        let mut curl = Command::new("curl");
        curl.env_clear().env("PATH", "/usr/bin:/bin");
        curl.args(["-q", "-sS", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "AKIABENCH:secret"]);
        if let Some(root) = &self.root {
            curl.arg("--cacert").arg(root);
        }
        curl.args(paths.iter().map(|path| format!("{}/{path}", self.endpoint)));
        curl
    }

    fn report(&self) {
        let [lookup, seed, curl] = [&self.lookup, &self.seed, &self.curl].map(|runs| Cost::median(runs));
        let figure = |name: String, value: f64, unit: &str, bar: Bar| println!("{}", line(&name, value, unit, bar));
        for (who, cost) in [("lookup", lookup), ("seed", seed), ("curl", curl)] {
            figure(format!("{who}-{}-cpu", self.name), cost.cpu.as_secs_f64() * 1000.0, "ms", Bar::None);
            figure(format!("{who}-{}-wall", self.name), cost.wall.as_secs_f64() * 1000.0, "ms", Bar::None);
        }
        let name = self.name;
        let cpu = |other: Cost| other.cpu.as_secs_f64() / lookup.cpu.as_secs_f64();
        let wall = |other: Cost| other.wall.as_secs_f64() / lookup.wall.as_secs_f64();
        let bar = if self.principals.len() > 1 { Bar::AtLeast(200.0) } else { Bar::None };
        figure(format!("lookup-{name}-cpu-vs-seed"), cpu(seed), "times", bar);
        figure(format!("lookup-{name}-wall-vs-seed"), wall(seed), "times", Bar::None);
        figure(format!("lookup-{name}-cpu-vs-curl"), cpu(curl), "times", Bar::None);
        figure(format!("lookup-{name}-wall-vs-curl"), wall(curl), "times", Bar::None);
    }
}

/// Runs lookups inside the machine's root, with nothing (no chroot command, no shell) that would be measured with them.
fn lookups(machine: &Machine, key: &Key) -> (SyncSender<()>, Receiver<Cost>) {
    let (ask, asked) = sync_channel::<()>(0);
    let (tell, told) = sync_channel(0);
    let (root, kind, base64) = (machine.root().to_owned(), key.kind().to_owned(), key.base64().to_owned());
    std::thread::spawn(move || {
        // A root directory for this thread alone.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).expect("a root directory of its own");
        nix::unistd::chroot(&root).expect("the machine's root");
        std::env::set_current_dir("/").expect("its top");
        while asked.recv().is_ok() {
            let mut lookup = Command::new("/usr/libexec/iam-ssh/authorized-keys");
            lookup.args(["ec2-user", &kind, &base64]).env_clear().env("PATH", "/usr/bin:/bin");
            tell.send(Cost::of(&mut lookup)).expect("somebody who listens");
        }
    });
    (ask, told)
}

fn main() {
    let world = World::new();
    world.imds();
    let authority = Authority::create(world.scratch());
    let tls = Moto::start_tls(5443, &authority.certificate, &authority.key);
    let key = world.key("Admin", KeyKind::Ed25519);
    let other = world.key("jane@example.org", KeyKind::Ed25519);
    let root = || Some(authority.root.clone());
    let mut ways = [
        Way::new("http", world.moto().url(), None, DOCUMENTED),
        Way::new("tls", tls.url(), root(), DOCUMENTED),
        Way::new("http-one", world.moto().url(), None, ONE),
        Way::new("tls-one", tls.url(), root(), ONE),
    ];
    // The other moto comes with its bucket.
    ways[1].put(BUCKET, "");
    for way in &ways[..2] {
        way.put(&format!("{BUCKET}/groups/Administrators/authorized_keys"), &published("jane@example.org", &other));
        way.put(&format!("{BUCKET}/users/Admin/authorized_keys"), &published("Admin", &key));
    }

    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    machine.write("/etc/iam-ssh/root.pem", std::fs::read(&authority.root).unwrap(), 0o644);
    let script = world.scratch().join("seed.sh");
    std::fs::write(&script, SEED).unwrap();
    let path = format!("{}:/usr/bin:/bin", world.aws_cli().parent().unwrap().display());

    println!(
        "bench: {ROUNDS} rounds, medians; S3 is moto, the same objects for all; two principals, in the lines with `one` a single one; the figures:"
    );
    let (ask, told) = lookups(&machine, &key);
    let lookup = || {
        ask.send(()).unwrap();
        told.recv().expect("a lookup that succeeds")
    };
    for round in 0..=ROUNDS {
        for way in &mut ways {
            way.configure(&machine);
            let seed = Cost::of(&mut way.seed(&script.to_string_lossy(), &path));
            let looked: Vec<Cost> = (0..FAST).map(|_| lookup()).collect();
            let curled: Vec<Cost> = (0..FAST).map(|_| Cost::of(&mut way.curl())).collect();
            // The first round fills caches and counts for nobody.
            if round > 0 {
                way.seed.push(seed);
                way.lookup.extend(looked);
                way.curl.extend(curled);
            }
        }
    }
    for way in &ways {
        way.report();
    }
    let size = std::fs::metadata(machine.path("/usr/libexec/iam-ssh/authorized-keys")).unwrap().len();
    println!("{}", line("lookup-binary-size", f64::from(u32::try_from(size).unwrap()), "bytes", Bar::None));
    let crates: f64 =
        std::env::var("IAM_SSH_CRATES").ok().and_then(|count| count.parse().ok()).expect("run `make bench`");
    println!("{}", line("instance-crates", crates, "crates", Bar::None));
}
