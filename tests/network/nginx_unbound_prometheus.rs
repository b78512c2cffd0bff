//! The exporter with the programs that firms run: nginx serves the login page, unbound answers DNS
//! queries, Prometheus scrapes. It needs root.

use std::io::Write as _;
use std::time::{Duration, Instant};

use ccass_2fa_exporter::render::metrics::DEFINITIONS;
use ccass_2fa_lab::{Authority, Identity, Leaf};
use harness::exporter::{Metrics, binary};
use harness::namespace::{Namespace, TIMEOUT};

const RESOLVER: &str = "203.0.113.53";
const SECOND_RESOLVER: &str = "203.0.113.54";
const SILENT_RESOLVER: &str = "203.0.113.55";
const PAGE: &str = "<!doctype html><html><head><title>CCASS 2FA</title></head><body>\
                    <form method=post><input name=username><input name=password type=password>\
                    </form></body></html>";

/// A target, its module, and the reason it fails for; an empty reason stands for success.
struct Case {
    name: &'static str,
    url: &'static str,
    module: &'static str,
    reason: &'static str,
}

const fn case(
    name: &'static str,
    url: &'static str,
    module: &'static str,
    reason: &'static str,
) -> Case {
    Case {
        name,
        url,
        module,
        reason,
    }
}

impl Case {
    /// Whether the exporter exposes the expected success or failure.
    fn is_exposed(&self, metrics: &Metrics) -> bool {
        let Case { name, reason, .. } = self;
        let success = format!("probe_success{{role=\"login\",target=\"{name}\"}}");
        if reason.is_empty() {
            return metrics.value(&success) == Some(1.0);
        }
        let layer = reason.split('_').next().expect("a layer");
        let labels = format!("{{layer=\"{layer}\",reason=\"{reason}\",target=\"{name}\"}}");
        metrics.value(&success) == Some(0.0)
            && metrics.value(&format!("probe_failure_info{labels}")) == Some(1.0)
    }
}

const CASES: &[Case] = &[
    case("good", "https://sso.lab.test/sso", "page", ""),
    case(
        "two-resolvers",
        "https://sso.lab.test/sso",
        "two_resolvers",
        "",
    ),
    case(
        "silent-resolver",
        "https://sso.lab.test/sso",
        "silent_resolver",
        "",
    ),
    case("over-tls", "https://sso.lab.test/sso", "over_tls", ""),
    case("over-https", "https://sso.lab.test/sso", "over_https", ""),
    case(
        "over-tls-unknown-ca",
        "https://sso.lab.test/sso",
        "over_tls_unknown_ca",
        "dns_tls",
    ),
    case("one-address-dead", "https://pair.lab.test/sso", "page", ""),
    case(
        "resolvers-differ",
        "https://differs.lab.test/sso",
        "two_resolvers",
        "",
    ),
    case("pin-warns", "https://sso.lab.test/sso", "pinned", ""),
    case(
        "nxdomain",
        "https://gone.lab.test/sso",
        "page",
        "dns_nxdomain",
    ),
    case(
        "empty",
        "https://host.empty.test/sso",
        "page",
        "dns_no_data",
    ),
    case(
        "servfail",
        "https://host.servfail.example/sso",
        "page",
        "dns_servfail",
    ),
    case(
        "refused-query",
        "https://host.refused.test/sso",
        "page",
        "dns_refused",
    ),
    case(
        "silent-query",
        "https://host.silent.test/sso",
        "page",
        "dns_timed_out",
    ),
    case(
        "no-resolver",
        "https://sso.lab.test/sso",
        "closed_resolver",
        "dns_unreachable",
    ),
    case(
        "sinkhole",
        "https://sink.lab.test/sso",
        "page",
        "dns_sinkhole",
    ),
    case(
        "port-closed",
        "https://sso.lab.test:444/sso",
        "page",
        "tcp_refused",
    ),
    case(
        "plain-http",
        "https://sso.lab.test:80/sso",
        "page",
        "tls_not_tls",
    ),
    case(
        "expired",
        "https://expired.lab.test/sso",
        "page",
        "tls_expired",
    ),
    case(
        "not-yet-valid",
        "https://future.lab.test/sso",
        "page",
        "tls_not_yet_valid",
    ),
    case(
        "unknown-issuer",
        "https://unknown-ca.lab.test/sso",
        "page",
        "tls_unknown_issuer",
    ),
    case(
        "incomplete",
        "https://incomplete.lab.test/sso",
        "page",
        "tls_incomplete_chain",
    ),
    case(
        "wrong-name",
        "https://wrong.lab.test/sso",
        "page",
        "tls_name_mismatch",
    ),
    case("old-tls", "https://old.lab.test/sso", "page", "tls_version"),
    case(
        "pin-fails",
        "https://sso.lab.test/sso",
        "pinned_hard",
        "tls_pin_mismatch",
    ),
    // nginx resets the stream of HTTP/2 where it closes a connection of HTTP/1.1.
    case(
        "no-answer",
        "https://sso.lab.test/444",
        "page",
        "http_reset",
    ),
    case(
        "not-found",
        "https://sso.lab.test/404",
        "page",
        "http_status",
    ),
    case("error", "https://sso.lab.test/500", "page", "http_status"),
    case("paused", "https://sso.lab.test/busy", "page", "http_status"),
    case(
        "off-host",
        "https://sso.lab.test/off",
        "page",
        "http_redirect_off_host",
    ),
    case(
        "insecure",
        "https://sso.lab.test/insecure",
        "page",
        "http_redirect_insecure",
    ),
    case(
        "loop",
        "https://sso.lab.test/loop",
        "page",
        "http_redirect_loop",
    ),
    case(
        "too-large",
        "https://sso.lab.test/large",
        "page",
        "http_body_too_large",
    ),
    case(
        "bomb",
        "https://sso.lab.test/bomb",
        "page",
        "http_body_too_large",
    ),
    case(
        "endless",
        "https://sso.lab.test/endless",
        "page",
        "http_timed_out",
    ),
    case(
        "other-page",
        "https://sso.lab.test/other",
        "page",
        "page_mismatch",
    ),
    case(
        "block-page",
        "https://sso.lab.test/blocked",
        "page",
        "page_block_page",
    ),
    case(
        "empty-page",
        "https://sso.lab.test/empty",
        "page",
        "page_empty",
    ),
];

fn unbound(namespace: &Namespace, address: &str, differing: &str) -> String {
    let directory = namespace.directory.path().display();
    format!(
        "server:\n interface: {address}\n port: 53\n do-daemonize: no\n username: \"\"\n \
         interface: {address}@853\n interface: {address}@443\n tls-port: 853\n https-port: 443\n \
         tls-service-pem: \"{directory}/resolver/chain.pem\"\n \
         tls-service-key: \"{directory}/resolver/key.pem\"\n \
         chroot: \"\"\n directory: \"{directory}\"\n pidfile: \"\"\n use-syslog: no\n \
         access-control: 0.0.0.0/0 allow\n module-config: \"iterator\"\n \
         local-zone: \"lab.test.\" static\n \
         local-data: \"sso.lab.test. 300 IN A 203.0.113.10\"\n \
         local-data: \"pair.lab.test. 300 IN A 203.0.113.10\"\n \
         local-data: \"pair.lab.test. 300 IN A 203.0.113.99\"\n \
         local-data: \"differs.lab.test. 300 IN A {differing}\"\n \
         local-data: \"sink.lab.test. 300 IN A 0.0.0.0\"\n \
         local-data: \"expired.lab.test. 300 IN A 203.0.113.11\"\n \
         local-data: \"future.lab.test. 300 IN A 203.0.113.12\"\n \
         local-data: \"unknown-ca.lab.test. 300 IN A 203.0.113.13\"\n \
         local-data: \"incomplete.lab.test. 300 IN A 203.0.113.14\"\n \
         local-data: \"wrong.lab.test. 300 IN A 203.0.113.15\"\n \
         local-data: \"old.lab.test. 300 IN A 203.0.113.16\"\n \
         local-zone: \"hkexposttrade.com.hk.\" static\n \
         local-data: \"sso.hkexposttrade.com.hk. 300 IN A 203.0.113.17\"\n \
         local-zone: \"empty.test.\" always_nodata\n \
         local-zone: \"refused.test.\" always_refuse\n \
         local-zone: \"silent.test.\" deny\n\
         forward-zone:\n name: \"servfail.example.\"\n forward-addr: 192.0.2.1\n"
    )
}

fn server(
    address: &str,
    identity: &Identity,
    namespace: &Namespace,
    name: &str,
    directives: &str,
) -> String {
    let directory = namespace.path(name);
    std::fs::create_dir(&directory).expect("a new directory");
    let (certificate, key) = identity
        .write_pem(&directory)
        .expect("the directory is writable");
    format!(
        "server {{ listen {address}:443 ssl http2; ssl_certificate {}; ssl_certificate_key {}; \
         root {}; default_type text/html; {directives} }}\n",
        certificate.display(),
        key.display(),
        namespace.directory.path().display()
    )
}

fn nginx(namespace: &Namespace, authority: &Authority) -> String {
    namespace.write("sso", PAGE);
    namespace.write(
        "other",
        "<title>Scheduled maintenance</title>Come back later",
    );
    namespace.write("blocked", "<title>Web Page Blocked</title>policy_denied");
    namespace.write("empty", "");
    namespace.write("large", vec![b'x'; 3 << 20]);
    namespace.write("endless", vec![b'x'; 4096]);
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20])
        .expect("memory is writable");
    namespace.write("bomb", bomb.finish().expect("memory is writable"));

    let paths = "location = /404 { return 404; } location = /500 { return 500; } \
                 location = /busy { add_header Retry-After 30 always; return 503; } \
                 location = /444 { return 444; } location = /loop { return 302 /loop; } \
                 location = /off { return 302 https://elsewhere.lab.test/; } \
                 location = /insecure { return 302 http://sso.lab.test/sso; } \
                 location = /bomb { add_header Content-Encoding gzip; } \
                 location = /endless { limit_rate 1; }";
    let issue = |leaf: &Leaf| authority.issue(leaf);
    let mut servers = String::new();
    let good = issue(
        &Leaf::for_name("sso.lab.test")
            .also("pair.lab.test")
            .also("differs.lab.test"),
    );
    servers += &server("203.0.113.10", &good, namespace, "good", paths);
    let expired = issue(&Leaf::for_name("expired.lab.test").expired());
    servers += &server("203.0.113.11", &expired, namespace, "expired", "");
    let future = issue(&Leaf::for_name("future.lab.test").not_yet_valid());
    servers += &server("203.0.113.12", &future, namespace, "future", "");
    let unknown_ca = Authority::new("Example Unknown CA");
    let unknown_ca = unknown_ca.issue(&Leaf::for_name("unknown-ca.lab.test"));
    servers += &server("203.0.113.13", &unknown_ca, namespace, "unknown-ca", "");
    let incomplete = issue(&Leaf::for_name("incomplete.lab.test")).without_intermediate();
    servers += &server("203.0.113.14", &incomplete, namespace, "incomplete", "");
    let wrong = issue(&Leaf::for_name("other.lab.test"));
    servers += &server("203.0.113.15", &wrong, namespace, "wrong", "");
    let old = issue(&Leaf::for_name("old.lab.test"));
    let tls10 = "ssl_protocols TLSv1; ssl_ciphers ALL:@SECLEVEL=0;";
    servers += &server("203.0.113.16", &old, namespace, "old", tls10);
    let hkex = issue(&Leaf::for_name("sso.hkexposttrade.com.hk"));
    servers += &server("203.0.113.17", &hkex, namespace, "hkex", "");
    let directory = namespace.directory.path().display();
    format!(
        "daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log stderr; user root;\n\
         events {{}}\nhttp {{ access_log off; client_body_temp_path {directory}/body;\n\
         proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;\n\
         uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;\n\
         server {{ listen 203.0.113.10:80; return 200; }}\n{servers}}}\n"
    )
}

/// A namespace in which unbound and nginx run; `ca.pem` contains the root of the lab's CA.
async fn start_servers() -> Namespace {
    let addresses: Vec<String> = (10..18)
        .chain(53..56)
        .map(|last| format!("203.0.113.{last}"))
        .collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut namespace = Namespace::new(&addresses, &[RESOLVER]).await;
    let authority = Authority::new("CCASS Lab");
    namespace.write("ca.pem", authority.root_pem());
    let resolver = authority.issue(&Leaf::for_name("dns.lab.test"));
    let resolver_directory = namespace.path("resolver");
    std::fs::create_dir(&resolver_directory).expect("a new directory");
    let _paths = resolver
        .write_pem(&resolver_directory)
        .expect("the directory is writable");
    for (name, address, differing) in [
        ("unbound", RESOLVER, "203.0.113.10"),
        ("unbound-other", SECOND_RESOLVER, "203.0.113.11"),
    ] {
        let config = namespace.write(
            &format!("{name}.conf"),
            unbound(&namespace, address, differing),
        );
        namespace.spawn(
            name,
            "unbound",
            &["-d", "-c", &config.display().to_string()],
        );
    }
    let config = namespace.write("nginx.conf", nginx(&namespace, &authority));
    let prefix = namespace.directory.path().display().to_string();
    namespace.spawn(
        "nginx",
        "nginx",
        &["-p", &prefix, "-c", &config.display().to_string()],
    );
    // A resolver that accepts queries and never answers.
    let silent = format!(
        "import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); \
         s.bind(('{SILENT_RESOLVER}',53)); print('bound',flush=True); time.sleep(3600)"
    );
    namespace.spawn("silent", "python3", &["-c", &silent]);
    namespace.wait_for_port("unbound", RESOLVER, 53).await;
    namespace
        .wait_for_port("unbound-other", SECOND_RESOLVER, 53)
        .await;
    namespace.wait_for_port("nginx", "203.0.113.10", 443).await;
    namespace.wait_for_log("silent", "bound").await;
    namespace
}

fn config() -> String {
    let page =
        "page: {title: \"CCASS 2FA\", contains: [username], form_fields: [username, password]}";
    let tls = "roots: [ca_file], ca_file: ca.pem";
    let pin = "pins: [\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]";
    let resolver_module = |resolver: &str| {
        format!("resolvers: [\"{resolver}\"], route: \"{resolver}\", tls: {{{tls}}}, {page}")
    };
    let over_tls = resolver_module(&format!("tls://dns.lab.test@{RESOLVER}"));
    let over_https = resolver_module(&format!("https://dns.lab.test@{RESOLVER}/dns-query"));
    let over_tls_unknown_ca = resolver_module(&format!("tls://{RESOLVER}"));
    let mut text = format!(
        "expected_sites: 3\ndata_directory: data\nreadiness: {{file: accounts.csv}}\n\
         probe: {{interval: 10s, timeout: 9s}}\nmodules:\n\
         \x20 page: {{tls: {{{tls}}}, expected_addresses: [203.0.113.0/24], {page}}}\n\
         \x20 two_resolvers: {{resolvers: [{SECOND_RESOLVER}], tls: {{{tls}}}, {page}}}\n\
         \x20 silent_resolver: {{resolvers: [{SILENT_RESOLVER}], tls: {{{tls}}}, {page}}}\n\
         \x20 closed_resolver: {{route: 203.0.113.10, tls: {{{tls}}}, {page}}}\n\
         \x20 pinned: {{tls: {{{tls}, {pin}}}, {page}}}\n\
         \x20 pinned_hard: {{tls: {{{tls}, {pin}, on_pin_mismatch: fail}}, {page}}}\n\
         \x20 over_tls: {{{over_tls}}}\n\
         \x20 over_https: {{{over_https}}}\n\
         \x20 over_tls_unknown_ca: {{{over_tls_unknown_ca}}}\n\
         targets:\n"
    );
    for Case {
        name, url, module, ..
    } in CASES
    {
        let group = if name.starts_with("over-") {
            ", group: encrypted"
        } else {
            ""
        };
        text += &format!("  - {{name: {name}, url: \"{url}\", module: {module}{group}}}\n");
    }
    text
}

/// A state file in which the certificate of `unknown-issuer` was issued by the lab's CA when the
/// target last succeeded.
const STATE: &str = r#"{"schema": 1, "targets": {"unknown-issuer": {
    "url": "https://unknown-ca.lab.test/sso",
    "last_good": {"at": "2026-11-20T00:05:00Z", "issuer": "CN=CCASS Lab"},
    "transitions": [], "failures": []}}}"#;

/// Waits until the exporter inside is ready: every target has been probed once.
async fn wait_until_ready(namespace: &Namespace) {
    let ready = "curl -sf http://127.0.0.1:10762/-/ready";
    namespace.wait_until(ready, "exporter").await;
}

/// The exit code and the reports of `verify`.
async fn verify(
    namespace: &Namespace,
    flag: &str,
    target: Option<&str>,
) -> (i32, Vec<serde_json::Value>) {
    let mut arguments = vec![flag, "verify", "--format=json"];
    arguments.extend(target);
    let (code, text) = namespace.run(binary(), &arguments).await;
    let mut document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let reports = document["reports"].as_array_mut();
    (code, std::mem::take(reports.expect("a list of reports")))
}

fn reason_of(report: &serde_json::Value) -> String {
    report["verdict"]["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn metrics_verify_and_prometheus_distinguish_the_faults_of_real_servers() {
    let mut namespace = start_servers().await;
    std::fs::create_dir(namespace.path("data")).expect("a new directory");
    namespace.write("data/state.json", STATE);
    namespace.write("accounts.csv", "kind,email\nuser,confirmed\n");
    let path = namespace.write("ccass.yml", config());
    let flag = format!("--config.file={}", path.display());

    namespace.spawn("exporter", binary(), &[&flag]);
    let (code, reports) = verify(&namespace, &flag, None).await;
    assert_eq!(code, 1, "exit code of verify");
    assert_eq!(reports.len(), CASES.len());
    for (case, report) in CASES.iter().zip(&reports) {
        let mut reason = reason_of(report);
        if reason != case.reason {
            // On a busy machine the probes of all targets at once may be too slow.
            let (_, reports) = verify(&namespace, &flag, Some(case.name)).await;
            reason = reason_of(&reports[0]);
        }
        assert_eq!(reason, case.reason, "{}", case.name);
    }

    wait_until_ready(&namespace).await;
    let start = Instant::now();
    let metrics = loop {
        let metrics = Metrics::parse(&namespace.get("http://127.0.0.1:10762/metrics").await);
        let Some(unexpected) = CASES.iter().find(|case| !case.is_exposed(&metrics)) else {
            break metrics;
        };
        assert!(
            start.elapsed() < TIMEOUT,
            "{} has not the reason {:?} within {TIMEOUT:?}, but {:?}",
            unexpected.name,
            unexpected.reason,
            metrics.family("probe_failure_info")
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    findings_are_exposed(&metrics);
    failed_probes_expose_certificates_and_dns_answers(&metrics);
    every_documented_metric_is_exposed(&metrics);
    promtool_accepts_all_metrics_but_business_days(&namespace).await;
    prometheus_scrapes_every_target(&mut namespace).await;
}

fn findings_are_exposed(metrics: &Metrics) {
    let finding = |target: &str, finding: &str| {
        metrics.value(&format!(
            "finding_info{{finding=\"{finding}\",target=\"{target}\"}}"
        ))
    };
    assert_eq!(finding("one-address-dead", "address_failed"), Some(1.0));
    metrics.expect(
        "tcp_connect_success{address=\"203.0.113.10\",target=\"one-address-dead\"}",
        1.0,
    );
    metrics.expect(
        "tcp_connect_success{address=\"203.0.113.99\",target=\"one-address-dead\"}",
        0.0,
    );
    assert_eq!(finding("resolvers-differ", "resolvers_disagree"), Some(1.0));
    metrics.expect("dns_resolvers_agree{target=\"resolvers-differ\"}", 0.0);
    metrics.expect("dns_resolvers_agree{target=\"two-resolvers\"}", 1.0);
    assert_eq!(finding("silent-resolver", "resolver_failed"), Some(1.0));
    assert_eq!(finding("pin-warns", "pin_mismatch"), Some(1.0));
    metrics.expect("tls_pin_matched{target=\"pin-warns\"}", 0.0);
    assert_eq!(finding("good", "address_failed"), None);
    for (target, resolver) in [
        ("over-tls", "tls://dns.lab.test@203.0.113.53:853"),
        (
            "over-https",
            "https://dns.lab.test@203.0.113.53:443/dns-query",
        ),
    ] {
        let labels = format!("{{record=\"A\",resolver=\"{resolver}\",target=\"{target}\"}}");
        metrics.expect(&format!("dns_lookup_success{labels}"), 1.0);
        metrics.expect(&format!("dns_answers{labels}"), 1.0);
        let whole = metrics.value(&format!("dns_lookup_duration_seconds{labels}"));
        let session = metrics.value(&format!("dns_session_duration_seconds{labels}"));
        assert!(
            session > Some(0.0) && session < whole,
            "{session:?} {whole:?}"
        );
    }
}

fn failed_probes_expose_certificates_and_dns_answers(metrics: &Metrics) {
    for target in [
        "expired",
        "unknown-issuer",
        "wrong-name",
        "pin-fails",
        "not-found",
    ] {
        let label = format!("target=\"{target}\"");
        let dates = metrics.family("tls_cert_not_after_timestamp_seconds");
        assert!(
            dates.iter().any(|(series, _)| series.contains(&label)),
            "{target} has no expiry date of its certificate"
        );
    }
    let expired = metrics
        .value(
            "tls_cert_not_after_timestamp_seconds{host=\"expired.lab.test\",position=\"0\",\
             target=\"expired\"}",
        )
        .unwrap();
    let now = metrics.value("exporter_time_seconds").unwrap();
    assert!(expired < now && expired > now - 30.0 * 86_400.0);
    metrics.expect(
        "dns_answer_expected{resolver=\"udp://203.0.113.53:53\",target=\"port-closed\"}",
        1.0,
    );
}

fn every_documented_metric_is_exposed(metrics: &Metrics) {
    for definition in DEFINITIONS {
        let name = definition.full_name;
        // Exported only while one of several addresses fails: tests/serve/addresses.rs; and only with a
        // browser: tests/browser/service.rs.
        if name == "ccass2fa_address_probe_success" || name.starts_with("ccass2fa_browser_") {
            continue;
        }
        assert!(
            metrics.text.contains(&format!("# TYPE {name} ")),
            "{name} is missing"
        );
    }
}

/// PromQL cannot convert seconds to business days: docs/adr/0001-business-days.md.
async fn promtool_accepts_all_metrics_but_business_days(namespace: &Namespace) {
    let script = "curl -s http://127.0.0.1:10762/metrics | promtool check metrics 2>&1";
    let (_, text) = namespace.run("bash", &["-c", script]).await;
    let warnings: Vec<_> = text.lines().collect();
    let days = "use base unit \"seconds\" instead of \"days\"";
    assert_eq!(
        warnings,
        [
            format!("ccass2fa_deadline_business_days_left {days}"),
            format!("ccass2fa_event_business_days_left {days}"),
        ]
    );
}

async fn prometheus_scrapes_every_target(namespace: &mut Namespace) {
    let config = namespace.write(
        "prometheus.yml",
        "global: {scrape_interval: 5s}\nscrape_configs:\n\
         - {job_name: ccass2fa, static_configs: [{targets: ['127.0.0.1:10762']}]}\n",
    );
    let data = namespace.path("prometheus-data");
    namespace.spawn(
        "prometheus",
        "prometheus",
        &[
            &format!("--config.file={}", config.display()),
            &format!("--storage.tsdb.path={}", data.display()),
            "--web.listen-address=127.0.0.1:9090",
        ],
    );
    namespace
        .wait_for_port("prometheus", "127.0.0.1", 9090)
        .await;
    let count = CASES.len();
    let query =
        format!("count(ccass2fa_probe_success) == {count} and on() up{{job=\"ccass2fa\"}} == 1");
    let counted = format!(
        "curl -s --get --data-urlencode 'query={query}' \
         http://127.0.0.1:9090/api/v1/query | grep -q '\"{count}\"'"
    );
    namespace.wait_until(&counted, "prometheus").await;
}

#[tokio::test]
async fn built_in_target_uses_the_system_resolver_and_roots() {
    let mut namespace = start_servers().await;
    // This host trusts the lab's CA, which is not one of the public web.
    let roots = format!("SSL_CERT_FILE={}", namespace.path("ca.pem").display());
    namespace.spawn("exporter", "env", &["-u", "SSL_CERT_DIR", &roots, binary()]);
    wait_until_ready(&namespace).await;
    let metrics = Metrics::parse(&namespace.get("http://127.0.0.1:10762/metrics").await);
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 1.0);
    metrics.expect("http_status_code{target=\"sso\"}", 200.0);
    metrics.expect("tls_trusted{roots=\"platform\",target=\"sso\"}", 1.0);
    metrics.expect("tls_trusted{roots=\"public_web\",target=\"sso\"}", 0.0);
    metrics.expect("tls_intercepted{target=\"sso\"}", 1.0);
    metrics.expect("finding_info{finding=\"intercepted\",target=\"sso\"}", 1.0);
    // No page check is configured, so the layer has no series.
    assert_eq!(
        metrics.value("probe_layer_success{layer=\"page\",target=\"sso\"}"),
        None
    );
    metrics.expect("probe_layer_success{layer=\"http\",target=\"sso\"}", 1.0);
}
