//! The journal's export format, entry by entry (systemd's "Journal Export Formats"): fields as `NAME=value` lines or, where a value
//! holds other than text, as `NAME`, its length in 8 bytes and its bytes; an empty line ends an entry.
//!
//! Fields whose names begin with `_` are journald's own, where it is journalctl that was asked and not a file, which
//! anybody may have written ([`Sender::Exported`]); the sender chose all others, and may have sent one several times,
//! with different values. Such an entry is [`Sender::Twisted`]. Where the form is broken, reading goes on at the next
//! entry; but as what looks like one may then be the inside of a value that somebody chose, no field counts as
//! journald's own from there on.

use super::lines::{KEPT, Lines};
use super::{Entry, Sender, is_ours, is_telling};
use std::io::{self, Read};

/// Every export begins an entry with an address of journald's.
pub const BEGINNING: &[u8] = b"__";
/// Longest name of a field.
const LONGEST_NAME: usize = 64;
/// Longest value that journald takes.
const LONGEST_VALUE: u64 = 768 * 1024 * 1024;

/// The fields that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Time,
    Boot,
    Transport,
    Uid,
    Pid,
    Comm,
    Identifier,
    Message,
}

/// What an entry has of one field.
#[derive(Debug, Default)]
struct Value {
    bytes: Vec<u8>,
    count: usize,
}

/// A reader of entries.
#[derive(Debug)]
pub struct Export<R> {
    lines: Lines<R>,
    values: [Value; 8],
    block: Vec<u8>,
    is_file: bool,
    doubted: bool,
    /// Entries that were read, of interest or not.
    pub whole: u64,
    /// Entries that were left out because their form is broken.
    pub broken: u64,
}

/// How reading one entry ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Entry,
    Broken,
    Nothing,
}

impl<R> Export<R> {
    /// What was read from.
    pub fn into_lines(self) -> Lines<R> {
        self.lines
    }
}

impl<R: Read> Export<R> {
    /// Reads from `lines`, which are those of a file or journalctl's own.
    #[must_use]
    pub fn new(lines: Lines<R>, is_file: bool) -> Self {
        Self { lines, values: Default::default(), block: Vec::new(), is_file, doubted: false, whole: 0, broken: 0 }
    }

    /// Hands every entry to `each`, until that says `false`.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn each(&mut self, mut each: impl FnMut(&Entry<'_>) -> bool) -> io::Result<()> {
        loop {
            match self.read()? {
                End::Nothing => return Ok(()),
                End::Broken => {
                    self.broken += 1;
                    self.doubted = true;
                    self.pass()?;
                }
                End::Entry => {
                    self.whole += 1;
                    if self.entry().is_some_and(|entry| !each(&entry)) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn read(&mut self) -> io::Result<End> {
        self.values.iter_mut().for_each(|value| value.count = 0);
        let mut begun = false;
        loop {
            let Some(line) = self.lines.line()? else {
                return Ok(if begun { End::Entry } else { End::Nothing });
            };
            if line.bytes.is_empty() {
                if begun {
                    return Ok(End::Entry);
                }
                continue;
            }
            begun = true;
            let beginning = line.bytes.get(..=LONGEST_NAME).unwrap_or(line.bytes);
            let at = memchr::memchr(b'=', beginning);
            let name = beginning.get(..at.unwrap_or(line.bytes.len())).unwrap_or_default();
            if !line.ended || !is_name(name) {
                return Ok(End::Broken);
            }
            let field = field(name);
            if let Some(at) = at {
                if let Some(field) = field {
                    put(&mut self.values, field, line.bytes.get(at + 1..).unwrap_or_default());
                }
            } else {
                let length = self.lines.peek(8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
                let Some(length) = length.filter(|length| *length <= LONGEST_VALUE) else {
                    return Ok(End::Broken);
                };
                self.lines.take(8);
                if !self.lines.block(length, &mut self.block)? {
                    return Ok(End::Broken);
                }
                if let Some(field) = field {
                    put(&mut self.values, field, &self.block);
                }
            }
        }
    }

    /// Passes over everything up to what looks like the beginning of an entry.
    fn pass(&mut self) -> io::Result<()> {
        loop {
            let Some(line) = self.lines.line()? else { return Ok(()) };
            let is_end = line.bytes.is_empty();
            if is_end && self.lines.peek(BEGINNING.len())?.starts_with(BEGINNING) {
                return Ok(());
            }
        }
    }

    /// What was read, if anything in it is of interest.
    fn entry(&self) -> Option<Entry<'_>> {
        let value = |field: Field| {
            let value = self.values.get(field as usize)?;
            (value.count > 0).then_some(value.bytes.as_slice())
        };
        let (identifier, message) = (value(Field::Identifier)?, value(Field::Message)?);
        if !is_ours(identifier) || !is_telling(message) {
            return None;
        }
        let time: i64 = number(value(Field::Time)?)?;
        let uid = value(Field::Uid).and_then(number);
        let pid = value(Field::Pid).and_then(number);
        let sender = if self.values.iter().any(|value| value.count > 1) {
            Sender::Twisted
        } else if self.doubted {
            Sender::Doubted
        } else {
            // A stream that a service writes to is its children's as well, and the kernel says nothing about logins.
            let is_own = matches!(value(Field::Transport), Some(b"syslog" | b"journal"));
            if self.is_file {
                Sender::Exported { own: is_own }
            } else {
                Sender::Journal { own: is_own, boot: value(Field::Boot).unwrap_or_default() }
            }
        };
        let comm = value(Field::Comm).unwrap_or_default();
        Some(Entry { time: time / 1000, identifier, message, sender, uid, pid, comm })
    }
}

/// What an entry has of a field again counts if it is what people look for: such an entry shall not hide.
fn put(values: &mut [Value; 8], field: Field, bytes: &[u8]) {
    let Some(value) = values.get_mut(field as usize) else { return };
    value.count += 1;
    let hides = match field {
        Field::Identifier => is_ours(bytes),
        Field::Message => is_telling(bytes),
        _ => false,
    };
    if value.count == 1 || hides {
        value.bytes.clear();
        value.bytes.extend_from_slice(bytes.get(..KEPT).unwrap_or(bytes));
    }
}

fn field(name: &[u8]) -> Option<Field> {
    Some(match name {
        b"__REALTIME_TIMESTAMP" => Field::Time,
        b"_BOOT_ID" => Field::Boot,
        b"_TRANSPORT" => Field::Transport,
        b"_UID" => Field::Uid,
        b"_PID" => Field::Pid,
        b"_COMM" => Field::Comm,
        b"SYSLOG_IDENTIFIER" => Field::Identifier,
        b"MESSAGE" => Field::Message,
        _ => return None,
    })
}

fn is_name(name: &[u8]) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795000000123456\n_BOOT_ID=ab\n_TRANSPORT=syslog\n_UID=0\n_PID=7\n\
                        SYSLOG_IDENTIFIER=sshd\nMESSAGE=Accepted x\n\n";

    /// Every entry of interest, as text, and how many were broken.
    fn read(bytes: &[u8]) -> (Vec<String>, u64) {
        let mut export = Export::new(Lines::new(bytes), false);
        let mut all = Vec::new();
        export
            .each(|entry| {
                let text = String::from_utf8_lossy(entry.message);
                all.push(format!("{} {:?} {:?} {text}", entry.time, entry.uid, entry.sender));
                true
            })
            .unwrap();
        (all, export.broken)
    }

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        [name.as_bytes(), b"\n", &(value.len() as u64).to_le_bytes(), value, b"\n"].concat()
    }

    const READ: &str = "1795000000123 Some(0) Journal { own: true, boot: [97, 98] } Accepted x";

    #[test]
    fn text_and_binary_fields_are_read() {
        let message = binary("MESSAGE", b"Accepted x");
        let other = binary("BLOB", b"\n\n__CURSOR=1\nMESSAGE=session opened\n\n");
        let entry = GOOD.replace("MESSAGE=Accepted x\n\n", "").into_bytes();
        let bytes = [&entry[..], &other, &message, b"\n", GOOD.as_bytes()].concat();
        assert_eq!(read(&bytes), (vec![READ.to_owned(), READ.to_owned()], 0));
        // The last one needs no empty line.
        assert_eq!(read(GOOD.trim_end().as_bytes()), (vec![], 1), "cut within a line");
        assert_eq!(read(format!("{}\n", GOOD.trim_end()).as_bytes()), (vec![READ.to_owned()], 0));
    }

    #[test]
    fn who_sends_a_field_twice_is_not_believed_and_does_not_hide() {
        for twice in ["MESSAGE=harmless\n", "SYSLOG_IDENTIFIER=harmless\n", "_UID=1000\n"] {
            for entry in [
                GOOD.replace("_TRANSPORT", &format!("{twice}_TRANSPORT")),
                GOOD.replace("Accepted x\n", &format!("Accepted x\n{twice}")),
            ] {
                let (entries, _) = read(entry.as_bytes());
                assert!(entries.len() == 1 && entries[0].contains("Twisted"), "{entry}: {entries:?}");
            }
        }
    }

    #[test]
    fn what_follows_a_broken_entry_is_read_but_not_believed() {
        for broken in ["no field\n\n", "lower=x\n\n", "A\n12345678\n\n", "MESSAGE\n\u{1}\0\0\0\0\0\0\0xy\n\n"] {
            let (entries, count) = read(format!("{GOOD}__CURSOR=x\n{broken}{GOOD}").as_bytes());
            assert_eq!((entries.len(), count), (2, 1), "{broken:?}: {entries:?}");
            assert!(entries[0] == READ && entries[1].contains("Doubted"), "{entries:?}");
        }
    }

    #[test]
    fn a_long_line_is_no_broken_one() {
        let long = format!("FIELD={}\n", "x".repeat(3 * 1024 * 1024));
        let entry = GOOD.replace("_UID", &format!("{long}_UID"));
        assert_eq!(read(entry.as_bytes()), (vec![READ.to_owned()], 0));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..150) {
            let _ = read(&bytes);
            let at = at.min(GOOD.len());
            let mut within = GOOD.as_bytes().to_vec();
            within.splice(at..at, bytes);
            within.extend(GOOD.as_bytes());
            prop_assert!(read(&within).0.len() <= 3);
        }
    }
}
