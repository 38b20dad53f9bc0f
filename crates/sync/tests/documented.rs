//! `docs/sync.md` names every setting and every metric that there is, and no other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{bare, finish};
use iam_ssh_sync::metrics::Metrics;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sync.md");

/// What stands in backticks in the first column of the table below a line.
fn first_column(page: &str, heading: &str) -> BTreeSet<String> {
    let table = page.split_once(heading).expect("no such heading").1;
    let rows =
        table.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

#[test]
fn every_setting_is_documented() {
    let mut command = bare();
    command.arg("--help");
    let help = finish(command).out;
    let variables: BTreeSet<String> =
        help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap().trim().to_owned()).collect();
    assert!(variables.len() > 20, "{help}");
    let page = std::fs::read_to_string(PAGE).unwrap();
    assert_eq!(first_column(&page, "## Settings"), variables);
    for variable in variables {
        let flag = format!("--{}", variable.to_ascii_lowercase().replace('_', "-"));
        assert!(help.contains(&flag), "{flag}");
    }
}

#[test]
fn every_metric_is_documented() {
    let some = Some(1);
    let age = Some(Duration::ZERO);
    let metrics = Metrics {
        refused: some,
        failed: Some(false),
        excluded: some,
        skipped: some,
        foreign: some,
        users: some,
        keys: some,
        heartbeat_age: age,
        ..Metrics::default()
    };
    let line: serde_json::Value = serde_json::from_str(&metrics.emf("iam-ssh", "b", "own", 1)).unwrap();
    let told = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
    let told: BTreeSet<String> = told.iter().map(|metric| metric["Name"].as_str().unwrap().to_owned()).collect();
    let page = std::fs::read_to_string(PAGE).unwrap();
    assert_eq!(first_column(&page, "Metrics in CloudWatch"), told);
}
