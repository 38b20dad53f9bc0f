//! Sends a record to journald with its fields, so that `journalctl IAM_SSH_OWNER=…` finds it.
//!
//! Everybody may send such fields. What journald adds itself begins with an underscore: `_UID=0` is what tells a record of ours.

use super::datagram;
use crate::record::{Record, What};
use std::cell::Cell;
use std::path::Path;

/// journald's own socket (systemd, "Native Journal Protocol").
const SOCKET: &str = "/run/systemd/journal/socket";
/// Where `/dev/log` leads to if it is journald's.
const FOLDER: &str = "/run/systemd/journal/";

/// Identify the messages (`journalctl MESSAGE_ID=…`).
const OPENED: &str = "6f1d0c3b8a5e4d7c9b20e4a7c85f1d36";
const CLOSED: &str = "b2c47e9150f84a3d8e6d1f0a97c3b584";
const REVOKED: &str = "0c5e8f27a1b94d60b3f7c2d85e4a9106";

/// Sends a record whose line, sealed, is `line`; whether journald took it. Waits for room as long as `patience` says.
pub fn send(record: &Record, line: &str, patience: &Cell<u16>) -> bool {
    datagram::send(Path::new(SOCKET), message(record, line).as_bytes(), patience)
}

/// Whether what is sent to `/dev/log` reaches journald, too.
#[must_use]
pub fn has_dev_log() -> bool {
    std::fs::canonicalize(super::syslog::DEV_LOG).is_ok_and(|real| real.starts_with(FOLDER))
}

/// The datagram: one `NAME=value` a line. No value of a record has a line break.
fn message(record: &Record, line: &str) -> String {
    let (event, id) = match record.what {
        What::Opened => ("opened", OPENED),
        What::Closed { .. } => ("closed", CLOSED),
        What::Revoked => ("revoked", REVOKED),
    };
    let mut text = format!(
        "MESSAGE={line}\nMESSAGE_ID={id}\nPRIORITY=5\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER={}\nSYSLOG_PID={}\nIAM_SSH_EVENT={event}\n",
        super::TAG,
        std::process::id(),
    );
    for (name, value) in record.fields() {
        let name = match name {
            "from" => "ADDRESS".to_owned(),
            "type" => "KEY_TYPE".to_owned(),
            "ses" => "AUDIT_SESSION".to_owned(),
            "sshd" => "SSHD_PID".to_owned(),
            other => other.to_ascii_uppercase(),
        };
        text += &format!("IAM_SSH_{name}={value}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    #[test]
    fn every_field_of_the_record_is_one_of_the_journal() {
        let record = Record { login: "x\nMESSAGE=forged".to_owned(), ..record() };
        let text = message(&record, "session opened x");
        assert!(text.ends_with('\n') && text.lines().all(|line| line.contains('=')), "{text}");
        for field in [
            "MESSAGE=session opened x",
            "IAM_SSH_OWNER=john@example.org",
            "IAM_SSH_ADDRESS=203.0.113.7",
            "IAM_SSH_AUDIT_SESSION=5",
        ] {
            assert_eq!(text.lines().filter(|line| *line == field).count(), 1, "{field}: {text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("MESSAGE=")).count(), 1, "{text}");
    }
}
