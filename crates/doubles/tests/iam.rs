//! IAM over the wire: paging that is honest, and AWS's error documents.
//!
//! What is asserted here must be what AWS does (IAM API reference), not what is convenient.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{iam, tags};
use iam_ssh_doubles::Double;

#[test]
fn lists_are_truncated_and_continue_at_the_marker() {
    let double = Double::start("127.0.0.1:0").unwrap();
    for number in 0..7 {
        double.add_user(&format!("u{number}"));
    }
    double.page_cap(3);
    let (mut names, mut marker, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let page = iam(&double, &format!("Action=ListUsers&Version=2010-05-08&MaxItems=1000{marker}"));
        assert_eq!(page.status, 200);
        let found = tags(&page.body, "UserName");
        sizes.push(found.len());
        names.extend(found);
        match tags(&page.body, "IsTruncated")[0].as_str() {
            "true" => marker = format!("&Marker={}", tags(&page.body, "Marker")[0]),
            _ => break,
        }
    }
    assert_eq!(names, ["u0", "u1", "u2", "u3", "u4", "u5", "u6"]);
    assert_eq!(sizes, [3, 3, 1]);
    let one = iam(&double, "Action=ListUsers&MaxItems=1");
    assert_eq!(tags(&one.body, "UserName").len(), 1, "a smaller MaxItems is honoured");
    assert_eq!(iam(&double, "Action=ListUsers&MaxItems=0").status, 400);
    assert_eq!(iam(&double, "Action=ListUsers&Marker=mine").status, 400);
}

#[test]
fn authorization_details_page_through_users_and_then_groups() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_member("admins", "ann").add_user("bob").add_group("empty").tag_user("ann", "team", "a&b").page_cap(2);
    let call = "Action=GetAccountAuthorizationDetails&Filter.member.1=User&Filter.member.2=Group";
    let first = iam(&double, call).body;
    assert_eq!(tags(&first, "UserName"), ["ann", "bob"]);
    assert_eq!(tags(&first, "GroupList")[0], "<member>admins</member>");
    assert!(first.contains("<Key>team</Key><Value>a&amp;b</Value>"));
    let second = iam(&double, &format!("{call}&Marker={}", tags(&first, "Marker")[0])).body;
    assert_eq!(tags(&second, "GroupName"), ["admins", "empty"]);
    assert_eq!(tags(&second, "IsTruncated"), ["false"]);
    let only_groups = iam(&double, "Action=GetAccountAuthorizationDetails&Filter.member.1=Group").body;
    assert!(tags(&only_groups, "UserName").is_empty());
    assert_eq!(tags(&iam(&double, "Action=GetGroup&GroupName=admins").body, "UserName"), ["ann"]);
    assert_eq!(tags(&iam(&double, "Action=ListGroups").body, "GroupName"), ["admins", "empty"]);
}

#[test]
fn keys_have_any_status_and_are_gone_with_their_user() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_key("j+k@x", "APKA1", "ssh-ed25519 AAAA j", "Active").add_key("j+k@x", "APKA2", "x", "Weird");
    let list = iam(&double, "Action=ListSSHPublicKeys&UserName=j%2Bk%40x").body;
    assert_eq!(tags(&list, "SSHPublicKeyId"), ["APKA1", "APKA2"]);
    assert_eq!(tags(&list, "Status"), ["Active", "Weird"]);
    assert!(!list.contains("SSHPublicKeyBody"), "a list has no bodies");
    assert_eq!(tags(&list, "UploadDate"), ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]);
    double.set_key_date("j+k@x", "APKA1", Some("2025-06-30T12:00:00Z")).set_key_date("j+k@x", "APKA2", None);
    let list = iam(&double, "Action=ListSSHPublicKeys&UserName=j%2Bk%40x").body;
    assert_eq!(tags(&list, "UploadDate"), ["2025-06-30T12:00:00Z"]);
    let get = "Action=GetSSHPublicKey&UserName=j%2Bk%40x&SSHPublicKeyId=APKA1&Encoding=";
    assert_eq!(tags(&iam(&double, &format!("{get}SSH")).body, "SSHPublicKeyBody"), ["ssh-ed25519 AAAA j"]);
    assert_eq!(iam(&double, &format!("{get}PEM")).status, 400);
    double.remove_user("j+k@x");
    let gone = iam(&double, &format!("{get}SSH"));
    assert_eq!((gone.status, tags(&gone.body, "Code")), (404, vec!["NoSuchEntity".to_owned()]));
    assert_eq!(iam(&double, "Action=DeleteUser&UserName=x").status, 400, "unknown actions are refused");
}
