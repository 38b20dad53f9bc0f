//! The light markup of the tables' texts, as mdoc(7).
//!
//! `` `word` `` becomes the macro that fits what it is, `<word>` within it what is to be put in, `name(8)` a reference,
//! and each sentence begins a line. What mdoc would take for a macro, a request or an escape stays text.

use iam_ssh::config::reference::SETTINGS;

/// Longest line of text that is made, where words allow.
const WIDTH: usize = 78;
/// Programs that are no commands of `iam-ssh`.
const PROGRAMS: [&str; 5] = ["iam-ssh", "iam-ssh-sync", "authorized-keys", "fetch", "sshrc"];

/// A part of a word.
#[derive(Debug, PartialEq)]
enum Atom<'a> {
    Text(&'a str),
    Code(&'a str),
    Page(&'a str, &'a str),
}

/// `text`, paragraph by paragraph, as lines of mdoc.
pub(crate) fn paragraphs(text: &[&str]) -> String {
    text.iter().map(|paragraph| lines(paragraph)).collect::<Vec<_>>().join(".Pp\n")
}

/// One paragraph as lines of mdoc.
pub(crate) fn lines(paragraph: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    let mut rest = paragraph.trim_start();
    while !rest.is_empty() {
        let (word, after) = next_word(rest);
        rest = after.trim_start();
        match atoms(word).as_slice() {
            [Atom::Text(text)] => {
                let text = quoted(text);
                if !line.is_empty() && line.len() + 1 + text.len() > WIDTH {
                    end(&mut out, &mut line);
                }
                if line.is_empty() {
                    line = at_start(&text);
                } else {
                    line = format!("{line} {text}");
                }
                if text.trim_end_matches(['"', ')']).ends_with('.') {
                    end(&mut out, &mut line);
                }
            }
            atoms => {
                end(&mut out, &mut line);
                out += &format!(".{}\n", macros(atoms));
            }
        }
    }
    end(&mut out, &mut line);
    out
}

fn end(out: &mut String, line: &mut String) {
    if !line.is_empty() {
        *out += &format!("{line}\n");
        line.clear();
    }
}

/// Up to the next white space that is not between backticks.
fn next_word(text: &str) -> (&str, &str) {
    let mut code = false;
    let at = text.find(|c: char| {
        code ^= c == '`';
        c.is_whitespace() && !code
    });
    text.split_at(at.unwrap_or(text.len()))
}

fn atoms(word: &str) -> Vec<Atom<'_>> {
    let mut found = Vec::new();
    for (part, piece) in word.split('`').enumerate() {
        if part % 2 == 1 {
            found.push(Atom::Code(piece));
        } else if let Some((before, name, section, after)) = page(piece) {
            found.extend([Atom::Text(before), Atom::Page(name, section), Atom::Text(after)]);
        } else {
            found.push(Atom::Text(piece));
        }
    }
    found.retain(|atom| *atom != Atom::Text(""));
    found
}

/// `name(8)`, with what stands around it.
fn page(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, after) = text.split_once(|c: char| c.is_ascii_alphanumeric()).map(|_| {
        let start = text.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or_default();
        text.split_at(start)
    })?;
    let (name, rest) = after.split_once('(')?;
    let (section, after) = rest.split_once(')')?;
    let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    let is_section = matches!(section.as_bytes(), [b'1'..=b'8']);
    (is_name && is_section).then_some((before, name, section, after))
}

/// A word that is not plain text, as the arguments of one macro line.
fn macros(atoms: &[Atom<'_>]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut opening = Vec::new();
    for (at, atom) in atoms.iter().enumerate() {
        match atom {
            Atom::Text(text) if at == 0 && text.chars().all(|c| "([".contains(c)) => {
                opening = text.chars().map(String::from).collect();
            }
            Atom::Text(text) => {
                if at > 0 && text.chars().all(|c| ".,:;)]?!".contains(c)) {
                    out.extend(text.chars().map(String::from));
                } else {
                    join(&mut out, vec!["No".to_owned(), argument(text)]);
                }
            }
            Atom::Page(name, section) => {
                let page = with("Xr", &mut opening, vec![argument(name), argument(section)]);
                join(&mut out, page);
            }
            Atom::Code(code) => {
                let code = self::code(code, &mut opening);
                join(&mut out, code);
            }
        }
    }
    out.join(" ")
}

/// Adds a macro without a space before it.
fn join(out: &mut Vec<String>, next: Vec<String>) {
    if !out.is_empty() {
        out.push("Ns".to_owned());
    }
    out.extend(next);
}

fn with(name: &str, opening: &mut Vec<String>, arguments: Vec<String>) -> Vec<String> {
    [vec![name.to_owned()], std::mem::take(opening), arguments].concat()
}

/// What stands between backticks, with the macro that fits it.
fn code(code: &str, opening: &mut Vec<String>) -> Vec<String> {
    if let Some(flag) = code.strip_prefix('-').filter(|flag| !flag.is_empty() && !flag.contains(' ')) {
        return with("Fl", opening, vec![argument(flag)]);
    }
    let name = kind(code);
    let mut out = Vec::new();
    let mut rest = code;
    while let Some((before, (word, after))) = rest.split_once('<').and_then(|(b, r)| Some((b, r.split_once('>')?))) {
        if !before.is_empty() {
            join(&mut out, with(name, opening, words(before)));
        }
        join(&mut out, with("Ar", opening, vec![argument(word)]));
        rest = after;
    }
    if !rest.is_empty() {
        join(&mut out, with(name, opening, words(rest)));
    }
    out
}

fn kind(code: &str) -> &'static str {
    let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let is_path = |code: &str| {
        let ends = [".conf", ".toml", ".timer", ".service"];
        code.starts_with(['/', '~']) && code.len() > 1 || ends.iter().any(|end| code.ends_with(end))
    };
    // Single characters and ranges of them need quotation marks to be seen as such.
    let range = |word: &str| matches!(word.as_bytes(), [_] | [_, b'-', _]);
    if !code.contains(char::is_alphanumeric) || code.contains(' ') && code.split(' ').all(range) {
        "Ql"
    } else if code.contains(' ') {
        "Cm"
    } else if is_path(code) {
        "Pa"
    } else if code.starts_with('[') || SETTINGS.iter().any(|setting| setting.table_and_key().1 == code) {
        "Ic"
    } else if code.contains('_') && code.bytes().all(upper) {
        "Ev"
    } else if PROGRAMS.contains(&code) {
        "Nm"
    } else {
        "Cm"
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(argument).collect()
}

/// An argument that is neither a macro's name nor a delimiter, whatever it looks like.
pub(crate) fn argument(word: &str) -> String {
    let is_macro = (2..=3).contains(&word.len()) && word.starts_with(|c: char| c.is_ascii_uppercase() || c == '%');
    let is_delimiter = word.chars().count() == 1 && !word.starts_with(char::is_alphanumeric);
    let guard = if is_macro || is_delimiter { "\\&" } else { "" };
    // A delimiter at the end of an argument is one only where it stands alone, but a full stop there ends a sentence.
    let after = if word.ends_with(['.', '!', '?']) { "\\&" } else { "" };
    format!("{guard}{}{after}", word.replace('\\', "\\e").replace('"', "\\(dq"))
}

/// Text with its quotation marks, in pairs: a word begins with the left and ends with the right one.
fn quoted(word: &str) -> String {
    let word = word.replace('\\', "\\e");
    let word = match word.strip_prefix('"') {
        Some(rest) => format!("\\(lq{rest}"),
        None => word,
    };
    word.replace('"', "\\(rq")
}

fn at_start(text: &str) -> String {
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn words_become_the_macros_that_fit() {
        for (text, expected) in [
            ("Run it. Then go.", "Run it.\nThen go.\n"),
            ("ask sshd(8), then", "ask\n.Xr sshd 8 ,\nthen\n"),
            ("(see sshd_config(5)) x", "(see\n.Xr sshd_config 5 )\nx\n"),
            ("(sshd(8)).", ".Xr ( sshd 8 ) .\n"),
            ("`wire` says `/etc/ssh/sshrc`.", ".Cm wire\nsays\n.Pa /etc/ssh/sshrc .\n"),
            ("before (`-t`), after", "before\n.Fl ( t ) ,\nafter\n"),
            ("`--dry-run`: no", ".Fl -dry-run :\nno\n"),
            ("`users/<name>`'s", ".Cm users/ Ns Ar name Ns No 's\n"),
            ("`http://<host>:<port>`", ".Cm http:// Ns Ar host Ns Cm \\&: Ns Ar port\n"),
            ("`fresh_for` of `[sshd]`", ".Ic fresh_for\nof\n.Ic [sshd]\n"),
            ("`SSH_KEY_OWNER` `%C`", ".Ev SSH_KEY_OWNER\n.Cm \\&%C\n"),
            ("of `a-z - . =`, and", "of\n.Ql a-z \\&- \\&.\\& \\&= ,\nand\n"),
            ("the user \"iam-ssh\".", "the user \\(lqiam-ssh\\(rq.\n"),
            ("`x = \"y\"`", ".Cm x \\&= \\(dqy\\(dq\n"),
            (".hidden 'a' a\\b", "\\&.hidden 'a' a\\eb\n"),
            ("`Match User` `No`", ".Cm Match User\n.Cm \\&No\n"),
        ] {
            assert_eq!(lines(text), expected, "{text}");
        }
    }

    #[test]
    fn long_text_is_broken_between_words() {
        let text = "word ".repeat(100);
        assert!(lines(&text).lines().all(|line| line.len() <= 78));
        assert_eq!(lines(&text).split_whitespace().count(), 100);
    }
}
