//! What a run counts, as a line of CloudWatch's embedded metric format: CloudWatch makes metrics of it where the log arrives.
//!
//! It must never count what a run does not know: a run that failed says nothing about how many users there are.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// The counts of one run for one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// How long the run took.
    pub duration: Duration,
    /// How many IAM calls were sent.
    pub iam_calls: u64,
    /// How many of them were answered with a throttle.
    pub throttled: u64,
    /// How many documents were written or deleted.
    pub changes: u64,
    /// How many lines stay published only because the shrink was refused. A run that does not know leaves what the last one said.
    pub refused: Option<u64>,
    /// Whether the run failed. Only a complete one can say that it did not.
    pub failed: Option<bool>,
    /// Whether reading goes on in the next run.
    pub incomplete: bool,
    /// How many users were left out because they count as deactivated.
    pub excluded: Option<u64>,
    /// How many keys and names could not be published.
    pub skipped: Option<u64>,
    /// How many objects below the prefixes are not ours.
    pub foreign: Option<u64>,
    /// How long ago the last complete run ended.
    pub heartbeat_age: Option<Duration>,
    /// How many users are published.
    pub users: Option<u64>,
    /// How many usable keys they have.
    pub keys: Option<u64>,
}

impl Metrics {
    /// One line of embedded metric format (CloudWatch user guide, "Specification: Embedded metric format"), without the line break.
    ///
    /// Each metric is there for the bucket and account, and for the bucket alone: an alarm on that sees every account.
    ///
    /// `now_ms`: milliseconds since 1970. `bucket` and `account` must not be empty, which CloudWatch would refuse.
    #[must_use]
    pub fn emf(&self, namespace: &str, bucket: &str, account: &str, now_ms: u64) -> String {
        let count = |value: u64| Some(("Count", json!(value)));
        let values = [
            ("Duration", Some(("Milliseconds", json!(milliseconds(self.duration))))),
            ("IamCalls", count(self.iam_calls)),
            ("Throttled", count(self.throttled)),
            ("Changes", count(self.changes)),
            ("Refused", self.refused.and_then(count)),
            ("Failed", self.failed.and_then(|failed| count(failed.into()))),
            ("Incomplete", count(self.incomplete.into())),
            ("Excluded", self.excluded.and_then(count)),
            ("Skipped", self.skipped.and_then(count)),
            ("Foreign", self.foreign.and_then(count)),
            ("HeartbeatAge", self.heartbeat_age.map(|age| ("Seconds", json!(age.as_secs())))),
            ("Users", self.users.and_then(count)),
            ("Keys", self.keys.and_then(count)),
        ];
        let known =
            || values.iter().filter_map(|(name, value)| value.as_ref().map(|(unit, value)| (*name, *unit, value)));
        let definitions: Vec<Value> = known().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        let dimensions = json!([["Bucket", "Account"], ["Bucket"]]);
        let directive = json!({ "Namespace": namespace, "Dimensions": dimensions, "Metrics": definitions });
        let mut root = Map::new();
        root.insert("_aws".to_owned(), json!({ "Timestamp": now_ms, "CloudWatchMetrics": [directive] }));
        root.insert("Bucket".to_owned(), bucket.into());
        root.insert("Account".to_owned(), account.into());
        root.extend(known().map(|(name, _, value)| (name.to_owned(), value.clone())));
        Value::Object(root).to_string()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether CloudWatch takes this as a namespace: 1 to 255 of `A-Z a-z 0-9 . - _ / # :` (CloudWatch API reference, `MetricDatum`,
/// `Namespace`), and not one of AWS's own.
#[must_use]
pub fn is_namespace(text: &str) -> bool {
    let characters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte));
    (1..=255).contains(&text.len()) && characters && !text.starts_with(':') && !text.starts_with("AWS/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The constraints of the published JSON schema of the format, written as checks.
    fn assert_conforms(line: &str) {
        assert!(!line.contains('\n') && line.len() < 256 * 1024, "{line}");
        let root: Value = serde_json::from_str(line).unwrap();
        let aws = root["_aws"].as_object().unwrap();
        assert!(aws.keys().all(|key| ["Timestamp", "CloudWatchMetrics"].contains(&key.as_str())), "{aws:?}");
        assert!(aws["Timestamp"].is_u64(), "{aws:?}");
        let directives = aws["CloudWatchMetrics"].as_array().unwrap();
        assert!(!directives.is_empty());
        for directive in directives {
            let keys: Vec<&String> = directive.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["Dimensions", "Metrics", "Namespace"]);
            assert!((1..=1024).contains(&directive["Namespace"].as_str().unwrap().len()));
            let sets = directive["Dimensions"].as_array().unwrap();
            assert!(!sets.is_empty());
            for set in sets {
                let names = set.as_array().unwrap();
                assert!((1..=30).contains(&names.len()));
                for name in names.iter().map(|name| name.as_str().unwrap()) {
                    assert!((1..=250).contains(&name.len()));
                    let value = root[name].as_str().unwrap();
                    assert!(
                        (1..=1024).contains(&value.len()) && value.is_ascii() && !value.trim().is_empty(),
                        "{value}"
                    );
                }
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                assert!(metric.as_object().unwrap().keys().all(|key| ["Name", "Unit"].contains(&key.as_str())));
                let (name, unit) = (metric["Name"].as_str().unwrap(), metric["Unit"].as_str().unwrap());
                assert!(
                    (1..=1024).contains(&name.len()) && ["Count", "Milliseconds", "Seconds"].contains(&unit),
                    "{metric}"
                );
                assert!(root[name].is_number(), "{name}");
            }
        }
    }

    #[test]
    fn everything_known_is_told() {
        let one = Some(1);
        let metrics = Metrics {
            duration: Duration::from_millis(1500),
            iam_calls: 15_006,
            refused: one,
            failed: Some(true),
            heartbeat_age: Some(Duration::from_secs(90)),
            excluded: one,
            skipped: one,
            foreign: one,
            users: Some(5000),
            keys: Some(10_000),
            ..Metrics::default()
        };
        let line = metrics.emf("iam-ssh", "keys", "123456789012", 1_793_413_327_123);
        assert_conforms(&line);
        let root: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(root["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len(), 13);
        let told = ["Duration", "IamCalls", "Failed", "Incomplete", "HeartbeatAge", "Users", "Keys"]
            .map(|name| root[name].clone());
        assert_eq!(told, [1500, 15_006, 1, 0, 90, 5000, 10_000].map(Value::from));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let line = Metrics { failed: Some(true), ..Metrics::default() }.emf("iam-ssh", "keys", "123456789012", 1);
        assert_conforms(&line);
        for name in ["Refused", "HeartbeatAge", "Users", "Keys", "Excluded", "Skipped", "Foreign"] {
            assert!(!line.contains(name), "{line}");
        }
    }

    #[test]
    fn namespaces_are_those_that_cloudwatch_takes() {
        assert!(is_namespace("iam-ssh") && is_namespace("Company/iam_ssh#1"));
        for bad in ["", "AWS/Lambda", ":a", "a b", "a\n", "ä", &"x".repeat(256)] {
            assert!(!is_namespace(bad), "{bad:?}");
        }
    }
}
