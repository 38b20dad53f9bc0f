//! The key prefix inside the bucket: one form for the sync that writes below it and the lookup that reads there.

/// Longest prefix in bytes: S3 keys have 1,024, a principal's folder and document take less than 200.
pub const MAX_LEN: usize = 512;

/// Whether `text` is a key prefix: empty, or parts of `A-Z a-z 0-9 _ . - = + , @`, each ended by a slash and none of
/// them `.` or `..`.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-=+,@".contains(&b);
    let part_fits = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(fits);
    let parts_fit = |parts: &str| text.len() <= MAX_LEN && parts.split('/').all(part_fits);
    text.is_empty() || text.strip_suffix('/').is_some_and(parts_fit)
}

#[cfg(test)]
mod tests {
    use super::is_prefix;

    #[test]
    fn parts_end_with_a_slash_and_stay_in_their_place() {
        assert!(["", "a/", "a/b-1/", "a+b,c=d@e/"].into_iter().all(is_prefix));
        for bad in ["a", "/", "/a/", "a//", "../", "a/./", "a b/", "a\n/", "ä/"] {
            assert!(!is_prefix(bad), "{bad:?}");
        }
    }
}
