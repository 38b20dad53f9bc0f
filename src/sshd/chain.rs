//! The AuthorizedKeysCommand that sshd would run without iam-ssh: how it is recorded, and how it is called after a
//! miss. Pure.
//!
//! sshd has room for one command, and iam-ssh takes it; so it asks the other one, with the same arguments, as the same
//! user. A command that cannot be called just as sshd would call it is not taken over: [`Other::check`] says why.

use super::config::words;
use super::shown;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Where the record is kept while sshd is wired. In `/etc`, which sshd may read also under SELinux.
pub const RECORD: &str = "/etc/iam-ssh/wired.toml";
/// How the first line of a record begins.
pub const RECORD_MARK: &str = "# Written by `iam-ssh wire`";

/// Programs that look at nothing their user has: EC2 Instance Connect's (Amazon Linux and RHEL, Ubuntu) and SSSD's. They
/// are run as our own user, so that nothing of iam-ssh has to run as root for them.
const ANY_USER: [&str; 3] = [
    "/opt/aws/bin/eic_run_authorized_keys",
    "/usr/share/ec2-instance-connect/eic_run_authorized_keys",
    "/usr/bin/sss_ssh_authorizedkeys",
];
/// How a command is marked that is asked after a miss, in its environment: if it calls our lookup itself, that must not ask
/// it again.
pub const NESTED: &str = "IAM_SSH_NESTED";

/// An AuthorizedKeysCommand of somebody else, as sshd's configuration has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Other {
    /// The command with its arguments, or `none`.
    pub command: String,
    /// AuthorizedKeysCommandUser.
    pub user: String,
}

/// What sshd would run without iam-ssh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// For every login user who is not named below.
    pub other: Option<Other>,
    /// For these login users.
    #[serde(default)]
    pub login: BTreeMap<String, Other>,
}

/// What sshd was asked, for a command's tokens.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// `%u`
    pub login: &'a str,
    /// `%t`
    pub key_type: &'a str,
    /// `%k`
    pub key: &'a str,
    /// `%f`
    pub fingerprint: &'a str,
    /// `%h`
    pub home: &'a str,
    /// `%U`
    pub uid: u32,
}

impl Other {
    /// Whether there is a command at all.
    #[must_use]
    pub fn is_some(&self) -> bool {
        !self.command.is_empty() && !self.command.eq_ignore_ascii_case("none")
    }

    /// The path of its program.
    #[must_use]
    pub fn program(&self) -> String {
        words(&self.command, false).into_iter().next().unwrap_or_default()
    }

    /// Whether it must run as its own user, not as ours.
    #[must_use]
    pub fn needs_its_user(&self) -> bool {
        let program = self.program();
        self.is_some() && !ANY_USER.contains(&program.as_str())
    }

    /// Whether it can be called as sshd would call it; `sha256` tells whether that is sshd's FingerprintHash.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self, sha256: bool) -> Result<(), String> {
        if !self.program().starts_with('/') {
            return Err("its path is not absolute".to_owned());
        }
        if self.user.is_empty() || self.user.eq_ignore_ascii_case("none") {
            return Err("it has no AuthorizedKeysCommandUser".to_owned());
        }
        let odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        if [&self.command, &self.user].into_iter().any(|text| text.contains(odd)) {
            return Err("it has characters that are no text".to_owned());
        }
        for token in tokens(&self.command) {
            match token {
                'f' if !sha256 => return Err("it takes `%f`, and FingerprintHash is not sha256".to_owned()),
                '%' | 'u' | 'h' | 'U' | 't' | 'k' | 'f' => {}
                other => return Err(format!("iam-ssh is not told sshd's `%{other}`")),
            }
        }
        match tokens(&self.user).find(|token| !matches!(token, 'u' | '%')) {
            Some(token) => Err(format!("iam-ssh does not know `%{token}` in AuthorizedKeysCommandUser")),
            None => Ok(()),
        }
    }

    /// Program and arguments for an offer. Without arguments of its own a command gets the login user, as from sshd.
    #[must_use]
    pub fn arguments(&self, offer: &Offer<'_>) -> Vec<String> {
        let mut words = words(&self.command, false).into_iter();
        // sshd does not expand the program's path.
        let program = words.next().unwrap_or_default();
        let mut arguments: Vec<String> = words.map(|word| offer.expand(&word)).collect();
        if arguments.is_empty() {
            arguments.push(offer.login.to_owned());
        }
        arguments.insert(0, program);
        arguments
    }

    /// The name of the account that it runs as.
    #[must_use]
    pub fn account(&self, offer: &Offer<'_>) -> String {
        offer.expand(&self.user)
    }

    /// Whether a token that only the login user's account can tell is asked for.
    #[must_use]
    pub fn asks_for_account(&self) -> bool {
        tokens(&self.command).any(|token| matches!(token, 'h' | 'U'))
    }
}

/// The letters behind every `%`, those of the program's path excepted.
fn tokens(text: &str) -> impl Iterator<Item = char> + '_ {
    let mut chars = text.chars();
    std::iter::from_fn(move || {
        chars.find(|c| *c == '%')?;
        // A `%` at the end stands for no token that sshd knows.
        Some(chars.next().unwrap_or(' '))
    })
}

impl Offer<'_> {
    fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (c == '%').then(|| chars.next()).flatten() {
                Some('u') => expanded.push_str(self.login),
                Some('t') => expanded.push_str(self.key_type),
                Some('k') => expanded.push_str(self.key),
                Some('f') => expanded.push_str(self.fingerprint),
                Some('h') => expanded.push_str(self.home),
                Some('U') => expanded.push_str(&self.uid.to_string()),
                Some(other) => expanded.push(other),
                None => expanded.push(c),
            }
        }
        expanded
    }
}

impl Record {
    /// What sshd would run for a login user.
    #[must_use]
    pub fn for_login(&self, login: &str) -> Option<&Other> {
        self.login.get(login).or(self.other.as_ref()).filter(|other| other.is_some())
    }

    /// All commands.
    pub fn commands(&self) -> impl Iterator<Item = &Other> {
        self.other.iter().chain(self.login.values()).filter(|other| other.is_some())
    }

    /// Whether there is nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands().next().is_none()
    }

    /// Whether one of them must run as its own user, which only root can make so.
    #[must_use]
    pub fn needs_root(&self) -> bool {
        self.commands().any(Other::needs_its_user)
    }

    /// The record's text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!(
            "{RECORD_MARK}, removed by `iam-ssh unwire`: the AuthorizedKeysCommand that sshd would run without iam-ssh. It\n\
             # is asked where iam-ssh finds nothing. Do not edit; after a change of sshd's configuration run `iam-ssh wire`.\n"
        );
        // A JSON string without control characters is a TOML string.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut table = |name: &str, other: &Other| {
            let _ = write!(text, "\n[{name}]\ncommand = {}\nuser = {}\n", quoted(&other.command), quoted(&other.user));
        };
        if let Some(other) = &self.other {
            table("other", other);
        }
        for (login, other) in &self.login {
            table(&format!("login.{}", quoted(login)), other);
        }
        text
    }

    /// Reads a record.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| shown(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(command: &str, user: &str) -> Other {
        Other { command: command.to_owned(), user: user.to_owned() }
    }

    const OFFER: Offer<'_> = Offer {
        login: "ec2-user",
        key_type: "ssh-ed25519",
        key: "AAAA",
        fingerprint: "SHA256:x",
        home: "/home/ec2-user",
        uid: 1000,
    };

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut record = Record { other: Some(other("/bin/a \"%u\" \\ %%", "nobody")), login: BTreeMap::new() };
        record.login.insert("ga.m\"es".to_owned(), other("none", ""));
        let text = record.render();
        assert!(text.starts_with(RECORD_MARK) && text.lines().all(|line| line.len() <= 132), "{text}");
        assert_eq!(Record::parse(&text), Ok(record.clone()));
        assert_eq!(record.for_login("x").map(|o| o.user.as_str()), Some("nobody"));
        assert_eq!(record.for_login("ga.m\"es"), None);
        assert_eq!(Record::parse(&Record::default().render()), Ok(Record::default()));
        assert!(Record::parse("command = 1").is_err());
    }

    #[test]
    fn a_command_is_called_as_sshd_calls_it() {
        let of = |command: &str| other(command, "keys-%u").arguments(&OFFER).join("|");
        assert_eq!(of("/bin/%u"), "/bin/%u|ec2-user");
        assert_eq!(
            of("/bin/a %u %t %k %f %h %U 100%%"),
            "/bin/a|ec2-user|ssh-ed25519|AAAA|SHA256:x|/home/ec2-user|1000|100%"
        );
        assert_eq!(of("/bin/a \"x y\" # %u"), "/bin/a|x y|#|ec2-user");
        assert_eq!(other("/bin/a", "keys-%u").account(&OFFER), "keys-ec2-user");
    }

    #[test]
    fn what_cannot_be_called_so_is_refused() {
        for good in ["/bin/a", "/bin/a %u %f", "/bin/a %h%U%%"] {
            assert_eq!(other(good, "nobody").check(true), Ok(()), "{good}");
        }
        for bad in ["bin/a", "/bin/a %C", "/bin/a %D", "/bin/a %", "/bin/a \u{1b}"] {
            assert!(other(bad, "nobody").check(true).is_err(), "{bad}");
        }
        assert!(other("/bin/a %f", "nobody").check(false).is_err());
        assert!(other("/bin/a", "").check(true).is_err() && other("/bin/a", "%h").check(true).is_err());
    }

    #[test]
    fn only_commands_that_are_known_run_as_our_user() {
        let neighbours = ["/opt/aws/bin/eic_run_authorized_keys %u %f", "/usr/bin/sss_ssh_authorizedkeys"];
        assert!(neighbours.into_iter().all(|command| !other(command, "x").needs_its_user()));
        assert!(other("/usr/local/bin/sss_ssh_authorizedkeys", "x").needs_its_user(), "another program of that name");
        assert!(other("/usr/bin/userdbctl ssh-authorized-keys %u", "root").needs_its_user());
        assert!(!other("none", "").needs_its_user());
    }
}
