//! One line of `authorized_keys`: the only parser and the only renderer of iam-ssh.
//!
//! What S3 serves is parsed into a [`KeyLine`] and rendered again from its values before sshd sees it; bytes from
//! outside are never echoed. A line without `SSH_KEY_OWNER` is refused: a login whose owner nobody can name is not
//! one that iam-ssh opens.

use crate::key::{KeyError, KeyType, PublicKey};
use crate::name::{Name, NameError};
use crate::options::{self, KeyOption, OptionError, RawOption};
use std::fmt;

/// Longest line in bytes: IAM's largest key body and room for options.
pub const MAX_LINE_LEN: usize = 32 * 1024;

/// The variable that names the owner in the session.
pub const OWNER_VARIABLE: &str = "SSH_KEY_OWNER";

/// A key, whose it is, and what its logins may not do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyLine {
    options: Vec<KeyOption>,
    owner: Name,
    key: PublicKey,
}

/// Why a line is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineError {
    /// Longer than [`MAX_LINE_LEN`]; its length in bytes.
    TooLong(usize),
    /// A NUL or another control character, or options or key that are not ASCII.
    NotText,
    /// Options that are refused.
    Options(OptionError),
    /// No `environment="SSH_KEY_OWNER=…"`.
    NoOwner,
    /// `SSH_KEY_OWNER` stands there twice, or `environment` sets another variable.
    Environment,
    /// The owner is not an IAM user name.
    Owner(NameError),
    /// The owner is not the user whose document this is; both names.
    WrongOwner(Name, Name),
    /// The key is refused.
    Key(KeyError),
}

impl KeyLine {
    /// A line for `key`, owned by `owner`, with `options` in the order given.
    #[must_use]
    pub fn new(options: Vec<KeyOption>, owner: Name, key: PublicKey) -> Self {
        Self { options, owner, key }
    }

    /// Parses one line without its line break; leading and trailing white space and a trailing `\r` do not count.
    /// The comment behind the key is dropped.
    ///
    /// # Errors
    /// [`LineError`]: see there.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        if line.len() > MAX_LINE_LEN {
            return Err(LineError::TooLong(line.len()));
        }
        let line = line.trim_ascii();
        if line.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
            return Err(LineError::NotText);
        }
        // A comment may be in any encoding; what counts must be ASCII.
        let ascii = line.iter().position(|b| !b.is_ascii()).unwrap_or(line.len());
        let text = line.get(..ascii).and_then(|head| std::str::from_utf8(head).ok()).ok_or(LineError::NotText)?;
        let cut_short = ascii < line.len();

        let (raw, rest) = match text.split_once([' ', '\t']) {
            Some((first, _)) if KeyType::from_name(first).is_some() => (Vec::new(), text),
            _ => {
                options::split(text).map_err(|e| if cut_short { LineError::NotText } else { LineError::Options(e) })?
            }
        };
        let (environment, raw): (Vec<RawOption>, Vec<RawOption>) =
            raw.into_iter().partition(|o| o.name.eq_ignore_ascii_case("environment"));
        let options = options::check(&raw).map_err(LineError::Options)?;
        let owner = owner_of(&environment)?;
        // Where the text ends at a foreign byte, the key must have ended before it.
        if cut_short && rest.split_ascii_whitespace().count() < 3 && !text.ends_with([' ', '\t']) {
            return Err(LineError::NotText);
        }
        let key = PublicKey::from_openssh(rest).map_err(LineError::Key)?;
        Ok(Self { options, owner, key })
    }

    /// Whose key it is.
    #[must_use]
    pub fn owner(&self) -> &Name {
        &self.owner
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The options, without `environment`.
    #[must_use]
    pub fn options(&self) -> &[KeyOption] {
        &self.options
    }

    /// Whether the line's `expiry-time`, if it has one, lies at or before `now` (seconds since 1970 UTC).
    #[must_use]
    pub fn has_expired(&self, now: i64) -> bool {
        self.options.iter().any(|o| matches!(o, KeyOption::ExpiryTime(at) if at.has_passed(now)))
    }

    /// The line as sshd is to see it: `no-user-rc` first unless `user_rc`, and no `expiry-time`, which was judged
    /// by [`KeyLine::has_expired`].
    #[must_use]
    pub fn for_sshd(&self, user_rc: bool) -> Self {
        let mut options = Vec::with_capacity(self.options.len() + 1);
        if !user_rc {
            options.push(KeyOption::NO_USER_RC);
        }
        let kept = self.options.iter().filter(|o| !matches!(o, KeyOption::ExpiryTime(_)));
        options.extend(kept.filter(|o| user_rc || **o != KeyOption::NO_USER_RC).cloned());
        Self { options, owner: self.owner.clone(), key: self.key.clone() }
    }
}

fn owner_of(environment: &[RawOption]) -> Result<Name, LineError> {
    let [assignment] = environment else {
        return Err(if environment.is_empty() { LineError::NoOwner } else { LineError::Environment });
    };
    match assignment.value.as_deref().and_then(|v| v.split_once('=')) {
        Some((OWNER_VARIABLE, owner)) => Name::new(owner).map_err(LineError::Owner),
        _ => Err(LineError::Environment),
    }
}

impl fmt::Display for KeyLine {
    /// The renderer: options, `environment="SSH_KEY_OWNER=<owner>"`, type, base64, and the owner as comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for option in &self.options {
            write!(f, "{option},")?;
        }
        write!(f, "environment=\"{OWNER_VARIABLE}={}\" {} {}", self.owner, self.key, self.owner)
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(len) => write!(f, "the line is {len} bytes long, the limit is {MAX_LINE_LEN}"),
            Self::NotText => write!(f, "the line holds NUL, control or non-ASCII bytes"),
            Self::Options(why) => why.fmt(f),
            Self::NoOwner => write!(f, "the line names no owner (environment=\"{OWNER_VARIABLE}=…\")"),
            Self::Environment => write!(f, "environment may set {OWNER_VARIABLE} once and nothing else"),
            Self::Owner(why) => write!(f, "the owner is no IAM user name: {why}"),
            Self::WrongOwner(owner, user) => {
                write!(f, "the key's owner is {owner}, but this is the document of {user}")
            }
            Self::Key(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for LineError {}
