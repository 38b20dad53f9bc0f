//! What is remembered from one lookup to the next, and when it is believed: the CONTRACT's failure table with a cache.

use crate::scene::{Answer, BUCKET, Cache, JOHN, MARY, aws, config, line, lines, log, printed};
use iam_ssh::audit::Source;
use iam_ssh::config::Config;
use iam_ssh_doubles::{Double, Fault, Match, Service};

/// John in a user's document, Mary in a group's.
fn two() -> (Double, Config, Cache) {
    let double = aws();
    double.put_object(BUCKET, "users/john/authorized_keys", line("john", JOHN));
    double.put_object(BUCKET, "groups/b/authorized_keys", line("mary", MARY));
    let config = config(&double, "[lookup]\ndeadline = \"1s\"", "principals = [\"users/john\", \"groups/b\"]");
    (double, config, Cache::new())
}

fn source(answer: &Answer) -> Option<Source> {
    answer.found.first().map(|found| found.source)
}

#[test]
fn a_fresh_copy_is_answered_without_a_request() {
    let (double, config, cache) = two();
    assert_eq!(source(&cache.ask(&config, Some(MARY))), Some(Source::S3));
    let asked = double.requests().len();
    for key in [JOHN, MARY] {
        let answer = cache.ask(&config, Some(key));
        assert_eq!((source(&answer), lines(&answer).len()), (Some(Source::Cache), 1), "{:?}", log(&answer));
    }
    assert_eq!(lines(&cache.ask(&config, None)).len(), 2);
    assert_eq!(double.requests().len(), asked);
}

#[test]
fn an_older_copy_is_confirmed_by_one_conditional_request_each_and_none_to_the_metadata_service() {
    let (double, config, cache) = two();
    cache.ask(&config, Some(MARY));
    cache.age(31);
    double.clear_requests();
    assert_eq!(source(&cache.ask(&config, Some(MARY))), Some(Source::S3));
    let requests = double.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests.iter().all(|r| r.service == Service::S3 && r.conditional), "{requests:?}");
    assert_eq!(source(&cache.ask(&config, Some(MARY))), Some(Source::Cache), "confirmed");
    assert_eq!(double.requests().len(), 2);
}

#[test]
fn a_withdrawn_key_is_gone_with_the_next_request() {
    let (double, config, cache) = two();
    cache.ask(&config, None);
    double.put_object(BUCKET, "users/john/authorized_keys", "");
    assert_eq!(lines(&cache.ask(&config, Some(JOHN))).len(), 1, "fresh");
    cache.age(31);
    assert!(cache.ask(&config, Some(JOHN)).found.is_empty());
    double.fault(Match::any(), Fault::CloseConnection);
    cache.age(31);
    assert!(cache.ask(&config, Some(JOHN)).found.is_empty(), "no older copy is dug out");
}

#[test]
fn an_answer_that_says_no_takes_the_copy_with_it() {
    for fault in [Fault::Status(404, "NoSuchKey".into()), Fault::Status(403, "AccessDenied".into())] {
        let (double, config, cache) = two();
        cache.ask(&config, None);
        cache.age(31);
        double.fault(Match::action("GetObject").on("users/john/authorized_keys"), fault.clone());
        assert!(cache.ask(&config, Some(JOHN)).found.is_empty(), "{fault:?}");
        // Later AWS answers nothing at all: what was said holds, whether fresh, resting or stale.
        double.fault(Match::any(), Fault::CloseConnection);
        for seconds in [1, 6, 31, 3600] {
            cache.age(seconds);
            assert!(cache.ask(&config, Some(JOHN)).found.is_empty(), "{fault:?} {seconds}");
        }
        let answer = cache.ask(&config, Some(MARY));
        assert_eq!(source(&answer), Some(Source::Stale), "{fault:?}: the other is untouched: {:?}", log(&answer));
    }
}

#[test]
fn what_does_not_exist_is_not_asked_for_again_so_soon() {
    let (double, config, cache) = two();
    double.remove_object(BUCKET, "users/john/authorized_keys");
    cache.ask(&config, Some(JOHN));
    let asked = double.requests().len();
    assert!(cache.ask(&config, Some(JOHN)).found.is_empty());
    assert_eq!(double.requests().len(), asked);
    double.put_object(BUCKET, "users/john/authorized_keys", line("john", JOHN));
    cache.age(31);
    assert_eq!(lines(&cache.ask(&config, Some(JOHN))).len(), 1);
}

#[test]
fn no_answer_leaves_the_copy_for_as_long_as_configured() {
    for fault in [Fault::Throttle, Fault::Hang, Fault::CloseConnection, Fault::Status(403, "ExpiredToken".into())] {
        let (double, config, cache) = two();
        cache.ask(&config, None);
        cache.age(3600);
        double.fault(Match::action("GetObject"), fault.clone());
        let answer = cache.ask(&config, Some(JOHN));
        assert_eq!(source(&answer), Some(Source::Stale), "{fault:?}: {:?}", log(&answer));
        assert!(log(&answer).iter().any(|l| l.starts_with("Warning: ")), "{fault:?}: {:?}", log(&answer));
        let asked = double.requests().len();
        assert_eq!(source(&cache.ask(&config, Some(MARY))), Some(Source::Stale), "{fault:?}: not asked again so soon");
        assert_eq!(double.requests().len(), asked, "{fault:?}");
        cache.age(83_000);
        assert!(cache.ask(&config, Some(JOHN)).found.is_empty(), "{fault:?}: too old");
    }
}

#[test]
fn a_refused_login_says_why_it_was_not_asked_again() {
    let (double, config, cache) = two();
    double.fault(Match::action("GetObject"), Fault::Throttle);
    assert!(cache.ask(&config, Some(JOHN)).found.is_empty());
    let said = log(&cache.ask(&config, Some(JOHN))).join("\n");
    assert!(
        said.contains("users/john: not asked again so soon after this: s3://") && said.contains("SlowDown"),
        "{said}"
    );
    cache.age(6);
    double.clear_faults();
    assert_eq!(lines(&cache.ask(&config, Some(JOHN))).len(), 1);
}

#[test]
fn lists_of_principals_are_remembered_and_lost_in_the_same_way() {
    let (double, mut config, cache) = two();
    let login = config.logins.get_mut("ec2-user").unwrap();
    login.principals.clear();
    login.parameter = Some("/IAM/{role}/principals".to_owned());
    login.tag = Some("who".to_owned());
    double.put_parameter("/IAM/web/principals", "users/john");
    double.set_tag("who", "groups/b");
    assert_eq!(lines(&cache.ask(&config, None)).len(), 2);
    let asked = double.requests().len();
    assert_eq!(lines(&cache.ask(&config, None)).len(), 2);
    assert_eq!(double.requests().len(), asked);
    cache.age(31);
    double.fault(Match::any(), Fault::CloseConnection);
    assert_eq!(source(&cache.ask(&config, Some(MARY))), Some(Source::Stale));
    double.clear_faults();
    double.remove_parameter("/IAM/web/principals").set_tag("who", "users/nobody");
    cache.age(31);
    for key in [JOHN, MARY] {
        let answer = cache.ask(&config, Some(key));
        assert!(answer.found.is_empty(), "{:?}", log(&answer));
    }
}

#[test]
fn credentials_live_in_the_cache_until_they_are_refused_or_end() {
    let (double, config, cache) = two();
    cache.ask(&config, None);
    double.clear_requests();
    cache.age(31);
    cache.ask(&config, None);
    assert_eq!(double.count(&Match::service(Service::Imds)), 0);
    // Whoever is refused asks with today's credentials before the refusal is believed.
    double
        .set_session_token("of today")
        .fault(Match::action("GetObject").times(2), Fault::Status(403, "AccessDenied".into()));
    cache.age(31);
    assert_eq!(lines(&cache.ask(&config, None)).len(), 2);
    assert_eq!(double.count(&Match::service(Service::Imds)), 3);
    cache.age(31);
    cache.ask(&config, None);
    assert_eq!(double.count(&Match::service(Service::Imds)), 3, "the new ones are kept");
}

/// Whatever keeps a question from being asked is no answer to it.
#[test]
fn not_found_at_the_metadata_service_says_nothing_about_a_principal() {
    for path in ["meta-data/iam/security-credentials/web", "meta-data/placement/region"] {
        let (double, mut config, cache) = two();
        config.region = None;
        cache.ask(&config, None);
        cache.age(31);
        std::fs::remove_file(cache.path().join("instance")).unwrap();
        double.fault(Match::action("meta-data").on(path), Fault::Status(404, "Not Found".into()));
        let answer = cache.ask(&config, Some(JOHN));
        assert_eq!(source(&answer), Some(Source::Stale), "{path}: {:?}", log(&answer));
    }
}

#[test]
fn a_refusal_of_old_credentials_is_not_believed_while_there_are_no_new_ones() {
    let (double, config, cache) = two();
    cache.ask(&config, None);
    cache.age(31);
    double.fault(Match::action("GetObject"), Fault::Status(403, "AccessDenied".into()));
    double.fault(Match::service(Service::Imds), Fault::CloseConnection);
    let answer = cache.ask(&config, Some(JOHN));
    assert_eq!(source(&answer), Some(Source::Stale), "{:?}", log(&answer));
}

#[test]
fn another_role_s_list_is_not_asked_for_with_this_role_s_credentials() {
    let (double, mut config, cache) = two();
    let login = config.logins.get_mut("ec2-user").unwrap();
    login.principals.clear();
    login.parameter = Some("/IAM/{role}/principals".to_owned());
    double.put_parameter("/IAM/web/principals", "users/john").put_parameter("/IAM/db/principals", "groups/b");
    cache.ask(&config, None);
    cache.age(31);
    double.set_role(Some("db")).set_session_token("of the other role");
    double.fault(Match::service(Service::Ssm).times(1), Fault::Status(400, "ExpiredTokenException".into()));
    let answer = cache.ask(&config, None);
    assert_eq!(lines(&answer), [printed("mary", MARY)], "{:?}", log(&answer));
}

#[test]
fn who_is_named_by_an_old_list_is_answered_as_stale() {
    let (double, mut config, cache) = two();
    let login = config.logins.get_mut("ec2-user").unwrap();
    login.principals.clear();
    login.parameter = Some("/p".to_owned());
    double.put_parameter("/p", "users/john");
    cache.ask(&config, None);
    cache.age(31);
    double.fault(Match::service(Service::Ssm), Fault::Throttle);
    assert_eq!(source(&cache.ask(&config, Some(JOHN))), Some(Source::Stale));
}

#[test]
fn another_configuration_is_another_cache() {
    let (double, mut config, cache) = two();
    cache.ask(&config, None);
    config.bucket = Some("other-bucket".to_owned());
    double.add_bucket("other-bucket");
    let answer = cache.ask(&config, Some(JOHN));
    assert!(answer.found.is_empty(), "{:?}", log(&answer));
}
