//! `init`: the first configuration.

use std::path::Path;
use std::process::Output;

use ccass_2fa_exporter::config::Config;
use ccass_2fa_exporter::report::advice::Contact;
use ccass_2fa_lab::{Lab, PageFault, scenario};
use harness::exporter::{ConfigFile, command, output_of, run};
use harness::terminal::Terminal;

/// The lab's configuration without what `init` learns.
fn without_expectations(lab: &Lab) -> String {
    let config = lab.config();
    let config = config.replace(", expected_issuers: [\"CCASS Lab\"]", "");
    let lines = config
        .lines()
        .filter(|line| !line.trim_start().starts_with("page:"));
    lines.map(|line| format!("{line}\n")).collect()
}

async fn init(config: &ConfigFile, output: &Path) -> Output {
    let output = format!("--output={}", output.display());
    let argument = config.argument();
    run(&[&argument, "init", "--non-interactive", &output]).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn folded(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| *word != "#");
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn init_writes_what_it_learned_and_check_has_nothing_to_say() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&without_expectations(&lab));
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("ccass.yml");
    let output = init(&config, &path).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    assert!(stdout.contains("REACHED"), "{stdout}");
    assert!(
        stdout.contains(&format!("Wrote {}.", path.display())),
        "{stdout}"
    );
    let written = std::fs::read_to_string(&path).unwrap();
    let learned = folded(&written);
    let address = lab.login_server.addr().ip();
    for part in [
        "The issuer of the certificate that the server presented on ",
        "C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA. Compare it with the certificate that Edge shows",
        "connected as in CCASS Technical Guide 4.7-4.9",
        &format!("expected_addresses: [\"{address}\"]"),
        "From the page that the server sent on ",
        "title: \"CCASS Lab Login\"",
        "form_fields: [\"csrf_token\",\"username\",\"password\"]",
        "contains: [\"Sign in\",\"User ID\"]",
    ] {
        assert!(learned.contains(part), "no {part:?} in:\n{written}");
    }
    // Not confirmed yet.
    assert!(written.contains("\n    # expected_addresses"), "{written}");
    let long = written
        .lines()
        .find(|line| line.starts_with("# ") && line.len() > 100);
    assert_eq!(long, None);

    let argument = format!("--config.file={}", path.display());
    let check = run(&[&argument, "check"]).await;
    let summary = text(&check.stdout);
    assert_eq!(check.status.code(), Some(0), "{}", text(&check.stderr));
    assert!(check.stderr.is_empty(), "{}", text(&check.stderr));
    for remark in ["not checked", "note", "outdated", "contradiction", "ended"] {
        assert!(!summary.contains(remark), "{summary}");
    }
    let verify = run(&[&argument, "verify"]).await;
    let report = text(&verify.stdout);
    assert_eq!(verify.status.code(), Some(0), "{report}");
    assert!(report.contains("REACHED, page checked"), "{report}");
    assert!(!report.contains("Finding"), "{report}");

    // The learned page is an expectation: another page fails.
    let title = "<title>Another page</title>".to_owned();
    lab.login_server.set_fault(PageFault::Text(title));
    let verify = run(&[&argument, "verify"]).await;
    assert!(text(&verify.stdout).contains("page_mismatch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn init_never_replaces_a_file_without_force() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let path = config.path();
    let output = init(&config, &path).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("exists and was not changed"), "{stderr}");
    assert!(
        stderr.contains("--output FILE") && stderr.contains("--force"),
        "{stderr}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), lab.config());
    assert!(
        lab.login_server.requests().is_empty(),
        "refused before the probe"
    );
    let output = run(&[
        &config.argument(),
        "init",
        "--non-interactive",
        "--force",
        &format!("--output={}", path.display()),
    ])
    .await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written.starts_with("# Configuration of ccass-2fa-exporter"),
        "{written}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_probe_still_gives_a_file_with_the_advice_on_top() {
    let lab = Lab::start().await.unwrap();
    lab.provoke(scenario("tcp-refused").unwrap());
    let config = ConfigFile::new(&without_expectations(&lab));
    let path = config.directory().join("new.yml");
    let output = init(&config, &path).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("The probe failed: the file begins with the advice."));
    let written = std::fs::read_to_string(&path).unwrap();
    let (top, _) = written.split_once("\nsite").unwrap();
    let top = folded(top);
    assert!(
        top.contains("THE PROBE OF sso FAILED at TCP (tcp_refused)"),
        "{written}"
    );
    assert!(top.contains("Contact: your firewall team."), "{written}");
    let argument = format!("--config.file={}", path.display());
    let check = run(&[&argument, "check"]).await;
    assert_eq!(check.status.code(), Some(0), "{}", text(&check.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspected_session_teaches_no_issuer() {
    let lab = Lab::start().await.unwrap();
    // This host trusts the certificate and the public web does not: as behind a TLS inspection.
    let config = without_expectations(&lab);
    let lines = config
        .lines()
        .filter(|line| !line.trim_start().starts_with("tls:"));
    let config = ConfigFile::new(&lines.collect::<Vec<_>>().join("\n"));
    let path = config.directory().join("new.yml");
    let mut init = command();
    init.args([&config.argument(), "init", "--non-interactive"]);
    init.arg(format!("--output={}", path.display()));
    let output = output_of(init.env("SSL_CERT_FILE", lab.ca_file())).await;
    let stdout = text(&output.stdout);
    assert!(stdout.contains("intercepted:"), "{stdout}");
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(!written.contains("expected_issuers:"), "{written}");
    assert!(
        written.contains("# tls.expected_issuers was not learned"),
        "{written}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn init_keeps_targets_resolvers_and_roots_of_the_given_file() {
    let lab = Lab::start().await.unwrap();
    let relative =
        without_expectations(&lab).replace(&lab.ca_file().display().to_string(), "roots.pem");
    let config = ConfigFile::new(&format!(
        "site: kept\ncontacts: {{dns: \"Ms Wong, ext. 1\"}}\n{relative}"
    ));
    std::fs::copy(lab.ca_file(), config.directory().join("roots.pem")).unwrap();
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("ccass.yml");
    let output = init(&config, &path).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (old, new) = (
        Config::load(Some(&config.path()), None),
        Config::load(Some(&path), None),
    );
    let (old, new) = (old.unwrap(), new.unwrap());
    assert_eq!(new.site.as_deref(), Some("kept"));
    assert_eq!(new.contacts.of(Contact::Dns), Some("Ms Wong, ext. 1"));
    let urls = |config: &Config| -> Vec<String> {
        let targets = config.targets.iter();
        targets
            .map(|one| format!("{} {} {:?}", one.name, one.url, one.role))
            .collect()
    };
    assert_eq!(urls(&new), urls(&old));
    let (old, new) = (&old.targets[0].module, &new.targets[0].module);
    assert_eq!(
        format!("{:?}", new.resolvers),
        format!("{:?}", old.resolvers)
    );
    assert_eq!(new.route, old.route);
    assert_eq!(new.tls.roots, old.tls.roots);
    let paths =
        [&new.tls.ca_file, &old.tls.ca_file].map(|file| file.as_ref().unwrap().path.clone());
    assert_eq!(paths[0], paths[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_environment_is_suggested_without_its_password() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&without_expectations(&lab));
    let path = config.directory().join("new.yml");
    let mut init = command();
    init.env("HTTPS_PROXY", "http://clerk:lab-secret@proxy.example:3128");
    init.args([&config.argument(), "init", "--non-interactive"]);
    let output = output_of(init.arg(format!("--output={}", path.display()))).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written.contains("HTTPS_PROXY is set in the environment"),
        "{written}"
    );
    assert!(written.contains("\n    # proxy: system\n"), "{written}");
    assert!(!written.contains("lab-secret"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_prints_what_prometheus_and_alertmanager_lack() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let path = config.directory().join("new.yml");
    let prometheus = config.directory().join("prometheus.yml");
    std::fs::write(&prometheus, "scrape_configs: [{job_name: node}]\n").unwrap();
    let arguments = [
        config.argument(),
        "init".to_owned(),
        "--non-interactive".to_owned(),
        format!("--output={}", path.display()),
        "--force".to_owned(),
        format!("--prometheus={}", prometheus.display()),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let stdout = text(&run(&arguments).await.stdout);
    for part in [
        "- job_name: ccass2fa",
        ":10762\"]",
        "rule_files:\n  - context.yml\n  - reachability.yml\n",
        "alerting:\n  alertmanagers:\n",
        "    - matchers: ['service=\"ccass2fa\"']\n",
        "receiver: pager",
        "ccass-2fa-exporter drill --alertmanager",
    ] {
        assert!(stdout.contains(part), "no {part:?} in:\n{stdout}");
    }
    let complete = "scrape_configs: [{job_name: ccass2fa}]\nrule_files: [rules/reachability.yml]\n\
                    alerting: {alertmanagers: [{}]}\n";
    std::fs::write(&prometheus, complete).unwrap();
    let stdout = text(&run(&arguments).await.stdout);
    assert!(stdout.contains("has the scrape job ccass2fa"), "{stdout}");
    assert!(
        !stdout.contains("rule_files:") && !stdout.contains("alerting:"),
        "{stdout}"
    );
    std::fs::write(&prometheus, "password: [secret").unwrap();
    let output = run(&arguments).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("prometheus.yml: not a YAML file"),
        "{stderr}"
    );
    assert!(!stderr.contains("secret"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_asks_in_a_terminal_for_contacts_terminals_and_accounts() {
    let lab = Lab::start().await.unwrap();
    let given = format!(
        "contacts: {{dns: \"Ms Wong, ext. 1\"}}\n{}",
        without_expectations(&lab)
    );
    let config = ConfigFile::new(&given);
    let path = config.directory().join("new.yml");
    let path_argument = format!("--output={}", path.display());
    let argument = config.argument();
    let mut terminal = Terminal::start(100, &[&argument, "init", &path_argument], &[]);
    for (question, answer) in [
        ("DNS team, name and telephone number [Ms Wong, ext. 1]:", ""),
        (
            "Firewall team, name and telephone number [none]:",
            "Mr Lee, ext. 7",
        ),
        ("Web-proxy team, name and telephone number [none]:", ""),
        ("Security team, name and telephone number [none]:", ""),
        ("CCASS Terminals, separated by commas [none]:", "desk 1"),
        // The answer is invalid; the question comes again.
        (
            "invalid name; use 1 to 64 letters",
            "desk-1, desk-2, desk-1",
        ),
        ("Number of CCASS user accounts [unknown]:", "forty"),
        ("write a number, such as 40", "40"),
        ("Number of Delegated Administrators [unknown]:", "2"),
    ] {
        terminal.wait_for(question);
        terminal.type_line(answer);
    }
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(0), "{screen}");
    let written = std::fs::read_to_string(&path).unwrap();
    let config = Config::load(Some(&path), None).unwrap();
    assert_eq!(config.contacts.of(Contact::Dns), Some("Ms Wong, ext. 1"));
    assert_eq!(
        config.contacts.of(Contact::Firewall),
        Some("Mr Lee, ext. 7")
    );
    assert_eq!(config.contacts.of(Contact::Proxy), None);
    assert_eq!(config.terminals, ["desk-1", "desk-2"]);
    assert!(
        written.contains("    user: 40\n    delegated_admin: 2\n"),
        "{written}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn init_interrupted_at_a_question_writes_nothing() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&without_expectations(&lab));
    let path = config.directory().join("new.yml");
    let path_argument = format!("--output={}", path.display());
    let argument = config.argument();
    let mut terminal = Terminal::start(100, &[&argument, "init", &path_argument], &[]);
    terminal.wait_for("DNS team, name and telephone number [none]:");
    terminal.interrupt();
    terminal.finish();
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_without_a_configuration_ends_with_a_line_that_names_init() {
    let lab = Lab::start().await.unwrap();
    // Nothing listens there, and nothing is sent to the real server.
    let url = "https://127.0.0.1:1/".to_owned();
    let last = |stdout: &[u8]| text(stdout).trim_end().lines().last().unwrap().to_owned();
    let output = run(&["verify", &url]).await;
    assert!(last(&output.stdout).contains("`ccass-2fa-exporter init`"));
    let config = ConfigFile::new(&lab.config());
    let output = run(&[&config.argument(), "verify"]).await;
    assert!(!text(&output.stdout).contains("init"));
}
