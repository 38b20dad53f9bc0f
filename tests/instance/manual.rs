//! The reference of the settings against the real parser, the real defaults and the shipped file: none of them may know
//! a setting, or a default, that the others do not.

use iam_ssh::config::reference::{Kind, SETTINGS, Setting};
use iam_ssh::config::{Config, ConfigError};
use std::collections::BTreeSet;

const USER: &str = "ec2-user";

/// The table's header and the setting, as a file.
fn file(setting: &Setting, value: &str) -> String {
    let (table, key) = setting.table_and_key();
    let header = if table.is_empty() { String::new() } else { format!("[{}]\n", table.replace("<user>", USER)) };
    format!("{header}{key} = {value}\n")
}

fn read(text: &str) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    config.layer("reference", text).map(|()| config)
}

#[test]
fn every_default_is_the_program_s_and_every_example_has_an_effect() {
    for setting in SETTINGS {
        let with = |value: &str| read(&file(setting, value)).unwrap_or_else(|e| panic!("{}: {e}", setting.path));
        // A login's table alone says that the login is ours.
        let mut nothing = Config::default();
        if setting.path.starts_with("login.") {
            nothing.layer("reference", &format!("[login.{USER}]\n")).unwrap();
        }
        if let Some(default) = setting.default {
            assert_eq!(with(default), nothing, "{} = {default} is not the default", setting.path);
        }
        assert_ne!(with(setting.example), nothing, "{} = {} has no effect", setting.path, setting.example);
    }
}

#[test]
fn every_setting_is_of_the_kind_that_is_said() {
    for setting in SETTINGS {
        let accepts = |value: &str| read(&file(setting, value)).is_ok();
        let (good, bad): (Vec<String>, &str) = match setting.kind {
            Kind::Text(_) => (vec![setting.example.to_owned()], "true"),
            Kind::Choice(of) => (of.iter().map(|value| format!("\"{value}\"")).collect(), "\"another\""),
            Kind::Boolean => (vec!["true".to_owned(), "false".to_owned()], "\"true\""),
            Kind::Duration => (vec!["\"7s\"".to_owned(), "\"1m\"".to_owned()], "\"7\""),
            Kind::Principals => (vec!["[\"users/a\", \"groups/b\"]".to_owned()], "\"users/a\""),
        };
        for value in good {
            assert!(accepts(&value), "{} = {value}", setting.path);
        }
        assert!(!accepts(bad), "{} = {bad}", setting.path);
    }
}

/// What the parser would have accepted in `table` instead of an unknown key, by its own words.
fn known_to_the_parser(table: &str) -> Vec<String> {
    let header = if table.is_empty() { String::new() } else { format!("[{}]\n", table.replace("<user>", USER)) };
    let said = read(&format!("{header}no_such_key = 1\n")).expect_err(table).to_string();
    let (_, expected) = said.split_once("`, expected ").unwrap_or_else(|| panic!("{said}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_reference_and_the_parser_know_the_same_keys() {
    let mut known = BTreeSet::new();
    for name in known_to_the_parser("") {
        let table = if name == "login" { "login.<user>".to_owned() } else { name.clone() };
        let header = table.replace("<user>", USER);
        // Whether it is a table, the parser says as well.
        if read(&format!("[{header}]\n")).is_ok() {
            known.extend(known_to_the_parser(&table).into_iter().map(|key| format!("{table}.{key}")));
        } else {
            known.insert(name);
        }
    }
    let listed: Vec<String> = SETTINGS.iter().map(|setting| setting.path.to_owned()).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(listed.len(), known.len(), "a key is listed twice");
}

#[test]
fn the_shipped_file_mentions_every_key_with_its_default() {
    let shipped = crate::scene::shipped_configuration();
    let mut table = String::new();
    let mut mentioned = Vec::new();
    for line in shipped.lines().filter_map(|line| line.strip_prefix("# ")) {
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = header.replace(USER, "<user>");
        } else if let Some((key, value)) = line.split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
            let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
            let setting = SETTINGS.iter().find(|s| s.path == path).unwrap_or_else(|| panic!("{path}: not listed"));
            // An empty list would show nobody how it is written.
            let default = setting.default.filter(|_| setting.kind != Kind::Principals).unwrap_or(setting.example);
            let comment = value.strip_prefix(default).unwrap_or_else(|| panic!("{path}: {value}, not {default}"));
            assert!(comment.is_empty() || comment.trim_start().starts_with("# "), "{path}: {value}");
            mentioned.push(setting.path);
        }
    }
    assert_eq!(mentioned, SETTINGS.iter().map(|setting| setting.path).collect::<Vec<_>>(), "and in this order");
}
