//! The lab's login page, sound and with faults, as the browser and the exporter see it.

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::output_of;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use crate::desk::{Desk, matches_schema};

/// The configuration with the lab's roots where the user of the desk can read them.
pub fn config(lab: &Lab, desk: &Desk) -> String {
    let roots = std::fs::read_to_string(lab.ca_file()).unwrap();
    let own = desk.write("ca.pem", &roots);
    lab.config().replace(
        &lab.ca_file().display().to_string(),
        &own.display().to_string(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_compared_recorded_with_its_picture_and_reported() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[&lab.authority]).await.with_pac(&lab).await;
    let data = desk.path("data").display().to_string();
    let config = format!(
        "data_directory: {data:?}\nevidence: {{terminals: [t1]}}\n{}",
        config(&lab, &desk)
    );
    let page = desk.path("tmp-page.html").display().to_string();
    let arguments = [
        "--record",
        "--terminal=t1",
        "--format=html",
        "--output",
        &page,
    ];
    let output = desk.verify(&config, &arguments).await;
    assert!(output.status.success(), "{output:?}");
    desk.is_clean();
    let html = std::fs::read_to_string(&page).unwrap();
    let proxy = lab.proxy.addr();
    let pac = desk.pac_url();
    let difference = format!(
        "The browser goes through proxy {proxy} from the PAC file {pac}; the exporter connects directly."
    );
    assert!(html.contains(&difference), "{html}");
    assert!(html.contains("In Chromium 1"), "{html}");
    let picture = html.split("src=\"data:image/png;base64,").nth(1).unwrap();
    let picture = picture.split('"').next().unwrap();
    assert!(picture.len() > 1_000, "{picture}");

    let output = output_of(&mut desk.command(&config, &["evidence", "report"])).await;
    assert!(output.status.success(), "{output:?}");
    let html = String::from_utf8(output.stdout).unwrap();
    assert!(html.contains("Automatic checks in a browser"), "{html}");
    assert!(html.contains(picture), "the same picture");
    // A person has still to look.
    assert!(html.contains("the login page at terminal t1"), "{html}");
    let arguments = ["evidence", "report", "--format=json"];
    let output = output_of(&mut desk.command(&config, &arguments)).await;
    let evidence = serde_json::from_slice(&output.stdout).unwrap();
    matches_schema("evidence.schema.json", &evidence).await;
    assert_eq!(lab.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_the_browser_refuses_have_the_reason_of_the_probe() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[&lab.authority]).await.with_pac(&lab).await;
    for (name, reason, error) in [
        ("tls-expired", "tls_expired", "ERR_CERT_DATE_INVALID"),
        (
            "tls-unknown-issuer",
            "tls_unknown_issuer",
            "ERR_CERT_AUTHORITY_INVALID",
        ),
    ] {
        lab.provoke(scenario(name).unwrap());
        let (code, report) = desk.report(&config(&lab, &desk), &[]).await;
        assert_eq!(code, 1, "{report:#}");
        let failure = &report["browser"]["failure"];
        assert_eq!(
            failure,
            &json!({"reason": reason, "error": error}),
            "{report:#}"
        );
        assert_eq!(report["verdict"]["reason"], reason, "{report:#}");
        // Both fail for the same reason.
        let findings = report["findings"].as_array().unwrap();
        let differs = |found: &&Value| found["finding"] == "browser_differs";
        assert_eq!(findings.iter().find(differs), None, "{report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_credentials_is_a_difference_and_a_finding() {
    let lab = Lab::start().await.unwrap();
    let proxy = lab.proxy.addr();
    let desk = Desk::new(&[&lab.authority]).await.with_proxy(proxy);
    lab.proxy
        .set_fault(ccass_2fa_lab::ProxyFault::WantCredentials(&[
            "Basic realm=\"lab\"",
        ]));
    let (code, report) = desk.report(&config(&lab, &desk), &[]).await;
    // The exporter connects directly and succeeds; the exit code follows the browser.
    assert_eq!(report["verdict"]["outcome"], "good", "{report:#}");
    assert_eq!(code, 1, "{report:#}");
    let browser = &report["browser"];
    assert_eq!(
        browser["failure"]["reason"], "proxy_auth_required",
        "{report:#}"
    );
    assert_eq!(
        browser["seen"]["proxy"]["asked_for_credentials"], true,
        "{report:#}"
    );
    assert_eq!(
        report["findings"][0]["finding"], "browser_differs",
        "{report:#}"
    );
    let difference = format!(
        "the browser goes through proxy {proxy} from this machine's settings; the exporter connects \
         directly"
    );
    let differences = browser["differences"].as_array().unwrap();
    assert!(differences.contains(&json!(difference)), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_drops_times_out_at_tcp() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[]).await;
    // Linux drops a connection request when the queue is full: one connection fills it.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let port = listener.local_addr().unwrap();
    let _queued = TcpStream::connect(port).await.unwrap();
    let text = config(&lab, &desk)
        .replace(&lab.url(), &format!("https://{port}/sso"))
        .replace("timeout: 10s", "timeout: 1s");
    let (code, report) = desk.report(&text, &["--browser-timeout=15s"]).await;
    assert_eq!(code, 1, "{report:#}");
    let failure = &report["browser"]["failure"];
    assert_eq!(failure["reason"], "tcp_timed_out", "{report:#}");
    assert_eq!(failure["error"], "timed_out", "{report:#}");
    assert_eq!(report["verdict"]["reason"], "tcp_timed_out", "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_exist_fails_at_its_name() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[]).await;
    let text = config(&lab, &desk).replace("sso.lab.test", "nowhere.invalid");
    let (code, report) = desk.report(&text, &[]).await;
    assert_eq!(code, 1, "{report:#}");
    let failure = &report["browser"]["failure"];
    assert_eq!(failure["reason"], "dns_nxdomain", "{report:#}");
    assert_eq!(failure["error"], "ERR_NAME_NOT_RESOLVED", "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_browser_from_starting_is_an_instruction() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[]).await;
    let text = config(&lab, &desk);
    let script = |name: &str, body: &str| {
        let path = desk.write(name, &format!("#!/bin/sh\n{body}\n"));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        format!("--browser-path={}", path.display())
    };
    let forbidden =
        "echo 'DevTools remote debugging is disallowed by the system admin.' >&2; exit 1";
    let sandbox = "echo 'Running as root without --no-sandbox is not supported.' >&2; exit 1";
    let display = "echo 'Missing X server or $DISPLAY' >&2; exit 1";
    let old = r#"printf '{"id":1,"result":{"product":"Chrome/100.0.1","userAgent":"Chrome/100"}}\0' >&4; cat <&3"#;
    for (argument, part) in [
        (
            "--browser-path=/nowhere/edge".to_owned(),
            "no browser found in /nowhere/edge; install Microsoft Edge",
        ),
        (
            script("forbidden", forbidden),
            "allow it with the policy RemoteDebuggingAllowed",
        ),
        (
            script("sandbox", sandbox),
            "run the check as a user other than root",
        ),
        (script("display", display), "wants a display"),
        (
            script("old", old),
            "is version 100.0.1, and the check needs 112 or later",
        ),
    ] {
        let output = desk.verify(&text, &[&argument]).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{argument}: {error}");
        assert!(error.contains(part), "{argument}: {error}");
        // The probe's report is printed all the same.
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("REACHED"), "{argument}: {printed}");
        desk.is_clean();
    }
    let mut command = desk.command(&text, &["verify", "--browser"]);
    let output = output_of(command.env("TMPDIR", "/nowhere")).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("cannot write a profile for the browser below /nowhere"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intermediate_that_only_the_browser_fetches_is_explained_below_both_columns() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[&lab.authority]).await.with_pac(&lab).await;
    // The exporter fetches nothing from an address that is not public.
    lab.provoke(scenario("tls-issuer-on-a-private-address").unwrap());
    let output = desk.verify(&config(&lab, &desk), &[]).await;
    desk.is_clean();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for expected in [
        &["exporter", "browser"][..],
        &[
            "Result",
            "FAILED",
            "at",
            "TLS:",
            "tls_incomplete_chain",
            "OK",
        ],
        &["Status", "200"],
    ] {
        assert!(lines.iter().any(|line| line == expected), "{text}");
    }
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        "Differs The browser shows the page, the exporter does not reach it (tls_incomplete_chain).",
        "Differs The browser fetched the missing intermediate, or has it from before.",
        "browser_differs",
    ] {
        assert!(words.contains(sentence), "{text}");
    }
}
