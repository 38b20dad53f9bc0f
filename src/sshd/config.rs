//! Reads the text of sshd's configuration files as sshd does, quotes and all. Pure.
//!
//! What is in effect is for sshd itself to say (`sshd -T`); this finds what to ask it about.

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

impl ConfigFile {
    /// One of its lines as a setting, to be named.
    #[must_use]
    pub fn setting(&self, line: &Line<'_>) -> Setting {
        Setting { place: format!("{}:{}", self.path.display(), line.number), value: line.value.to_owned() }
    }
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
    /// The criteria of that block.
    pub criteria: Option<&'a str>,
}

/// The login users for whom a `Match` block sets AuthorizedKeysCommand or its user, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scoped {
    /// The setting.
    pub setting: Setting,
    /// The users that the block names; `None` where it depends on something else, which a lookup is not told.
    pub logins: Option<Vec<String>>,
}

/// Every AuthorizedKeysCommand, and its user, that stands in a `Match` block. `Match all` counts as no block.
#[must_use]
pub fn scoped_commands(files: &[ConfigFile]) -> Vec<Scoped> {
    const KEYWORDS: [&str; 2] = ["AuthorizedKeysCommand", "AuthorizedKeysCommandUser"];
    let mut found = Vec::new();
    for file in files {
        let scoped = lines(&file.text).into_iter().filter(|line| line.scoped || file.scoped);
        for line in scoped.filter(|line| KEYWORDS.iter().any(|keyword| line.keyword.eq_ignore_ascii_case(keyword))) {
            let setting = file.setting(&line);
            match line.criteria.filter(|_| !file.scoped).map(criteria) {
                Some(Criteria::All) => {}
                Some(Criteria::Logins(logins)) => found.push(Scoped { setting, logins: Some(logins) }),
                Some(Criteria::Other) | None => found.push(Scoped { setting, logins: None }),
            }
        }
    }
    found
}

enum Criteria {
    All,
    Logins(Vec<String>),
    Other,
}

fn criteria(value: &str) -> Criteria {
    let words = words(value, true);
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [all] if all.eq_ignore_ascii_case("all") => Criteria::All,
        [user, list] if user.eq_ignore_ascii_case("user") && !list.contains(['*', '?', '!']) => {
            Criteria::Logins(list.split(',').map(str::to_owned).collect())
        }
        _ => Criteria::Other,
    }
}

/// Every AuthorizedKeysCommand of somebody else, whoever it is for.
pub fn other_commands(files: &[ConfigFile]) -> impl Iterator<Item = Setting> + '_ {
    files.iter().flat_map(|file| {
        let named =
            |line: &Line<'_>| line.keyword.eq_ignore_ascii_case("AuthorizedKeysCommand") && is_foreign(line.value);
        lines(&file.text).into_iter().filter(named).map(|line| file.setting(&line)).collect::<Vec<_>>()
    })
}

/// The value of a keyword in the command line that a process shows; `None` where it is not there. Quotes are lost there,
/// and so is where arguments end.
///
/// # Errors
/// The value and what follows, where it cannot be told whether another option of the daemon's follows it.
pub fn shown_option(line: &str, keyword: &str) -> Option<Result<String, String>> {
    let plain = line.replace(['"', '\'', '\\'], "").replace('\0', " ");
    let (lower, keyword) = (plain.to_ascii_lowercase(), keyword.to_ascii_lowercase());
    lower.match_indices(&keyword).find_map(|(at, _)| {
        // The keyword AuthorizedKeysCommand goes on in AuthorizedKeysCommandUser.
        let value = plain.get(at + keyword.len()..).filter(|v| !v.starts_with(|c: char| c.is_alphabetic()))?;
        let end = [" -o", " [listener]"].iter().filter_map(|mark| value.find(mark)).min();
        let value = value.get(..end.unwrap_or(value.len()))?.trim_start_matches(BETWEEN).trim();
        let is_option = |word: &str| word.starts_with('-') && !word.starts_with("--");
        let unclear = value.split_whitespace().any(is_option);
        Some(if unclear { Err(value.to_owned()) } else { Ok(value.to_owned()) })
    })
}

/// The patterns that a line includes; `None` where it is no `Include`.
#[must_use]
pub fn included_by(line: &str) -> Option<Vec<PathBuf>> {
    let (_, value) = keyword(line).filter(|(keyword, _)| keyword.eq_ignore_ascii_case("Include"))?;
    Some(patterns(value))
}

fn patterns(value: &str) -> Vec<PathBuf> {
    words(value, true).into_iter().map(|word| Path::new(SSH_FOLDER).join(word)).collect()
}

/// Every `Include` of a configuration text: the pattern, and whether it stands in a `Match` block.
#[must_use]
pub fn includes(text: &str) -> Vec<(PathBuf, bool)> {
    let includes = lines(text).into_iter().filter(|line| line.keyword.eq_ignore_ascii_case("Include"));
    includes.flat_map(|line| patterns(line.value).into_iter().map(move |pattern| (pattern, line.scoped))).collect()
}

/// Every setting of a configuration text.
#[must_use]
pub fn lines(text: &str) -> Vec<Line<'_>> {
    let mut criteria = None;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((keyword, value)) = keyword(line) else { continue };
        if keyword.eq_ignore_ascii_case("Match") {
            criteria = Some(value);
        }
        found.push(Line { number: index + 1, keyword, value, scoped: criteria.is_some(), criteria });
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
/// space, and a comment at the end where `comments` are taken for such.
pub(super) fn words(value: &str, comments: bool) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars
                .peek()
                .is_some_and(|next| matches!(next, '"' | '\'' | '\\') || (*next == ' ' && quote.is_none())) =>
            {
                word.get_or_insert_default().extend(chars.next());
            }
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            _ if quote == Some(c) => quote = None,
            _ if quote.is_none() && SPACE.contains(&c) => words.extend(word.take()),
            '#' if comments && quote.is_none() && word.is_none() => break,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoped(text: &str, in_match: bool) -> Vec<Option<Vec<String>>> {
        let file = ConfigFile { path: "f".into(), text: text.to_owned(), scoped: in_match };
        scoped_commands(&[file]).into_iter().map(|scoped| scoped.logins).collect()
    }

    #[test]
    fn commands_in_match_blocks_are_found() {
        let block = |criteria: &str| format!("Match {criteria}\n\t\"AuthorizedKeysCommand\" /bin/a\n");
        assert_eq!(scoped("AuthorizedKeysCommand /bin/a\n", false), []);
        assert_eq!(scoped(&block("all"), false), []);
        assert_eq!(scoped(&block("user \"a,b\""), false), [Some(vec!["a".to_owned(), "b".to_owned()])]);
        assert_eq!(scoped("match User=a\nauthorizedkeyscommanduser x\n", false), [None]);
        for other in ["User a*", "User a,!b", "User a Address 10.0.0.0/8", "Group x", "LocalPort 22"] {
            assert_eq!(scoped(&block(other), false), [None], "{other}");
        }
        for inside in ["AuthorizedKeysCommand /bin/a\n".to_owned(), block("all"), block("user a")] {
            assert_eq!(scoped(&inside, true), [None], "included from within a block: {inside}");
        }
    }

    #[test]
    fn a_process_s_options_are_found() {
        let of = |shown: &str, keyword: &str| shown_option(shown, keyword);
        let title = "sshd: /usr/sbin/sshd -D -o AuthorizedKeysCommand /usr/share/eic %u %f -o AuthorizedKeysCommandUser=eic [listener] 0 of 10-100 startups";
        assert_eq!(of(title, "AuthorizedKeysCommand"), Some(Ok("/usr/share/eic %u %f".to_owned())));
        assert_eq!(of(title, "AuthorizedKeysCommandUser"), Some(Ok("eic".to_owned())));
        assert_eq!(of("sshd\0-o\0AuthorizedKeysCommandUser x", "AuthorizedKeysCommand"), None);
        for unclear in ["sshd\0-oAuthorizedKeysCommand=/bin/x\0-D", "sshd -o AuthorizedKeysCommand=/bin/x -e prod %u"] {
            assert!(matches!(of(unclear, "AuthorizedKeysCommand"), Some(Err(_))), "{unclear}");
        }
        assert_eq!(of("sshd -o AuthorizedKeysCommand /x --y", "AuthorizedKeysCommand"), Some(Ok("/x --y".to_owned())));
    }

    #[test]
    fn a_backslash_escapes_a_space_only_outside_quotes() {
        assert_eq!(words("a\\ b \"c\\ d\" \"e\\\"f\"", false), ["a b", "c\\ d", "e\"f"]);
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
