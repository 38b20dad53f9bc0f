//! How far a cached answer reaches: to nobody whom the configuration of this moment does not name, to no key whose time is over, and to
//! nobody else's bucket; and whoever asks, the cache stays the system user's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::scene::published;
use iam_ssh_e2e::trial::{ANNA, ANNAS, BOB, BOTH, Trial};
use iam_ssh_e2e::{BUCKET, CACHE, State, World, eventually};

const FRESH: &str = "deadline = \"1s\"\nfresh_for = \"1h\"";

#[test]
fn what_is_cached_for_one_login_user_opens_no_other() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.machine.add_user("deploy");
    let two = format!("{BOTH}\n[login.deploy]\nprincipals = [\"users/anna@example.org\"]");
    trial.configure("1h", &two);
    trial.fill();
    trial.double().clear_requests();
    let deploy = |key| trial.machine.login("deploy").key(key).run("true");
    trial.gets_in("as ec2-user", &trial.bob, BOB);
    assert!(deploy(&trial.bob).refused(), "bob is cached, but not for deploy");
    deploy(&trial.anna).expect_ok();
    // What the configuration no longer names is over at once, however fresh.
    trial.configure("1h", "principals = [\"groups/Operators\"]");
    trial.is_refused("no longer named", &trial.anna);
    trial.gets_in("still named", &trial.bob, BOB);
    assert_eq!(trial.double().requests().len(), 0, "all of it from the cache");
}

/// A copy from elsewhere says nothing about this bucket.
#[test]
fn another_bucket_or_endpoint_has_its_own_answers() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("1h", BOTH);
    trial.fill();
    trial.s3.set(State::Refused);
    trial.gets_in("the same", &trial.anna, ANNA);
    trial.configure_with("prefix = \"other/\"", FRESH, BOTH);
    trial.finds("another prefix", &trial.anna, false);
    trial.configure_with("bucket_owner = \"123456789012\"", FRESH, BOTH);
    trial.finds("another owner", &trial.anna, false);
    let configuration = trial.machine.read("/etc/iam-ssh/config.toml").unwrap();
    trial.machine.configure(&configuration.replace(BUCKET, "company-other").replace("bucket_owner", "#"));
    trial.finds("another bucket", &trial.anna, false);
}

#[test]
fn a_key_expires_in_the_cache_too() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("1h", BOTH);
    let until = trial.machine.sh("date -u -d '+5 seconds' +%Y%m%d%H%M%SZ");
    let line = format!("expiry-time=\"{}\",{}", until.trim(), published(ANNA, &trial.anna));
    trial.double().put_object(BUCKET, ANNAS, line);
    trial.fill();
    trial.double().clear_requests();
    eventually("Anna's key to expire", || trial.lookup(&trial.anna).expect_ok().is_empty().then_some(()));
    assert!(trial.machine.sh("date -u +%Y%m%d%H%M%SZ") >= until, "not before its time");
    trial.is_refused("expired", &trial.anna);
    trial.gets_in("not expired", &trial.bob, BOB);
    assert_eq!(trial.double().requests().len(), 0, "all of it from the cache");
}

/// People try the lookup by hand, as root and as themselves.
#[test]
fn whoever_asks_the_cache_stays_the_system_users() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("1h", BOTH);
    let ask = format!("/usr/libexec/iam-ssh/authorized-keys ec2-user {}", trial.anna.bare());
    let by_root = trial.machine.run(&format!("umask 0; {ask}"));
    assert!(by_root.expect_ok().contains(trial.anna.base64()), "{by_root}");
    for file in trial.machine.cache_files() {
        let words: Vec<&str> = file.split(' ').collect();
        assert_eq!(words[2..], ["iam-ssh", "600"], "{file}");
    }
    assert_eq!(trial.machine.sh(&format!("stat -c '%U %G %a' {CACHE}")), "iam-ssh iam-ssh 700\n");
    let before = trial.machine.cache_files();
    let by_user = trial.machine.run(&format!("setpriv --reuid ec2-user --regid ec2-user --clear-groups {ask}"));
    assert!(by_user.ok(), "{by_user}");
    assert_eq!(trial.machine.cache_files(), before);
    let listed = trial.machine.run(&format!("setpriv --reuid ec2-user --regid ec2-user --clear-groups ls {CACHE}"));
    assert!(!listed.ok(), "the cache holds credentials: {listed}");
    trial.gets_in("as ever", &trial.anna, ANNA);
}

/// The process that writes to the cache takes what it is handed; only the cache's own user can hand it anything.
#[test]
fn nobody_else_has_anything_written() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("1h", BOTH);
    trial.fill();
    let before = trial.machine.cache_files();
    let keep = "/usr/libexec/iam-ssh/authorized-keys /keep <<<'{}'";
    let said = trial.machine.run(&format!("su -s /bin/bash ec2-user -c \"{keep}\""));
    assert!(!said.ok() && said.stderr.contains("the cache is not used"), "{said}");
    assert_eq!(trial.machine.cache_files(), before);
    trial.gets_in("as before", &trial.anna, ANNA);
    // Nor is it a login user's name.
    trial.machine.configure("bucket = \"company-iam\"\n[login.\"/keep\"]\nprincipals = []\n");
    assert_eq!(trial.lookup(&trial.anna).status.code(), Some(1), "not a configuration");
}
