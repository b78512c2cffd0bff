//! The status page and the HTML reports in Chromium: wide and narrow, light and dark. With
//! UPDATE_DOCUMENTS=1 each page is left in `target/status`, and those of the README are taken again.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ccass_2fa_lab::{Authority, HOST, Lab, Leaf, scenario};
use harness::documents::{repository, updating};
use harness::exporter::{ConfigFile, Exporter};
use harness::prometheus::signal;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use crate::{TIMEOUT, with_limits};

const WIDE: u32 = 1400;
const NARROW: u32 = 390;

/// A page as Chromium shows it.
#[derive(Deserialize)]
struct Page {
    name: String,
    status: u16,
    title: String,
    text: String,
    /// Console errors, and requests for anything but the page.
    problems: Vec<String>,
    /// The findings of axe-core: contrast, labels, landmarks.
    violations: Vec<String>,
    /// Whether it scrolls sideways.
    overflows: bool,
    /// The number of scripts, images, frames, objects and forms.
    #[serde(rename = "activeElements")]
    active_elements: u32,
}

/// Opens `url` wide, narrow and dark, and asserts that it has no problem in any view.
async fn inspect(name: &str, url: &str) -> Vec<Page> {
    inspect_views(name, url, &[(WIDE, false), (NARROW, false), (WIDE, true)]).await
}

/// A view is a width in pixels, and whether the page is dark.
async fn inspect_views(name: &str, url: &str, views: &[(u32, bool)]) -> Vec<Page> {
    let screenshots = repository("target/status");
    std::fs::create_dir_all(&screenshots).expect("a directory for screenshots");
    let describe = |(width, dark): &(u32, bool)| {
        let shade = if *dark { "dark" } else { "light" };
        let screenshot = screenshots.join(format!("{name}-{width}-{shade}.png"));
        let screenshot = updating().then_some(screenshot);
        json!({"name": format!("{name}, {width} px, {shade}"), "url": url,
               "width": width, "dark": dark, "screenshot": screenshot})
    };
    let views: Vec<_> = views.iter().map(describe).collect();
    let pages = open_in_browser(&views).await;
    assert_eq!(pages.len(), views.len());
    for page in &pages {
        let name = &page.name;
        assert_eq!(page.status, 200, "{name}");
        assert_eq!(page.problems, Vec::<String>::new(), "{name}");
        assert_eq!(page.violations, Vec::<String>::new(), "{name}");
        assert!(!page.overflows, "{name} scrolls sideways");
        assert_eq!(page.active_elements, 0, "{name} has active elements");
        assert_eq!(page.title, pages[0].title, "{name}");
    }
    pages
}

async fn open_in_browser(views: &[serde_json::Value]) -> Vec<Page> {
    let input = json!({"views": views});
    harness::node::run("inspect_pages.mjs", &input).await
}

/// Inspects an HTML file, and prints it: A4, and as many sheets as `sheets` allows.
async fn inspect_file(
    name: &str,
    file: &Path,
    sheets: std::ops::RangeInclusive<usize>,
) -> Vec<Page> {
    let url = format!("file://{}", file.display());
    let pages = inspect(name, &url).await;
    let pdf = file.with_extension("pdf");
    let view = json!({"name": name, "url": url, "width": WIDE, "dark": true, "pdf": pdf});
    open_in_browser(&[view]).await;
    let printed = std::fs::read(&pdf).expect("a PDF");
    let printed = String::from_utf8_lossy(&printed);
    let count = printed.matches("/Type /Page\n").count();
    assert!(sheets.contains(&count), "{name}: {count} sheets");
    let a4 = printed
        .matches("/MediaBox [0 0 594.95996 841.91998]")
        .count();
    assert_eq!(a4, count, "{name} prints on A4");
    pages
}

#[track_caller]
fn assert_shows(page: &Page, parts: &[&str]) {
    for part in parts {
        assert!(
            page.text.contains(part),
            "{}: {part:?} not found; the page begins with\n{}",
            page.name,
            beginning(page)
        );
    }
}

#[track_caller]
fn assert_all_show(pages: &[Page], parts: &[&str]) {
    for page in pages {
        assert_shows(page, parts);
    }
}

/// The first lines of a page, for a failure's message.
fn beginning(page: &Page) -> String {
    let lines: Vec<&str> = page.text.lines().filter(|line| !line.is_empty()).collect();
    lines[..lines.len().min(5)].join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn html_reports_are_one_accessible_page_and_print_on_a4() {
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
        let result = harness::exporter::run(&all).await;
        assert!(result.status.code() < Some(2), "{arguments:?}: {result:?}");
        file
    };
    run(
        &["verify", "--format=html", "--record", "--reference=CHG-1"],
        "good.html",
    )
    .await;
    run(&["record", "--terminal=t1", "--outcome=seen"], "").await;
    lab.provoke(scenario("tls-expired").expect("a scenario"));
    let verification = run(&["verify", "--format=html", "--record"], "failing.html").await;
    let pages = inspect_file("verification", &verification, 1..=2).await;
    assert_shows(
        &pages[0],
        &[
            "sso failed at TLS",
            "tls_expired",
            "central",
            "CCASS Hotline 2979 7111",
            "Close the window without logging on.",
            "from 127.0.0.1",
            "Evidence record 3, hash ",
        ],
    );
    let evidence = run(&["evidence", "report"], "evidence.html").await;
    let pages = inspect_file("evidence", &evidence, 1..=3).await;
    assert_shows(
        &pages[0],
        &[
            "Evidence of verification",
            "All records: 3 of 3.",
            "full pass",
            "failed at tls, tls_expired",
            "no check in these records",
            "Missing in these records: the login page at terminal t2.",
            "reference CHG-1",
            "source address 127.0.0.1",
        ],
    );
}

/// A lab and an exporter that has probed it once.
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

    /// Waits until the file in the data directory contains `part`.
    async fn wait_for_saved_state(&self, part: &str) {
        let file = self.config.directory().join("kept/state.json");
        let deadline = Instant::now() + TIMEOUT;
        while !std::fs::read_to_string(&file).is_ok_and(|state| state.contains(part)) {
            assert!(
                Instant::now() < deadline,
                "{part} is not in {} within {} s",
                file.display(),
                TIMEOUT.as_secs()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

const TOP: &str = "site: central\ndata_directory: kept\n\
                   contacts: {firewall: \"network security, ext. 4410\", \
                   security: \"information security, ext. 4420\"}\n";

#[tokio::test(flavor = "multi_thread")]
async fn page_of_a_reachable_login_shows_every_layer() {
    let site = Site::start().await;
    let pages = inspect("good", &site.url()).await;
    assert_eq!(pages[0].title, "OK · central · CCASS login");
    assert_all_show(
        &pages,
        &[
            "Login page reachable",
            "Last probe",
            "CCASS Lab Login",
            "4 of 4 checks passed",
            "issued by C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA",
            "TCP",
            "Last 24 hours",
            "No outage is recorded.",
            "Durations, last 24 hours",
            "Not checked",
            "(all past)",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_an_outage_shows_cause_contact_and_changes_across_restart() {
    let mut site = Site::start().await;
    site.lab
        .provoke(scenario("tls-unknown-issuer").expect("a scenario"));
    site.exporter.line_with("message=\"probe failed\"").await;
    let pages = inspect("outage", &site.url()).await;
    assert_all_show(
        &pages,
        &[
            "Login page NOT reachable",
            "Failing since",
            "Last success",
            "sso failed at TLS: This host does not trust the issuer",
            "your security team (information security, ext. 4420)",
            "Changes since the last success",
            "C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA",
            "C=HK, O=Example Unknown, CN=Example Unknown Issuing CA",
            "not tried",
            "unexpected_issuer",
        ],
    );
    take_screenshots("status-outage", &site.url()).await;

    // After a kill during the outage it still shows the beginning and the last good facts.
    let since = instant(&pages[0], "Failing since ");
    let good = instant(&pages[0], "Last success ");
    site.wait_for_saved_state("tls_unknown_issuer").await;
    site.exporter.child.kill().await.expect("it was running");
    let mut exporter = Exporter::start(&[&site.config.argument()]).await;
    exporter.first_probe().await;
    let pages = inspect("outage-after-restart", &exporter.url("/?refresh=off")).await;
    assert_eq!(instant(&pages[0], "Failing since "), since);
    assert_eq!(instant(&pages[0], "Last success "), good);
    assert_all_show(&pages, &["C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA"]);

    // After the recovery the outage is in the history.
    site.lab.heal();
    exporter.line_with("message=\"probe succeeded\"").await;
    let pages = inspect("healed", &exporter.url("/?refresh=off")).await;
    assert_all_show(&pages, &["Login page reachable", "TLS: tls_unknown_issuer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_is_down_since_the_last_of_its_paths_failed() {
    let lab = Lab::start().await.expect("the lab starts");
    let config = lab
        .config()
        .replace("{name: sso,", "{name: sso, group: login,");
    // Nothing listens on port 1: this path has been dead from the start.
    let config = format!(
        "maintenance: [{{from: \"2020-01-01T00:00Z\", to: \"2999-01-01T00:00Z\", reference: CHG-77}}]\n\
         {config}  - {{name: sso-line, url: \"https://127.0.0.1:1/\", group: login, module: lab_page}}\n"
    );
    let config = ConfigFile::new(&with_limits(&config, "interval: 10s, timeout: 5s"));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.line_with("target_name=sso-line").await;
    wait_for_all_targets(&exporter, 2).await;
    let url = exporter.url("/?refresh=off");
    let pages = inspect("one-path", &url).await;
    assert_eq!(pages[0].title, "PARTLY · CCASS login");
    let parts = [
        "Login page reachable; one path is down: sso-line",
        "sso-line failing since",
        "The login page can be reached: the fault is on the failing path.",
        "Announced maintenance CHG-77",
    ];
    assert_all_show(&pages, &parts);
    let dead_since = instant(&pages[0], "sso-line failing since ");

    lab.provoke(scenario("http-503").expect("a scenario"));
    exporter.line_with("reason=http_status").await;
    let pages = inspect("no-path", &url).await;
    assert_eq!(pages[0].title, "DOWN · CCASS login");
    let since = instant(&pages[0], "Failing since ");
    assert!(since > dead_since, "{since} is not after {dead_since}");
    assert_all_show(
        &pages,
        &["Last success", "answered 503 Service Unavailable"],
    );
    let wall = inspect("wall", &exporter.url("/?refresh=off&view=wall")).await;
    assert_all_show(
        &wall,
        &[
            "Login page NOT reachable",
            "Contact: CCASS Hotline",
            "since today",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn login_stays_down_while_its_server_asks_for_no_probes() {
    let lab = Lab::start().await.expect("the lab starts");
    // 503 with Retry-After: 120.
    lab.provoke(scenario("http-503").expect("a scenario"));
    let config = with_limits(&lab.config(), "interval: 10s, timeout: 10s");
    let config = ConfigFile::new(&config);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let metrics = exporter.metrics().await;
    let started = metrics.value("probe_last_run_timestamp_seconds{target=\"sso\"}");
    // Three intervals and the timeout after it, another result would be stale.
    let stale = started.expect("it was probed") + 41.0;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is set");
    sleep(Duration::from_secs_f64(stale).saturating_sub(now)).await;
    let (_, page) = exporter.get("/").await;
    assert!(page.contains("<title>DOWN"), "{page}");
    assert_eq!(exporter.terminate().await, Some(0));
}

/// The timestamp in the line with this prefix, without the age that follows it.
fn instant(page: &Page, prefix: &str) -> String {
    let line = page.text.lines().find_map(|line| line.strip_prefix(prefix));
    let line =
        line.unwrap_or_else(|| panic!("no {prefix:?}; the page begins with\n{}", beginning(page)));
    line.split(',').next().expect("a timestamp").to_owned()
}

/// Starts a site with the scenario, and asserts that its page contains `parts`.
async fn assert_failing_page(name: &str, parts: &[&str]) {
    let lab = Lab::start().await.expect("the lab starts");
    let fault = scenario(name).unwrap_or_else(|| panic!("no scenario {name}"));
    lab.provoke(fault);
    // A single probe: the page does not change while the browser starts.
    let config = with_limits(&lab.config_for(fault), "interval: 1h, timeout: 10s");
    let config = ConfigFile::new(&format!("{TOP}{config}"));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let pages = inspect(name, &exporter.url("/?refresh=off")).await;
    assert_all_show(&pages, &["Login page NOT reachable"]);
    assert_all_show(&pages, parts);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_a_dns_failure_shows_reason_and_contact() {
    let parts = [
        "sso failed at DNS: The resolver udp://",
        "dns_nxdomain",
        "your DNS team",
    ];
    assert_failing_page("dns-nxdomain", &parts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_a_tcp_failure_shows_reason_and_contact() {
    let contact = "your firewall team (network security, ext. 4410)";
    let parts = [
        "sso failed at TCP: 127.0.0.1:",
        "refused the connection from 127.0.0.1",
        contact,
    ];
    assert_failing_page("tcp-refused", &parts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_a_proxy_failure_shows_reason_and_contact() {
    let parts = [
        "sso failed at proxy: The web proxy",
        "proxy_denied",
        "your web-proxy team",
    ];
    assert_failing_page("proxy-denied", &parts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_an_http_failure_shows_reason_and_contact() {
    let parts = [
        "sso failed at HTTP: The server at 127.0.0.1 answered 503 Service Unavailable",
        "CCASS Hotline 2979 7111",
        "the login server itself",
    ];
    assert_failing_page("http-503", &parts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_a_block_page_shows_reason_and_contact() {
    let parts = [
        "sso failed at page:",
        "page_block_page",
        "your security team",
    ];
    assert_failing_page("page-block", &parts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_before_the_first_result_shows_that_nothing_is_known() {
    let lab = Lab::start().await.expect("the lab starts");
    lab.provoke(scenario("http-timed-out").expect("a scenario"));
    // The server never answers, and the first probe waits for it longer than any browser takes.
    let config = with_limits(&lab.config(), "interval: 1h, timeout: 1h");
    let config = ConfigFile::new(&config);
    let exporter = Exporter::start(&[&config.argument()]).await;
    let pages = inspect("before", &exporter.url("/?refresh=off")).await;
    assert_all_show(&pages, &["Not probed yet", "The first probe starts within"]);
    assert!(
        !pages[0].text.contains("reachable"),
        "a verdict without a result:\n{}",
        beginning(&pages[0])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_two_hundred_targets_unfolds_only_the_failing_one() {
    const TARGETS: usize = 200;
    let lab = Lab::start().await.expect("the lab starts");
    let text = lab.config();
    let (top, _) = text.split_once("targets:\n").expect("targets");
    let mut text = format!("{top}targets:\n");
    for index in 0..TARGETS {
        let url = if index == 7 {
            "https://unknown.lab.test/".to_owned()
        } else {
            lab.url()
        };
        text += &format!("  - {{name: target-{index}, url: \"{url}\", module: lab_page}}\n");
    }
    // The first probes are spread over the interval. The timeout is never reached on a busy machine.
    let config = ConfigFile::new(&with_limits(&text, "interval: 20s, timeout: 20s"));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    assert_eq!(wait_for_all_targets(&exporter, TARGETS).await, 1, "failing");
    // One cycle is enough; more would only compete with the browser.
    std::fs::write(
        config.path(),
        with_limits(&text, "interval: 1h, timeout: 20s"),
    )
    .unwrap();
    signal(exporter.child.id().expect("it runs"), "HUP");
    exporter
        .line_with("message=\"configuration reloaded\"")
        .await;
    // A page of this size takes a browser several seconds, and has the parts of smaller ones.
    let url = exporter.url("/?refresh=off");
    let pages = inspect_views("many", &url, &[(NARROW, false)]).await;
    assert_all_show(
        &pages,
        &[
            "1 of 200 login pages NOT reachable",
            "target-7 failed at DNS:",
            "target-199",
        ],
    );
    let unfolded = |page: &Page| page.text.matches("Resolvers and addresses").count();
    assert_eq!(unfolded(&pages[0]), 1);
    let url = exporter.url("/?refresh=off&open=target-3");
    let pages = inspect_views("one-of-many", &url, &[(WIDE, false)]).await;
    assert_eq!(unfolded(&pages[0]), 2);
}

/// Waits until each of so many targets has a result; returns how many are failing.
async fn wait_for_all_targets(exporter: &Exporter, targets: usize) -> usize {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let metrics = exporter.metrics().await;
        let results = metrics.family("probe_success");
        if results.len() == targets {
            let failing = results.iter().filter(|(_, success)| *success == 0.0);
            return failing.count();
        }
        assert!(
            Instant::now() < deadline,
            "{} of {targets} targets were probed within {} s",
            results.len(),
            TIMEOUT.as_secs()
        );
        sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_expected_unreachable_do_not_affect_the_login_verdict() {
    let lab = Lab::start().await.expect("the lab starts");
    let open = lab.url();
    let config = ConfigFile::new(&format!(
        "{}  - {{name: must-be-closed, url: \"{open}\", module: lab_page, expect: unreachable}}\n\
         \x20 - {{name: is-closed, url: \"https://127.0.0.1:1/\", expect: unreachable}}\n",
        lab.config()
    ));
    let exporter = Exporter::start(&[&config.argument()]).await;
    wait_for_all_targets(&exporter, 3).await;
    let pages = inspect("closed", &exporter.url("/?refresh=off")).await;
    assert_all_show(
        &pages,
        &[
            "Login page reachable",
            "must-be-closed failed at TCP:",
            "tcp_unexpectedly_open",
            "closed as expected",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_names_with_markup_or_right_to_left_text_are_escaped() {
    let mut site = Site::start().await;
    let hostile = Authority::new("<img src=x onerror=alert(1)> \u{5e9}\u{5dc}\u{5d5}\u{5dd}");
    let mut leaf = Leaf::for_name(HOST);
    leaf.organisation = "</bdi><script>alert(1)</script> \u{202e}\u{645}\u{631}\u{62d}".to_owned();
    site.lab.login_server.set_identity(hostile.issue(&leaf));
    site.exporter.line_with("message=\"probe failed\"").await;
    let pages = inspect("hostile", &site.url()).await;
    assert_all_show(
        &pages,
        &[
            "<img src=x onerror=alert(1)> \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
            "</bdi><script>alert(1)</script>",
        ],
    );
    assert!(
        !pages[0].text.contains('\u{202e}'),
        "a directional override remains"
    );
}

#[tokio::test]
async fn page_refreshes_itself_unless_refresh_is_off() {
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
    let refresh: u64 = page.headers()["refresh"].to_str().unwrap().parse().unwrap();
    assert!(
        (5..=15).contains(&refresh),
        "soon after the next probe: {refresh}"
    );
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

#[tokio::test(flavor = "multi_thread")]
async fn page_keeps_its_scroll_position_when_it_refreshes() {
    #[derive(Deserialize)]
    struct Scrolled {
        scrolled: f64,
        before: f64,
        after: f64,
        #[serde(rename = "isNew")]
        is_new: bool,
    }
    let site = Site::start().await;
    let input = json!({"url": site.exporter.url("/")});
    let scrolled: Scrolled = harness::node::run("keep_scroll.mjs", &input).await;
    assert!(scrolled.is_new, "the page was not loaded again");
    assert!(scrolled.scrolled > 200.0, "{} px", scrolled.scrolled);
    let moved = (scrolled.after - scrolled.before).abs();
    assert!(
        moved < 2.0,
        "{} px, then {} px",
        scrolled.before,
        scrolled.after
    );
}

/// Takes screenshots for the README, light and dark, when documents are updated.
async fn take_screenshots(name: &str, url: &str) {
    for (scheme, dark) in [("light", false), ("dark", true)] {
        let file = repository(&format!("docs/{name}-{scheme}.png"));
        if updating() {
            let view = json!({"name": name, "url": url, "width": 1000, "height": 620, "dark": dark,
                              "screenshot": file});
            open_in_browser(&[view]).await;
        }
        assert!(file.exists(), "make pictures takes this screenshot");
    }
}
