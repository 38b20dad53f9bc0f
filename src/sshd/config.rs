//! Reads the text of sshd's configuration files as sshd does, quotes and all. Pure.
//!
//! For commands of somebody else it does not trust its own reading: any line that names the keyword counts, because
//! declining too often is harmless and replacing somebody's command is not.

use super::{SSH_FOLDER, Setting, is_foreign};
use std::path::{Path, PathBuf};

/// What sshd takes for space, and between keyword and value.
const SPACE: [char; 4] = [' ', '\t', '\r', '\x0c'];
const BETWEEN: [char; 5] = [' ', '\t', '\r', '\x0c', '='];

/// A configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Whether it is included from within a `Match` block, so that its settings do not count for every login.
    pub scoped: bool,
}

/// One setting of a configuration text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Line number, from 1.
    pub number: usize,
    /// The keyword, unquoted.
    pub keyword: String,
    /// The value as it stands there.
    pub value: &'a str,
    /// Whether it stands in a `Match` block.
    pub scoped: bool,
}

/// Every AuthorizedKeysCommand other than ours and `none` that a configuration file, a unit or a unit's settings file
/// names in a line that is no comment, whatever the line is to sshd.
#[must_use]
pub fn other_commands(path: &Path, text: &str) -> Vec<Setting> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    lines
        .filter_map(|(index, line)| {
            let place = format!("{}:{}", path.display(), index + 1);
            other_command(line).map(|value| Setting { place, value })
        })
        .collect()
}

/// The AuthorizedKeysCommand other than ours and `none` that a line or a process's command line names. sshd takes
/// `Keyword value`, `Keyword=value`, and quotes around or within either of them.
#[must_use]
pub fn other_command(line: &str) -> Option<String> {
    const KEYWORD: &str = "authorizedkeyscommand";
    let plain: String = line.replace(['"', '\'', '\\'], "").replace('\0', " ");
    let lower = plain.to_ascii_lowercase();
    lower.match_indices(KEYWORD).find_map(|(at, _)| {
        // The keyword goes on in AuthorizedKeysCommandUser.
        let value = plain.get(at + KEYWORD.len()..).filter(|v| !v.starts_with(|c: char| c.is_alphabetic()))?;
        let value = value.trim_start_matches(BETWEEN).trim();
        is_foreign(value).then(|| value.to_owned())
    })
}

/// Every `Include` of a configuration text: the pattern, and whether it stands in a `Match` block.
#[must_use]
pub fn includes(text: &str) -> Vec<(PathBuf, bool)> {
    let includes = lines(text).into_iter().filter(|line| line.keyword.eq_ignore_ascii_case("Include"));
    includes
        .flat_map(|line| words(line.value).into_iter().map(move |word| (Path::new(SSH_FOLDER).join(word), line.scoped)))
        .collect()
}

/// Every setting of a configuration text.
#[must_use]
pub fn lines(text: &str) -> Vec<Line<'_>> {
    let mut scoped = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((keyword, value)) = keyword(line) else { continue };
        scoped |= keyword.eq_ignore_ascii_case("Match");
        found.push(Line { number: index + 1, keyword, value, scoped });
    }
    found
}

/// Splits a line as sshd's `strdelim` does: `"Keyword" value` and `Key"word" value` are `Keyword value`.
fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim_start_matches(BETWEEN);
    let end = line.find(|c| c == '"' || BETWEEN.contains(&c))?;
    let (head, rest) = line.split_at_checked(end)?;
    let (keyword, value) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').map(|(tail, value)| (format!("{head}{tail}"), value))?,
        None => (head.to_owned(), rest),
    };
    (!keyword.starts_with('#')).then(|| (keyword, value.trim_start_matches(BETWEEN).trim_end()))
}

/// The words of a value, as sshd's `argv_split` takes them: quotes, a backslash before a quote, a backslash or a
/// space, and a comment at the end.
fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek().is_some_and(|next| matches!(next, '"' | '\'' | '\\' | ' ')) => {
                word.get_or_insert_default().extend(chars.next());
            }
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            _ if quote == Some(c) => quote = None,
            _ if quote.is_none() && SPACE.contains(&c) => words.extend(word.take()),
            '#' if quote.is_none() && word.is_none() => break,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        other_commands(Path::new("f"), text).into_iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn other_commands_are_found_wherever_they_stand() {
        assert_eq!(found("Match User x\n\tauthorizedkeyscommand /bin/a %u\n"), ["/bin/a %u (f:2)"]);
        for line in [
            "AuthorizedKeysCommand=/bin/a",
            "AuthorizedKeysCommand \"/bin/a\"",
            "\"AuthorizedKeysCommand\" /bin/a",
            " \t\"AUTHORIZEDKEYSCOMMAND\"=\"/bin/a\"",
            "Authorized\"KeysCommand\" /bin/a",
            "=AuthorizedKeysCommand /bin/a\r",
        ] {
            assert_eq!(found(line), ["/bin/a (f:1)"], "{line}");
        }
        for line in [
            "#AuthorizedKeysCommand /bin/a",
            " \t# AuthorizedKeysCommand /bin/a",
            "AuthorizedKeysCommand none",
            "\"AuthorizedKeysCommand\" \"None\"",
            "AuthorizedKeysCommandUser x",
            "\"AuthorizedKeysCommandUser\" x",
        ] {
            assert!(found(line).is_empty(), "{line}");
        }
        assert!(found(&crate::sshd::drop_in(true)).is_empty());
    }

    #[test]
    fn options_of_a_command_line_are_found() {
        let unit = "[Service]\nExecStart=/usr/sbin/sshd -D -o \"AuthorizedKeysCommand /usr/share/eic %%u\" -o \"AuthorizedKeysCommandUser eic\"";
        assert_eq!(other_commands(Path::new("u"), unit).first().map(|s| s.place.as_str()), Some("u:2"));
        assert!(found("-o AuthorizedKeysCommandUser=x").is_empty());
        assert!(found("#ExecStart=sshd -o AuthorizedKeysCommand=/bin/x").is_empty());
        let process = "sshd\0-oAuthorizedKeysCommand=/bin/x\0-D";
        assert_eq!(other_command(process).as_deref(), Some("/bin/x -D"));
        assert_eq!(other_command("sshd\0-o\0AuthorizedKeysCommandUser x\0-o\0AuthorizedKeysCommand none"), None);
    }

    #[test]
    fn includes_are_relative_to_etc_ssh_and_may_be_quoted() {
        let patterns = |text| includes(text).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(patterns("Include /a/*.conf b.conf # c\n"), paths(&["/a/*.conf", "/etc/ssh/b.conf"]));
        assert_eq!(patterns("\"Include\" \"/a b/*\" '/c' d\\ e\n"), paths(&["/a b/*", "/c", "/etc/ssh/d e"]));
        assert_eq!(patterns("include=/a\n#Include /b\n"), paths(&["/a"]));
    }

    #[test]
    fn a_match_block_goes_on_to_the_end_of_the_file() {
        let text = "LogLevel INFO\nInclude a\nMatch User x\n LogLevel DEBUG\nInclude b\n";
        let scopes: Vec<_> = lines(text).into_iter().map(|line| (line.number, line.scoped)).collect();
        assert_eq!(scopes, [(1, false), (2, false), (3, true), (4, true), (5, true)]);
        assert_eq!(includes(text).into_iter().map(|(_, scoped)| scoped).collect::<Vec<_>>(), [false, true]);
    }
}
