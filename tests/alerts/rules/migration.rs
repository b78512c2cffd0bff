//! Replays the whole migration: the metrics of every second hour, rendered by the real code with an
//! injected clock, are evaluated with the shipped rules by promtool.
//!
//! The alerts that are firing at 10:00 on each business day are compared with
//! `alerts/tests/migration.txt`, which was reviewed by hand and is written by `make documents`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use ccass_2fa_exporter::calendar::{Calendar, date_at, midnight};
use ccass_2fa_exporter::config::Config;
use ccass_2fa_exporter::evidence::LedgerStatus;
use ccass_2fa_exporter::readiness::ReadinessState;
use ccass_2fa_exporter::render::metrics::{Format, Snapshot, render};
use harness::documents::{assert_document, repository};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use regex::Regex;

const FIRST: Date = date(2022, 12, 19);
const LAST: Date = date(2023, 8, 31);
/// Hours between two scrapes, and between two evaluations.
const STEP: i64 = 2;
/// The hour of the day at which the alerts are listed.
const LISTED_HOUR: i64 = 10;

/// The configuration and the readiness file of a firm over time.
struct Firm {
    title: &'static str,
    /// The `timetable:` of the configuration, each with the first day on which it applies.
    timetable: &'static [(Date, &'static str)],
    /// The accounts of the readiness file, each with the first day on which they apply.
    accounts: &'static [(Date, Accounts)],
}

#[derive(Clone, Copy)]
struct Accounts {
    users_missing: u32,
    admins_missing: u32,
    admins_submitted: u32,
    /// Created since the launch, without a smartcard.
    new: u32,
}

const fn accounts(
    users_missing: u32,
    admins_missing: u32,
    admins_submitted: u32,
    new: u32,
) -> Accounts {
    Accounts {
        users_missing,
        admins_missing,
        admins_submitted,
        new,
    }
}

const FIRMS: [Firm; 2] = [
    Firm {
        title: "A firm that does nothing, with a new user from 5 June",
        timetable: &[(FIRST, "{}")],
        accounts: &[
            (FIRST, accounts(12, 1, 1, 0)),
            (date(2023, 6, 5), accounts(12, 1, 1, 1)),
        ],
    },
    Firm {
        title: "A firm that does and records everything in time; HKEX announces the dates of launch and end",
        timetable: &[
            (FIRST, "{}"),
            (date(2023, 4, 12), "{done: {briefing_registration: true}}"),
            (
                date(2023, 4, 24),
                "{done: {briefing_registration: true, connection_verification: true}}",
            ),
            (
                date(2023, 4, 26),
                "{done: {briefing_registration: true, connection_verification: true, \
                 email_registration_users: true, email_registration_delegated_admins: true}}",
            ),
            (
                date(2023, 5, 15),
                "{actual: {launch: 2023-05-29}, done: {briefing_registration: true, \
                 connection_verification: true, email_registration_users: true, \
                 email_registration_delegated_admins: true}}",
            ),
            (
                date(2023, 7, 10),
                "{actual: {launch: 2023-05-29, sole_2fa: 2023-07-31}, done: {\
                 briefing_registration: true, connection_verification: true, \
                 email_registration_users: true, email_registration_delegated_admins: true}}",
            ),
        ],
        accounts: &[
            (FIRST, accounts(40, 2, 0, 0)),
            (date(2023, 3, 27), accounts(12, 0, 2, 0)),
            (date(2023, 4, 20), accounts(3, 0, 2, 0)),
            (date(2023, 4, 25), accounts(0, 0, 2, 0)),
            (date(2023, 5, 22), accounts(0, 0, 0, 0)),
        ],
    },
];

/// The value that applies on `day`.
fn value_on<T>(steps: &[(Date, T)], day: Date) -> &T {
    let step = steps.iter().rev().find(|(from, _)| *from <= day);
    &step.expect("a value for the first day").1
}

/// The values of each series, one per step.
#[derive(Default)]
struct History {
    steps: usize,
    series: BTreeMap<String, Vec<Option<f64>>>,
}

impl History {
    fn of(firm: &Firm) -> Self {
        let mut history = Self::default();
        let origin = midnight(FIRST).as_second() as f64;
        let configs: Vec<(Date, Config)> = firm
            .timetable
            .iter()
            .map(|(from, timetable)| {
                let text = format!("timetable: {timetable}\n");
                (*from, Config::parse(&text, Path::new("ccass.yml")).unwrap())
            })
            .collect();
        let mut now = midnight(FIRST);
        while now < midnight(LAST) {
            let day = date_at(now);
            let config = value_on(&configs, day);
            let exposition = Snapshot {
                config,
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
            let text = render(&exposition, Format::Text).unwrap().concat();
            for line in text.lines().filter(|line| line.starts_with("ccass2fa_")) {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let value: f64 = value.parse().unwrap();
                // promtool starts at time 0.
                let absolute =
                    series.contains("_timestamp_seconds") || series.contains("_time_seconds");
                let value = if absolute { value - origin } else { value };
                history.add(series, value);
            }
            history.add_given(
                *value_on(firm.accounts, day),
                now.as_second() as f64 - origin,
            );
            history.steps += 1;
            now += STEP.hours();
        }
        history
    }

    /// Adds the series that do not depend on the timetable.
    fn add_given(&mut self, accounts: Accounts, now: f64) {
        self.add("up", 1.0);
        self.add("ccass2fa_probe_success{role=\"login\",target=\"sso\"}", 1.0);
        self.add("ccass2fa_target_info{role=\"login\",target=\"sso\"}", 1.0);
        for (kind, email, count) in [
            ("user", "missing", accounts.users_missing),
            ("delegated_admin", "missing", accounts.admins_missing),
            ("delegated_admin", "submitted", accounts.admins_submitted),
        ] {
            let labels = format!("{{email=\"{email}\",kind=\"{kind}\"}}");
            self.add(&format!("ccass2fa_accounts{labels}"), count.into());
        }
        let new = "ccass2fa_accounts_created_after_launch{kind=\"user\"}";
        self.add(new, accounts.new.into());
        self.add("ccass2fa_accounts_updated_timestamp_seconds", now);
        self.add("ccass2fa_readiness_max_age_seconds", 5.0 * 86_400.0);
        self.add("ccass2fa_readiness_contradictions", 0.0);
    }

    fn add(&mut self, series: &str, value: f64) {
        let values = self.series.entry(series.to_owned()).or_default();
        values.resize(self.steps, None);
        values.push(Some(value));
    }

    /// The input series in promtool's notation, with runs of equal values shortened.
    fn input_series(&self) -> String {
        let mut text = String::new();
        for (series, values) in &self.series {
            let mut notation = String::new();
            let mut rest = values.as_slice();
            while let Some(first) = rest.first() {
                let run = rest.iter().take_while(|value| *value == first).count();
                let value = first.map_or("_".to_owned(), |value| value.to_string());
                let more = if first.is_some() { run - 1 } else { run };
                let _ = write!(notation, "{value}x{more} ");
                rest = &rest[run..];
            }
            // The labels that a scrape adds.
            let labelled = match series.split_once('{') {
                Some((name, labels)) => {
                    format!(
                        "{name}{{job=\"ccass2fa\",instance=\"a:1\",site=\"head-office\",{labels}"
                    )
                }
                None => {
                    format!("{series}{{job=\"ccass2fa\",instance=\"a:1\",site=\"head-office\"}}")
                }
            };
            let _ = writeln!(
                text,
                "      - {{series: '{labelled}', values: '{}'}}",
                notation.trim_end()
            );
        }
        text
    }
}

/// The result of an evaluation, by hour since the first day.
#[derive(Default)]
struct Evaluation {
    firing: BTreeMap<i64, BTreeSet<String>>,
    /// The hours at which an outage is a ticket instead of a page.
    soft: BTreeSet<i64>,
}

const FIRING: &str = "ALERTS{alertstate=\"firing\"}";
const SOFT: &str = "ccass2fa:outage:soft";
/// Missed deadlines that are over only if their dates are read strictly.
const DISPUTED: &str = "\
    label_replace(deadline:ccass2fa_deadline_outer_timestamp_seconds:max > time() and on (deadline) \
    ALERTS{alertname=\"Ccass2faDeadlineMissed\",alertstate=\"firing\"}, \"disputed\", \"yes\", \"\", \"\")";

/// Evaluates the rules with promtool at these hours. The unit test expects no samples, so that promtool
/// reports all samples as failures.
fn evaluate(history: &History, hours: &[i64]) -> Evaluation {
    let directory = tempfile::tempdir().unwrap();
    let rules = repository("alerts");
    let mut test = format!(
        "rule_files: [{0}/context.yml, {0}/deadline.yml, {0}/readiness.yml, {0}/meta.yml]\n\
         evaluation_interval: {STEP}h\n\
         group_eval_order: [ccass2fa-context, ccass2fa-deadline, ccass2fa-readiness, ccass2fa-meta]\n\
         tests:\n  - interval: {STEP}h\n    input_series:\n{1}    promql_expr_test:\n",
        rules.display(),
        history.input_series()
    );
    for hour in hours {
        for expression in [FIRING, SOFT, DISPUTED] {
            let _ = writeln!(
                test,
                "      - {{eval_time: {hour}h, expr: '{expression}', exp_samples: []}}"
            );
        }
    }
    let file = directory.path().join("migration.yml");
    std::fs::write(&file, test).unwrap();
    let output = std::process::Command::new("promtool")
        .env("GOGC", "400")
        .args(["test", "rules"])
        .arg(&file)
        .output()
        .unwrap_or_else(|error| panic!("promtool: {error}; tests/install.sh installs it"));
    let report = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let failure =
        Regex::new(r#"expr: "([^\n]+)", time: (\w+),\s+exp: ?nil\s+got: ?([^\n]+)"#).unwrap();
    let label = Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    let braces = Regex::new(r"\{[^}]*\}").unwrap();
    let mut evaluation = Evaluation::default();
    for case in failure.captures_iter(&report) {
        let hour = parse_hours(&case[2]);
        if case[1].contains("outage:soft") {
            evaluation.soft.insert(hour);
            continue;
        }
        for sample in braces.find_iter(&case[3]) {
            let labels: BTreeMap<&str, &str> = label
                .captures_iter(sample.as_str())
                .map(|found| {
                    (
                        found.get(1).unwrap().as_str(),
                        found.get(2).unwrap().as_str(),
                    )
                })
                .collect();
            let line = match labels.get("alertname") {
                Some(name) => format!(
                    "{:8} {}",
                    labels["severity"],
                    name.trim_start_matches("Ccass2fa")
                ),
                None => "         over only by the strict reading:".to_owned(),
            };
            let shown = ["deadline", "event", "kind", "stage"];
            let shown = shown.iter().filter_map(|name| labels.get(name));
            let line = shown.fold(line, |line, value| format!("{line} {value}"));
            evaluation.firing.entry(hour).or_default().insert(line);
        }
    }
    if evaluation.firing.is_empty() {
        let first: Vec<&str> = report.lines().take(4).collect();
        panic!("promtool reports no samples:\n{}", first.join("\n"));
    }
    evaluation
}

/// Parses a duration such as `5w6d10h`.
fn parse_hours(duration: &str) -> i64 {
    let parts = Regex::new(r"(\d+)([ywdh])").unwrap();
    parts
        .captures_iter(duration)
        .map(|part| {
            let number: i64 = part[1].parse().unwrap();
            number
                * match &part[2] {
                    "y" => 8760,
                    "w" => 168,
                    "d" => 24,
                    _ => 1,
                }
        })
        .sum()
}

/// The alerts of each business day that differs from the one before.
fn alert_calendar(firm: &Firm) -> String {
    let calendar = Calendar::embedded();
    let mut days = Vec::new();
    let mut day = FIRST;
    while day < LAST {
        if calendar.is_business_day(day) == Some(true) {
            let hour =
                (midnight(day).as_second() - midnight(FIRST).as_second()) / 3600 + LISTED_HOUR;
            days.push((day, hour));
        }
        day = day.tomorrow().unwrap();
    }
    let hours: Vec<i64> = days.iter().map(|(_, hour)| *hour).collect();
    let evaluation = evaluate(&History::of(firm), &hours);
    let mut text = format!("{}\n", firm.title);
    let mut before = None;
    for (day, hour) in days {
        let outage = if evaluation.soft.contains(&hour) {
            "a ticket"
        } else {
            "a page"
        };
        let alerts = evaluation.firing.get(&hour).cloned().unwrap_or_default();
        let now = (outage, alerts);
        if before.as_ref() != Some(&now) {
            let _ = writeln!(text, "\n{} an outage is {outage}", day.strftime("%F %a"));
            for line in &now.1 {
                let _ = writeln!(text, "  {line}");
            }
            if now.1.is_empty() {
                text += "  no alerts\n";
            }
        }
        before = Some(now);
    }
    text
}

#[test]
fn alerts_during_the_migration_match_the_reviewed_calendar() {
    let mut document = "\
# The deadline, readiness and monitoring alerts that are firing at 10:00 HKT on the business days of the
# migration. A day is listed if it differs from the business day before. Deadline and readiness alerts
# are mailed on business days; info alerts are only shown. tests/alerts/rules/migration.rs checks this file.
"
    .to_owned();
    let calendars = std::thread::scope(|scope| {
        let running = FIRMS
            .each_ref()
            .map(|firm| scope.spawn(|| alert_calendar(firm)));
        running.map(|one| one.join().unwrap())
    });
    for calendar in calendars {
        let _ = write!(document, "\n{calendar}");
    }
    assert_document("alerts/tests/migration.txt", &document);
}
