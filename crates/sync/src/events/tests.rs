//! What each payload asks for. The documents are what the services send, cut to what is read; full ones are in `tests/events.rs`.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn iam(name: &str, parameters: Value) -> Value {
    let mut event = json!({
        "version": "0", "source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "account": "111122223333",
        "region": "us-east-1", "detail": { "eventSource": "iam.amazonaws.com", "eventName": name }
    });
    event["detail"]["requestParameters"] = parameters;
    event
}

fn record(id: &str, receives: u32, event: &Value) -> Value {
    let attributes = json!({ "ApproximateReceiveCount": receives.to_string() });
    json!({ "messageId": id, "body": event.to_string(), "attributes": attributes, "eventSource": "aws:sqs" })
}

fn user(name: &str) -> Value {
    json!({ "userName": name })
}

fn changes(event: &Event) -> &[Change] {
    match &event.invocation {
        Invocation::Changes(changes) => changes,
        other => panic!("{other:?}"),
    }
}

/// Names, keys, policies.
fn users(event: &Event) -> Vec<(Vec<&str>, bool, bool)> {
    let users = changes(event).iter().filter_map(|change| match &change.what {
        What::User { names, keys, policies, .. } => {
            Some((names.iter().map(String::as_str).collect(), *keys, *policies))
        }
        What::Groups => None,
    });
    users.collect()
}

fn ids(change: &Change) -> Vec<&str> {
    change.messages.iter().map(|message| message.id.as_str()).collect()
}

#[test]
fn a_schedule_and_anything_unknown_is_a_full_run() {
    let schedule = json!({ "version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
    let s3 = json!({ "Records": [{ "eventSource": "aws:s3" }] });
    for payload in [
        schedule,
        s3,
        json!({}),
        json!(null),
        json!("x"),
        json!([1]),
        json!({ "Records": [] }),
        json!({ "dry_run": false }),
    ] {
        let event = Event::parse(&payload);
        assert_eq!((event.invocation, event.queue), (Invocation::full(), false), "{payload}");
    }
}

#[test]
fn a_plan_is_confirmed_only_by_what_can_be_its_id() {
    let asked = |payload: Value| Event::parse(&payload).invocation;
    let id = "0123456789abcdef";
    assert_eq!(asked(json!({ "confirm": id })), Invocation::Full { dry_run: false, confirm: Some(id.to_owned()) });
    assert_eq!(
        asked(json!({ "confirm": id, "dry_run": true })),
        Invocation::Full { dry_run: true, confirm: Some(id.to_owned()) }
    );
    assert_eq!(asked(json!({ "dry_run": true })), Invocation::Full { dry_run: true, confirm: None });
    for bad in [json!("0123456789ABCDEF"), json!("0123"), json!(1), json!(null), json!("0123456789abcdef\n")] {
        assert!(matches!(asked(json!({ "confirm": bad })), Invocation::Bad(_)), "{bad}");
    }
    assert!(matches!(asked(json!({ "dry_run": "yes" })), Invocation::Bad(_)));
    let queued = Event::parse(&json!({ "Records": [record("m", 1, &json!({ "confirm": id }))] }));
    assert!(changes(&queued).is_empty() && queued.messages.is_empty() && queued.ignored.len() == 1, "{queued:?}");
}

#[test]
fn each_event_says_what_is_to_be_read() {
    let read = |name: &str| {
        users(&Event::parse(&iam(name, user("ann")))).into_iter().map(|(_, keys, policies)| (keys, policies)).next()
    };
    for name in
        ["UploadSSHPublicKey", "UpdateSSHPublicKey", "DeleteSSHPublicKey", "AddUserToGroup", "RemoveUserFromGroup"]
    {
        assert_eq!(read(name), Some((true, false)), "{name}");
    }
    for name in ["CreateUser", "DeleteUser", "UpdateUser", "TagUser", "UntagUser"] {
        assert_eq!(read(name), Some((true, false)), "{name}");
    }
    for name in ["AttachUserPolicy", "DetachUserPolicy", "PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary"]
    {
        assert_eq!(read(name), Some((false, false)), "{name}");
    }
    for name in ["PutUserPolicy", "DeleteUserPolicy"] {
        assert_eq!(read(name), Some((false, true)), "{name}");
    }
    let groups = ["CreateGroup", "DeleteGroup", "UpdateGroup"];
    for name in groups.iter().chain(&[
        "AttachGroupPolicy",
        "DetachGroupPolicy",
        "PutGroupPolicy",
        "DeleteGroupPolicy",
        "CreatePolicyVersion",
    ]) {
        let event = Event::parse(&iam(name, json!({ "groupName": "ops" })));
        assert!(matches!(changes(&event), [Change { what: What::Groups, .. }]), "{name}");
    }
}

#[test]
fn what_says_nothing_is_ignored_and_told() {
    let mut failed = iam("UploadSSHPublicKey", user("ann"));
    failed["detail"]["errorCode"] = "AccessDenied".into();
    let mut account = iam("UploadSSHPublicKey", user("ann"));
    account["account"] = "1/../2".into();
    let cases = [
        (failed, "the call failed with AccessDenied"),
        (account, "no account number"),
        (iam("CreateAccessKey", user("ann")), "nothing about who may log in"),
        (iam("UploadSSHPublicKey", user("../ann\n")), "a character that IAM names cannot have"),
        (iam("UploadSSHPublicKey", user(&"a".repeat(129))), "129 bytes long"),
        (iam("UploadSSHPublicKey", json!({})), "no userName"),
        (iam("UploadSSHPublicKey", json!(null)), "no userName"),
        (iam("\u{1b}[2J", json!({})), "IAM event \\x1b[2J"),
    ];
    for (event, why) in cases {
        let parsed = Event::parse(&event);
        assert!(changes(&parsed).is_empty() && parsed.ignored.len() == 1, "{event}");
        assert!(parsed.ignored[0].contains(why) && parsed.ignored[0].is_ascii(), "{parsed:?}");
        let queued = Event::parse(&json!({ "Records": [record("m-1", 1, &event)] }));
        assert!(queued.ignored[0].starts_with("message m-1: ") && queued.messages.is_empty(), "{queued:?}");
    }
}

#[test]
fn events_about_one_user_become_one_change() {
    let mut other = iam("TagUser", user("ann"));
    other["account"] = "999900001111".into();
    let records = [
        record("m1", 1, &iam("PutUserPolicy", user("ann"))),
        record("m2", 1, &iam("CreateGroup", json!({ "groupName": "ops" }))),
        record("m3", 2, &iam("UploadSSHPublicKey", user("eve"))),
        record("m4", 1, &iam("AttachUserPolicy", user("Ann"))),
        record("m5", 1, &other),
        record("m6", 1, &iam("UpdateUser", json!({ "userName": "ANN", "newUserName": "Eve" }))),
        record("m7", 1, &iam("DeleteGroup", json!({ "groupName": "dev" }))),
    ];
    let event = Event::parse(&json!({ "Records": records }));
    assert_eq!((event.queue, event.messages.len()), (true, 7));
    assert_eq!(users(&event), [(vec!["ann"], true, false), (vec!["ann", "eve"], true, true)]);
    let changes = changes(&event);
    assert_eq!(changes.iter().map(|change| ids(change).join(" ")).collect::<Vec<_>>(), ["m5", "m1 m4 m3 m6", "m2 m7"]);
    assert_eq!(changes[1].messages[2], Message { id: "m3".to_owned(), receives: 2 });
}

#[test]
fn more_than_25_users_are_a_full_run() {
    let batch = |users: usize| {
        let records =
            (0..users).map(|number| record(&number.to_string(), 1, &iam("TagUser", user(&format!("u{number}")))));
        Event::parse(&json!({ "Records": records.collect::<Vec<_>>() }))
    };
    assert_eq!(changes(&batch(25)).len(), 25);
    let full = batch(26);
    assert_eq!((full.invocation, full.messages.len(), full.queue), (Invocation::full(), 26, true));
}

#[test]
fn a_message_that_cannot_be_named_is_not_asked_for_again() {
    let event = iam("TagUser", user("ann"));
    let mut bare = record("m", 1, &event);
    bare["attributes"] = json!({});
    let parsed = Event::parse(&json!({ "Records": [record("a\nb", 1, &event), bare] }));
    assert_eq!(parsed.messages, [Message { id: "m".to_owned(), receives: u32::MAX }]);
    assert_eq!(users(&parsed).len(), 1);
}

/// Anything at all, made of the names that are looked for.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
        proptest::sample::select(vec!["aws.iam", "aws:sqs", "AWS API Call via CloudTrail", "TagUser"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = proptest::sample::select(vec![
            "Records",
            "eventSource",
            "messageId",
            "body",
            "attributes",
            "source",
            "detail-type",
            "account",
            "detail",
            "eventName",
            "requestParameters",
            "userName",
            "confirm",
            "dry_run",
        ]);
        let object = proptest::collection::btree_map(key.prop_map(str::to_owned), inner.clone(), 0..5);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            object.prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_payload_breaks_it(payload in any_value()) {
        let event = Event::parse(&payload);
        prop_assert!(event.ignored.iter().all(|text| text.is_ascii() && !text.contains('\n')));
    }

    /// Whatever comes in whatever order: nobody who is named is forgotten, and no user is looked at twice.
    #[test]
    fn nobody_is_forgotten(renames in proptest::collection::vec((0u8..12, 0u8..12, any::<bool>()), 0..20)) {
        let name = |number: u8, upper: bool| if upper { format!("U{number}") } else { format!("u{number}") };
        let records: Vec<Value> = renames.iter().enumerate().map(|(index, (old, new, upper))| {
            let parameters = json!({ "userName": name(*old, *upper), "newUserName": name(*new, !upper) });
            record(&format!("m{index}"), 1, &iam("UpdateUser", parameters))
        }).collect();
        let event = Event::parse(&json!({ "Records": records }));
        if records.is_empty() {
            return Ok(());
        }
        let users = users(&event);
        let named: Vec<String> = users.iter().flat_map(|(names, ..)| names).map(|name| name.to_lowercase()).collect();
        let distinct: BTreeSet<&String> = named.iter().collect();
        prop_assert_eq!(distinct.len(), named.len());
        for (old, new, _) in &renames {
            let (old, new) = (name(*old, false), name(*new, false));
            let holds = |names: &[&str], wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
            prop_assert!(users.iter().any(|(names, ..)| holds(names, &old) && holds(names, &new)));
        }
        let asked: BTreeSet<&str> = changes(&event).iter().flat_map(ids).collect();
        prop_assert_eq!(asked.len(), renames.len());
    }
}
