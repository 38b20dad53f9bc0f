//! Paging of IAM's lists: `MaxItems`, `Marker`, `IsTruncated`.
//!
//! A marker says behind which entry the next page begins, so that what changes between two pages has the effect that it has on AWS.
//! It must honour a smaller `MaxItems`, never exceed the cap, and refuse a marker that was not given out.

use std::ops::Bound;

use super::{Refusal, xml};
use crate::incoming::Pairs;

/// What a client asks for.
pub(crate) struct Asked {
    /// The most entries of the page.
    pub(crate) size: usize,
    /// Where the page before ended.
    pub(crate) after: Option<String>,
}

/// One page of a list.
pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    /// Where it ended, if there is more.
    next: Option<String>,
}

impl Asked {
    pub(crate) fn of(form: &Pairs, cap: usize) -> Result<Self, Refusal> {
        let asked = match form.get("MaxItems") {
            None => 100,
            Some(text) => match text.parse::<usize>() {
                Ok(number) if (1..=1000).contains(&number) => number,
                _ => return Err(Refusal::invalid("MaxItems must be 1 to 1000")),
            },
        };
        let marker =
            form.get("Marker").map(|marker| from_marker(marker).ok_or_else(|| Refusal::invalid("Invalid Marker.")));
        Ok(Self { size: asked.min(cap), after: marker.transpose()? })
    }

    /// What is behind the last page in a sorted list.
    pub(crate) fn range(&self) -> (Bound<&str>, Bound<&str>) {
        (self.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
    }

    /// The page out of what is behind the last one; `position` is where an entry stands.
    pub(crate) fn page<T>(&self, mut rest: impl Iterator<Item = T>, position: impl Fn(&T) -> String) -> Page<T> {
        let entries: Vec<T> = rest.by_ref().take(self.size).collect();
        let next = rest.next().and(entries.last()).map(position);
        Page { entries, next }
    }
}

impl<T> Page<T> {
    /// The page as a list element called `list`, with `IsTruncated` and the marker behind it.
    pub(crate) fn xml(&self, list: &str, fields: impl Fn(&T) -> String) -> String {
        xml::list(list, self.entries.iter().map(fields)) + &tail(self.next.as_deref())
    }
}

/// `IsTruncated`, and the marker where there is more.
pub(crate) fn tail(next: Option<&str>) -> String {
    match next {
        None => "<IsTruncated>false</IsTruncated>".to_owned(),
        Some(next) => format!("<IsTruncated>true</IsTruncated><Marker>{}</Marker>", to_marker(next)),
    }
}

fn to_marker(position: &str) -> String {
    let hex: String = position.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("marker-{hex}")
}

fn from_marker(marker: &str) -> Option<String> {
    let hex = marker.strip_prefix("marker-")?.as_bytes();
    let bytes: Option<Vec<u8>> = hex
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    String::from_utf8(bytes?).ok().filter(|position| !position.is_empty())
}
