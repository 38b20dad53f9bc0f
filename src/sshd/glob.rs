//! Matches one part of a path with one part of a glob pattern, as glob(3) does for sshd's `Include`. Pure.
//!
//! Where implementations differ it matches: a file too many is read and found harmless, a file too few may hide a
//! setting.

/// Whether a part of a pattern is more than a name.
#[must_use]
pub fn is_pattern(part: &[u8]) -> bool {
    part.iter().any(|byte| b"*?[\\".contains(byte))
}

/// Whether `name` matches `pattern`. A name that begins with a dot matches only a pattern that does.
#[must_use]
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let tokens = tokens(pattern);
    if name.first() == Some(&b'.') && !matches!(tokens.first(), Some(Token::Byte(b'.'))) {
        return false;
    }
    matches_from(&tokens, name)
}

#[derive(Debug)]
enum Token<'a> {
    /// `*`
    Many,
    /// `?`
    One,
    Byte(u8),
    /// `[…]`: whether it is negated, and what stands in it.
    Set(bool, &'a [u8]),
}

fn tokens(mut pattern: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    while let Some((byte, rest)) = pattern.split_first() {
        pattern = rest;
        match byte {
            b'*' if matches!(tokens.last(), Some(Token::Many)) => {}
            b'*' => tokens.push(Token::Many),
            b'?' => tokens.push(Token::One),
            b'\\' => {
                let (escaped, rest) = rest.split_first().unwrap_or((byte, rest));
                tokens.push(Token::Byte(*escaped));
                pattern = rest;
            }
            b'[' => {
                let (token, rest) = set(rest).unwrap_or((Token::Byte(b'['), rest));
                tokens.push(token);
                pattern = rest;
            }
            _ => tokens.push(Token::Byte(*byte)),
        }
    }
    tokens
}

/// What follows a `[`: the set and the rest of the pattern, if the set is closed.
fn set(pattern: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let negated = pattern.first() == Some(&b'!');
    let members = if negated { pattern.get(1..)? } else { pattern };
    // A bracket that comes first is a member.
    let end = members.iter().skip(1).position(|byte| *byte == b']')? + 1;
    let (members, rest) = members.split_at_checked(end)?;
    // Classes such as [:alpha:], and what `^` means, depend on the implementation.
    let is_plain = !members.contains(&b'[') && members.first() != Some(&b'^');
    // The first `]` may end a class rather than the set: then the rest of the part may be anything.
    if is_plain { Some((Token::Set(negated, members), rest.get(1..)?)) } else { Some((Token::Many, &[])) }
}

/// Tries every length for each `*`: patterns are the administrator's, and names have at most 255 bytes.
fn matches_from(tokens: &[Token<'_>], name: &[u8]) -> bool {
    match tokens.split_first() {
        None => name.is_empty(),
        Some((Token::Many, rest)) => (0..=name.len()).any(|n| name.get(n..).is_some_and(|n| matches_from(rest, n))),
        Some((token, rest)) => name.split_first().is_some_and(|(byte, name)| {
            let takes = match token {
                Token::Byte(wanted) => wanted == byte,
                Token::Set(negated, members) => contains(members, *byte) != *negated,
                Token::One | Token::Many => true,
            };
            takes && matches_from(rest, name)
        }),
    }
}

fn contains(mut members: &[u8], byte: u8) -> bool {
    loop {
        members = match members {
            [] => return false,
            [low, b'-', high, ..] if (*low..=*high).contains(&byte) => return true,
            [_, b'-', _, rest @ ..] => rest,
            [member, ..] if *member == byte => return true,
            [_, rest @ ..] => rest,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_glob() {
        for (pattern, name) in [
            ("*.conf", "a.conf"),
            ("*", "a"),
            ("a*b*c", "aXbYbc"),
            ("?.conf", "a.conf"),
            ("[0-9][!x]*", "05-iam"),
            ("[]a]", "]"),
            ("[a-]", "-"),
            ("[", "["),
            ("\\*", "*"),
            (".*", ".hidden"),
            // Read in more than one way, so read as anything.
            ("[[:alpha:]].conf", "a.conf"),
            ("[^a]", "b"),
        ] {
            assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", ".conf"),
            ("*.conf", ".hidden.conf"),
            ("?hidden", ".hidden"),
            ("[.]a", ".a"),
            ("*.conf", "a.conf.bak"),
            ("[!a]", "a"),
            ("[b-d]", "a"),
            ("a", "ab"),
            ("?", ""),
        ] {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        assert!(is_pattern(b"a*") && is_pattern(b"[a]") && !is_pattern(b"sshd_config.d"));
    }
}
