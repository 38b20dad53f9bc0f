//! `sshrc`: run by `/etc/ssh/sshrc` at the beginning of every session, as the user who logged in.
//!
//! Logs the seed's owner line, does sshd's X11 step, greets on a terminal. It must never fail a login, never wait
//! long, and never write to a stdout that is not a terminal. Being run as the user, it proves nothing: the record to
//! trust is made by root.

use crate::audit::Event;
use crate::audit::syslog::Syslog;
use crate::exit::Exit;
use crate::session::xauth::{self, Cookie};
use crate::session::{Session, Variables};
use crate::{connection, owners};
use nix::fcntl::OFlag;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::ExitCode;

/// Syslog tag of the owner line: the seed's, so that existing log searches still find it.
const OWNER_TAG: &str = "sshd";

/// Most that is read of sshd's account of what was proven, in bytes: the largest key takes 16 KB.
const MAX_ACCOUNT: u64 = 64 * 1024;

/// Seconds after which the program is ended whatever it does.
const LAST_RESORT: u32 = 10;

/// Runs the program. Always succeeds.
#[must_use]
pub fn main() -> ExitCode {
    nix::unistd::alarm::set(LAST_RESORT);
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let variables = Variables {
        key_owner: variable(iam_ssh_core::keyline::OWNER_VARIABLE)
            .or_else(|| owner_by_key(&variable("SSH_USER_AUTH")?)),
        client: variable("SSH_CLIENT"),
        tty: variable("SSH_TTY"),
        display: variable("DISPLAY"),
    };
    let session = Session::parse(&variables);
    Syslog::new(OWNER_TAG).send(&session.event());
    if let Some(display) = variables.display.as_deref().filter(|d| !d.is_empty()) {
        store_cookie(display);
    }
    let mut stdout = io::stdout();
    if let Some(greeting) = session.greeting(stdout.is_terminal()) {
        // A terminal that is gone is no reason to say anything.
        let _ = writeln!(stdout, "{greeting}");
    }
    Exit::Ok.into()
}

/// The owner by the key, where the key's line may set no variable (`user_environment = false`): sshd tells the session in a file what was
/// proven, and `session-audit` noted whose key that is.
fn owner_by_key(account: &str) -> Option<String> {
    // The file is the user's own: it may be anything by now.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(account).ok()?;
    let mut text = String::new();
    file.take(MAX_ACCOUNT).read_to_string(&mut text).ok()?;
    let (_, keys) = connection::proven(&text);
    keys.iter().find_map(owners::of).map(|owner| owner.as_str().to_owned())
}

fn store_cookie(display: &str) {
    let cookie = xauth::read_line(io::stdin()).and_then(|line| Cookie::parse(display, &line));
    if let Some(Err(error)) = cookie.map(|cookie| cookie.store()) {
        Syslog::new(crate::audit::TAG)
            .send(&Event::warning(format!("X11 programs of this session may be refused: {error}")));
    }
}
