//! STS's query protocol: AssumeRole and GetCallerIdentity.
//!
//! The access key that AssumeRole gives out names the account, so that what is signed with it reaches that account's IAM. It must
//! refuse an account that the test did not make and a wrong external id with AccessDenied, as AWS does.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::accounts::Accounts;
use crate::incoming::Pairs;
use crate::reply::{Reply, STS_NAMESPACE, escape};
use crate::request::Service;

/// The API's version, by which its calls are told from IAM's.
pub(crate) const VERSION: &str = "2011-06-15";

/// The account that an access key of [`answer`] is for; `None` for every other key.
pub(crate) fn account_of(access_key: &str) -> Option<&str> {
    let account = access_key.strip_prefix("ASIA")?.strip_suffix("ROLE")?;
    is_account(account).then_some(account)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn refuse(status: u16, code: &str, message: &str) -> Reply {
    Reply::error(Service::Sts, status, code, message)
}

/// Answers one call; `caller` is the account that signed it.
pub(crate) fn answer(accounts: &Accounts, caller: &str, form: &Pairs) -> Reply {
    match form.get("Action").unwrap_or_default() {
        "AssumeRole" => assume_role(accounts, caller, form),
        "GetCallerIdentity" => Reply::result(
            STS_NAMESPACE,
            "GetCallerIdentity",
            &format!(
                "<Arn>arn:aws:sts::{caller}:assumed-role/double/double</Arn><UserId>AROADOUBLEDOUBLEDOUBL:double</UserId>\
                 <Account>{caller}</Account>"
            ),
        ),
        other => refuse(400, "InvalidAction", &format!("the double does not know {other}")),
    }
}

/// `arn:aws:iam::<account>:role/<name>`.
fn role(arn: &str) -> Option<(&str, &str)> {
    let (account, name) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    is_account(account).then_some((account, name.rsplit('/').next()?))
}

fn assume_role(accounts: &Accounts, caller: &str, form: &Pairs) -> Reply {
    let (Some(arn), Some(session)) = (form.get("RoleArn"), form.get("RoleSessionName")) else {
        return refuse(400, "ValidationError", "RoleArn and RoleSessionName are required");
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if !(2..=64).contains(&session.len()) || !session.bytes().all(legal) {
        return refuse(400, "ValidationError", "RoleSessionName must be 2 to 64 of [\\w+=,.@-]");
    }
    let Some((account, name)) = role(arn) else {
        return refuse(400, "ValidationError", &format!("{arn} is invalid"));
    };
    let seconds = form.get("DurationSeconds").map_or(Ok(3600), str::parse::<u64>);
    let Some(seconds) = seconds.ok().filter(|seconds| (900..=43_200).contains(seconds)) else {
        return refuse(400, "ValidationError", "DurationSeconds must be 900 to 43200");
    };
    let trusted = accounts
        .get(account)
        .is_some_and(|directory| directory.external_id().is_none_or(|wanted| form.get("ExternalId") == Some(wanted)));
    if !trusted {
        let denied = format!(
            "User: arn:aws:sts::{caller}:assumed-role/double/double is not authorized to perform: sts:AssumeRole on resource: {arn}"
        );
        return refuse(403, "AccessDenied", &denied);
    }
    let now = OffsetDateTime::now_utc();
    let expires = now.replace_nanosecond(0).unwrap_or(now) + Duration::from_secs(seconds);
    let name = escape(name);
    Reply::result(
        STS_NAMESPACE,
        "AssumeRole",
        &format!(
            "<AssumedRoleUser><Arn>arn:aws:sts::{account}:assumed-role/{name}/{session}</Arn>\
             <AssumedRoleId>AROADOUBLEDOUBLEDOUBL:{session}</AssumedRoleId></AssumedRoleUser>\
             <Credentials><AccessKeyId>ASIA{account}ROLE</AccessKeyId><SecretAccessKey>double</SecretAccessKey>\
             <SessionToken>double-session</SessionToken><Expiration>{}</Expiration></Credentials>",
            expires.format(&Rfc3339).unwrap_or_default()
        ),
    )
}
