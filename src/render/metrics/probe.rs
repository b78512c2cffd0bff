//! The series of probe reports.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use url::Position;

use super::definitions::*;
use super::family::Families;
use super::{flag, tls, unix};
use crate::config::Target;
use crate::report::history::TargetState;
use crate::report::overview::{Overview, PathKind};
use crate::report::{
    AddressFamily, Certificate, DnsFacts, Hop, LayerName, MissReason, Reason, Report, TargetStats,
    advice,
};

/// Adds the series of one target.
pub(super) fn add(
    families: &mut Families,
    target: &Arc<Target>,
    known: &TargetState,
    interval: Duration,
) {
    let stats = &known.stats;
    let name = target.name.as_str();
    let role = target.role.into_str();
    families.add_info(
        &TARGET_INFO,
        &[
            name,
            role,
            // A query may hold what should not be in a label.
            &target.url[..Position::AfterPath],
            &target.module.name,
            target.group.as_deref().unwrap_or_default(),
        ],
    );
    families.add(&PROBE_INTERVAL, &[name], interval.as_secs_f64());
    families.add(&PROBE_TIMEOUT, &[name], target.timeout.as_secs_f64());
    counters(families, name, stats);
    for change in &known.history.changes {
        let labels = [name, change.fact.into_str()];
        families.add_info(&LAST_GOOD_CHANGED_INFO, &labels);
        families.add(&LAST_GOOD_CHANGED_TIMESTAMP, &labels, unix(change.since));
    }
    let Some(report) = &stats.latest else { return };
    let (failing, good) = known
        .history
        .failing_addresses(report.started)
        .unwrap_or_default();
    for one in failing.into_iter().chain(good) {
        let labels = [name, &one.address.to_string()];
        let success = flag(one.failure.is_none());
        families.add(&ADDRESS_PROBE_SUCCESS, &labels, success);
    }
    let success = flag(report.verdict.is_good());
    families.add(&PROBE_SUCCESS, &[name, role], success);
    families.add(&PROBE_LAST_RUN, &[name], unix(report.started));
    let paused_until = report.pause().map(|(_, until)| unix(until));
    families.add_optional(&PROBE_PAUSED_UNTIL, &[name], paused_until);
    add_facts(families, name, report);
}

/// Adds the facts of a report.
pub(super) fn add_facts(families: &mut Families, name: &str, report: &Report) {
    verdict(families, name, report);
    if let Some(facts) = report.hops.first().and_then(|hop| hop.dns.facts()) {
        dns(families, name, facts);
    }
    addresses(families, name, &report.hops);
    tls::certificates(families, name, &report.hops);
    tls::sessions(families, name, &report.hops);
    responses(families, name, report);
}

/// Adds the series of groups.
pub(super) fn add_groups(families: &mut Families, overview: &Overview<'_>) {
    for group in &overview.groups {
        for report in &group.paths {
            let way = PathKind::of(report).into_str();
            let good = flag(report.verdict.is_good());
            families.add(&GROUP_WAY_SUCCESS, &[group.name, &report.target, way], good);
        }
    }
}

fn counters(families: &mut Families, name: &str, stats: &TargetStats) {
    families.add(&PROBE_ATTEMPTS, &[name], stats.attempts as f64);
    families.add(&PROBE_SUCCESSES, &[name], stats.successes as f64);
    for (reason, count) in &stats.failures {
        let labels = [name, reason.layer().into_str(), reason.into_str()];
        families.add(&PROBE_FAILURES, &labels, *count as f64);
    }
    for cause in MissReason::ALL {
        let count = stats.missed.get(cause).copied().unwrap_or_default();
        families.add(&PROBE_MISSED, &[name, cause.into_str()], count as f64);
    }
    families.add_histogram(&PROBE_DURATION, &[name], &stats.durations);
    families.add_optional(&PROBE_LAST_SUCCESS, &[name], stats.last_success.map(unix));
    families.add(&DNS_ANSWER_CHANGES, &[name], stats.answer_changes as f64);
    let repeated = stats.repeated_requests as f64;
    families.add(&HTTP_REQUESTS_REPEATED, &[name], repeated);
}

fn verdict(families: &mut Families, name: &str, report: &Report) {
    if let Some(reason) = report.verdict.reason() {
        families.add_info(
            &PROBE_FAILURE_INFO,
            &[name, reason.layer().into_str(), reason.into_str()],
        );
    }
    if let Some(contact) = advice::contact(report) {
        families.add_info(
            &PROBE_FAILURE_ADVICE_INFO,
            &[name, contact.into_str(), report.answered_by().into_str()],
        );
    }
    for layer in LayerName::ALL {
        if let Some(outcome) = report.layer(layer) {
            let labels = [name, layer.into_str()];
            families.add(
                &PROBE_LAYER_SUCCESS,
                &labels,
                flag(outcome.failure.is_none()),
            );
            families.add(
                &PROBE_LAYER_DURATION,
                &labels,
                outcome.duration.as_secs_f64(),
            );
        }
    }
    for found in &report.findings {
        families.add_info(&FINDING_INFO, &[name, found.finding.into_str()]);
    }
}

fn dns(families: &mut Families, name: &str, facts: &DnsFacts) {
    let mut expected: BTreeMap<&str, bool> = BTreeMap::new();
    let mut certified: BTreeMap<&str, &Certificate> = BTreeMap::new();
    for lookup in &facts.lookups {
        let labels = [name, lookup.resolver.as_str(), lookup.record.into_str()];
        families.add(&DNS_LOOKUP_SUCCESS, &labels, flag(lookup.failure.is_none()));
        families.add(&DNS_LOOKUP_DURATION, &labels, lookup.duration.as_secs_f64());
        if lookup.rcode.is_some() {
            families.add(&DNS_ANSWERS, &labels, lookup.answers.len() as f64);
        }
        families.add_optional(&DNS_MIN_TTL, &labels, lookup.min_ttl.map(f64::from));
        if let Some(reason) = lookup.failure {
            let [target, resolver, record] = labels;
            families.add_info(
                &DNS_LOOKUP_FAILURE_INFO,
                &[target, resolver, record, reason.into_str()],
            );
        }
        if let Some(session) = &lookup.session {
            let seconds = session.duration.as_secs_f64();
            families.add(&DNS_SESSION_DURATION, &labels, seconds);
            if let Some(leaf) = session.chain.first() {
                certified.insert(&lookup.resolver, leaf);
            }
        }
        if let Some(one) = lookup.expected {
            *expected.entry(&lookup.resolver).or_insert(true) &= one;
        }
    }
    for (resolver, leaf) in certified {
        families.add(&DNS_CERT_NOT_AFTER, &[name, resolver], unix(leaf.not_after));
        families.add_info(
            &DNS_CERT_INFO,
            &[
                name,
                resolver,
                &leaf.subject,
                &leaf.issuer,
                &leaf.serial,
                &leaf.fingerprint_sha256,
            ],
        );
    }
    for (resolver, all) in expected {
        families.add(&DNS_ANSWER_EXPECTED, &[name, resolver], flag(all));
    }
    families.add_optional(
        &DNS_RESOLVERS_AGREE,
        &[name],
        facts.resolvers_agree().map(flag),
    );
    for address in &facts.resolution.addresses {
        let family = AddressFamily::of(*address).into_str();
        families.add_info(&ADDRESS_INFO, &[name, &address.to_string(), family]);
    }
}

/// An address that several hops use succeeds only if it does each time; its duration is the first one's.
fn addresses(families: &mut Families, name: &str, hops: &[Hop]) {
    let mut connects = BTreeMap::new();
    let mut handshakes = BTreeMap::new();
    for hop in hops {
        for one in hop
            .tcp
            .facts()
            .into_iter()
            .flat_map(|facts| &facts.addresses)
        {
            if one.not_tried {
                continue;
            }
            merge(&mut connects, one.address, one.failure, one.duration);
        }
        for one in hop
            .tls
            .facts()
            .into_iter()
            .flat_map(|facts| &facts.handshakes)
        {
            merge(&mut handshakes, one.address, one.failure, one.duration);
        }
    }
    for (all, success, duration) in [
        (connects, &TCP_CONNECT_SUCCESS, &TCP_CONNECT_DURATION),
        (handshakes, &TLS_HANDSHAKE_SUCCESS, &TLS_HANDSHAKE_DURATION),
    ] {
        for (address, (good, took)) in all {
            let labels = [name, &address.to_string()];
            families.add(success, &labels, flag(good));
            families.add(duration, &labels, took.as_secs_f64());
        }
    }
}

fn merge(
    all: &mut BTreeMap<IpAddr, (bool, Duration)>,
    address: IpAddr,
    failure: Option<Reason>,
    duration: Duration,
) {
    let good = failure.is_none();
    all.entry(address)
        .and_modify(|(all_good, _)| *all_good &= good)
        .or_insert((good, duration));
}

fn responses(families: &mut Families, name: &str, report: &Report) {
    let mut first_byte: Option<Duration> = None;
    let mut transfer: Option<Duration> = None;
    for facts in report.hops.iter().filter_map(|hop| hop.http.facts()) {
        for (sum, one) in [
            (&mut first_byte, facts.first_byte),
            (&mut transfer, facts.transfer),
        ] {
            if let Some(one) = one {
                *sum = Some(sum.unwrap_or_default() + one);
            }
        }
    }
    for (phase, sum) in [("first_byte", first_byte), ("transfer", transfer)] {
        let seconds = sum.map(|duration| duration.as_secs_f64());
        families.add_optional(&HTTP_DURATION, &[name, phase], seconds);
    }
    let Some(facts) = report.response() else {
        return;
    };
    families.add_optional(&HTTP_STATUS_CODE, &[name], facts.status.map(f64::from));
    if facts.status.is_some() {
        families.add(&HTTP_REDIRECTS, &[name], (report.hops.len() - 1) as f64);
        families.add(&HTTP_RESPONSE_BYTES, &[name], facts.body_bytes as f64);
    }
    families.add_optional(&HTTP_CLOCK_SKEW, &[name], facts.clock_skew_seconds);
    for check in report
        .page
        .facts()
        .into_iter()
        .flat_map(|facts| &facts.checks)
    {
        families.add(
            &PAGE_CHECK_SUCCESS,
            &[name, &check.check],
            flag(check.passed),
        );
    }
}
