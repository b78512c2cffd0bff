//! Hostile clients, each while a well-behaved one goes on scraping: it is answered within a second,
//! and the exporter stays small.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::exporter::{ConfigFile, Exporter};

const LIMIT: Duration = Duration::from_secs(30);
/// Of resident memory, over the whole life of the process.
const MOST_MEMORY: u64 = 64 * 1024 * 1024;

struct Site {
    exporter: Exporter,
    _config: ConfigFile,
}

impl Site {
    async fn start() -> Self {
        let config = ConfigFile::new("targets: []\n");
        let exporter = Exporter::start(&[&config.argument()]).await;
        Self {
            exporter,
            _config: config,
        }
    }

    fn connect(&self) -> TcpStream {
        connect(&self.exporter.address)
    }

    /// What comes back on a connection of its own, up to its end.
    async fn says(&self, bytes: &[u8]) -> String {
        let (address, bytes) = (self.exporter.address.clone(), bytes.to_vec());
        let said = tokio::task::spawn_blocking(move || {
            let mut stream = connect(&address);
            // It may be cut off before it has said all.
            let _ = stream.write_all(&bytes);
            let mut answer = Vec::new();
            let mut piece = [0; 4096];
            while let Ok(count) = stream.read(&mut piece) {
                if count == 0 {
                    break;
                }
                answer.extend_from_slice(&piece[..count]);
            }
            String::from_utf8_lossy(&answer).into_owned()
        });
        said.await.unwrap()
    }

    /// Scrapes ten times, each within a second, and looks at the memory.
    async fn goes_on(&self) {
        for _ in 0..10 {
            let watch = Instant::now();
            let (status, text) = self.exporter.get("/metrics").await;
            let seconds = watch.elapsed().as_secs_f64();
            assert_eq!(status, 200);
            assert!(text.contains("ccass2fa_build_info"), "{text}");
            assert!(seconds < 1.0, "a scrape took {seconds} s");
        }
        let id = self.exporter.child.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kilobytes * 1024 < MOST_MEMORY, "{kilobytes} kB");
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// How many responses there are in what came back.
fn responses(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count() + text.matches("HTTP/1.0 ").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_never_end_are_cut_and_scrapes_go_on() {
    let site = Site::start().await;
    let mut slow: Vec<TcpStream> = (0..200).map(|_| site.connect()).collect();
    for stream in &mut slow {
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .unwrap();
    }
    let begun = Instant::now();
    let mut cut = 0;
    while cut < slow.len() {
        assert!(begun.elapsed() < LIMIT, "{cut} of {} are cut", slow.len());
        site.goes_on().await;
        // A byte now and then does not help them.
        cut = slow
            .iter_mut()
            .filter_map(|stream| stream.write_all(b"a").err())
            .count();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_answered_at_once_and_not_waited_for() {
    let site = Site::start().await;
    let head = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\na";
    let watch = Instant::now();
    let said = site.says(head).await;
    assert!(said.starts_with("HTTP/1.1 405 "), "{said}");
    assert_eq!(responses(&said), 1);
    assert!(
        watch.elapsed() < Duration::from_secs(15),
        "{:?}",
        watch.elapsed()
    );
    let expecting =
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    let said = site.says(expecting).await;
    assert!(!said.contains("100 Continue"), "{said}");
    site.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_push_out_each_other_and_not_the_scraper() {
    // All of them are kept open on this side.
    let id = std::process::id().to_string();
    let raised = std::process::Command::new("prlimit")
        .args(["--pid", &id, "--nofile=16384:"])
        .status();
    assert!(raised.expect("util-linux").success(), "too few descriptors");
    let site = Site::start().await;
    let mut idle = Vec::new();
    for count in 0..10_000 {
        idle.push(site.connect());
        if count % 1_000 == 999 {
            site.goes_on().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_of_a_request_smuggles_a_second_one_past_the_first() {
    let site = Site::start().await;
    let second = "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for (name, first) in [
        (
            "both lengths",
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "two lengths",
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        ),
        (
            "a length with a sign",
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n",
        ),
        (
            "a folded line",
            "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a space before the colon",
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n",
        ),
        (
            "a bad chunk",
            "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ),
        (
            "an unknown coding",
            "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a body that hides it",
            &format!(
                "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                second.len() + 100
            ),
        ),
    ] {
        let said = site.says(format!("{first}{second}").as_bytes()).await;
        assert!(!said.contains("\nhealthy"), "{name}: {said}");
        assert!(responses(&said) <= 1, "{name}: {said}");
    }
    site.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_are_refused() {
    let site = Site::start().await;
    let one = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Bomb: {}\r\n\r\n",
        "b".repeat(100_000)
    );
    let many = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X-A: b\r\n".repeat(1_000)
    );
    let query = format!(
        "GET /metrics?{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "q".repeat(1 << 20)
    );
    let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "p".repeat(1 << 20));
    for (name, request) in [
        ("one header", one),
        ("many headers", many),
        ("a query", query),
        ("a path", path),
    ] {
        let said = site.says(request.as_bytes()).await;
        let refused = ["", "HTTP/1.1 400 ", "HTTP/1.1 414 ", "HTTP/1.1 431 "];
        let status = said.get(..13).unwrap_or_default();
        assert!(refused.contains(&status), "{name}: {said}");
    }
    site.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_to_a_file_or_to_another_host() {
    let site = Site::start().await;
    for target in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/metrics/../../etc/passwd",
        "/metrics/",
        "/metrics%00",
        "/..%2f..%2fetc%2fpasswd",
        "http://169.254.169.254/latest/meta-data/",
        "*",
    ] {
        let said = site
            .says(
                format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
            )
            .await;
        let refused = said.starts_with("HTTP/1.1 404 ") || said.starts_with("HTTP/1.1 400 ");
        assert!(refused, "{target}: {said}");
        assert!(!said.contains("root:"), "{target}: {said}");
    }
    let said = site
        .says(b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(said.starts_with("HTTP/1.1 40"), "{said}");
    site.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_in_one_write_are_answered_in_their_order() {
    let site = Site::start().await;
    let mut text =
        "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
            .repeat(25);
    text.push_str("GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let said = site.says(text.as_bytes()).await;
    let told: Vec<&str> = said
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &said[at + 9..at + 12])
        .collect();
    let expected = [["200", "404"]; 25].concat();
    assert_eq!(told, [expected, vec!["200"]].concat());
    site.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_let_go_and_upgrades_are_not_made() {
    let site = Site::start().await;
    for (name, bytes) in [
        ("garbage", &b"\x00\xff\xfe\x01what\r\n\r\n"[..]),
        (
            "a ClientHello",
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n",
        ),
        ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        let said = site.says(bytes).await;
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 400 "),
            "{name}: {said}"
        );
    }
    for upgrade in ["websocket", "h2c"] {
        let said = site
            .says(format!("GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: {upgrade}\r\n\r\n").as_bytes())
            .await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{upgrade}: {said}");
    }
    let said = site
        .says(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        said.starts_with("HTTP/1.1 200 ") && !said.contains("# HELP"),
        "{said}"
    );
    let said = site
        .says(b"DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(said.starts_with("HTTP/1.1 405 "), "{said}");
    site.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_do_not_keep_others_waiting() {
    let site = Site::start().await;
    let mut deaf: Vec<TcpStream> = (0..100).map(|_| site.connect()).collect();
    // Many requests at once, until the answers fill what the system keeps between the two.
    let asks = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
    for stream in &mut deaf {
        stream.set_nonblocking(true).unwrap();
        let _ = stream.write(asks.as_bytes());
    }
    site.goes_on().await;
}
