//! The status page as people see it: in a real browser, wide and narrow, light and dark. The pictures
//! are kept in `target/status`; with UPDATE_DOCUMENTS=1 those of the README are made anew.

use harness::documents::{repository, updating};
use std::path::Path;

use ccass_2fa_lab::{Authority, HOST, Lab, Leaf, scenario};
use harness::exporter::{ConfigFile, Exporter};
use serde::Deserialize;
use serde_json::json;

const WIDE: u32 = 1400;
const NARROW: u32 = 390;

/// What a browser saw of the page.
#[derive(Deserialize)]
struct Seen {
    name: String,
    status: u16,
    title: String,
    text: String,
    /// Of the console, and requests for anything but the page.
    errors: Vec<String>,
    /// What axe-core finds: contrast, labels, landmarks.
    violations: Vec<String>,
    /// It scrolls sideways.
    wide: bool,
    /// Elements that do something.
    active: u32,
}

/// Opens `url` wide and narrow, light and dark; nothing may be wrong with it in any of these.
async fn look(name: &str, url: &str) -> Vec<Seen> {
    let pictures = repository("target/status");
    std::fs::create_dir_all(&pictures).expect("a directory for pictures");
    let mut views = Vec::new();
    for width in [WIDE, NARROW] {
        for dark in [false, true] {
            let shade = if dark { "dark" } else { "light" };
            let picture = pictures.join(format!("{name}-{width}-{shade}.png"));
            views.push(
                json!({"name": format!("{name}, {width} px, {shade}"), "url": url,
                              "width": width, "dark": dark, "picture": picture}),
            );
        }
    }
    let seen = browser(&views).await;
    assert_eq!(seen.len(), 4);
    for one in &seen {
        let name = &one.name;
        assert_eq!(one.status, 200, "{name}");
        assert_eq!(one.errors, Vec::<String>::new(), "{name}");
        assert_eq!(one.violations, Vec::<String>::new(), "{name}");
        assert!(!one.wide, "{name} scrolls sideways");
        assert_eq!(one.active, 0, "{name} holds what is not text");
        assert_eq!(one.title, seen[0].title, "{name}");
    }
    seen
}

async fn browser(views: &[serde_json::Value]) -> Vec<Seen> {
    let asked = json!({"chromium": "/usr/bin/chromium", "views": views});
    harness::node::run("look.mjs", &asked).await
}

/// The page of a file, as `look` sees it, and what a printer makes of it: A4, so many sheets.
async fn look_at_file(
    name: &str,
    file: &Path,
    sheets: std::ops::RangeInclusive<usize>,
) -> Vec<Seen> {
    let url = format!("file://{}", file.display());
    let seen = look(name, &url).await;
    let pdf = file.with_extension("pdf");
    let view = json!({"name": name, "url": url, "width": WIDE, "dark": true, "pdf": pdf});
    browser(&[view]).await;
    let printed = std::fs::read(&pdf).expect("a PDF");
    let printed = String::from_utf8_lossy(&printed);
    let count = printed.matches("/Type /Page\n").count();
    assert!(sheets.contains(&count), "{name}: {count} sheets");
    let a4 = printed
        .matches("/MediaBox [0 0 594.95996 841.91998]")
        .count();
    assert_eq!(a4, count, "{name} prints on A4");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_and_what_is_filed_is_one_page_that_prints_on_a4() {
    let lab = Lab::start().await.expect("the lab starts");
    let keys = "data_directory: kept\nsite: central\nevidence: {terminals: [t1, t2]}\n";
    let config = ConfigFile::new(&format!("{keys}{}", lab.config()));
    let argument = config.argument();
    let directory = config.directory().to_owned();
    let run = async |arguments: &[&str], file: &str| {
        let file = directory.join(file);
        let output = format!("--output={}", file.display());
        let mut all = vec![argument.as_str()];
        all.extend(arguments);
        if arguments[0] != "record" {
            all.push(&output);
        }
        let ended = harness::exporter::run(&all).await;
        assert!(ended.status.code() < Some(2), "{ended:?}");
        file
    };
    run(
        &["verify", "--format=html", "--record", "--reference=CHG-1"],
        "good.html",
    )
    .await;
    run(&["record", "--terminal=t1", "--outcome=seen"], "").await;
    lab.provoke(scenario("tls-expired").expect("a scenario"));
    let failing = run(&["verify", "--format=html", "--record"], "failing.html").await;
    let seen = look_at_file("handed-over", &failing, 1..=2).await;
    for part in [
        "It fails at tls",
        "tls_expired",
        "central",
        "CCASS Hotline 2979 7111",
        "Close the window without logging on.",
        "from 127.0.0.1",
        "Recorded as number 3, hash ",
    ] {
        assert!(seen[0].text.contains(part), "{part}: {}", seen[0].text);
    }
    let filed = run(&["evidence", "report"], "filed.html").await;
    let seen = look_at_file("filed", &filed, 1..=3).await;
    for part in [
        "Evidence of verification",
        "All records: 3 of 3.",
        "full pass",
        "fails at tls, tls_expired",
        "no check among these records",
        "Not verified by these records: the login page at terminal t2.",
        "reference CHG-1",
        "source address 127.0.0.1",
    ] {
        assert!(seen[0].text.contains(part), "{part}: {}", seen[0].text);
    }
}

/// A lab, and an exporter that has probed it once.
struct Site {
    lab: Lab,
    config: ConfigFile,
    exporter: Exporter,
}

impl Site {
    async fn start() -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        let config = ConfigFile::new(&format!("{TOP}{}", lab.config()));
        let mut exporter = Exporter::start(&[&config.argument()]).await;
        exporter.first_probe().await;
        Self {
            lab,
            config,
            exporter,
        }
    }

    fn url(&self) -> String {
        self.exporter.url("/?refresh=off")
    }
}

const TOP: &str = "site: central\ndata_directory: kept\n\
                   contacts: {firewall: \"network security, ext. 4410\", \
                   security: \"information security, ext. 4420\"}\n";

#[track_caller]
fn shows(views: &[Seen], parts: &[&str]) {
    for (seen, part) in views
        .iter()
        .flat_map(|seen| parts.iter().map(move |part| (seen, part)))
    {
        assert!(
            seen.text.contains(part),
            "{}: {part:?} is not in\n{}",
            seen.name,
            seen.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_reached_is_told_with_every_layer() {
    let site = Site::start().await;
    let seen = look("good", &site.url()).await;
    assert_eq!(
        seen[0].title,
        "The login page is reached · central · CCASS 2FA"
    );
    shows(
        &seen,
        &[
            "The login page is reached",
            "Last probe",
            "CCASS Lab Login",
            "4 of 4 checks hold",
            "issued by C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA",
            "tcp connects",
            "What happened",
            "Not seen from here",
            "all are past",
        ],
    );
    picture("status-good", &site.url(), 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_with_why_whom_to_ask_and_what_changed() {
    let mut site = Site::start().await;
    site.lab
        .provoke(scenario("tls-unknown-issuer").expect("a scenario"));
    site.exporter.line_with("message=\"the probe fails\"").await;
    let seen = look("outage", &site.url()).await;
    shows(
        &seen,
        &[
            "The login page is NOT reached",
            "Failing since",
            "Last good",
            "sso fails at tls: tls_unknown_issuer",
            "your security team (information security, ext. 4420)",
            "What changed since it was last good",
            "C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA",
            "C=HK, O=Example Stranger, CN=Example Stranger Issuing CA",
            "not reached",
            "unexpected_issuer",
        ],
    );
    picture("status-outage", &site.url(), 1000).await;

    // Killed in the middle of it, it still knows since when, and what it was before.
    let since = line(&seen[0], "Failing since ");
    let good = line(&seen[0], "Last good ");
    site.exporter.child.kill().await.expect("it was alive");
    let mut exporter = Exporter::start(&[&site.config.argument()]).await;
    exporter.first_probe().await;
    let seen = look("outage-after-restart", &exporter.url("/?refresh=off")).await;
    assert_eq!(line(&seen[0], "Failing since "), since);
    assert_eq!(line(&seen[0], "Last good "), good);
    shows(&seen, &["C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA"]);

    // Healed, the flap is still seen.
    site.lab.heal();
    exporter.line_with("message=\"the probe is good\"").await;
    let seen = look("healed", &exporter.url("/?refresh=off")).await;
    shows(
        &seen,
        &["The login page is reached", "tls_unknown_issuer, for"],
    );
}

/// The instant in the line that begins so, without how long ago it was.
fn line(seen: &Seen, begins: &str) -> String {
    let found = seen.text.lines().find_map(|line| line.strip_prefix(begins));
    let found = found.unwrap_or_else(|| panic!("no {begins:?} in\n{}", seen.text));
    found.split(',').next().expect("an instant").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failing_layer_has_its_reason_and_its_contact_on_the_page() {
    for (name, parts) in [
        (
            "dns-nxdomain",
            ["sso fails at dns: dns_nxdomain", "your DNS team"],
        ),
        (
            "tcp-refused",
            [
                "sso fails at tcp: tcp_refused",
                "your firewall team (network security, ext. 4410)",
            ],
        ),
        (
            "proxy-denied",
            ["sso fails at proxy: proxy_denied", "your web-proxy team"],
        ),
        (
            "http-503",
            ["sso fails at http: http_status", "CCASS Hotline 2979 7111"],
        ),
        (
            "page-block",
            ["sso fails at page: page_block_page", "your security team"],
        ),
    ] {
        let lab = Lab::start().await.expect("the lab starts");
        let fault = scenario(name).unwrap_or_else(|| panic!("no scenario {name}"));
        lab.provoke(fault);
        let config = ConfigFile::new(&format!("{TOP}{}", lab.config_for(fault)));
        let mut exporter = Exporter::start(&[&config.argument()]).await;
        exporter.first_probe().await;
        let seen = look(name, &exporter.url("/?refresh=off")).await;
        shows(&seen, &["The login page is NOT reached"]);
        shows(&seen, &parts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_cycle_the_page_says_that_nothing_is_known() {
    let lab = Lab::start().await.expect("the lab starts");
    lab.provoke(scenario("dns-timed-out").expect("a scenario"));
    // Whatever is slow about the browser, the first probe takes longer.
    let slow = lab
        .config()
        .replace("interval: 10s, timeout: 4s", "interval: 60s, timeout: 60s");
    let config = ConfigFile::new(&slow);
    let exporter = Exporter::start(&[&config.argument()]).await;
    let seen = look("before", &exporter.url("/?refresh=off")).await;
    shows(&seen, &["Not probed yet", "The first probe comes within"]);
    assert!(!seen[0].text.contains("reached"), "{}", seen[0].text);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_targets_are_a_list_in_which_only_what_fails_is_unfolded() {
    let lab = Lab::start().await.expect("the lab starts");
    let text = lab.config();
    let (top, _) = text.split_once("targets:\n").expect("targets");
    let mut text = format!("{top}targets:\n");
    for index in 0..200 {
        let url = match index {
            7 => "https://nobody.lab.test/".to_owned(),
            _ => lab.url(),
        };
        text += &format!("  - {{name: way-{index}, url: \"{url}\", module: lab_page}}\n");
    }
    let config = ConfigFile::new(&text);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    for _target in 0..200 {
        exporter.first_probe().await;
    }
    let seen = look("many", &exporter.url("/?refresh=off")).await;
    shows(
        &seen,
        &[
            "1 of 200 login targets are NOT reached",
            "way-7 fails at dns: dns_nxdomain",
            "way-199",
        ],
    );
    assert_eq!(seen[0].text.matches("Resolvers and addresses").count(), 1);
    let seen = look("one-of-many", &exporter.url("/?refresh=off&target=way-3")).await;
    assert_eq!(seen[0].text.matches("Resolvers and addresses").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_closed_has_no_say_in_whether_the_login_page_is_reached() {
    let lab = Lab::start().await.expect("the lab starts");
    let open = lab.url();
    let config = ConfigFile::new(&format!(
        "{}  - {{name: must-be-closed, url: \"{open}\", module: lab_page, expect: unreachable}}\n\
         \x20 - {{name: is-closed, url: \"https://127.0.0.1:1/\", expect: unreachable}}\n",
        lab.config()
    ));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    for _target in 0..3 {
        exporter.first_probe().await;
    }
    let seen = look("closed", &exporter.url("/?refresh=off")).await;
    shows(
        &seen,
        &[
            "The login page is reached",
            "must-be-closed fails at tcp: tcp_unexpectedly_open",
            "closed, as it should be",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_markup_or_from_right_to_left_are_text_and_nothing_else() {
    let mut site = Site::start().await;
    let hostile = Authority::new("<img src=x onerror=alert(1)> \u{5e9}\u{5dc}\u{5d5}\u{5dd}");
    let mut leaf = Leaf::for_name(HOST);
    leaf.organisation = "</bdi><script>alert(1)</script> \u{202e}\u{645}\u{631}\u{62d}".to_owned();
    site.lab.login_server.set_identity(hostile.issue(&leaf));
    site.exporter.line_with("message=\"the probe fails\"").await;
    let seen = look("hostile", &site.url()).await;
    shows(
        &seen,
        &[
            "<img src=x onerror=alert(1)> \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
            "</bdi><script>alert(1)</script>",
        ],
    );
    assert!(!seen[0].text.contains('\u{202e}'), "an override is kept");
}

#[tokio::test]
async fn the_page_asks_again_by_itself_until_it_is_told_not_to() {
    let site = Site::start().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let get = async |path: &str| {
        client
            .get(site.exporter.url(path))
            .send()
            .await
            .expect("a page")
    };
    let page = get("/").await;
    assert_eq!(page.headers()["refresh"], "10");
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("text");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert!(
        page.text()
            .await
            .expect("text")
            .contains("href=\"?refresh=off\"")
    );
    assert!(
        get("/?refresh=off")
            .await
            .headers()
            .get("refresh")
            .is_none()
    );
}

/// A picture of the README's, made anew where that is asked for.
async fn picture(name: &str, url: &str, width: u32) {
    let file = repository(&format!("docs/{name}.png"));
    if updating() {
        browser(&[
            json!({"name": name, "url": url, "width": width, "height": 620, "dark": false,
                         "picture": file}),
        ])
        .await;
    }
    assert!(file.exists(), "make documents takes this picture");
}
