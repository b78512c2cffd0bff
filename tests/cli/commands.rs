//! The commands, run as a user types them.

use ccass_2fa_lab::{Authority, HOST, HttpFault, Lab, Leaf, PageFault, Scenario, scenario};
use harness::exporter::{ConfigFile, command, output_of, run, verify};
use harness::scenarios::{for_each, summary};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn successful_verify_exits_zero_and_prints_the_manual_check() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let output = run(&[&config.argument(), "verify"]).await;
    assert_eq!(output.status.code(), Some(0));
    let stdout = text(output.stdout);
    for part in [
        "REACHED, page checked",
        "title \"CCASS Lab Login\"",
        "form fields csrf_token, username, password",
        "issued by C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA",
        "trusted by: this host no; public roots no; ca_file yes, until ",
        "On each CCASS Terminal PC, open https://sso.lab.test:",
        "Close the window without logging on.",
        "The CCASS Terminal PC: it may have another network",
        "PAC files",
    ] {
        let folded = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(folded.contains(part), "no {part:?} in:\n{stdout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_verify_prints_layer_reason_and_contact() {
    let lab = Lab::start().await.unwrap();
    lab.provoke(scenario("tls-unknown-issuer").unwrap());
    let contacts = "contacts: {security: \"Ms Chan, ext. 4321\"}\n";
    let config = ConfigFile::new(&format!("{contacts}{}", lab.config()));
    let output = run(&[&config.argument(), "verify", "sso"]).await;
    assert_eq!(output.status.code(), Some(1));
    let stdout = text(output.stdout);
    assert!(stdout.contains("FAILED at TLS"), "{stdout}");
    assert!(
        stdout.contains("Why       tls_unknown_issuer: "),
        "{stdout}"
    );
    assert!(
        stdout.contains("Contact   your security team (Ms Chan, ext. 4321)"),
        "{stdout}"
    );
    assert!(stdout.contains("O=Example Unknown"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn interceptor_response_is_referred_to_security_not_the_hotline() {
    let lab = Lab::start().await.unwrap();
    lab.provoke(scenario("tls-interception-suspected").unwrap());
    lab.login_server.set_fault(HttpFault::Status(502));
    let config = ConfigFile::new(&lab.config());
    let (code, report) = verify(&config).await;
    assert_eq!(code, 1);
    assert_eq!(report["verdict"]["reason"], "http_status");
    assert_eq!(
        report["hops"][0]["http"]["facts"]["answered_by"],
        "interceptor"
    );
    assert_eq!(
        report["advice"]["contact"],
        "security",
        "{}",
        summary(&report)
    );
    lab.heal();
    lab.login_server.set_fault(HttpFault::Status(502));
    let (_, report) = verify(&config).await;
    assert_eq!(report["advice"]["contact"], "hkex", "{}", summary(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_interceptor_is_no_finding_but_its_errors_are_its_own() {
    let lab = Lab::start().await.unwrap();
    lab.provoke(scenario("tls-interception-suspected").unwrap());
    lab.login_server.set_fault(HttpFault::Status(502));
    let accepted = "tls: {accepted_interceptors: [\"Example Web Filter\"], ";
    let config = ConfigFile::new(&lab.config().replace("tls: {", accepted));
    let (_, report) = verify(&config).await;
    assert_eq!(
        report["findings"].as_array().unwrap().len(),
        0,
        "{}",
        summary(&report)
    );
    let handshake = &report["hops"][0]["tls"]["facts"]["handshakes"][0];
    assert_eq!(handshake["interception"], "accepted");
    assert_eq!(
        report["advice"]["contact"],
        "security",
        "{}",
        summary(&report)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_status_is_reported_with_the_page_title() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    lab.login_server.set_fault(HttpFault::Status(403));
    let (_, report) = verify(&config).await;
    assert_eq!(report["verdict"]["reason"], "http_status");
    let title = report["hops"][0]["http"]["facts"]["title"]
        .as_str()
        .unwrap();
    assert!(title.contains("403"), "{title}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verdict_fits_100_columns_without_colors_in_a_pipe() {
    let names = [
        "dns-nxdomain",
        "tcp-refused",
        "tls-expired",
        "http-500",
        "page-mismatch",
    ];
    for_each(names.map(|name| scenario(name).unwrap()), check_layout).await;
}

async fn check_layout(scenario: &'static Scenario) -> Result<(), String> {
    let lab = Lab::start().await.unwrap();
    lab.provoke(scenario);
    let config = ConfigFile::new(&lab.config());
    let stdout = text(run(&[&config.argument(), "verify"]).await.stdout);
    if stdout.is_empty() || stdout.contains('\u{1b}') {
        return Err(format!("no output, or colors: {stdout:?}"));
    }
    for line in stdout.lines() {
        let columns = line.chars().count();
        if columns > 100 || line != line.trim_end() {
            return Err(format!("{columns} columns or trailing spaces: {line:?}"));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn colors_can_be_forced() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let mut verify = command();
    verify.args([&config.argument(), "verify"]);
    let output = output_of(verify.env("CLICOLOR_FORCE", "1")).await;
    assert!(text(output.stdout).contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_writes_to_a_file_without_colors() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let path = config.directory().join("verdict.txt");
    let argument = format!("--output={}", path.display());
    let output = run(&[&config.argument(), "verify", &argument]).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let stdout = std::fs::read_to_string(path).unwrap();
    assert!(
        stdout.contains("REACHED") && !stdout.contains('\u{1b}'),
        "{stdout}"
    );
    let output = run(&[
        &config.argument(),
        "verify",
        "--output=/nowhere/verdict.txt",
    ])
    .await;
    assert_eq!(output.status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_accepts_a_url_that_is_not_configured() {
    let lab = Lab::start().await.unwrap();
    // The built-in module with the lab's resolver.
    let text = lab.config().replace("lab_page", "login_page");
    let config = ConfigFile::new(&text);
    let output = run(&[&config.argument(), "verify", &lab.url()]).await;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[tokio::test]
async fn invalid_arguments_exit_two_with_a_helpful_message() {
    for (arguments, part) in [
        (
            &["verify", "nothing"][..],
            "Unknown target \"nothing\"; configured targets: sso; to probe another server, write its https URL",
        ),
        (
            &["verify", "http://x.example/"],
            "http is not allowed; use https",
        ),
        (
            &["verify", "https://a:b@x.example/"],
            "remove the credentials from the URL",
        ),
        (&["verify", "--format=xml"], "possible values: text, json"),
        (&["frobnicate"], "unrecognized subcommand"),
        (
            &["timetable", "--at=yesterday"],
            "neither a date (2023-04-27) nor an RFC 3339 time",
        ),
    ] {
        let output = run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(part), "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn check_prints_probes_and_connections_per_day_and_what_a_browser_opens() {
    let config = ConfigFile::new(
        "probe: {interval: 30s}\nmodules: {login_page: {system_resolvers: ignore, \
         resolvers: [127.0.0.1, 127.0.0.2]}}\nbrowser: {interval: 2h}\n",
    );
    let output = run(&[&config.argument(), "check"]).await;
    assert_eq!(output.status.code(), Some(0));
    let stdout = text(output.stdout);
    let folded = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(folded.contains("per day: 2880 probes"), "{stdout}");
    assert!(
        folded.contains("2880 connections for a single address"),
        "{stdout}"
    );
    assert!(folded.contains("11520 queries to 2 resolvers"), "{stdout}");
    assert!(folded.contains("the page is not checked"), "{stdout}");
    let opened = "Opened in a browser (the first that is found) every 2 h: sso.";
    assert!(folded.contains(opened), "{stdout}");
    assert!(
        folded.contains("The holiday table ends on 2028-01-01."),
        "{stdout}"
    );
}

#[tokio::test]
async fn check_says_which_concurrency_keeps_the_interval() {
    for (concurrency, is_enough) in [(2, false), (3, true)] {
        let targets = ["a", "b", "c"].map(|name| {
            format!("  - {{name: {name}, url: \"https://{name}.lab.test/\", module: m}}\n")
        });
        let config = ConfigFile::new(&format!(
            "probe: {{interval: 10s, timeout: 9s, concurrency: {concurrency}}}\n\
             modules: {{m: {{system_resolvers: ignore}}}}\ntargets:\n{}",
            targets.concat()
        ));
        let output = run(&[&config.argument(), "check"]).await;
        assert_eq!(output.status.code(), Some(0));
        let stdout = text(output.stdout);
        let folded = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let advice = folded.contains("Set probe.concurrency to at least 3,");
        assert_eq!(advice, !is_enough, "{stdout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_from_the_server_are_not_printed() {
    let lab = Lab::start().await.unwrap();
    let title = "<title>\u{1b}[2J\u{202e}gnirts \u{7}\u{9b}31m</title>";
    lab.login_server
        .set_fault(PageFault::Text(title.to_owned()));
    let config = ConfigFile::new(&lab.config());
    let stdout = text(run(&[&config.argument(), "verify"]).await.stdout);
    assert!(stdout.contains("gnirts"), "{stdout}");
    let is_control = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!stdout.chars().any(is_control), "{stdout:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_redirect_is_followed_unless_redirects_are_disabled() {
    let lab = Lab::start().await.unwrap();
    let long = format!("/sso?SAMLRequest={}", "A".repeat(700));
    lab.login_server
        .set_fault(HttpFault::Redirect(302, long.clone()));
    let config = ConfigFile::new(&lab.config());
    let (_, report) = verify(&config).await;
    assert_eq!(
        report["verdict"]["reason"],
        "http_redirect_loop",
        "{}",
        summary(&report)
    );
    assert_eq!(lab.login_server.requests()[1].path, long);
    let text = lab
        .config()
        .replace("    page: {", "    http: {redirects: none}\n    page: {");
    let (_, report) = verify(&ConfigFile::new(&text)).await;
    assert_eq!(
        report["verdict"]["reason"],
        "http_status",
        "{}",
        summary(&report)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_certificate_of_unknown_ca_is_reported_as_unknown_issuer() {
    let lab = Lab::start().await.unwrap();
    let identity = Authority::new("Example Unknown").issue(&Leaf::for_name(HOST).expired());
    lab.login_server.set_identity(identity);
    let (_, report) = verify(&ConfigFile::new(&lab.config())).await;
    assert_eq!(
        report["verdict"]["reason"],
        "tls_unknown_issuer",
        "{}",
        summary(&report)
    );
    assert_eq!(report["advice"]["contact"], "security");
}

#[tokio::test]
async fn system_proxy_comes_from_the_environment_and_honors_no_proxy() {
    let lab = Lab::start().await.unwrap();
    let text = lab
        .config()
        .replace("  lab_page:\n", "  lab_page:\n    proxy: system\n");
    let config = ConfigFile::new(&text);
    let proxy = format!("http://clerk:lab-secret@{}", lab.proxy.addr());
    for (exceptions, tunnels) in [("", 1), (HOST, 1), ("example.com", 2)] {
        let mut verify = command();
        verify.args([&config.argument(), "verify"]);
        verify.env("HTTPS_PROXY", &proxy);
        let output = output_of(verify.env("NO_PROXY", exceptions)).await;
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stdout}");
        let asked = lab.proxy.asked();
        assert_eq!(asked.len(), tunnels, "{exceptions:?}: {asked:?}\n{stdout}");
        assert!(
            asked.iter().all(|target| target.starts_with(HOST)),
            "{asked:?}"
        );
        assert_eq!(
            stdout.contains("through http://"),
            exceptions != HOST,
            "{stdout}"
        );
        assert!(!stdout.contains("lab-secret"), "{stdout}");
    }
}

#[tokio::test]
async fn invalid_addresses_are_rejected_with_an_example() {
    for (arguments, expected) in [
        (
            &["drill", "--alertmanager=localhost:9093"][..],
            "it begins with neither http:// nor https://; write for example http://localhost:9093",
        ),
        (
            &["drill", "--alertmanager=10.0.0.5"],
            "relative URL without a base; write for example http://localhost:9093",
        ),
        (
            &["serve", "--web.listen-address=10762"],
            "write HOST:PORT or :PORT, such as :10762",
        ),
        (
            &["serve", "--web.listen-address=:99999"],
            "write HOST:PORT or :PORT, such as :10762",
        ),
    ] {
        let output = output_of(command().args(arguments)).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    let mut healthcheck = command();
    let output =
        output_of(healthcheck.args(["healthcheck", "--web.listen-address=127.0.0.1:1"])).await;
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.starts_with(
            "no exporter answers at 127.0.0.1:1; start it, or set --web.listen-address"
        ),
        "{stderr}"
    );
}
