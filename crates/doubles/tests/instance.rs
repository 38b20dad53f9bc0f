//! SSM and the metadata service over the wire.
//!
//! What is asserted here must be what EC2 does (user guide, `instancedata-data-retrieval`), not what is convenient.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::time::Duration;

use common::{Answer, send};
use iam_ssh_doubles::{Double, Match, Service};

const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "X-aws-ec2-metadata-token";

fn token(double: &Double, headers: &[(&str, &str)]) -> Answer {
    send(double, "PUT", "/latest/api/token", headers, b"")
}

fn read(double: &Double, path: &str) -> (u16, String) {
    let token = token(double, &[(TTL, "60")]).body;
    let answer = send(double, "GET", &format!("/latest/{path}"), &[(TOKEN, &token)], b"");
    (answer.status, answer.body)
}

#[test]
fn a_token_needs_a_lifetime_and_no_proxy() {
    let double = Double::start("127.0.0.1:0").unwrap();
    let good = token(&double, &[(TTL, "21600")]);
    assert_eq!((good.status, good.header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds").unwrap()), (200, "21600".to_owned()));
    for bad in ["0", "21601", "x", ""] {
        assert_eq!(token(&double, &[(TTL, bad)]).status, 400, "{bad}");
    }
    assert_eq!(token(&double, &[]).status, 400);
    assert_eq!(token(&double, &[(TTL, "60"), ("X-Forwarded-For", "10.0.0.1")]).status, 403);
}

#[test]
fn nothing_is_told_without_a_live_token() {
    let double = Double::start("127.0.0.1:0").unwrap();
    assert_eq!(common::get(&double, "/latest/meta-data/instance-id").status, 401);
    let live = token(&double, &[(TTL, "60")]).body;
    let ask = || send(&double, "GET", "/latest/meta-data/instance-id", &[(TOKEN, &live)], b"").status;
    assert_eq!(ask(), 200);
    double.expire_tokens();
    assert_eq!(ask(), 401);
    assert_eq!(double.count(&Match::service(Service::Imds)), 4);
}

#[test]
fn the_instance_tells_its_role_region_and_tags() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.set_role(Some("web")).set_region("eu-central-1");
    let credentials = "meta-data/iam/security-credentials/";
    assert_eq!(read(&double, credentials), (200, "web".to_owned()));
    assert_eq!(read(&double, "meta-data/iam/security-credentials/other").0, 404);
    let parsed: serde_json::Value = serde_json::from_str(&read(&double, &format!("{credentials}web")).1).unwrap();
    assert_eq!(parsed["Code"], "Success");
    assert!(parsed["Expiration"].as_str().unwrap() > parsed["LastUpdated"].as_str().unwrap());
    double.set_credentials_lifetime(Duration::ZERO);
    let parsed: serde_json::Value = serde_json::from_str(&read(&double, &format!("{credentials}web")).1).unwrap();
    assert_eq!(parsed["Expiration"], parsed["LastUpdated"]);
    assert_eq!(parsed["Token"], "double-session");
    double.set_session_token("another");
    assert!(read(&double, &format!("{credentials}web")).1.contains("\"Token\":\"another\""));
    double.set_role(None);
    assert_eq!(read(&double, credentials).0, 404);
    assert_eq!(read(&double, "meta-data/placement/region").1, "eu-central-1");
    assert!(read(&double, "dynamic/instance-identity/document").1.contains("\"accountId\":\"123456789012\""));
    assert_eq!(read(&double, "meta-data/tags/instance").0, 404, "tags are off by default");
    double.set_tag("iam-ssh-principals", "groups/A, users/b").set_tag("Name", "x");
    assert_eq!(read(&double, "meta-data/tags/instance").1, "Name\niam-ssh-principals");
    assert_eq!(read(&double, "meta-data/tags/instance/iam-ssh-principals").1, "groups/A, users/b");
    assert_eq!(read(&double, "meta-data/tags/instance/other").0, 404);
    double.tags_off();
    assert_eq!(read(&double, "meta-data/tags/instance/Name").0, 404);
}

#[test]
fn parameters_are_found_missing_or_denied() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.put_parameter("/IAM/web/principals", "groups/A\nusers/b").deny_parameter("/secret");
    let ask = |name: &str| {
        let body = format!("{{\"Name\":\"{name}\"}}");
        let answer = send(&double, "POST", "/", &[("X-Amz-Target", "AmazonSSM.GetParameter")], body.as_bytes());
        (answer.status, serde_json::from_str::<serde_json::Value>(&answer.body).unwrap())
    };
    let (status, found) = ask("/IAM/web/principals");
    assert_eq!((status, &found["Parameter"]["Value"]), (200, &"groups/A\nusers/b".into()));
    assert_eq!(ask("/none").1["__type"], "ParameterNotFound");
    assert_eq!((ask("/secret").0, &ask("/secret").1["__type"]), (400, &"AccessDeniedException".into()));
    assert_eq!(double.count(&Match::action("GetParameter").on("/none")), 1);
}
