//! `aws-double <address> [setting…]`: the double as a process of its own, until it is killed or its standard input ends
//! (`forever` is for shells, which give a background process an input that has ended).
//!
//! For the demo and for tests that start in a shell: mostly the metadata service, which moto cannot be. It must never listen anywhere
//! by default: the address is an argument.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use crate::Double;

const USAGE: &str = "usage: aws-double <address:port> [role=<name>] [no-role] [region=<region>] [tag:<key>=<value>] \
[bucket=<name>] [parameter:<name>=<value>] [forever]
[account=<number>] [populate=<users>,<keys per user>,<groups>,<groups per user>] [page-cap=<entries>]
[throttle=<calls a second>,<burst>] [lag=<seconds>]
It prints its URL and serves until its standard input ends, with `forever` until it is killed.";

/// Runs the program: prints the endpoint's URL, then waits for the end of standard input. Exit code 2 for bad arguments.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(address) = arguments.next() else { return complain(USAGE) };
    let double = match Double::start(address.as_str()) {
        Ok(double) => double,
        Err(error) => return complain(&format!("cannot listen on {address}: {error}")),
    };
    let mut forever = false;
    for setting in arguments {
        if setting == "forever" {
            forever = true;
        } else if !apply(&double, &setting) {
            return complain(&format!("unknown setting {setting:?}\n{USAGE}"));
        }
    }
    let mut out = std::io::stdout();
    if writeln!(out, "{}", double.url()).and_then(|()| out.flush()).is_err() {
        return ExitCode::FAILURE;
    }
    if forever {
        loop {
            std::thread::park();
        }
    }
    // Serves until whoever started it closes the pipe or kills it.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

fn complain(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "aws-double: {text}");
    ExitCode::from(2)
}

/// Applies one setting; `false` if it is not one.
fn apply(double: &Double, setting: &str) -> bool {
    if setting == "no-role" {
        double.set_role(None);
        return true;
    }
    let Some((name, value)) = setting.split_once('=') else { return false };
    match (name, name.split_once(':')) {
        ("role", _) => double.set_role(Some(value)),
        ("region", _) => double.set_region(value),
        ("bucket", _) => double.add_bucket(value),
        (_, Some(("tag", key))) => double.set_tag(key, value),
        (_, Some(("parameter", key))) => double.put_parameter(key, value),
        ("account", _) => double.set_account(value),
        _ => return apply_numbers(double, name, value),
    };
    true
}

/// The same for settings whose values are numbers, separated by commas.
fn apply_numbers(double: &Double, name: &str, value: &str) -> bool {
    match (name, numbers::<usize>(value).as_deref(), numbers::<f64>(value).as_deref()) {
        ("populate", Some(&[users, keys, groups, memberships]), _) => double.populate(users, keys, groups, memberships),
        ("page-cap", Some(&[entries]), _) => double.page_cap(entries),
        ("throttle", _, Some(&[rate, burst])) => double.throttle(rate, burst),
        ("lag", _, Some(&[seconds])) => match Duration::try_from_secs_f64(seconds) {
            Ok(lag) => double.lag(lag),
            Err(_) => return false,
        },
        _ => return false,
    };
    true
}

fn numbers<T: FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(',').map(|number| number.parse().ok()).collect()
}
