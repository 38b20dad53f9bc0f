//! What is accepted, what a wrong word is answered with, and the look of the short help.

use super::*;
use std::process::ExitCode;

fn call(line: &str) -> Result<Call, String> {
    parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

#[test]
fn every_command_and_option_is_accepted() {
    for (line, expected) in [
        ("wire", Call::Wire { dry_run: false }),
        ("wire --dry-run", Call::Wire { dry_run: true }),
        ("unwire", Call::Unwire { dry_run: false }),
        ("unwire --dry-run", Call::Unwire { dry_run: true }),
        ("refresh", Call::Refresh { enforce: false }),
        ("refresh --enforce", Call::Refresh { enforce: true }),
        ("log", Call::Log(Query::default())),
        ("who", Call::Who { json: false }),
        ("who --json", Call::Who { json: true }),
        ("log --active --json", Call::Log(Query { active: true, json: true, ..Query::default() })),
        (
            "log --owner a --login b --since 1h --forged --file c --file=-",
            Call::Log(Query {
                owner: Some("a".to_owned()),
                login: Some("b".to_owned()),
                since: Some("1h".to_owned()),
                forged: true,
                files: vec!["c".to_owned(), "-".to_owned()],
                ..Query::default()
            }),
        ),
        ("--version", Call::Version),
        ("-V", Call::Version),
        ("--help", Call::Help),
        ("-h", Call::Help),
        ("help", Call::Help),
        ("wire --help", Call::Help),
        ("wire --dry-run -V", Call::Version),
    ] {
        assert_eq!(call(line), Ok(expected), "{line}");
    }
}

#[test]
fn a_wrong_word_is_named_and_so_is_what_would_be_right() {
    let commands = "use wire, unwire, refresh, log or who";
    for (line, wrong, right) in [
        ("", "no command", commands),
        ("wrie", "`wrie` is not a command", commands),
        ("--dry-run", "`--dry-run` is not a command", commands),
        ("-x wire", "`-x` is not a command", commands),
        ("wire now", "`now` is not an option of `iam-ssh wire`", "use --dry-run, --version or --help"),
        ("wire --dry", "`--dry` is not an option of `iam-ssh wire`", "--dry-run"),
        ("wire -dry-run", "`-dry-run` is not an option of `iam-ssh wire`", "--dry-run"),
        ("wire --dry-run=yes", "`--dry-run` takes no value", "--dry-run"),
        ("wire --dry-run --dry-run", "`--dry-run` stands there twice", ""),
        (
            "refresh --dry-run",
            "`--dry-run` is not an option of `iam-ssh refresh`",
            "use --enforce, --version or --help",
        ),
        ("log --owner a --owner b", "`--owner` stands there twice", ""),
        ("log --file", "`--file PATH` lacks its value", ""),
        ("wire --", "`--` is not an option of `iam-ssh wire`", "--dry-run"),
    ] {
        let said = call(line).expect_err(line);
        assert!(said.contains(wrong) && said.contains(right) && !said.contains('\n'), "{line}: {said}");
    }
    let said = parse(&[format!("\u{1b}[31m{}", "x".repeat(1000))]).unwrap_err();
    assert!(said.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && said.len() < 200, "{said}");
}

#[test]
fn options_may_take_values() {
    const KNOWN: &[Opt] = &[
        Opt { long: "since", short: Some('s'), value_name: Some("TIME"), repeats: false, summary: "", text: &[] },
        Opt { long: "json", short: None, value_name: None, repeats: false, summary: "", text: &[] },
    ];
    let given = |line: &'static str| options("log", KNOWN, line.split_whitespace());
    for line in ["--since 1h --json", "--json --since=1h", "-s 1h --json"] {
        let Ok(Parsed::Given(given)) = given(line) else { panic!("{line}") };
        assert!(given.has("json") && given.value("since") == Some("1h") && given.value("json").is_none(), "{line}");
    }
    assert_eq!(given("--json --since").unwrap_err(), "`--since TIME` lacks its value");
    let said = given("--until 1h").unwrap_err();
    assert!(said.contains("use --since TIME, --json, --version or --help"), "{said}");
    assert!(matches!(given("--since 1h --help"), Ok(Parsed::Global(Call::Help))));
}

#[test]
fn the_table_calls_what_it_says() {
    let none = Given::default();
    let calls: Vec<Call> = COMMANDS.iter().map(|command| (command.call)(&none)).collect();
    let expected = [
        Call::Wire { dry_run: false },
        Call::Unwire { dry_run: false },
        Call::Refresh { enforce: false },
        Call::Log(Query::default()),
        Call::Who { json: false },
    ];
    assert_eq!(calls, expected);
    for option in COMMANDS.iter().flat_map(|command| command.options) {
        assert!(!GLOBAL.iter().any(|(global, _)| global.long == option.long), "--{} is a global option", option.long);
    }
}

#[test]
fn the_exit_codes_are_those_of_the_programs() {
    for code in EXIT_CODES {
        assert_eq!(ExitCode::from(code.exit), ExitCode::from(code.number), "{}", code.summary);
    }
    assert_eq!(EXIT_CODES.iter().map(|code| code.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn the_short_help_names_everything_and_fits_a_terminal() {
    let usage = usage();
    assert!(usage.starts_with("usage: iam-ssh wire [--dry-run]       make sshd ask iam-ssh for keys;"), "{usage}");
    assert!(usage.contains("\n       iam-ssh refresh [--enforce]    ask AWS"), "{usage}");
    assert!(usage.contains("\n       iam-ssh --version\n       iam-ssh --help\n\n"), "{usage}");
    assert!(usage.contains("0 done, 1 failed, 2 wrong usage, 3 declined, because another"), "{usage}");
    assert_eq!(usage.matches("--dry-run: ").count(), 1, "{usage}");
    assert!(usage.ends_with(".\n") && usage.lines().all(|line| line.len() <= 120), "{usage}");
}
