//! `make repo`: what it makes is what apt trusts, and it says what it lacks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use iam_ssh_e2e::lifecycle::repacked;
use iam_ssh_e2e::repository::Repository;
use iam_ssh_e2e::{Debian, Machine, Outcome, Suite, World, deb, rpm};

/// apt with the repository as its only source, and everything that it learnt before forgotten.
fn apt(debian: &Debian, arguments: &str) -> Outcome {
    debian.run(&format!(
        "rm -rf /var/lib/apt/lists/* && apt-get -q update 2>&1 && \
         DEBIAN_FRONTEND=noninteractive apt-get install -q -y {arguments} 2>&1"
    ))
}

fn machine(world: &World, repository: &Repository) -> Machine {
    let machine = Machine::boot(world, Suite::Bookworm);
    machine.run("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*").expect_ok();
    repository.offer(&machine);
    machine
}

#[test]
fn apt_installs_and_upgrades_from_it() {
    let world = World::new();
    let repository = Repository::create(&world, &[&repacked(&world, "0.0.9-1", |_| ())]);
    let machine = machine(&world, &repository);
    apt(&machine, "iam-ssh").expect_ok();
    let version = "dpkg-query -W -f '${Version}' iam-ssh";
    assert_eq!(machine.sh(version), "0.0.9-1");
    repository.make("rig", &[&deb()]).expect_ok();
    repository.offer(&machine);
    apt(&machine, "iam-ssh").expect_ok();
    assert_ne!(machine.sh(version), "0.0.9-1", "the newest");
    apt(&machine, "--allow-downgrades iam-ssh=0.0.9-1").expect_ok();
}

#[test]
fn apt_refuses_what_was_tampered_with() {
    let world = World::new();
    let repository = Repository::create(&world, &[&deb()]);
    let machine = machine(&world, &repository);
    let refused = |what: &str, how: &str, because: &str| {
        repository.offer(&machine);
        machine.run(&format!("cd /srv/repository/apt && {how}")).expect_ok();
        let outcome = apt(&machine, "iam-ssh");
        assert!(!outcome.ok() || outcome.stdout.contains(because), "{what}: {outcome}");
        assert!(!machine.run("dpkg-query -W iam-ssh").ok(), "{what} was installed");
        assert!(outcome.stdout.contains(because), "{what}: {outcome}");
    };
    refused("a changed InRelease", "sed -i 's/^Label: .*/Label: other/' dists/stable/InRelease", "BADSIG");
    refused("no signature at all", "rm dists/stable/InRelease dists/stable/Release.gpg", "is not signed");
    refused(
        "a changed index",
        "for f in $(find dists -name 'Packages*' -o -path '*by-hash/*/*'); do echo >>$f; done",
        "size",
    );
    refused(
        "a changed package",
        "dd if=/dev/zero of=$(echo pool/*.deb) bs=64 count=1 seek=1000 conv=notrunc status=none",
        "Hash Sum mismatch",
    );
    refused(
        "another key",
        "cp /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/iam-ssh.gpg",
        "NO_PUBKEY",
    );
    repository.offer(&machine);
    apt(&machine, "iam-ssh").expect_ok();
}

/// Every file with its content's place in time: what changed is another.
fn files(directory: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let modified = path.metadata().unwrap().modified().unwrap();
                files.insert(path.display().to_string(), (std::fs::read(&path).unwrap(), modified));
            }
        }
    }
    files
}

#[test]
fn made_again_it_is_the_same_and_what_is_in_it_stays() {
    let world = World::new();
    let repository = Repository::create(&world, &[&deb(), &rpm()]);
    let first = files(repository.directory());
    repository.make("rig", &[&deb(), &rpm()]).expect_ok();
    assert!(files(repository.directory()) == first, "nothing changed, no file was touched");
    repository.make("rig", &[&repacked(&world, "9.9-1", |_| ())]).expect_ok();
    let second = files(repository.directory());
    for (path, file) in &first {
        assert!(path.contains("/stable/") || second.get(path) == Some(file), "{path} stays");
    }
    let hashes = |files: &BTreeMap<String, _>| files.keys().filter(|path| path.contains("/by-hash/")).count();
    assert!(hashes(&second) > hashes(&first), "who read the index before still finds its parts");
}

#[test]
fn without_a_key_it_says_so_and_makes_nothing() {
    let world = World::new();
    let repository = Repository::create(&world, &[&deb()]);
    let first = files(repository.directory());
    for (key, said) in
        [("", "IAM_SSH_SIGNING_KEY is not set"), ("nobody@example.org", "no secret key nobody@example.org")]
    {
        let refused = repository.make(key, &[&deb()]);
        assert!(!refused.ok() && refused.stderr.contains(said), "{refused}");
    }
    assert!(files(repository.directory()) == first);
}
