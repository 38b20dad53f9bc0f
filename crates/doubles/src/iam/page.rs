//! Paging of IAM's lists: `MaxItems`, `Marker`, `IsTruncated`.
//!
//! It must honour a smaller `MaxItems`, never exceed the cap, and refuse a marker that it did not give out.

use super::{Iam, Refusal};
use crate::incoming::Pairs;

/// One page of a list.
pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    next: Option<usize>,
}

/// The page that the form asks for.
pub(crate) fn of<T>(iam: &Iam, form: &Pairs, entries: Vec<T>) -> Result<Page<T>, Refusal> {
    let asked = match form.get("MaxItems") {
        None => 100,
        Some(text) => match text.parse::<usize>() {
            Ok(number) if (1..=1000).contains(&number) => number,
            _ => return Err(Refusal::invalid("MaxItems must be 1 to 1000")),
        },
    };
    let start = match form.get("Marker") {
        None => 0,
        Some(marker) => marker
            .strip_prefix("marker-")
            .and_then(|number| number.parse::<usize>().ok())
            .filter(|start| *start > 0)
            .ok_or_else(|| Refusal::invalid("Invalid Marker."))?,
    };
    let total = entries.len();
    let size = asked.min(iam.page_cap);
    let entries: Vec<T> = entries.into_iter().skip(start).take(size).collect();
    let end = start.saturating_add(entries.len());
    Ok(Page { entries, next: (end < total).then_some(end) })
}

impl<T> Page<T> {
    /// `IsTruncated`, and the marker where there is more.
    pub(crate) fn tail(&self) -> String {
        match self.next {
            None => "<IsTruncated>false</IsTruncated>".to_owned(),
            Some(next) => format!("<IsTruncated>true</IsTruncated><Marker>marker-{next}</Marker>"),
        }
    }

    /// The page as a list element called `list`, with the tail behind it.
    pub(crate) fn xml(&self, list: &str, fields: impl Fn(&T) -> String) -> String {
        let members: String = self.entries.iter().map(|entry| format!("<member>{}</member>", fields(entry))).collect();
        format!("<{list}>{members}</{list}>{}", self.tail())
    }
}
