//! Configuration files: valid ones load, and each error has its exact message.

use harness::documents::repository;
use std::path::Path;

use ccass_2fa_exporter::config::Config;
use harness::exporter::{ConfigFile, command, output_of, run};

#[test]
fn example_file_equals_the_defaults() {
    let path = repository("deploy/ccass.yml");
    let example = Config::load(Some(&path), None).unwrap_or_else(|error| panic!("{error}"));
    let defaults = Config::load(None, None).unwrap();
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
        format!("{:?}", Config::load(None, None).unwrap())
    );
}

/// Configurations, and the messages of `check` without the file name and the quoted lines.
const ERRORS: &[(&str, &[&str])] = &[
    (
        "sight: x\n",
        &[
            "1:1: unknown key \"sight\"; known keys: site, expected_sites, contacts, data_directory, probe, service_hours, maintenance, modules, targets, controls, probe_endpoint, timetable, calendar, readiness, evidence, browser",
        ],
    ),
    // Keys that are known elsewhere.
    (
        "interval: 60s\nsite: a\ntitle: x\nmodules:\n  m:\n    interval: 60s\n    name: x\n    site: b\n",
        &[
            "1:1: unknown key \"interval\"; it belongs below probe or below browser; known keys here: site, expected_sites, contacts, data_directory, probe, service_hours, maintenance, modules, targets, controls, probe_endpoint, timetable, calendar, readiness, evidence, browser",
            "3:1: unknown key \"title\"; it belongs below modules.NAME.page; known keys here: site, expected_sites, contacts, data_directory, probe, service_hours, maintenance, modules, targets, controls, probe_endpoint, timetable, calendar, readiness, evidence, browser",
            "6:5: unknown key \"interval\"; it belongs below probe or below browser; known keys here: timeout, resolvers, system_resolvers, route, ip_family, source_address, proxy, proxy_credentials_file, expected_addresses, sinkhole_addresses, tls, http, page",
            "7:5: unknown key \"name\"; it belongs below targets or below controls; known keys here: timeout, resolvers, system_resolvers, route, ip_family, source_address, proxy, proxy_credentials_file, expected_addresses, sinkhole_addresses, tls, http, page",
            "8:5: unknown key \"site\"; it belongs at the top level; known keys here: timeout, resolvers, system_resolvers, route, ip_family, source_address, proxy, proxy_credentials_file, expected_addresses, sinkhole_addresses, tls, http, page",
        ],
    ),
    (
        "sight: x\nexpected_site: 2\ncontact:\n- {dns: x}\nprobe: {interval: 60s}\ntargts:\n  - name: a\nsite: [x]\n",
        &[
            "1:1: unknown key \"sight\"; known keys: site, expected_sites, contacts, data_directory, probe, service_hours, maintenance, modules, targets, controls, probe_endpoint, timetable, calendar, readiness, evidence, browser",
            "2:1: unknown key \"expected_site\"; known keys: site, expected_sites, contacts, data_directory, probe, service_hours, maintenance, modules, targets, controls, probe_endpoint, timetable, calendar, readiness, evidence, browser",
            "3:1: unknown key \"contact\"; known keys: site, expected_sites, contacts, data_directory, probe, service_hours, maintenance, modules, targets, controls, probe_endpoint, timetable, calendar, readiness, evidence, browser",
            "6:1: unknown key \"targts\"; known keys: site, expected_sites, contacts, data_directory, probe, service_hours, maintenance, modules, targets, controls, probe_endpoint, timetable, calendar, readiness, evidence, browser",
            "8:7: site: expected a single value",
        ],
    ),
    (
        "probe:\n  intervall: 60s\n  concurency: 2\n",
        &[
            "2:3: unknown key \"intervall\"; known keys: interval, timeout, concurrency",
            "3:3: unknown key \"concurency\"; known keys: interval, timeout, concurrency",
        ],
    ),
    (
        "browser: {path: nowhere/edge, interval: 30s, targets: [sso, idp, sso]}\n",
        &[
            "1:17: browser.path: DIRECTORY/nowhere/edge cannot be found: No such file or directory (os error 2); name the browser's program, or remove the key to have it searched for",
            "1:41: browser.interval: 30s is too short; the minimum is 1m, because each check starts a browser",
            "1:61: browser.targets[1]: Unknown target \"idp\"; configured targets: sso",
            "1:66: browser.targets[2]: duplicate target; remove it",
        ],
    ),
    (
        "targets:\n- {name: a, url: \"https://a.test\", expect: unreachable}\nbrowser: {path: ., interval: 2d, targets: [a]}\n",
        &[
            "3:17: browser.path: DIRECTORY/. is not a file; name the browser's program, or remove the key to have it searched for",
            "3:30: browser.interval: invalid duration \"2d\"; add a unit, for example 60s or 5m",
            "3:44: browser.targets[0]: this target must not be reachable; remove it",
        ],
    ),
    (
        "browser: {interval: 25h, targets: []}\n",
        &[
            "1:21: browser.interval: 25h is too long; the maximum is 24h",
            "1:35: browser.targets: no target is named; name one, or remove the key to open every login target",
        ],
    ),
    (
        "data_directory: \"\"\n",
        &["1:17: data_directory: the name is empty; write a directory, or remove the key"],
    ),
    (
        "probe: {interval: 60}\n",
        &["1:19: probe.interval: invalid duration \"60\"; add a unit, for example 60s or 5m"],
    ),
    (
        "probe: {interval: 60sec0nds}\n",
        &[
            "1:19: probe.interval: invalid duration \"60sec0nds\"; add a unit, for example 60s or 5m",
        ],
    ),
    (
        "probe: {interval: 5s}\n",
        &["1:19: probe.interval: 5s is too short; the minimum is 10s"],
    ),
    (
        "probe: {interval: 10s, timeout: 11s}\n",
        &["1:33: probe.timeout: 11s is longer than the interval (10s)"],
    ),
    (
        "probe: {concurrency: 0}\n",
        &["1:22: probe.concurrency: 0 is not a number from 1 to 1024"],
    ),
    (
        "site: \"Hong Kong, Central\"\n",
        &["1:7: site: invalid name; use 1 to 64 letters, digits, dots, dashes and underscores"],
    ),
    (
        "targets: [{name: a, url: \"https://me:secret@sso.example/\"}]\n",
        &["1:26: targets[0].url: remove the credentials from the URL: this program never logs in"],
    ),
    (
        "targets: [{name: a, url: \"http://sso.example/\"}]\n",
        &["1:26: targets[0].url: http is not allowed; use https, or set allow_http: true"],
    ),
    (
        "targets: [{name: a, url: \"ftp://sso.example/\"}]\n",
        &["1:26: targets[0].url: scheme \"ftp\" is not supported; use https"],
    ),
    (
        "targets: [{name: a, url: sso}]\n",
        &[
            "1:26: targets[0].url: invalid URL (relative URL without a base); use for example https://sso.hkexposttrade.com.hk/sso",
        ],
    ),
    (
        "targets: [{name: a, url: \"https://a.example/\", module: b}]\n",
        &["1:56: targets[0].module: unknown module \"b\"; configured modules: login_page"],
    ),
    (
        "targets: [{name: a, url: \"https://a.example/\", expect: closed}]\n",
        &["1:56: targets[0].expect: unknown value \"closed\"; use reachable or unreachable"],
    ),
    (
        "targets:\n- {name: a, url: \"https://a.example/\"}\n- {name: a, url: \"https://b.example/\"}\n",
        &["3:10: targets[1].name: duplicate target \"a\", first on line 2; choose another name"],
    ),
    (
        "controls: [{name: sso, url: \"https://a.example/\"}]\n",
        &["1:19: controls[0].name: \"sso\" is the built-in target; choose another name"],
    ),
    (
        "targets: [{name: a}]\n",
        &["1:12: missing key \"url\"; add it"],
    ),
    (
        "modules: {m: {timeout: 10ms}}\n",
        &["1:24: modules.m.timeout: 10ms is too short; the minimum is 100ms"],
    ),
    (
        "probe_endpoint: {allowed_hosts: [a.example, \"*.b.example\"]}\n",
        &[
            "1:45: probe_endpoint.allowed_hosts[1]: invalid host \"*.b.example\"; use for example login.example.com, login.example.com:8443, 10.1.0.0/16:* or [2001:db8::1]:443",
        ],
    ),
    (
        "modules: {m: {tls: {ca_file: nowhere.pem}}}\n",
        &[
            "1:30: modules.m.tls.ca_file: cannot read DIRECTORY/nowhere.pem: No such file or directory (os error 2)",
        ],
    ),
    (
        "modules: {m: {tls: {ca_file: ccass.yml}}}\n",
        &[
            "1:30: modules.m.tls.ca_file: DIRECTORY/ccass.yml contains no certificate; it must be PEM (BEGIN CERTIFICATE)",
        ],
    ),
    (
        "modules: {m: {tls: {roots: [ca_file]}}}\n",
        &["1:29: modules.m.tls.roots[0]: ca_file is listed, but the key ca_file is not set"],
    ),
    (
        "modules: {m: {tls: {roots: []}}}\n",
        &["1:28: modules.m.tls.roots: the list is empty: no certificate could be trusted"],
    ),
    (
        "modules: {m: {tls: {pins: [sha256/short]}}}\n",
        &[
            "1:28: modules.m.tls.pins[0]: invalid pin \"sha256/short\"; use sha256/ and 44 characters of base64, as printed by verify --format json",
        ],
    ),
    (
        "modules: {m: {tls: {min_version: \"1.0\"}}}\n",
        &["1:34: modules.m.tls.min_version: unknown value \"1.0\"; use 1.2 or 1.3"],
    ),
    (
        "modules: {m: {page: {matches: [\"(log\"]}}}\n",
        &["1:32: modules.m.page.matches[0]: invalid regular expression: unclosed group"],
    ),
    (
        "modules: {m: {page: {contains: [\"\"]}}}\n",
        &["1:33: modules.m.page.contains[0]: the text is empty: every page would contain it"],
    ),
    (
        "modules: {m: {http: {max_body: 1GB}}}\n",
        &["1:32: modules.m.http.max_body: invalid size \"1GB\"; add a unit: B, KiB or MiB"],
    ),
    (
        "modules: {m: {http: {max_body: 99MiB}}}\n",
        &["1:32: modules.m.http.max_body: 99MiB is out of range; use 1B to 64MiB"],
    ),
    (
        "modules: {m: {http: {valid_status: [99]}}}\n",
        &["1:37: modules.m.http.valid_status[0]: 99 is not a status from 200 to 599"],
    ),
    (
        "modules: {m: {http: {max_redirects: 21}}}\n",
        &["1:37: modules.m.http.max_redirects: 21 is too many; the maximum is 20"],
    ),
    (
        "modules: {m: {http: {headers: {Authorization: Basic eDp5}}}}\n",
        &[
            "1:47: modules.m.http.headers.Authorization: not allowed: this program never logs in and sends no credentials; remove it",
        ],
    ),
    (
        "modules: {m: {http: {headers: {Cookie: a=b}}}}\n",
        &[
            "1:40: modules.m.http.headers.Cookie: not allowed: this program never logs in and sends no credentials; remove it",
        ],
    ),
    (
        "modules: {m: {http: {headers: {Host: other}}}}\n",
        &["1:38: modules.m.http.headers.Host: not allowed: the program sets it itself; remove it"],
    ),
    (
        "modules: {m: {resolvers: [dns.example]}}\n",
        &[
            "1:27: modules.m.resolvers[0]: invalid resolver \"dns.example\"; use 10.1.2.3, 10.1.2.3:5353, [2001:db8::1]:53, tcp://10.1.2.3, tls://dns.example@10.1.2.3 or https://dns.example@10.1.2.3/dns-query",
        ],
    ),
    (
        "modules: {m: {resolvers: [\"https://dns.example/dns-query\"]}}\n",
        &[
            "1:27: modules.m.resolvers[0]: the resolver's name is not looked up; add its address, dns.example@10.1.2.3",
        ],
    ),
    (
        "modules: {m: {route: somewhere}}\n",
        &[
            "1:22: modules.m.route: invalid resolver \"somewhere\"; use 10.1.2.3, 10.1.2.3:5353, [2001:db8::1]:53, tcp://10.1.2.3, tls://dns.example@10.1.2.3 or https://dns.example@10.1.2.3/dns-query, or system",
        ],
    ),
    (
        "modules: {m: {ip_family: 5}}\n",
        &["1:26: modules.m.ip_family: unknown value \"5\"; use one of any, 4, 6"],
    ),
    (
        "modules: {m: {source_address: eth0}}\n",
        &[
            "1:31: modules.m.source_address: invalid IP address \"eth0\"; use an address of this host",
        ],
    ),
    (
        "modules: {m: {expected_addresses: [10.0.0.0/33]}}\n",
        &[
            "1:36: modules.m.expected_addresses[0]: invalid network \"10.0.0.0/33\"; use for example 10.1.0.0/16",
        ],
    ),
    (
        "modules: {m: {proxy: \"http://proxy.example/proxy.pac\"}}\n",
        &[
            "1:22: modules.m.proxy: a proxy has no path, and PAC files are not supported; use none, system, http://10.0.0.1:3128, https://proxy.example:443 or socks5://10.0.0.1:1080",
        ],
    ),
    (
        "modules: {m: {proxy: \"http://clerk:secret@10.0.0.1:3128\"}}\n",
        &["1:22: modules.m.proxy: remove the credentials; put them into a proxy_credentials_file"],
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
            "1:22: modules.m.proxy: scheme \"ntlm\" is not supported; use none, system, http://10.0.0.1:3128, https://proxy.example:443 or socks5://10.0.0.1:1080",
        ],
    ),
    (
        "modules: {m: {proxy: \"http://10.0.0.1:3128\", expected_addresses: [10.0.0.0/8]}}\n",
        &[
            "1:67: modules.m.expected_addresses: cannot be checked through a proxy, which resolves the name itself; remove expected_addresses or proxy",
        ],
    ),
    (
        "service_hours: {days: business}\n",
        &[
            "1:16: service_hours: missing field `from`; use always, or {days: business, from: \"07:00\", to: \"20:00\"} (days: business or every)",
        ],
    ),
    (
        "service_hours: {days: business, from: \"20:00\", to: \"07:00\"}\n",
        &["1:16: service_hours: the hours end at 07:00, before they begin"],
    ),
    (
        "maintenance: [{from: tomorrow, to: \"2026-12-05T08:00+08:00\"}]\n",
        &[
            "1:22: maintenance[0].from: invalid time \"tomorrow\"; add the offset, for example 2026-12-05T08:00+08:00",
        ],
    ),
    (
        "expected_sites: 0\n",
        &["1:17: expected_sites: 0 is too few; the minimum is 1"],
    ),
    (
        "readiness: {max_age: soon, expected_total: {users: 4}}\n",
        &[
            "1:22: readiness.max_age: invalid duration \"soon\"; add a unit, for example 5d or 36h",
            "1:52: readiness.expected_total.users: unknown value \"users\"; use user or delegated_admin",
        ],
    ),
    (
        "readiness: {file: accounts.csv, max_age: soon}\n",
        &["1:42: readiness.max_age: invalid duration \"soon\"; add a unit, for example 5d or 36h"],
    ),
    (
        "evidence: {terminals: [t1]}\n",
        &["1:24: evidence.terminals: checks at terminals are recorded in data_directory; set it"],
    ),
    (
        "data_directory: kept\nevidence: {terminals: [t1, t1, Chan Tai Man]}\n",
        &[
            "2:28: evidence.terminals[1]: duplicate terminal; remove it",
            "2:32: evidence.terminals[2]: invalid name; use 1 to 64 letters, digits, dots, dashes and underscores",
        ],
    ),
    (
        "targets: [{name: sso, url: \"https://sso.test/?user=chan@broker.example\"}]\n",
        &["1:28: targets[0].url: remove the e-mail address from the URL"],
    ),
    (
        "contacts: {dns: \"two\\nlines\"}\n",
        &["1:17: contacts.dns: invalid contact; use one line of at most 200 characters"],
    ),
    (
        "timetable: {actual: {launch: may}}\n",
        &[
            "1:30: timetable.actual.launch: invalid date \"may\"; use YYYY-MM-DD, such as 2023-04-28",
        ],
    ),
    (
        "calendar: {extra_closed: [\"17/7/2023\"]}\n",
        &[
            "1:27: calendar.extra_closed[0]: invalid date \"17/7/2023\"; use YYYY-MM-DD, such as 2023-04-28",
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
            "1:7: site: invalid name; use 1 to 64 letters, digits, dots, dashes and underscores",
            "2:19: probe.interval: 1s is too short; the minimum is 10s",
        ],
    ),
    (
        "site: a\nsite: b\n",
        &["2:1: duplicate key \"site\"; remove one of the two"],
    ),
    (
        "probe: {concurrency: many}\n",
        &["1:22: concurrency: expected a whole number from 0"],
    ),
    (
        "modules: {m: {page: {matches: [\"\\d+\"]}}}\n",
        &[
            "1:32: invalid escape sequence; a backslash begins one in double quotes, use single quotes",
        ],
    ),
    (
        "targets: sso\n",
        &["1:10: targets: expected a list, such as [one, two]"],
    ),
    (
        "site: a\n---\nsite: b\n",
        &["3:1: a second YAML document begins; keep one"],
    ),
    (
        "probe: [\n",
        &["1:8: probe: expected keys with values, such as {key: value}"],
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
async fn password_hash_in_the_wrong_place_is_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    let hash = "$2y$10$abcdefghijklmnopqrstuuVnq0rabcdefghijklmnopqrstuuVnq0";
    for (text, expected) in [
        (
            format!("basic_auth_users:\n{hash}: admin\n"),
            "web.yml:2:1: unknown key \"…\"; known keys: tls_server_config,",
        ),
        (
            format!("basic_auth_users:\n  {hash}: admin\n"),
            "web.yml:2:65: basic_auth_users: a password hash is where the user name belongs; write NAME: HASH",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let flag = format!("--web.config.file={}", path.display());
        let stderr = String::from_utf8(run(&[&flag, "check"]).await.stderr).unwrap();
        assert!(stderr.contains(expected), "{stderr}");
        assert!(!stderr.contains("$2y$"), "{stderr}");
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
async fn one_file_serves_many_sites() {
    let file = ConfigFile::new(
        "site: ${CCASS_SITE}\nmodules: {login_page: {source_address: \"${CCASS_SOURCE}\"}}\n",
    );
    let flag = file.argument();
    let check = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = command();
        command.args(["check", &flag]).args(arguments);
        command.envs(variables.iter().copied());
        async move { output_of(&mut command).await }
    };
    let variables = [("CCASS_SITE", "central"), ("CCASS_SOURCE", "127.0.0.1")];
    let output = check(&[], &variables).await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains("configuration of site central is valid"),
        "{stdout}"
    );
    let output = check(&["--site=east"], &variables).await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains("configuration of site east is valid"),
        "{stdout}"
    );
    let output = check(&[], &variables[..1]).await;
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let expected =
        "modules.login_page.source_address: the environment variable CCASS_SOURCE is not set";
    assert!(stderr.contains(expected), "{stderr}");
    let output = check(&["--site=a b"], &variables).await;
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.starts_with("--site: invalid name"), "{stderr}");
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

#[tokio::test]
async fn errors_of_a_timetable_file_name_that_file() {
    let file = ConfigFile::new("timetable: {file: next.yml}\n");
    std::fs::write(
        file.directory().join("next.yml"),
        "reference: CD/1\nissuer: HKSCC\nissued: 2027-02-30\nstatus: confirmed\nsubject: \"\"\n",
    )
    .unwrap();
    let output = run(&[&file.argument(), "check"]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let path = file.directory().join("next.yml").display().to_string();
    assert_eq!(
        stderr.replace(&path, "next.yml"),
        "next.yml:3:9: issued: invalid date \"2027-02-30\"; use YYYY-MM-DD, such as 2023-04-28\n \
         3 | issued: 2027-02-30\n   |         ^\n\
         next.yml:5:10: subject: the value is empty; add it, or remove the key if it is optional\n \
         5 | subject: \"\"\n   |          ^\n"
    );
}

#[tokio::test]
async fn overrides_of_the_timetable_are_reported_at_their_own_position() {
    let file =
        ConfigFile::new("timetable:\n  done: {launch: true}\n  actual: {launch: 2023-08-05}\n");
    let output = run(&[&file.argument(), "check"]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains(":2:18: timetable.done.launch: unknown deadline; known deadlines: email_"),
        "{stderr}"
    );
    assert!(
        stderr.contains(
            ":3:20: timetable.actual.launch: `sole_2fa` (from 2023-07-21) must start after"
        ),
        "{stderr}"
    );
}
