//! Content negotiation (RFC 9110, 12.4 and 12.5): the exposition format, and gzip.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use super::response::Body;
use crate::render::metrics::Format;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedFormat {
    pub format: Format,
    pub media_type: String,
}

const OPENMETRICS: &str = "application/openmetrics-text";
/// Smaller bodies do not shrink.
const MIN_COMPRESS_SIZE: usize = 1024;

/// The format that the client prefers: OpenMetrics only if it is accepted by name, otherwise the
/// text format, even if that is not accepted.
pub fn format(headers: &HeaderMap) -> NegotiatedFormat {
    let accepted = accepted(headers, ACCEPT);
    let best = accepted
        .iter()
        .filter_map(|range| Some((negotiated(range)?, range.quality)))
        .filter(|(_, quality)| *quality > 0.0)
        // The first of those with the highest quality.
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or_else(|| text_format(""), |(format, _)| format)
}

fn negotiated(range: &Accepted) -> Option<NegotiatedFormat> {
    // The metric names need no escaping; a client that asks for a scheme gets the simplest.
    let escaping = match range.parameter("escaping") {
        Some(_) => "; escaping=underscores",
        None => "",
    };
    match (range.name.as_str(), range.parameter("version")) {
        (OPENMETRICS, None) => Some(openmetrics("1.0.0", escaping)),
        (OPENMETRICS, Some(version @ ("0.0.1" | "1.0.0"))) => Some(openmetrics(version, escaping)),
        ("text/plain" | "text/*" | "*/*", _) => Some(text_format(escaping)),
        _ => None,
    }
}

fn openmetrics(version: &str, escaping: &str) -> NegotiatedFormat {
    NegotiatedFormat {
        format: Format::OpenMetrics,
        media_type: format!("{OPENMETRICS}; version={version}; charset=utf-8{escaping}"),
    }
}

fn text_format(escaping: &str) -> NegotiatedFormat {
    NegotiatedFormat {
        format: Format::Text,
        media_type: format!("text/plain; version=0.0.4; charset=utf-8{escaping}"),
    }
}

/// The compressed body, if the client accepts gzip and the body is large enough.
pub fn compress(headers: &HeaderMap, body: &Body) -> Option<Bytes> {
    if body.len() < MIN_COMPRESS_SIZE || !accepts_gzip(headers) {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    for part in body.parts() {
        encoder.write_all(part).ok()?;
    }
    encoder.finish().ok().map(Bytes::from)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = accepted(headers, ACCEPT_ENCODING);
    let quality = |name: &str| {
        let coding = codings.iter().find(|coding| coding.name == name);
        coding.map(|coding| coding.quality)
    };
    let gzip = quality("gzip").or_else(|| quality("*")).unwrap_or(0.0);
    gzip > 0.0 && gzip >= quality("identity").unwrap_or(0.0)
}

/// One element of an Accept or Accept-Encoding header.
struct Accepted {
    /// In lower case.
    name: String,
    parameters: Vec<(String, String)>,
    /// 0 (not accepted) to 1.
    quality: f32,
}

impl Accepted {
    fn parse(element: &str) -> Self {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| {
                let value = value.trim().trim_matches('"');
                (name.trim().to_ascii_lowercase(), value.to_owned())
            })
            .collect();
        let mut accepted = Self {
            name,
            parameters,
            quality: 1.0,
        };
        if let Some(quality) = accepted.parameter("q") {
            let quality = quality.parse().unwrap_or(0.0);
            let is_valid = (0.0..=1.0).contains(&quality);
            accepted.quality = if is_valid { quality } else { 0.0 };
        }
        accepted
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(parameter, _)| parameter == name)?;
        Some(value)
    }
}

/// The elements of every header of that name.
fn accepted(headers: &HeaderMap, name: HeaderName) -> Vec<Accepted> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|element| !element.trim().is_empty())
        .map(Accepted::parse)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn format_is_the_one_the_client_prefers() {
        let text = "text/plain; version=0.0.4; charset=utf-8";
        let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let escaped = "; escaping=underscores";
        for (accept, expected) in [
            ("", text.to_owned()),
            ("*/*", text.to_owned()),
            ("text/html", text.to_owned()),
            ("application/openmetrics-text", open.to_owned()),
            (
                "application/openmetrics-text; version=\"1.0.0\"",
                open.to_owned(),
            ),
            (
                "application/openmetrics-text;version=0.0.1",
                "application/openmetrics-text; version=0.0.1; charset=utf-8".to_owned(),
            ),
            (
                "application/openmetrics-text;version=2.0.0",
                text.to_owned(),
            ),
            (
                "application/openmetrics-text;q=0.3,text/plain;q=0.5",
                text.to_owned(),
            ),
            (
                "application/openmetrics-text;q=0.5,text/plain;q=0.3",
                open.to_owned(),
            ),
            ("application/openmetrics-text;q=0", text.to_owned()),
            (
                "application/openmetrics-text;q=x, */*;q=0.1",
                text.to_owned(),
            ),
            // Prometheus 2.42.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                open.to_owned(),
            ),
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                format!("{open}{escaped}"),
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;version=0.0.4;escaping=underscores;q=0.5",
                format!("{text}{escaped}"),
            ),
        ] {
            assert_eq!(
                format(&headers(ACCEPT, accept)).media_type,
                expected,
                "{accept}"
            );
        }
    }

    #[test]
    fn body_is_compressed_for_clients_that_accept_gzip() {
        let body = Body::from(vec![b'x'; 4096]);
        for (accept, compressed) in [
            ("", false),
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("*", true),
            ("identity", false),
            ("gzip;q=0.2, identity;q=0.8", false),
            ("*;q=0, identity", false),
        ] {
            let headers = headers(ACCEPT_ENCODING, accept);
            assert_eq!(compress(&headers, &body).is_some(), compressed, "{accept}");
        }
        let short = Body::from("short");
        assert_eq!(compress(&headers(ACCEPT_ENCODING, "gzip"), &short), None);
    }
}
