//! The certificate cases of C2SP/x509-limbo, in `tests/limbo`: our verdict is that of rustls-webpki, and
//! where it is not the one that the suite expects, the README there gives the reason.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use serde::Deserialize;

use super::chain_case::ChainCase;
use crate::config::Config;

/// Where the exporter is stricter than rustls-webpki: it also judges the dates of roots.
const STRICTER: [&str; 1] = ["rfc5280::validity::expired-root"];

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/limbo");

#[derive(Deserialize)]
struct Suite {
    certificates: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    /// Whether the suite expects that the chain is trusted.
    expected: bool,
    at: Option<Timestamp>,
    name: Option<String>,
    /// Positions in the list of certificates.
    roots: Vec<usize>,
    chain: Vec<usize>,
}

#[expect(clippy::disallowed_methods, reason = "files of the repository")]
fn suite() -> Suite {
    let file = fs::File::open(format!("{DIRECTORY}/cases.json.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

impl Suite {
    fn chain(&self, case: &Case) -> ChainCase {
        let all = |list: &[usize]| {
            let texts = list.iter().map(|index| &self.certificates[*index]);
            texts
                .map(|text| CertificateDer::from(STANDARD.decode(text).unwrap()))
                .collect()
        };
        ChainCase {
            roots: all(&case.roots),
            chain: all(&case.chain),
            at: case.at.unwrap_or("2026-11-28T00:00:00Z".parse().unwrap()),
        }
    }
}

fn webpki(chain: &ChainCase, name: Option<&str>) -> Result<(), rustls::Error> {
    chain.judged_by_webpki()?;
    match name {
        None => Ok(()),
        Some(name) => {
            let leaf = ParsedCertificate::try_from(&chain.chain[0])?;
            verify_server_name(&leaf, &ServerName::try_from(name.to_owned()).unwrap())
        }
    }
}

/// The names in the first column of the README's tables.
#[expect(clippy::disallowed_methods, reason = "files of the repository")]
fn listed() -> BTreeSet<String> {
    let readme = fs::read_to_string(format!("{DIRECTORY}/README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect()
}

#[test]
fn verdicts_are_those_of_webpki_and_differences_from_the_suite_are_listed() {
    crate::probe::tls::prepare();
    let suite = suite();
    let config = Config::parse("", Path::new("empty")).unwrap();
    let policy = &config.targets.iter().next().unwrap().module.tls;
    let (mut from_webpki, mut from_suite) = (Vec::new(), BTreeSet::new());
    for case in &suite.cases {
        let chain = suite.chain(case);
        let result = chain.judged(case.name.as_deref().unwrap_or("example.com"), policy);
        let is_trusted = match &case.name {
            Some(_) => result.failure.is_none(),
            None => result.trust.iter().any(|one| one.trusted),
        };
        let webpki = webpki(&chain, case.name.as_deref());
        let is_stricter = STRICTER.contains(&case.id.as_str()) && !is_trusted;
        if is_trusted != webpki.is_ok() && !is_stricter {
            from_webpki.push(format!(
                "{}: {:?}, webpki: {webpki:?}",
                case.id, result.failure
            ));
        }
        if is_trusted != case.expected {
            from_suite.insert(case.id.clone());
        }
    }
    assert!(suite.cases.len() > 150);
    assert!(from_webpki.is_empty(), "{}", from_webpki.join("\n"));
    let listed = listed();
    let changed: Vec<_> = from_suite.symmetric_difference(&listed).collect();
    assert!(changed.is_empty(), "not as in the README: {changed:?}");
}
