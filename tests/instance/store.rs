//! The cache's files: only our own are believed, each is replaced whole, litter goes, and nobody waits for ever.

use crate::scene::{BUCKET, Cache, JOHN, aws, config, line, lines, log, own};
use iam_ssh::audit::Source;
use iam_ssh::cache::seal::{seal, unseal};
use iam_ssh::cache::store::{NoLock, STATE, Store, Sync};
use iam_ssh::clock::Moment;
use iam_ssh::config::Config;
use iam_ssh::copies::{Arrival, Learnt};
use iam_ssh::lookup::Ask;
use iam_ssh::lookup::ports::{FetchError, Object};
use iam_ssh_core::Principal;
use iam_ssh_doubles::{Double, Fault, Match};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

fn scene() -> (Double, Config, Cache) {
    let double = aws();
    double.put_object(BUCKET, "users/john/authorized_keys", line("john", JOHN));
    let config = config(&double, "[lookup]\ndeadline = \"1s\"", "principals = [\"users/john\"]");
    (double, config, Cache::new())
}

fn document(cache: &Cache) -> PathBuf {
    let is_one = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("document-");
    cache.files().into_iter().find(is_one).unwrap()
}

/// Asks once, breaks something, and asks again: it must be as if nothing had been there, and be mended.
fn mended(breaking: impl Fn(&Cache)) {
    for seconds in [0, 31] {
        mended_after(&breaking, seconds);
    }
}

fn mended_after(breaking: &impl Fn(&Cache), seconds: i64) {
    let (double, config, cache) = scene();
    cache.ask(&config, Some(JOHN));
    cache.age(seconds);
    breaking(&cache);
    let asked = double.requests().len();
    let answer = cache.ask(&config, Some(JOHN));
    assert_eq!(lines(&answer).len(), 1, "{:?}", log(&answer));
    assert!(double.requests().len() > asked, "believed");
    assert!(!double.requests().last().unwrap().conditional, "named a copy that is none");
    let asked = double.requests().len();
    assert_eq!(lines(&cache.ask(&config, Some(JOHN))).len(), 1);
    assert_eq!(double.requests().len(), asked, "not mended");
}

#[test]
fn what_is_torn_foreign_or_gone_is_ignored_and_replaced() {
    mended(|cache| fs::remove_file(cache.path().join(STATE)).unwrap());
    mended(|cache| fs::write(cache.path().join(STATE), b"").unwrap());
    mended(|cache| fs::write(cache.path().join(STATE), b"iam-ssh cache 2 x\n{}").unwrap());
    mended(|cache| fs::remove_file(document(cache)).unwrap());
    mended(|cache| {
        let whole = fs::read(document(cache)).unwrap();
        fs::write(document(cache), &whole[..whole.len() / 2]).unwrap();
    });
    mended(|cache| {
        let mut content = fs::read(document(cache)).unwrap();
        *content.last_mut().unwrap() ^= 1;
        fs::write(document(cache), content).unwrap();
    });
    mended(|cache| cache.age(-3600));
}

#[test]
fn what_others_could_have_written_is_ignored_and_replaced() {
    let replace_by_link = |path: PathBuf| {
        let moved = path.with_file_name("moved");
        fs::rename(&path, &moved).unwrap();
        symlink(&moved, &path).unwrap();
    };
    mended(|cache| replace_by_link(cache.path().join(STATE)));
    mended(|cache| replace_by_link(document(cache)));
    let open = |path: PathBuf| fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    mended(|cache| open(cache.path().join(STATE)));
    mended(|cache| open(document(cache)));
}

#[test]
fn a_directory_that_others_can_write_to_is_not_used() {
    let (_double, config, cache) = scene();
    cache.ask(&config, Some(JOHN));
    fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(cache.store().is_err());
    assert_eq!(lines(&cache.ask(&config, Some(JOHN))).len(), 1, "works without");
    let link = cache.path().join("link");
    symlink(cache.path(), &link).unwrap();
    assert!(Store::open(&link, own()).is_err(), "a link");
}

#[test]
fn what_is_not_needed_any_more_goes() {
    let (double, config, cache) = scene();
    cache.ask(&config, Some(JOHN));
    let old = SystemTime::now() - Duration::from_secs(120);
    let before = document(&cache);
    fs::File::open(&before).unwrap().set_modified(old).unwrap();
    let killed = cache.path().join("tmp-1");
    fs::write(&killed, b"half").unwrap();
    fs::File::open(&killed).unwrap().set_modified(old).unwrap();
    let at_work = cache.path().join("tmp-2");
    fs::write(&at_work, b"half").unwrap();
    double.put_object(
        BUCKET,
        "users/john/authorized_keys",
        line("john", JOHN) + "# new\n" + &line("john", crate::scene::MARY),
    );
    cache.age(31);
    cache.ask(&config, Some(JOHN));
    assert!(!before.exists() && !killed.exists() && at_work.exists(), "{:?}", cache.files());
    assert_ne!(document(&cache), before);
}

/// Two processes that both ask, because one did not get the lock: what the one learnt, the other does not undo.
#[test]
fn who_writes_last_undoes_nothing() {
    let (double, config, cache) = scene();
    cache.ask(&config, Some(JOHN));
    cache.age(31);
    let mut slow = cache.copies(&config);
    double.remove_object(BUCKET, "users/john/authorized_keys");
    assert!(cache.ask(&config, Some(JOHN)).found.is_empty());
    slow.give_up(&[Ask::Document("users/mary".parse().unwrap())], "it was slow");
    slow.save(None, Instant::now() + Duration::from_secs(60));
    double.fault(Match::any(), Fault::CloseConnection);
    cache.age(31);
    let answer = cache.ask(&config, Some(JOHN));
    assert!(answer.found.is_empty(), "the withdrawn copy is back: {:?}", log(&answer));
}

#[test]
fn who_writes_while_another_does_loses_nothing() {
    let (_double, _config, cache) = scene();
    let store = cache.store().unwrap();
    let mut rounds = 0;
    let written = store.update("sum", Sync::Disk, Duration::from_secs(5), |present| {
        rounds += 1;
        if rounds == 1 {
            // Somebody else, between this one's reading and writing.
            store.write("sum", seal("theirs").as_bytes(), Sync::Disk).unwrap();
        }
        let present = present.map(|sealed| unseal(sealed).unwrap().to_owned()).unwrap_or_default();
        Some(seal(&(present + "ours")))
    });
    assert!(written.is_ok() && rounds == 2, "{written:?}");
    assert_eq!(unseal(&store.sealed("sum").unwrap()), Some("theirsours"));
    assert!(cache.files().iter().all(|file| !file.to_string_lossy().contains("tmp-")), "{:?}", cache.files());
}

#[test]
fn an_answer_is_as_old_as_its_question() {
    let (_double, config, cache) = scene();
    let (early, john) = (Moment::now(), "users/john".parse::<Principal>().unwrap());
    let document = Object::Content { bytes: line("john", JOHN).into_bytes(), etag: None };
    let save = |arrived: Result<Object, FetchError>, asked: &Moment| {
        let mut copies = cache.copies(&config);
        copies.record(Arrival::Document(john.clone(), arrived), asked);
        copies.save(None, Instant::now() + Duration::from_secs(60));
    };
    wait_until_after(&early);
    save(Err(FetchError::Missing("gone".into())), &Moment::now());
    // It was asked for first, took its time, and shows what was there then.
    save(Ok(document), &early);
    assert!(cache.ask(&config, Some(JOHN)).found.is_empty(), "a slow answer undid a withdrawal");
}

/// Moments have milliseconds.
fn wait_until_after(moment: &Moment) {
    while Moment::now() == *moment {
        std::thread::yield_now();
    }
}

#[test]
fn a_document_that_cannot_be_kept_takes_the_one_before_with_it() {
    let (double, config, cache) = scene();
    cache.ask(&config, Some(JOHN));
    cache.age(31);
    double.put_object(BUCKET, "users/john/authorized_keys", "");
    let mut copies = cache.copies(&config);
    let emptied = Object::Content { bytes: Vec::new(), etag: None };
    copies.record(Arrival::Document("users/john".parse().unwrap(), Ok(emptied)), &Moment::now());
    // The time for writing is over before it begins.
    copies.save(None, Instant::now());
    double.fault(Match::any(), Fault::CloseConnection);
    assert!(cache.ask(&config, Some(JOHN)).found.is_empty(), "the withdrawn copy counts");
}

/// What is to come after a withdrawal may never come to its end: the process that writes may be killed.
#[test]
fn a_withdrawal_does_not_wait_for_the_rest() {
    let gone = || Err(FetchError::Missing("gone".into()));
    let changed = || Ok(Object::Content { bytes: b"# nobody".to_vec(), etag: None });
    let denied = || Err(FetchError::Denied("no".into()));
    for arrived in [&gone as &dyn Fn() -> Result<Object, FetchError>, &changed, &denied] {
        let (double, config, cache) = scene();
        cache.ask(&config, Some(JOHN));
        cache.age(31);
        let mut copies = cache.copies(&config);
        copies.record(Arrival::Document("users/john".parse().unwrap(), arrived()), &Moment::now());
        assert!(copies.learnt(None).unwrap().withdraw(&cache.store().unwrap()).is_none());
        double.fault(Match::any(), Fault::CloseConnection);
        assert!(cache.ask(&config, Some(JOHN)).found.is_empty());
    }
}

/// A failure withdraws nothing, nor does a document that is the same.
#[test]
fn nothing_is_withdrawn_without_an_answer_that_says_so() {
    let same = || Ok(Object::Content { bytes: line("john", JOHN).into_bytes(), etag: None });
    let failed = || Err(FetchError::Transient("no answer".into()));
    for arrived in [&same as &dyn Fn() -> Result<Object, FetchError>, &failed] {
        let (_double, config, cache) = scene();
        cache.ask(&config, Some(JOHN));
        let before = fs::read(cache.path().join(STATE)).unwrap();
        let mut copies = cache.copies(&config);
        copies.record(Arrival::Document("users/john".parse().unwrap(), arrived()), &Moment::now());
        assert!(copies.learnt(None).unwrap().withdraw(&cache.store().unwrap()).is_none());
        assert_eq!(fs::read(cache.path().join(STATE)).unwrap(), before);
    }
}

#[test]
fn what_is_handed_on_arrives_whole_or_not_at_all() {
    let (_double, config, cache) = scene();
    let mut copies = cache.copies(&config);
    let two = Object::Content { bytes: (line("john", JOHN) + &line("john", crate::scene::MARY)).into(), etag: None };
    copies.record(Arrival::Document("users/john".parse().unwrap(), Ok(two)), &Moment::now());
    let mut sent = Vec::new();
    copies.learnt(None).unwrap().send(&mut sent).unwrap();
    for cut in [0, 1, sent.len() / 2, sent.len() - 1] {
        assert!(Learnt::receive(&sent[..cut]).is_err(), "cut at {cut}");
    }
    let said = Learnt::receive(sent.as_slice()).unwrap().save(
        &cache.store().unwrap(),
        Instant::now() + Duration::from_secs(60),
        || {},
    );
    assert!(said.is_empty(), "{said:?}");
    let answer = cache.ask(&config, None);
    assert_eq!((lines(&answer).len(), answer.found[0].source), (2, Source::Cache));
    assert!(cache.copies(&config).learnt(None).is_none(), "nothing learnt, nothing written");
}

/// Nobody can write to a file that is a directory: like a full disk, for whoever runs the tests.
#[test]
fn what_cannot_be_kept_is_said_and_answered_all_the_same() {
    let (double, config, cache) = scene();
    fs::create_dir(cache.path().join(STATE)).unwrap();
    for _ in 0..2 {
        let answer = cache.ask(&config, Some(JOHN));
        assert_eq!(lines(&answer).len(), 1);
        assert!(log(&answer).iter().any(|l| l.contains("cannot write to the cache")), "{:?}", log(&answer));
    }
    assert_eq!(double.count(&Match::action("GetObject")), 2);
}

#[test]
fn a_lock_is_held_by_one_and_waited_for_as_long_as_told() {
    let (_double, _config, cache) = scene();
    let store = cache.store().unwrap();
    let held = store.lock(Duration::ZERO).unwrap();
    let started = Instant::now();
    assert_eq!(store.lock(Duration::from_millis(200)).unwrap_err(), NoLock::Busy);
    assert!(started.elapsed() >= Duration::from_millis(200));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.lock(Duration::from_secs(20)).is_ok());
        drop(held);
        assert!(waiting.join().unwrap());
    });
    fs::remove_file(cache.path().join("lock")).unwrap();
    fs::create_dir(cache.path().join("lock")).unwrap();
    assert_eq!(store.lock(Duration::from_secs(20)).unwrap_err(), NoLock::Unavailable);
}
