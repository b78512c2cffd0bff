//! What a client takes: the format of an exposition, and whether a body may be compressed
//! (RFC 9110, 12.4 and 12.5).

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use crate::render::metrics::Format;

/// A format, and how its media type is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedFormat {
    pub format: Format,
    pub media_type: String,
}

const OPENMETRICS: &str = "application/openmetrics-text";
/// Smaller bodies do not get smaller.
const MIN_COMPRESS_SIZE: usize = 1024;

/// The format that the client prefers of those there are: OpenMetrics only where it is asked for by
/// name, else the text format, whatever is asked for.
pub fn format(headers: &HeaderMap) -> NegotiatedFormat {
    let accepted = list(headers, ACCEPT);
    let best = accepted
        .iter()
        .filter_map(|range| Some((candidate(range)?, range.quality)))
        .filter(|(_, quality)| *quality > 0.0)
        // The first of the best.
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or_else(
        || chosen(Format::Text, "0.0.4", false),
        |(chosen, _)| chosen,
    )
}

fn candidate(range: &Range) -> Option<NegotiatedFormat> {
    let version = range.parameter("version");
    let names_escaping = range.parameter("escaping").is_some();
    match (range.name.as_str(), version) {
        (OPENMETRICS, None | Some("1.0.0")) => {
            Some(chosen(Format::OpenMetrics, "1.0.0", names_escaping))
        }
        (OPENMETRICS, Some("0.0.1")) => Some(chosen(Format::OpenMetrics, "0.0.1", names_escaping)),
        ("text/plain" | "text/*" | "*/*", _) => Some(chosen(Format::Text, "0.0.4", names_escaping)),
        _ => None,
    }
}

/// Our names need no escaping in any of its schemes; who names one is told the plainest.
fn chosen(format: Format, version: &str, names_escaping: bool) -> NegotiatedFormat {
    let name = match format {
        Format::Text => "text/plain",
        Format::OpenMetrics => OPENMETRICS,
    };
    let escaping = if names_escaping {
        "; escaping=underscores"
    } else {
        ""
    };
    NegotiatedFormat {
        format,
        media_type: format!("{name}; version={version}; charset=utf-8{escaping}"),
    }
}

/// `body` compressed, where the client takes that and it is worth it.
pub fn compress(headers: &HeaderMap, body: &[u8]) -> Option<Bytes> {
    if body.len() < MIN_COMPRESS_SIZE || !accepts_gzip(headers) {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = list(headers, ACCEPT_ENCODING);
    let quality = |name: &str| {
        let range = codings.iter().find(|range| range.name == name);
        range.map(|range| range.quality)
    };
    let gzip = quality("gzip").or_else(|| quality("*")).unwrap_or(0.0);
    gzip > 0.0 && gzip >= quality("identity").unwrap_or(0.0)
}

/// One member of a list of ranges.
struct Range {
    /// Lower case.
    name: String,
    parameters: Vec<(String, String)>,
    quality: f32,
}

impl Range {
    fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(one, _)| one == name)?;
        Some(value)
    }
}

/// The members of a header over all its lines; what cannot be read counts as not wanted.
fn list(headers: &HeaderMap, name: HeaderName) -> Vec<Range> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|member| !member.trim().is_empty())
        .map(range)
        .collect()
}

fn range(member: &str) -> Range {
    let mut parts = member.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let parameters: Vec<(String, String)> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| {
            let value = value.trim().trim_matches('"');
            (name.trim().to_ascii_lowercase(), value.to_owned())
        })
        .collect();
    let quality = parameters.iter().find(|(name, _)| name == "q");
    let quality = match quality.map(|(_, value)| value.parse::<f32>()) {
        None => 1.0,
        Some(Ok(quality)) if (0.0..=1.0).contains(&quality) => quality,
        Some(_) => 0.0,
    };
    Range {
        name,
        parameters,
        quality,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_format_is_the_one_that_the_client_likes_best() {
        let text = "text/plain; version=0.0.4; charset=utf-8";
        let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let escaped = "; escaping=underscores";
        for (accept, told) in [
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
                told,
                "{accept}"
            );
        }
    }

    #[test]
    fn a_body_is_compressed_for_who_takes_gzip() {
        let body = vec![b'x'; 4096];
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
        assert_eq!(compress(&headers(ACCEPT_ENCODING, "gzip"), b"short"), None);
    }
}
