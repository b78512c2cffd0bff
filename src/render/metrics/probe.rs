//! The series of probe reports.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use url::Position;

use super::definitions::*;
use super::family::SeriesWriter;
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
    series: &mut SeriesWriter<'_>,
    target: &Arc<Target>,
    known: &TargetState,
    interval: Duration,
) {
    let stats = &known.stats;
    let role = target.role.into_str();
    series.add_info(
        &TARGET_INFO,
        &[
            role,
            // A query may hold what should not be in a label.
            &target.url[..Position::AfterPath],
            &target.module.name,
            target.group.as_deref().unwrap_or_default(),
        ],
    );
    series.add(&PROBE_INTERVAL, &[], interval.as_secs_f64());
    series.add(&PROBE_TIMEOUT, &[], target.timeout.as_secs_f64());
    counters(series, stats);
    for change in &known.history.changes {
        let labels = [change.fact.into_str()];
        series.add_info(&LAST_GOOD_CHANGED_INFO, &labels);
        series.add(&LAST_GOOD_CHANGED_TIMESTAMP, &labels, unix(change.since));
    }
    let Some(report) = &stats.latest else { return };
    let (failing, good) = known
        .history
        .failing_addresses(report.started)
        .unwrap_or_default();
    for one in failing.into_iter().chain(good) {
        let labels = [&*one.address.to_string()];
        let success = flag(one.failure.is_none());
        series.add(&ADDRESS_PROBE_SUCCESS, &labels, success);
    }
    let success = flag(report.verdict.is_good());
    series.add(&PROBE_SUCCESS, &[role], success);
    series.add(&PROBE_LAST_RUN, &[], unix(report.started));
    let paused_until = report.pause().map(|(_, until)| unix(until));
    series.add_optional(&PROBE_PAUSED_UNTIL, &[], paused_until);
    add_facts(series, report);
}

/// Adds the facts of a report.
pub(super) fn add_facts(series: &mut SeriesWriter<'_>, report: &Report) {
    verdict(series, report);
    if let Some(facts) = report.hops.first().and_then(|hop| hop.dns.facts()) {
        dns(series, facts);
    }
    addresses(series, &report.hops);
    tls::certificates(series, &report.hops);
    tls::sessions(series, &report.hops);
    responses(series, report);
}

/// Adds the series of groups.
pub(super) fn add_groups(series: &mut SeriesWriter<'_>, overview: &Overview<'_>) {
    for group in &overview.groups {
        for report in &group.paths {
            let way = PathKind::of(report).into_str();
            let good = flag(report.verdict.is_good());
            series.add(&GROUP_WAY_SUCCESS, &[group.name, &report.target, way], good);
        }
    }
}

fn counters(series: &mut SeriesWriter<'_>, stats: &TargetStats) {
    series.add(&PROBE_ATTEMPTS, &[], stats.attempts as f64);
    series.add(&PROBE_SUCCESSES, &[], stats.successes as f64);
    for (reason, count) in &stats.failures {
        let labels = [reason.layer().into_str(), reason.into_str()];
        series.add(&PROBE_FAILURES, &labels, *count as f64);
    }
    for cause in MissReason::ALL {
        let count = stats.missed.get(cause).copied().unwrap_or_default();
        series.add(&PROBE_MISSED, &[cause.into_str()], count as f64);
    }
    series.add_histogram(&PROBE_DURATION, &[], &stats.durations);
    series.add_optional(&PROBE_LAST_SUCCESS, &[], stats.last_success.map(unix));
    series.add(&DNS_ANSWER_CHANGES, &[], stats.answer_changes as f64);
    let repeated = stats.repeated_requests as f64;
    series.add(&HTTP_REQUESTS_REPEATED, &[], repeated);
}

fn verdict(series: &mut SeriesWriter<'_>, report: &Report) {
    if let Some(reason) = report.verdict.reason() {
        series.add_info(
            &PROBE_FAILURE_INFO,
            &[reason.layer().into_str(), reason.into_str()],
        );
    }
    if let Some(contact) = advice::contact(report) {
        series.add_info(
            &PROBE_FAILURE_ADVICE_INFO,
            &[contact.into_str(), report.answered_by().into_str()],
        );
    }
    for layer in LayerName::ALL {
        if let Some(outcome) = report.layer(layer) {
            let labels = [layer.into_str()];
            series.add(
                &PROBE_LAYER_SUCCESS,
                &labels,
                flag(outcome.failure.is_none()),
            );
            series.add(
                &PROBE_LAYER_DURATION,
                &labels,
                outcome.duration.as_secs_f64(),
            );
        }
    }
    for found in &report.findings {
        series.add_info(&FINDING_INFO, &[found.finding.into_str()]);
    }
}

fn dns(series: &mut SeriesWriter<'_>, facts: &DnsFacts) {
    let mut expected: BTreeMap<&str, bool> = BTreeMap::new();
    let mut certified: BTreeMap<&str, &Certificate> = BTreeMap::new();
    for lookup in &facts.lookups {
        let labels = [lookup.resolver.as_str(), lookup.record.into_str()];
        series.add(&DNS_LOOKUP_SUCCESS, &labels, flag(lookup.failure.is_none()));
        series.add(&DNS_LOOKUP_DURATION, &labels, lookup.duration.as_secs_f64());
        if lookup.rcode.is_some() {
            series.add(&DNS_ANSWERS, &labels, lookup.answers.len() as f64);
        }
        series.add_optional(&DNS_MIN_TTL, &labels, lookup.min_ttl.map(f64::from));
        if let Some(reason) = lookup.failure {
            let [resolver, record] = labels;
            let labels = [resolver, record, reason.into_str()];
            series.add_info(&DNS_LOOKUP_FAILURE_INFO, &labels);
        }
        if let Some(session) = &lookup.session {
            let seconds = session.duration.as_secs_f64();
            series.add(&DNS_SESSION_DURATION, &labels, seconds);
            if let Some(leaf) = session.chain.first() {
                certified.insert(&lookup.resolver, leaf);
            }
        }
        if let Some(one) = lookup.expected {
            *expected.entry(&lookup.resolver).or_insert(true) &= one;
        }
    }
    for (resolver, leaf) in certified {
        series.add(&DNS_CERT_NOT_AFTER, &[resolver], unix(leaf.not_after));
        series.add_info(
            &DNS_CERT_INFO,
            &[
                resolver,
                &leaf.subject,
                &leaf.issuer,
                &leaf.serial,
                &leaf.fingerprint_sha256,
            ],
        );
    }
    for (resolver, all) in expected {
        series.add(&DNS_ANSWER_EXPECTED, &[resolver], flag(all));
    }
    series.add_optional(&DNS_RESOLVERS_AGREE, &[], facts.resolvers_agree().map(flag));
    for address in &facts.resolution.addresses {
        let family = AddressFamily::of(*address).into_str();
        series.add_info(&ADDRESS_INFO, &[&address.to_string(), family]);
    }
}

/// An address that several hops use succeeds only if it does each time; its duration is the first one's.
fn addresses(series: &mut SeriesWriter<'_>, hops: &[Hop]) {
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
            let labels = [&*address.to_string()];
            series.add(success, &labels, flag(good));
            series.add(duration, &labels, took.as_secs_f64());
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

fn responses(series: &mut SeriesWriter<'_>, report: &Report) {
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
        series.add_optional(&HTTP_DURATION, &[phase], seconds);
    }
    let Some(facts) = report.response() else {
        return;
    };
    series.add_optional(&HTTP_STATUS_CODE, &[], facts.status.map(f64::from));
    if facts.status.is_some() {
        series.add(&HTTP_REDIRECTS, &[], (report.hops.len() - 1) as f64);
        series.add(&HTTP_RESPONSE_BYTES, &[], facts.body_bytes as f64);
    }
    series.add_optional(&HTTP_CLOCK_SKEW, &[], facts.clock_skew_seconds);
    for check in report
        .page
        .facts()
        .into_iter()
        .flat_map(|facts| &facts.checks)
    {
        series.add(&PAGE_CHECK_SUCCESS, &[&check.check], flag(check.passed));
    }
}
