//! A response's body: read and decoded within a bound.

use std::io::{self, Read};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};

use super::error::{HttpError, Phase};
use crate::probe::bounded;
use crate::report::Reason;

pub(super) async fn read(
    mut body: Incoming,
    bound: usize,
    count: &mut u64,
) -> Result<Vec<u8>, (Vec<u8>, HttpError)> {
    let mut wire = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Err((wire, HttpError::of(&error, Phase::Body))),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        *count += data.len() as u64;
        if wire.len() + data.len() > bound {
            return Err((wire, HttpError::plain(Reason::HttpBodyTooLarge)));
        }
        wire.extend_from_slice(&data);
    }
    Ok(wire)
}

pub(super) fn encoding(headers: &HeaderMap) -> String {
    headers
        .get(header::CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

pub(super) fn decode(encoding: &str, wire: Vec<u8>, bound: usize) -> Result<Vec<u8>, HttpError> {
    let inflate = |reader: &mut dyn Read| {
        let mut out = Vec::new();
        reader
            .take(bound as u64 + 1)
            .read_to_end(&mut out)
            .map(|_| out)
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
            return Err(HttpError {
                reason: Reason::HttpMalformed,
                detail: Some(bounded(&format!(
                    "the content encoding {other} was not asked for"
                ))),
                tls_alert: None,
            });
        }
    };
    match decoded {
        Ok(body) if body.len() > bound => Err(HttpError::plain(Reason::HttpBodyTooLarge)),
        Ok(body) => Ok(body),
        Err(error) => Err(HttpError {
            reason: match error.kind() {
                io::ErrorKind::UnexpectedEof => Reason::HttpTruncated,
                _ => Reason::HttpMalformed,
            },
            detail: Some(bounded(&error.to_string())),
            tls_alert: None,
        }),
    }
}
