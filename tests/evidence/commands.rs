//! The commands that record, list, check and report evidence.

use std::path::PathBuf;

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{ConfigFile, run};
use harness::terminal::Terminal;
use serde_json::Value;

use crate::ledger::EvidenceDirectory;

/// A configuration with evidence, and a lab to verify.
struct Setup {
    lab: Lab,
    config: ConfigFile,
}

impl Setup {
    async fn start() -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        let config = lab.config();
        let (limits, rest) = config.split_once('\n').expect("several lines");
        assert!(limits.starts_with("probe:"), "the first line is {limits:?}");
        let config = ConfigFile::new(&format!(
            "data_directory: kept\nsite: central\nevidence: {{terminals: [t1, t2]}}\n\
             probe: {{interval: 1h, timeout: 60s}}\n{rest}"
        ));
        Self { lab, config }
    }

    /// Runs a command; returns its exit code, its output and its error messages.
    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let config = self.config.argument();
        let output = run(&[&[config.as_str()], arguments].concat()).await;
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
async fn verifications_and_terminal_checks_are_recorded_listed_and_reported() {
    let setup = Setup::start().await;
    let (code, printed, error) = setup
        .run(&["verify", "--record", "--reference", "CHG-12#4"])
        .await;
    assert_eq!(code, 0, "{error}");
    assert!(printed.contains("REACHED, page checked"), "{printed}");
    assert!(error.contains("recorded as number 1 in "), "{error}");
    setup
        .lab
        .provoke(scenario("tls-expired").expect("a scenario"));
    let (code, _, error) = setup.run(&["verify", "--record"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("recorded as number 2 in "), "{error}");
    let (code, printed, _) = setup
        .run(&["record", "--terminal=t1", "--outcome=seen"])
        .await;
    assert_eq!((code, printed.as_str()), (0, ""));
    let (code, _, _) = setup
        .run(&[
            "record",
            "--terminal=t2",
            "--outcome=not-seen",
            "--reference=INC1",
        ])
        .await;
    assert_eq!(code, 0);

    let records = setup.records();
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

    for (arguments, message) in [
        (
            &["evidence", "list", "--from=2026-02-01", "--to=2026-01-01"][..],
            "--from 2026-02-01 is later than --to 2026-01-01; exchange them",
        ),
        (
            &["evidence", "report", "--of=nope"],
            "no records of nope; the evidence has 4 records, of sso, t1, t2",
        ),
        (
            &["evidence", "list", "--to=2001-01-01"],
            "no records to 2001-01-01; the evidence has 4 records, of sso, t1, t2",
        ),
    ] {
        let (code, printed, error) = setup.run(arguments).await;
        assert_eq!((code, printed.as_str(), error.trim()), (2, "", message));
    }

    let (code, list, _) = setup.run(&["evidence", "list"]).await;
    assert_eq!(code, 0);
    let lines: Vec<&str> = list
        .lines()
        .map(|line| line.get(33..).unwrap_or(line))
        .collect();
    assert_eq!(
        &lines[..4],
        [
            "verification of sso: full pass (CHG-12#4)",
            "verification of sso: failed at tls, tls_expired",
            "terminal t1: login page seen",
            "terminal t2: login page NOT seen (INC1)",
        ]
    );
    let head = records[3]["hash"].as_str().unwrap();
    assert!(
        list.ends_with(&format!("4 records of 4; newest 4, hash {head}\n")),
        "{list}"
    );

    let (code, printed, _) = setup.run(&["evidence", "check", "--head", head]).await;
    assert_eq!(code, 0);
    for part in [
        "The given hash is that of record 4; 0 records followed.",
        "Every record is intact.",
    ] {
        assert!(printed.contains(part), "{part:?} is missing:\n{printed}");
    }
    let (code, _, error) = setup.run(&["evidence", "check", "--head", "abc"]).await;
    assert_eq!(code, 2);
    assert!(
        error.contains("a hash has 64 hexadecimal digits"),
        "{error}"
    );

    let (code, page, _) = setup.run(&["evidence", "report"]).await;
    assert_eq!(code, 0);
    for part in [
        "full pass",
        "tls_expired",
        "CHG-12#4",
        head,
        "NOT seen",
        "127.0.0.1",
    ] {
        assert!(page.contains(part), "{part:?} is missing");
    }
    let (_, csv, _) = setup
        .run(&["evidence", "report", "--format=csv", "--of=t2"])
        .await;
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let (_, json, _) = setup
        .run(&["evidence", "report", "--format=json", "--from=2020-01-01"])
        .await;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["records"].as_array().unwrap().len(), 4);
    assert_eq!(document["records"][2]["content"], records[2]["content"]);
    let (_, json, _) = setup
        .run(&["evidence", "report", "--format=json", "--to=2020-01-01"])
        .await;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["records"], serde_json::json!([]));
    // That of all records, not only of those in the report.
    assert_eq!(document["head"]["hash"], head);

    // An attacker turns the failure into a pass.
    let text = std::fs::read_to_string(setup.file()).unwrap();
    std::fs::write(setup.file(), text.replace("\"failed\"", "\"full_pass\"")).unwrap();
    let (code, printed, _) = setup.run(&["evidence", "check"]).await;
    assert_eq!(code, 1);
    assert!(
        printed.contains(" line 2: record 2 was altered"),
        "{printed}"
    );
    let (code, page, error) = setup.run(&["evidence", "report"]).await;
    assert_eq!(code, 1);
    for part in ["altered: proves nothing", "1 fault in the files"] {
        assert!(page.contains(part), "{part:?} is missing");
    }
    let (_, csv, _) = setup.run(&["evidence", "report", "--format=csv"]).await;
    let altered = csv.lines().filter(|line| line.ends_with(",altered"));
    assert_eq!(altered.count(), 2, "the heading and record 2: {csv}");
    let (_, json, _) = setup.run(&["evidence", "report", "--format=json"]).await;
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["records"][1]["altered"], true);
    assert!(error.contains("record 2 was altered"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_data_directory_is_an_error_and_an_empty_one_is_not() {
    let setup = Setup::start().await;
    for command in [
        ["evidence", "check"],
        ["evidence", "list"],
        ["evidence", "report"],
    ] {
        let (code, output, error) = setup.run(&command).await;
        assert_eq!((code, output.as_str()), (2, ""), "{command:?}: {error}");
        assert!(error.contains("kept does not exist: mount it"), "{error}");
    }
    let directory = setup.config.directory().join("kept");
    std::fs::create_dir(&directory).unwrap();
    let (code, output, error) = setup.run(&["evidence", "check"]).await;
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("no evidence in "), "{error}");
    assert!(output.ends_with("There is no record.\n"), "{output}");
}

/// Moves the cursor, erases and hides text, begins a line, and changes the direction.
const HOSTILE: &str = "\u{1b}[1A\u{1b}[2K\u{1b}[8m\n     9  forged\r\u{9b}2J\u{202e}";

#[tokio::test(flavor = "multi_thread")]
async fn altered_evidence_cannot_forge_hide_or_erase_lines_of_a_terminal() {
    let setup = Setup::start().await;
    for _ in 0..2 {
        let arguments = ["record", "--terminal=t1", "--outcome=seen"];
        assert_eq!(setup.run(&arguments).await.0, 0);
    }
    let text = std::fs::read_to_string(setup.file()).unwrap();
    let hostile = |word: &str| serde_json::to_string(&format!("{word}{HOSTILE}")).unwrap();
    let altered =
        text.replacen("\"t1\"", &hostile("t1"), 1)
            .replacen("\"central\"", &hostile("central"), 1);
    let (first, second) = altered.split_once('\n').unwrap();
    let second = second.replace(
        "\"terminal\",\"content",
        &format!("{},\"content", hostile("x")),
    );
    std::fs::write(setup.file(), format!("{first}\n{second}")).unwrap();
    let name = format!("2020{}.jsonl", HOSTILE.replace('\r', ""));
    std::fs::write(setup.file().with_file_name(name), "no record\n").unwrap();

    for command in [
        &["evidence", "list"][..],
        &["evidence", "list", "--of=nope"],
        &["evidence", "check"],
        &["evidence", "report"],
        &["evidence", "report", "--format=csv"],
        &["evidence", "report", "--format=json"],
    ] {
        let arguments = [&["--color=always"], command].concat();
        let (code, output, error) = setup.run(&arguments).await;
        assert_ne!(code, 0, "{command:?}");
        for text in [&output, &error] {
            let is_html = text.starts_with("<!DOCTYPE");
            for hidden in [
                "\u{1b}[1A",
                "\u{1b}[2K",
                "\u{1b}[8m",
                "\r",
                "\u{9b}",
                "\u{202e}",
            ] {
                assert!(!text.contains(hidden), "{command:?}: {hidden:?} in {text}");
            }
            let forged = |line: &str| line.trim_start().starts_with("9  forged");
            assert!(is_html || !text.lines().any(forged), "{command:?}: {text}");
        }
        assert!(
            format!("{output}{error}").contains("\\u001b[2K"),
            "{command:?}: {output}{error}"
        );
    }
    let (_, list, _) = setup.run(&["evidence", "list"]).await;
    assert!(list.contains("ALTERED: terminal t1\\u001b[1A"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_arguments_are_reported_with_what_to_do() {
    let config = ConfigFile::new("targets: []\n");
    for (arguments, message) in [
        (
            &["verify", "https://localhost:1/", "--record"][..],
            "cannot record: set data_directory in the configuration",
        ),
        (
            &["record", "--terminal=t1", "--outcome=seen"],
            "cannot record: set data_directory in the configuration",
        ),
        (&["verify", "--reference=X"], "--record"),
        (
            &["evidence", "list"],
            "no data_directory is configured; name it, or a copy of it, with --data-directory",
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
            "use YYYY-MM-DD, such as 2023-04-28",
        ),
    ] {
        let config = config.argument();
        let output = run(&[&[config.as_str()], arguments].concat()).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
    let setup = Setup::start().await;
    for (terminal, reference, message) in [
        (
            "t3",
            "X",
            "--terminal: not one of evidence.terminals (t1, t2)",
        ),
        (
            "t1",
            "two words",
            "--reference: invalid reference; use 1 to 64 letters, digits and . - _ / #",
        ),
    ] {
        let terminal = format!("--terminal={terminal}");
        let reference = format!("--reference={reference}");
        let (code, _, error) = setup
            .run(&["record", &terminal, "--outcome=seen", &reference])
            .await;
        assert_eq!((code, error.trim()), (2, message));
    }
}

#[test]
fn check_of_a_large_ledger_shows_its_progress_on_a_terminal() {
    let evidence = EvidenceDirectory::with_many_records(20_100);
    let directory = format!("--data-directory={}", evidence.path().display());
    let mut terminal = Terminal::start(100, &["evidence", "check", &directory], &[]);
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(0), "{screen}");
    let raw = &terminal.raw;
    assert!(
        raw.contains("checking the evidence: 10000 records"),
        "{raw}"
    );
    assert!(
        raw.contains("checking the evidence: 20000 records"),
        "{raw}"
    );
    // It is gone at the end.
    assert!(!screen.contains("checking"), "{screen}");
    assert!(screen.contains("Every record is intact."), "{screen}");
}
