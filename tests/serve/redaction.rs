//! An e-mail address in every input that takes text is never repeated in any output.

use std::collections::BTreeSet;
use std::path::Path;

use ccass_2fa_exporter::config::Config;
use ccass_2fa_lab::{Authority, HOST, HttpFault, Lab, Leaf, PageFault};
use harness::documents::repository;
use harness::exporter::{ConfigFile, Exporter, probe, run};
use serde_json::{Value, json};

use crate::assertions::{assert_contains, assert_lacks};
use crate::lab_config::probed_once;
use crate::outputs::outputs;

const ADDRESS: &str = "chan.tai.man@broker.example";

#[track_caller]
fn assert_no_address(output: &str, text: &str) {
    for part in ["chan.tai.man", "tai.man", "broker.example"] {
        assert_lacks(output, text, part);
    }
}

/// Every key of the documented configuration, as a path from the top.
fn keys(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                path.push(key.clone());
                keys(value, path, found);
                path.pop();
            }
        }
        Value::Array(list) if list.first().is_some_and(Value::is_object) => {
            path.push("0".to_owned());
            keys(&list[0], path, found);
            path.pop();
        }
        _ => found.push(path.clone()),
    }
}

/// The documented configuration with another value of one key.
fn with_value(example: &Value, path: &[String], value: &Value) -> Value {
    let mut config = example.clone();
    let mut current = &mut config;
    for key in path {
        current = match current {
            Value::Array(list) => &mut list[0],
            other => &mut other[key.as_str()],
        };
    }
    *current = value.clone();
    config
}

#[test]
fn every_configuration_key_refuses_an_address_or_keeps_it_private() {
    let path = repository("deploy/ccass.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    // As the configuration is read: `on` is a word.
    let options = serde_saphyr::options! { strict_booleans: true };
    let example: Value = serde_saphyr::from_str_with_options(&text, options).unwrap();
    let mut found = Vec::new();
    keys(&example, &mut Vec::new(), &mut found);
    assert!(found.len() > 60, "only {} keys", found.len());
    let mut accepted = BTreeSet::new();
    for key in &found {
        for value in [
            json!(ADDRESS),
            json!([ADDRESS]),
            json!({ADDRESS: ADDRESS}),
            json!({ADDRESS: true}),
            json!({ADDRESS: 1}),
            json!([{"name": ADDRESS, "url": format!("https://x.test/{ADDRESS}")}]),
            json!([{"name": "x", "url": format!("https://x.test/?user={ADDRESS}")}]),
            json!([{"from": ADDRESS, "to": ADDRESS, "reference": ADDRESS}]),
            json!([{"from": "2026-12-05T08:00Z", "to": "2026-12-05T09:00Z", "reference": ADDRESS}]),
        ] {
            let text = with_value(&example, key, &value).to_string();
            match Config::parse(&text, Path::new("ccass.yml")) {
                Err(error) => assert_no_address(&key.join("."), &error.to_string()),
                Ok(_) => {
                    accepted.insert(key.join("."));
                }
            }
        }
    }
    // Contacts, what is compared with a page or a certificate, and file names: the next test shows that
    // their values are not published.
    let accepted: Vec<&str> = accepted.iter().map(String::as_str).collect();
    assert_eq!(
        accepted,
        [
            "contacts.desk",
            "contacts.dns",
            "contacts.firewall",
            "contacts.hkex",
            "contacts.proxy",
            "contacts.security",
            "data_directory",
            "modules.login_page.page.block_markers",
            "modules.login_page.page.contains",
            "modules.login_page.page.form_fields",
            "modules.login_page.page.matches",
            "modules.login_page.page.not_contains",
            "modules.login_page.page.text_contains",
            "modules.login_page.page.text_matches",
            "modules.login_page.page.title",
            "modules.login_page.tls.accepted_interceptors",
            "modules.login_page.tls.expected_issuers",
            "readiness.file",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_address_is_in_no_metric_log_record_or_response() {
    let lab = Lab::start().await.expect("the lab starts");
    let page = format!(
        "page: {{title: \"{ADDRESS}\", contains: [\"{ADDRESS}\"], not_contains: [\"{ADDRESS}\"], \
         matches: [\"{ADDRESS}\"], text_contains: [\"{ADDRESS}\"], text_matches: [\"{ADDRESS}\"], \
         form_fields: [\"{ADDRESS}\"], block_markers: [\"{ADDRESS}\"]}}"
    );
    let http_and_tls = format!(
        "http: {{user_agent: \"{ADDRESS}\", headers: {{X-Contact: \"{ADDRESS}\"}}}}\n    \
         tls: {{accepted_interceptors: [\"{ADDRESS}\"], "
    );
    let config = probed_once(&lab);
    let start = config.find("    page: ").expect("a page");
    let end = start + config[start..].find('\n').expect("its end");
    let config = format!("{}    {page}{}", &config[..start], &config[end..]);
    let config = config.replace("tls: {", &http_and_tls);
    let contacts = ["dns", "firewall", "proxy", "security", "desk"]
        .map(|team| format!("{team}: \"{ADDRESS}\""))
        .join(", ");
    let config = ConfigFile::new(&format!(
        "data_directory: \"kept {ADDRESS}\"\ncontacts: {{{contacts}}}\n\
         readiness: {{file: \"{ADDRESS}.csv\"}}\nevidence: {{terminals: [t1]}}\n{config}"
    ));
    let accounts = format!("kind,email\nuser,confirmed\n{ADDRESS},{ADDRESS}\n");
    std::fs::write(config.directory().join(format!("{ADDRESS}.csv")), accounts).unwrap();

    let mut exporter = Exporter::start(&[&config.argument()]).await;
    let log = exporter.line_with("cannot load the readiness file").await;
    assert_no_address("the log", &log);
    assert_contains("the log", &log, "line 3");
    let log = exporter.line_with("probe failed").await;
    assert_no_address("the log", &log);
    for path in [
        "/metrics",
        "/sd",
        "/api/v1/history",
        "/probe?target=sso&debug=true",
        "/probe?target=sso",
        "/-/ready",
    ] {
        let (status, text) = exporter.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert_no_address(path, &text);
    }
    // Only the status page shows contacts.
    let (_, text) = exporter.get("/").await;
    let without_contacts = text.replace(&format!("({ADDRESS})"), "");
    assert_no_address("/", &without_contacts);

    for (query, limit) in [
        (vec![("target", ADDRESS)], None),
        (vec![("target", "sso"), ("module", ADDRESS)], None),
        (vec![("target", "sso"), ("hostname", ADDRESS)], None),
        (vec![("target", "sso"), (ADDRESS, ADDRESS)], None),
        (
            vec![("target", "https://chan.tai.man@broker.example/")],
            None,
        ),
        (
            vec![("target", "https://sso.lab.test/chan.tai.man@broker.example")],
            None,
        ),
        (
            vec![(
                "target",
                "https://sso.lab.test/?chan.tai.man%40broker.example",
            )],
            None,
        ),
        (vec![("target", "sso")], Some(ADDRESS)),
    ] {
        let (status, text) = probe(&exporter.url(""), &query, limit).await;
        assert_no_address(&format!("{query:?} {status}"), &text);
    }
    for path in [
        format!("/{ADDRESS}"),
        format!("/sd?module={ADDRESS}"),
        format!("/api/v1/history?target={ADDRESS}"),
        format!("/-/reload?{ADDRESS}"),
    ] {
        let (status, text) = exporter.get(&path).await;
        assert!(status >= 400, "{path}: {status}");
        assert_no_address(&path, &text);
    }
    let verified = run(&[&config.argument(), "verify", "--record", "--format=json"]).await;
    assert_eq!(verified.status.code(), Some(1));
    assert_no_address("verify", &String::from_utf8_lossy(&verified.stderr));
    std::fs::write(config.path(), format!("site: {ADDRESS}\n")).unwrap();
    let client = reqwest::Client::new();
    let response = client.post(exporter.url("/-/reload")).send().await.unwrap();
    assert_no_address("a reload", &response.text().await.unwrap());
    let log = exporter.line_with("configuration reload failed").await;
    assert_no_address("the log", &log);

    let files = config.directory().join(format!("kept {ADDRESS}/evidence"));
    for entry in std::fs::read_dir(files).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert_no_address("the evidence", &text);
    }
}

/// Each text that a server controls, one after another.
#[tokio::test(flavor = "multi_thread")]
async fn address_that_a_server_sends_is_in_no_output_and_no_file() {
    let lab = Lab::start().await.expect("the lab starts");
    let page = format!(
        "<title>Hello {ADDRESS}</title><form><input name=\"{ADDRESS}\"></form>Web Page Blocked"
    );
    let header = |name: &str| {
        let headers = vec![(name.to_owned(), format!("x {ADDRESS}"))];
        HttpFault::StatusWith(503, headers)
    };
    let location = format!("https://elsewhere.lab.test/?user={ADDRESS}");
    let mut subject = Leaf::for_name(HOST);
    subject.organisation = format!("Lab, Email={ADDRESS}");
    let server = &lab.login_server;
    let stages: [(&str, &dyn Fn()); 7] = [
        ("a page", &|| {
            server.set_fault(PageFault::Text(page.clone()))
        }),
        ("a Server header", &|| server.set_fault(header("server"))),
        ("a Content-Type header", &|| {
            server.set_fault(header("content-type"))
        }),
        ("a redirect", &|| {
            server.set_fault(HttpFault::Redirect(302, location.clone()))
        }),
        ("a subject", &|| {
            server.set_identity(lab.authority.issue(&subject))
        }),
        ("an issuer", &|| {
            server.set_identity(Authority::new(ADDRESS).issue(&Leaf::for_name(HOST)))
        }),
        ("a certificate's name", &|| {
            server.set_identity(lab.authority.issue(&Leaf::for_name(HOST).also(ADDRESS)));
        }),
    ];
    for (what, provoke) in stages {
        lab.heal();
        provoke();
        let mut shown = 0;
        for (name, text) in outputs(&lab).await {
            assert_no_address(&format!("{name}, {what}"), &text);
            if name.starts_with('/') {
                shown += text.matches("e-mail address withheld").count();
            }
        }
        assert!(
            shown > 0,
            "{what}: nothing shows that an address was withheld"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_in_a_timetable_or_calendar_file_is_not_repeated() {
    let config = ConfigFile::new("");
    let timetable = include_str!("../../src/timetable/ccass-013-2023.yaml");
    let title = "title: Register the e-mail address of every CCASS user";
    for (name, text) in [
        (
            "title.yml",
            timetable.replace(title, &format!("title: \"{ADDRESS}\"")),
        ),
        (
            "id.yml",
            timetable.replace("id: briefing_1", &format!("id: \"{ADDRESS}\"")),
        ),
        (
            "date.yml",
            timetable.replace("from: 2022-12-19", &format!("from: \"{ADDRESS}\"")),
        ),
        (
            "key.yml",
            timetable.replace("issuer:", &format!("{ADDRESS}:")),
        ),
        (
            "reference.yml",
            timetable.replace("CD/OES/CCASS/013/2023\n", &format!("\"{ADDRESS}\"\n")),
        ),
    ] {
        let file = write_file(&config, name, &text);
        assert_refused(&config, "timetable: {file: FILE}\n", &file, name).await;
    }
    for (name, text) in [
        (
            "name.csv",
            format!("date,weekday,name\n2023-04-05,Wed,{ADDRESS}\n"),
        ),
        (
            "date.csv",
            format!("date,weekday,name\n{ADDRESS},Wed,Ching Ming\n"),
        ),
        (
            "weekday.csv",
            format!("date,weekday,name\n2023-04-05,{ADDRESS},Ching Ming\n"),
        ),
        ("header.csv", format!("{ADDRESS},weekday,name\n")),
        (
            "feed.json",
            json!({"vcalendar": [{"vevent": [{"dtstart": ["20230405"], "summary": ADDRESS}]}]})
                .to_string(),
        ),
        (
            "start.json",
            json!({"vcalendar": [{"vevent": [{"dtstart": [ADDRESS], "summary": "x"}]}]})
                .to_string(),
        ),
    ] {
        let file = write_file(&config, name, &text);
        assert_refused(&config, "calendar: {file: FILE}\n", &file, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_in_an_argument_or_environment_variable_is_not_repeated() {
    let config =
        ConfigFile::new("data_directory: kept\nevidence: {terminals: [t1]}\ntargets: []\n");
    std::fs::create_dir(config.directory().join("kept")).unwrap();
    let web = write_file(
        &config,
        "web.yml",
        &format!("basic_auth_users: {{{ADDRESS}: {ADDRESS}}}\n{ADDRESS}: 1\n"),
    );
    let blackbox = write_file(
        &config,
        "blackbox.yml",
        &format!("modules: {{{ADDRESS}: {{prober: {ADDRESS}}}}}\n"),
    );
    let url = format!("https://x.test/?user={ADDRESS}");
    let argument = config.argument();
    for arguments in [
        vec!["verify", ADDRESS],
        vec!["verify", url.as_str()],
        vec!["verify", "--format", ADDRESS],
        vec!["verify", "--record", "--reference", ADDRESS],
        vec!["record", "--terminal", ADDRESS, "--outcome", "seen"],
        vec!["record", "--terminal", "t1", "--outcome", ADDRESS],
        vec![
            "record",
            "--terminal",
            "t1",
            "--outcome",
            "seen",
            "--reference",
            ADDRESS,
        ],
        vec!["evidence", "list", "--from", ADDRESS],
        vec!["evidence", "list", "--to", ADDRESS],
        vec!["evidence", "list", "--of", ADDRESS],
        vec!["evidence", "list", "--data-directory", ADDRESS],
        vec!["evidence", "check", "--head", ADDRESS],
        vec!["evidence", "report", "--format", ADDRESS],
        vec!["evidence", ADDRESS],
        vec!["timetable", "--at", ADDRESS],
        vec!["timetable", "--year", ADDRESS],
        vec!["timetable", "--format", ADDRESS],
        vec!["drill", "--alertmanager", ADDRESS],
        vec![
            "drill",
            "--alertmanager",
            "http://127.0.0.1:1",
            "--severity",
            ADDRESS,
        ],
        vec![
            "drill",
            "--alertmanager",
            "http://127.0.0.1:1",
            "--hold",
            ADDRESS,
        ],
        vec![
            "drill",
            "--alertmanager",
            "http://127.0.0.1:1",
            "--ca-file",
            ADDRESS,
        ],
        vec![
            "drill",
            "--alertmanager",
            "http://127.0.0.1:1",
            "--record",
            "--reference",
            ADDRESS,
        ],
        vec!["check", "--from-blackbox", ADDRESS],
        vec!["check", "--web.config.file", ADDRESS],
        vec!["check", "--web.config.file", web.as_str()],
        vec!["--web.listen-address", ADDRESS],
        vec!["--web.external-url", ADDRESS],
        vec![
            "--web.route-prefix",
            ADDRESS,
            "--web.listen-address",
            ADDRESS,
        ],
        vec!["--log.level", ADDRESS],
        vec!["--log.format", ADDRESS],
        vec![ADDRESS],
    ] {
        let mut all = vec![argument.as_str()];
        all.extend(&arguments);
        assert_not_repeated(&all).await;
    }
    assert_not_repeated(&["check", "--config.file", ADDRESS]).await;
    let converted = run(&["check", "--from-blackbox", &blackbox]).await;
    assert_no_address("blackbox", &String::from_utf8_lossy(&converted.stderr));
    for variable in [
        "CCASS2FA_CONFIG_FILE",
        "CCASS2FA_LOG_LEVEL",
        "CCASS2FA_WEB_EXTERNAL_URL",
    ] {
        let output = harness::exporter::command()
            .env(variable, ADDRESS)
            .args(["--web.listen-address", "256.0.0.1:1"])
            .output()
            .await
            .unwrap();
        assert!(!output.status.success(), "{variable}");
        assert_no_address(variable, &String::from_utf8_lossy(&output.stderr));
    }
}

/// Writes a file next to the configuration and returns its path.
fn write_file(config: &ConfigFile, name: &str, text: &str) -> String {
    let path = config.directory().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// `check` refuses a configuration that names `file`.
async fn assert_refused(config: &ConfigFile, text: &str, file: &str, name: &str) {
    let path = write_file(config, "other.yml", &text.replace("FILE", file));
    let output = run(&["check", "--config.file", &path]).await;
    assert_eq!(output.status.code(), Some(2), "{name}");
    assert_no_address(name, &String::from_utf8_lossy(&output.stderr));
}

/// The command fails with an error message, and prints no address.
async fn assert_not_repeated(arguments: &[&str]) {
    let output = run(arguments).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?}");
    assert!(!error.is_empty(), "{arguments:?}: no error message");
    for text in [&error, &String::from_utf8_lossy(&output.stdout)] {
        assert_no_address(&format!("{arguments:?}"), text);
    }
}
