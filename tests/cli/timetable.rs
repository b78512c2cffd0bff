//! The dates of the circular. Every expected value was determined by hand.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

use std::collections::BTreeMap;
use std::path::Path;

use ccass_2fa_exporter::calendar::Calendar;
use ccass_2fa_exporter::diagnostics::Diagnostics;
use ccass_2fa_exporter::render::timetable::{Explain, json, text};
use ccass_2fa_exporter::timetable::{
    DeadlineState, DeadlineStatus, EventState, EventStatus, Overrides, Phase, Precision, Status,
    Timetable, TimetableStatus,
};
use jiff::Timestamp;
use jiff::civil::{Date, date};

const SHIPPED: &str = include_str!("../../src/timetable/ccass-013-2023.yaml");

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn status(now: &str) -> TimetableStatus {
    Timetable::embedded().status_at(at(now), &Calendar::embedded())
}

fn status_with(overrides: &Overrides, now: &str) -> TimetableStatus {
    let timetable = Timetable::embedded().with_overrides(overrides).unwrap();
    timetable.status_at(at(now), &Calendar::embedded())
}

fn actual_days(days: &[(&str, Date)]) -> Overrides {
    let actual = days.iter().map(|(id, day)| ((*id).to_owned(), *day));
    Overrides {
        actual: actual.collect(),
        ..Overrides::default()
    }
}

fn deadline<'a>(status: &'a TimetableStatus, id: &str) -> &'a DeadlineStatus {
    status
        .deadlines
        .iter()
        .find(|deadline| deadline.id == id)
        .unwrap()
}

fn event<'a>(status: &'a TimetableStatus, id: &str) -> &'a EventStatus {
    status.events.iter().find(|event| event.id == id).unwrap()
}

fn parse_error(from: &str, to: &str) -> String {
    assert!(SHIPPED.contains(from), "{from}");
    let errors = parse_errors(&SHIPPED.replacen(from, to, 1));
    assert_eq!(errors.len(), 1, "{from} -> {to}: {errors:#?}");
    errors[0].clone()
}

fn parse(text: &str) -> Result<Timetable, Diagnostics> {
    Timetable::parse(text, Path::new("next.yml"))
}

fn parse_errors(text: &str) -> Vec<String> {
    let errors = parse(text).unwrap_err().to_string();
    let positions = errors.lines().filter(|line| line.starts_with("next.yml:"));
    positions.map(str::to_owned).collect()
}

#[test]
fn deadlines_have_exact_bounds() {
    let status = status("2023-04-04T00:00:00+08:00");
    for (id, opens, strict, outer, alert_until, business_days) in [
        (
            "email_registration_users",
            1671379200,
            1682611200,
            1682697600,
            1685548800,
            85,
        ),
        (
            "email_registration_delegated_admins",
            1679241600,
            1682611200,
            1682697600,
            1685548800,
            26,
        ),
        (
            "connection_verification",
            1680451200,
            1682611200,
            1682697600,
            1690819200,
            16,
        ),
        (
            "briefing_registration",
            1680451200,
            1681920000,
            1681920000,
            1682502300,
            10,
        ),
    ] {
        let deadline = deadline(&status, id);
        assert_eq!(deadline.opens.as_second(), opens, "{id}");
        assert_eq!(deadline.strict.as_second(), strict, "{id}");
        assert_eq!(deadline.outer.as_second(), outer, "{id}");
        assert_eq!(deadline.alert_until.as_second(), alert_until, "{id}");
        assert_eq!(deadline.business_days, Some(business_days), "{id}");
    }
    assert_eq!(status.deadlines.len(), 4);
    let verification = deadline(&status, "connection_verification");
    assert_eq!(
        verification.recommended_before.unwrap().as_second(),
        1684598400
    );
}

#[test]
fn events_have_exact_intervals() {
    use Precision::{Minute, Range, ThirdOfMonth};
    use Status::{Confirmed, Tentative};
    let timetable = status("2023-04-04T00:00:00+08:00");
    for (id, start, end, business_days, precision, status) in [
        ("briefing_1", 1682325000, 1682329500, 1, Minute, Confirmed),
        ("briefing_2", 1682411400, 1682415900, 1, Minute, Confirmed),
        ("briefing_3", 1682497800, 1682502300, 1, Minute, Confirmed),
        (
            "delegated_admin_processing",
            1682006400,
            1685548800,
            27,
            Range,
            Tentative,
        ),
        (
            "information_package",
            1682870400,
            1683734400,
            7,
            ThirdOfMonth,
            Tentative,
        ),
        ("launch", 1684598400, 1685548800, 7, ThirdOfMonth, Tentative),
        (
            "sole_2fa",
            1689868800,
            1690819200,
            7,
            ThirdOfMonth,
            Tentative,
        ),
    ] {
        let event = event(&timetable, id);
        assert_eq!(event.start.as_second(), start, "{id}");
        assert_eq!(event.end.as_second(), end, "{id}");
        assert_eq!(event.business_days, Some(business_days), "{id}");
        assert_eq!((event.precision, event.status), (precision, status), "{id}");
    }
    assert_eq!(timetable.events.len(), 7);
}

#[test]
fn business_days_left_include_today_and_the_last_day() {
    for (id, now, left) in [
        ("email_registration_users", "2022-12-19T00:00:00+08:00", 85),
        (
            "email_registration_delegated_admins",
            "2023-03-20T00:00:00+08:00",
            26,
        ),
        ("connection_verification", "2023-04-03T00:00:00+08:00", 16),
        ("connection_verification", "2023-04-04T00:00:00+08:00", 15),
        ("connection_verification", "2023-04-07T00:00:00+08:00", 13),
        ("connection_verification", "2023-04-23T00:00:00+08:00", 4),
        ("connection_verification", "2023-04-27T23:59:59+08:00", 1),
        ("connection_verification", "2023-04-28T00:00:00+08:00", 0),
        ("connection_verification", "2023-04-29T00:00:00+08:00", 0),
        ("briefing_registration", "2023-04-04T00:00:00+08:00", 9),
        ("briefing_registration", "2023-04-19T12:00:00+08:00", 1),
        ("briefing_registration", "2023-04-20T00:00:00+08:00", 0),
    ] {
        let status = status(now);
        assert_eq!(
            deadline(&status, id).business_days_left,
            Some(left),
            "{id} {now}"
        );
    }
    let last = deadline(&status("2023-04-04T00:00:00Z"), "connection_verification").last_day_to_act;
    assert_eq!(last, Some(date(2023, 4, 27)));
}

#[test]
fn deadline_is_disputed_between_its_two_interpretations() {
    for (now, state) in [
        ("2022-12-18T15:59:59Z", DeadlineState::NotOpen),
        ("2022-12-18T16:00:00Z", DeadlineState::Open),
        ("2023-04-27T15:59:59Z", DeadlineState::Open),
        ("2023-04-27T16:00:00Z", DeadlineState::Disputed),
        ("2023-04-28T15:59:59Z", DeadlineState::Disputed),
        ("2023-04-28T16:00:00Z", DeadlineState::Passed),
    ] {
        assert_eq!(
            deadline(&status(now), "email_registration_users").state,
            state,
            "{now}"
        );
    }
}

#[test]
fn deadline_by_a_day_includes_it_and_is_never_disputed() {
    let state = |now| deadline(&status(now), "briefing_registration").state;
    assert_eq!(state("2023-04-19T15:59:59Z"), DeadlineState::Open);
    assert_eq!(state("2023-04-19T16:00:00Z"), DeadlineState::Passed);
}

#[test]
fn business_days_left_before_an_event_exclude_its_day() {
    let left = |id, now| event(&status(now), id).business_days_left;
    assert_eq!(left("briefing_1", "2023-04-20T12:00:00+08:00"), Some(2));
    assert_eq!(left("briefing_1", "2023-04-21T12:00:00+08:00"), Some(1));
    assert_eq!(left("briefing_1", "2023-04-24T12:00:00+08:00"), Some(0));
    assert_eq!(left("launch", "2023-05-19T12:00:00+08:00"), Some(1));
    assert_eq!(left("launch", "2023-05-20T12:00:00+08:00"), Some(0));
}

#[test]
fn outside_the_calendar_only_business_days_are_absent() {
    for now in ["2021-12-31T15:59:59Z", "2027-12-31T16:00:00Z"] {
        let status = status(now);
        assert!(
            status
                .deadlines
                .iter()
                .all(|deadline| deadline.business_days_left.is_none()),
            "{now}"
        );
        assert!(
            status
                .events
                .iter()
                .all(|event| event.business_days_left.is_none()),
            "{now}"
        );
        assert_eq!(
            deadline(&status, "connection_verification")
                .strict
                .as_second(),
            1682611200
        );
    }
    let years_end = status("2021-12-31T16:00:00Z");
    assert_eq!(
        deadline(&years_end, "connection_verification").business_days_left,
        Some(323)
    );
}

#[test]
fn phase_changes_at_its_earliest_start_and_is_certain_at_its_latest() {
    use Phase::{ParallelRun, Preparation, Sole2fa};
    for (now, phase, certain) in [
        ("2023-05-20T15:59:59Z", Preparation, true),
        ("2023-05-20T16:00:00Z", ParallelRun, false),
        ("2023-05-31T15:59:59Z", ParallelRun, false),
        ("2023-05-31T16:00:00Z", ParallelRun, true),
        ("2023-07-20T15:59:59Z", ParallelRun, true),
        ("2023-07-20T16:00:00Z", Sole2fa, false),
        ("2023-07-31T16:00:00Z", Sole2fa, true),
        ("2040-01-01T00:00:00Z", Sole2fa, true),
    ] {
        let status = status(now);
        assert_eq!(
            (status.phase, status.phase_certain),
            (phase, certain),
            "{now}"
        );
    }
}

#[test]
fn actual_date_moves_the_phase_and_makes_it_certain() {
    let launch = actual_days(&[("launch", date(2023, 5, 29))]);
    for (now, phase) in [
        ("2023-05-28T15:59:59Z", Phase::Preparation),
        ("2023-05-28T16:00:00Z", Phase::ParallelRun),
    ] {
        let status = status_with(&launch, now);
        assert_eq!((status.phase, status.phase_certain), (phase, true), "{now}");
    }
    let status = status_with(&launch, "2023-05-23T00:00:00+08:00");
    let moved = event(&status, "launch");
    assert_eq!(moved.start.as_second(), 1685289600);
    assert_eq!(moved.end.as_second(), 1685376000);
    assert_eq!(
        (moved.precision, moved.status),
        (Precision::Day, Status::Confirmed)
    );
    assert_eq!(moved.state, EventState::Upcoming);
}

#[test]
fn alerts_follow_a_postponed_launch_but_never_end_early() {
    let until = |day| {
        let status = status_with(&actual_days(&[("launch", day)]), "2023-05-02T00:00:00Z");
        deadline(&status, "email_registration_users")
            .alert_until
            .as_second()
    };
    assert_eq!(until(date(2023, 5, 22)), 1685548800);
    assert_eq!(until(date(2023, 6, 12)), 1686585600);
}

#[test]
fn done_deadlines_stay_done_and_later_overrides_are_merged() {
    let done = |id: &str, done| Overrides {
        done: BTreeMap::from([(id.to_owned(), done)]),
        ..Overrides::default()
    };
    let timetable = Timetable::embedded()
        .with_overrides(&done("email_registration_users", true))
        .unwrap()
        .with_overrides(&done("connection_verification", true))
        .unwrap()
        .with_overrides(&done("briefing_registration", false))
        .unwrap();
    let status = timetable.status_at(at("2023-04-28T00:00:00Z"), &Calendar::embedded());
    let states: Vec<_> = status
        .deadlines
        .iter()
        .map(|deadline| (deadline.done, deadline.state.into_str()))
        .collect();
    assert_eq!(
        states,
        [
            (true, "done"),
            (false, "disputed"),
            (true, "done"),
            (false, "passed")
        ]
    );
}

#[test]
fn invalid_overrides_are_rejected_with_their_key() {
    let parse_error = |overrides: &str| {
        let overrides: Overrides = serde_saphyr::from_str(overrides).unwrap();
        Timetable::embedded()
            .with_overrides(&overrides)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(
        parse_error("done: {launch: true}"),
        "timetable.done.launch: unknown deadline; known deadlines: email_registration_users, \
         email_registration_delegated_admins, connection_verification, briefing_registration"
    );
    assert_eq!(
        parse_error("actual: {briefing_1: 2023-04-24}"),
        "timetable.actual.briefing_1: unknown milestone or phase; known ones: \
         delegated_admin_processing, information_package, launch, sole_2fa"
    );
    assert_eq!(
        parse_error("attendees: {launch: 1}"),
        "timetable.attendees.launch: unknown appointment; known appointments: \
         briefing_1, briefing_2, briefing_3"
    );
    assert_eq!(
        parse_error("attendees: {briefing_2: 40, briefing_1: 3}"),
        "timetable.attendees.briefing_1: 3 attendees are too many; the circular allows at most 2 of one firm"
    );
    assert_eq!(
        parse_error("actual: {launch: 2023-08-05}"),
        "timetable.actual.launch: `sole_2fa` (from 2023-07-21) must start after `launch` (from 2023-08-05), the \
         phase before it; correct one date, or set both"
    );
    assert_eq!(
        parse_error("{done: {launch: true}, attendees: {launch: 1}}")
            .lines()
            .count(),
        2
    );
}

#[test]
fn two_phases_can_be_moved_together() {
    let both = actual_days(&[
        ("launch", date(2023, 8, 5)),
        ("sole_2fa", date(2023, 9, 29)),
    ]);
    let status = status_with(&both, "2023-08-05T00:00:00+08:00");
    assert_eq!(status.phase, Phase::ParallelRun);
}

#[test]
fn two_attend_in_person_and_any_number_the_webinars() {
    let overrides = Overrides {
        attendees: BTreeMap::from([("briefing_1".to_owned(), 2), ("briefing_3".to_owned(), 40)]),
        ..Overrides::default()
    };
    let status = status_with(&overrides, "2023-04-20T00:00:00Z");
    assert_eq!(event(&status, "briefing_1").attendees, Some(2));
    assert_eq!(event(&status, "briefing_3").attendees, Some(40));
}

#[test]
fn timetable_is_historical_from_august_2023() {
    assert!(!status("2023-07-31T15:59:59Z").historical);
    assert!(status("2023-07-31T16:00:00Z").historical);
    assert_eq!(Timetable::embedded().ends().as_second(), 1690819200);
    let postponed = actual_days(&[("sole_2fa", date(2023, 9, 29))]);
    assert!(!status_with(&postponed, "2023-09-29T15:59:59Z").historical);
}

#[test]
fn header_identifies_the_circular() {
    let timetable = Timetable::embedded();
    assert_eq!(timetable.header.reference, "CD/OES/CCASS/013/2023");
    assert_eq!(timetable.header.issued, date(2023, 4, 3));
    assert_eq!(timetable.header.status.into_str(), "tentative");
    assert_eq!(timetable.hash().len(), 12);
    let changed = parse(&format!("{SHIPPED}# a note\n")).unwrap();
    assert_ne!(changed.hash(), timetable.hash());
    assert_eq!(changed.deadlines, timetable.deadlines);
}

#[test]
fn short_file_loads_and_vague_deadline_counts_from_its_first_day() {
    let next = "reference: CD/1\nissuer: HKSCC\nissued: 2027-01-04\nstatus: confirmed\nsubject: More\n\
        supersedes: CD/OES/CCASS/013/2023\nphase_at_issue: sole_2fa\n\
        deadlines:\n  - id: enrol\n    title: Enrol\n    status: tentative\n    alert_until: {on: 2027-03-31}\n    \
        due: [{form: {mid: 2027-02}, words: mid February, sentences: [Enrol by mid February.]}]\n";
    let timetable = parse(next).unwrap();
    let status = timetable.status_at(at("2027-02-01T00:00:00Z"), &Calendar::embedded());
    let enrol = deadline(&status, "enrol");
    assert_eq!(status.phase, Phase::Sole2fa);
    assert_eq!(enrol.strict, at("2027-02-11T00:00:00+08:00"));
    assert_eq!(enrol.outer, at("2027-02-21T00:00:00+08:00"));
    assert_eq!(enrol.alert_until, at("2027-04-01T00:00:00+08:00"));
    assert_eq!(enrol.last_day_to_act, Some(date(2027, 2, 10)));
    let page = text(&timetable, &status, Explain::WithSentences);
    assert!(page.contains("It replaces circular CD/OES/CCASS/013/2023."));
}

#[test]
fn errors_are_reported_with_line_column_key_and_hint() {
    for (from, to, message) in [
        (
            "{before: 2023-04-28}",
            "{before: 2023-02-30}",
            "next.yml:37:24: deadlines.email_registration_users.due.form.before: invalid date \"2023-02-30\"; use YYYY-MM-DD, such as 2023-04-28",
        ),
        (
            "{early: 2023-05}",
            "{early: 2023-13}",
            "next.yml:173:21: milestones.information_package.said.form.early: invalid month \"2023-13\"; use YYYY-MM, such as 2023-05",
        ),
        (
            "\"16:30\"",
            "\"4.30pm\"",
            "next.yml:123:13: events.briefing_1.starts: invalid time \"4.30pm\"; use \"HH:MM\" in quotes, such as \"16:30\"",
        ),
        (
            "\"17:45\"",
            "\"16:30\"",
            "next.yml:124:11: events.briefing_1.ends: 16:30 is not later than the start, 16:30",
        ),
        (
            "id: briefing_1",
            "id: Briefing-1",
            "next.yml:109:9: id: invalid id \"Briefing-1\"; use 1 to 64 of a-z, 0-9 and _",
        ),
        (
            "id: briefing_2",
            "id: briefing_1",
            "next.yml:130:9: id: duplicate id `briefing_1`, first on line 109; choose another",
        ),
        (
            "{end_of: launch}",
            "{end_of: lunch}",
            "next.yml:50:27: deadlines.email_registration_users.alert_until: unknown event \"lunch\"; known events: briefing_1, briefing_2, briefing_3, delegated_admin_processing, information_package, launch, sole_2fa",
        ),
        (
            "{end_of: launch}",
            "{on: 2023-04-01}",
            "next.yml:50:23: deadlines.email_registration_users.alert_until: alerts would end before the deadline; use a later day or event",
        ),
        (
            "{from: 2022-12-19}",
            "{from: 2023-12-19}",
            "next.yml:29:9: deadlines.email_registration_users.due: it is due before it opens; correct `due`, `opens` or `issued`",
        ),
        (
            "{by: 2023-04-19}",
            "{from: 2023-04-19}",
            "next.yml:101:16: deadlines.briefing_registration.due.form: this form is not possible here; use before, by or on",
        ),
        (
            "begins: parallel_run",
            "begins: sole_2fa",
            "next.yml:196:13: phases.sole_2fa.begins: the phases must be in order: preparation, parallel_run, sole_2fa, each later than the one before and after `phase_at_issue`",
        ),
        (
            "to: {month: 2023-05}",
            "to: {month: 2023-03}",
            "next.yml:163:57: milestones.delegated_admin_processing.said.form.range: the range ends before it begins; swap `from` and `to`",
        ),
        (
            "status: tentative #",
            "status: maybe #",
            "next.yml:16:9: status: unknown value \"maybe\"; use tentative or confirmed",
        ),
        (
            "issuer:",
            "isuer:",
            "next.yml:14:1: unknown key \"isuer\"; known keys: reference, issuer",
        ),
        (
            "title: First briefing, in person",
            "title: \"\\e[31m\"",
            "next.yml:110:12: events.briefing_1.title: remove line breaks, tabs and other control characters",
        ),
        (
            "attendees_at_most: 2",
            "attendees_at_most: two",
            "next.yml:127:24: attendees_at_most: expected a whole number from 0",
        ),
        (
            "reference: CD/OES/CCASS/013/2023\n",
            "",
            "next.yml:178:1: missing key \"reference\"; add it",
        ),
        (
            "reference: CD/OES/CCASS/013/2023\n",
            "reference: null\n",
            "next.yml:13:12: reference: missing value; add it, or remove the key if it is optional",
        ),
    ] {
        let error = parse_error(from, to);
        assert!(
            error.starts_with(message),
            "{from} -> {to}\n  {error}\n  {message}"
        );
    }
    assert!(parse("").is_err());
    assert!(parse("[").is_err());
}

#[test]
fn all_independent_errors_are_reported_together() {
    let mut text = SHIPPED.to_owned();
    for (from, to) in [
        ("issued: 2023-04-03", "issued: soon"),
        ("\"16:30\"", "\"4.30pm\""),
        ("id: briefing_2", "id: briefing_1"),
        ("{early: 2023-05}", "{early: 2023-13}"),
        ("{late: 2023-05}", "{late: May}"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let errors = parse_errors(&text);
    let keys: Vec<&str> = errors
        .iter()
        .map(|error| error.split(": ").nth(1).unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "issued",
            "events.briefing_1.starts",
            "id",
            "milestones.information_package.said.form.early",
            "phases.launch.said.form.late",
        ],
        "{errors:#?}"
    );
    // Deadlines are validated once the header and the launch are valid.
    let text = SHIPPED.replace("{before: 2023-04-28}", "{before: 2023-04-31}");
    let errors = parse_errors(&text);
    assert_eq!(errors.len(), 3, "{errors:#?}");
}

#[test]
fn text_fits_100_columns_at_any_time() {
    for now in [
        "2021-06-01T00:00:00Z",
        "2023-04-24T02:00:00Z",
        "2023-04-28T02:00:00Z",
        "2023-05-25T02:00:00Z",
        "2030-01-01T00:00:00Z",
    ] {
        for explain in [Explain::DatesOnly, Explain::WithSentences] {
            let page = text(&Timetable::embedded(), &status(now), explain);
            for line in page.lines() {
                assert!(
                    line.chars().count() <= 100 && line.trim_end() == line,
                    "{line}"
                );
            }
            assert_eq!(page.matches("--- now: ").count(), 1, "{now}");
        }
    }
}

#[test]
fn text_shows_the_next_step_and_the_current_date() {
    let page = text(
        &Timetable::embedded(),
        &status("2023-04-24T10:00:00+08:00"),
        Explain::DatesOnly,
    );
    assert!(page.contains("The circular calls its dates tentative: they can still change.\n"));
    assert!(page.contains("differ, the English text prevails.\n"));
    assert!(page.contains("Late: Register for the briefings in Client Connect.\n"));
    assert!(page.contains(
        "To do next (open; 4 business days left): Register the e-mail address of every CCASS user;"
    ));
    let (past, to_come) = page
        .split_once("--- now: Mon 24 Apr 2023, 10:00 ---")
        .unwrap();
    assert!(
        past.contains(
            "by Wed 19 Apr 2023            Register for the briefings in Client Connect\n"
        )
    );
    assert!(to_come.contains("Mon 24 Apr 2023, 16:30-17:45  First briefing, in person\n                              Today.\n"));
    assert!(to_come.contains("Sun 21 May - Wed 31 May 2023  Launch of 2FA"));
    assert!(to_come.contains("19 business days to go; tentative: \"Late May 2023\".\n"));
    assert!(!page.contains("means:"));
}

#[test]
fn text_shows_both_interpretations_and_explains_them_on_request() {
    let page = text(
        &Timetable::embedded(),
        &status("2023-04-28T10:00:00+08:00"),
        Explain::WithSentences,
    );
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        page.contains(
            "Late by the stricter interpretation, in time by the other; treat it as late."
        )
    );
    assert!(page.contains("says \"before 28 April 2023 (Friday)\" and also \"28 April 2023\": until the end of Thu 27 Apr 2023, or of Fri 28 Apr 2023. The earlier date counts."));
    assert!(page.contains("\"before 28 April 2023 (Friday)\" means: done by the end of Thu 27 Apr 2023; Fri 28 Apr 2023 is too late."));
    assert!(
        page.contains(
            "The circular: \"Deadline for verification of connection to the 2FA server\""
        )
    );
    assert!(page.contains(
        "\"Late May 2023\" means: day 21 to the end of the month, Sun 21 May - Wed 31 May 2023."
    ));
}

#[test]
fn text_marks_an_assumed_phase() {
    let page = text(
        &Timetable::embedded(),
        &status("2023-05-25T10:00:00+08:00"),
        Explain::DatesOnly,
    );
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("This is assumed: the circular only says \"Late May 2023\", so the phase may begin any day until Wed 31 May 2023."));
    assert!(page.contains("configure it as timetable.actual.launch."));
}

#[test]
fn text_reports_that_all_dates_are_past_and_probing_continues() {
    let page = text(
        &Timetable::embedded(),
        &status("2026-11-24T10:00:00+08:00"),
        Explain::DatesOnly,
    );
    assert!(page.contains("All dates of this circular are past."));
    assert!(page.contains("still probed."));
    assert!(
        !page.contains("can still change")
            && !page.contains("If missed")
            && !page.contains("To do")
    );
}

#[test]
fn json_has_the_state_and_the_quoted_text() {
    let document = json(&Timetable::embedded(), &status("2023-04-28T00:00:00+08:00"));
    assert_eq!(document["schema"], 1);
    assert_eq!(document["reference"], "CD/OES/CCASS/013/2023");
    assert_eq!(document["phase"], "preparation");
    let users = &document["deadlines"][0];
    assert_eq!(users["state"], "disputed");
    assert_eq!(users["strict"], "2023-04-27T16:00:00Z");
    assert_eq!(users["due"][0]["form"], "before");
    assert_eq!(users["due"][1]["words"], "28 April 2023");
    assert_eq!(document["events"][6]["id"], "sole_2fa");
    assert_eq!(document["events"][6]["precision"], "third_of_month");
    assert!(!document.to_string().contains("null"));
}
