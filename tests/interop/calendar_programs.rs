//! The exported calendar, parsed with Python's icalendar and compared with dates worked out by hand.

use std::collections::BTreeMap;
use std::process::Stdio;

use harness::documents::repository;
use harness::exporter::{ConfigFile, run};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::TIMEOUT;

#[derive(Debug, Deserialize)]
struct Event {
    uid: String,
    sequence: u32,
    stamp: String,
    start: String,
    end: String,
    all_day: bool,
    status: String,
    summary: String,
    description: String,
    location: Option<String>,
    transparent: bool,
    alarms: Vec<String>,
}

async fn export(at: &str, config: &str) -> String {
    let config = ConfigFile::new(config);
    let output = run(&[&config.argument(), "timetable", "--format=ics", "--at", at]).await;
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

/// The events of each calendar by the first part of their UID.
async fn parse(calendars: &[String]) -> Vec<BTreeMap<String, Event>> {
    let mut child = Command::new(repository("tests/interop/read_ics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("tests/install.sh has installed the library");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = serde_json::to_vec(calendars).unwrap();
    stdin.write_all(&input).await.expect("the script reads");
    drop(stdin);
    let output = tokio::time::timeout(TIMEOUT, child.wait_with_output()).await;
    let output = output.expect("read_ics.py ends").expect("an exit status");
    assert!(output.status.success(), "read_ics.py: {}", output.status);
    let calendars: Vec<Vec<Event>> = serde_json::from_slice(&output.stdout).unwrap();
    let by_name = |events: Vec<Event>| {
        let count = events.len();
        let name = |event: &Event| event.uid.split('.').next().unwrap().to_owned();
        let by_name: BTreeMap<_, _> = events.into_iter().map(|one| (name(&one), one)).collect();
        assert_eq!(by_name.len(), count, "a UID occurs twice");
        by_name
    };
    calendars.into_iter().map(by_name).collect()
}

#[tokio::test]
async fn calendar_has_every_date_with_reminders_on_business_days() {
    let text = export("2023-03-01", "").await;
    let events = parse(&[text]).await.remove(0);
    assert_eq!(events.len(), 11, "{:?}", events.keys());

    // "before 28 April 2023 (Friday)": Thursday is the last day to act. Good Friday, Easter Monday and
    // Ching Ming are in the weeks before it.
    let users = &events["email_registration_users"];
    assert!(users.all_day && users.transparent);
    assert_eq!(users.start, "2023-04-26T16:00:00+00:00");
    assert_eq!(users.end, "2023-04-27T16:00:00+00:00");
    assert_eq!(
        users.alarms,
        [
            "2023-04-03T01:00:00+00:00",
            "2023-04-20T01:00:00+00:00",
            "2023-04-26T01:00:00+00:00"
        ]
    );
    assert!(users.summary.starts_with("Deadline: "), "{}", users.summary);
    assert!(
        users.description.contains("before 28 April 2023"),
        "{}",
        users.description
    );
    assert!(
        !users.description.contains("left"),
        "a number of days left would be outdated: {}",
        users.description
    );
    assert_eq!(users.status, "CONFIRMED");

    let briefing = &events["briefing_1"];
    assert!(!briefing.all_day && !briefing.transparent);
    assert_eq!(briefing.start, "2023-04-24T08:30:00+00:00");
    assert_eq!(briefing.end, "2023-04-24T09:45:00+00:00");
    assert_eq!(
        briefing.alarms,
        ["2023-04-17T01:00:00+00:00", "2023-04-21T01:00:00+00:00"]
    );
    assert!(
        briefing
            .location
            .as_deref()
            .unwrap()
            .contains("Exchange Square")
    );

    let launch = &events["launch"];
    assert!(launch.all_day && launch.transparent && launch.alarms.is_empty());
    assert_eq!(launch.start, "2023-05-20T16:00:00+00:00");
    assert_eq!(launch.end, "2023-05-31T16:00:00+00:00");
    assert_eq!(launch.status, "TENTATIVE");
}

#[tokio::test]
async fn later_export_updates_events_and_same_date_exports_are_identical() {
    let overrides =
        "timetable:\n  done: {email_registration_users: true}\n  actual: {launch: 2023-05-29}\n";
    let (first, again, later) = tokio::join!(
        export("2023-04-03", ""),
        export("2023-04-03", ""),
        export("2023-05-30", overrides)
    );
    assert_eq!(first, again);
    let [first, later]: [_; 2] = parse(&[first, later]).await.try_into().unwrap();
    assert!(first.keys().eq(later.keys()));
    for (name, event) in &first {
        let next = &later[name];
        assert_eq!(event.uid, next.uid);
        assert!(
            event.sequence < next.sequence && event.stamp < next.stamp,
            "{name}"
        );
    }
    let done = &later["email_registration_users"];
    assert!(
        done.summary.starts_with("Done: ") && done.alarms.is_empty(),
        "{done:?}"
    );
    let launch = &later["launch"];
    assert_eq!(
        (launch.status.as_str(), launch.start.as_str()),
        ("CONFIRMED", "2023-05-28T16:00:00+00:00")
    );
    assert_eq!(launch.end, "2023-05-29T16:00:00+00:00");
}
