//! `/probe` side by side with the real blackbox_exporter, Debian's newest: the same names, labels and
//! values, except for what docs/blackbox.md lists. `make documents`
//! writes that list.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ccass_2fa_exporter::render::metrics::BLACKBOX;
use ccass_2fa_lab::{Alpn, Authority, Identity, LOGIN_PATH, Leaf, LoginServer};
use harness::documents::{self, repository, updating};
use harness::exporter::{ConfigFile, Exporter, probe};
use harness::prometheus::{PROMETHEUS, Prometheus, newest};
use harness::scripted_server::{Manner, Server};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const DOCUMENT: &str = "docs/blackbox.md";
const BEGIN: &str = "<!-- differences -->\n";
const END: &str = "<!-- end of differences -->\n";
const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

/// A module in both languages: blackbox's keys below `http:`, and ours.
struct Module {
    name: &'static str,
    theirs: &'static str,
    ours: &'static str,
}

const MODULES: &[Module] = &[
    module("ok", "", ""),
    module(
        "only200",
        "valid_status_codes: [200]",
        "http: {valid_status: [200]}",
    ),
    module(
        "wants404",
        "valid_status_codes: [404]",
        "http: {valid_status: [404]}",
    ),
    module(
        "stays",
        "follow_redirects: false\nvalid_status_codes: [302]",
        "http: {redirects: none, valid_status: [302]}",
    ),
    module(
        "follows",
        "",
        "http: {allowed_hosts: [localhost], valid_status: [200]}",
    ),
    module(
        "small",
        "body_size_limit: 1024B",
        "http: {max_body: 1024B, valid_status: [200]}",
    ),
    module(
        "welcomes",
        "fail_if_body_not_matches_regexp: ['Wel.ome']",
        "page: {matches: ['Wel.ome']}",
    ),
    module(
        "expects",
        "fail_if_body_not_matches_regexp: ['Goodbye']",
        "page: {matches: ['Goodbye']}",
    ),
    module(
        "forbids",
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
        "skips",
        "tls_config: {ca_file: ca.pem, insecure_skip_verify: true}",
        "",
    ),
    module("hurried", "", ""),
];

const fn module(name: &'static str, theirs: &'static str, ours: &'static str) -> Module {
    Module { name, theirs, ours }
}

/// Which server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Tls,
    TlsV6,
    /// By the name that has both addresses.
    TlsByName,
    Http2,
    Plain,
    Tls12,
    Tls13,
    Rsa,
    SoonEnding,
    Expired,
    NotYetValid,
    SelfSigned,
    Stranger,
    OtherName,
    Incomplete,
    Reset,
    Silent,
    Refused,
    PlainOnTls,
    NoSuchName,
}

/// One call of `/probe`, put to both.
struct Scenario {
    name: &'static str,
    at: At,
    path: &'static str,
    module: &'static str,
    /// The scraper's limit, in the words of its header; `None` is no header.
    limit: Option<&'static str>,
}

const fn ask(name: &'static str, at: At, path: &'static str, module: &'static str) -> Scenario {
    Scenario {
        name,
        at,
        path,
        module,
        limit: Some("5"),
    }
}

const fn within(limit: Option<&'static str>, scenario: Scenario) -> Scenario {
    Scenario { limit, ..scenario }
}

const SCENARIOS: &[Scenario] = &[
    ask("a page", At::Tls, "/page", "ok"),
    ask("200", At::Tls, "/status/200", "ok"),
    ask("201", At::Tls, "/status/201", "ok"),
    ask("204", At::Tls, "/status/204", "ok"),
    ask("304", At::Tls, "/status/304", "ok"),
    ask("400", At::Tls, "/status/400", "ok"),
    ask("401", At::Tls, "/status/401", "ok"),
    ask("403", At::Tls, "/status/403", "ok"),
    ask("404", At::Tls, "/status/404", "ok"),
    ask("418", At::Tls, "/status/418", "ok"),
    ask("429", At::Tls, "/status/429", "ok"),
    ask("500", At::Tls, "/status/500", "ok"),
    ask("502", At::Tls, "/status/502", "ok"),
    ask("503", At::Tls, "/status/503", "ok"),
    ask("404 is what is wanted", At::Tls, "/status/404", "wants404"),
    ask(
        "201 is not what is wanted",
        At::Tls,
        "/status/201",
        "only200",
    ),
    ask("HTTP/1.0", At::Tls, "/http10", "ok"),
    ask("HTTP/2", At::Http2, LOGIN_PATH, "ok"),
    ask("plain HTTP", At::Plain, "/page", "ok"),
    ask("plain HTTP, 404", At::Plain, "/status/404", "ok"),
    ask("plain HTTP, redirected", At::Plain, "/relative", "ok"),
    ask("plain HTTP, chunked", At::Plain, "/chunked", "ok"),
    ask("redirect, relative", At::Tls, "/relative", "ok"),
    ask("redirect, absolute", At::Tls, "/absolute", "ok"),
    ask("redirect with a query", At::Tls, "/query", "ok"),
    ask("redirect 301", At::Tls, "/moved/301", "ok"),
    ask("redirect 303", At::Tls, "/moved/303", "ok"),
    ask("redirect 307", At::Tls, "/moved/307", "ok"),
    ask("redirect 308", At::Tls, "/moved/308", "ok"),
    ask("redirects, three", At::Tls, "/hops/3", "ok"),
    ask("redirects, eight", At::Tls, "/hops/8", "ok"),
    ask("redirects, twenty", At::Tls, "/hops/20", "ok"),
    ask("redirect to itself", At::Tls, "/loop", "ok"),
    ask("redirect to another host", At::Tls, "/off-host", "ok"),
    ask(
        "redirect to an allowed host",
        At::Tls,
        "/off-host",
        "follows",
    ),
    ask("redirect to plain HTTP", At::Tls, "/to-plain", "ok"),
    ask("redirect without a location", At::Tls, "/nowhere", "ok"),
    ask(
        "redirect that is not followed",
        At::Tls,
        "/relative",
        "stays",
    ),
    ask("redirect that sets a cookie", At::Tls, "/sets-cookie", "ok"),
    ask("gzip", At::Tls, "/gzip", "gzip"),
    ask("gzip, not configured", At::Tls, "/gzip", "ok"),
    ask("chunked", At::Tls, "/chunked", "ok"),
    ask("an empty body", At::Tls, "/empty", "ok"),
    ask("a body until the close", At::Tls, "/until-close", "ok"),
    ask("a large body", At::Tls, "/large", "ok"),
    ask("a body beyond the limit", At::Tls, "/large", "small"),
    ask("a body that is cut short", At::Tls, "/short", "ok"),
    ask("last modified", At::Tls, "/modified", "ok"),
    ask(
        "last modified, not a date",
        At::Tls,
        "/modified-never",
        "ok",
    ),
    ask("a pattern that matches", At::Tls, "/page", "welcomes"),
    ask("a pattern that is missing", At::Tls, "/page", "expects"),
    ask("a pattern that is forbidden", At::Tls, "/page", "forbids"),
    ask(
        "a pattern on a bad status",
        At::Tls,
        "/status/500",
        "welcomes",
    ),
    ask("TLS 1.2", At::Tls12, "/page", "ok"),
    ask("TLS 1.3", At::Tls13, "/page", "ok"),
    ask(
        "TLS 1.2 where 1.3 is asked for",
        At::Tls12,
        "/page",
        "tls13",
    ),
    ask("an RSA key", At::Rsa, "/page", "ok"),
    ask("a certificate near its end", At::SoonEnding, "/page", "ok"),
    ask("expired", At::Expired, "/page", "ok"),
    ask("not yet valid", At::NotYetValid, "/page", "ok"),
    ask("self-signed", At::SelfSigned, "/page", "ok"),
    ask("an unknown authority", At::Stranger, "/page", "ok"),
    ask(
        "the system's roots do not know it",
        At::Tls,
        "/page",
        "system_roots",
    ),
    ask("for another name", At::OtherName, "/page", "ok"),
    ask("without its intermediate", At::Incomplete, "/page", "ok"),
    ask("expired, not verified", At::Expired, "/page", "skips"),
    ask(
        "plain HTTP where TLS is expected",
        At::PlainOnTls,
        "/page",
        "ok",
    ),
    ask("IPv6", At::TlsV6, "/page", "ok"),
    ask("a name with both families", At::TlsByName, "/page", "ok"),
    ask("a name, IPv4 only", At::TlsByName, "/page", "v4"),
    ask("a name, IPv6 only", At::TlsByName, "/page", "v6"),
    ask("an IPv4 address, IPv6 only", At::Tls, "/page", "v6"),
    ask("a name that does not exist", At::NoSuchName, "/page", "ok"),
    ask("refused", At::Refused, "/page", "ok"),
    ask("reset", At::Reset, "/page", "ok"),
    within(Some("1.2"), ask("silent", At::Silent, "/page", "ok")),
    ask("closed without an answer", At::Tls, "/no-answer", "ok"),
    ask("no HTTP", At::Tls, "/garbage", "ok"),
    ask("slow to answer", At::Tls, "/slow-head", "ok"),
    ask("slow to send", At::Tls, "/slow-body", "ok"),
    within(Some("1.2"), ask("never answers", At::Tls, "/never", "ok")),
    within(Some("1.2"), ask("never ends", At::Tls, "/never-body", "ok")),
    ask(
        "the module's limit is shorter",
        At::Tls,
        "/never",
        "hurried",
    ),
    within(None, ask("no limit", At::Tls, "/page", "ok")),
    within(Some(""), ask("an empty limit", At::Tls, "/page", "ok")),
    within(Some("0"), ask("a limit of 0", At::Tls, "/page", "ok")),
    within(Some("30"), ask("a long limit", At::Tls, "/page", "ok")),
    within(
        None,
        ask("no limit but the module's", At::Tls, "/page", "hurried"),
    ),
];

/// The servers that both ask, over the real loopback.
struct Namespace {
    _servers: Vec<Server>,
    _http2: LoginServer,
    addresses: BTreeMap<At, String>,
    authority: Authority,
}

impl Namespace {
    async fn start() -> Self {
        let authority = Authority::new("Side by Side");
        let leaf = || Leaf::for_name("localhost").also("127.0.0.1").also("::1");
        let good = authority.issue(&leaf());
        let both = &[&TLS13, &TLS12][..];
        let tls = |identity: &Identity| Manner::tls(identity, both);
        let day = Duration::from_secs(86_400);
        let mut servers = Vec::new();
        let mut addresses = BTreeMap::new();
        for (at, manner) in [
            (At::Tls, tls(&good)),
            (At::Plain, Manner::Plain),
            (At::Tls12, Manner::tls(&good, &[&TLS12])),
            (At::Tls13, Manner::tls(&good, &[&TLS13])),
            (At::Rsa, tls(&authority.issue(&leaf().rsa()))),
            (
                At::SoonEnding,
                tls(&authority.issue(&leaf().ending_in(2 * day))),
            ),
            (At::Expired, tls(&authority.issue(&leaf().expired()))),
            (
                At::NotYetValid,
                tls(&authority.issue(&leaf().not_yet_valid())),
            ),
            (At::SelfSigned, tls(&Identity::self_signed(&leaf()))),
            (
                At::Stranger,
                tls(&Authority::new("Stranger").issue(&leaf())),
            ),
            (
                At::OtherName,
                tls(&authority.issue(&Leaf::for_name("other.test"))),
            ),
            (
                At::Incomplete,
                tls(&authority.issue(&leaf()).without_intermediate()),
            ),
            (At::Reset, Manner::Reset),
            (At::Silent, Manner::Silent),
        ] {
            let server = Server::start(V4, 0, manner).await;
            let scheme = if at == At::Plain { "http" } else { "https" };
            addresses.insert(at, format!("{scheme}://{}", server.address));
            if at == At::Plain {
                addresses.insert(At::PlainOnTls, format!("https://{}", server.address));
            }
            if at == At::Tls {
                let port = server.address.port();
                servers.push(Server::start(V6, port, tls(&good)).await);
                addresses.insert(At::TlsV6, format!("https://[::1]:{port}"));
                addresses.insert(At::TlsByName, format!("https://localhost:{port}"));
            }
            servers.push(server);
        }
        let http2 = LoginServer::start(good).await.expect("a login server");
        http2.set_alpn(Alpn::Both);
        addresses.insert(At::Http2, format!("https://{}", http2.addr()));
        // Bound and not listening: it stays closed.
        let closed = std::net::TcpListener::bind((V4, 0)).expect("a port");
        let port = closed.local_addr().expect("an address").port();
        drop(closed);
        addresses.insert(At::Refused, format!("https://127.0.0.1:{port}"));
        addresses.insert(At::NoSuchName, "https://no-such-name.invalid".to_owned());
        Self {
            _servers: servers,
            _http2: http2,
            addresses,
            authority,
        }
    }

    /// With the authority, and a `hosts` file.
    fn directory(&self) -> ConfigFile {
        let config = ConfigFile::new("{}");
        let write = |name: &str, text: &str| {
            std::fs::write(config.directory().join(name), text).expect("a file");
        };
        write("hosts", HOSTS);
        write("ca.pem", &self.authority.root_pem());
        config
    }

    fn url(&self, scenario: &Scenario) -> String {
        format!("{}{}", self.addresses[&scenario.at], scenario.path)
    }

    fn our_config(&self) -> String {
        let mut text = "modules:\n".to_owned();
        for module in MODULES {
            let ok = "http: {valid_status: [200, 201, 204], max_redirects: 10}";
            let mut keys = vec!["system_resolvers: ignore"];
            keys.push(if module.ours.is_empty() {
                ok
            } else {
                module.ours
            });
            if !module.ours.contains("tls:") {
                keys.push("tls: {ca_file: ca.pem}");
            }
            if module.name == "hurried" {
                keys.push("timeout: 700ms");
            }
            let _ = writeln!(text, "  {}: {{{}}}", module.name, keys.join(", "));
        }
        text.push_str("probe: {interval: 60s, timeout: 60s}\ntargets:\n");
        let plain = SCENARIOS.iter().filter(|one| one.at == At::Plain);
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

fn their_config() -> String {
    let mut text = "modules:\n".to_owned();
    for module in MODULES {
        let limit = if module.name == "hurried" {
            "  timeout: 700ms\n  "
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {}:\n  {limit}  prober: http\n    http:",
            module.name
        );
        // As ours does by default; blackbox takes any 2xx.
        if !module.theirs.contains("preferred_ip_protocol") {
            text.push_str("      preferred_ip_protocol: ip6\n");
        }
        for line in module.theirs.lines() {
            let _ = writeln!(text, "      {line}");
        }
        if !module.theirs.contains("tls_config") {
            text.push_str("      tls_config: {ca_file: ca.pem}\n");
        }
    }
    text
}

/// Whatever the machine's own file says, the name has both addresses.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// A program that reads the directory's `hosts` in place of the machine's. It needs root.
fn with_hosts(directory: &Path, program: &str) -> Command {
    let hosts = directory.join("hosts");
    let script = format!(
        "mount --bind {} /etc/hosts && exec \"$0\" \"$@\"",
        hosts.display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &script, program])
        .kill_on_drop(true);
    command
}

/// The real one, on a free port.
struct Blackbox {
    _child: Child,
    url: String,
}

impl Blackbox {
    async fn start(directory: &Path) -> Self {
        Self::with(directory, &their_config()).await
    }

    async fn with(directory: &Path, config: &str) -> Self {
        std::fs::write(directory.join("blackbox.yml"), config).expect("a file");
        let mut child = with_hosts(directory, &newest("prometheus-blackbox-exporter"))
            .args([
                "--config.file=blackbox.yml",
                "--web.listen-address=127.0.0.1:0",
            ])
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("tests/newest.sh has run");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut seen = String::new();
        let url = loop {
            let line = tokio::time::timeout(harness::exporter::PATIENCE, lines.next_line()).await;
            let line = line.expect("it starts in time").expect("a pipe");
            let line = line.unwrap_or_else(|| panic!("it ended: {seen}"));
            if line.contains("Listening on")
                && let Some((_, address)) = line.split_once("address=")
            {
                break format!("http://{}", address.trim());
            }
            seen.push_str(&line);
            seen.push('\n');
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, url }
    }
}

/// A series on which the two differ, and what each says.
#[derive(Debug)]
struct Difference {
    scenario: &'static str,
    series: String,
    theirs: Option<f64>,
    ours: Option<f64>,
}

/// The series that both speak of, or should.
fn shared(text: &str) -> BTreeMap<String, f64> {
    let names: BTreeSet<&str> = BLACKBOX.iter().map(|one| one.name).collect();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let value = value.parse().expect("a number");
            names.contains(name).then(|| (named(name, labels), value))
        })
        .collect()
}

/// The series with its labels sorted; `labels` is what stands behind the brace.
fn named(name: &str, labels: &str) -> String {
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
    match all.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", all.join(",")),
    }
}

fn differences(scenario: &Scenario, theirs: &str, ours: &str) -> Vec<Difference> {
    let (theirs, ours) = (shared(theirs), shared(ours));
    let all: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let mut found = Vec::new();
    for series in all {
        let pair = (theirs.get(series).copied(), ours.get(series).copied());
        let is_time = series.starts_with("probe_duration")
            || series.starts_with("probe_http_duration")
            || series.starts_with("probe_dns_lookup_time");
        let same = match pair {
            // Machines are noisy; what is to be seen is that both measure the same thing.
            (Some(theirs), Some(ours)) if is_time => (theirs - ours).abs() < 0.25,
            (theirs, ours) => theirs == ours,
        };
        if !same {
            found.push(Difference {
                scenario: scenario.name,
                series: series.clone(),
                theirs: pair.0,
                ours: pair.1,
            });
        }
    }
    found
}

/// A difference that is meant: which, and why.
struct Meant {
    what: &'static str,
    why: &'static str,
    is: fn(&Difference) -> bool,
}

const MEANT: &[Meant] = &[
    Meant {
        what: "`probe_timeout_seconds` is there",
        why: "Newer versions of blackbox_exporter have it too; 0.28 does not.",
        is: |one| one.series == "probe_timeout_seconds" && one.theirs.is_none(),
    },
    Meant {
        what: "A phase that was not reached is absent",
        why: "A 0 reads as \"very fast\". The sum over the phases is the same.",
        is: |one| is_phase(one, "") && one.ours.is_none(),
    },
    Meant {
        what: "The handshake that never ended counts until it was given up",
        why: "That is where the time went.",
        is: |one| is_phase(one, "tls") && one.theirs == Some(0.0) && one.ours.is_some(),
    },
    Meant {
        what: "Certificate and session are told although the probe failed",
        why: "Whose certificate it is, and when it ended, is what an expired or unknown one is \
              mended by.",
        is: |one| is_session(one) && one.theirs.is_none() && one.scenario != "HTTP/2",
    },
    Meant {
        what: "A redirect is followed to the same host and to `allowed_hosts`, over https only, and \
               never to where it came from",
        why: "A login that leads elsewhere is to be seen, not followed; the status is the redirect's.",
        is: |one| one.scenario.starts_with("redirect to "),
    },
    Meant {
        what: "A certificate is always verified",
        why: "There is no `insecure_skip_verify`: name the authority in `tls.ca_file`. What blackbox \
              tells instead of the chain's end is the year 1.",
        is: |one| one.scenario == "expired, not verified",
    },
    Meant {
        what: "Compressed pages are asked for, as a browser does",
        why: "The length that the server announces is then the compressed one; \
              `probe_http_uncompressed_body_length` is the same.",
        is: |one| {
            one.series == "probe_http_content_length" && one.scenario == "gzip, not configured"
        },
    },
    Meant {
        what: "A body beyond its limit counts as it was read",
        why: "It is given up with the piece that is too much, not in the middle of it.",
        is: |one| {
            one.series == "probe_http_uncompressed_body_length"
                && one.scenario == "a body beyond the limit"
        },
    },
    Meant {
        what: "`ip_family` chooses among a name's addresses, not against an address that is written",
        why: "Who writes 192.0.2.1 means it.",
        is: |one| one.scenario == "an IPv4 address, IPv6 only",
    },
];

fn is_phase(one: &Difference, phase: &str) -> bool {
    one.series.starts_with("probe_http_duration_seconds{") && one.series.contains(phase)
}

fn is_session(one: &Difference) -> bool {
    one.series.starts_with("probe_ssl_") || one.series.starts_with("probe_tls_")
}

/// The list as docs/blackbox.md has it. Each difference must have been seen.
fn table(found: &[Difference]) -> String {
    let mut text = "| ours | why | seen in |\n|---|---|---|\n".to_owned();
    let mut left: Vec<&Difference> = found.iter().collect();
    for meant in MEANT {
        let (these, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|one| (meant.is)(one));
        left = others;
        assert!(
            !these.is_empty(),
            "nobody sees this any more: {}",
            meant.what
        );
        let names: BTreeSet<&str> = these.iter().map(|one| one.scenario).collect();
        let names = match names.len() == SCENARIOS.len() {
            true => "every scenario".to_owned(),
            false => names.into_iter().collect::<Vec<_>>().join("; "),
        };
        let _ = writeln!(text, "| {} | {} | {names} |", meant.what, meant.why);
    }
    for one in &left {
        eprintln!(
            "{:35} {} {:?} {:?}",
            one.scenario, one.series, one.theirs, one.ours
        );
    }
    assert!(
        left.is_empty(),
        "{} differences are not documented",
        left.len()
    );
    text
}

/// Both, over the same servers.
struct Pair {
    world: Namespace,
    ours: Exporter,
    theirs: Blackbox,
    _config: ConfigFile,
}

impl Pair {
    async fn start() -> Self {
        let world = Namespace::start().await;
        let config = world.directory();
        std::fs::write(config.path(), world.our_config()).expect("a file");
        let mut ours = with_hosts(config.directory(), harness::exporter::binary());
        Self {
            ours: Exporter::spawn(ours.arg(config.argument())).await,
            theirs: Blackbox::start(config.directory()).await,
            world,
            _config: config,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_says_what_blackbox_says_but_for_the_documented_differences() {
    let Pair {
        world,
        ours,
        theirs,
        _config,
    } = Pair::start().await;
    let mut found = Vec::new();
    for scenario in SCENARIOS {
        let url = world.url(scenario);
        let query = [("target", url.as_str()), ("module", scenario.module)];
        let (their_status, their_text) = probe(&theirs.url, &query, scenario.limit).await;
        let (our_status, our_text) = probe(&ours.url("/"), &query, scenario.limit).await;
        assert_eq!(their_status, 200, "{}: {their_text}", scenario.name);
        assert_eq!(our_status, 200, "{}: {our_text}", scenario.name);
        found.extend(differences(scenario, &their_text, &our_text));
    }
    let table = table(&found);
    let document = documents::read(DOCUMENT);
    let (before, rest) = document.split_once(BEGIN).expect("a beginning");
    let (listed, after) = rest.split_once(END).expect("an end");
    if updating() {
        let text = format!("{before}{BEGIN}{table}{END}{after}");
        std::fs::write(repository(DOCUMENT), text).expect("a document");
    } else {
        assert_eq!(listed, table, "make documents writes it");
    }
}

/// A scrape job as blackbox's users have it.
fn job(name: &str, exporter: &str, module: &str, targets: &[String]) -> String {
    let exporter = exporter.trim_start_matches("http://");
    format!(
        "  - job_name: {name}
    metrics_path: /probe
    params: {{module: [{module}]}}
    static_configs: [{{targets: {targets:?}}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: \"{exporter}\"}}
"
    )
}

/// What the dashboards 7587 and 13659, the most used ones, are made of.
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
    ("probe_duration_seconds", Compare::Within(0.25)),
    (
        "avg by (instance) (probe_duration_seconds)",
        Compare::Within(0.25),
    ),
    (
        "sum by (instance) (probe_http_duration_seconds)",
        Compare::Within(0.25),
    ),
    (
        "avg by (phase) (probe_http_duration_seconds)",
        Compare::Within(0.25),
    ),
    ("probe_dns_lookup_time_seconds", Compare::Within(0.25)),
    (
        "avg by (instance) (probe_dns_lookup_time_seconds)",
        Compare::Within(0.25),
    ),
];

#[derive(Clone, Copy)]
enum Compare {
    Values,
    /// Times, of which machines are the measure.
    Within(f64),
}

/// Every metric of an expression, narrowed to one job.
fn of_job(expression: &str, job: &str) -> String {
    let names = regex::Regex::new(r"probe_\w+").unwrap();
    let narrowed = names.replace_all(expression, |found: &regex::Captures| {
        format!("{}{{job=\"{job}\"}}", &found[0])
    });
    narrowed.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboards_queries_agree_on_both() {
    let Pair {
        world,
        ours,
        theirs,
        _config,
    } = Pair::start().await;
    let targets: Vec<String> = SCENARIOS
        .iter()
        .filter(|one| one.module == "ok" && one.limit == Some("5"))
        // What is documented to differ is compared above.
        .filter(|one| !one.name.starts_with("redirect to "))
        .filter(|one| !matches!(one.at, At::Expired | At::NotYetValid | At::SelfSigned))
        .filter(|one| !matches!(one.at, At::Stranger | At::OtherName | At::Incomplete))
        .filter(|one| !matches!(one.at, At::NoSuchName | At::Silent | At::PlainOnTls))
        .filter(|one| {
            !matches!(
                one.path,
                "/no-answer" | "/garbage" | "/slow-head" | "/slow-body"
            )
        })
        .map(|one| world.url(one))
        .collect();
    assert!(targets.len() > 35, "{}", targets.len());
    let config = format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 1900ms}}\nscrape_configs:\n{}{}",
        job("theirs", &theirs.url, "ok", &targets),
        job("ours", &ours.url(""), "ok", &targets)
    );
    let prometheus = Prometheus::bare(PROMETHEUS, &config).await;
    let all = targets.iter().collect::<BTreeSet<_>>().len();
    for job in ["theirs", "ours"] {
        let seen = format!("count(probe_success{{job=\"{job}\"}}) == bool {all}");
        prometheus.sees(&seen).await;
    }
    for (query, compare) in QUERIES {
        let mut told = Vec::new();
        for job in ["theirs", "ours"] {
            let result = prometheus.query(&of_job(query, job)).await;
            let mut series = BTreeMap::new();
            for (mut labels, value) in result {
                labels.as_object_mut().expect("labels").remove("job");
                series.insert(labels.to_string(), value);
            }
            told.push(series);
        }
        let [theirs, ours] = &told[..] else {
            unreachable!()
        };
        assert!(!theirs.is_empty(), "{query} yields nothing");
        let keys = |series: &BTreeMap<String, f64>| series.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(theirs), keys(ours), "{query}");
        for (labels, theirs) in theirs {
            let ours = ours[labels];
            let same = match compare {
                Compare::Values => ours == *theirs,
                Compare::Within(bound) => (ours - theirs).abs() < *bound,
            };
            assert!(same, "{query} of {labels}: {theirs} and {ours}");
        }
    }
}

/// The YAML blocks of the document that hold a scrape configuration, in their order.
fn documented_jobs() -> Vec<String> {
    let document = documents::read(DOCUMENT);
    let blocks = document.split("```yaml\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().expect("an end").to_owned());
    blocks
        .filter(|block| block.starts_with("scrape_configs:"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_way_from_a_blackbox_job_to_ours_is_short_and_works() {
    let jobs = documented_jobs();
    let [before, after, discovery] = &jobs[..] else {
        panic!("{} jobs", jobs.len());
    };
    let changed = before
        .lines()
        .zip(after.lines())
        .filter(|(old, new)| old != new);
    assert_eq!(before.lines().count(), after.lines().count());
    assert!((1..=3).contains(&changed.count()));

    let world = Namespace::start().await;
    let config = world.directory();
    let theirs = Blackbox::with(
        config.directory(),
        "modules:\n  http_2xx:\n    prober: http\n    http: {tls_config: {ca_file: ca.pem}}\n",
    )
    .await;
    let old = config.directory().join("blackbox.yml");
    let converted =
        harness::exporter::run(&["check", "--from-blackbox", &old.display().to_string()]).await;
    let modules = String::from_utf8(converted.stdout).expect("UTF-8");
    let url = format!("{}/page", world.addresses[&At::Tls]);
    let host = url.trim_start_matches("https://").trim_end_matches("/page");
    let text = format!(
        "{modules}\nprobe_endpoint: {{allowed_hosts: [\"{host}\"]}}\n\
         targets: [{{name: login, url: \"{url}\", module: http_2xx}}]\n"
    );
    std::fs::write(config.path(), text).expect("a file");
    let ours = Exporter::start(&[&config.argument()]).await;
    let placed = |job: &str| {
        let job = job
            .replace("https://sso.hkexposttrade.com.hk/sso", &url)
            .replace(
                "blackbox.example.com:9115",
                theirs.url.trim_start_matches("http://"),
            )
            .replace("exporter.example.com:10762", &ours.address);
        format!("global: {{scrape_interval: 1s}}\n{job}")
    };
    let success = format!("probe_success{{job=\"blackbox\",instance=\"{url}\"}}");
    let newest = newest(PROMETHEUS);
    for (program, job) in [
        (PROMETHEUS, before),
        (PROMETHEUS, after),
        (newest.as_str(), after),
    ] {
        let prometheus = Prometheus::bare(program, &placed(job)).await;
        prometheus.sees(&success).await;
    }
    for program in [PROMETHEUS, newest.as_str()] {
        let prometheus = Prometheus::bare(program, &placed(discovery)).await;
        prometheus
            .sees(&format!("probe_success{{instance=\"{url}\"}}"))
            .await;
        prometheus
            .sees("ccass2fa_tls_cert_not_after_timestamp_seconds")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_has_blackboxs_status_except_that_a_bad_limit_is_the_clients_mistake() {
    let config = ConfigFile::new("targets: []\n");
    std::fs::write(config.directory().join("hosts"), HOSTS).expect("a file");
    let ours = Exporter::start(&[&config.argument()]).await;
    let plain = "modules: {login_page: {prober: http}}\n";
    let theirs = Blackbox::with(config.directory(), plain).await;
    for (query, limit, status) in [
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
        let (told, text) = probe(&theirs.url, query, limit).await;
        assert_eq!(told, status[0], "{query:?}: {text}");
        let (told, text) = probe(&ours.url("/"), query, limit).await;
        assert_eq!(told, status[1], "{query:?}: {text}");
    }
}
