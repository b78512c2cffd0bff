//! `/metrics` on days of the migration, with an injected clock. Expected values are written by hand.

use std::collections::BTreeMap;

use ccass_2fa_exporter::config::Config;
use ccass_2fa_exporter::evidence::LedgerStatus;
use ccass_2fa_exporter::readiness::ReadinessState;
use ccass_2fa_exporter::render::metrics::{Format, Snapshot, render};
use harness::exporter::Metrics;
use jiff::Timestamp;

fn metrics_at(instant: &str, config: &str) -> Metrics {
    let now: Timestamp = instant.parse().unwrap();
    let config = Config::parse(config, std::path::Path::new("ccass.yml")).unwrap();
    let exposition = Snapshot {
        config: &config,
        loaded_at: now,
        known: &[],
        now,
        is_reload_successful: true,
        readiness_state: &ReadinessState::default(),
        evidence: &LedgerStatus::default(),
        recording: None,
        clock_steps: 0,
        rejections: &BTreeMap::new(),
    };
    let text = render(&exposition, Format::Text).unwrap();
    Metrics::parse(&text.concat())
}

#[test]
fn deadlines_and_events_are_those_of_the_circular() {
    let metrics = metrics_at("2023-04-03T12:00:00+08:00", "");
    for deadline in [
        "email_registration_users",
        "email_registration_delegated_admins",
        "connection_verification",
    ] {
        for (bound, instant) in [("outer", 1_682_697_600.0), ("strict", 1_682_611_200.0)] {
            let labels = format!("{{bound=\"{bound}\",deadline=\"{deadline}\"}}");
            metrics.expect(&format!("deadline_timestamp_seconds{labels}"), instant);
        }
    }
    let until = |deadline: &str| {
        let series = format!("deadline_alert_until_timestamp_seconds{{deadline=\"{deadline}\"}}");
        metrics.value(&series).unwrap()
    };
    assert_eq!(until("email_registration_users"), 1_685_548_800.0);
    assert_eq!(until("connection_verification"), 1_690_819_200.0);
    assert_eq!(until("briefing_registration"), 1_682_502_300.0);
    metrics.expect(
        "event_start_timestamp_seconds{event=\"briefing_1\"}",
        1_682_325_000.0,
    );
    metrics.expect(
        "event_end_timestamp_seconds{event=\"briefing_1\"}",
        1_682_329_500.0,
    );
    metrics.expect(
        "event_start_timestamp_seconds{event=\"launch\"}",
        1_684_598_400.0,
    );
    metrics.expect(
        "event_end_timestamp_seconds{event=\"launch\"}",
        1_685_548_800.0,
    );
    metrics.expect(
        "event_start_timestamp_seconds{event=\"sole_2fa\"}",
        1_689_868_800.0,
    );
    metrics.expect(
        "event_info{event=\"launch\",precision=\"third_of_month\",status=\"tentative\"}",
        1.0,
    );
    metrics.expect("calendar_valid_until_timestamp_seconds", 1_830_268_800.0);
}

#[test]
fn business_days_left_count_down_and_are_absent_outside_the_calendar() {
    let series = "deadline_business_days_left{deadline=\"connection_verification\"}";
    for (instant, left) in [
        ("2023-04-03T12:00:00+08:00", Some(16.0)),
        ("2023-04-04T00:00:00+08:00", Some(15.0)),
        ("2023-04-26T23:59:59+08:00", Some(2.0)),
        ("2023-04-27T00:00:00+08:00", Some(1.0)),
        ("2023-04-28T00:00:00+08:00", Some(0.0)),
        ("2023-04-29T00:00:00+08:00", Some(0.0)),
        ("2021-12-31T12:00:00+08:00", None),
        ("2028-01-01T12:00:00+08:00", None),
    ] {
        assert_eq!(metrics_at(instant, "").value(series), left, "{instant}");
    }
}

#[test]
fn phase_is_uncertain_between_its_earliest_and_latest_start() {
    for (instant, phase, certain) in [
        ("2023-05-20T23:59:59+08:00", "preparation", 1.0),
        ("2023-05-21T00:00:00+08:00", "parallel_run", 0.0),
        ("2023-06-01T00:00:00+08:00", "parallel_run", 1.0),
        ("2023-07-20T23:59:59+08:00", "parallel_run", 1.0),
        ("2023-07-21T00:00:00+08:00", "sole_2fa", 0.0),
        ("2023-08-01T00:00:00+08:00", "sole_2fa", 1.0),
        ("2026-11-23T08:05:00+08:00", "sole_2fa", 1.0),
    ] {
        let metrics = metrics_at(instant, "");
        for one in ["preparation", "parallel_run", "sole_2fa"] {
            let value = f64::from(u8::from(one == phase));
            metrics.expect(&format!("phase{{phase=\"{one}\"}}"), value);
        }
        metrics.expect("phase_certain", certain);
    }
}

#[test]
fn configured_answers_change_deadlines_and_phases() {
    let config =
        "timetable: {done: {connection_verification: true}, actual: {launch: 2023-05-29}}\n";
    let metrics = metrics_at("2023-05-25T12:00:00+08:00", config);
    metrics.expect("deadline_done{deadline=\"connection_verification\"}", 1.0);
    metrics.expect("deadline_done{deadline=\"email_registration_users\"}", 0.0);
    // The launch is known to be on a later day.
    metrics.expect("phase{phase=\"preparation\"}", 1.0);
    metrics.expect("phase_certain", 1.0);
    metrics.expect(
        "event_info{event=\"launch\",precision=\"day\",status=\"confirmed\"}",
        1.0,
    );
}

#[test]
fn service_is_open_during_service_hours() {
    let config = "service_hours: {days: business, from: \"07:00\", to: \"20:00\"}\n";
    metrics_at("2026-11-23T07:00:00+08:00", config).expect("service_open", 1.0);
    metrics_at("2026-11-22T10:00:00+08:00", config).expect("service_open", 0.0);
    metrics_at("2026-11-22T10:00:00+08:00", "").expect("service_open", 1.0);
}
