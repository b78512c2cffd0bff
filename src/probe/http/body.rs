//! A response's body: read and decoded within a bound.

use std::io::{self, Read};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};

use super::error::HttpError;
use crate::report::Reason;

/// More codings of one body are not undone.
const MAX_CODINGS: usize = 4;

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

/// The value of `Content-Encoding`, in lower case; empty without one.
pub(super) fn coding(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    values.join(",").trim().to_ascii_lowercase()
}

/// A body without its content codings.
pub(super) struct Decoded {
    pub body: Vec<u8>,
    /// Bytes behind the end of a compressed body, which browsers ignore.
    pub trailing: usize,
    /// A coding is unknown, so that the body is what was received, as in browsers.
    pub is_unknown: bool,
}

/// Undoes the codings, the last one first.
pub(super) fn decode(coding: &str, wire: Vec<u8>, max_bytes: usize) -> Result<Decoded, HttpError> {
    let codings = coding.split(',').map(str::trim);
    let codings: Vec<&str> = codings
        .filter(|one| !matches!(*one, "" | "identity"))
        .collect();
    let is_known = |one: &&str| matches!(*one, "gzip" | "x-gzip" | "br" | "deflate");
    let mut decoded = Decoded {
        body: wire,
        trailing: 0,
        is_unknown: !codings.iter().all(is_known) || codings.len() > MAX_CODINGS,
    };
    if decoded.is_unknown || decoded.body.is_empty() {
        return Ok(decoded);
    }
    for one in codings.iter().rev() {
        let outcome = decode_one(one, &decoded.body, max_bytes);
        let (body, trailing) = outcome.map_err(|error| HttpError::of_decoder(&error))?;
        if body.len() > max_bytes {
            return Err(HttpError::of(Reason::HttpBodyTooLarge));
        }
        decoded.body = body;
        decoded.trailing += trailing;
    }
    Ok(decoded)
}

/// The decoded body, and how many bytes follow its end.
fn decode_one(coding: &str, wire: &[u8], max_bytes: usize) -> io::Result<(Vec<u8>, usize)> {
    let inflate = |reader: &mut dyn Read| {
        let mut out = Vec::new();
        let read = reader.take(max_bytes as u64 + 1).read_to_end(&mut out);
        read.map(|_| out)
    };
    match coding {
        "br" => {
            let body = inflate(&mut brotli_decompressor::Decompressor::new(wire, 4096))?;
            Ok((body, 0))
        }
        "deflate" => {
            let mut zlib = flate2::bufread::ZlibDecoder::new(wire);
            // Servers mean either form by this word.
            match inflate(&mut zlib) {
                Ok(body) => Ok((body, zlib.get_ref().len())),
                Err(_) => {
                    let mut raw = flate2::bufread::DeflateDecoder::new(wire);
                    let body = inflate(&mut raw)?;
                    Ok((body, raw.get_ref().len()))
                }
            }
        }
        _ => {
            let mut gzip = flate2::bufread::GzDecoder::new(wire);
            let body = inflate(&mut gzip)?;
            Ok((body, gzip.get_ref().len()))
        }
    }
}
