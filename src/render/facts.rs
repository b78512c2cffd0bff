//! The facts of each layer as lines of text.

use std::fmt::{self, Write};

use jiff::Timestamp;

use super::page::{BAD, FAINT, STRONG, WARN, date, format_duration};
use crate::report::history::TargetHistory;
use crate::report::{
    Certificate, DnsFacts, Handshake, HttpFacts, Lookup, MAX_PAUSE, PageFacts, ProxyFacts, Reason,
    RootSet, TcpFacts, TlsFacts,
};

/// Which addresses fail while others work.
pub(super) fn failing_addresses(history: &TargetHistory, now: Timestamp) -> Option<String> {
    let (failing, good) = history.failing_addresses(now)?;
    let failing: Vec<String> = failing
        .iter()
        .map(|one| {
            let reason = one.failure.map_or("", |reason| reason.into_str());
            format!("{} ({reason})", one.address)
        })
        .collect();
    let good: Vec<String> = good.iter().map(|one| one.address.to_string()).collect();
    Some(format!(
        "in the last hour, requests to {} failed and requests to {} succeeded",
        failing.join(", "),
        good.join(", ")
    ))
}

fn failed(failure: Option<Reason>) -> String {
    failure.map_or(String::new(), |reason| {
        format!("{BAD}{}{BAD:#}", reason.into_str())
    })
}

pub(super) fn dns(facts: &DnsFacts, failure: Option<Reason>) -> Vec<String> {
    let addresses: Vec<_> = facts
        .resolution
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut first = format!("{} → ", facts.resolution.route);
    if failure.is_some() {
        write_all(&mut first, format_args!("{} ", failed(failure)));
    }
    first.push_str(&addresses.join(", "));
    if let Some(detail) = &facts.resolution.detail {
        write_all(&mut first, format_args!("{FAINT}{detail}{FAINT:#}"));
    }
    let mut lines = vec![first];
    for one in &facts.lookups {
        lines.push(lookup(one));
        lines.extend(
            one.detail
                .as_ref()
                .map(|text| format!("  {FAINT}{text}{FAINT:#}")),
        );
    }
    // All sessions with one resolver show the same certificate.
    let mut shown: Vec<&str> = Vec::new();
    for one in &facts.lookups {
        let Some(session) = one.session.as_ref() else {
            continue;
        };
        let Some(leaf) = session.chain.first() else {
            continue;
        };
        if !shown.contains(&one.resolver.as_str()) {
            shown.push(&one.resolver);
            lines.push(format!("{FAINT}{}{FAINT:#} certificate:", one.resolver));
            lines.extend(certificate("certificate", leaf));
        }
    }
    lines
}

fn lookup(lookup: &Lookup) -> String {
    let mut line = format!(
        "{FAINT}{}{FAINT:#} {:<4} ",
        lookup.resolver,
        lookup.record.into_str()
    );
    let answers: Vec<_> = lookup.answers.iter().map(ToString::to_string).collect();
    match (lookup.failure, answers.is_empty()) {
        (Some(reason), _) => {
            line.push_str(&failed(Some(reason)));
            if !answers.is_empty() {
                line.push_str(&format!(" {}", answers.join(", ")));
            }
        }
        (None, true) => line.push_str("no address"),
        (None, false) => line.push_str(&answers.join(", ")),
    }
    for alias in &lookup.cnames {
        line.push_str(&format!(" via {alias}"));
    }
    if let Some(ttl) = lookup.min_ttl {
        line.push_str(&format!(", ttl {ttl} s"));
    }
    if lookup.authenticated {
        line.push_str(", validated");
    }
    if lookup.truncated {
        line.push_str(", over TCP");
    }
    if lookup.expected == Some(false) {
        line.push_str(&format!(", {WARN}not in the expected ranges{WARN:#}"));
    }
    line.push_str(&format!(", {}", format_duration(lookup.duration)));
    if let Some(session) = &lookup.session {
        line.push_str(&format!(
            ", including {} for the session",
            format_duration(session.duration)
        ));
    }
    line
}

pub(super) fn tcp(facts: &TcpFacts) -> Vec<String> {
    let mut lines: Vec<String> = facts
        .addresses
        .iter()
        .map(|one| {
            let state = match one.failure {
                None => "connected".to_owned(),
                Some(_) if one.not_tried => {
                    let family = if one.address.is_ipv6() {
                        "IPv6"
                    } else {
                        "IPv4"
                    };
                    format!("not tried, no {family} here")
                }
                some => failed(some),
            };
            let source = one
                .source
                .map_or(String::new(), |source| format!(" from {source}"));
            format!(
                "{} port {}{source}: {state}, {}",
                one.address,
                facts.port,
                format_duration(one.duration)
            )
        })
        .collect();
    if facts.addresses_skipped > 0 {
        lines.push(format!(
            "{} more addresses were not tried",
            facts.addresses_skipped
        ));
    }
    lines
}

pub(super) fn proxy(facts: &ProxyFacts) -> Vec<String> {
    let mut lines = vec![format!(
        "through {}, which resolves the name of the target",
        facts.proxy
    )];
    for one in &facts.attempts {
        let state = match one.failure {
            None => "tunnel established".to_owned(),
            some => failed(some),
        };
        lines.push(format!(
            "{}: {state}, {}",
            one.address,
            format_duration(one.duration)
        ));
        if let Some(detail) = &one.detail {
            lines.push(format!("{FAINT}{detail}{FAINT:#}"));
        }
    }
    lines
}

pub(super) fn tls(facts: &TlsFacts) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &facts.handshakes {
        lines.push(session(one));
        if let (Some(detail), Some(_)) = (&one.detail, one.failure) {
            lines.push(format!("{FAINT}{detail}{FAINT:#}"));
        }
    }
    if let Some(representative) = facts.representative() {
        for (position, certificate) in representative.chain.iter().enumerate() {
            let role = match position {
                _ if representative.spare.contains(&position) => "spare certificate, not needed",
                0 => "certificate",
                _ => "intermediate",
            };
            lines.extend(self::certificate(role, certificate));
        }
        for one in &representative.fetched {
            lines.extend(self::certificate("fetched intermediate", &one.certificate));
            lines.push(format!("  not sent by the server, from {}", one.url));
        }
        if !representative.trust.is_empty() {
            lines.push(trust(representative));
        }
        if let Some(matched) = representative.pin_matched {
            let leaf = representative
                .chain
                .first()
                .map_or("", |leaf| leaf.pin.as_str());
            lines.push(if matched {
                "a pinned key is in the chain".to_owned()
            } else {
                format!("no pinned key is in the chain; the leaf has {leaf}")
            });
        }
    }
    lines
}

fn session(handshake: &Handshake) -> String {
    let parameters: Vec<_> = [
        &handshake.version,
        &handshake.cipher,
        &handshake.key_exchange,
        &handshake.alpn,
    ]
    .into_iter()
    .flatten()
    .map(String::as_str)
    .collect();
    let mut line = format!("{}: ", handshake.address);
    match handshake.failure {
        None => {}
        some => write_all(&mut line, format_args!("{} ", failed(some))),
    }
    write_all(&mut line, format_args!("{}", parameters.join(", ")));
    line
}

fn write_all(line: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = line.write_fmt(text);
}

fn certificate(role: &str, certificate: &Certificate) -> Vec<String> {
    let mut lines = vec![
        format!("{role}: {}", certificate.subject),
        format!("  issued by {STRONG}{}{STRONG:#}", certificate.issuer),
        format!(
            "  valid {} to {}, {}",
            date(certificate.not_before),
            date(certificate.not_after),
            certificate.key
        ),
    ];
    if role == "certificate" {
        if !certificate.names.is_empty() {
            lines.push(format!("  for {}", first_names(&certificate.names)));
        }
        lines.push(format!(
            "  {FAINT}sha256 {}{FAINT:#}",
            certificate.fingerprint_sha256
        ));
    }
    lines
}

fn first_names(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(4).map(String::as_str).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn trust(handshake: &Handshake) -> String {
    let verdicts: Vec<_> = handshake
        .trust
        .iter()
        .map(|one| {
            let store = match one.roots {
                RootSet::Platform => "this host",
                RootSet::PublicWeb => "public roots",
                RootSet::CaFile => "ca_file",
            };
            match (one.trusted, one.valid_until) {
                (true, Some(until)) => format!("{store} yes, until {}", date(until)),
                (true, None) => format!("{store} yes"),
                (false, _) => format!("{store} no"),
            }
        })
        .collect();
    format!("trusted by: {}", verdicts.join("; "))
}

pub(super) fn http(facts: &HttpFacts, failure: Option<Reason>) -> Vec<String> {
    let mut lines = Vec::new();
    if failure.is_some() {
        lines.push(failed(failure));
    }
    if let Some(status) = facts.status {
        let mut line = format!(
            "HTTP/{} status {status}",
            facts.version.as_deref().unwrap_or("?")
        );
        if let (Some(first), Some(transfer)) = (facts.first_byte, facts.transfer) {
            write_all(
                &mut line,
                format_args!(
                    ", first byte {}, transfer {}",
                    format_duration(first),
                    format_duration(transfer)
                ),
            );
        }
        write_all(&mut line, format_args!(", {} bytes", facts.body_bytes));
        lines.push(line);
    }
    if let Some(title) = &facts.title {
        lines.push(format!("title {title:?}"));
    }
    if facts.encoding_ignored {
        let coding = facts.content_encoding.as_deref().unwrap_or_default();
        lines.push(format!("unknown content encoding {coding:?}, ignored"));
    }
    if let Some(count) = facts.trailing_bytes {
        lines.push(format!("{count} bytes behind the end of the body, ignored"));
    }
    if let Some(why) = facts.repeated {
        lines.push(format!("request repeated once: {}", why.into_str()));
    }
    if let Some(location) = &facts.location {
        lines.push(format!("redirects to {location}"));
    }
    if let Some(wait) = facts.retry_after {
        lines.push(format!(
            "Retry-After {}: the server asked to wait; the service probes again after {}",
            format_duration(wait),
            format_duration(wait.min(MAX_PAUSE))
        ));
    }
    if let Some(detail) = &facts.detail {
        lines.push(format!("{FAINT}{detail}{FAINT:#}"));
    }
    lines
}

pub(super) fn page(facts: &PageFacts, failure: Option<Reason>) -> Vec<String> {
    let mut lines = Vec::new();
    if failure.is_some() {
        lines.push(failed(failure));
    }
    lines.push(match &facts.title {
        Some(title) => format!("title {title:?}"),
        None => "no title".to_owned(),
    });
    lines.push(if facts.form_fields.is_empty() {
        "no form fields".to_owned()
    } else {
        format!("form fields {}", facts.form_fields.join(", "))
    });
    lines.push(format!(
        "{FAINT}{} bytes, {}{FAINT:#}",
        facts.bytes, facts.charset
    ));
    lines.push(format!("{FAINT}sha256 {}{FAINT:#}", facts.sha256));
    let missed: Vec<_> = facts.checks.iter().filter(|check| !check.passed).collect();
    match (facts.checks.len(), missed.len()) {
        (0, _) => {}
        (all, 0) => lines.push(format!("{all} of {all} checks passed")),
        (all, _) => {
            let names: Vec<_> = missed.iter().map(|check| check.check.as_str()).collect();
            lines.push(format!(
                "{} of {all} checks failed: {}",
                missed.len(),
                names.join(", ")
            ));
        }
    }
    lines
}
