//! The evidence as an operator, an auditor and a burglar meet it: commands, files, metrics.

use std::path::PathBuf;
use std::process::Stdio;

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::{
    Audit, Content, Drill, DrillOutcome, Fault, Known, Ledger, LedgerError, Sighting, Standing,
    TerminalCheck,
};
use ccass_2fa_exporter::timetable::Timetable;
use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{ConfigFile, Exporter, PATIENCE, run};
use serde_json::Value;
use tokio::process::Command;

/// A data directory of its own.
struct Kept {
    directory: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    fn ledger_at(&self, at: &str) -> Ledger {
        let clock = Clock::Fixed(at.parse().unwrap());
        Ledger::in_directory(self.directory.path(), Some("central"), clock)
    }

    fn ledger(&self) -> Ledger {
        self.ledger_at("2026-11-24T00:05:00Z")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("evidence").join(name)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file("2026.jsonl")).unwrap()
    }

    fn replace(&self, text: &str) {
        std::fs::write(self.file("2026.jsonl"), text).unwrap();
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.audit(Known::default()).faults;
        faults.iter().map(ToString::to_string).collect()
    }

    fn audit(&self, known: Known<'_>) -> Audit {
        Audit::of(&self.ledger(), known).unwrap()
    }

    /// As many checks at a terminal.
    fn with(count: usize) -> Self {
        let kept = Self::new();
        for _ in 0..count {
            kept.ledger().append(&[check("t1")]).unwrap();
        }
        kept
    }
}

fn known(head: &str) -> Known<'_> {
    Known {
        head: Some(head),
        after: None,
    }
}

fn check(terminal: &str) -> Content {
    Content::Terminal(TerminalCheck {
        terminal: terminal.to_owned(),
        outcome: Sighting::Seen,
        reference: None,
    })
}

#[test]
fn an_altered_deleted_or_reordered_line_is_found_and_named() {
    let swapped = |lines: &mut Vec<String>| lines.swap(2, 3);
    let altered = |line: usize| {
        move |lines: &mut Vec<String>| lines[line] = lines[line].replace("\"seen\"", "\"not-seen\"")
    };
    // As somebody would who knows how a line is made.
    let forged = |lines: &mut Vec<String>| {
        let line = lines[2].replace("\"seen\"", "\"not-seen\"");
        let (body, _) = line.rsplit_once(",\"hash\":").unwrap();
        use sha2::Digest;
        let hash: String = sha2::Sha256::digest(body)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        lines[2] = format!("{body},\"hash\":\"{hash}\"}}");
    };
    type Burglary<'a> = &'a dyn Fn(&mut Vec<String>);
    for (burglary, told) in [
        (
            &altered(2) as Burglary,
            vec!["2026.jsonl line 3: record 3 was altered"],
        ),
        (&altered(4), vec!["2026.jsonl line 5: record 5 was altered"]),
        (&altered(0), vec!["2026.jsonl line 1: record 1 was altered"]),
        (&forged, vec!["2026.jsonl line 3: record 3 was altered"]),
        (
            &|lines: &mut Vec<String>| {
                lines.remove(1);
            },
            vec!["record 2 is missing"],
        ),
        (
            &|lines: &mut Vec<String>| {
                lines.drain(0..3);
            },
            vec!["records 1 to 3 are missing"],
        ),
        (
            &swapped,
            vec!["2026.jsonl line 4: record 3 stands after record 4"],
        ),
        (
            &|lines: &mut Vec<String>| lines.push(lines[4].clone()),
            vec!["2026.jsonl line 6: record 5 stands there a second time"],
        ),
        (
            &|lines: &mut Vec<String>| lines.insert(1, "{}".to_owned()),
            vec!["2026.jsonl line 2: it is no record"],
        ),
        (&|_: &mut Vec<String>| {}, vec![]),
    ] {
        let kept = Kept::with(5);
        let mut lines: Vec<String> = kept.text().lines().map(str::to_owned).collect();
        burglary(&mut lines);
        kept.replace(&format!("{}\n", lines.join("\n")));
        assert_eq!(kept.faults(), told);
        // It goes on all the same, and what was done stays to be seen.
        kept.ledger().append(&[check("t2")]).unwrap();
        let later = kept.faults();
        assert_eq!(later.is_empty(), told.is_empty(), "{later:?}");
        for fault in told {
            assert!(later.contains(&fault.to_owned()), "{fault}: {later:?}");
        }
    }
}

#[test]
fn a_cut_tail_is_found_by_a_hash_that_was_kept_elsewhere() {
    let kept = Kept::with(5);
    let head = kept.audit(Known::default()).head;
    let audit = kept.audit(known(&head.hash));
    assert_eq!(
        (audit.faults.as_slice(), audit.anchored),
        (&[][..], Some(5))
    );
    let lines = kept.text();
    let cut: Vec<&str> = lines.lines().take(3).collect();
    kept.replace(&format!("{}\n", cut.join("\n")));
    assert_eq!(
        kept.faults(),
        Vec::<String>::new(),
        "a chain alone cannot show it"
    );
    let audit = kept.audit(known(&head.hash));
    assert_eq!(audit.faults, [Fault::HeadUnknown]);
}

#[test]
fn a_line_torn_anywhere_is_told_set_aside_by_the_next_record_and_costs_no_other() {
    let whole = Kept::with(3).text();
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    for cut in (last + 1)..whole.len() {
        let kept = Kept::with(0);
        std::fs::create_dir(kept.file("")).unwrap();
        kept.replace(whole.split_at(cut).0);
        let torn = cut - last;
        if cut == whole.len() - 1 {
            // Nothing but its end is missing: it is a record, and the next gives it its end.
            assert_eq!(kept.faults(), Vec::<String>::new());
            kept.ledger().append(&[check("t9")]).unwrap();
            let audit = kept.audit(Known::default());
            assert_eq!((audit.faults.len(), audit.head.number), (0, 4));
            continue;
        }
        let faults = kept.faults();
        let [fault] = faults.as_slice() else {
            panic!("{faults:?}");
        };
        assert!(
            fault.starts_with(&format!(
                "2026.jsonl line 3: the last line is torn ({torn} bytes)"
            )),
            "{fault}"
        );
        kept.ledger().append(&[check("t9")]).unwrap();
        let audit = kept.audit(Known::default());
        assert_eq!(audit.faults, [], "cut at {cut}");
        let kinds: Vec<&str> = audit.records.iter().map(|one| one.content.kind()).collect();
        assert_eq!(kinds, ["terminal", "terminal", "repair", "terminal"]);
        let Content::Repair(repair) = &audit.records[2].content else {
            panic!("{kinds:?}");
        };
        assert_eq!(repair.torn_bytes, torn as u64);
        let aside = std::fs::read_to_string(kept.file("2026.torn")).unwrap();
        assert_eq!(aside.trim_end(), whole.get(last..cut).unwrap());
    }
}

#[test]
fn each_hong_kong_year_has_its_file_and_the_chain_goes_on_through_them() {
    let kept = Kept::new();
    for at in [
        "2026-12-31T15:59:59Z",
        // 2027 in Hong Kong.
        "2026-12-31T16:00:00Z",
        // A clock that was put back.
        "2026-12-31T15:00:00Z",
        "2028-01-01T00:00:00Z",
    ] {
        kept.ledger_at(at).append(&[check("t1")]).unwrap();
    }
    let audit = kept.audit(Known::default());
    assert_eq!(audit.files, ["2026.jsonl", "2027.jsonl", "2028.jsonl"]);
    assert_eq!((audit.faults.len(), audit.head.number), (0, 4));
    let lines = |name| {
        std::fs::read_to_string(kept.file(name))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(
        ["2026.jsonl", "2027.jsonl", "2028.jsonl"].map(lines),
        [1, 2, 1]
    );
    std::fs::remove_file(kept.file("2027.jsonl")).unwrap();
    assert_eq!(kept.faults(), ["records 2 to 3 are missing"]);
}

#[test]
fn where_earlier_years_were_moved_away_the_rest_is_checked_from_the_hash_that_it_follows() {
    let kept = Kept::new();
    for at in [
        "2026-02-01T00:00:00Z",
        "2027-02-01T00:00:00Z",
        "2027-03-01T00:00:00Z",
    ] {
        kept.ledger_at(at).append(&[check("t1")]).unwrap();
    }
    let moved = kept.audit(Known::default()).records[0].hash.clone();
    std::fs::remove_file(kept.file("2026.jsonl")).unwrap();
    assert_eq!(kept.faults(), ["record 1 is missing"]);
    let after = Known {
        head: None,
        after: Some(&moved),
    };
    assert_eq!(kept.audit(after).faults, []);
    let other = "f".repeat(64);
    let after = Known {
        head: None,
        after: Some(&other),
    };
    assert_eq!(kept.audit(after).faults.len(), 1);
}

#[test]
fn an_altered_record_proves_nothing_and_what_is_cut_off_while_it_is_followed_is_a_fault() {
    let kept = Kept::with(3);
    let mut standing = Standing::default();
    standing.catch_up(&kept.ledger()).unwrap();
    let timetable = Timetable::embedded();
    let seen = |standing: &Standing| {
        let terminals = ["t1".to_owned()];
        standing.sighted(&terminals, Sighting::Seen, &timetable)
    };
    assert_eq!((standing.faults, seen(&standing)), (0, 1));
    // Forged from "not seen" to "seen" it does not count, and shows.
    let not_seen = Content::Terminal(TerminalCheck {
        terminal: "t1".to_owned(),
        outcome: Sighting::NotSeen,
        reference: None,
    });
    kept.ledger().append(&[not_seen]).unwrap();
    let text = kept.text();
    kept.replace(&text.replace("not-seen", "seen"));
    let mut forged = Standing::default();
    forged.catch_up(&kept.ledger()).unwrap();
    assert_eq!(forged.faults, 1);
    let audit = kept.audit(Known::default());
    let altered: Vec<bool> = audit
        .records
        .iter()
        .map(|one| audit.is_altered(one))
        .collect();
    assert_eq!(altered, [false, false, false, true]);
    // What had been read is gone.
    let first = text.split_inclusive('\n').next().unwrap();
    kept.replace(first);
    standing.catch_up(&kept.ledger()).unwrap();
    assert_eq!((standing.faults, standing.head.number), (1, 1));
}

#[test]
fn what_is_asked_of_an_earlier_day_does_not_know_what_was_recorded_later() {
    let kept = Kept::new();
    for at in ["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"] {
        kept.ledger_at(at).append(&[check("t1")]).unwrap();
    }
    let timetable = Timetable::embedded();
    for (at, count) in [("2026-01-31T00:00:00Z", 0), ("2026-02-01T00:00:00Z", 1)] {
        let standing = Standing::at(&kept.ledger(), at.parse().unwrap()).unwrap();
        let terminals = ["t1".to_owned()];
        assert_eq!(
            standing.sighted(&terminals, Sighting::Seen, &timetable),
            count,
            "{at}"
        );
    }
}

#[test]
fn many_writers_at_once_write_one_chain() {
    let kept = Kept::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    kept.ledger().append(&[check("t1"), check("t2")]).unwrap();
                }
            });
        }
    });
    let audit = kept.audit(Known::default());
    assert_eq!((audit.faults.len(), audit.head.number), (0, 400));
}

#[test]
fn a_writer_that_holds_the_lock_for_too_long_is_told_and_nothing_is_written() {
    let kept = Kept::with(1);
    let lock = std::fs::File::open(kept.file("lock")).unwrap();
    lock.lock().unwrap();
    let error = kept.ledger().append(&[check("t1")]).unwrap_err();
    assert!(matches!(error, LedgerError::Locked { .. }));
    let told = error.to_string();
    assert!(told.contains("another program has held"), "{told}");
    assert!(
        told.contains("for 5 s; end it, or wait until it is done"),
        "{told}"
    );
    drop(lock);
    assert_eq!(kept.text().lines().count(), 1);
    kept.ledger().append(&[check("t1")]).unwrap();
}

/// An exporter's configuration beside a lab.
struct Site {
    lab: Lab,
    config: ConfigFile,
}

const KEYS: &str = "data_directory: kept\nsite: central\nevidence: {terminals: [t1, t2]}\n";

impl Site {
    async fn start(more: &str) -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        let config = ConfigFile::new(&format!("{KEYS}{more}{}", lab.config()));
        Self { lab, config }
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let config = self.config.argument();
        let mut all = vec![config.as_str()];
        all.extend(arguments);
        let output = run(&all).await;
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    fn file(&self) -> PathBuf {
        let files = std::fs::read_dir(self.config.directory().join("kept/evidence")).unwrap();
        let mut files = files.map(|entry| entry.unwrap().path());
        files
            .find(|path| path.extension().is_some_and(|it| it == "jsonl"))
            .unwrap()
    }

    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.file()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_verified_and_seen_is_recorded_listed_checked_and_told_in_three_forms() {
    let site = Site::start("").await;
    let (code, told, error) = site
        .run(&["verify", "--record", "--reference", "CHG-12#4"])
        .await;
    assert_eq!(code, 0, "{error}");
    assert!(told.contains("REACHED, page checked"), "{told}");
    assert!(error.contains("recorded as number 1 in "), "{error}");
    site.lab
        .provoke(scenario("tls-expired").expect("a scenario"));
    let (code, _, error) = site.run(&["verify", "--record"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("recorded as number 2 in "), "{error}");
    let (code, told, _) = site
        .run(&["record", "--terminal=t1", "--outcome=seen"])
        .await;
    assert_eq!((code, told.as_str()), (0, ""));
    let (code, _, _) = site
        .run(&[
            "record",
            "--terminal=t2",
            "--outcome=not-seen",
            "--reference=INC1",
        ])
        .await;
    assert_eq!(code, 0);

    let records = site.records();
    let first = &records[0];
    assert_eq!(first["site"], "central");
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["content"]["outcome"], "full_pass");
    assert_eq!(first["content"]["sources"][0], "127.0.0.1");
    assert_eq!(first["content"]["layers"].as_array().unwrap().len(), 6);
    let second = &records[1]["content"];
    assert_eq!(second["failure"]["reason"], "tls_expired", "{second:#}");
    assert_eq!(second["layers"][3]["state"], "failed");
    assert_eq!(second["layers"][4]["state"], "not_reached");
    assert!(second["certificate"]["not_after"].is_string());

    let (code, list, _) = site.run(&["evidence", "list"]).await;
    assert_eq!(code, 0);
    let lines: Vec<&str> = list
        .lines()
        .map(|line| line.get(33..).unwrap_or(line))
        .collect();
    assert_eq!(
        &lines[..4],
        [
            "verification of sso: full pass (CHG-12#4)",
            "verification of sso: fails at tls, tls_expired",
            "terminal t1: login page seen",
            "terminal t2: login page NOT seen (INC1)",
        ]
    );
    let head = records[3]["hash"].as_str().unwrap();
    assert!(
        list.ends_with(&format!("4 records of 4; newest 4, hash {head}\n")),
        "{list}"
    );

    let (code, told, _) = site.run(&["evidence", "check", "--head", head]).await;
    assert_eq!(code, 0);
    assert!(
        told.contains("The hash given is that of record 4; 0 records came after it."),
        "{told}"
    );
    assert!(told.contains("Every line is as it was written."), "{told}");
    let (code, _, error) = site.run(&["evidence", "check", "--head", "abc"]).await;
    assert_eq!(code, 2);
    assert!(
        error.contains("a hash has 64 hexadecimal digits"),
        "{error}"
    );

    let (code, page, _) = site.run(&["evidence", "report"]).await;
    assert_eq!(code, 0);
    for part in [
        "full pass",
        "tls_expired",
        "CHG-12#4",
        head,
        "NOT seen",
        "127.0.0.1",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let (_, csv, _) = site
        .run(&["evidence", "report", "--format=csv", "--of=t2"])
        .await;
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let (_, json, _) = site
        .run(&["evidence", "report", "--format=json", "--from=2020-01-01"])
        .await;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["records"].as_array().unwrap().len(), 4);
    assert_eq!(document["records"][2]["content"], records[2]["content"]);
    let (_, json, _) = site
        .run(&["evidence", "report", "--format=json", "--to=2020-01-01"])
        .await;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["records"], serde_json::json!([]));
    assert_eq!(document["head"]["hash"], head, "it is that of all records");

    // Somebody turns the failure into a pass.
    let text = std::fs::read_to_string(site.file()).unwrap();
    std::fs::write(site.file(), text.replace("\"failed\"", "\"full_pass\"")).unwrap();
    let (code, told, _) = site.run(&["evidence", "check"]).await;
    assert_eq!(code, 1);
    assert!(told.contains(" line 2: record 2 was altered"), "{told}");
    let (code, page, error) = site.run(&["evidence", "report"]).await;
    assert_eq!(code, 1);
    assert!(page.contains("altered: it proves nothing"), "{page}");
    let (_, csv, _) = site.run(&["evidence", "report", "--format=csv"]).await;
    let altered = csv.lines().filter(|line| line.ends_with(",altered"));
    assert_eq!(altered.count(), 2, "the heading, and record 2: {csv}");
    let (_, json, _) = site.run(&["evidence", "report", "--format=json"]).await;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["records"][1]["altered"], true);
    assert!(page.contains("1 fault in the files"), "{page}");
    assert!(error.contains("record 2 was altered"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_said_with_what_to_do() {
    let config = ConfigFile::new("targets: []\n");
    for (arguments, told) in [
        (
            &["verify", "https://localhost:1/", "--record"][..],
            "there is nowhere to record it: configure a data_directory",
        ),
        (
            &["record", "--terminal=t1", "--outcome=seen"],
            "there is nowhere to record it: configure a data_directory",
        ),
        (&["verify", "--reference=X"], "--record"),
        (
            &["evidence", "list"],
            "no data_directory is configured; name it, or a copy of it, by --data-directory",
        ),
        (
            &["evidence", "list", "--data-directory=/nowhere"],
            "/nowhere is not a directory",
        ),
        (
            &[
                "evidence",
                "list",
                "--data-directory=/tmp",
                "--from=24/11/2026",
            ],
            "--from: write a date, for example 2023-04-27",
        ),
    ] {
        let argument = config.argument();
        let mut all = vec![argument.as_str()];
        all.extend(arguments);
        let output = run(&all).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
    let site = Site::start("").await;
    for (terminal, reference, told) in [
        (
            "t3",
            "X",
            "--terminal: it is none of evidence.terminals (t1, t2)",
        ),
        (
            "t1",
            "two words",
            "--reference: a reference has 1 to 64 letters, digits and . - _ / #",
        ),
    ] {
        let terminal = format!("--terminal={terminal}");
        let reference = format!("--reference={reference}");
        let (code, _, error) = site
            .run(&["record", &terminal, "--outcome=seen", &reference])
            .await;
        assert_eq!((code, error.trim()), (2, told));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_records_each_day_and_each_outage_and_tells_what_others_record() {
    let site = Site::start("").await;
    let mut exporter = Exporter::start(&[&site.config.argument()]).await;
    exporter.first_probe().await;
    let metrics = until(&exporter, "evidence_records", 1.0).await;
    metrics.expect("evidence_errors_total", 0.0);
    metrics.expect("terminals_expected", 2.0);
    metrics.expect("terminals_checked{outcome=\"seen\"}", 0.0);
    let first = site.records()[0].clone();
    assert_eq!(first["content"]["origin"], "daily");
    let hash = first["hash"].as_str().unwrap();
    metrics.expect(&format!("evidence_head_info{{hash=\"{hash}\"}}"), 1.0);
    let pass = metrics.value("verification_last_pass_timestamp_seconds{target=\"sso\"}");
    assert!(pass.is_some(), "{}", metrics.text);

    // Another program records beside it.
    let (code, _, error) = site
        .run(&["record", "--terminal=t2", "--outcome=seen"])
        .await;
    assert_eq!(code, 0, "{error}");
    until(&exporter, "terminals_checked{outcome=\"seen\"}", 1.0).await;
    let (_, page) = exporter.get("/").await;
    assert!(
        page.contains("The login page was seen at 1 of 2 CCASS Terminals."),
        "{page}"
    );

    site.lab
        .provoke(scenario("tcp-refused").expect("a scenario"));
    until(&exporter, "evidence_records", 3.0).await;
    // Killed in the outage: it does not begin a second time.
    exporter.child.kill().await.unwrap();
    let mut exporter = Exporter::start(&[&site.config.argument()]).await;
    exporter.first_probe().await;
    site.lab.heal();
    exporter.line_with("message=\"the probe is good\"").await;
    until(&exporter, "evidence_records", 4.0).await;
    let records = site.records();
    let kinds: Vec<&str> = records
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["verification", "terminal", "outage_began", "outage_ended"]
    );
    assert_eq!(records[2]["content"]["reason"], "tcp_refused");
    assert_eq!(
        records[3]["content"]["since"],
        records[2]["content"]["since"]
    );
    assert_eq!(exporter.terminate().await, Some(0));
}

/// Waits until a series has that value.
async fn until(exporter: &Exporter, series: &str, value: f64) -> harness::exporter::Metrics {
    let reached = tokio::time::timeout(PATIENCE, async {
        loop {
            let metrics = exporter.metrics().await;
            if metrics.value(series) == Some(value) {
                return metrics;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    match reached.await {
        Ok(metrics) => metrics,
        Err(_) => panic!("{series} is not {value}: {}", exporter.metrics().await.text),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_is_done_once_every_login_target_passed_and_every_terminal_was_seen() {
    // A circular of yesterday's.
    let today = ccass_2fa_exporter::calendar::date_at(Clock::System.now());
    let issued = today.yesterday().unwrap();
    let due = today.saturating_add(jiff::Span::new().days(20));
    let dates = format!(
        "reference: NEXT/001\nissuer: HKSCC\nissued: {issued}\nstatus: confirmed\nsubject: Next\n\
         deadlines:\n  - id: connection_verification\n    title: Verify the connection\n    \
         status: confirmed\n    due:\n      - form: {{before: {due}}}\n        words: soon\n        \
         sentences: [Verify soon.]\n    alert_until: {{on: {due}}}\n"
    );
    let site = Site::start("timetable: {file: dates.yml}\n").await;
    std::fs::write(site.config.directory().join("dates.yml"), dates).unwrap();
    let (code, told, error) = site.run(&["check"]).await;
    assert_eq!(code, 0, "{told}{error}");
    let done = "deadline_done{deadline=\"connection_verification\"}";
    let exporter = Exporter::start(&[&site.config.argument()]).await;
    until(&exporter, "evidence_records", 1.0)
        .await
        .expect(done, 0.0);
    site.run(&["record", "--terminal=t1", "--outcome=seen"])
        .await;
    site.run(&["record", "--terminal=t2", "--outcome=not-seen"])
        .await;
    until(&exporter, "evidence_records", 3.0)
        .await
        .expect(done, 0.0);
    site.run(&["record", "--terminal=t2", "--outcome=seen"])
        .await;
    until(&exporter, "evidence_records", 4.0)
        .await
        .expect(done, 1.0);
    let (_, told, _) = site.run(&["timetable", "--format=json"]).await;
    let document: Value = serde_json::from_str(&told).unwrap();
    let deadlines = document["deadlines"].as_array().unwrap();
    let verification = deadlines
        .iter()
        .find(|one| one["id"] == "connection_verification")
        .unwrap();
    assert_eq!(verification["done"], true, "{verification:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_another_holds_costs_serve_no_probe_and_no_record() {
    let site = Site::start("").await;
    let (code, _, _) = site
        .run(&["record", "--terminal=t1", "--outcome=seen"])
        .await;
    assert_eq!(code, 0);
    let lock = std::fs::File::open(site.config.directory().join("kept/evidence/lock")).unwrap();
    lock.lock().unwrap();
    let mut exporter = Exporter::start(&[&site.config.argument()]).await;
    let line = exporter.line_with("evidence cannot be recorded").await;
    assert!(line.contains("another program has held"), "{line}");
    let metrics = exporter.metrics().await;
    assert!(
        metrics.value("evidence_errors_total") >= Some(1.0),
        "{}",
        metrics.text
    );
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 1.0);
    drop(lock);
    exporter.line_with("evidence is recorded again").await;
    assert_eq!(site.records().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_checks_the_chain_without_this_program() {
    let kept = Kept::with(4);
    let drill = Content::Drill(Drill {
        severity: "critical".to_owned(),
        alertmanager: "alertmanager:9093".to_owned(),
        outcome: DrillOutcome::Good,
        reference: None,
    });
    kept.ledger_at("2027-02-01T00:00:00Z")
        .append(&[drill])
        .unwrap();
    let document = harness::documents::read("docs/evidence.md");
    let (_, rest) = document.split_once("```python\n").expect("a program");
    let program = rest.split_once("```").unwrap().0;
    let checked = |directory: PathBuf| {
        let mut command = Command::new("/usr/bin/python3");
        command
            .args(["-c", program])
            .arg(directory)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        async move { command.output().await.unwrap() }
    };
    let output = checked(kept.file("")).await;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let head = kept.audit(Known::default()).head;
    assert_eq!(
        told,
        format!("record 5 is the newest, hash {}\n", head.hash),
        "{output:?}"
    );
    let text = kept.text();
    kept.replace(&text.replacen("\"seen\"", "\"not-seen\"", 1));
    let output = checked(kept.file("")).await;
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("2026.jsonl line 1"), "{told}");
    // More behind the hash, as a forger may try.
    kept.replace(&text.replacen("\"}\n", "\",\"content\":{}}\n", 1));
    assert!(!checked(kept.file("")).await.status.success());
    // Nothing is not good, either.
    assert!(!checked(kept.file("nowhere")).await.status.success());
}
