//! STS over the wire, and accounts: what AssumeRole gives leads to that account's IAM and no other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{Answer, iam, send, tags};
use iam_ssh_doubles::{Double, Match, Service};

const OTHER: &str = "222222222222";

fn signed(double: &Double, key: &str, form: &str) -> Answer {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0"
    );
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", scope.as_str())];
    send(double, "POST", "/", &headers, form.as_bytes())
}

fn assume(double: &Double, account: &str, more: &str) -> Answer {
    let form = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=sync&RoleArn=arn%3Aaws%3Aiam%3A%3A";
    signed(double, "AKIADOUBLE", &format!("{form}{account}%3Arole%2Fpath%2Fsync{more}"))
}

#[test]
fn an_assumed_role_reaches_its_account_and_no_other() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_user("here").with_account(OTHER, |directory| {
        directory.add_user("there");
    });
    let answer = assume(&double, OTHER, "");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let key = tags(&answer.body, "AccessKeyId").pop().unwrap();
    assert!(key.len() == 20 && key.starts_with("ASIA"), "{key}");
    assert_eq!(tags(&answer.body, "Arn"), ["arn:aws:sts::222222222222:assumed-role/sync/sync"]);
    assert!(tags(&answer.body, "Expiration")[0].ends_with('Z'));
    let users = |key: &str| tags(&signed(&double, key, "Action=ListUsers").body, "Arn");
    assert_eq!(users(&key), ["arn:aws:iam::222222222222:user/there"]);
    assert_eq!(users("AKIADOUBLE"), ["arn:aws:iam::123456789012:user/here"]);
    let who = |key: &str| tags(&signed(&double, key, "Action=GetCallerIdentity&Version=2011-06-15").body, "Account");
    assert_eq!((who(&key), who("AKIADOUBLE")), (vec![OTHER.to_owned()], vec!["123456789012".to_owned()]));
    let log = double.requests();
    assert_eq!((log[0].service, log[0].resource.as_str()), (Service::Sts, "arn:aws:iam::222222222222:role/path/sync"));
    assert_eq!((log[0].account.as_str(), log[1].account.as_str()), ("123456789012", OTHER));
    assert_eq!(double.count(&Match::service(Service::Sts)), 3);
    assert_eq!(signed(&double, "ASIA333333333333ROLE", "Action=ListUsers").status, 403, "no such account");
}

#[test]
fn a_role_is_refused_to_whom_its_account_does_not_trust() {
    let double = Double::start("127.0.0.1:0").unwrap();
    let code = |answer: Answer| (answer.status, tags(&answer.body, "Code").pop().unwrap_or_default());
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(code(assume(&double, OTHER, "")), denied, "an account that nobody made");
    double.with_account(OTHER, |directory| {
        directory.set_external_id(Some("secret"));
    });
    assert_eq!(code(assume(&double, OTHER, "")), denied);
    assert_eq!(code(assume(&double, OTHER, "&ExternalId=guess")), denied);
    assert_eq!(assume(&double, OTHER, "&ExternalId=secret").status, 200);
    assert_eq!(assume(&double, "123456789012", "&DurationSeconds=900").status, 200, "the home account");
    assert_eq!(assume(&double, "123456789012", "&DurationSeconds=60").status, 400);
    assert_eq!(assume(&double, "12", "").status, 400);
    let short = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=s&RoleArn=arn:aws:iam::123456789012:role/x";
    assert_eq!(iam(&double, short).status, 400);
    let nameless = iam(&double, "Action=AssumeRole&Version=2011-06-15&RoleArn=x");
    assert!(nameless.body.contains("xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\""), "{}", nameless.body);
    assert_eq!(code(nameless), (400, "ValidationError".to_owned()));
}
