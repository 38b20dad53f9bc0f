//! The same matrix where it takes TLS or a name: handshakes that never end, certificates of somebody else, a dead name server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

use iam_ssh_e2e::scene::published;
use iam_ssh_e2e::trial::{ANNA, ANNAS, BOB, BOTH, GROUPS, Trial};
use iam_ssh_e2e::{Authority, BUCKET, HOST, Moto, State, World, run};

const MOTO: u16 = 5443;
/// Where the endpoint's name is.
const NAMED: &str = "127.0.0.1 localhost company-s3\n";
const LATE: &[&str] = &["no answer", "timed out", "timeout", "deadline"];

/// A machine that asks moto over TLS, by name.
fn trial(world: &World) -> (Trial<'_>, Moto) {
    let authority = Authority::create(world.scratch());
    let moto = Moto::start_tls(MOTO, &authority.certificate, &authority.key);
    let trial = Trial::asking(world, SocketAddr::from(([127, 0, 0, 1], MOTO)), &format!("https://{HOST}:8001"));
    put(moto.url(), "", "", &authority.root);
    put(moto.url(), &format!("/{ANNAS}"), &published(ANNA, &trial.anna), &authority.root);
    put(moto.url(), &format!("/{GROUPS}"), &published(BOB, &trial.bob), &authority.root);
    trial.machine.write("/etc/iam-ssh/root.pem", std::fs::read(&authority.root).unwrap(), 0o644);
    let lookup = "deadline = \"1s\"\nfresh_for = \"0s\"";
    trial.configure_with("ca_bundle = \"/etc/iam-ssh/root.pem\"", lookup, BOTH);
    trial.machine.write("/etc/hosts", NAMED, 0o644);
    trial.fill();
    (trial, moto)
}

/// Makes the bucket, or puts an object into it.
fn put(url: &str, key: &str, body: &str, root: &Path) {
    let mut curl = Command::new("curl");
    curl.env_clear().env("PATH", "/usr/bin:/bin").args(["-q", "-sSf", "-X", "PUT", "--data-binary", body]);
    curl.args(["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "AKIATEST:secret", "--cacert"]).arg(root);
    run(curl.args(["-H", "Content-Type: text/plain"]).arg(format!("{url}/{BUCKET}{key}")), b"").expect_ok();
}

#[test]
fn tls_or_the_name_fails() {
    let world = World::new();
    let (trial, _moto) = trial(&world);
    for (name, state, words) in [
        ("refused", State::Refused, ["refused"].as_slice()),
        ("hangs at connect", State::Deaf, LATE),
        ("hangs at the handshake", State::Mute, LATE),
        ("hangs in the middle of the handshake", State::StalledAfter(500), LATE),
        ("breaks off in the middle of the handshake", State::CutAfter(500), &["connection", "handshake", "eof"]),
    ] {
        trial.s3.set(state);
        trial.goes_on(name, words);
    }
    trial.s3.set(State::Open);
    trial.machine.restore_cache();
    trial.finds("all is well again", &trial.anna, true);

    names_are_not_resolved(&trial);
    the_server_is_not_trusted(&world, &trial);
}

/// Somebody else's server: what it says does not count, and neither does that it is there.
fn the_server_is_not_trusted(world: &World, trial: &Trial<'_>) {
    let somebody = Authority::create(&world.scratch().join("keys"));
    let trusted = std::fs::read(&somebody.root).unwrap();
    trial.machine.write("/etc/iam-ssh/root.pem", trusted, 0o644);
    trial.goes_on("a certificate that is not trusted", &["certificate"]);
    trial.machine.write("/etc/iam-ssh/root.pem", "no certificate at all\n", 0o644);
    trial.goes_on("a bundle without a certificate", &["ca_bundle"]);
}

fn names_are_not_resolved(trial: &Trial<'_>) {
    trial.machine.write("/etc/hosts", "127.0.0.1 localhost\n", 0o644);
    // A name server that takes every question and answers none.
    let _silent = UdpSocket::bind("127.0.0.53:53").unwrap();
    trial.machine.write("/etc/resolv.conf", "nameserver 127.0.0.53\n", 0o644);
    trial.goes_on("the name server is dead", LATE);
    trial.machine.write("/etc/resolv.conf", "", 0o644);
    // glibc then asks 127.0.0.1, where nobody listens.
    trial.goes_on("there is no name server", &["dns error", "name resolution"]);
    trial.machine.write("/etc/hosts", NAMED, 0o644);
}
