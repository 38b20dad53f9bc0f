//! The command line of `iam-ssh` as one table: what is parsed, the short help, the manual and the completions are all
//! made from [`COMMANDS`]. Pure; it must never act.
//!
//! A command line framework is not used: this program is in the package that opens logins, and needs little.
//!
//! The texts are plain, with a light markup that the manual is made from: `` `word` `` is to be typed as it stands,
//! `<word>` within it stands for something, and `name(8)` is another page.

mod table;
mod text;

use crate::exit::Exit;
use iam_ssh_core::text::escape;

pub use table::{COMMANDS, EXIT_CODES, GLOBAL};

/// Longest wrong word that is shown, in bytes.
const SHOWN: usize = 60;
/// Width of the short help.
const WIDTH: usize = 116;

/// One command.
#[derive(Debug)]
pub struct Command {
    /// The word that calls it.
    pub name: &'static str,
    /// What may follow it, beside the global options.
    pub options: &'static [Opt],
    /// One line, without a full stop.
    pub summary: &'static str,
    /// Paragraphs for the manual.
    pub text: &'static [&'static str],
    /// What is called, given its options.
    pub call: fn(&Given<'_>) -> Call,
}

/// One option.
#[derive(Debug)]
pub struct Opt {
    /// Without the dashes.
    pub long: &'static str,
    /// Without the dash.
    pub short: Option<char>,
    /// What its value is called, in capitals; `None`: it takes none.
    pub value_name: Option<&'static str>,
    /// Whether it may stand there several times.
    pub repeats: bool,
    /// One line, without a full stop.
    pub summary: &'static str,
    /// Paragraphs for the manual.
    pub text: &'static [&'static str],
}

/// One exit code of `iam-ssh`.
#[derive(Debug)]
pub struct Code {
    /// What the code says.
    pub exit: Exit,
    /// The code itself.
    pub number: u8,
    /// A few words, without a full stop.
    pub summary: &'static str,
    /// Paragraphs for the manual.
    pub text: &'static [&'static str],
}

/// What the arguments ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Make sshd ask iam-ssh.
    Wire {
        /// Only show what would change.
        dry_run: bool,
    },
    /// Take that away again.
    Unwire {
        /// Only show what would change.
        dry_run: bool,
    },
    /// Bring the cache up to date.
    Refresh {
        /// End sessions whose key or principal was revoked.
        enforce: bool,
    },
    /// Say who logged in.
    Log(Query),
    /// Say who is logged in.
    Who {
        /// As JSON.
        json: bool,
    },
    /// Print the version.
    Version,
    /// Print the short help.
    Help,
}

/// What `iam-ssh log` is asked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only sessions of this owner.
    pub owner: Option<String>,
    /// Only sessions of this login user.
    pub login: Option<String>,
    /// Only sessions opened since then, as people say it.
    pub since: Option<String>,
    /// Only sessions that are open.
    pub active: bool,
    /// As JSON.
    pub json: bool,
    /// Not sessions but lines that claim to be a record and are none.
    pub forged: bool,
    /// Files to read instead of this machine's logs.
    pub files: Vec<String>,
}

/// The options that stand on a command line, with their values.
#[derive(Debug, Default)]
pub struct Given<'a>(Vec<(&'static str, Option<&'a str>)>);

impl<'a> Given<'a> {
    /// Whether the option `long` is there.
    #[must_use]
    pub fn has(&self, long: &str) -> bool {
        self.0.iter().any(|(name, _)| *name == long)
    }

    /// The value of the option `long`, if it is there and takes one.
    #[must_use]
    pub fn value(&self, long: &str) -> Option<&'a str> {
        self.values(long).next()
    }

    /// The values of the option `long`, as often as it is there.
    pub fn values(&self, long: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| *name == long).filter_map(|(_, value)| *value)
    }
}

impl Opt {
    /// How it is written, with its value: `--since TIME`.
    #[must_use]
    pub fn usage(&self) -> String {
        match self.value_name {
            Some(value) => format!("--{} {value}", self.long),
            None => format!("--{}", self.long),
        }
    }

    fn is(&self, word: &str) -> bool {
        let short = |rest: &str| self.short.is_some_and(|short| rest.chars().eq([short]));
        word.strip_prefix("--").map_or_else(|| word.strip_prefix('-').is_some_and(short), |long| long == self.long)
    }
}

/// The arguments, without the program's name, as a call. `--version` and `--help` count wherever they stand, and the
/// rest is then not looked at; `help` alone is `--help`.
///
/// # Errors
/// One line that names the wrong word and says what would be right.
pub fn parse(args: &[String]) -> Result<Call, String> {
    let mut words = args.iter().map(String::as_str);
    let Some(name) = words.next() else {
        return Err(format!("no command: {}", commands()));
    };
    if let Some(call) = global(name) {
        return Ok(call);
    }
    if name == "help" {
        return Ok(Call::Help);
    }
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => options(command.name, command.options, words).map(|given| match given {
            Parsed::Given(given) => (command.call)(&given),
            Parsed::Global(call) => call,
        }),
        None => Err(format!("`{}` is not a command: {}", shown(name), commands())),
    }
}

/// What follows a command.
#[derive(Debug)]
enum Parsed<'a> {
    Given(Given<'a>),
    Global(Call),
}

fn options<'a>(
    command: &str,
    known: &'static [Opt],
    mut words: impl Iterator<Item = &'a str>,
) -> Result<Parsed<'a>, String> {
    let mut given = Given::default();
    while let Some(word) = words.next() {
        if let Some(call) = global(word) {
            return Ok(Parsed::Global(call));
        }
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (word, None),
        };
        let Some(option) = known.iter().find(|option| option.is(name)) else {
            return Err(format!("`{}` is not an option of `iam-ssh {command}`: {}", shown(word), choice(known)));
        };
        let value = match (option.value_name, attached) {
            (Some(_), Some(value)) => Some(value),
            (Some(_), None) => Some(words.next().ok_or_else(|| format!("`{}` lacks its value", option.usage()))?),
            (None, Some(_)) => return Err(format!("`{}` takes no value: `{}`", option.usage(), shown(word))),
            (None, None) => None,
        };
        if !option.repeats && given.has(option.long) {
            return Err(format!("`--{}` stands there twice", option.long));
        }
        given.0.push((option.long, value));
    }
    Ok(Parsed::Given(given))
}

fn global(word: &str) -> Option<Call> {
    GLOBAL.iter().find(|(option, _)| option.is(word)).map(|(_, call)| call.clone())
}

/// `--dry-run, --version or --help`.
fn choice(known: &[Opt]) -> String {
    alternatives(known.iter().chain(GLOBAL.iter().map(|(option, _)| option)).map(Opt::usage))
}

fn commands() -> String {
    alternatives(COMMANDS.iter().map(|command| command.name.to_owned()))
}

fn alternatives(of: impl Iterator<Item = String>) -> String {
    let mut of: Vec<String> = of.collect();
    let last = of.pop().unwrap_or_default();
    if of.is_empty() { format!("only {last}") } else { format!("use {} or {last}", of.join(", ")) }
}

fn shown(word: &str) -> String {
    escape(word.as_bytes(), SHOWN)
}

/// The short help.
#[must_use]
pub fn usage() -> String {
    let call = |command: &Command| {
        let dots = |option: &Opt| if option.repeats { "..." } else { "" };
        let options = command.options.iter().map(|option| format!(" [{}]{}", option.usage(), dots(option)));
        format!("iam-ssh {}{}", command.name, options.collect::<String>())
    };
    // One with many options has its summary on a line of its own.
    let calls = COMMANDS.iter().map(|command| call(command).len());
    let width = calls.filter(|length| *length <= WIDTH / 2).max().unwrap_or_default() + 4;
    let line = |command: &Command| match call(command) {
        call if call.len() <= width => format!("{call:width$}{}", command.summary),
        call => format!("{call}\n{:indent$}{}", "", command.summary, indent = "usage: ".len() + width),
    };
    let mut lines: Vec<String> = COMMANDS.iter().map(line).collect();
    lines.extend(GLOBAL.iter().map(|(option, _)| format!("iam-ssh {}", option.usage())));
    let mut text = format!("usage: {}\n\n", lines.join("\n       "));
    let mut said: Vec<&str> = Vec::new();
    for option in COMMANDS.iter().flat_map(|command| command.options) {
        if !said.contains(&option.long) {
            text += &format!("{}: {}.\n", option.usage(), option.summary);
            said.push(option.long);
        }
    }
    let codes: Vec<String> = EXIT_CODES.iter().map(|code| format!("{} {}", code.number, code.summary)).collect();
    text + &fill(&format!(
        "Settings are in /etc/iam-ssh/config.toml. Exit codes: {}; after 1 and 3 sshd is configured as before. More is \
         in iam-ssh(1).",
        codes.join(", ")
    ))
}

/// Breaks `text` into lines of [`WIDTH`].
fn fill(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word.to_owned(),
            Some(line) if line.len() + 1 + word.len() <= WIDTH => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests;
