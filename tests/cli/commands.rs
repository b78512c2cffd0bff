//! The commands as a person types them.

use ccass_2fa_lab::{HOST, Lab};
use harness::exporter::{ConfigFile, command, run};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_of_a_good_page_exits_zero_and_names_the_manual_step() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let output = run(&[&config.argument(), "verify"]).await;
    assert_eq!(output.status.code(), Some(0));
    let told = text(output.stdout);
    for part in [
        "REACHED, page checked",
        "title \"CCASS Lab Login\"",
        "form fields csrf_token, username, password",
        "issued by C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA",
        "trusted by: this host no, the public web no, the ca_file yes",
        "On each CCASS Terminal PC open https://sso.lab.test:",
        "Close the window without logging on.",
        "The CCASS Terminal PC: this host may have another network",
        "PAC files",
    ] {
        let folded = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(folded.contains(part), "{part:?} is not in\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_layer_reason_and_whom_to_ask_from_the_contacts() {
    let lab = Lab::start().await.unwrap();
    lab.provoke(ccass_2fa_lab::scenario("tls-unknown-issuer").unwrap());
    let contacts = "contacts: {security: \"Ms Chan, ext. 4321\"}\n";
    let config = ConfigFile::new(&format!("{contacts}{}", lab.config()));
    let output = run(&[&config.argument(), "verify", "sso"]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = text(output.stdout);
    assert!(told.contains("FAILS at tls"), "{told}");
    assert!(told.contains("Why       tls_unknown_issuer: "), "{told}");
    assert!(
        told.contains("Ask       your security team (Ms Chan, ext. 4321)"),
        "{told}"
    );
    assert!(told.contains("O=Example Stranger"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_server_may_not_have_given_sends_nobody_to_the_hotline() {
    let lab = Lab::start().await.unwrap();
    lab.provoke(ccass_2fa_lab::scenario("tls-interception-suspected").unwrap());
    lab.login_server
        .set_fault(ccass_2fa_lab::HttpFault::Status(502));
    let config = ConfigFile::new(&lab.config());
    let (code, report) = harness::exporter::verify(&config).await;
    assert_eq!(code, 1);
    assert_eq!(report["verdict"]["reason"], "http_status");
    assert_eq!(
        report["hops"][0]["http"]["facts"]["answered_by"],
        "interceptor"
    );
    assert_eq!(report["advice"]["ask"], "security", "{report:#}");
    lab.heal();
    lab.login_server
        .set_fault(ccass_2fa_lab::HttpFault::Status(502));
    let (_, report) = harness::exporter::verify(&config).await;
    assert_eq!(report["advice"]["ask"], "hkex", "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_interceptor_is_no_finding_but_its_answers_are_not_the_servers() {
    let lab = Lab::start().await.unwrap();
    lab.provoke(ccass_2fa_lab::scenario("tls-interception-suspected").unwrap());
    lab.login_server
        .set_fault(ccass_2fa_lab::HttpFault::Status(502));
    let accepted = "tls: {accepted_interceptors: [\"Example Web Filter\"], ";
    let config = ConfigFile::new(&lab.config().replace("tls: {", accepted));
    let (_, report) = harness::exporter::verify(&config).await;
    assert_eq!(
        report["findings"].as_array().unwrap().len(),
        0,
        "{report:#}"
    );
    let handshake = &report["hops"][0]["tls"]["facts"]["handshakes"][0];
    assert_eq!(handshake["interception"], "accepted");
    assert_eq!(report["advice"]["ask"], "security", "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_status_counts_more_than_its_body_and_shows_the_title_of_its_page() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    lab.login_server
        .set_fault(ccass_2fa_lab::HttpFault::Status(403));
    let (_, report) = harness::exporter::verify(&config).await;
    assert_eq!(report["verdict"]["reason"], "http_status");
    let title = report["hops"][0]["http"]["facts"]["title"]
        .as_str()
        .unwrap();
    assert!(title.contains("403"), "{title}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verdict_fits_a_hundred_columns_and_has_no_colours_in_a_pipe() {
    for name in [
        "dns-nxdomain",
        "tcp-refused",
        "tls-expired",
        "http-500",
        "page-mismatch",
    ] {
        let lab = Lab::start().await.unwrap();
        lab.provoke(ccass_2fa_lab::scenario(name).unwrap());
        let config = ConfigFile::new(&lab.config());
        let told = text(run(&[&config.argument(), "verify"]).await.stdout);
        assert!(!told.contains('\u{1b}'), "{told}");
        for line in told.lines() {
            assert!(
                line.chars().count() <= 100,
                "{} columns: {line}",
                line.chars().count()
            );
            assert_eq!(line, line.trim_end());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_come_where_they_are_asked_for() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let output = command()
        .args([&config.argument(), "verify"])
        .env("CLICOLOR_FORCE", "1")
        .output();
    assert!(text(output.await.unwrap().stdout).contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_writes_to_a_file_without_colours() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let path = config.directory().join("verdict.txt");
    let argument = format!("--output={}", path.display());
    let output = run(&[&config.argument(), "verify", &argument]).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let told = std::fs::read_to_string(path).unwrap();
    assert!(
        told.contains("REACHED") && !told.contains('\u{1b}'),
        "{told}"
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
async fn verify_takes_an_address_that_is_not_configured() {
    let lab = Lab::start().await.unwrap();
    // The built-in module, made to follow the lab's resolver.
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
async fn usage_that_makes_no_sense_exits_two_and_says_what_would() {
    for (arguments, part) in [
        (
            &["verify", "nothing"][..],
            "neither a configured target (sso) nor an https address",
        ),
        (&["verify", "http://x.example/"], "plain http is refused"),
        (
            &["verify", "https://a:b@x.example/"],
            "credentials in the address are refused",
        ),
        (&["verify", "--format=xml"], "possible values: text, json"),
        (&["frobnicate"], "unrecognized subcommand"),
        (
            &["timetable", "--at=yesterday"],
            "is neither a date (2023-04-27) nor an instant",
        ),
    ] {
        let output = run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn check_says_how_many_connections_a_day_a_configuration_makes() {
    let config = ConfigFile::new(
        "probe: {interval: 30s}\nmodules: {login_page: {system_resolvers: ignore, \
         resolvers: [127.0.0.1, 127.0.0.2]}}\n",
    );
    let output = run(&[&config.argument(), "check"]).await;
    assert_eq!(output.status.code(), Some(0));
    let told = text(output.stdout);
    let folded = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(folded.contains("a day: 2880 probes"), "{told}");
    assert!(
        folded.contains("2880 connections where it has one"),
        "{told}"
    );
    assert!(folded.contains("11520 questions to 2 resolvers"), "{told}");
    assert!(folded.contains("the page is not checked"), "{told}");
    assert!(folded.contains("holidays known until 2028-01-01"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_server_says_steers_the_terminal() {
    let lab = Lab::start().await.unwrap();
    let title = "<title>\u{1b}[2J\u{202e}gnirts \u{7}\u{9b}31m</title>";
    lab.login_server
        .set_fault(ccass_2fa_lab::PageFault::Text(title.to_owned()));
    let config = ConfigFile::new(&lab.config());
    let told = text(run(&[&config.argument(), "verify"]).await.stdout);
    assert!(told.contains("gnirts"), "{told}");
    let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!told.chars().any(steers), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_redirect_is_followed_whole_and_none_is_followed_where_none_may_be() {
    let lab = Lab::start().await.unwrap();
    let long = format!("/sso?SAMLRequest={}", "A".repeat(700));
    lab.login_server
        .set_fault(ccass_2fa_lab::HttpFault::Redirect(302, long.clone()));
    let config = ConfigFile::new(&lab.config());
    let (_, report) = harness::exporter::verify(&config).await;
    assert_eq!(
        report["verdict"]["reason"], "http_redirect_loop",
        "{report:#}"
    );
    assert_eq!(lab.login_server.requests()[1].path, long);
    let text = lab
        .config()
        .replace("    page: {", "    http: {redirects: none}\n    page: {");
    let (_, report) = harness::exporter::verify(&ConfigFile::new(&text)).await;
    assert_eq!(report["verdict"]["reason"], "http_status", "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_of_a_stranger_is_the_strangers_not_the_servers() {
    use ccass_2fa_lab::{Authority, Leaf};
    let lab = Lab::start().await.unwrap();
    let stranger = Authority::new("Example Stranger").issue(&Leaf::for_name(HOST).expired());
    lab.login_server.set_identity(stranger);
    let (_, report) = harness::exporter::verify(&ConfigFile::new(&lab.config())).await;
    assert_eq!(
        report["verdict"]["reason"], "tls_unknown_issuer",
        "{report:#}"
    );
    assert_eq!(report["advice"]["ask"], "security");
}

#[tokio::test]
async fn the_environments_proxy_is_used_where_it_is_asked_for_and_its_exceptions_hold() {
    let lab = Lab::start().await.unwrap();
    let text = lab
        .config()
        .replace("  lab_page:\n", "  lab_page:\n    proxy: system\n");
    let config = ConfigFile::new(&text);
    let proxy = format!("http://clerk:lab-secret@{}", lab.proxy.addr());
    for (exceptions, tunnels) in [("", 1), (HOST, 1), ("example.com", 2)] {
        let output = command()
            .args([&config.argument(), "verify"])
            .env("HTTPS_PROXY", &proxy)
            .env("NO_PROXY", exceptions)
            .output()
            .await
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{told}");
        let asked = lab.proxy.asked();
        assert_eq!(asked.len(), tunnels, "{exceptions:?}: {asked:?}\n{told}");
        assert!(asked.iter().all(|one| one.starts_with(HOST)), "{asked:?}");
        assert_eq!(
            told.contains("through http://"),
            exceptions != HOST,
            "{told}"
        );
        assert!(!told.contains("lab-secret"), "{told}");
    }
}
