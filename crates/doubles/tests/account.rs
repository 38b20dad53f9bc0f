//! Who and what an account holds, over the wire: identities, names, policies, and the operations about one user.
//!
//! What is asserted here must be what AWS does (IAM API reference), not what is convenient.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{details, iam, tags};
use iam_ssh_doubles::Double;

const DENY: &str = r#"{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}"#;
const ENCODED: &str = concat!(
    "%7B%22Statement%22%3A%20%5B%7B%22Effect%22%3A%20%22Deny%22%2C%20",
    "%22Action%22%3A%20%22%2A%22%2C%20%22Resource%22%3A%20%22%2A%22%7D%5D%7D"
);

#[test]
fn an_id_belongs_to_a_person_and_a_name_does_not() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_member("staff", "Ann").add_key("ann", "APKA1", "x", "Active");
    let shown = |name: &str| tags(&iam(&double, &format!("Action=GetUser&UserName={name}")).body, "UserId").pop();
    let first = double.user_id("ANN").unwrap();
    assert!(first.starts_with("AIDA") && first.len() == 21, "{first}");
    assert_eq!(shown("aNN").as_ref(), Some(&first), "names are compared ignoring case");
    double.rename_user("Ann", "Zoe").rename_group("staff", "Crew");
    assert_eq!((shown("zoe").as_ref(), shown("ann")), (Some(&first), None));
    let page = details(&double, "");
    assert_eq!(tags(&page, "UserName"), ["Zoe"]);
    assert_eq!(tags(&page, "GroupList"), ["<member>Crew</member>"]);
    assert_eq!(tags(&iam(&double, "Action=GetGroup&GroupName=crew").body, "UserName"), ["Zoe"]);
    assert_eq!(tags(&iam(&double, "Action=ListSSHPublicKeys&UserName=Zoe").body, "SSHPublicKeyId"), ["APKA1"]);
    double.remove_user("zoe").add_user("Zoe");
    let second = double.user_id("zoe").unwrap();
    assert_ne!(second, first);
    assert!(tags(&iam(&double, "Action=GetGroup&GroupName=crew").body, "UserName").is_empty());
    double.add_user("other").rename_user("other", "ZOE");
    assert_eq!(double.iam(|directory| directory.users()), ["other", "Zoe"], "a taken name stays with its owner");
    double.rename_user("Zoe", "zoe");
    assert_eq!(double.iam(|directory| directory.users()), ["other", "zoe"], "its case can be changed");
}

#[test]
fn a_user_is_told_with_path_tags_and_boundary() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.set_account("111122223333").set_user_path("nobody", "/x/").add_user("ann").set_user_path("ann", "/staff/");
    double
        .tag_user("ann", "Team", "a")
        .tag_user("ann", "team", "b")
        .tag_user("ann", "gone", "")
        .untag_user("ann", "GONE");
    let boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    double.set_boundary("ann", Some(boundary));
    for answer in [iam(&double, "Action=GetUser&UserName=ann").body, details(&double, "")] {
        assert_eq!(tags(&answer, "Path"), ["/staff/"]);
        assert_eq!(tags(&answer, "Arn"), ["arn:aws:iam::111122223333:user/staff/ann"]);
        assert_eq!(tags(&answer, "PermissionsBoundaryArn"), [boundary]);
        assert_eq!(tags(&answer, "Tags"), ["<member><Key>team</Key><Value>b</Value></member>"]);
    }
    assert_eq!(tags(&iam(&double, "Action=ListUserTags&UserName=ann").body, "Key"), ["team"]);
    assert!(!iam(&double, "Action=ListUsers").body.contains("Boundary"), "ListUsers leaves both out");
    double.set_boundary("ann", None);
    assert!(!details(&double, "").contains("Boundary"));
    assert_eq!(iam(&double, "Action=GetUser").status, 400, "the caller is no user");
    assert_eq!(iam(&double, "Action=GetUser&UserName=nobody").status, 404);
}

#[test]
fn policies_of_users_groups_and_the_account_are_encoded() {
    let double = Double::start("127.0.0.1:0").unwrap();
    let quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3";
    double.put_user_policy("ann", "no", DENY).attach_user_policy("ann", quarantine).add_member("g", "ann");
    double.put_group_policy("g", "also-no", "{}").attach_group_policy("g", "arn:aws:iam::123456789012:policy/Local");
    double.put_policy("Local", "{}").put_policy("local", DENY);
    let page = details(&double, "");
    assert_eq!(
        tags(&page, "UserPolicyList")[0],
        format!("<member><PolicyName>no</PolicyName><PolicyDocument>{ENCODED}</PolicyDocument></member>")
    );
    assert!(tags(&page, "GroupPolicyList")[0].contains("<PolicyDocument>%7B%7D</PolicyDocument>"));
    assert_eq!(tags(&page, "PolicyArn"), [quarantine, "arn:aws:iam::123456789012:policy/Local"]);
    assert!(
        tags(&page, "AttachedManagedPolicies")[0].contains("<PolicyName>AWSCompromisedKeyQuarantineV3</PolicyName>")
    );
    let policies = tags(&page, "Policies").pop().unwrap();
    assert_eq!(
        (tags(&policies, "PolicyName"), tags(&policies, "DefaultVersionId")),
        (vec!["Local".into()], vec!["v2".into()])
    );
    assert_eq!(tags(&policies, "Document"), [ENCODED, "%7B%7D"]);
    assert_eq!(tags(&policies, "IsDefaultVersion"), ["true", "false"]);
    double.set_policy_version("Local", "v1").set_policy_version("Local", "v9");
    assert_eq!(tags(&details(&double, ""), "IsDefaultVersion"), ["false", "true"]);
    let only = |filter: &str| details(&double, &format!("&Filter.member.1={filter}"));
    assert_eq!((tags(&only("LocalManagedPolicy"), "Arn").len(), tags(&only("User"), "Arn").len()), (1, 1));
    assert!(!only("AWSManagedPolicy").contains("<Arn>") && !only("Role").contains("<Arn>"));
    assert_eq!(iam(&double, "Action=GetAccountAuthorizationDetails&Filter.member.1=Users").status, 400);
    let about = |action: &str| iam(&double, &format!("Action={action}&UserName=ann&PolicyName=no")).body;
    assert_eq!(tags(&about("ListUserPolicies"), "PolicyNames"), ["<member>no</member>"]);
    assert_eq!(tags(&about("GetUserPolicy"), "PolicyDocument"), [ENCODED]);
    assert_eq!(tags(&about("ListAttachedUserPolicies"), "PolicyArn"), [quarantine]);
    double.delete_user_policy("ann", "no").detach_user_policy("ann", quarantine);
    double.delete_group_policy("g", "also-no").detach_group_policy("g", "arn:aws:iam::123456789012:policy/Local");
    double.remove_policy("LOCAL").delete_user_policy("nobody", "no");
    assert!(!details(&double, "").contains("Policy>") && double.user_id("nobody").is_none());
    assert_eq!(iam(&double, "Action=GetUserPolicy&UserName=ann&PolicyName=no").status, 404);
}

#[test]
fn the_groups_of_a_user_page_like_everything_else() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_member("Beta", "ann").add_member("alpha", "ann").add_member("gamma", "ann").add_member("other", "bob");
    let first = iam(&double, "Action=ListGroupsForUser&UserName=ann&MaxItems=2").body;
    assert_eq!(tags(&first, "GroupName"), ["alpha", "Beta"]);
    let marker = &tags(&first, "Marker")[0];
    let second = iam(&double, &format!("Action=ListGroupsForUser&UserName=ann&MaxItems=2&Marker={marker}")).body;
    assert_eq!(
        (tags(&second, "GroupName"), tags(&second, "IsTruncated")),
        (vec!["gamma".into()], vec!["false".into()])
    );
    assert!(tags(&second, "GroupId")[0].starts_with("AGPA"));
    double.remove_group("GAMMA").remove_member("beta", "Ann");
    assert_eq!(tags(&iam(&double, "Action=ListGroupsForUser&UserName=ann").body, "GroupName"), ["alpha"]);
    assert_eq!(iam(&double, "Action=ListGroupsForUser&UserName=nobody").status, 404);
}
