//! The series of TLS sessions and of the certificates that servers present.

use std::collections::{BTreeMap, BTreeSet};

use super::definitions::*;
use super::family::SeriesWriter;
use super::{flag, unix};
use crate::report::{Handshake, Hop, Interception, RootSet};

fn handshakes(hops: &[Hop]) -> impl Iterator<Item = (&Hop, &Handshake)> {
    hops.iter().flat_map(|hop| {
        let facts = hop.tls.facts().into_iter();
        facts
            .flat_map(|facts| &facts.handshakes)
            .map(move |handshake| (hop, handshake))
    })
}

pub(super) fn certificates(series: &mut SeriesWriter<'_>, hops: &[Hop]) {
    let mut infos = BTreeSet::new();
    let mut validity: BTreeMap<(&str, usize), (f64, f64)> = BTreeMap::new();
    let mut paths: BTreeMap<(&str, RootSet), f64> = BTreeMap::new();
    let mut needed: BTreeMap<(&str, usize), bool> = BTreeMap::new();
    for (hop, handshake) in handshakes(hops) {
        let mut has_path = false;
        for one in handshake.trust.iter().filter(|one| one.decides) {
            if let Some(until) = one.valid_until.map(unix) {
                has_path = true;
                paths
                    .entry((&hop.host, one.roots))
                    .and_modify(|least| *least = least.min(until))
                    .or_insert(until);
            }
        }
        for position in (0..handshake.chain.len()).filter(|_| has_path) {
            *needed.entry((&hop.host, position)).or_insert(false) |=
                !handshake.spare.contains(&position);
        }
        for (position, certificate) in handshake.chain.iter().enumerate() {
            let (after, before) = (unix(certificate.not_after), unix(certificate.not_before));
            validity
                .entry((&hop.host, position))
                .and_modify(|(least_after, least_before)| {
                    *least_after = least_after.min(after);
                    *least_before = least_before.min(before);
                })
                .or_insert((after, before));
            let shown: [&str; 5] = [
                &hop.host,
                &certificate.subject,
                &certificate.issuer,
                &certificate.serial,
                &certificate.fingerprint_sha256,
            ];
            infos.insert((position, shown));
        }
    }
    for ((host, position), (after, before)) in validity {
        let labels = [host, &position.to_string()];
        series.add(&TLS_CERT_NOT_AFTER, &labels, after);
        series.add(&TLS_CERT_NOT_BEFORE, &labels, before);
    }
    for ((host, roots), until) in paths {
        series.add(&TLS_CHAIN_VALID_UNTIL, &[host, roots.into_str()], until);
    }
    for ((host, position), needed) in needed {
        let labels = [host, &position.to_string()];
        series.add(&TLS_CERT_NEEDED, &labels, flag(needed));
    }
    for (position, [host, subject, issuer, serial, fingerprint]) in infos {
        let position = &position.to_string();
        series.add_info(
            &TLS_CERT_INFO,
            &[host, position, subject, issuer, serial, fingerprint],
        );
    }
}

/// Properties of all sessions: trusted and pinned only if each is, intercepted if any is.
pub(super) fn sessions(series: &mut SeriesWriter<'_>, hops: &[Hop]) {
    let mut trusted = BTreeMap::new();
    let mut stapled: Option<bool> = None;
    let mut pinned: Option<bool> = None;
    let mut intercepted: Option<bool> = None;
    let mut parameters: BTreeMap<String, [&str; 4]> = BTreeMap::new();
    for (_, handshake) in handshakes(hops) {
        for one in &handshake.trust {
            *trusted.entry(one.roots).or_insert(true) &= one.trusted;
        }
        if !handshake.chain.is_empty() {
            stapled = Some(stapled.unwrap_or(true) && handshake.ocsp_stapled);
            let suspected = handshake.interception == Interception::Suspected;
            intercepted = Some(intercepted.unwrap_or(false) || suspected);
        }
        if let Some(matched) = handshake.pin_matched {
            pinned = Some(pinned.unwrap_or(true) && matched);
        }
        if let (Some(version), Some(cipher)) = (&handshake.version, &handshake.cipher) {
            let key_exchange = handshake.key_exchange.as_deref().unwrap_or_default();
            let alpn = handshake.alpn.as_deref().unwrap_or_default();
            parameters.entry(handshake.address.to_string()).or_insert([
                version,
                cipher,
                key_exchange,
                alpn,
            ]);
        }
    }
    for (address, [version, cipher, key_exchange, alpn]) in &parameters {
        series.add_info(&TLS_INFO, &[address, version, cipher, key_exchange, alpn]);
    }
    for (roots, all) in trusted {
        series.add(&TLS_TRUSTED, &[roots.into_str()], flag(all));
    }
    series.add_optional(&TLS_INTERCEPTED, &[], intercepted.map(flag));
    series.add_optional(&TLS_OCSP_STAPLED, &[], stapled.map(flag));
    series.add_optional(&TLS_PIN_MATCHED, &[], pinned.map(flag));
}
