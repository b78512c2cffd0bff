//! Configuration files: valid ones load, and each error has its exact message.

use harness::documents::repository;
use std::path::Path;

use ccass_2fa_exporter::config::Config;
use harness::exporter::{ConfigFile, run};

#[test]
fn example_file_equals_the_defaults() {
    let path = repository("deploy/ccass.yml");
    let example = Config::load(Some(&path)).unwrap_or_else(|error| panic!("{error}"));
    let defaults = Config::load(None).unwrap();
    assert_eq!(format!("{example:#?}"), format!("{defaults:#?}"));
}

#[test]
fn example_file_contains_every_key() {
    let example = include_str!("../../deploy/ccass.yml");
    let source = include_str!("../../src/config/raw.rs");
    let keys = source.lines().filter_map(|line| {
        let key = line.trim().strip_prefix("pub ")?.split_once(':')?.0;
        key.chars()
            .all(|c| c.is_ascii_lowercase() || c == '_')
            .then_some(key)
    });
    let mut count = 0;
    for key in keys {
        assert!(
            example.contains(&format!("{key}:")),
            "{key} is not in the example"
        );
        count += 1;
    }
    assert!(count > 60, "only {count} keys");
}

#[test]
fn empty_keys_equal_the_defaults() {
    let text = "contacts:\nprobe:\nmodules:\n  login_page:\ncontrols:\ntimetable:\n  done:\n";
    let config = Config::parse(text, Path::new("ccass.yml")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        format!("{config:?}"),
        format!("{:?}", Config::load(None).unwrap())
    );
}

/// Configurations, and the messages of `check` without the file name and the quoted lines.
const ERRORS: &[(&str, &[&str])] = &[
    (
        "sight: x\n",
        &[
            "1:1: unknown field `sight`, expected one of site, expected_sites, contacts, data_directory, probe, service_hours, maintenance, modules, targets, controls, probe_endpoint, timetable, calendar, readiness, evidence",
        ],
    ),
    (
        "probe: {interval: 60}\n",
        &[
            "1:19: probe.interval: \"60\" is not a duration; write it with its unit, for example 60s or 5m",
        ],
    ),
    (
        "probe: {interval: 60sec0nds}\n",
        &[
            "1:19: probe.interval: \"60sec0nds\" is not a duration; write it with its unit, for example 60s or 5m",
        ],
    ),
    (
        "probe: {interval: 5s}\n",
        &["1:19: probe.interval: 5s is too often; the login server is probed at most every 10s"],
    ),
    (
        "probe: {interval: 10s, timeout: 11s}\n",
        &["1:33: probe.timeout: the limit of a probe (11s) is longer than the interval (10s)"],
    ),
    (
        "probe: {concurrency: 0}\n",
        &["1:22: probe.concurrency: write a number from 1 to 1024"],
    ),
    (
        "site: \"Hong Kong, Central\"\n",
        &["1:7: site: a name has 1 to 64 letters, digits, dots, dashes and underscores"],
    ),
    (
        "targets: [{name: a, url: \"https://me:secret@sso.example/\"}]\n",
        &[
            "1:26: targets[0].url: credentials in the address are refused: this program never logs in",
        ],
    ),
    (
        "targets: [{name: a, url: \"http://sso.example/\"}]\n",
        &[
            "1:26: targets[0].url: plain http is refused; a target may ask for it with allow_http: true",
        ],
    ),
    (
        "targets: [{name: a, url: \"ftp://sso.example/\"}]\n",
        &["1:26: targets[0].url: ftp is refused; the address begins with https://"],
    ),
    (
        "targets: [{name: a, url: sso}]\n",
        &[
            "1:26: targets[0].url: not an address (relative URL without a base); write for example https://sso.hkexposttrade.com.hk/sso",
        ],
    ),
    (
        "targets: [{name: a, url: \"https://a.example/\", module: b}]\n",
        &["1:56: targets[0].module: there is no module \"b\"; there are login_page"],
    ),
    (
        "targets: [{name: a, url: \"https://a.example/\", expect: closed}]\n",
        &["1:56: targets[0].expect: write one of reachable, unreachable"],
    ),
    (
        "targets:\n- {name: a, url: \"https://a.example/\"}\n- {name: a, url: \"https://b.example/\"}\n",
        &["3:10: targets[1].name: \"a\" is the name of the target in line 2 too; choose another"],
    ),
    (
        "controls: [{name: sso, url: \"https://a.example/\"}]\n",
        &["1:19: controls[0].name: \"sso\" is the built-in target's name; choose another"],
    ),
    ("targets: [{name: a}]\n", &["1:12: missing field `url`"]),
    (
        "modules: {m: {timeout: 10ms}}\n",
        &["1:24: modules.m.timeout: a probe needs at least 100ms"],
    ),
    (
        "probe_endpoint: {allowed_hosts: [a.example, \"*.b.example\"]}\n",
        &[
            "1:45: probe_endpoint.allowed_hosts[1]: \"*.b.example\" is not a host; write for example login.example.com, login.example.com:8443, 10.1.0.0/16:* or [2001:db8::1]:443",
        ],
    ),
    (
        "modules: {m: {tls: {ca_file: nowhere.pem}}}\n",
        &[
            "1:30: modules.m.tls.ca_file: cannot read DIRECTORY/nowhere.pem: I/O error: No such file or directory (os error 2)",
        ],
    ),
    (
        "modules: {m: {tls: {ca_file: ccass.yml}}}\n",
        &[
            "1:30: modules.m.tls.ca_file: DIRECTORY/ccass.yml holds no certificate; it must be PEM (BEGIN CERTIFICATE)",
        ],
    ),
    (
        "modules: {m: {tls: {roots: [ca_file]}}}\n",
        &["1:29: modules.m.tls.roots[0]: ca_file is listed, but tls.ca_file names no file"],
    ),
    (
        "modules: {m: {tls: {roots: []}}}\n",
        &["1:28: modules.m.tls.roots: no root is listed: nothing could ever be trusted"],
    ),
    (
        "modules: {m: {tls: {pins: [sha256/short]}}}\n",
        &[
            "1:28: modules.m.tls.pins[0]: a pin is sha256/ and 44 characters of base64, as verify --format json prints it",
        ],
    ),
    (
        "modules: {m: {tls: {min_version: \"1.0\"}}}\n",
        &["1:34: modules.m.tls.min_version: \"1.0\" is not known; write one of 1.2, 1.3"],
    ),
    (
        "modules: {m: {page: {matches: [\"(log\"]}}}\n",
        &["1:32: modules.m.page.matches[0]: the pattern does not compile: unclosed group"],
    ),
    (
        "modules: {m: {page: {contains: [\"\"]}}}\n",
        &["1:33: modules.m.page.contains[0]: an empty text stands in every page"],
    ),
    (
        "modules: {m: {http: {max_body: 1GB}}}\n",
        &[
            "1:32: modules.m.http.max_body: \"1GB\" is not a size; write it with its unit: B, KiB or MiB",
        ],
    ),
    (
        "modules: {m: {http: {max_body: 99MiB}}}\n",
        &["1:32: modules.m.http.max_body: a body's bound lies between 1B and 64MiB"],
    ),
    (
        "modules: {m: {http: {valid_status: [99]}}}\n",
        &["1:37: modules.m.http.valid_status[0]: a status lies between 200 and 599"],
    ),
    (
        "modules: {m: {http: {max_redirects: 21}}}\n",
        &["1:37: modules.m.http.max_redirects: at most 20 are followed"],
    ),
    (
        "modules: {m: {http: {headers: {Authorization: Basic eDp5}}}}\n",
        &[
            "1:47: modules.m.http.headers.Authorization: is refused: this program never logs in and sends no credentials",
        ],
    ),
    (
        "modules: {m: {http: {headers: {Cookie: a=b}}}}\n",
        &[
            "1:40: modules.m.http.headers.Cookie: is refused: this program never logs in and sends no credentials",
        ],
    ),
    (
        "modules: {m: {http: {headers: {Host: other}}}}\n",
        &["1:38: modules.m.http.headers.Host: is set by the program itself"],
    ),
    (
        "modules: {m: {resolvers: [dns.example]}}\n",
        &[
            "1:27: modules.m.resolvers[0]: \"dns.example\" is not a resolver; write 10.1.2.3, 10.1.2.3:5353, [2001:db8::1]:53, tcp://10.1.2.3, tls://dns.example@10.1.2.3 or https://dns.example@10.1.2.3/dns-query",
        ],
    ),
    (
        "modules: {m: {resolvers: [\"https://dns.example/dns-query\"]}}\n",
        &[
            "1:27: modules.m.resolvers[0]: a resolver's own name is not looked up; write its address after the name, dns.example@10.1.2.3",
        ],
    ),
    (
        "modules: {m: {route: somewhere}}\n",
        &[
            "1:22: modules.m.route: \"somewhere\" is not a resolver; write 10.1.2.3, 10.1.2.3:5353, [2001:db8::1]:53, tcp://10.1.2.3, tls://dns.example@10.1.2.3 or https://dns.example@10.1.2.3/dns-query, or system",
        ],
    ),
    (
        "modules: {m: {ip_family: 5}}\n",
        &["1:26: modules.m.ip_family: \"5\" is not known; write one of any, 4, 6"],
    ),
    (
        "modules: {m: {source_address: eth0}}\n",
        &["1:31: modules.m.source_address: \"eth0\" is not an IP address of this host"],
    ),
    (
        "modules: {m: {expected_addresses: [10.0.0.0/33]}}\n",
        &[
            "1:36: modules.m.expected_addresses[0]: \"10.0.0.0/33\" is not a network; write for example 10.1.0.0/16",
        ],
    ),
    (
        "modules: {m: {proxy: \"http://proxy.example/proxy.pac\"}}\n",
        &[
            "1:22: modules.m.proxy: a proxy has no path, and PAC files are not evaluated; write none, system, http://10.0.0.1:3128, https://proxy.example:443 or socks5://10.0.0.1:1080",
        ],
    ),
    (
        "modules: {m: {proxy: \"http://clerk:secret@10.0.0.1:3128\"}}\n",
        &[
            "1:22: modules.m.proxy: credentials stand in a file of their own, proxy_credentials_file",
        ],
    ),
    (
        "modules: {m: {proxy_credentials_file: absent}}\n",
        &[
            "1:39: modules.m.proxy_credentials_file: cannot read DIRECTORY/absent: No such file or directory (os error 2)",
        ],
    ),
    (
        "modules: {m: {proxy: ntlm://10.0.0.1}}\n",
        &[
            "1:22: modules.m.proxy: ntlm is no way to speak to a proxy; write none, system, http://10.0.0.1:3128, https://proxy.example:443 or socks5://10.0.0.1:1080",
        ],
    ),
    (
        "modules: {m: {proxy: \"http://10.0.0.1:3128\", expected_addresses: [10.0.0.0/8]}}\n",
        &[
            "1:67: modules.m.expected_addresses: the proxy resolves the name, so that its addresses are not seen here; leave one of the two out",
        ],
    ),
    (
        "service_hours: {days: business}\n",
        &[
            "1:16: service_hours: from is not a time of day; write always, or {days: business, from: \"07:00\", to: \"20:00\"} (days: business or every)",
        ],
    ),
    (
        "service_hours: {days: business, from: \"20:00\", to: \"07:00\"}\n",
        &["1:16: service_hours: the hours end before they begin"],
    ),
    (
        "maintenance: [{from: tomorrow, to: \"2026-12-05T08:00+08:00\"}]\n",
        &[
            "1:22: maintenance[0].from: \"tomorrow\" is not an instant with its offset; write for example 2026-12-05T08:00+08:00",
        ],
    ),
    (
        "expected_sites: 0\n",
        &["1:17: expected_sites: at least one site should report"],
    ),
    (
        "readiness: {max_age: soon, expected_total: {users: 4}}\n",
        &[
            "1:22: readiness.max_age: \"soon\" is no span of time; write it with its unit, for example 5d or 36h",
            "1:52: readiness.expected_total.users: there are accounts of two kinds, user and delegated_admin",
        ],
    ),
    (
        "readiness: {file: accounts.csv, max_age: soon}\n",
        &[
            "1:42: readiness.max_age: \"soon\" is no span of time; write it with its unit, for example 5d or 36h",
        ],
    ),
    (
        "evidence: {terminals: [t1]}\n",
        &[
            "1:24: evidence.terminals: checks at terminals are recorded in the data_directory; configure one",
        ],
    ),
    (
        "data_directory: kept\nevidence: {terminals: [t1, t1, Chan Tai Man]}\n",
        &[
            "2:28: evidence.terminals[1]: this terminal is in the list already",
            "2:32: evidence.terminals[2]: a name has 1 to 64 letters, digits, dots, dashes and underscores",
        ],
    ),
    (
        "targets: [{name: sso, url: \"https://sso.test/?user=chan@broker.example\"}]\n",
        &["1:28: targets[0].url: an e-mail address stands in it; the address of a page holds none"],
    ),
    (
        "contacts: {dns: \"two\\nlines\"}\n",
        &["1:17: contacts.dns: a contact is one line of at most 200 characters"],
    ),
    (
        "timetable: {actual: {launch: may}}\n",
        &["1:30: timetable.actual.launch: \"may\" is not a date; write for example 2023-05-22"],
    ),
    (
        "calendar: {extra_closed: [\"17/7/2023\"]}\n",
        &[
            "1:27: calendar.extra_closed[0]: \"17/7/2023\" is not a date; write for example 2023-05-22",
        ],
    ),
    (
        "calendar: {file: nowhere.csv}\n",
        &[
            "1:18: calendar.file: cannot read DIRECTORY/nowhere.csv: No such file or directory (os error 2)",
        ],
    ),
    (
        "site: a b\nprobe: {interval: 1s}\n",
        &[
            "1:7: site: a name has 1 to 64 letters, digits, dots, dashes and underscores",
            "2:19: probe.interval: 1s is too often; the login server is probed at most every 10s",
        ],
    ),
];

#[tokio::test]
async fn errors_are_reported_with_line_column_key_and_hint() {
    let mut differences = Vec::new();
    for (text, expected) in ERRORS {
        let file = ConfigFile::new(text);
        let output = run(&[&file.argument(), "check"]).await;
        assert_eq!(output.status.code(), Some(2), "{text}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let prefix = format!("{}:", file.path().display());
        let messages: Vec<String> = stderr
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(|line| line.replace(&file.directory().display().to_string(), "DIRECTORY"))
            .collect();
        if messages != *expected {
            differences.push(format!("{text}got {messages:#?}, expected {expected:#?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test]
async fn line_of_an_error_is_quoted_unless_it_may_contain_a_secret() {
    let file = ConfigFile::new("probe: {interval: 5s}\n");
    let stderr = String::from_utf8(run(&[&file.argument(), "check"]).await.stderr).unwrap();
    assert!(
        stderr.ends_with("\n 1 | probe: {interval: 5s}\n   |                   ^\n"),
        "{stderr}"
    );
    for secret in [
        "targets: [{name: a b, url: \"https://me:hunter2@sso.example/\"}]\n",
        "modules: {m: {http: {max_body: 1, headers: {Authorization: hunter2}}}}\n",
    ] {
        let file = ConfigFile::new(secret);
        let stderr = String::from_utf8(run(&[&file.argument(), "check"]).await.stderr).unwrap();
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

#[tokio::test]
async fn every_command_rejects_an_invalid_file_with_exit_code_two() {
    let file = ConfigFile::new("probe: {interval: 5s}\n");
    for command in [&["serve"][..], &["verify"], &["timetable"], &["check"], &[]] {
        let flag = file.argument();
        let arguments: Vec<&str> = std::iter::once(flag.as_str())
            .chain(command.iter().copied())
            .collect();
        let output = run(&arguments).await;
        assert_eq!(output.status.code(), Some(2), "{command:?}");
    }
    let output = run(&["check", "--config.file=/nowhere/ccass.yml"]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("cannot read /nowhere/ccass.yml: "),
        "{stderr}"
    );
}

#[tokio::test]
async fn holiday_file_with_invalid_date_is_rejected_with_its_line() {
    let file = ConfigFile::new("calendar: {file: holidays.csv}\n");
    std::fs::write(
        file.directory().join("holidays.csv"),
        "date,weekday,name\n2026-01-01,Thu,New Year\n2026-02-30,Mon,Nothing\n",
    )
    .unwrap();
    let output = run(&[&file.argument(), "check"]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("calendar.file"), "{stderr}");
    assert!(
        stderr.contains("line 3") || stderr.contains(":3"),
        "{stderr}"
    );
}
