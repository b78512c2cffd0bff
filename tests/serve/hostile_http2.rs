//! Hostile clients that speak TLS and HTTP/2, frame by frame, while a well-behaved client goes on scraping.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use ccass_2fa_lab::{Authority, Leaf};
use harness::exporter::ConfigFile;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::hostile_clients::{Exporters, connect};

type Session = StreamOwned<ClientConnection, TcpStream>;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// GET https://localhost/metrics in HPACK: by numbers of the static table, and literals that are not added to
/// the other one.
const REQUEST: &[u8] = b"\x82\x87\x04\x08/metrics\x01\x09localhost";
/// More than any limit allows, and little enough for a second of a slow machine.
const FRAMES: u32 = 50_000;

struct Attack {
    exporters: Exporters,
    authority: Authority,
}

impl Attack {
    /// Both exporters listen with TLS; `web` is added to that section of their configuration,
    /// which may name the authority's root as `ca.crt`.
    async fn start(web: &str) -> Self {
        let authority = Authority::new("Hostile");
        let config = ConfigFile::new("targets: []\n");
        let directory = config.directory();
        let leaf = Leaf::for_name("localhost").also("127.0.0.1");
        let (certificate, key) = authority.issue(&leaf).write_pem(directory).unwrap();
        let client = Leaf::for_name("scraper").of_a_client();
        let client = authority.issue(&client);
        std::fs::write(directory.join("ca.crt"), authority.root_pem()).unwrap();
        let path = directory.join("web-config.yml");
        let text = format!(
            "tls_server_config:\n  cert_file: {}\n  key_file: {}\n{web}",
            certificate.display(),
            key.display()
        );
        std::fs::write(&path, text).unwrap();
        let flag = format!("--web.config.file={}", path.display());
        let mut scraper = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_der(&authority.root_der()).unwrap()]);
        if !web.is_empty() {
            let stem = directory.join("client");
            std::fs::create_dir(&stem).unwrap();
            let (certificate, key) = client.write_pem(&stem).unwrap();
            let mut pem = std::fs::read(certificate).unwrap();
            pem.extend(std::fs::read(key).unwrap());
            scraper = scraper.identity(reqwest::Identity::from_pem(&pem).unwrap());
        }
        Self {
            exporters: Box::pin(Exporters::start_with(config, &[&flag], "https", scraper)).await,
            authority,
        }
    }

    fn client_config(
        &self,
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.root_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }

    /// Runs `attack` on an HTTP/2 connection in a thread while scrapes are measured, and returns what it
    /// returns.
    async fn run<T: Send + 'static>(
        &self,
        attack: impl FnOnce(Session) -> T + Send + 'static,
    ) -> T {
        let mut config = self.client_config().with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let address = self.exporters.attacked.address.clone();
        let attack = tokio::task::spawn_blocking(move || {
            let name = ServerName::try_from("localhost").unwrap();
            let tls = ClientConnection::new(Arc::new(config), name).unwrap();
            let mut session = StreamOwned::new(tls, connect(&address));
            session
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                .unwrap();
            session.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
            attack(session)
        });
        self.exporters.assert_scrapes_unaffected().await;
        let result = attack.await.unwrap();
        self.exporters.assert_scrapes_unaffected().await;
        result
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Sends frames until the exporter closes the connection. Returns whether it did.
fn is_closed_within(session: &mut Session, frames: impl Iterator<Item = Vec<u8>>) -> bool {
    for frame in frames {
        if session.write_all(&frame).is_err() {
            return true;
        }
    }
    is_closed(session)
}

/// Reads to the end, which the exporter's limit for idle connections brings at the latest; whether it came
/// with a reset or an error of HTTP/2 (GOAWAY with a code other than 0).
fn is_closed(session: &mut Session) -> bool {
    let mut received = Vec::new();
    let is_reset = session.read_to_end(&mut received).is_err();
    let is_error = |(kind, payload): &(u8, &[u8])| *kind == GOAWAY && payload[4..8] != [0; 4];
    is_reset || frames(&received).iter().any(is_error)
}

/// The types and payloads of the whole frames in `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, rest)) = after.split_at_checked(length) else {
            break;
        };
        frames.push((*kind, payload));
        bytes = rest;
    }
    frames
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread")]
async fn client_that_resets_its_streams_rapidly_is_disconnected() {
    let attack = Attack::start("").await;
    let closed = attack.run(|mut session| {
        let frames = (0..FRAMES).map(|index| {
            let stream = 2 * index + 1;
            let mut frames = frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST);
            frames.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            frames
        });
        is_closed_within(&mut session, frames)
    });
    assert!(closed.await, "{FRAMES} streams were opened and reset");
}

/// CVE-2024-27316 and others.
#[tokio::test(flavor = "multi_thread")]
async fn head_that_continues_without_end_is_refused() {
    let attack = Attack::start("").await;
    let closed = attack.run(|mut session| {
        // A literal header, not indexed, with an empty value, over and over.
        let fields = b"\x00\x03abc\x00".repeat(1_000);
        let first = frame(HEADERS, END_STREAM, 1, REQUEST);
        let rest = (0..FRAMES).map(|_| frame(CONTINUATION, 0, 1, &fields));
        is_closed_within(&mut session, std::iter::once(first).chain(rest))
    });
    assert!(closed.await, "{FRAMES} frames continued a head");
}

/// One header of 3 kB enters HPACK's table and is then named by one byte each time: 35 MB in 15 kB.
#[tokio::test(flavor = "multi_thread")]
async fn compressed_head_is_not_expanded_beyond_the_limit() {
    const STATUS_200: u8 = 0x88;
    let attack = Attack::start("").await;
    let statuses = attack.run(|mut session| {
        let mut block = REQUEST.to_vec();
        // A literal with a new name, added to the table, whose value has 127 + 1 + 22 * 128 bytes.
        block.extend(b"\x40\x01a\x7f\x81\x16");
        block.extend([b'x'; 2_944]);
        block.extend([0xbe; 12_000]);
        let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block);
        session.write_all(&head).unwrap();
        let mut received = Vec::new();
        let mut buffer = [0; 4_096];
        while !frames(&received)
            .iter()
            .any(|(kind, _)| [HEADERS, RST_STREAM, GOAWAY].contains(kind))
        {
            match session.read(&mut buffer) {
                Ok(count) if count > 0 => received.extend(&buffer[..count]),
                _ => break,
            }
        }
        let heads = frames(&received)
            .into_iter()
            .filter(|(kind, _)| *kind == HEADERS);
        heads.map(|(_, block)| block[0]).collect::<Vec<u8>>()
    });
    assert!(!statuses.await.contains(&STATUS_200));
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_whose_answers_are_never_read_do_not_pile_up() {
    let attack = Attack::start("").await;
    attack
        .run(|mut session| {
            session.sock.set_nonblocking(true).unwrap();
            for _ in 0..FRAMES {
                if session.write_all(&frame(PING, 0, 0, &[0; 8])).is_err() {
                    break;
                }
            }
        })
        .await;
}

/// The window stays closed, so that no answer can be sent.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_no_window_admits_take_no_memory() {
    let attack = Attack::start("").await;
    attack
        .run(|mut session| {
            const INITIAL_WINDOW_SIZE: [u8; 6] = [0, 4, 0, 0, 0, 0];
            let _ = session.write_all(&frame(SETTINGS, 0, 0, &INITIAL_WINDOW_SIZE));
            for index in 0..1_000 {
                let head = frame(HEADERS, END_STREAM | END_HEADERS, 2 * index + 1, REQUEST);
                if session.write_all(&head).is_err() {
                    break;
                }
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates_of_a_megabyte_are_refused() {
    let attack =
        Attack::start("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n")
            .await;
    let identity = attack
        .authority
        .issue(&Leaf::for_name("scraper").of_a_client());
    let filler = CertificateDer::from(attack.authority.root_der().as_ref().to_vec());
    let mut chain = identity.chain.clone();
    while chain.iter().map(|one| one.len()).sum::<usize>() < 1 << 20 {
        chain.push(filler.clone());
    }
    let config = attack
        .client_config()
        .with_client_auth_cert(chain, identity.key)
        .unwrap();
    let address = attack.exporters.attacked.address.clone();
    let refused = tokio::task::spawn_blocking(move || {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut session = StreamOwned::new(tls, connect(&address));
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        let _ = session.write_all(request);
        let is_closed = session.read_to_end(&mut answer).is_err();
        is_closed && answer.is_empty()
    });
    attack.exporters.assert_scrapes_unaffected().await;
    assert!(refused.await.unwrap());
    attack.exporters.assert_scrapes_unaffected().await;
}
