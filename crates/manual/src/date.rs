//! The date of the pages: the newest in the changelogs.

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The newest date in any of the changelogs, as mdoc's `.Dd` takes it: `November 22, 2026`.
pub(crate) fn newest(changelogs: &[&str]) -> Option<String> {
    let dates = changelogs.iter().flat_map(|text| text.lines()).filter_map(|line| debian(line).or_else(|| keep(line)));
    let (year, month, day) = dates.max()?;
    Some(format!("{} {day}, {year}", MONTHS.get(month.checked_sub(1)?)?))
}

type Date = (u16, usize, u8);

/// ` -- Name <address>  Sun, 22 Nov 2026 12:00:00 +0000` (deb-changelog(5)).
fn debian(line: &str) -> Option<Date> {
    let (_, date) = line.strip_prefix(" -- ")?.split_once(">  ")?;
    let mut words = date.split_ascii_whitespace().skip(1);
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| name.get(..3) == Some(month))? + 1;
    Some((year.parse().ok()?, month, day.parse().ok()?))
}

/// `## [0.1.0] - 2026-11-22` (keepachangelog.com).
fn keep(line: &str) -> Option<Date> {
    let (_, date) = line.strip_prefix("## [")?.split_once("] - ")?;
    let mut parts = date.trim().split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_newest_of_all_counts() {
        let debian =
            "iam-ssh (1-1) unstable; urgency=medium\n\n -- A B <a@example.org>  Mon, 05 Jan 2026 12:00:00 +0000\n";
        let other = "## [Unreleased]\n## [0.2.0] - 2026-01-10\n## [0.1.0] - unreleased\n";
        assert_eq!(newest(&[debian]).as_deref(), Some("January 5, 2026"));
        assert_eq!(newest(&[debian, other]).as_deref(), Some("January 10, 2026"));
        assert_eq!(newest(&["## [0.1.0] - unreleased\n"]), None);
    }
}
