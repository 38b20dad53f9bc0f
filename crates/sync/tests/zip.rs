//! The zip that is uploaded to Lambda: what is in it, and that it serves a schedule's and an IAM event.
//!
//! `IAM_SSH_LAMBDA_ZIP` names the zip that was built, as `make test` does; without it one is made here of the unoptimised program, so that
//! the way in is tested all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::cloudtrail::{again, batch, event, schedule};
use common::runtime::{Function, Runtime};
use common::{ED25519, RSA, against, document, double, line};
use serde_json::json;

/// Makes a zip as tests/rig/build does: one program, of a fixed time.
const MAKE: &str = "import sys, zipfile
info = zipfile.ZipInfo('bootstrap', (2000, 1, 1, 0, 0, 0))
info.external_attr = 0o100755 << 16
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as made:
    made.writestr(info, open(sys.argv[2], 'rb').read(), compresslevel=1)";
/// Unpacks a zip with the modes in it, as Lambda does, and prints what is in it.
const UNPACK: &str = "import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as packed:
    for info in packed.infolist():
        os.chmod(packed.extract(info, sys.argv[2]), info.external_attr >> 16 & 0o777)
        print(info.filename)";

fn python(script: &str, arguments: [&Path; 2]) -> String {
    let ran = Command::new("python3").args(["-c", script]).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
#[allow(clippy::print_stderr, reason = "whoever runs the tests should know what was tested")]
fn the_zip_holds_one_bootstrap_that_serves_what_the_services_send() {
    let folder = tempfile::tempdir().unwrap();
    let zip = std::env::var_os("IAM_SSH_LAMBDA_ZIP").map(PathBuf::from).unwrap_or_else(|| {
        eprintln!("IAM_SSH_LAMBDA_ZIP is not set: not the zip that is uploaded is tested, but one made of the unoptimised program");
        let zip = folder.path().join("made.zip");
        python(MAKE, [&zip, Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync"))]);
        zip
    });
    let task = folder.path().join("task");
    assert_eq!(python(UNPACK, [&zip, &task]), "bootstrap\n");
    let bootstrap = task.join("bootstrap");
    assert_eq!(bootstrap.metadata().unwrap().permissions().mode() & 0o111, 0o111);

    let double = double();
    double.add_key("ann", "APKAEXAMPLEEXAMPLE01", ED25519, "Active");
    let api = Runtime::start();
    let _function = Function::start(&bootstrap, &against(&double.url()), &api);
    api.invoke(&schedule()).response();
    assert_eq!(document(&double, "users/ann").unwrap(), line("ann", ED25519));

    double.add_key("ann", "APKAEXAMPLEEXAMPLE02", RSA, "Active");
    let uploaded = event("UploadSSHPublicKey", &json!({ "userName": "ann", "sSHPublicKeyBody": RSA }));
    assert_eq!(api.invoke(&batch(&[("059f36b4-87a3-44ab-83d2-661975830a7d", 1, &uploaded)])).response(), again(&[]));
    let both = document(&double, "users/ann").unwrap();
    assert!(both.contains(&line("ann", ED25519)) && both.contains(&line("ann", RSA)), "{both}");
}
