//! The options that a systemd unit hands to sshd, read from the texts of the unit and its settings files. Pure.
//!
//! EC2 Instance Connect hooks in so on Ubuntu and RHEL 8: `ExecStart=…sshd -D -o "AuthorizedKeysCommand …"`. Nothing but
//! the unit tells what its daemon will run with: where an image is built, none runs; and a running one shows its
//! arguments without their quotes.

/// sshd's options that take a value (sshd(8), OpenSSH 7.4 to 10.5).
const WITH_VALUE: &str = "CEbcfghkopuV";

/// What a daemon is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The values of every `-o`.
    pub values: Vec<String>,
    /// Another configuration file than sshd's own (`-f`).
    pub file: Option<String>,
}

/// The options of the daemon that a unit starts. `texts` are the unit's own and then those of its settings
/// files, in systemd's order; `read` gives the text of an EnvironmentFile.
#[must_use]
pub fn options(texts: &[&str], read: impl Fn(&str) -> Option<String>) -> Options {
    let mut starts: Vec<String> = Vec::new();
    let mut environment: Vec<(String, String)> = Vec::new();
    for (key, value) in texts.iter().flat_map(|text| service_settings(text)) {
        match key.as_str() {
            "ExecStart" if value.is_empty() => starts.clear(),
            "ExecStart" => starts.push(value),
            "Environment" => environment.extend(words(&value).iter().filter_map(|word| assignment(word))),
            "EnvironmentFile" => {
                let text = read(value.trim_start_matches('-')).unwrap_or_default();
                environment.extend(text.lines().filter_map(|line| assignment(line.trim())));
            }
            _ => {}
        }
    }
    const PREFIXES: [char; 5] = ['@', '-', ':', '+', '!'];
    let Some(start) = starts.iter().rfind(|start| is_sshd(start.trim_start_matches(PREFIXES))) else {
        return Options::default();
    };
    let plain = start.trim_start_matches(PREFIXES);
    // After `@` the second word is the name that the program is given, not an argument.
    let named = start.get(..start.len() - plain.len()).is_some_and(|prefix| prefix.contains('@'));
    let words: Vec<String> = words(plain).into_iter().flat_map(|word| expand(&word, &environment)).collect();
    of_arguments(words.get(1 + usize::from(named)..).unwrap_or_default())
}

fn is_sshd(start: &str) -> bool {
    words(start).first().is_some_and(|program| program.rsplit('/').next() == Some("sshd"))
}

/// The settings of the section `[Service]`, with continued lines joined and comments left out.
fn service_settings(text: &str) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    let mut section = String::new();
    let mut line = String::new();
    for part in text.lines() {
        if part.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if let Some(part) = part.strip_suffix('\\') {
            line.push_str(part);
            line.push(' ');
            continue;
        }
        line.push_str(part);
        let whole = std::mem::take(&mut line);
        let whole = whole.trim();
        if whole.starts_with('[') {
            whole.clone_into(&mut section);
        } else if let Some((key, value)) = whole.split_once('=').filter(|_| section == "[Service]") {
            settings.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    settings
}

/// `NAME=value`, with quotes around the value left out.
fn assignment(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=').filter(|_| !text.starts_with(['#', ';']))?;
    let value = value.trim();
    let plain = ['"', '\''].into_iter().find_map(|q| value.strip_prefix(q)?.strip_suffix(q)).unwrap_or(value);
    Some((name.trim().to_owned(), plain.to_owned()))
}

/// Splits a command line as systemd does: by space, with quotes around words or parts of them, and C's escapes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_default().extend(unescape(&mut chars)),
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            _ if quote == Some(c) => quote = None,
            _ if quote.is_none() && c.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What stands behind a backslash.
fn unescape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        's' => ' ',
        't' => '\t',
        'n' => '\n',
        'x' => {
            let digits: String = chars.by_ref().take(2).collect();
            char::from(u8::from_str_radix(&digits, 16).ok()?)
        }
        other => other,
    })
}

/// A word with its variables and specifiers: `$NAME` alone becomes as many words as its value has.
fn expand(word: &str, environment: &[(String, String)]) -> Vec<String> {
    let value = |name: &str| {
        let found = environment.iter().rfind(|(n, _)| n == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if let Some(name) = word.strip_prefix('$').filter(|name| is_name(name)) {
        return words(&value(name));
    }
    let mut text = word.replace("%%", "%");
    while let Some(replaced) = text.split_once("${").and_then(|(head, tail)| {
        let (name, rest) = tail.split_once('}').filter(|(name, _)| is_name(name))?;
        // What comes from a value is not expanded again.
        Some(format!("{head}{}{rest}", value(name).replace("${", "$")))
    }) {
        text = replaced;
    }
    vec![text.replace("$$", "$")]
}

/// A daemon's arguments, read as getopt(3) does.
fn of_arguments(arguments: &[String]) -> Options {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty()) else { break };
        let Some(at) = flags.find(|c| WITH_VALUE.contains(c)) else { continue };
        let (_, from) = flags.split_at(at);
        let joined = from.get(1..).filter(|value| !value.is_empty()).map(str::to_owned);
        let value = joined.or_else(|| rest.next().cloned());
        match from.chars().next() {
            Some('o') => options.values.extend(value),
            Some('f') => options.file = value,
            _ => {}
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(texts: &[&str]) -> Options {
        options(texts, |path| (path == "/etc/default/ssh").then(|| "# x\nSSHD_OPTS=\"-4 -o Port=22\"\n".to_owned()))
    }

    fn of(texts: &[&str]) -> Vec<String> {
        all(texts).values
    }

    const DEBIAN: &str = "[Unit]\nDescription=x\n[Service]\nEnvironmentFile=-/etc/default/ssh\n\
        ExecStartPre=/usr/sbin/sshd -t\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS\n[Install]\nExecStart=/sshd -o no=1\n";

    #[test]
    fn options_come_from_the_unit_and_its_files() {
        assert_eq!(of(&[DEBIAN]), ["Port=22"]);
        assert_eq!(of(&[]), Vec::<String>::new());
        assert_eq!(of(&["[Service]\nExecStart=/bin/true -o x=1"]), Vec::<String>::new());
    }

    #[test]
    fn instance_connect_as_ubuntu_wires_it() {
        let drop_in = "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -o \"AuthorizedKeysCommand /usr/share/eic %%u %%f\" \\\n\
            # a comment\n  -o \"AuthorizedKeysCommandUser ec2-instance-connect\" $SSHD_OPTS\n";
        assert_eq!(
            of(&[DEBIAN, drop_in]),
            ["AuthorizedKeysCommand /usr/share/eic %u %f", "AuthorizedKeysCommandUser ec2-instance-connect", "Port=22"]
        );
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        let start = |arguments: &str| of(&[&format!("[Service]\nExecStart=-/usr/sbin/sshd {arguments}\n")]);
        assert_eq!(start("-D -e -oA=1 -Do B=2 -p 22 -f -o C=3"), ["A=1", "B=2"]);
        let file = all(&["[Service]\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/other -o A=1\n"]);
        assert_eq!(file, Options { values: vec!["A=1".to_owned()], file: Some("/etc/ssh/other".to_owned()) });
        assert_eq!(of(&["[Service]\nExecStart=-@/usr/sbin/sshd sshd -D -o A=1\n"]), ["A=1"]);
        assert_eq!(start("-o 'A 1' stray -o B=2"), ["A 1"]);
        assert_eq!(start("-o A\\x20${NOPE}b -o"), ["A b"]);
    }

    #[test]
    fn a_variable_of_its_own_making_ends() {
        assert_eq!(of(&["[Service]\nEnvironment=\"X=${X}\"\nExecStart=/usr/sbin/sshd -o ${X}$$\n"]), ["$X}$"]);
    }
}
