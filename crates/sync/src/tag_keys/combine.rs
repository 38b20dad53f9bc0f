//! The options of all keys and those of one key as one list that is not looser than either. Pure.
//!
//! sshd reads the options of a line one after the other, and refuses or reinterprets one that stands there twice.

use std::net::IpAddr;

use iam_ssh_core::KeyOption;

use super::TagKeyError;

/// What gives back what `restrict` took, and its contrary.
const GIVEN_BACK: [(&str, &str); 4] = [
    ("pty", "no-pty"),
    ("port-forwarding", "no-port-forwarding"),
    ("agent-forwarding", "no-agent-forwarding"),
    ("X11-forwarding", "no-X11-forwarding"),
];

/// `every` key's options and then this key's `own`, which are flags, `from` and `expiry-time` as [`super::read`] gives
/// them. What `every` gives back after `restrict` is left out where `own` takes it; of two expiries the earlier counts.
///
/// # Errors
/// [`TagKeyError::Apart`], where both have a `from` and the own one is not within the other.
pub fn combine(every: &[KeyOption], own: &[KeyOption]) -> Result<Vec<KeyOption>, TagKeyError> {
    let taken = |given: &str| {
        let contrary = GIVEN_BACK.iter().find(|(back, _)| *back == given).map(|(_, contrary)| *contrary);
        contrary.is_some_and(|contrary| own.iter().any(|o| is_flag(o, "restrict") || is_flag(o, contrary)))
    };
    let mut all: Vec<KeyOption> = Vec::with_capacity(every.len() + own.len());
    for option in every {
        if !matches!(option, KeyOption::Flag(name) if taken(name)) {
            all.push(option.clone());
        }
    }
    for option in own {
        let same = all.iter_mut().find(|o| kind(o) == kind(option));
        match (same, option) {
            (None, option) => all.push(option.clone()),
            (Some(KeyOption::ExpiryTime(at)), KeyOption::ExpiryTime(other)) => *at = (*at).min(*other),
            (Some(theirs), ours @ KeyOption::Value(..)) if lies_within(ours, theirs) => *theirs = ours.clone(),
            (Some(_), KeyOption::Value(..)) => return Err(TagKeyError::Apart),
            (Some(_), _) => {}
        }
    }
    Ok(all)
}

fn is_flag(option: &KeyOption, wanted: &str) -> bool {
    matches!(option, KeyOption::Flag(name) if *name == wanted)
}

/// What may stand there only once.
fn kind(option: &KeyOption) -> &'static str {
    match option {
        KeyOption::Flag(name) | KeyOption::Value(name, _) => name,
        KeyOption::ExpiryTime(_) => "expiry-time",
    }
}

/// Whether every place of one `from` is one of the other's, as far as that can be told from the text: equal, or
/// networks within networks.
fn lies_within(inner: &KeyOption, outer: &KeyOption) -> bool {
    if inner == outer {
        return true;
    }
    let (inner, outer) = (places(inner), places(outer));
    let positive = !outer.iter().chain(&inner).any(|place| place.starts_with('!'));
    let within = |place: &String| outer.iter().any(|other| place == other || network_within(place, other));
    positive && !inner.is_empty() && inner.iter().all(within)
}

fn places(option: &KeyOption) -> Vec<String> {
    let text = option.to_string();
    let quoted = text.split('"').nth(1).unwrap_or_default();
    quoted.split(',').map(str::to_owned).collect()
}

fn network_within(inner: &str, outer: &str) -> bool {
    match (network(inner), network(outer)) {
        (Some((ip, len, size)), Some((other, other_len, other_size))) => {
            size == other_size
                && len >= other_len
                && ip.checked_shr(size - other_len) == other.checked_shr(size - other_len)
        }
        _ => false,
    }
}

/// Address, bits of the network, bits of an address.
fn network(text: &str) -> Option<(u128, u32, u32)> {
    let (address, len) = text.split_once('/').map_or((text, None), |(address, len)| (address, Some(len)));
    let (ip, size) = match address.parse().ok()? {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)), 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    };
    let len = len.map_or(Ok(size), str::parse).ok().filter(|len| *len <= size)?;
    Some((ip, len, size))
}

#[cfg(test)]
mod tests {
    use super::combine;
    use iam_ssh_core::KeyOptions;

    fn joined(every: &str, own: &str) -> Option<String> {
        let parse = |text: &str| KeyOptions::parse(text).unwrap();
        let all = combine(&parse(every), &parse(own)).ok()?;
        let text = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        assert_eq!(KeyOptions::parse(&text).unwrap(), all, "a line may have these options");
        Some(text)
    }

    #[test]
    fn the_stricter_wins() {
        for (every, own, all) in [
            ("", "", ""),
            ("restrict,pty", "verify-required", "restrict,pty,verify-required"),
            ("restrict,pty,port-forwarding", "no-pty", "restrict,port-forwarding,no-pty"),
            ("restrict,pty,port-forwarding", "restrict", "restrict"),
            ("X11-forwarding", "no-x11-forwarding", "no-X11-forwarding"),
            ("no-pty", "no-pty", "no-pty"),
            ("expiry-time=\"20270101\"", "expiry-time=\"20260101\"", "expiry-time=\"20260101000000Z\""),
            ("expiry-time=\"20260101\"", "expiry-time=\"20270101\"", "expiry-time=\"20260101000000Z\""),
            ("from=\"10.0.0.0/8\"", "from=\"10.1.0.0/16,10.2.3.4\"", "from=\"10.1.0.0/16,10.2.3.4\""),
            ("from=\"0.0.0.0/0\"", "from=\"10.2.3.4\"", "from=\"10.2.3.4\""),
            (
                "from=\"2001:db8::/32,a.example\"",
                "from=\"a.example,2001:db8:1::/48\"",
                "from=\"a.example,2001:db8:1::/48\"",
            ),
            ("from=\"*.a,!b.a\"", "from=\"*.a,!b.a\"", "from=\"*.a,!b.a\""),
        ] {
            assert_eq!(joined(every, own).as_deref(), Some(all), "{every} + {own}");
        }
    }

    #[test]
    fn places_that_cannot_be_told_to_be_within_are_refused() {
        for (every, own) in [
            ("from=\"10.0.0.0/8\"", "from=\"11.0.0.0/8\""),
            ("from=\"10.0.0.0/8\"", "from=\"10.1.2.3,192.0.2.1\""),
            ("from=\"10.0.0.0/8\"", "from=\"0.0.0.0/0\""),
            ("from=\"10.0.0.0/8\"", "from=\"a.example\""),
            ("from=\"10.0.0.0/8,!10.1.0.0/16\"", "from=\"10.1.2.3\""),
            ("from=\"::/0\"", "from=\"10.1.2.3\""),
            ("from=\"*\"", "from=\"!10.1.2.3\""),
        ] {
            assert_eq!(joined(every, own), None, "{every} + {own}");
        }
    }
}
