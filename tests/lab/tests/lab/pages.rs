//! The login server's HTTP and page faults, seen by hyper over rustls.

use std::io::Read;
use std::time::{Duration, Instant, SystemTime};

use crate::client::{
    HelloSize, NAME, TIMEOUT, body, config, get, handshake_with, header, send, send_on,
    stays_pending,
};
use ccass_2fa_lab::{
    Authority, BOMB_SIZE, Encoding, HttpFault, Leaf, LoginServer, PageFault, TITLE,
};
use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn lab() -> (Authority, LoginServer) {
    let authority = Authority::new("CCASS Lab");
    let server = LoginServer::start(authority.issue(&Leaf::for_name(NAME)))
        .await
        .expect("the login server starts");
    (authority, server)
}

fn is_login_page(page: &[u8]) -> bool {
    let page = String::from_utf8_lossy(page);
    page.contains(&format!("<title>{TITLE}</title>"))
        && ["username", "password", "csrf_token"]
            .iter()
            .all(|field| page.contains(&format!("name=\"{field}\"")))
}

/// Sends a request over HTTP/1.1 and returns every byte that the server sends.
async fn raw(server: &LoginServer, authority: &Authority) -> std::io::Result<Vec<u8>> {
    let config = config(authority, HelloSize::Large, &["h2", "http/1.1"]);
    let mut stream = handshake_with(server.addr(), config).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream
        .write_all(b"GET /sso HTTP/1.1\r\nHost: sso.lab.test\r\n\r\n")
        .await?;
    let mut bytes = Vec::new();
    tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut bytes)).await??;
    Ok(bytes)
}

#[tokio::test]
async fn login_page_is_served_over_http_2_and_http_1() {
    let (authority, server) = lab().await;
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert_eq!(response.version(), hyper::Version::HTTP_2);
    assert_eq!(response.status(), StatusCode::OK);
    assert!(is_login_page(&body(response).await.expect("a page")));

    let http1 = config(&authority, HelloSize::Small, &["http/1.1"]);
    let stream = handshake_with(server.addr(), http1)
        .await
        .expect("a session");
    let response = send_on(stream, get("/sso")).await.expect("an answer");
    assert!(is_login_page(&body(response).await.expect("a page")));

    let seen = server.requests();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (seen[0].version.as_str(), seen[1].version.as_str()),
        ("HTTP/2.0", "HTTP/1.1")
    );
    assert_eq!((seen[0].connection, seen[1].connection), (1, 2));
    assert_eq!((seen[0].host.as_str(), seen[1].host.as_str()), (NAME, NAME));
    assert_eq!(seen[0].server_name.as_deref(), Some(NAME));
    assert_eq!(
        server.url(NAME, "/sso"),
        format!("https://{NAME}:{}/sso", server.addr().port())
    );
    assert!(server.violations().is_empty());
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let (authority, server) = lab().await;
    let response = send(server.addr(), &authority, get("/"))
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn configured_status_is_sent_with_its_headers() {
    let (authority, server) = lab().await;
    server.set_fault(HttpFault::Status(403));
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let headers = vec![("Retry-After".to_owned(), "120".to_owned())];
    server.set_fault(HttpFault::StatusWith(503, headers));
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), "120");
}

#[tokio::test]
async fn redirects_lead_to_a_url_in_a_loop_or_along_a_chain() {
    let (authority, server) = lab().await;
    server.set_fault(HttpFault::Redirect(
        307,
        "https://elsewhere.lab.test/".to_owned(),
    ));
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(header(&response, "location"), "https://elsewhere.lab.test/");

    server.set_fault(HttpFault::RedirectLoop);
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    let second = header(&response, "location").to_owned();
    assert_ne!(second, "/sso");
    let response = send(server.addr(), &authority, get(&second))
        .await
        .expect("an answer");
    assert_eq!(header(&response, "location"), "/sso");

    server.set_fault(HttpFault::RedirectChain(3));
    let mut path = "/sso".to_owned();
    for _ in 0..3 {
        let response = send(server.addr(), &authority, get(&path))
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::FOUND);
        path = header(&response, "location").to_owned();
    }
    let response = send(server.addr(), &authority, get(&path))
        .await
        .expect("an answer");
    assert!(is_login_page(&body(response).await.expect("a page")));
    assert!(server.violations().is_empty());
}

#[tokio::test]
async fn silence_reset_and_close_after_the_request_are_distinguishable() {
    let (authority, server) = lab().await;
    server.set_fault(HttpFault::SilentAfterRequest);
    let pending = raw(&server, &authority);
    assert!(stays_pending(pending, || server.requests().len() == 1).await);
    server.set_fault(HttpFault::ResetAfterRequest);
    let error = raw(&server, &authority).await.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    server.set_fault(HttpFault::CloseAfterRequest);
    assert!(raw(&server, &authority).await.expect("an end").is_empty());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn malformed_response_and_oversized_headers_fail_the_client() {
    let (authority, server) = lab().await;
    server.set_fault(HttpFault::Malformed);
    let error = send(server.addr(), &authority, get("/sso"))
        .await
        .expect_err("no HTTP");
    assert!(error.is_parse(), "{error:?}");
    server.set_fault(HttpFault::HeaderBomb);
    let error = send(server.addr(), &authority, get("/sso"))
        .await
        .expect_err("too large");
    assert!(error.is_parse_too_large(), "{error:?}");
}

#[tokio::test]
async fn date_header_is_skewed_by_the_configured_seconds() {
    let (authority, server) = lab().await;
    server.set_fault(HttpFault::DateSkew(-3600));
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    let date = httpdate::parse_http_date(header(&response, "date")).expect("a date");
    let behind = SystemTime::now().duration_since(date).expect("in the past");
    assert!((3590..3700).contains(&behind.as_secs()), "{behind:?}");
}

#[tokio::test]
async fn slow_answer_is_late_and_valid() {
    let (authority, server) = lab().await;
    let wait = Duration::from_millis(200);
    server.set_fault(HttpFault::Slow(wait));
    let start = Instant::now();
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert!(start.elapsed() >= wait);
    assert!(is_login_page(&body(response).await.expect("a page")));
}

#[tokio::test]
async fn configured_pages_are_served() {
    let (authority, server) = lab().await;
    for (fault, expected) in [
        (PageFault::Text("<p>later</p>".to_owned()), "<p>later</p>"),
        (PageFault::Empty, ""),
    ] {
        server.set_fault(fault);
        let response = send(server.addr(), &authority, get("/sso"))
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(body(response).await.expect("a page"), expected);
    }
    server.set_fault(PageFault::BlockPage);
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let page = body(response).await.expect("a page");
    assert!(String::from_utf8_lossy(&page).contains("Web Page Blocked"));
}

#[tokio::test]
async fn large_body_has_its_size_with_or_without_content_length() {
    const SIZE: u64 = 3_000_001;
    let (authority, server) = lab().await;
    server.set_fault(PageFault::TooLarge(SIZE));
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert_eq!(header(&response, "content-length"), SIZE.to_string());
    assert_eq!(body(response).await.expect("a body").len() as u64, SIZE);
    server.set_fault(PageFault::TooLargeUnannounced(SIZE));
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert_eq!(header(&response, "content-length"), "");
    assert_eq!(body(response).await.expect("a body").len() as u64, SIZE);
}

#[tokio::test]
async fn truncated_body_is_an_error_by_length_and_by_chunk() {
    let (authority, server) = lab().await;
    for fault in [PageFault::CutShort, PageFault::ChunkedCutShort] {
        server.set_fault(fault);
        let response = send(server.addr(), &authority, get("/sso"))
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let error = body(response).await.expect_err("cut short");
        let cause = std::error::Error::source(&error)
            .and_then(|cause| cause.downcast_ref::<std::io::Error>())
            .map(std::io::Error::kind);
        assert_eq!(cause, Some(std::io::ErrorKind::UnexpectedEof), "{error:?}");
    }
}

#[tokio::test]
async fn endless_body_starts_and_does_not_end() {
    let (authority, server) = lab().await;
    server.set_fault(PageFault::Endless);
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert!(stays_pending(body(response), || true).await);
}

#[tokio::test]
async fn gzip_bomb_is_small_on_the_wire_and_valid() {
    let (authority, server) = lab().await;
    server.set_fault(PageFault::GzipBomb);
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    assert_eq!(header(&response, "content-encoding"), "gzip");
    let bomb = body(response).await.expect("a body");
    assert!(bomb.len() < 1024 * 1024, "{}", bomb.len());
    // Reading to the end verifies the checksum and the length.
    let mut decoder = flate2::read::GzDecoder::new(bomb.as_ref());
    let size = std::io::copy(&mut decoder, &mut std::io::sink()).expect("valid gzip");
    assert_eq!(size, BOMB_SIZE);
}

#[tokio::test]
async fn encoded_pages_decode_to_the_login_page() {
    let (authority, server) = lab().await;
    for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli] {
        server.set_fault(PageFault::Encoded(encoding));
        let response = send(server.addr(), &authority, get("/sso"))
            .await
            .expect("an answer");
        assert_eq!(header(&response, "content-encoding"), encoding.name());
        let bytes = body(response).await.expect("a body");
        let mut decoder: Box<dyn Read> = match encoding {
            Encoding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes.as_ref())),
            Encoding::Deflate => Box::new(flate2::read::ZlibDecoder::new(bytes.as_ref())),
            Encoding::Brotli => {
                Box::new(brotli_decompressor::Decompressor::new(bytes.as_ref(), 4096))
            }
        };
        let mut page = Vec::new();
        decoder.read_to_end(&mut page).expect("a valid encoding");
        assert!(is_login_page(&page), "{encoding:?}");
    }
}

#[tokio::test]
async fn chunked_page_and_page_without_length_are_complete() {
    let (authority, server) = lab().await;
    for (fault, name, value) in [
        (PageFault::Chunked, "transfer-encoding", "chunked"),
        (PageFault::NoContentLength, "content-length", ""),
    ] {
        server.set_fault(fault);
        let response = send(server.addr(), &authority, get("/sso"))
            .await
            .expect("an answer");
        assert_eq!(header(&response, name), value);
        assert!(is_login_page(&body(response).await.expect("a page")));
    }
}

#[tokio::test]
async fn idle_connection_closes_when_the_fault_changes() {
    let (authority, server) = lab().await;
    let config = config(&authority, HelloSize::Small, &["http/1.1"]);
    let mut stream = handshake_with(server.addr(), config)
        .await
        .expect("a session");
    stream
        .write_all(b"GET /none HTTP/1.1\r\nHost: sso.lab.test\r\n\r\n")
        .await
        .expect("sent");
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.expect("an answer");
    server.set_fault(HttpFault::Status(500));
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut rest)).await;
    ended
        .expect("the connection did not end")
        .expect("an orderly end");
    assert!(rest.starts_with(b"TTP/1.1 404"));
}
