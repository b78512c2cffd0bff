//! `/probe` compared with the newest blackbox_exporter of Debian: the same series with the same values,
//! except for the differences that docs/blackbox.md lists. `make documents` writes that list. It
//! needs root.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ccass_2fa_exporter::render::metrics::BLACKBOX;
use ccass_2fa_lab::{Alpn, Authority, Identity, LOGIN_PATH, Leaf, LoginServer};
use harness::documents;
use harness::exporter::{ConfigFile, Exporter, probe};
use harness::namespace::TIMEOUT;
use harness::prometheus::{PROMETHEUS, Prometheus, newest};
use harness::scripted_server::{Behavior, Server};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::process::{Child, Command};
use tokio_util::task::AbortOnDropHandle;

const DOCUMENT: &str = "docs/blackbox.md";
const BEGIN: &str = "<!-- differences -->\n";
const END: &str = "<!-- end of differences -->\n";
/// A scrape timeout that no probe reaches that ends by itself.
const LONG_TIMEOUT: &str = "60";
/// Less half a second, which both exporters reserve, this is the timeout of a probe that is never
/// answered.
const SHORT_TIMEOUT: &str = "2.5";

/// The same module in the configuration of both exporters: the keys below `http:` of
/// blackbox_exporter, and the exporter's own keys.
struct Module {
    name: &'static str,
    blackbox: &'static str,
    exporter: &'static str,
}

const MODULES: &[Module] = &[
    module("ok", "", ""),
    module(
        "valid_200",
        "valid_status_codes: [200]",
        "http: {valid_status: [200]}",
    ),
    module(
        "valid_404",
        "valid_status_codes: [404]",
        "http: {valid_status: [404]}",
    ),
    module(
        "no_redirects",
        "follow_redirects: false\nvalid_status_codes: [302]",
        "http: {redirects: none, valid_status: [302]}",
    ),
    module(
        "allowed_host",
        "",
        "http: {allowed_hosts: [localhost], valid_status: [200]}",
    ),
    module(
        "small_body",
        "body_size_limit: 1024B",
        "http: {max_body: 1024B, valid_status: [200]}",
    ),
    module(
        "body_matches",
        "fail_if_body_not_matches_regexp: ['Wel.ome']",
        "page: {matches: ['Wel.ome']}",
    ),
    module(
        "body_does_not_match",
        "fail_if_body_not_matches_regexp: ['Goodbye']",
        "page: {matches: ['Goodbye']}",
    ),
    module(
        "body_is_forbidden",
        "fail_if_body_matches_regexp: ['Welcome']",
        "page: {not_contains: ['Welcome']}",
    ),
    module(
        "v4",
        "preferred_ip_protocol: ip4\nip_protocol_fallback: false",
        "ip_family: 4",
    ),
    module(
        "v6",
        "preferred_ip_protocol: ip6\nip_protocol_fallback: false",
        "ip_family: 6",
    ),
    module(
        "gzip",
        "compression: gzip\nheaders: {Accept-Encoding: gzip}",
        "",
    ),
    module(
        "tls13",
        "tls_config: {ca_file: ca.pem, min_version: TLS13}",
        "tls: {ca_file: ca.pem, min_version: \"1.3\"}",
    ),
    module("system_roots", "tls_config: {}", "tls: {roots: [platform]}"),
    module(
        "not_verified",
        "tls_config: {ca_file: ca.pem, insecure_skip_verify: true}",
        "",
    ),
    module("short_timeout", "", ""),
];

const fn module(name: &'static str, blackbox: &'static str, exporter: &'static str) -> Module {
    Module {
        name,
        blackbox,
        exporter,
    }
}

/// The server that a scenario probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Endpoint {
    Tls,
    TlsV6,
    /// By a name with an IPv4 and an IPv6 address.
    TlsByName,
    Http2,
    Plain,
    Tls12,
    Tls13,
    Rsa,
    ExpiresSoon,
    Expired,
    NotYetValid,
    SelfSigned,
    UnknownCa,
    OtherName,
    Incomplete,
    Reset,
    Silent,
    Refused,
    PlainOnTls,
    NoSuchName,
}

/// One call of `/probe`, made to both exporters.
struct Scenario {
    name: &'static str,
    endpoint: Endpoint,
    path: &'static str,
    module: &'static str,
    /// The value of the header `X-Prometheus-Scrape-Timeout-Seconds`.
    timeout: Option<&'static str>,
}

const fn scenario(
    name: &'static str,
    endpoint: Endpoint,
    path: &'static str,
    module: &'static str,
) -> Scenario {
    Scenario {
        name,
        endpoint,
        path,
        module,
        timeout: Some(LONG_TIMEOUT),
    }
}

const fn with_timeout(timeout: Option<&'static str>, scenario: Scenario) -> Scenario {
    Scenario {
        timeout,
        ..scenario
    }
}

const SCENARIOS: &[Scenario] = &[
    scenario("page", Endpoint::Tls, "/page", "ok"),
    scenario("200", Endpoint::Tls, "/status/200", "ok"),
    scenario("201", Endpoint::Tls, "/status/201", "ok"),
    scenario("204", Endpoint::Tls, "/status/204", "ok"),
    scenario("304", Endpoint::Tls, "/status/304", "ok"),
    scenario("400", Endpoint::Tls, "/status/400", "ok"),
    scenario("401", Endpoint::Tls, "/status/401", "ok"),
    scenario("403", Endpoint::Tls, "/status/403", "ok"),
    scenario("404", Endpoint::Tls, "/status/404", "ok"),
    scenario("418", Endpoint::Tls, "/status/418", "ok"),
    scenario("429", Endpoint::Tls, "/status/429", "ok"),
    scenario("500", Endpoint::Tls, "/status/500", "ok"),
    scenario("502", Endpoint::Tls, "/status/502", "ok"),
    scenario("503", Endpoint::Tls, "/status/503", "ok"),
    scenario(
        "404 is a valid status",
        Endpoint::Tls,
        "/status/404",
        "valid_404",
    ),
    scenario(
        "201 is not a valid status",
        Endpoint::Tls,
        "/status/201",
        "valid_200",
    ),
    scenario("HTTP/1.0", Endpoint::Tls, "/http10", "ok"),
    scenario("HTTP/2", Endpoint::Http2, LOGIN_PATH, "ok"),
    scenario("plain HTTP", Endpoint::Plain, "/page", "ok"),
    scenario("plain HTTP, 404", Endpoint::Plain, "/status/404", "ok"),
    scenario("plain HTTP, redirect", Endpoint::Plain, "/relative", "ok"),
    scenario("plain HTTP, chunked", Endpoint::Plain, "/chunked", "ok"),
    scenario("redirect, relative", Endpoint::Tls, "/relative", "ok"),
    scenario("redirect, absolute", Endpoint::Tls, "/absolute", "ok"),
    scenario("redirect with a query", Endpoint::Tls, "/query", "ok"),
    scenario("redirect 301", Endpoint::Tls, "/moved/301", "ok"),
    scenario("redirect 303", Endpoint::Tls, "/moved/303", "ok"),
    scenario("redirect 307", Endpoint::Tls, "/moved/307", "ok"),
    scenario("redirect 308", Endpoint::Tls, "/moved/308", "ok"),
    scenario("redirects, three", Endpoint::Tls, "/hops/3", "ok"),
    scenario("redirects, eight", Endpoint::Tls, "/hops/8", "ok"),
    scenario("redirects, twenty", Endpoint::Tls, "/hops/20", "ok"),
    scenario("redirect to itself", Endpoint::Tls, "/loop", "ok"),
    scenario("redirect to another host", Endpoint::Tls, "/off-host", "ok"),
    scenario(
        "redirect to an allowed host",
        Endpoint::Tls,
        "/off-host",
        "allowed_host",
    ),
    scenario("redirect to plain HTTP", Endpoint::Tls, "/to-plain", "ok"),
    scenario(
        "redirect without a location",
        Endpoint::Tls,
        "/nowhere",
        "ok",
    ),
    scenario(
        "redirects not followed",
        Endpoint::Tls,
        "/relative",
        "no_redirects",
    ),
    scenario(
        "redirect that sets a cookie",
        Endpoint::Tls,
        "/sets-cookie",
        "ok",
    ),
    scenario("gzip", Endpoint::Tls, "/gzip", "gzip"),
    scenario("gzip, not configured", Endpoint::Tls, "/gzip", "ok"),
    scenario("chunked", Endpoint::Tls, "/chunked", "ok"),
    scenario("empty body", Endpoint::Tls, "/empty", "ok"),
    scenario(
        "body until the connection closes",
        Endpoint::Tls,
        "/until-close",
        "ok",
    ),
    scenario("large body", Endpoint::Tls, "/large", "ok"),
    scenario(
        "body beyond the limit",
        Endpoint::Tls,
        "/large",
        "small_body",
    ),
    scenario("truncated body", Endpoint::Tls, "/short", "ok"),
    scenario("last modified", Endpoint::Tls, "/modified", "ok"),
    scenario(
        "last modified, invalid date",
        Endpoint::Tls,
        "/modified-never",
        "ok",
    ),
    scenario("pattern matches", Endpoint::Tls, "/page", "body_matches"),
    scenario(
        "pattern does not match",
        Endpoint::Tls,
        "/page",
        "body_does_not_match",
    ),
    scenario(
        "forbidden pattern matches",
        Endpoint::Tls,
        "/page",
        "body_is_forbidden",
    ),
    scenario(
        "pattern with a bad status",
        Endpoint::Tls,
        "/status/500",
        "body_matches",
    ),
    scenario("TLS 1.2", Endpoint::Tls12, "/page", "ok"),
    scenario("TLS 1.3", Endpoint::Tls13, "/page", "ok"),
    scenario(
        "TLS 1.2 where 1.3 is required",
        Endpoint::Tls12,
        "/page",
        "tls13",
    ),
    scenario("RSA key", Endpoint::Rsa, "/page", "ok"),
    scenario(
        "certificate that expires soon",
        Endpoint::ExpiresSoon,
        "/page",
        "ok",
    ),
    scenario("expired certificate", Endpoint::Expired, "/page", "ok"),
    scenario(
        "certificate not yet valid",
        Endpoint::NotYetValid,
        "/page",
        "ok",
    ),
    scenario(
        "self-signed certificate",
        Endpoint::SelfSigned,
        "/page",
        "ok",
    ),
    scenario("unknown CA", Endpoint::UnknownCa, "/page", "ok"),
    scenario(
        "CA not among the system roots",
        Endpoint::Tls,
        "/page",
        "system_roots",
    ),
    scenario(
        "certificate for another name",
        Endpoint::OtherName,
        "/page",
        "ok",
    ),
    scenario(
        "intermediate certificate missing",
        Endpoint::Incomplete,
        "/page",
        "ok",
    ),
    scenario(
        "expired certificate, not verified",
        Endpoint::Expired,
        "/page",
        "not_verified",
    ),
    // The server waits for the end of a request.
    with_timeout(
        Some(SHORT_TIMEOUT),
        scenario(
            "plain HTTP where TLS is expected",
            Endpoint::PlainOnTls,
            "/page",
            "ok",
        ),
    ),
    scenario("IPv6", Endpoint::TlsV6, "/page", "ok"),
    scenario(
        "name with IPv4 and IPv6",
        Endpoint::TlsByName,
        "/page",
        "ok",
    ),
    scenario("name, IPv4 only", Endpoint::TlsByName, "/page", "v4"),
    scenario("name, IPv6 only", Endpoint::TlsByName, "/page", "v6"),
    scenario("IPv4 address, IPv6 only", Endpoint::Tls, "/page", "v6"),
    scenario("nonexistent name", Endpoint::NoSuchName, "/page", "ok"),
    scenario("connection refused", Endpoint::Refused, "/page", "ok"),
    scenario("connection reset", Endpoint::Reset, "/page", "ok"),
    with_timeout(
        Some(SHORT_TIMEOUT),
        scenario("no TLS handshake", Endpoint::Silent, "/page", "ok"),
    ),
    scenario(
        "closed without a response",
        Endpoint::Tls,
        "/no-answer",
        "ok",
    ),
    scenario("response is not HTTP", Endpoint::Tls, "/garbage", "ok"),
    scenario("slow response", Endpoint::Tls, "/slow-head", "ok"),
    scenario("slow body", Endpoint::Tls, "/slow-body", "ok"),
    with_timeout(
        Some(SHORT_TIMEOUT),
        scenario("no response", Endpoint::Tls, "/never", "ok"),
    ),
    with_timeout(
        Some(SHORT_TIMEOUT),
        scenario("body never ends", Endpoint::Tls, "/never-body", "ok"),
    ),
    scenario(
        "module timeout is shorter",
        Endpoint::Tls,
        "/never",
        "short_timeout",
    ),
    with_timeout(
        None,
        scenario("no scrape timeout", Endpoint::Tls, "/page", "ok"),
    ),
    with_timeout(
        Some(""),
        scenario("empty scrape timeout", Endpoint::Tls, "/page", "ok"),
    ),
    with_timeout(
        Some("0"),
        scenario("scrape timeout of 0", Endpoint::Tls, "/page", "ok"),
    ),
    with_timeout(
        Some("90"),
        scenario("long scrape timeout", Endpoint::Tls, "/page", "ok"),
    ),
    with_timeout(
        None,
        scenario(
            "no scrape timeout, module timeout",
            Endpoint::Tls,
            "/page",
            "short_timeout",
        ),
    ),
];

/// The servers that both exporters probe, on the machine's loopback interface.
struct Servers {
    _scripted: Vec<Server>,
    _http2: LoginServer,
    /// Bound and not listening, so that connections are refused.
    _closed: TcpSocket,
    resolver: NxdomainResolver,
    urls: BTreeMap<Endpoint, String>,
    authority: Authority,
}

impl Servers {
    async fn start() -> Self {
        let authority = Authority::new("Side by Side");
        let leaf = || Leaf::for_name("localhost").also("127.0.0.1").also("::1");
        let good = authority.issue(&leaf());
        let tls = |identity: &Identity| Behavior::tls(identity, &[&TLS13, &TLS12]);
        let day = Duration::from_secs(86_400);
        let [v4, v6] = Server::start_dual_stack(tls(&good)).await;
        let port = v4.address.port();
        let mut urls = BTreeMap::from([
            (Endpoint::Tls, format!("https://127.0.0.1:{port}")),
            (Endpoint::TlsV6, format!("https://[::1]:{port}")),
            (Endpoint::TlsByName, format!("https://localhost:{port}")),
        ]);
        let mut scripted = vec![v4, v6];
        let unknown_ca = Authority::new("Unknown CA");
        let other_name = Leaf::for_name("other.test");
        for (endpoint, behavior) in [
            (Endpoint::Tls12, Behavior::tls(&good, &[&TLS12])),
            (Endpoint::Tls13, Behavior::tls(&good, &[&TLS13])),
            (Endpoint::Rsa, tls(&authority.issue(&leaf().rsa()))),
            (
                Endpoint::ExpiresSoon,
                tls(&authority.issue(&leaf().ending_in(2 * day))),
            ),
            (Endpoint::Expired, tls(&authority.issue(&leaf().expired()))),
            (
                Endpoint::NotYetValid,
                tls(&authority.issue(&leaf().not_yet_valid())),
            ),
            (Endpoint::SelfSigned, tls(&Identity::self_signed(&leaf()))),
            (Endpoint::UnknownCa, tls(&unknown_ca.issue(&leaf()))),
            (Endpoint::OtherName, tls(&authority.issue(&other_name))),
            (
                Endpoint::Incomplete,
                tls(&authority.issue(&leaf()).without_intermediate()),
            ),
            (Endpoint::Reset, Behavior::Reset),
            (Endpoint::Silent, Behavior::Silent),
        ] {
            let server = Server::start(behavior).await;
            urls.insert(endpoint, format!("https://{}", server.address));
            scripted.push(server);
        }
        let plain = Server::start(Behavior::Plain).await;
        urls.insert(Endpoint::Plain, format!("http://{}", plain.address));
        urls.insert(Endpoint::PlainOnTls, format!("https://{}", plain.address));
        scripted.push(plain);
        let http2 = LoginServer::start(good).await.expect("a login server");
        http2.set_alpn(Alpn::Both);
        urls.insert(Endpoint::Http2, format!("https://{}", http2.addr()));
        let closed = TcpSocket::new_v4().expect("a socket");
        closed
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("a free port");
        let address = closed.local_addr().expect("a bound socket");
        urls.insert(Endpoint::Refused, format!("https://{address}"));
        urls.insert(
            Endpoint::NoSuchName,
            "https://no-such-name.invalid".to_owned(),
        );
        Self {
            _scripted: scripted,
            _http2: http2,
            _closed: closed,
            resolver: NxdomainResolver::start().await,
            urls,
            authority,
        }
    }

    /// A directory with the CA, a `hosts` file and a `resolv.conf`.
    fn directory(&self) -> ConfigFile {
        let config = ConfigFile::new("{}");
        let write = |name: &str, text: &str| {
            std::fs::write(config.directory().join(name), text).expect("a writable directory");
        };
        write("hosts", HOSTS);
        write("resolv.conf", &self.resolver.resolv_conf());
        write("ca.pem", &self.authority.root_pem());
        config
    }

    fn url(&self, scenario: &Scenario) -> String {
        format!("{}{}", self.urls[&scenario.endpoint], scenario.path)
    }

    fn exporter_config(&self) -> String {
        let mut text = "modules:\n".to_owned();
        for module in MODULES {
            let ok = "http: {valid_status: [200, 201, 204], max_redirects: 10}";
            let mut keys = vec!["system_resolvers: ignore"];
            keys.push(if module.exporter.is_empty() {
                ok
            } else {
                module.exporter
            });
            if !module.exporter.contains("tls:") {
                keys.push("tls: {ca_file: ca.pem}");
            }
            if module.name == "short_timeout" {
                keys.push("timeout: 2s");
            }
            let _ = writeln!(text, "  {}: {{{}}}", module.name, keys.join(", "));
        }
        text.push_str("probe: {interval: 120s, timeout: 120s}\ntargets:\n");
        let plain = SCENARIOS
            .iter()
            .filter(|one| one.endpoint == Endpoint::Plain);
        for (index, scenario) in plain.enumerate() {
            let url = self.url(scenario);
            let _ = writeln!(
                text,
                "  - {{name: plain-{index}, url: \"{url}\", allow_http: true, module: ok}}"
            );
        }
        text.push_str(
            "probe_endpoint: {allowed_hosts: [\"127.0.0.1:*\", \"[::1]:*\", \"localhost:*\", \
             \"no-such-name.invalid\"]}\n",
        );
        text
    }
}

fn blackbox_config() -> String {
    let mut text = "modules:\n".to_owned();
    for module in MODULES {
        let timeout = if module.name == "short_timeout" {
            "  timeout: 2s\n  "
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {}:\n  {timeout}  prober: http\n    http:",
            module.name
        );
        // The default of our exporter.
        if !module.blackbox.contains("preferred_ip_protocol") {
            text.push_str("      preferred_ip_protocol: ip6\n");
        }
        for line in module.blackbox.lines() {
            let _ = writeln!(text, "      {line}");
        }
        if !module.blackbox.contains("tls_config") {
            text.push_str("      tls_config: {ca_file: ca.pem}\n");
        }
    }
    text
}

/// Gives the name both addresses, whatever the machine's own file contains.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// A name server that knows no name, so that the tests do not depend on the machine's resolvers.
struct NxdomainResolver {
    address: Ipv4Addr,
    _task: AbortOnDropHandle<()>,
}

impl NxdomainResolver {
    /// Starts on port 53 of a free loopback address.
    async fn start() -> Self {
        for last in 1..=254 {
            let address = Ipv4Addr::new(127, 77, 0, last);
            if let Ok(socket) = UdpSocket::bind((address, 53)).await {
                let task = tokio::spawn(async move {
                    let mut message = [0; 4096];
                    while let Ok((length, client)) = socket.recv_from(&mut message).await {
                        // A response (QR) with recursion available (RA) and RCODE 3.
                        message[2] |= 0x80;
                        message[3] = 0x83;
                        let _client_gone = socket.send_to(&message[..length], client).await;
                    }
                });
                return Self {
                    address,
                    _task: AbortOnDropHandle::new(task),
                };
            }
        }
        panic!("no address of 127.77.0.0/24 has a free port 53 (UDP)");
    }

    fn resolv_conf(&self) -> String {
        format!("nameserver {}\n", self.address)
    }
}

/// A program that reads `hosts` and `resolv.conf` of this directory instead of the machine's.
fn with_own_names(directory: &Path, program: &str) -> Command {
    let script = "mount --bind \"$0/hosts\" /etc/hosts && \
                  mount --bind \"$0/resolv.conf\" /etc/resolv.conf && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .arg(directory)
        .arg(program)
        .kill_on_drop(true);
    command
}

/// A running blackbox_exporter.
struct Blackbox {
    _child: Child,
    url: String,
}

impl Blackbox {
    /// Starts on a free port and waits until it listens.
    async fn start(directory: &Path, config: &str) -> Self {
        std::fs::write(directory.join("blackbox.yml"), config).expect("a writable directory");
        let mut child = with_own_names(directory, &newest("prometheus-blackbox-exporter"))
            .args([
                "--config.file=blackbox.yml",
                "--web.listen-address=127.0.0.1:0",
            ])
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare is installed (package util-linux)");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
        let mut log = String::new();
        let url = loop {
            let line = tokio::time::timeout(TIMEOUT, lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("not listening after {TIMEOUT:?}: {log}"));
            let line = line.expect("stderr is readable");
            let line = line.unwrap_or_else(|| panic!("blackbox_exporter has exited: {log}"));
            if line.contains("Listening on")
                && let Some((_, address)) = line.split_once("address=")
            {
                break format!("http://{}", address.trim());
            }
            log.push_str(&line);
            log.push('\n');
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, url }
    }
}

/// A series with different values.
#[derive(Debug)]
struct Difference {
    scenario: &'static str,
    series: String,
    blackbox: Option<f64>,
    exporter: Option<f64>,
}

/// The values of the series whose names both exporters define.
fn common_series(text: &str) -> BTreeMap<String, f64> {
    let names: BTreeSet<&str> = BLACKBOX.iter().map(|one| one.name).collect();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let value = value.parse().expect("a number");
            names
                .contains(name)
                .then(|| (with_sorted_labels(name, labels), value))
        })
        .collect()
}

/// `labels` is the text between the braces, with or without the closing one.
fn with_sorted_labels(name: &str, labels: &str) -> String {
    let mut all = Vec::new();
    let mut rest = labels;
    while let Some((label, tail)) = rest.split_once("=\"") {
        let mut escaped = false;
        let end = tail.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (value, tail) = tail.split_at(end.expect("a quote"));
        all.push(format!("{}=\"{value}\"", label.trim_start_matches(',')));
        rest = &tail[1..];
    }
    all.sort();
    if all.is_empty() {
        name.to_owned()
    } else {
        format!("{name}{{{}}}", all.join(","))
    }
}

fn is_duration(series: &str) -> bool {
    series.starts_with("probe_duration")
        || series.starts_with("probe_http_duration")
        || series.starts_with("probe_dns_lookup_time")
}

/// The slow responses and the timeouts of the scenarios take 1 s and more, all other steps
/// milliseconds: a duration that contains one of them and one that does not differ by far more than
/// this, on a busy machine too.
fn is_same_duration(one: f64, other: f64) -> bool {
    let (shorter, longer) = (one.min(other), one.max(other));
    longer - shorter < 0.25 || longer < 3.0 * shorter
}

/// The differences in one scenario. A busy machine prolongs single probes, so the probe is repeated
/// while there is an undocumented difference, and the shortest of its durations are compared.
async fn differences(pair: &Pair, scenario: &Scenario) -> Vec<Difference> {
    let start = Instant::now();
    let mut shortest = [BTreeMap::new(), BTreeMap::new()];
    loop {
        let mut series = pair.probe(scenario).await;
        for (series, shortest) in series.iter_mut().zip(&mut shortest) {
            for (name, value) in series.iter_mut().filter(|(name, _)| is_duration(name)) {
                let least = shortest.entry(name.clone()).or_insert(*value);
                *least = value.min(*least);
                *value = *least;
            }
        }
        let [blackbox, exporter] = series;
        let found = compare(scenario, &blackbox, &exporter);
        if start.elapsed() > TIMEOUT || found.iter().all(is_documented) {
            return found;
        }
    }
}

fn compare(
    scenario: &Scenario,
    blackbox: &BTreeMap<String, f64>,
    exporter: &BTreeMap<String, f64>,
) -> Vec<Difference> {
    let all: BTreeSet<&String> = blackbox.keys().chain(exporter.keys()).collect();
    let mut found = Vec::new();
    for series in all {
        let values = (blackbox.get(series).copied(), exporter.get(series).copied());
        let same = match values {
            (Some(blackbox), Some(exporter)) if is_duration(series) => {
                is_same_duration(blackbox, exporter)
            }
            (blackbox, exporter) => blackbox == exporter,
        };
        if !same {
            found.push(Difference {
                scenario: scenario.name,
                series: series.clone(),
                blackbox: values.0,
                exporter: values.1,
            });
        }
    }
    found
}

/// An intended difference, as docs/blackbox.md lists it.
struct Documented {
    what: &'static str,
    why: &'static str,
    matches: fn(&Difference) -> bool,
}

const DOCUMENTED: &[Documented] = &[
    Documented {
        what: "`probe_timeout_seconds` is exposed",
        why: "Newer versions of blackbox_exporter have it too; 0.28 does not.",
        matches: |one| one.series == "probe_timeout_seconds" && one.blackbox.is_none(),
    },
    Documented {
        what: "A phase that was not reached has no series",
        why: "A value of 0 reads as \"very fast\". The sum over the phases is the same.",
        matches: |one| is_phase(one, "") && one.exporter.is_none(),
    },
    Documented {
        what: "A handshake that timed out has the time until the timeout",
        why: "The time was spent in this phase.",
        matches: |one| is_phase(one, "tls") && one.blackbox == Some(0.0) && one.exporter.is_some(),
    },
    Documented {
        what: "Certificate and session are exposed although the probe failed",
        why: "Issuer and expiry date are needed to repair an expired or unknown certificate.",
        matches: |one| is_session(one) && one.blackbox.is_none() && one.scenario != "HTTP/2",
    },
    Documented {
        what: "Redirects are followed to the same host and to `allowed_hosts` only, over https only, \
               and never in a loop",
        why: "A login that redirects elsewhere is reported, not followed; the status code is that of \
              the redirect.",
        matches: |one| {
            matches!(
                one.scenario,
                "redirect to another host" | "redirect to itself" | "redirect to plain HTTP"
            )
        },
    },
    Documented {
        what: "Certificates are always verified",
        why: "There is no `insecure_skip_verify`: configure the CA in `tls.ca_file`. \
              blackbox_exporter exposes the year 1 as the expiry date of the chain.",
        matches: |one| one.scenario == "expired certificate, not verified",
    },
    Documented {
        what: "Compressed pages are requested, as browsers do",
        why: "The length that the server announces is the compressed one; \
              `probe_http_uncompressed_body_length` is the same.",
        matches: |one| {
            one.series == "probe_http_content_length" && one.scenario == "gzip, not configured"
        },
    },
    Documented {
        what: "The size of a body beyond the limit is what was read",
        why: "The probe stops after the chunk that exceeds the limit, not within it.",
        matches: |one| {
            one.series == "probe_http_uncompressed_body_length"
                && one.scenario == "body beyond the limit"
        },
    },
    Documented {
        what: "`ip_family` selects among the addresses of a name, and does not reject a literal address",
        why: "A literal address is explicit.",
        matches: |one| one.scenario == "IPv4 address, IPv6 only",
    },
];

fn is_documented(one: &Difference) -> bool {
    DOCUMENTED
        .iter()
        .any(|documented| (documented.matches)(one))
}

fn is_phase(one: &Difference, phase: &str) -> bool {
    one.series.starts_with("probe_http_duration_seconds{") && one.series.contains(phase)
}

fn is_session(one: &Difference) -> bool {
    one.series.starts_with("probe_ssl_") || one.series.starts_with("probe_tls_")
}

/// The table of docs/blackbox.md; each documented difference must occur in a scenario.
fn table(found: &[Difference]) -> String {
    let undocumented: Vec<String> = found
        .iter()
        .filter(|one| !is_documented(one))
        .map(|one| {
            let (blackbox, exporter) = (one.blackbox, one.exporter);
            let series = &one.series;
            format!("{}: {series}: {blackbox:?} and {exporter:?}", one.scenario)
        })
        .collect();
    assert!(
        undocumented.is_empty(),
        "{} undocumented differences between blackbox_exporter and this exporter, among them:\n{}",
        undocumented.len(),
        undocumented[..undocumented.len().min(5)].join("\n")
    );
    let mut text = "| difference | why | scenarios |\n|---|---|---|\n".to_owned();
    let mut left: Vec<&Difference> = found.iter().collect();
    for documented in DOCUMENTED {
        let (matching, others): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|one| (documented.matches)(one));
        left = others;
        let (what, why) = (documented.what, documented.why);
        assert!(!matching.is_empty(), "no scenario shows this: {what}");
        let names: BTreeSet<&str> = matching.iter().map(|one| one.scenario).collect();
        let names = if names.len() == SCENARIOS.len() {
            "all".to_owned()
        } else {
            names.into_iter().collect::<Vec<_>>().join("; ")
        };
        let _ = writeln!(text, "| {what} | {why} | {names} |");
    }
    text
}

/// Both exporters, and the servers that they probe.
struct Pair {
    servers: Servers,
    exporter: Exporter,
    blackbox: Blackbox,
    _config: ConfigFile,
}

impl Pair {
    async fn start() -> Self {
        let servers = Servers::start().await;
        let config = servers.directory();
        std::fs::write(config.path(), servers.exporter_config()).expect("a writable directory");
        let mut exporter = with_own_names(config.directory(), harness::exporter::binary());
        Self {
            exporter: Exporter::spawn(exporter.arg(config.argument())).await,
            blackbox: Blackbox::start(config.directory(), &blackbox_config()).await,
            servers,
            _config: config,
        }
    }

    /// The common series of blackbox_exporter and of our exporter after one probe each.
    async fn probe(&self, scenario: &Scenario) -> [BTreeMap<String, f64>; 2] {
        let url = self.servers.url(scenario);
        let query = [("target", url.as_str()), ("module", scenario.module)];
        let exporter_url = self.exporter.url("/");
        let (blackbox, exporter) = tokio::join!(
            probe(&self.blackbox.url, &query, scenario.timeout),
            probe(&exporter_url, &query, scenario.timeout)
        );
        [blackbox, exporter].map(|(status, text)| {
            assert_eq!(status, 200, "{}: {text:.300}", scenario.name);
            common_series(&text)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_differs_from_blackbox_exporter_only_as_documented() {
    let pair = Pair::start().await;
    let mut found = Vec::new();
    for scenario in SCENARIOS {
        found.extend(differences(&pair, scenario).await);
    }
    let table = table(&found);
    let document = documents::read(DOCUMENT);
    let (before, rest) = document.split_once(BEGIN).expect(BEGIN);
    let (_, after) = rest.split_once(END).expect(END);
    let expected = format!("{before}{BEGIN}{table}{END}{after}");
    documents::assert_document(DOCUMENT, &expected);
}

/// A scrape job as users of blackbox_exporter write it.
fn job(name: &str, exporter: &str, module: &str, targets: &BTreeSet<String>) -> String {
    let exporter = exporter.trim_start_matches("http://");
    let targets = serde_json::json!(targets);
    format!(
        "  - job_name: {name}
    metrics_path: /probe
    params: {{module: [{module}]}}
    static_configs: [{{targets: {targets}}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: \"{exporter}\"}}
"
    )
}

/// The queries of the dashboards 7587 and 13659, the most used ones.
const QUERIES: &[(&str, Compare)] = &[
    ("probe_success", Compare::Values),
    (
        "avg by (instance) (avg_over_time(probe_success[1m]))",
        Compare::Values,
    ),
    ("probe_http_status_code", Compare::Values),
    ("probe_http_version", Compare::Values),
    ("probe_http_ssl", Compare::Values),
    ("probe_http_redirects", Compare::Values),
    ("probe_ip_protocol", Compare::Values),
    ("probe_ssl_earliest_cert_expiry", Compare::Values),
    (
        "probe_ssl_earliest_cert_expiry - time() < 86400 * 30",
        Compare::Within(10.0),
    ),
    (
        "(probe_ssl_earliest_cert_expiry - time()) / 3600 / 24",
        Compare::Within(0.01),
    ),
    ("probe_tls_version_info", Compare::Values),
    (
        "count by (version) (probe_tls_version_info)",
        Compare::Values,
    ),
    ("probe_duration_seconds", Compare::Durations),
    (
        "avg by (instance) (probe_duration_seconds)",
        Compare::Durations,
    ),
    (
        "sum by (instance) (probe_http_duration_seconds)",
        Compare::Durations,
    ),
    (
        "avg by (phase) (probe_http_duration_seconds)",
        Compare::Durations,
    ),
    ("probe_dns_lookup_time_seconds", Compare::Durations),
    (
        "avg by (instance) (probe_dns_lookup_time_seconds)",
        Compare::Durations,
    ),
];

#[derive(Clone, Copy)]
enum Compare {
    Values,
    /// The values may differ by less than this.
    Within(f64),
    Durations,
}

/// The expression with each metric restricted to one job.
fn restrict_to_job(expression: &str, job: &str) -> String {
    let names = regex::Regex::new(r"probe_\w+").unwrap();
    let restricted = names.replace_all(expression, |found: &regex::Captures| {
        format!("{}{{job=\"{job}\"}}", &found[0])
    });
    restricted.into_owned()
}

/// The result of a query restricted to one job: the value of each label set.
async fn query_job(prometheus: &Prometheus, query: &str, job: &str) -> BTreeMap<String, f64> {
    let result = prometheus.query(&restrict_to_job(query, job)).await;
    let series = result.into_iter().map(|(mut labels, value)| {
        labels.as_object_mut().expect("labels").remove("job");
        (labels.to_string(), value)
    });
    series.collect()
}

/// The results of a query for both jobs.
struct Results([BTreeMap<String, f64>; 2]);

impl Results {
    async fn query(prometheus: &Prometheus, query: &str) -> Self {
        Self([
            query_job(prometheus, query, "blackbox").await,
            query_job(prometheus, query, "exporter").await,
        ])
    }

    /// Replaces each value by that of `earlier` if that is smaller.
    fn shorten(&mut self, earlier: &Self) {
        for (series, earlier) in self.0.iter_mut().zip(&earlier.0) {
            for (labels, value) in series {
                *value = earlier.get(labels).map_or(*value, |one| one.min(*value));
            }
        }
    }

    fn difference(&self, compare: Compare) -> Option<String> {
        let [blackbox, exporter] = &self.0;
        if blackbox.is_empty() {
            return Some("no result".to_owned());
        }
        let all: BTreeSet<&String> = blackbox.keys().chain(exporter.keys()).collect();
        all.into_iter().find_map(|labels| {
            let (blackbox, exporter) = (blackbox.get(labels), exporter.get(labels));
            let same = match (blackbox, exporter, compare) {
                (Some(blackbox), Some(exporter), Compare::Within(bound)) => {
                    (blackbox - exporter).abs() < bound
                }
                (Some(blackbox), Some(exporter), Compare::Durations) => {
                    is_same_duration(*blackbox, *exporter)
                }
                (blackbox, exporter, _) => blackbox == exporter,
            };
            (!same).then(|| format!("{labels}: {blackbox:?} and {exporter:?}"))
        })
    }
}

/// A busy machine prolongs single probes, so each query is repeated until the results agree, and the
/// shortest of the durations are compared.
#[tokio::test(flavor = "multi_thread")]
async fn dashboard_queries_return_the_same_for_both_exporters() {
    let pair = Pair::start().await;
    let targets: BTreeSet<String> = SCENARIOS
        .iter()
        .filter(|one| one.module == "ok" && one.timeout == Some(LONG_TIMEOUT))
        // Documented differences are examined above.
        .filter(|one| !one.name.starts_with("redirect to "))
        .filter(|one| {
            use Endpoint::*;
            !matches!(
                one.endpoint,
                Expired
                    | NotYetValid
                    | SelfSigned
                    | UnknownCa
                    | OtherName
                    | Incomplete
                    | NoSuchName
                    | Silent
                    | PlainOnTls
            )
        })
        .filter(|one| {
            !matches!(
                one.path,
                "/no-answer" | "/garbage" | "/slow-head" | "/slow-body"
            )
        })
        .map(|one| pair.servers.url(one))
        .collect();
    assert!(targets.len() > 35, "{} targets", targets.len());
    let config = format!(
        "global: {{scrape_interval: 10s, scrape_timeout: 10s}}\nscrape_configs:\n{}{}",
        job("blackbox", &pair.blackbox.url, "ok", &targets),
        job("exporter", &pair.exporter.url(""), "ok", &targets)
    );
    let prometheus = Prometheus::bare(PROMETHEUS, &config).await;
    let all = targets.len();
    for job in ["blackbox", "exporter"] {
        let scraped = format!("count(probe_success{{job=\"{job}\"}}) == bool {all}");
        prometheus.wait_for(&scraped).await;
    }
    for (query, compare) in QUERIES {
        let start = Instant::now();
        let mut results = Results::query(&prometheus, query).await;
        while let Some(difference) = results.difference(*compare) {
            assert!(
                start.elapsed() < TIMEOUT,
                "{query} differs for {TIMEOUT:?}: {difference}"
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut later = Results::query(&prometheus, query).await;
            if matches!(compare, Compare::Durations) {
                later.shorten(&results);
            }
            results = later;
        }
    }
}

/// The YAML blocks of the document that contain a scrape configuration.
fn documented_jobs() -> Vec<String> {
    let document = documents::read(DOCUMENT);
    let blocks = document.split("```yaml\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().expect("a block").to_owned());
    blocks
        .filter(|block| block.starts_with("scrape_configs:"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_migration_of_a_scrape_job_works() {
    let jobs = documented_jobs();
    let [before, after, discovery] = &jobs[..] else {
        panic!("{DOCUMENT} has {} scrape configurations", jobs.len());
    };
    let changed = before
        .lines()
        .zip(after.lines())
        .filter(|(old, new)| old != new);
    assert_eq!(before.lines().count(), after.lines().count());
    assert!((1..=3).contains(&changed.count()));

    let servers = Servers::start().await;
    let config = servers.directory();
    let blackbox = Blackbox::start(
        config.directory(),
        "modules:\n  http_2xx:\n    prober: http\n    http: {tls_config: {ca_file: ca.pem}}\n",
    )
    .await;
    let old = config.directory().join("blackbox.yml");
    let converted =
        harness::exporter::run(&["check", "--from-blackbox", &old.display().to_string()]).await;
    let modules = String::from_utf8(converted.stdout).expect("UTF-8");
    let url = format!("{}/page", servers.urls[&Endpoint::Tls]);
    let host = url.trim_start_matches("https://").trim_end_matches("/page");
    let text = format!(
        "{modules}\nprobe_endpoint: {{allowed_hosts: [\"{host}\"]}}\n\
         targets: [{{name: login, url: \"{url}\", module: http_2xx}}]\n"
    );
    std::fs::write(config.path(), text).expect("a writable directory");
    let exporter = Exporter::start(&[&config.argument()]).await;
    let with_addresses = |job: &str| {
        let job = job
            .replace("https://sso.hkexposttrade.com.hk/sso", &url)
            .replace(
                "blackbox.example.com:9115",
                blackbox.url.trim_start_matches("http://"),
            )
            .replace("exporter.example.com:10762", &exporter.address);
        format!("global: {{scrape_interval: 5s}}\n{job}")
    };
    let success = format!("probe_success{{job=\"blackbox\",instance=\"{url}\"}}");
    let discovered = format!("probe_success{{instance=\"{url}\"}}");
    let expiry = "ccass2fa_tls_cert_not_after_timestamp_seconds";
    let newest = newest(PROMETHEUS);
    let scrape = async |program: &str, job: &str, expressions: &[&str]| {
        let prometheus = Prometheus::bare(program, &with_addresses(job)).await;
        for expression in expressions {
            prometheus.wait_for(expression).await;
        }
    };
    let by_probe = [success.as_str()];
    let by_discovery = [discovered.as_str(), expiry];
    tokio::join!(
        scrape(PROMETHEUS, before, &by_probe),
        scrape(PROMETHEUS, after, &by_probe),
        scrape(&newest, after, &by_probe),
        scrape(PROMETHEUS, discovery, &by_discovery),
        scrape(&newest, discovery, &by_discovery),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_probe_requests_have_the_status_of_blackbox_exporter_or_400() {
    let config = ConfigFile::new("targets: []\n");
    std::fs::write(config.directory().join("hosts"), HOSTS).expect("a writable directory");
    let exporter = Exporter::start(&[&config.argument()]).await;
    let modules = "modules: {login_page: {prober: http}}\n";
    std::fs::write(config.directory().join("resolv.conf"), "").expect("a writable directory");
    let blackbox = Blackbox::start(config.directory(), modules).await;
    // Only for an invalid timeout, which is an error of the client, the status differs.
    for (query, timeout, expected) in [
        (
            &[("module", "nowhere"), ("target", "https://x.invalid/")][..],
            None,
            [400, 400],
        ),
        (&[("module", "nowhere")], Some("x"), [400, 400]),
        (&[("module", "login_page")], None, [400, 400]),
        (
            &[("module", "login_page"), ("target", "")],
            None,
            [400, 400],
        ),
        (&[("module", "login_page")], Some("x"), [500, 400]),
    ] {
        let (status, text) = probe(&blackbox.url, query, timeout).await;
        assert_eq!(
            status, expected[0],
            "blackbox_exporter, {query:?}: {text:.300}"
        );
        let (status, text) = probe(&exporter.url("/"), query, timeout).await;
        assert_eq!(status, expected[1], "our exporter, {query:?}: {text:.300}");
    }
}
