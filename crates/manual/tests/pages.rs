//! The pages: nothing of the tables is missing or unreadable in them, and mandoc has nothing to say against them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh::config::reference::SETTINGS;
use iam_ssh::program::commands::{COMMANDS, EXIT_CODES, GLOBAL, Opt};
use std::fs;
use std::process::Command;

const PAGES: [&str; 3] = ["iam-ssh.1", "iam-ssh.toml.5", "iam-ssh.8"];

fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    iam_ssh_manual::write(&folder.path().join("made")).unwrap();
    folder
}

/// What `mandoc` prints about or for a page.
fn mandoc(page: &str, args: &[&str]) -> String {
    let folder = written();
    let output = Command::new("mandoc").args(args).arg(folder.path().join("made").join(page)).output().expect("mandoc");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// The page as it is read, without bold and underlined letters.
fn shown(page: &str) -> String {
    let mut text: Vec<char> = Vec::new();
    for c in mandoc(page, &["-T", "ascii"]).chars() {
        if c == '\u{8}' {
            text.pop();
        } else {
            text.push(c);
        }
    }
    text.into_iter().collect()
}

/// Letters, digits and what the texts are about; line breaks, quotation marks and markup do not count.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !"`'\"<>".contains(*c)).collect()
}

fn assert_has(page: &str, shown: &str, text: &str) {
    assert!(letters(shown).contains(&letters(text)), "{page} lacks: {text}\n{shown}");
}

#[test]
fn mandoc_finds_nothing_wrong() {
    for page in PAGES {
        assert_eq!(mandoc(page, &["-T", "lint", "-W", "warning"]), "", "{page}");
    }
}

#[test]
fn every_command_option_and_exit_code_is_in_its_page() {
    let page = shown("iam-ssh.1");
    let (synopsis, _) = page.split_once("DESCRIPTION").unwrap();
    for command in COMMANDS {
        let written = |option: &Opt| format!(" [{}]{}", option.usage(), if option.repeats { "..." } else { "" });
        let options: String = command.options.iter().map(written).collect();
        let call = format!("{}{options}", command.name);
        // A long one has several lines.
        let words: Vec<&str> = synopsis.split_whitespace().collect();
        assert!(words.join(" ").contains(&format!("iam-ssh {call} iam-ssh ")), "{call}\n{synopsis}");
        // One with many options has them below, and a short name has its text beside it.
        let explained =
            if command.options.len() > 2 { format!("     {} ", command.name) } else { format!("     {call}\n") };
        assert!(page.contains(&explained), "{call} is explained\n{page}");
        for text in command.text.iter().chain(command.options.iter().flat_map(|option| option.text)) {
            assert_has("iam-ssh.1", &page, text);
        }
    }
    for (option, _) in GLOBAL {
        let written = format!("{}, -{}", option.usage(), option.short.unwrap());
        assert!(page.contains(&format!("     {written}\n")), "{written}\n{page}");
    }
    let (_, codes) = page.split_once("EXIT STATUS").unwrap();
    for code in EXIT_CODES {
        assert_has("iam-ssh.1", codes, &format!("{}{}", code.number, code.text.concat()));
    }
}

#[test]
fn every_setting_is_in_its_page_with_its_default() {
    let page = shown("iam-ssh.toml.5");
    for setting in SETTINGS {
        let (table, key) = setting.table_and_key();
        let (_, after) = page.split_once(&format!("\n     {key} = ")).unwrap_or_else(|| panic!("{key}\n{page}"));
        assert_has("iam-ssh.toml.5", after, &format!("{}. {}", setting.summary, setting.text.concat()));
        match setting.default {
            Some("[]") => assert_has("iam-ssh.toml.5", after, "Default: none."),
            Some("\"\"") => assert_has("iam-ssh.toml.5", after, "Default: empty."),
            Some(default) => assert_has("iam-ssh.toml.5", after, &format!("Default: {default}.")),
            None => assert!(setting.text.concat().contains("Default: "), "{key}: what holds where it is not set?"),
        }
        assert!(table.is_empty() || letters(&page).contains(&letters(&format!("[{table}]"))), "[{table}]\n{page}");
    }
}

#[test]
fn the_same_source_gives_the_same_pages() {
    let (one, two) = (written(), written());
    let mut names: Vec<_> = fs::read_dir(one.path().join("made")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["_iam-ssh", "iam-ssh.1", "iam-ssh.8", "iam-ssh.bash", "iam-ssh.fish", "iam-ssh.toml.5"]);
    for name in names {
        let read = |folder: &tempfile::TempDir| fs::read_to_string(folder.path().join("made").join(&name)).unwrap();
        assert_eq!(read(&one), read(&two));
        assert!(!read(&one).lines().any(|line| line.starts_with('@')), "a directive is left in {name:?}");
    }
}
