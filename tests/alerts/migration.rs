//! The whole migration replayed: the metrics of every second hour, from the real code with an injected clock,
//! go through the shipped rules in promtool. What stands at ten in the morning of each business day
//! is alerts/tests/migration.txt, which a person has read.
//! `make documents` writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use ccass_2fa_exporter::calendar::{Calendar, date_at, midnight};
use ccass_2fa_exporter::config::Config;
use ccass_2fa_exporter::render::metrics::{
    Evidence, Format, ReadinessState, Reload, Snapshot, render,
};
use harness::documents::{assert_document, repository};
use harness::exporter::Metrics;
use jiff::ToSpan;
use jiff::civil::{Date, date};
use regex::Regex;

const FIRST: Date = date(2022, 12, 19);
const LAST: Date = date(2023, 8, 31);
/// Hours between two scrapes, and two evaluations.
const STEP: i64 = 2;
/// The hour at which a person looks.
const LOOK: i64 = 10;

/// A firm, as its configuration and its readiness file say it, day by day.
struct Firm {
    title: &'static str,
    /// From which day on which `timetable:` stands in the configuration.
    timetable: &'static [(Date, &'static str)],
    /// From which day on the readiness file has how many accounts.
    accounts: &'static [(Date, Accounts)],
}

#[derive(Clone, Copy)]
struct Accounts {
    users_missing: u32,
    admins_missing: u32,
    admins_submitted: u32,
    /// Since the launch, without a smartcard.
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
        title: "A firm that does nothing, and has a new user from 5 June on",
        timetable: &[(FIRST, "{}")],
        accounts: &[
            (FIRST, accounts(12, 1, 1, 0)),
            (date(2023, 6, 5), accounts(12, 1, 1, 1)),
        ],
    },
    Firm {
        title: "A firm that does everything in time, and says so; HKEX names the days of launch and end",
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

fn holds<T: Copy>(steps: &[(Date, T)], day: Date) -> T {
    let step = steps.iter().rev().find(|(from, _)| *from <= day);
    step.expect("something from the first day on").1
}

/// Series by name, each with a value a step.
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
            let (_, config) = configs.iter().rev().find(|(from, _)| *from <= day).unwrap();
            let exposition = Snapshot {
                config,
                loaded_at: now,
                known: &[],
                now,
                reload: Reload::Successful,
                readiness_state: &ReadinessState::default(),
                evidence: &Evidence::default(),
                rejections: &BTreeMap::new(),
            };
            let metrics = render(&exposition, Format::Text).unwrap();
            let metrics = Metrics::parse(&String::from_utf8(metrics).unwrap());
            for (series, value) in metrics.series {
                if !series.starts_with("ccass2fa_") {
                    continue;
                }
                // promtool's time begins at 0.
                let absolute =
                    series.contains("_timestamp_seconds") || series.contains("_time_seconds");
                let value = if absolute { value - origin } else { value };
                history.add(&series, value);
            }
            history.given(holds(firm.accounts, day), now.as_second() as f64 - origin);
            history.steps += 1;
            now += STEP.hours();
        }
        history
    }

    /// The series of what is not built from the timetable.
    fn given(&mut self, accounts: Accounts, now: f64) {
        self.add("up{job=\"ccass2fa\"}", 1.0);
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

    /// In promtool's notation, runs of one value shortened.
    fn input(&self) -> String {
        let mut told = String::new();
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
            // An instance and a site as a scrape adds them.
            let labelled = match series.split_once('{') {
                Some((name, labels)) => {
                    format!("{name}{{instance=\"a:1\",site=\"head-office\",{labels}")
                }
                None => format!("{series}{{instance=\"a:1\",site=\"head-office\"}}"),
            };
            let _ = writeln!(
                told,
                "      - {{series: '{labelled}', values: '{}'}}",
                notation.trim_end()
            );
        }
        told
    }
}

/// What stands, and how grave an outage would be, by hour.
#[derive(Default)]
struct TimetableStatus {
    alerts: BTreeMap<i64, BTreeSet<String>>,
    soft: BTreeSet<i64>,
}

const FIRING: &str = "ALERTS{alertstate=\"firing\"}";
const SOFT: &str = "ccass2fa:outage:soft";
/// Deadlines that are over by the strict reading alone.
const DISPUTED: &str = "\
    label_replace(deadline:ccass2fa_deadline_outer_timestamp_seconds:max > time() and on (deadline) \
    ALERTS{alertname=\"Ccass2faDeadlineMissed\",alertstate=\"firing\"}, \"disputed\", \"yes\", \"\", \"\")";

/// Lets promtool say what stands: it is told to expect nothing, and lists what it finds.
fn evaluate(history: &History, looks: &[i64]) -> TimetableStatus {
    let directory = tempfile::tempdir().unwrap();
    let rules = repository("alerts");
    let mut test = format!(
        "rule_files: [{0}/context.yml, {0}/deadline.yml, {0}/readiness.yml, {0}/meta.yml]\n\
         evaluation_interval: {STEP}h\n\
         group_eval_order: [ccass2fa-context, ccass2fa-deadline, ccass2fa-readiness, ccass2fa-meta]\n\
         tests:\n  - interval: {STEP}h\n    input_series:\n{1}    promql_expr_test:\n",
        rules.display(),
        history.input()
    );
    for hour in looks {
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
        .args(["test", "rules"])
        .arg(&file)
        .output()
        .unwrap_or_else(|error| panic!("promtool: {error}; tests/install.sh installs it"));
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let found =
        Regex::new(r#"expr: "([^\n]+)", time: (\w+),\s+exp: ?nil\s+got: ?([^\n]+)"#).unwrap();
    let label = Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    let braces = Regex::new(r"\{[^}]*\}").unwrap();
    let mut standing = TimetableStatus::default();
    for case in found.captures_iter(&told) {
        let hour = hours(&case[2]);
        if case[1].contains("outage:soft") {
            standing.soft.insert(hour);
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
                None => "         over by the strict reading alone:".to_owned(),
            };
            let which = ["deadline", "event", "kind", "stage"];
            let which = which.iter().filter_map(|name| labels.get(name));
            let line = which.fold(line, |line, value| format!("{line} {value}"));
            standing.alerts.entry(hour).or_default().insert(line);
        }
    }
    assert!(
        !standing.alerts.is_empty(),
        "promtool finds nothing:\n{told}"
    );
    standing
}

/// `5w6d10h`, as Prometheus writes a duration.
fn hours(duration: &str) -> i64 {
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

/// Each business day on which something is other than on the one before.
fn calendar_of(firm: &Firm) -> String {
    let calendar = Calendar::embedded();
    let mut days = Vec::new();
    let mut day = FIRST;
    while day < LAST {
        if calendar.is_business_day(day) == Some(true) {
            let hour = (midnight(day).as_second() - midnight(FIRST).as_second()) / 3600 + LOOK;
            days.push((day, hour));
        }
        day = day.tomorrow().unwrap();
    }
    let looks: Vec<i64> = days.iter().map(|(_, hour)| *hour).collect();
    let standing = evaluate(&History::of(firm), &looks);
    let mut told = format!("{}\n", firm.title);
    let mut before = None;
    for (day, hour) in days {
        let outage = if standing.soft.contains(&hour) {
            "a ticket"
        } else {
            "a page"
        };
        let alerts = standing.alerts.get(&hour).cloned().unwrap_or_default();
        let now = (outage, alerts);
        if before.as_ref() != Some(&now) {
            let _ = writeln!(told, "\n{} an outage is {outage}", day.strftime("%F %a"));
            for line in &now.1 {
                let _ = writeln!(told, "  {line}");
            }
            if now.1.is_empty() {
                told += "  nothing stands\n";
            }
        }
        before = Some(now);
    }
    told
}

#[test]
fn the_migration_replayed_gives_the_calendar_of_alerts_that_was_reviewed() {
    let mut told = "\
# Which alerts of dates, readiness and monitoring stand at 10:00 HKT on the business days of the
# migration. A day is listed when it differs from the business day before. Deadlines and readiness go
# by mail on business days, info is only shown. The test tests/alerts/migration.rs holds this file.
"
    .to_owned();
    let calendars = std::thread::scope(|scope| {
        let running = FIRMS
            .each_ref()
            .map(|firm| scope.spawn(|| calendar_of(firm)));
        running.map(|one| one.join().unwrap())
    });
    for calendar in calendars {
        let _ = write!(told, "\n{calendar}");
    }
    assert_document("alerts/tests/migration.txt", &told);
}
