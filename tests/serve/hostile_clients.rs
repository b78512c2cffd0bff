//! Hostile clients, each while a well-behaved client goes on scraping: its scrapes are answered as
//! those of an exporter that nobody attacks, and the exporter stays small.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::exporter::{ConfigFile, Exporter};
use tokio::task::JoinSet;

use crate::assertions::{assert_contains, assert_lacks, excerpt};

pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Of resident memory, over the whole life of the process.
const MAX_MEMORY_BYTES: u64 = 64 * 1024 * 1024;
/// What the exporter promises for one listener.
const MAX_CONNECTIONS: usize = 256;
const SCRAPES: u32 = 10;

/// An exporter under attack and another, on the same machine at the same time, to compare it with.
pub struct Exporters {
    pub attacked: Exporter,
    undisturbed: Exporter,
    scraper: reqwest::Client,
    scheme: &'static str,
    _config: ConfigFile,
}

impl Exporters {
    async fn start() -> Self {
        let config = ConfigFile::new("targets: []\n");
        Self::start_with(config, &[], "http", reqwest::Client::builder()).await
    }

    /// With this configuration, these arguments and a client that trusts the exporters.
    pub async fn start_with(
        config: ConfigFile,
        arguments: &[&str],
        scheme: &'static str,
        scraper: reqwest::ClientBuilder,
    ) -> Self {
        let argument = config.argument();
        let arguments = [&[argument.as_str()], arguments].concat();
        let (attacked, undisturbed) =
            tokio::join!(Exporter::start(&arguments), Exporter::start(&arguments));
        Self {
            attacked,
            undisturbed,
            // A connection for each scrape: an attack must not keep new connections out.
            scraper: scraper
                .no_proxy()
                .pool_max_idle_per_host(0)
                .timeout(TIMEOUT)
                .build()
                .unwrap(),
            scheme,
            _config: config,
        }
    }

    /// Connects that many clients. The kernel keeps 128 connections until they are accepted, in their
    /// order: once a scrape is answered, the others were accepted too, and no client has to wait until
    /// the kernel repeats its SYN.
    async fn connect(&self, count: usize) -> Vec<TcpStream> {
        const BATCH: usize = 100;
        let mut streams = Vec::with_capacity(count);
        while streams.len() < count {
            let batch = BATCH.min(count - streams.len());
            streams.extend((0..batch).map(|_| connect(&self.attacked.address)));
            self.scrape(&self.attacked).await;
        }
        streams
    }

    /// Sends `bytes` on a new connection and returns what comes back until the exporter closes it.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let (address, bytes) = (self.attacked.address.clone(), bytes.to_vec());
        let exchange = tokio::task::spawn_blocking(move || {
            let mut stream = connect(&address);
            // The exporter may refuse the request before all of it is sent.
            let _ = stream.write_all(&bytes);
            read_until_closed(&mut stream)
        });
        exchange.await.unwrap()
    }

    /// Scrapes both exporters by turns: an attack may not cost more than ten times the undisturbed
    /// scrapes and a second. Then checks the memory.
    pub async fn assert_scrapes_unaffected(&self) {
        let (mut attacked, mut undisturbed) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..SCRAPES {
            undisturbed += self.scrape(&self.undisturbed).await;
            attacked += self.scrape(&self.attacked).await;
        }
        let limit = 10 * undisturbed + Duration::from_secs(1);
        assert!(
            attacked < limit,
            "{SCRAPES} scrapes took {attacked:?} under attack, {undisturbed:?} without: the limit is {limit:?}"
        );
        self.assert_memory();
    }

    /// Scrapes once and returns how long it took.
    async fn scrape(&self, exporter: &Exporter) -> Duration {
        let started = Instant::now();
        let url = format!("{}://{}/metrics", self.scheme, exporter.address);
        let request = self.scraper.get(url).send();
        let response = request.await.expect("a scrape is answered within 60 s");
        assert_eq!(response.status(), 200);
        let text = response.text().await.expect("a body within 60 s");
        let elapsed = started.elapsed();
        assert_contains("a scrape", &text, "ccass2fa_build_info");
        elapsed
    }

    /// Sends requests on many connections, whose responses stay unread.
    async fn send_without_reading(&self, clients: usize, requests: usize) -> Vec<TcpStream> {
        let mut streams = self.connect(clients).await;
        let requests = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(requests);
        for stream in &mut streams {
            stream.set_nonblocking(true).unwrap();
            let _ = stream.write(requests.as_bytes());
        }
        streams
    }

    /// Scrapes and returns the processor time that the exporter used meanwhile, which does not depend on
    /// the other programs that run.
    async fn cost_of_scrapes(&self, exporter: &Exporter) -> Duration {
        let before = cpu_times(exporter);
        for _ in 0..SCRAPES {
            self.scrape(exporter).await;
        }
        used_since(&before, exporter)
    }

    fn assert_memory(&self) {
        let bytes = peak_memory(&self.attacked);
        assert!(
            bytes < MAX_MEMORY_BYTES,
            "the exporter used {bytes} bytes of memory"
        );
    }

    /// How many files and sockets the attacked exporter has open.
    fn descriptors(&self) -> usize {
        let id = self.attacked.child.id().unwrap();
        std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
    }
}

/// The most resident memory that an exporter ever had, in bytes.
pub fn peak_memory(exporter: &Exporter) -> u64 {
    let id = exporter.child.id().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = peak.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.unwrap().parse::<u64>().unwrap() * 1024
}

pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// The processor time that each thread of an exporter has used. An idle one may end at any time.
fn cpu_times(exporter: &Exporter) -> BTreeMap<PathBuf, Duration> {
    let id = exporter.child.id().unwrap();
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let used = threads.map(|thread| {
        let path = thread.unwrap().path();
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        let nanoseconds = text.split(' ').next().unwrap_or_default();
        let used = Duration::from_nanos(nanoseconds.parse().unwrap_or(0));
        (path, used)
    });
    used.collect()
}

fn used_since(before: &BTreeMap<PathBuf, Duration>, exporter: &Exporter) -> Duration {
    let used = cpu_times(exporter).into_iter().map(|(thread, after)| {
        let before = before.get(&thread).copied().unwrap_or_default();
        after.saturating_sub(before)
    });
    used.sum()
}

fn read_until_closed(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!(
                "the exporter did not close the connection within {TIMEOUT:?}; it sent {} bytes",
                received.len()
            ),
            // A reset, since the exporter did not read all that was sent.
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&received).into_owned()
}

fn count_responses(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count() + text.matches("HTTP/1.0 ").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn slowloris_headers_time_out_while_scrapes_are_answered() {
    let exporters = Exporters::start().await;
    let mut slow = exporters.connect(200).await;
    for stream in &mut slow {
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .unwrap();
    }
    let started = Instant::now();
    let mut closed = 0;
    while closed < slow.len() {
        assert!(
            started.elapsed() < TIMEOUT,
            "{closed} of {} slow connections are closed after {TIMEOUT:?}",
            slow.len()
        );
        exporters.assert_scrapes_unaffected().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Another byte now and then does not extend the limit.
        closed = slow
            .iter_mut()
            .filter_map(|stream| stream.write_all(b"a").err())
            .count();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_body_that_never_ends_is_not_awaited() {
    let exporters = Exporters::start().await;
    // The rest of the body never comes, so that a response means that it was not awaited.
    let partial = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\na";
    let response = exporters.exchange(partial).await;
    assert!(
        response.starts_with("HTTP/1.1 405 "),
        "{}",
        excerpt(&response, "")
    );
    assert_eq!(count_responses(&response), 1);
    let expecting =
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    let response = exporters.exchange(expecting).await;
    assert_lacks("Expect: 100-continue", &response, "100 Continue");
    exporters.assert_scrapes_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_idle_connections_does_not_keep_a_scraper_out() {
    let exporters = Exporters::start().await;
    let _idle = exporters.connect(600).await;
    exporters.assert_scrapes_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_displace_each_other_and_not_the_scraper() {
    raise_descriptor_limit();
    let exporters = Exporters::start().await;
    let before = exporters.descriptors();
    let mut idle = Vec::new();
    for _ in 0..10 {
        idle.extend(exporters.connect(1_000).await);
        exporters.assert_scrapes_unaffected().await;
    }
    let open = exporters.descriptors().saturating_sub(before);
    assert!(
        open <= MAX_CONNECTIONS + 16,
        "{open} of 10000 idle connections are open"
    );
}

/// This process has one end of each connection, and other tests run in it at the same time.
fn raise_descriptor_limit() {
    const NEEDED: u32 = 16_384;
    let id = std::process::id().to_string();
    let raised = std::process::Command::new("prlimit")
        .args(["--pid", &id, &format!("--nofile={NEEDED}:")])
        .output()
        .expect("prlimit, of util-linux, starts");
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    assert!(
        raised.status.success(),
        "this test needs {NEEDED} open files and the hard limit is lower; raise it (ulimit -Hn):\n{}{}",
        excerpt(&limits, "Max open files"),
        String::from_utf8_lossy(&raised.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_framing_does_not_smuggle_a_second_request() {
    let exporters = Exporters::start().await;
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
        let received = exporters
            .exchange(format!("{first}{second}").as_bytes())
            .await;
        assert_lacks(name, &received, "\nhealthy");
        let count = count_responses(&received);
        assert!(count <= 1, "{name}: {count} responses");
    }
    exporters.assert_scrapes_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_request_heads_are_refused() {
    let exporters = Exporters::start().await;
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
        let response = exporters.exchange(request.as_bytes()).await;
        // Empty where the connection is reset before the client reads the response.
        let refused = ["", "HTTP/1.1 400 ", "HTTP/1.1 414 ", "HTTP/1.1 431 "];
        let status = response.get(..13).unwrap_or_default();
        assert!(refused.contains(&status), "{name}: {status}");
    }
    exporters.assert_scrapes_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_lead_to_no_file_and_to_no_other_host() {
    let exporters = Exporters::start().await;
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
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let response = exporters.exchange(request.as_bytes()).await;
        let refused =
            response.starts_with("HTTP/1.1 404 ") || response.starts_with("HTTP/1.1 400 ");
        assert!(refused, "{target}: {}", excerpt(&response, ""));
        assert_lacks(target, &response, "root:");
    }
    let response = exporters
        .exchange(b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        response.starts_with("HTTP/1.1 40"),
        "CONNECT: {}",
        excerpt(&response, "")
    );
    exporters.assert_scrapes_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let exporters = Exporters::start().await;
    let mut requests =
        "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
            .repeat(25);
    requests.push_str("GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let responses = exporters.exchange(requests.as_bytes()).await;
    let statuses: Vec<&str> = responses
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &responses[at + 9..at + 12])
        .collect();
    let expected = [["200", "404"]; 25].concat();
    assert_eq!(statuses, [expected, vec!["200"]].concat());
    exporters.assert_scrapes_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_and_upgrades_are_refused() {
    let exporters = Exporters::start().await;
    for (name, bytes) in [
        ("garbage", &b"\x00\xff\xfe\x01what\r\n\r\n"[..]),
        (
            "a ClientHello",
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n",
        ),
        ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        let response = exporters.exchange(bytes).await;
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 400 "),
            "{name}: {}",
            excerpt(&response, "")
        );
    }
    for (request, status) in [
        (
            "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
            "200",
        ),
        (
            "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n",
            "200",
        ),
        (
            "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "200",
        ),
        (
            "DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "405",
        ),
    ] {
        let response = exporters.exchange(request.as_bytes()).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:?}: {}",
            excerpt(&response, "")
        );
        assert_lacks(request, &response, "# HELP");
    }
    exporters.assert_scrapes_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_do_not_delay_others() {
    let exporters = Exporters::start().await;
    // More responses than the buffers of the kernel take: the exporter works until it waits for them.
    let _unread = exporters.send_without_reading(2, 1_000).await;
    let mut before = BTreeMap::new();
    let blocked = async {
        while used_since(&before, &exporters.attacked) > Duration::from_millis(2) {
            before = cpu_times(&exporters.attacked);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let blocked = tokio::time::timeout(2 * TIMEOUT, blocked).await;
    blocked.expect("the exporter is idle within 120 s");
    exporters.assert_scrapes_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_with_many_pipelined_requests_take_turns_with_others() {
    const CLIENTS: u32 = 100;
    let exporters = Exporters::start().await;
    let undisturbed = exporters.cost_of_scrapes(&exporters.undisturbed).await;
    let _unread = exporters.send_without_reading(CLIENTS as usize, 200).await;
    let attacked = exporters.cost_of_scrapes(&exporters.attacked).await;
    // Until a scrape is answered, two requests of each of the others may be, but not all of them.
    let limit = 2 * CLIENTS * undisturbed;
    assert!(
        attacked < limit,
        "{SCRAPES} scrapes used {attacked:?} of processor time, {undisturbed:?} without other \
         clients: the limit is {limit:?}"
    );
    exporters.assert_memory();
}

/// Wrong passwords from one address wait in the queue of that address, or are refused.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_client_does_not_starve_the_first_scrape_of_another() {
    let config = ConfigFile::new("targets: []");
    let hash = bcrypt::hash("right", 8).unwrap();
    let web = config.directory().join("web.yml");
    std::fs::write(&web, format!("basic_auth_users: {{alice: \"{hash}\"}}\n")).unwrap();
    let web = format!("--web.config.file={}", web.display());
    let exporter = Exporter::start(&[&config.argument(), &web]).await;
    let client = |address: [u8; 4]| {
        reqwest::Client::builder()
            .no_proxy()
            .local_address(IpAddr::from(address))
            .build()
            .expect("a client")
    };
    let attacker = client([127, 0, 0, 2]);
    let mut guesses = JoinSet::new();
    for guess in 0..200 {
        let request = attacker.get(exporter.url("/metrics"));
        let request = request.basic_auth("alice", Some(format!("wrong {guess}")));
        guesses.spawn(async move { request.send().await.expect("a response").status() });
    }
    let first = guesses.join_next().await.expect("a guess").unwrap();
    assert!([401, 429].contains(&first.as_u16()), "{first}");
    let scraper = client([127, 0, 0, 1]).get(exporter.url("/metrics"));
    let response = scraper.basic_auth("alice", Some("right")).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    let mut refused = 0;
    while let Some(status) = guesses.join_next().await {
        match status.unwrap().as_u16() {
            401 => {}
            429 => refused += 1,
            other => panic!("a guess was answered with {other}"),
        }
    }
    assert!(refused > 0, "every guess was hashed");
}
