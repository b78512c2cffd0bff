//! What the probe reads from servers and resolvers, given as bytes; panics if a limit does not hold.

use std::cell::OnceCell;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cookie_store::CookieStore;
use hickory_proto::op::Message;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;

use super::http::{self, GetRequest, Protocol};
use super::page::Page;
use super::trust::chain_case::ChainCase;
use super::{MAX_CHAIN, MAX_TEXT, dns, redirect};
use crate::clock::{Clock, TimeLimit};
use crate::config::{Config, PageChecks, Target};
use crate::redact::contains_email;
use crate::report::{
    AnsweredBy, DnsFacts, Handshake, Hop, Layer, LayerName, LayerResult, PageVerdict, Report,
    TlsFacts, Verdict,
};
use crate::terminal::is_unsafe;

/// Small, so that a body reaches it soon.
const MAX_BODY: usize = 16 * 1024;
const CONFIGURATION: &str = "
modules:
  login_page:
    http: {max_body: 16KiB, allowed_hosts: [idp.example.com]}
    page:
      title: CCASS
      contains: [login]
      matches: ['[a-z]+@']
      text_contains: [Please log in]
      form_fields: [username]
targets:
  - {name: sso, url: 'https://sso.example.com/sso'}
";

static CONFIG: LazyLock<Config> =
    LazyLock::new(|| Config::parse(CONFIGURATION, Path::new("fuzzing")).expect("a configuration"));

thread_local! {
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

fn target() -> Arc<Target> {
    Arc::clone(CONFIG.targets.named("sso").expect("the target"))
}

/// A server that sends these bytes, a few at a time, once it has a request, and then closes.
struct Script {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
    has_request: bool,
    reader: Option<Waker>,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.has_request {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let piece = self.piece.min(buffer.remaining());
        let end = self.bytes.len().min(self.at + piece);
        buffer.put_slice(&self.bytes[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.has_request = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A response over HTTP/1.1.
pub(crate) fn http1(data: &[u8]) -> Report {
    exchange(data, Protocol::Http1)
}

/// The frames of a server over HTTP/2.
pub(crate) fn http2(data: &[u8]) -> Report {
    exchange(data, Protocol::Http2)
}

/// A body with the content codings that the first byte selects.
pub(crate) fn body(data: &[u8]) -> Report {
    const CODINGS: [&str; 8] = [
        "gzip",
        "deflate",
        "br",
        "gzip, gzip",
        "br, deflate",
        "identity, x-gzip",
        "gzip, br, deflate, gzip",
        "zstd",
    ];
    let (first, body) = data.split_first().unwrap_or((&0, &[]));
    let coding = CODINGS[usize::from(*first) % CODINGS.len()];
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nConnection: close\r\n\r\n");
    exchange(&[head.as_bytes(), body].concat(), Protocol::Http1)
}

fn exchange(data: &[u8], protocol: Protocol) -> Report {
    let target = target();
    let script = Script {
        bytes: data.to_vec(),
        at: 0,
        piece: 1 + data.len() % 4096,
        has_request: false,
        reader: None,
    };
    let request = GetRequest {
        url: &target.url,
        policy: &target.module.http,
        protocol,
        answered_by: AnsweredBy::default(),
        limit: TimeLimit::starting_now(Duration::from_secs(5)),
        clock: Clock::Fixed(Timestamp::from_second(1_795_000_000).expect("a time")),
    };
    let mut cookies = CookieStore::default();
    let (layer, result) = RUNTIME.with(|runtime| {
        let runtime = runtime.get_or_init(|| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().expect("a runtime")
        });
        runtime.block_on(http::get(script, &request, &mut cookies))
    });
    let reason = result.as_ref().err().map(|error| error.reason);
    assert_eq!(layer.failure, reason);
    assert!(reason.is_none_or(|reason| reason.layer() == LayerName::Http));
    for text in [
        &layer.facts.server,
        &layer.facts.location,
        &layer.facts.content_type,
    ] {
        text.as_deref().into_iter().for_each(check_text);
    }
    let mut page = Layer::NotReached;
    if let Ok(received) = result {
        assert!(received.body.len() <= MAX_BODY);
        assert!(layer.facts.body_bytes <= MAX_BODY as u64);
        if let Some(location) = &received.redirect
            && let Ok(next) = redirect::next(&target.url, location, &target)
        {
            assert_eq!(next.scheme(), "https");
            assert!(matches!(
                next.host_str(),
                Some("sso.example.com" | "idp.example.com")
            ));
        }
        let read = Page::parse(received.body, received.content_type.as_deref());
        page = Layer::Done(read_page(&read));
    }
    report(
        Hop {
            http: Layer::Done(layer),
            ..hop()
        },
        page,
    )
}

/// A page; its first line is the charset of the header.
pub(crate) fn page(data: &[u8]) -> Report {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = data.split_at(end);
    let content_type = String::from_utf8_lossy(head);
    let content_type = format!("text/html; charset={content_type}");
    let page = Page::parse(body.to_vec(), Some(&content_type));
    report(hop(), Layer::Done(read_page(&page)))
}

fn read_page(page: &Page) -> LayerResult<crate::report::PageFacts> {
    let unchecked = page.evaluate(&PageChecks::default());
    assert_eq!(unchecked.failure, None);
    unchecked.facts.texts.iter().for_each(check_text);
    let layer = page.evaluate(&target().module.page);
    let facts = &layer.facts;
    facts.title.as_deref().into_iter().for_each(check_text);
    facts.form_fields.iter().for_each(check_text);
    assert_eq!(
        layer.failure.is_none(),
        facts.checks.iter().all(|check| check.passed)
    );
    layer
}

/// A DNS message.
pub(crate) fn dns_answer(data: &[u8]) -> Report {
    let mut facts = DnsFacts::default();
    if let Ok(message) = Message::from_vec(data) {
        let mut lookup = crate::report::Lookup {
            resolver: "udp://192.0.2.1:53".to_owned(),
            ..Default::default()
        };
        dns::read_answer(&mut lookup, &message);
        assert!(lookup.answers.len() <= 64 && lookup.cnames.len() <= 16);
        lookup.cnames.iter().for_each(check_text);
        facts.lookups = vec![lookup];
    }
    let layer = LayerResult {
        duration: Duration::ZERO,
        failure: None,
        facts,
    };
    report(
        Hop {
            dns: Layer::Done(layer),
            ..hop()
        },
        Layer::NotReached,
    )
}

/// A chain of certificates: what we trust, rustls-webpki trusts.
pub(crate) fn certificates(data: &[u8]) -> Report {
    super::tls::prepare();
    let Some(case) = ChainCase::parse(data) else {
        return report(hop(), Layer::NotReached);
    };
    let result = case.judged("sso.example.com", &target().module.tls);
    if result.trust.iter().any(|one| one.trusted) {
        assert_eq!(case.judged_by_webpki(), Ok(()));
    }
    assert!(result.chain.len() <= MAX_CHAIN);
    for one in &result.chain {
        assert!(one.names.len() <= 64);
        [
            &one.subject,
            &one.issuer,
            &one.subject_rfc2253,
            &one.key,
            &one.signature,
            &one.serial,
        ]
        .into_iter()
        .chain(&one.names)
        .chain(&one.issuer_names)
        .for_each(check_text);
    }
    let handshake = Handshake {
        address: [192, 0, 2, 1].into(),
        duration: Duration::ZERO,
        failure: result.failure,
        detail: result.detail,
        version: None,
        cipher: None,
        key_exchange: None,
        alpn: None,
        alert: None,
        chain: result.chain,
        fetched: result.fetched,
        trust: result.trust,
        ocsp_stapled: false,
        pin_matched: result.pin_matched,
        interception: result.interception,
        spare: result.spare,
        outside_dates: result.outside_dates,
        large_hello_dropped: false,
    };
    let facts = TlsFacts {
        handshakes: vec![handshake],
        chosen: None,
    };
    let layer = LayerResult {
        duration: Duration::ZERO,
        failure: result.failure,
        facts,
    };
    report(
        Hop {
            tls: Layer::Done(layer),
            ..hop()
        },
        Layer::NotReached,
    )
}

fn check_text(text: impl AsRef<str>) {
    let text = text.as_ref();
    assert!(text.chars().count() <= MAX_TEXT, "{text:?}");
    assert!(!text.chars().any(is_unsafe), "{text:?}");
    assert!(!contains_email(text), "{text:?}");
}

fn hop() -> Hop {
    let url = target().url.to_string();
    Hop {
        url,
        host: "sso.example.com".to_owned(),
        ..Hop::default()
    }
}

fn report(hop: Hop, page: Layer<crate::report::PageFacts>) -> Report {
    let target = target();
    let hops = vec![hop];
    Report {
        target: target.name.clone(),
        url: target.url.to_string(),
        role: target.role,
        module: target.module.name.clone(),
        expect: target.expect,
        group: None,
        site: None,
        started: Timestamp::UNIX_EPOCH,
        duration: Duration::ZERO,
        timeout: target.timeout,
        verdict: Verdict::Good {
            page: PageVerdict::Unchecked,
        },
        findings: super::findings::of(&hops, &target.module, false),
        browser: None,
        browser_not_started: None,
        hops,
        page,
    }
}
