//! Which users are published at all: those of some groups, paths or tags, or everybody. Pure.
//!
//! It must never read a setting that names nobody as one that names everybody, nor the other way round.

pub(crate) mod term;

use crate::account::{User, same_name};
use term::{Tag, escaped, group_name, terms};

/// Which users are in scope. By default everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Group(String),
    Path(String),
    Tag(Tag),
}

impl Scope {
    /// Reads terms that are separated by `;` or line breaks: `group:<name>`, `path:</prefix/>`, `tag:<key>`,
    /// `tag:<key>=<value>`. A user is in scope whom any of them fits. Nothing at all means everybody.
    ///
    /// A tag's key ends at the first `=`, and what holds a `;` cannot be named.
    ///
    /// # Errors
    /// What is wrong with which term, for people; the term is escaped.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let terms: Vec<Term> = terms(text).map(Term::parse).collect::<Result<_, _>>()?;
        if terms.is_empty() {
            return Err(format!("`{}` names nobody; leave it empty for everybody, or {FORMS}", escaped(text)));
        }
        Ok(Self(terms))
    }

    /// Whether this user is in scope. Names of groups and keys of tags are compared as IAM does, ignoring case.
    #[must_use]
    pub fn includes(&self, user: &User) -> bool {
        self.is_everybody() || self.0.iter().any(|term| term.fits(user))
    }

    /// Whether everybody is.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.0.is_empty()
    }
}

const FORMS: &str =
    "write group:<name>, path:</prefix/>, tag:<key> or tag:<key>=<value>, several of them separated by `;`";

impl Term {
    fn parse(text: &str) -> Result<Self, String> {
        let term = match text.split_once(':') {
            Some(("group", name)) => group_name(name).map(Self::Group),
            Some(("path", path)) => is_path(path).then(|| Self::Path(path.to_owned())),
            Some(("tag", tag)) => Tag::parse(tag).map(Self::Tag),
            _ => None,
        };
        term.ok_or_else(|| format!("`{}` is no term of a scope: {FORMS}", escaped(text)))
    }

    fn fits(&self, user: &User) -> bool {
        match self {
            Self::Group(name) => user.groups.iter().any(|group| same_name(group, name)),
            Self::Path(prefix) => user.path.starts_with(prefix),
            Self::Tag(tag) => tag.fits(&user.tags),
        }
    }
}

/// Whether it has the form of an IAM path (`pathType`), which is that of every prefix of one that ends where a part
/// ends.
fn is_path(text: &str) -> bool {
    let (first, last) = (text.starts_with('/'), text.ends_with('/'));
    first && last && text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(path: &str, groups: &[&str], tags: &[(&str, &str)]) -> User {
        let owned = |text: &&str| (*text).to_owned();
        User {
            path: path.to_owned(),
            groups: groups.iter().map(owned).collect(),
            tags: tags.iter().map(|(key, value)| (owned(key), owned(value))).collect(),
            ..User::default()
        }
    }

    #[test]
    fn nothing_means_everybody_and_only_nothing_does() {
        for text in ["", " \n "] {
            let scope = Scope::parse(text).unwrap();
            assert!(scope.is_everybody() && scope.includes(&User::default()), "{text:?}");
        }
        for text in [";", " ; \n;"] {
            assert!(Scope::parse(text).unwrap_err().contains("names nobody"), "{text:?}");
        }
        assert_eq!(Scope::parse("").unwrap(), Scope::default());
    }

    #[test]
    fn any_term_is_enough() {
        let scope = Scope::parse(" group:Ops ;\npath:/dev/;tag:ssh;tag:Team=a=b;tag:empty=;").unwrap();
        assert!(!scope.is_everybody());
        for inside in [
            user("/", &["Other", "oPS"], &[]),
            user("/dev/", &[], &[]),
            user("/dev/eu/", &[], &[]),
            user("/", &[], &[("SSH", "")]),
            user("/", &[], &[("team", "a=b")]),
            user("/", &[], &[("empty", "")]),
        ] {
            assert!(scope.includes(&inside), "{inside:?}");
        }
        for outside in [
            user("/", &["Ops2", "Op"], &[]),
            user("/Dev/", &[], &[]),
            user("/eu/dev/", &[], &[]),
            user("/", &[], &[("team", "A=b"), ("ssh2", ""), ("empty", "x")]),
        ] {
            assert!(!scope.includes(&outside), "{outside:?}");
        }
    }

    #[test]
    fn a_bad_term_is_quoted_and_the_forms_are_told() {
        for bad in [
            "ops",
            "Group:ops",
            "group:",
            "group:a b",
            "group:..",
            "path:dev",
            "path:/dev",
            "path:dev/",
            "path:/a b/",
            "tag:",
            "tag:=x",
            "user:john",
            "group:a;b\u{1b}[2J",
        ] {
            let why = Scope::parse(bad).unwrap_err();
            assert!(why.contains("group:<name>") && why.is_ascii() && !why.contains('\u{1b}'), "{bad}: {why}");
        }
        assert!(Scope::parse("group:a;b\u{1b}").unwrap_err().starts_with("`b\\x1b` is no term"), "only the bad one");
    }
}
