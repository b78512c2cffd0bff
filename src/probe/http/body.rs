//! A response's body: read and decoded within a bound.

use std::io::Read;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};

use super::error::HttpError;
use crate::report::Reason;

/// Reads up to `max_bytes` into `wire`, and counts every byte received in `count`.
pub(in crate::probe) async fn read(
    mut body: Incoming,
    max_bytes: usize,
    wire: &mut Vec<u8>,
    count: &mut u64,
) -> Result<(), HttpError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| HttpError::of_hyper(&error, Reason::HttpTruncated))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        *count += data.len() as u64;
        if wire.len() + data.len() > max_bytes {
            return Err(HttpError::of(Reason::HttpBodyTooLarge));
        }
        wire.extend_from_slice(&data);
    }
    Ok(())
}

pub(super) fn encoding(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_ENCODING);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn decode(
    encoding: &str,
    wire: Vec<u8>,
    max_bytes: usize,
) -> Result<Vec<u8>, HttpError> {
    let inflate = |reader: &mut dyn Read| {
        let mut out = Vec::new();
        let read = reader.take(max_bytes as u64 + 1).read_to_end(&mut out);
        read.map(|_| out)
    };
    let decoded = match encoding {
        "" | "identity" => return Ok(wire),
        _ if wire.is_empty() => return Ok(wire),
        "gzip" | "x-gzip" => inflate(&mut flate2::read::MultiGzDecoder::new(&*wire)),
        "br" => inflate(&mut brotli_decompressor::Decompressor::new(&*wire, 4096)),
        // Servers mean either form by this word.
        "deflate" => inflate(&mut flate2::read::ZlibDecoder::new(&*wire))
            .or_else(|_| inflate(&mut flate2::read::DeflateDecoder::new(&*wire))),
        other => {
            let text = format!("the content encoding {other} was not requested");
            return Err(HttpError::malformed(text));
        }
    };
    match decoded {
        Ok(body) if body.len() > max_bytes => Err(HttpError::of(Reason::HttpBodyTooLarge)),
        Ok(body) => Ok(body),
        Err(error) => Err(HttpError::of_decoder(&error)),
    }
}
