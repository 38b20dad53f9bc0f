//! The session rules of a PAM service, read as libpam reads them (pam.conf(5), libpam's `pam_handlers.c`). Pure.
//!
//! Types and controls are in either case, a type may have a `-` before it, a line ends at `#` and goes on after a backslash,
//! and `include`, `substack` and Debian's `@include` lead to other files.

/// Files within files, as many as libpam follows.
const MAX_DEPTH: usize = 16;
/// Folders of services; the second is the vendor's.
const FOLDERS: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];

/// One rule of the session stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What a result leads to.
    pub control: Control,
    /// The module, as it is written; empty for a substack, whose rules follow with a higher level.
    pub module: String,
    /// What the module is told.
    pub arguments: Vec<String>,
    /// The file that it stands in.
    pub file: String,
    /// Substacks around it: a jump counts the rules of its own level.
    pub level: usize,
    /// Where the line in the service's own file begins that it comes from, in bytes.
    pub at: usize,
}

impl Rule {
    /// Whether this is its module, with or without a folder.
    #[must_use]
    pub fn is(&self, module: &str) -> bool {
        self.module.rsplit('/').next() == Some(module)
    }
}

/// What a module's result leads to, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control(String);

impl Control {
    /// Whether a module that fails makes the stack fail.
    #[must_use]
    pub fn is_required(&self) -> bool {
        match self.0.as_str() {
            "required" | "requisite" => true,
            _ => matches!(self.action("system_err"), Some("bad" | "die")),
        }
    }

    /// Whether it may end the stack with success.
    #[must_use]
    pub fn may_end(&self) -> bool {
        self.0 == "sufficient" || self.pairs().any(|(_, action)| action == "done")
    }

    /// Over how many rules it may jump.
    #[must_use]
    pub fn jump(&self) -> usize {
        self.pairs().filter_map(|(_, action)| action.parse().ok()).max().unwrap_or(0)
    }

    /// What this result leads to.
    fn action(&self, result: &str) -> Option<&str> {
        let of = |wanted: &str| self.pairs().find(|(result, _)| *result == wanted).map(|(_, action)| action);
        of(result).or_else(|| of("default"))
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let inside = self.0.strip_prefix('[').unwrap_or_default().trim_end_matches(']');
        inside.split_whitespace().filter_map(|pair| pair.split_once('='))
    }
}

/// The session rules of `service`, in their order. `read` gives a file's text, if there is one.
pub(super) fn rules(service: &str, read: &impl Fn(&str) -> Option<String>) -> Vec<Rule> {
    let mut rules = Vec::new();
    let found = [service, "other"].into_iter().find_map(|name| find(name, read));
    if let Some((file, text)) = found {
        collect(&file, &text, (0, 0, None), read, &mut rules);
    }
    rules
}

fn find(name: &str, read: &impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
    if name.starts_with('/') {
        return read(name).map(|text| (name.to_owned(), text));
    }
    let paths = FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
    paths.filter_map(|path| read(&path).map(|text| (path, text))).next()
}

/// `within`: files around this one, substacks around it, and the line of the service's own file that led here.
fn collect(
    file: &str,
    text: &str,
    within: (usize, usize, Option<usize>),
    read: &impl Fn(&str) -> Option<String>,
    rules: &mut Vec<Rule>,
) {
    let (depth, level, top) = within;
    if depth > MAX_DEPTH {
        return;
    }
    for (start, line) in lines(text) {
        let at = top.unwrap_or(start);
        let mut words = words(&line).into_iter();
        let Some(kind) = words.next().map(|word| word.to_ascii_lowercase()) else { continue };
        let follow = |name: Option<String>, level: usize, rules: &mut Vec<Rule>| {
            if let Some((file, text)) = name.and_then(|name| find(&name, read)) {
                collect(&file, &text, (depth + 1, level, Some(at)), read, rules);
            }
        };
        if kind == "@include" {
            follow(words.next(), level, rules);
        } else if kind.strip_prefix('-').unwrap_or(&kind) == "session" {
            let control = words.next().unwrap_or_default().to_ascii_lowercase();
            if control == "include" {
                follow(words.next(), level, rules);
                continue;
            }
            let is_substack = control == "substack";
            let module = words.next().unwrap_or_default();
            let name = is_substack.then(|| module.clone());
            rules.push(Rule {
                control: Control(control),
                module: if is_substack { String::new() } else { module },
                arguments: words.collect(),
                file: file.to_owned(),
                level,
                at,
            });
            follow(name, level + 1, rules);
        }
    }
}

/// The lines with what continues them, without comments, and where they begin. One that goes on at the end of the file is an
/// error to libpam, which then reads none of it; it is left out.
fn lines(text: &str) -> Vec<(usize, String)> {
    let (mut lines, mut at, mut begun) = (Vec::new(), 0, None::<(usize, String)>);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let body = line.split('#').next().unwrap_or_default().trim();
        if body.is_empty() {
            continue;
        }
        let (body, goes_on) = body.strip_suffix('\\').map_or((body, false), |body| (body, true));
        let (_, whole) = begun.get_or_insert_with(|| (start, String::new()));
        whole.push_str(body);
        whole.push(' ');
        if !goes_on {
            lines.extend(begun.take());
        }
    }
    lines
}

/// The words of a line; what stands in brackets is one.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while !rest.is_empty() {
        let end = if rest.starts_with('[') {
            rest.find(']').map_or(rest.len(), |at| at + 1)
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        let (word, more) = rest.split_at_checked(end).unwrap_or((rest, ""));
        words.push(word.to_owned());
        rest = more.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(files: &[(&str, &str)]) -> Vec<(String, usize)> {
        let read = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        rules("sshd", &read).into_iter().map(|rule| (rule.module, rule.level)).collect()
    }

    #[test]
    fn rules_are_read_as_libpam_reads_them() {
        let sshd = "#%PAM-1.0\nauth required pam_a.so\n@include common # c\n-Session OPTIONAL pam_b.so x # y\n\
            session \\\n# between\n\n [default=1 success=ok] /lib/security/pam_c.so a [b c]\n\
            session substack sub\nsession include /etc/other/e\nsession required pam_z.so \\\n";
        let files = [
            ("/etc/pam.d/sshd", sshd),
            ("/etc/pam.d/common", "session required pam_d.so\naccount required pam_x.so\n@include common\n"),
            ("/usr/lib/pam.d/sub", "session required pam_s.so\n"),
            ("/etc/other/e", "session required pam_e.so\n"),
        ];
        let mut found = modules(&files);
        found.dedup();
        let expected = [
            ("pam_d.so", 0),
            ("pam_b.so", 0),
            ("/lib/security/pam_c.so", 0),
            ("", 0),
            ("pam_s.so", 1),
            ("pam_e.so", 0),
        ];
        assert_eq!(found, expected.map(|(module, level)| (module.to_owned(), level)));
        assert_eq!(modules(&[("/etc/pam.d/other", "session required pam_o.so")]), [("pam_o.so".to_owned(), 0)]);
        assert_eq!(words("a [b c] [d] e"), ["a", "[b c]", "[d]", "e"]);
    }

    #[test]
    fn controls_mean_what_pam_conf_says() {
        for (text, required, ends, jump) in [
            ("required", true, false, 0),
            ("requisite", true, false, 0),
            ("optional", false, false, 0),
            ("sufficient", false, true, 0),
            ("[success=ignore default=1]", false, false, 1),
            ("[success=ok default=bad]", true, false, 0),
            ("[success=done system_err=die default=ignore]", true, true, 0),
            ("[success=3 default=2]", false, false, 3),
        ] {
            let control = Control(text.to_owned());
            assert_eq!((control.is_required(), control.may_end(), control.jump()), (required, ends, jump), "{text}");
        }
    }
}
