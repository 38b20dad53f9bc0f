//! What a sync publishes: everything, only what is usable, only where it changed, and nothing else.
//!
//! The program runs as a process of its own against the double, through the real SDK.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{
    BUCKET, ED25519, RSA, WEAK_RSA, against, document, documents, double, finish, heartbeats, key, line, synced, writes,
};
use iam_ssh_core::Principal;
use iam_ssh_doubles::{Match, Service};

#[test]
fn a_thousand_users_and_hundreds_of_groups_sync_completely_and_then_stay() {
    let double = double();
    double.page_cap(100).list_cap(250);
    for number in 0..1001 {
        let user = format!("user{number:04}");
        double.add_key(&user, &format!("APKA{number}"), &key(number), "Active");
        double.add_member(&format!("group{:03}", number % 300), &user);
    }
    let first = synced(&double);
    assert_eq!(first.summary(), "1301 put, 0 deleted, 0 kept");
    let published = documents(&double);
    assert_eq!(published.len(), 1301, "1,001 users and 300 groups");
    for number in 0..1001 {
        let user = format!("user{number:04}");
        assert_eq!(document(&double, &format!("users/{user}")).unwrap(), line(&user, &key(number)));
    }
    let members = [7, 307, 607, 907].map(|number| line(&format!("user{number:04}"), &key(number)));
    assert_eq!(document(&double, "groups/group007").unwrap(), members.concat());
    assert_eq!(double.count(&Match::action("GetAccountAuthorizationDetails")), 14, "1,301 entries, 100 a page");
    assert_eq!(double.count(&Match::service(Service::Iam)), 14 + 1001 + 1001);

    double.clear_requests();
    let second = synced(&double);
    assert_eq!(second.summary(), "0 put, 0 deleted, 1301 kept");
    assert_eq!(writes(&double), [""; 0]);
    let reads = double.requests();
    let mut reads =
        reads.iter().filter(|request| request.action == "GetObject" && !request.resource.contains("iam-ssh/"));
    assert!(reads.next().is_none(), "the list's ETags are enough");
    assert_eq!(double.count(&Match::service(Service::Iam)), 14 + 1001, "bodies are remembered");
    assert_eq!(documents(&double), published);
}

#[test]
fn only_active_keys_are_published_and_a_deactivated_one_goes() {
    let double = double();
    double.add_key("john", "APKA2", ED25519, "Active").add_key("john", "APKA1", RSA, "Active");
    for (id, status) in [("APKA3", "Inactive"), ("APKA4", "Expired"), ("APKA5", "active"), ("APKA6", "Quarantined")] {
        double.add_key("john", id, &key(id.len()), status);
    }
    double.add_member("admins", "john");
    let first = synced(&double);
    let both = line("john", RSA) + &line("john", ED25519);
    assert_eq!(document(&double, "users/john").unwrap(), both, "in the order of the keys' ids");
    assert_eq!(document(&double, "groups/admins").unwrap(), both);
    assert!(first.out.contains("put users/john (+2 -0)\nput groups/admins (+2 -0)\n"), "{}", first.out);
    double.set_key_status("john", "APKA1", "Inactive");
    let second = synced(&double);
    assert!(second.out.contains("put users/john (+0 -1)\n"), "{}", second.out);
    assert_eq!(document(&double, "users/john").unwrap(), line("john", ED25519));
    assert_eq!(document(&double, "groups/admins").unwrap(), line("john", ED25519));
    double.set_key_status("john", "APKA2", "Inactive");
    synced(&double);
    assert_eq!(document(&double, "users/john").unwrap(), "", "a user without keys has an empty document");
}

#[test]
fn vanished_principals_are_deleted_after_everything_is_written() {
    let double = double();
    double.add_key("ann", "APKA1", &key(1), "Active").add_member("old", "ann").add_member("staff", "zoe");
    synced(&double);
    double.remove_user("zoe").remove_group("old").add_key("ann", "APKA2", &key(2), "Active").add_user("new");
    double.add_member("staff", "ann").clear_requests();
    let ran = synced(&double);
    assert_eq!(ran.summary(), "3 put, 2 deleted, 0 kept");
    assert!(ran.out.contains("delete users/zoe\ndelete groups/old\n"), "{}", ran.out);
    let actions: Vec<String> =
        writes(&double).iter().map(|write| write.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(actions, ["PutObject", "PutObject", "PutObject", "DeleteObject", "DeleteObject"]);
    let requests = double.requests();
    let all: Vec<&str> = requests.iter().filter(|r| r.is_write()).map(|r| r.resource.as_str()).collect();
    let (lease, state) = ("iam-ssh/lease.json", "iam-ssh/state.json");
    assert_eq!(all[..3], [lease, state, lease], "nothing before all is known and the lease is still held");
    assert_eq!(
        all[8..],
        [state, "iam-ssh/heartbeat.json", lease],
        "that it is done, the heartbeat after everything, then the lease is given back"
    );
    let left: Vec<String> = double.objects(BUCKET).into_keys().collect();
    let expected = [
        "groups/staff/authorized_keys",
        "iam-ssh/heartbeat.json",
        "iam-ssh/state.json",
        "users/ann/authorized_keys",
        "users/new/authorized_keys",
    ];
    assert_eq!(left, expected);
}

#[test]
fn foreign_objects_are_never_touched() {
    let double = double();
    let foreign = [
        "authorized_keys",
        "users/authorized_keys",
        "users//authorized_keys",
        "users/x/authorized_keys2",
        "users/x/y/authorized_keys",
        "users/../authorized_keys",
        "users/a b/authorized_keys",
        "users/\u{1}&<é/authorized_keys",
        "roles/x/authorized_keys",
        "groups/g/",
        "Users/x/authorized_keys",
        "iam-ssh/state.jsonx",
        "iam-ssh/users/x/authorized_keys",
        "p/users/x/authorized_keys",
    ];
    for key in foreign {
        double.put_object(BUCKET, key, "not ours");
    }
    double.put_object(BUCKET, "users/gone/authorized_keys", "ours").add_user("x");
    let ran = synced(&double);
    assert_eq!(ran.summary(), "1 put, 1 deleted, 0 kept");
    for key in foreign {
        assert_eq!(double.object(BUCKET, key).unwrap(), b"not ours", "{key}");
    }
    assert_eq!(double.objects(BUCKET).len(), foreign.len() + 3, "the document, the heartbeat and the memory");
    // Those that lie where documents do are told, whatever is in their names.
    let told: Vec<String> = ran.err.lines().map(str::to_owned).collect();
    let beside = foreign.iter().filter(|key| key.starts_with("users/") || key.starts_with("groups/"));
    let shown = |key: &&str| {
        let escaped = key.replace('\u{1}', "\\x01").replace('é', "\\xc3\\xa9");
        format!("warning: `{escaped}` is no document of ours and is left alone")
    };
    let mut expected: Vec<String> = beside.map(shown).collect();
    let mut sorted = told.clone();
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
    assert_eq!(synced(&double).err.lines().count(), told.len(), "every time");
}

#[test]
fn every_legal_character_survives_the_way_through_object_keys() {
    let double = double();
    let name = "a+b=c,d.e@f-g_H";
    double.add_key(name, "APKA1", ED25519, "Active").add_member("g+=,.@_-", name).add_group("+").add_user("%41");
    let ran = synced(&double);
    assert_eq!(ran.summary(), "3 put, 0 deleted, 0 kept");
    assert!(ran.err.contains("warning: user `%41` is not published"), "{}", ran.err);
    assert_eq!(document(&double, &format!("users/{name}")).unwrap(), line(name, ED25519));
    assert_eq!(document(&double, "groups/g+=,.@_-").unwrap(), line(name, ED25519));
    assert_eq!(synced(&double).summary(), "0 put, 0 deleted, 3 kept");
    double.remove_user(name).add_user("somebody");
    assert_eq!(synced(&double).summary(), "2 put, 1 deleted, 1 kept");
    assert_eq!(document(&double, &format!("users/{name}")), None);
}

#[test]
fn bad_keys_and_names_are_skipped_with_a_warning_and_the_rest_is_published() {
    let double = double();
    double.add_key("john", "APKA1", WEAK_RSA, "Active").add_key("john", "APKA2", "garbage\u{1}", "Active");
    double.add_key("john", "APKA3", &format!("  {ED25519} john's laptop\n"), "Active");
    double
        .add_key("john", "APKA4", "command=\"rm\" ssh-ed25519 AAAA", "Active")
        .add_key("john", "APKA5", ED25519, "Active");
    double.add_key("..", "APKA6", &key(1), "Active").add_member("g", "..").add_key("a/b", "APKA7", &key(2), "Active");
    double.add_group(".").add_member("g", "john");
    let ran = synced(&double);
    assert_eq!(document(&double, "users/john").unwrap(), line("john", ED25519), "no comment, no line twice");
    assert_eq!(document(&double, "groups/g").unwrap(), line("john", ED25519));
    assert_eq!(documents(&double).len(), 2, "john and g");
    assert_eq!(double.objects(BUCKET).len(), 4, "and the heartbeat and the memory");
    for (what, why) in [
        ("key `APKA1` of user `john`", "1024 bits"),
        ("key `APKA2` of user `john`", ""),
        ("key `APKA4` of user `john`", ""),
        ("user `..`", "`.` and `..`"),
        ("user `a/b`", ""),
        ("group `.`", ""),
    ] {
        let warned = ran.err.lines().any(|warning| {
            warning.starts_with(&format!("warning: {what} is not published: ")) && warning.contains(why)
        });
        assert!(warned, "{what}: {}", ran.err);
    }
    assert_eq!(ran.err.lines().count(), 6);
}

#[test]
fn what_the_seeds_lambda_wrote_is_kept_and_our_documents_are_read_back() {
    let double = double();
    double.add_key("john@example.org", "APKA1", RSA, "Active").add_member("Administrators", "john@example.org");
    double.add_key("ann", "APKA2", ED25519, "Active").add_member("Administrators", "ann");
    let seeds = format!("environment=\"SSH_KEY_OWNER=john@example.org\" {RSA} john@example.org\n");
    double.put_object(BUCKET, "users/john@example.org/authorized_keys", seeds.as_str());
    let ran = synced(&double);
    assert_eq!(ran.summary(), "2 put, 0 deleted, 1 kept");
    assert_eq!(document(&double, "users/john@example.org").unwrap(), seeds);
    let text = document(&double, "groups/Administrators").unwrap();
    let parsed = iam_ssh_core::document::parse(text.as_bytes());
    let owners: Vec<&str> = parsed.lines.iter().map(|line| line.owner().as_str()).collect();
    assert_eq!((owners, parsed.skipped.len()), (vec!["ann", "john@example.org"], 0));
}

#[test]
fn without_md5_etags_contents_are_compared() {
    let double = double();
    double.opaque_etags(BUCKET).add_key("ann", "APKA1", ED25519, "Active").add_group("g");
    assert_eq!(synced(&double).summary(), "2 put, 0 deleted, 0 kept");
    double.clear_requests();
    assert_eq!(synced(&double).summary(), "0 put, 0 deleted, 2 kept");
    let requests = double.requests();
    let read = requests.iter().filter(|r| r.action == "GetObject" && r.resource.ends_with("/authorized_keys")).count();
    assert_eq!((writes(&double).len(), read), (0, 2));
    double.set_key_status("ann", "APKA1", "Inactive");
    assert_eq!(synced(&double).summary(), "1 put, 0 deleted, 1 kept");
}

#[test]
fn prefix_owner_and_key_options_are_used_everywhere() {
    let double = double();
    double.set_bucket_owner(BUCKET, "123456789012").add_key("ann", "APKA1", ED25519, "Active");
    double.put_object(BUCKET, "team/a/users/old/authorized_keys", "x").put_object(
        BUCKET,
        "users/old/authorized_keys",
        "x",
    );
    let run = |double: &iam_ssh_doubles::Double| {
        let mut command = against(&double.url());
        command.args(["--s3-prefix", "team/a/", "--s3-bucket-owner", "123456789012"]);
        command.args(["--key-options", "restrict,pty,from=\"10.0.0.0/8\""]);
        finish(command)
    };
    let ran = run(&double);
    assert_eq!((ran.code, ran.summary()), (0, "1 put, 1 deleted, 0 kept"), "{ran:?}");
    let text = document(&double, "team/a/users/ann").unwrap();
    assert_eq!(text, format!("restrict,pty,from=\"10.0.0.0/8\",{}", line("ann", ED25519)));
    assert!(document(&double, "users/old").is_some(), "outside the prefix");
    assert!(double.object(BUCKET, "team/a/iam-ssh/heartbeat.json").is_some());
    let requests = double.requests();
    let s3: Vec<_> = requests.iter().filter(|request| request.service == Service::S3).collect();
    assert!(s3.len() >= 5 && s3.iter().all(|r| r.header("x-amz-expected-bucket-owner") == Some("123456789012")));
    assert_eq!(run(&double).summary(), "0 put, 0 deleted, 1 kept");
    assert_eq!(heartbeats(&double), 0, "only below the prefix");
    let principal = Principal::from_object_key("team/a/", "team/a/users/ann/authorized_keys").unwrap();
    assert_eq!(iam_ssh_core::document::parse_for(&principal, text.as_bytes()).lines.len(), 1);
}
