//! The dates in a calendar program: read with a library that is not ours, figures written by hand.

use harness::documents::repository;
use std::collections::BTreeMap;
use std::process::Stdio;

use harness::exporter::{ConfigFile, PATIENCE, run};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

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

async fn exported(at: &str, config: &str) -> String {
    let config = ConfigFile::new(config);
    let output = run(&[&config.argument(), "timetable", "--format=ics", "--at", at]).await;
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

/// The events of each calendar by what stands before the dot of their identifier.
async fn read(calendars: &[String]) -> Vec<BTreeMap<String, Event>> {
    let mut child = Command::new(repository("tests/interop/read_ics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("tests/install.sh has run");
    let mut stdin = child.stdin.take().expect("a pipe");
    let asked = serde_json::to_vec(calendars).unwrap();
    stdin.write_all(&asked).await.expect("it reads");
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.expect("it ends").expect("it runs");
    assert!(output.status.success());
    let told: Vec<Vec<Event>> = serde_json::from_slice(&output.stdout).unwrap();
    let by_name = |events: Vec<Event>| {
        let count = events.len();
        let name = |event: &Event| event.uid.split('.').next().unwrap().to_owned();
        let by_name: BTreeMap<_, _> = events.into_iter().map(|one| (name(&one), one)).collect();
        assert_eq!(by_name.len(), count, "an identifier stands twice");
        by_name
    };
    told.into_iter().map(by_name).collect()
}

#[tokio::test]
async fn each_date_is_there_with_its_reminders_on_business_days() {
    let text = exported("2023-03-01", "").await;
    let events = read(&[text]).await.remove(0);
    assert_eq!(events.len(), 11, "{:?}", events.keys());

    // "before 28 April 2023 (Friday)": Thursday is the last day to act. Good Friday, Easter Monday and
    // Ching Ming lie before it.
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
        "it would be stale: {}",
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
async fn a_later_file_replaces_what_an_earlier_one_brought_and_the_same_is_the_same() {
    let answers =
        "timetable:\n  done: {email_registration_users: true}\n  actual: {launch: 2023-05-29}\n";
    let (first, again, later) = tokio::join!(
        exported("2023-04-03", ""),
        exported("2023-04-03", ""),
        exported("2023-05-30", answers)
    );
    assert_eq!(first, again);
    let [first, later]: [_; 2] = read(&[first, later]).await.try_into().unwrap();
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
