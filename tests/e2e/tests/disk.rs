//! A cache on a bad disk, or one that somebody else may have written: it works without, and nothing that is not certainly ours counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use iam_ssh_e2e::scene::published;
use iam_ssh_e2e::trial::{ANNA, ANNAS, BOB, BOTH, Trial};
use iam_ssh_e2e::{BUCKET, CACHE, DEADLINE, KeyKind, State, World, eventually};

/// Puts a small file system in the cache's place, owned as the package's directory is.
fn mount(trial: &Trial<'_>) {
    let script =
        format!("mount -t tmpfs -o size=256k,mode=0700,uid=$(id -u iam-ssh),gid=$(id -g iam-ssh) tmpfs {CACHE}");
    trial.machine.run(&script).expect_ok();
}

fn unmount(trial: &Trial<'_>) {
    trial.machine.run(&format!("umount {CACHE}")).expect_ok();
}

/// Fills the small file system to its last byte.
fn fill_up(trial: &Trial<'_>) {
    let full =
        trial.machine.run(&format!("dd if=/dev/zero of={CACHE}/filler bs=1k; dd if=/dev/zero of={CACHE}/rest bs=1"));
    assert!(full.stderr.contains("No space left on device"), "{full}");
}

#[test]
fn a_full_disk() {
    let world = World::new();
    let trial = Trial::new(&world);
    // Full before anything was cached: every login asks.
    mount(&trial);
    fill_up(&trial);
    trial.configure("1h", BOTH);
    for name in ["full", "still full"] {
        trial.gets_in(name, &trial.anna, ANNA);
        trial.gets_in(name, &trial.bob, BOB);
        trial.is_refused(name, &trial.stranger);
        trial.finds(name, &trial.anna, true);
    }
    unmount(&trial);

    // Full after something was cached: what S3 says from then on counts, also when S3 is gone again.
    for (name, withdraw) in [("deleted", true), ("changed", false)] {
        mount(&trial);
        trial.configure("0s", BOTH);
        trial.publish();
        trial.finds(name, &trial.anna, true);
        trial.finds(name, &trial.bob, true);
        fill_up(&trial);
        trial.s3.set(State::Refused);
        trial.gets_in(name, &trial.anna, ANNA);
        trial.s3.set(State::Open);
        if withdraw {
            trial.double().remove_object(BUCKET, ANNAS);
        } else {
            let other = world.key(name, KeyKind::Ed25519);
            trial.double().put_object(BUCKET, ANNAS, published(ANNA, &other));
        }
        eventually("Anna to be refused", || trial.login(&trial.anna).refused().then_some(()));
        trial.s3.set(State::Refused);
        trial.is_refused(name, &trial.anna);
        trial.finds(name, &trial.anna, false);
        trial.gets_in(name, &trial.local, "");
        trial.s3.set(State::Open);
        unmount(&trial);
    }
}

#[test]
fn a_read_only_disk() {
    let world = World::new();
    let trial = Trial::new(&world);
    let read_only = |how: &str| trial.machine.run(&format!("mount -o remount,{how} {CACHE}")).expect_ok().len();
    mount(&trial);
    read_only("ro");
    trial.configure("1h", BOTH);
    for name in ["read-only and empty", "again"] {
        trial.gets_in(name, &trial.anna, ANNA);
        trial.is_refused(name, &trial.stranger);
        trial.finds(name, &trial.bob, true);
    }
    read_only("rw");
    trial.configure("0s", BOTH);
    trial.finds("writable", &trial.anna, true);
    trial.finds("writable", &trial.bob, true);
    read_only("ro");
    trial.gets_in("read-only and filled", &trial.anna, ANNA);
    trial.s3.set(State::Refused);
    trial.gets_in("read-only, filled and S3 gone", &trial.anna, ANNA);
    trial.is_refused("read-only, filled and S3 gone", &trial.stranger);
    trial.s3.set(State::Mute);
    trial.finds("read-only, filled and S3 mute", &trial.bob, true);
    trial.s3.set(State::Open);
    trial.double().remove_object(BUCKET, ANNAS);
    trial.is_refused("read-only and withdrawn", &trial.anna);
    trial.gets_in("read-only and withdrawn", &trial.bob, BOB);
    unmount(&trial);
}

/// Ways to spoil the kept cache so that nothing of it may be believed.
const SPOILT: [(&str, &str); 14] = [
    ("cut in half", "for f in $files; do truncate -s $(($(stat -c %s $f) / 2)) $f; done"),
    ("one byte short", "for f in $files; do [ ! -s $f ] || truncate -s -1 $f; done"),
    ("empty files", "for f in $files; do : >$f; done"),
    ("zeros", "for f in $files; do head -c $(stat -c %s $f) /dev/zero >/tmp/z; cat /tmp/z >$f; done"),
    ("one byte changed", ONE_BYTE),
    ("two files exchanged", "set -- $(find . -name 'document-*'); [ $# = 2 ] && mv $1 x && mv $2 $1 && mv x $2"),
    ("files of another user", "chown ec2-user: $files"),
    ("files that others may write", "chmod 666 $files"),
    ("links in place of files", LINKS),
    ("pipes in place of files", "for f in $files; do rm $f; mkfifo -m 600 $f; chown iam-ssh: $f; done"),
    ("directories in place of files", "for f in $files; do rm $f; mkdir -m 700 $f; chown iam-ssh: $f; done"),
    ("a directory that others may write", "chmod 777 ."),
    ("a directory of another user", "chown ec2-user: ."),
    ("a link to another user's directory", LINKED),
];
const ONE_BYTE: &str = r"for f in $files; do
    [ -s $f ] || continue
    at=$(($(stat -c %s $f) / 2)) byte=$(od -An -tu1 -j$(($(stat -c %s $f) / 2)) -N1 $f)
    printf \\$(printf %o $((byte ^ 1))) | dd of=$f bs=1 seek=$at conv=notrunc
done";
const LINKS: &str = "mkdir /home/ec2-user/c; chown ec2-user: $files
    for f in $files; do mv $f /home/ec2-user/c/; ln -s /home/ec2-user/c/$f $f; done";
const LINKED: &str =
    "cd /; mv $cache /home/ec2-user/d; chown -R ec2-user: /home/ec2-user/d; ln -s /home/ec2-user/d $cache";

/// Spoils the kept cache in this way.
fn spoil(trial: &Trial<'_>, name: &str, how: &str) {
    trial.machine.run("rm -rf /home/ec2-user/c /home/ec2-user/d").expect_ok();
    trial.machine.restore_cache();
    let script = format!("set -e; cache={CACHE}; cd $cache; files=$(find . -type f -printf '%P '); {how}");
    let done = trial.machine.run(&script);
    assert!(done.ok(), "{name}: {done}");
}

#[test]
fn a_spoilt_cache_is_not_believed() {
    let world = World::new();
    let trial = Trial::new(&world);
    // If it were believed, it would be fresh.
    trial.configure("1h", BOTH);
    trial.fill();
    assert!(trial.machine.cache_files().len() >= 3, "{:?}", trial.machine.cache_files());
    spoil(&trial, "not spoilt", "true");
    trial.s3.set(State::Refused);
    trial.finds("not spoilt", &trial.anna, true);
    for (name, how) in SPOILT {
        spoil(&trial, name, how);
        trial.s3.set(State::Refused);
        trial.finds(&format!("{name}, S3 gone"), &trial.anna, false);
        trial.finds(&format!("{name}, S3 gone"), &trial.stranger, false);

        spoil(&trial, name, how);
        trial.s3.set(State::Open);
        trial.double().clear_requests();
        trial.gets_in(name, &trial.anna, ANNA);
        assert!(!trial.double().requests().is_empty(), "{name}: S3 was not asked");
        trial.finds(name, &trial.stranger, false);
        trial.finds(name, &trial.bob, true);
    }
}

/// Whoever cannot have the lock is not the same as whoever waits for it: what S3 says counts, and what was withdrawn is.
#[test]
fn a_lock_that_cannot_be_had_keeps_nobody_in() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    for (name, how) in [
        ("a link", "ln -s /nonexistent/lock lock"),
        ("a directory", "mkdir -m 700 lock; chown iam-ssh: lock"),
        ("a pipe", "mkfifo -m 600 lock; chown iam-ssh: lock"),
        ("somebody else's", "install -o ec2-user -m 600 /dev/null lock"),
    ] {
        trial.publish();
        spoil(&trial, name, &format!("rm -rf lock; {how}"));
        trial.gets_in(name, &trial.anna, ANNA);
        trial.double().remove_object(BUCKET, ANNAS);
        trial.is_refused(name, &trial.anna);
        trial.gets_in(name, &trial.bob, BOB);
    }
}

/// Writing must not follow a link either: whoever plants one would have a file of theirs overwritten, or written to where they like.
#[test]
fn nothing_is_written_through_a_link() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("0s", BOTH);
    trial.fill();
    let plant = "rm -rf /home/ec2-user/c; mkdir /home/ec2-user/c; for f in $files; do echo mine >/home/ec2-user/c/$f; \
        chown iam-ssh: /home/ec2-user/c/$f; rm $f; ln -s /home/ec2-user/c/$f $f; done";
    spoil(&trial, "planted links", plant);
    trial.gets_in("planted links", &trial.anna, ANNA);
    assert_eq!(trial.machine.sh("cat /home/ec2-user/c/* | sort -u"), "mine\n");
}

/// Without its directory there is no cache; logins work.
#[test]
fn no_directory_at_all() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("1h", BOTH);
    trial.machine.run(&format!("rm -rf {CACHE}")).expect_ok();
    trial.gets_in("no directory", &trial.anna, ANNA);
    trial.is_refused("no directory", &trial.stranger);
    trial.machine.run(&format!("touch {CACHE}")).expect_ok();
    trial.gets_in("a file in its place", &trial.anna, ANNA);
    trial.s3.set(State::Mute);
    trial.finds("a file in its place, S3 mute", &trial.anna, false);
}

/// sshd waits for the lookup's end, whatever that is busy with.
#[test]
fn a_disk_that_hangs() {
    let world = World::new();
    let trial = Trial::new(&world);
    let arguments = ["ec2-user", trial.anna.kind(), trial.anna.base64()];
    let answer = trial.machine.lookup_on_slow_disk(Duration::from_secs(4), &arguments);
    assert!(answer.expect_ok().contains(trial.anna.base64()), "{answer}");
    answer.expect_in_time(DEADLINE);
    // Whoever may still be writing has had its time.
    let _ = trial.machine.run("pkill -KILL -u iam-ssh");
    eventually("its end", || trial.machine.lookups_running().is_empty().then_some(()));
    trial.finds("afterwards", &trial.anna, true);
    trial.finds("afterwards", &trial.stranger, false);
}
