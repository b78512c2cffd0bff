//! Hostile servers, proxies and resolvers: what they send breaks no output, and the exporter stays small.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ccass_2fa_lab::{Authority, HOST, Identity, Lab, Leaf, PageFault};
use flate2::Compression;
use flate2::write::GzEncoder;
use harness::exporter::{ConfigFile, Exporter, Metrics};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use crate::hostile_clients::peak_memory;
use crate::lab_config::probed_every_ten_seconds;
use crate::outputs::outputs;
use crate::waiting::wait_for_metric;

/// Of the debug build; the release build stays below 18 MB.
const MAX_MEMORY_BYTES: u64 = 64 * 1024 * 1024;
/// Erases the screen, ends a label, a line and an element, and changes the direction of text.
const HOSTILE: &str =
    "\u{1b}[2J\u{202e}\"} 1\nccass2fa_forged 1\r\n<script>forged()</script>\u{9b}31m";

#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    let is_control = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!text.contains(is_control), "{what}: {text:?}");
    assert!(!text.contains("\nccass2fa_forged"), "{what}: {text}");
    let is_html = text.starts_with("<!DOCTYPE");
    assert!(
        !is_html || !text.contains("<script>forged"),
        "{what}: {text}"
    );
}

/// Each text that a server controls, one after another.
#[tokio::test(flavor = "multi_thread")]
async fn text_of_a_server_breaks_no_output_and_no_file() {
    let lab = Lab::start().await.expect("the lab starts");
    let escaped = HOSTILE.replace('"', "&quot;").replace("</script>", "");
    let page = format!("<title>{HOSTILE}</title><form><input name=\"{escaped}\"></form>");
    let alias = "\u{1b}[2j<script>forged()\"} 1\nccass2fa_forged 1\r\u{202e}.lab.test";
    let mut subject = Leaf::for_name(HOST);
    subject.organisation = HOSTILE.to_owned();
    let server = &lab.login_server;
    let stages: [(&str, &dyn Fn()); 4] = [
        ("a page", &|| {
            server.set_fault(PageFault::Text(page.clone()))
        }),
        ("a subject", &|| {
            server.set_identity(lab.authority.issue(&subject))
        }),
        ("an issuer", &|| {
            server.set_identity(Authority::new(HOSTILE).issue(&Leaf::for_name(HOST)));
        }),
        ("an alias", &|| {
            lab.name_server.cname(HOST, alias);
            lab.name_server.answer(alias, &[server.addr().ip()]);
        }),
    ];
    for (what, provoke) in stages {
        lab.heal();
        provoke();
        let mut shown = 0;
        for (name, text) in outputs(&lab).await {
            assert_harmless(&format!("{name}, {what}"), &text);
            if name.starts_with('/') {
                shown += text.matches("forged").count();
            }
        }
        assert!(shown > 0, "{what} is shown nowhere");
    }
}

/// Sends `head` to whoever sends something, and then `piece` again and again, or once.
#[derive(Clone)]
struct Flood {
    head: Vec<u8>,
    piece: Vec<u8>,
    is_endless: bool,
}

impl Flood {
    fn endless(head: &str, piece: &[u8]) -> Self {
        Self {
            head: head.as_bytes().to_vec(),
            piece: piece.repeat(16 * 1024 / piece.len()),
            is_endless: true,
        }
    }

    fn once(head: &str, piece: Vec<u8>) -> Self {
        Self {
            head: head.as_bytes().to_vec(),
            piece,
            is_endless: false,
        }
    }

    /// Returns its port; over TLS with an identity.
    async fn start(self, identity: Option<&Identity>) -> (u16, AbortOnDropHandle<()>) {
        let acceptor = identity.map(|identity| {
            let config = ServerConfig::builder_with_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ));
            let config = config.with_safe_default_protocol_versions().unwrap();
            let (chain, key) = (identity.chain.clone(), identity.key.clone_key());
            let config = config.with_no_client_auth().with_single_cert(chain, key);
            TlsAcceptor::from(Arc::new(config.unwrap()))
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (flood, acceptor) = (self.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => flood.answer(stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                flood.answer(stream).await;
                            }
                        }
                    }
                });
            }
        });
        (port, AbortOnDropHandle::new(task))
    }

    async fn answer(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut request = vec![0; 16 * 1024];
        let received = stream.read(&mut request).await;
        if received.is_err() || stream.write_all(&self.head).await.is_err() {
            return;
        }
        while stream.write_all(&self.piece).await.is_ok() {
            if !self.is_endless {
                let _ = stream.shutdown().await;
                return;
            }
        }
    }
}

/// 200 MB of zeros.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1_000_000];
    for _ in 0..200 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_from_servers_proxies_and_resolvers_take_no_memory() {
    const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    const RESOLVER: &str = "resolver.lab.test";
    let authority = Authority::new("Flood");
    let identity = authority.issue(&Leaf::for_name(RESOLVER));
    let fields: String = (0..30_000)
        .map(|index| format!("<input name=field{index}>"))
        .collect();
    let fields = format!("<form>{fields}</form>").into_bytes();
    let dns_message = format!("{OK}content-type: application/dns-message\r\n\r\n");
    let start = |flood: Flood| flood.start(None);
    let servers = [
        (
            "line",
            start(Flood::endless(&format!("{OK}x: "), b"a")).await,
        ),
        (
            "lines",
            start(Flood::endless(OK, b"x-name: value\r\n")).await,
        ),
        (
            "body",
            start(Flood::endless(&format!("{OK}\r\n"), b"<p>text</p>")).await,
        ),
        (
            "bomb",
            start(Flood::once(
                &format!("{OK}content-encoding: gzip\r\n\r\n"),
                bomb(),
            ))
            .await,
        ),
        (
            "fields",
            start(Flood::once(&format!("{OK}\r\n"), fields)).await,
        ),
        ("socks", start(Flood::endless("", b"\x05")).await),
        (
            "proxy",
            start(Flood::endless(&format!("{OK}x: "), b"a")).await,
        ),
        ("dns", start(Flood::endless("", b"\xff")).await),
        (
            "doh",
            Flood::endless(&dns_message, b"\0")
                .start(Some(&identity))
                .await,
        ),
    ];
    let mut modules = String::new();
    let mut targets = String::new();
    for (name, (port, _)) in &servers {
        let (module, url) = match *name {
            "socks" => (
                format!("proxy: \"socks5://127.0.0.1:{port}\""),
                "https://sso.lab.test/".to_owned(),
            ),
            "proxy" => (
                format!("proxy: \"http://127.0.0.1:{port}\""),
                "https://sso.lab.test/".to_owned(),
            ),
            "dns" => {
                let resolver = format!("tcp://127.0.0.1:{port}");
                (
                    format!("resolvers: [\"{resolver}\"], route: \"{resolver}\""),
                    "https://sso.lab.test/".to_owned(),
                )
            }
            "doh" => {
                let resolver = format!("https://{RESOLVER}@127.0.0.1:{port}/dns-query");
                (
                    format!(
                        "resolvers: [\"{resolver}\"], route: \"{resolver}\", tls: {{roots: [ca_file], ca_file: ca.pem}}"
                    ),
                    "https://sso.lab.test/".to_owned(),
                )
            }
            _ => (String::new(), format!("http://127.0.0.1:{port}/")),
        };
        modules.push_str(&format!(
            "  {name}: {{system_resolvers: ignore, page: {{form_fields: [password]}}, {module}}}\n"
        ));
        targets.push_str(&format!(
            "  - {{name: {name}, url: \"{url}\", module: {name}, allow_http: true}}\n"
        ));
    }
    let config = ConfigFile::new(&format!(
        "probe: {{interval: 1h, timeout: 5s}}\nmodules:\n{modules}targets:\n{targets}"
    ));
    std::fs::write(config.directory().join("ca.pem"), authority.root_pem()).unwrap();
    let exporter = Exporter::start(&[&config.argument()]).await;
    for (name, _) in &servers {
        for _ in 0..2 {
            let (status, text) = exporter.get(&format!("/probe?target={name}")).await;
            assert_eq!(status, 200, "{name}: {text}");
            let metrics = Metrics::parse(&text);
            assert_eq!(metrics.series["probe_success"], 0.0, "{name}: {text}");
        }
    }
    let bytes = peak_memory(&exporter);
    assert!(bytes < MAX_MEMORY_BYTES, "{bytes} bytes");
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_odd_targets_of_the_probe_endpoint_leave_nothing_behind() {
    const PROBES: usize = 6_000;
    let config = ConfigFile::new(
        "probe: {interval: 1h, timeout: 5s}\ntargets: []\nprobe_endpoint: {allowed_hosts: [127.0.0.0/8]}\n",
    );
    let exporter = Exporter::start(&[&config.argument()]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut before = None;
    for index in 0..PROBES {
        let target = match index % 4 {
            0 => format!(
                "https://127.1.{}.{}:1/{index}",
                index / 250 % 250,
                index % 250
            ),
            1 => format!("https://odd-{index}.lab.test/"),
            2 => format!("odd name {index}\n{HOSTILE}"),
            _ => format!("ftp://[{index}]:99999/{}", "x".repeat(index % 2_000)),
        };
        let mut url = url::Url::parse(&exporter.url("/probe")).unwrap();
        url.query_pairs_mut().append_pair("target", &target);
        let response = client.get(url).send().await.unwrap();
        response.bytes().await.unwrap();
        if index == PROBES / 10 {
            before = Some((
                exporter.metrics().await.series.len(),
                peak_memory(&exporter),
            ));
        }
    }
    let (series, bytes) = before.unwrap();
    assert_eq!(exporter.metrics().await.series.len(), series);
    let growth = peak_memory(&exporter) - bytes;
    assert!(growth < 4 * 1024 * 1024, "{growth} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_rotate_do_not_add_series() {
    let lab = Lab::start().await.expect("the lab starts");
    let rotate = |step: u8| {
        let addresses = [1, 2, 3, 4].map(|last| [127, 9, step, last].into());
        lab.name_server.answer(HOST, &addresses);
    };
    rotate(0);
    let config = ConfigFile::new(&probed_every_ten_seconds(&lab));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let mut series = Vec::new();
    for step in 1..=3 {
        rotate(step);
        let changes = "dns_answer_changes_total{target=\"sso\"}";
        let metrics = wait_for_metric(&exporter, changes, f64::from(step)).await;
        let address = format!("address=\"127.9.{step}.1\"");
        assert!(metrics.text.contains(&address), "{}", metrics.text);
        series.push(metrics.series.len());
    }
    assert_eq!(series[2], series[0], "{series:?}");
    // Only those of the latest answer.
    let metrics = exporter.metrics().await;
    assert!(!metrics.text.contains("127.9.1.1"), "{}", metrics.text);
    tokio::time::timeout(Duration::from_secs(60), exporter.terminate())
        .await
        .unwrap();
}
