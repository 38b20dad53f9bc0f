//! The body of a PUT, also where the SDK sent it in S3's own chunks (`aws-chunked`, with or without signatures and a trailer).
//!
//! It must never store the framing: moto once did, and objects came back with chunk sizes inside.

use crate::incoming::Incoming;

/// The object's bytes; `None` if the framing is broken or the announced length is not met.
pub(crate) fn body(incoming: &Incoming) -> Option<Vec<u8>> {
    let by_encoding =
        incoming.header("content-encoding").is_some_and(|list| list.split(',').any(|one| one.trim() == "aws-chunked"));
    let by_hash = incoming.header("x-amz-content-sha256").is_some_and(|hash| hash.starts_with("STREAMING-"));
    if !by_encoding && !by_hash {
        return Some(incoming.body.clone());
    }
    let decoded = decode(&incoming.body)?;
    match incoming.header("x-amz-decoded-content-length") {
        Some(length) if length.parse() != Ok(decoded.len()) => None,
        _ => Some(decoded),
    }
}

/// `<hex size>[;extension]\r\n<bytes>\r\n …  0\r\n<trailers>`.
fn decode(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, after) = (rest.get(..end)?, rest.get(end + 2..)?);
        let line = std::str::from_utf8(line).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(decoded);
        }
        decoded.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
}
