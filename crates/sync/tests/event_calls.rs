//! Every call of a run about one event fails in turn, in every way: its message comes again, and then everything is right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;

use common::cloudtrail::{again, batch, event, schedule};
use common::judge::{all, between, each, faults, in_sync};
use common::runtime::{Function, Runtime};
use common::story::Published;
use common::{against, documents, key};
use iam_ssh_doubles::{Directory, Fault};
use serde_json::{Value, json};

/// How many functions run at the same time.
const AT_ONCE: usize = 4;

/// What happened, and the events that tell of it.
type Story = (fn(&mut Directory), Value);

fn stories() -> [Story; 4] {
    [
        (
            |iam| {
                iam.add_key("ann", "APKA0B", &key(10), "Active");
            },
            event("UploadSSHPublicKey", &json!({ "userName": "ann" })),
        ),
        (
            |iam| {
                iam.set_key_status("bob", "APKA1B", "Inactive");
            },
            event(
                "UpdateSSHPublicKey",
                &json!({ "userName": "bob", "sSHPublicKeyId": "APKA1B", "status": "Inactive" }),
            ),
        ),
        (
            |iam| {
                iam.rename_user("dan", "dora");
            },
            event("UpdateUser", &json!({ "userName": "dan", "newUserName": "dora" })),
        ),
        (
            |iam| {
                iam.remove_user("cid");
            },
            event("DeleteUser", &json!({ "userName": "cid" })),
        ),
    ]
}

#[test]
fn every_call_of_an_event_run_fails_in_turn_and_the_message_comes_again() {
    let published = Published::new();
    let made = |change: fn(&mut Directory)| {
        let (double, before) = published.again();
        double.iam(change);
        let mut settings = against(&double.url());
        settings.env("LEASE_SECONDS", "1").env("LEASE_WAIT", "10").env("METRICS", "none");
        let runtime = Runtime::start();
        let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &settings, &runtime);
        (double, before, runtime, function)
    };
    for (change, told) in stories() {
        let calls = {
            let (double, _, runtime, _function) = made(change);
            assert_eq!(runtime.invoke(&batch(&[("one", 1, &told)])).response(), again(&[]));
            in_sync(&double, &told.to_string());
            double.count(&all())
        };
        let cases = (0..calls).flat_map(|call| faults().map(move |fault| (call, fault)));
        each(cases, AT_ONCE, |(call, fault)| {
            let (double, before, runtime, _function) = made(change);
            double.fault(all().skip(call).times(1), fault.clone());
            let answer = runtime.invoke(&batch(&[("one", 1, &told)])).response();
            let when = format!("call {call} of {calls}, {fault:?}, {}: {answer}", told["detail"]["eventName"]);
            double.clear_faults();
            if answer == again(&[]) && matches!(fault, Fault::CutBody(_)) && documents(&double) == before {
                // A memory that came in part is no memory, and without one only a run about everything can tell what is right.
                runtime.invoke(&schedule()).response();
                in_sync(&double, &when);
            } else if answer == again(&[]) {
                in_sync(&double, &when);
            } else {
                assert_eq!(answer, again(&["one"]), "{when}");
                between(&before, &double, &when);
                assert_eq!(runtime.invoke(&batch(&[("one", 2, &told)])).response(), again(&[]), "{when}");
                in_sync(&double, &when);
            }
        });
    }
}
