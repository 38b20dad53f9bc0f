//! The block of ours in a file of the administrator's: at the end of sshd_config, where that includes no drop-in, and in
//! PAM's file for sshd, where no `pam-auth-update` puts the session hook in. Pure.
//!
//! It is the only thing ever written to such a file, and it can be taken out again to the byte. In sshd_config it must be
//! the last: a `Match` block goes on to the end of the file.

/// How the block's first line begins.
const BEGIN: &str = "# Begin of what `iam-ssh wire` wrote";
/// The block's last line.
const END: &str = "# End of what `iam-ssh wire` wrote";
/// Says that the line before had no line end; the one that it has now belongs to the block.
const NO_LINE_END: &str = ", with the end of the line before";

/// `text` with the block at its end. An earlier one is replaced.
#[must_use]
pub fn with(text: &str, settings: &str) -> String {
    let text = without(text);
    let end = text.len();
    insert(&text, end, ", and keep it last", settings)
}

/// `text`, which has no block, with one at this place, where a line begins or the text ends.
#[must_use]
pub fn with_at(text: &str, at: usize, settings: &str) -> String {
    insert(text, at, "", settings)
}

fn insert(text: &str, at: usize, advice: &str, settings: &str) -> String {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let (line_end, mark) = if before.is_empty() || before.ends_with('\n') { ("", "") } else { ("\n", NO_LINE_END) };
    format!(
        "{before}{line_end}{BEGIN}{mark}; `iam-ssh unwire` removes it. Do not edit{advice}: settings are in\n\
         # /etc/iam-ssh/config.toml.\n{settings}{END}\n{after}"
    )
}

/// `text` as it was without the block.
#[must_use]
pub fn without(text: &str) -> String {
    let Some((start, head)) = lines(text).find(|(_, line)| line.starts_with(BEGIN)) else { return text.to_owned() };
    let Some((last, end)) = lines(text).find(|(at, line)| *at > start && line.trim_end() == END) else {
        return text.to_owned();
    };
    let before = text.get(..start).unwrap_or_default();
    let after = text.get(last + end.len()..).unwrap_or_default();
    // Somebody who wrote behind the block needs the line end.
    let ours = head.contains(NO_LINE_END) && after.is_empty();
    let before = if ours { before.strip_suffix('\n').unwrap_or(before) } else { before };
    format!("{before}{after}")
}

/// Whether a text has the block.
#[must_use]
pub fn is_in(text: &str) -> bool {
    without(text) != text
}

/// The lines with their places and their ends.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_taken_out_to_the_byte() {
        for text in ["", "Port 22\n", "Port 22", "Port 22\n\n", "Match User x\n X11Forwarding no"] {
            let wired = with(text, "Match all\n    X\n");
            assert!(wired.starts_with(text) && wired.ends_with(&format!("    X\n{END}\n")) && is_in(&wired), "{wired}");
            assert_eq!(without(&wired), text);
            assert_eq!(with(&wired, "Match all\n    X\n"), wired, "once");
            assert!(!is_in(text));
        }
    }

    #[test]
    fn it_can_stand_anywhere() {
        let wired = with_at("a\nb\n", 2, "X\n");
        assert!(wired.starts_with(&format!("a\n{BEGIN}")) && wired.ends_with(&format!("X\n{END}\nb\n")), "{wired}");
        assert_eq!(without(&wired), "a\nb\n");
    }

    #[test]
    fn what_was_written_behind_it_stays() {
        let wired = with("Port 22", "Match all\n");
        assert_eq!(without(&format!("{wired}Banner x\n")), "Port 22\nBanner x\n");
        assert_eq!(with(&format!("{wired}Banner x\n"), "Match all\n"), with("Port 22\nBanner x\n", "Match all\n"));
    }

    #[test]
    fn half_a_block_is_not_touched() {
        let half = format!("Port 22\n{BEGIN}\nMatch all\n");
        assert_eq!(without(&half), half);
        assert_eq!(without(&format!("{END}\n{half}")), format!("{END}\n{half}"));
    }
}
