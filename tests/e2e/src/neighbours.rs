//! Others who already have sshd's AuthorizedKeysCommand: each with its real place, program, arguments and user; the program is a script
//! that records how it was run and prints keys, from a file that only its user can read where it is one that may depend on its user.

use std::collections::BTreeMap;

use crate::debian::{Debian, SSHD_CONFIG};
use crate::keys::Key;

/// Where a neighbour's keys are.
const KEYS: &str = "/etc/theirs/keys";
/// What its program does before it prints them: shell.
const MANNERS: &str = "/etc/theirs/manners";
const ASKED: &str = "/var/lib/theirs/asked";

/// Where a neighbour tells sshd of its command.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Two lines at the end of sshd_config.
    MainFile,
    /// A drop-in of sshd's.
    DropIn(&'static str),
    /// A drop-in of systemd's for this unit, with `-o` on sshd's command line.
    Unit(&'static str),
    /// A block at the end of sshd_config, for this login user alone.
    MatchUser(&'static str),
}

/// Somebody else's AuthorizedKeysCommand.
#[derive(Clone, Copy, Debug)]
pub struct Neighbour {
    /// Its program.
    pub program: &'static str,
    /// Its arguments, in sshd's tokens.
    pub arguments: &'static str,
    /// The user that it runs as.
    pub account: &'static str,
    /// Whether any other user would do, as for what only asks a service that everybody may ask.
    pub any_account: bool,
    /// How sshd knows.
    pub place: Place,
}

/// EC2 Instance Connect on Amazon Linux.
pub const EIC_AMAZON_LINUX: Neighbour = Neighbour {
    program: "/opt/aws/bin/eic_run_authorized_keys",
    arguments: " %u %f",
    account: "ec2-instance-connect",
    any_account: true,
    place: Place::MainFile,
};

/// EC2 Instance Connect on Ubuntu.
pub const EIC_UBUNTU: Neighbour = Neighbour {
    program: "/usr/share/ec2-instance-connect/eic_run_authorized_keys",
    arguments: " %u %f",
    account: "ec2-instance-connect",
    any_account: true,
    place: Place::Unit("ssh.service"),
};

/// EC2 Instance Connect on RHEL 8: the same for a unit of another name.
pub const EIC_RHEL_8: Neighbour =
    Neighbour { program: "/opt/aws/bin/eic_run_authorized_keys", place: Place::Unit("sshd.service"), ..EIC_UBUNTU };

/// EC2 Instance Connect on RHEL 9.
pub const EIC_RHEL_9: Neighbour =
    Neighbour { place: Place::DropIn("60-ec2-instance-connect.conf"), ..EIC_AMAZON_LINUX };

/// SSSD, as FreeIPA's client sets it up: it sorts before us, and its program gets the user's name without asking for it.
pub const SSSD: Neighbour = Neighbour {
    program: "/usr/bin/sss_ssh_authorizedkeys",
    arguments: "",
    account: "nobody",
    any_account: true,
    place: Place::DropIn("04-ipa.conf"),
};

/// systemd's own.
pub const USERDB: Neighbour = Neighbour {
    program: "/usr/bin/userdbctl",
    arguments: " ssh-authorized-keys %u",
    account: "root",
    any_account: false,
    place: Place::DropIn("20-systemd-userdb.conf"),
};

/// An administrator's own, with a user of its own and every token that is fit for an argument.
pub const ADMINISTRATORS: Neighbour = Neighbour {
    program: "/usr/local/sbin/company-keys",
    arguments: " --user=%u %U %h %t %k %f 100%%",
    account: "keymaster",
    any_account: false,
    place: Place::DropIn("50-company.conf"),
};

/// An administrator's own for one login user.
pub const GAMES: Neighbour = Neighbour { place: Place::MatchUser("gamer"), ..ADMINISTRATORS };

impl Neighbour {
    /// Puts its files there and lets `key` in. sshd does not read them before it is told to.
    pub fn moves_in(&self, debian: &Debian, key: &Key) {
        self.brings_its_program(debian, key);
        self.is_wired(debian);
    }

    /// Its files without the wiring.
    pub fn brings_its_program(&self, debian: &Debian, key: &Key) {
        let Self { program, account, .. } = self;
        let make = format!(
            "getent passwd {account} >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin {account}"
        );
        debian.run(&make).expect_ok();
        self.lets_in(debian, &[key]);
        debian.write(MANNERS, "", 0o644);
        debian.write(ASKED, "", 0o666);
        let (who, whose) = if self.any_account { ("", "|USER|LOGNAME|HOME") } else { ("id; ", "") };
        let script = format!(
            "#!/bin/sh\n{{ {who}umask; pwd; echo \"$0 $# arguments:\"; printf '[%s]' \"$@\"; echo; \
             env | grep -Ev '^(_|IAM_SSH_NESTED{whose})=' | sort; echo; }} >>{ASKED}\n. {MANNERS}\ncat {KEYS}\n"
        );
        debian.write(program, script, 0o755);
    }

    /// Lets exactly these keys in.
    pub fn lets_in(&self, debian: &Debian, keys: &[&Key]) {
        let mode = if self.any_account { 0o444 } else { 0o400 };
        debian.write(KEYS, keys.iter().map(|key| format!("{}\n", key.line())).collect::<String>(), mode);
        debian.run(&format!("chown {}: {KEYS}", self.account)).expect_ok();
    }

    /// Its program does this first.
    pub fn behaves(&self, debian: &Debian, shell: &str) {
        debian.write(MANNERS, format!("{shell}\n"), 0o644);
    }

    /// The wiring alone.
    pub fn is_wired(&self, debian: &Debian) {
        let command = format!("{}{}", self.program, self.arguments);
        let settings = format!("AuthorizedKeysCommand {command}\nAuthorizedKeysCommandUser {}\n", self.account);
        let append = |text: &str| {
            debian.write(SSHD_CONFIG, debian.read(SSHD_CONFIG).unwrap() + text, 0o644);
        };
        match self.place {
            Place::MainFile => append(&format!("\n{settings}")),
            Place::MatchUser(user) => append(&format!("\nMatch User {user}\n{settings}")),
            Place::DropIn(name) => debian.write(&format!("/etc/ssh/sshd_config.d/{name}"), settings, 0o600),
            Place::Unit(_) => {
                let (specified, account) = (command.replace('%', "%%"), self.account);
                let unit = format!(
                    "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -o \"AuthorizedKeysCommand {specified}\" \
                     -o \"AuthorizedKeysCommandUser {account}\" $SSHD_OPTS\n"
                );
                debian.write(&self.file().unwrap(), unit, 0o644);
            }
        }
    }

    /// The file that is its wiring, where that is a file of its own.
    #[must_use]
    pub fn file(&self) -> Option<String> {
        match self.place {
            Place::DropIn(name) => Some(format!("/etc/ssh/sshd_config.d/{name}")),
            Place::Unit(unit) => Some(format!("/lib/systemd/system/{unit}.d/ec2-instance-connect.conf")),
            Place::MainFile | Place::MatchUser(_) => None,
        }
    }
}

/// Makes an sshd that shuts out whoever fails too often (OpenSSH 9.8 and later) bear with this test.
pub fn bear_with_failed_logins(debian: &Debian) {
    let exempt = "! sshd -T | grep -qi '^persourcepenalties' || \
        echo PerSourcePenaltyExemptList 127.0.0.0/8 >/etc/ssh/sshd_config.d/99-exempt.conf";
    debian.run(exempt).expect_ok();
}

/// How a neighbour's program was run since this was asked last: its user and groups where they matter, umask, folder, arguments and
/// environment, each time.
#[must_use]
pub fn asked(debian: &Debian) -> Vec<String> {
    let runs = debian.read(ASKED).unwrap();
    debian.write(ASKED, "", 0o666);
    runs.split_terminator("\n\n").map(str::to_owned).collect()
}

/// Of each of these login users whether `key` logs them in, and how the neighbour was asked meanwhile.
#[must_use]
pub fn served(debian: &Debian, users: &[&str], key: &Key) -> BTreeMap<String, (bool, Vec<String>)> {
    let _ = asked(debian);
    let serve = |user: &&str| {
        let login = debian.login(user).key(key).run("true");
        assert!(login.ok() || login.refused(), "{login}");
        ((*user).to_owned(), (login.ok(), asked(debian)))
    };
    users.iter().map(serve).collect()
}
