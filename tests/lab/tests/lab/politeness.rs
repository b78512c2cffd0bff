//! What the login server records as a violation: requests that a client must never send.

use crate::client::{NAME, body, get, handshake, header, send};
use bytes::Bytes;
use ccass_2fa_lab::{Authority, HttpFault, Leaf, LoginServer};
use http_body_util::Full;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};

async fn lab() -> (Authority, LoginServer) {
    let authority = Authority::new("CCASS Lab");
    let server = LoginServer::start(authority.issue(&Leaf::for_name(NAME)))
        .await
        .expect("the login server starts");
    (authority, server)
}

/// The one violation recorded for `request`.
async fn violation(request: hyper::http::request::Builder) -> String {
    let (authority, server) = lab().await;
    send(server.addr(), &authority, request)
        .await
        .expect("an answer");
    let violations = server.violations();
    assert_eq!(violations.len(), 1, "{violations:?}");
    violations[0].clone()
}

#[tokio::test]
async fn plain_get_is_no_violation() {
    let (authority, server) = lab().await;
    let request = get("/sso")
        .header("user-agent", "lab")
        .header("content-length", "0");
    send(server.addr(), &authority, request)
        .await
        .expect("an answer");
    assert!(server.violations().is_empty(), "{:?}", server.violations());
}

#[tokio::test]
async fn other_method_is_a_violation() {
    let found = violation(Request::builder().method("HEAD").uri("/sso")).await;
    assert!(found.contains("a method other than GET"), "{found}");
}

#[tokio::test]
async fn credentials_are_violations() {
    for name in ["authorization", "proxy-authorization"] {
        let found = violation(get("/sso").header(name, "Basic bGFiOmxhYg==")).await;
        assert!(found.contains(name), "{found}");
    }
}

#[tokio::test]
async fn form_fields_in_the_query_are_a_violation() {
    let found = violation(get("/sso?username=lab&x=1")).await;
    assert!(found.contains("a form in the query"), "{found}");
}

#[tokio::test]
async fn request_body_is_a_violation_with_or_without_length() {
    let (authority, server) = lab().await;
    let bytes = Bytes::from_static(b"username=lab");
    send_body(&server, &authority, Full::new(bytes.clone())).await;
    send_body(&server, &authority, Unannounced(Some(bytes))).await;
    let violations = server.violations();
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert!(
        violations.iter().all(|found| found.contains("12 bytes")),
        "{violations:?}"
    );
}

#[tokio::test]
async fn cookie_gate_accepts_its_own_cookie() {
    let (authority, server) = lab().await;
    server.set_fault(HttpFault::CookieGate);
    for _ in 0..2 {
        let response = send(server.addr(), &authority, get("/sso"))
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(header(&response, "location"), "/sso");
        let cookie = pair(header(&response, "set-cookie"));
        let request = get("/sso").header("cookie", cookie);
        let response = send(server.addr(), &authority, request)
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!body(response).await.expect("a page").is_empty());
    }
    assert!(server.violations().is_empty(), "{:?}", server.violations());
}

#[tokio::test]
async fn cookies_kept_between_probes_are_a_violation() {
    let (authority, server) = lab().await;
    // The session cookie of a previous probe.
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    let session = pair(header(&response, "set-cookie"));
    send(
        server.addr(),
        &authority,
        get("/sso").header("cookie", session.clone()),
    )
    .await
    .expect("an answer");
    assert_eq!(server.violations().len(), 1);
    assert!(
        server.violations()[0].contains(&session),
        "{:?}",
        server.violations()
    );

    // The gate's cookie, after the page was served.
    server.set_fault(HttpFault::CookieGate);
    let response = send(server.addr(), &authority, get("/sso"))
        .await
        .expect("an answer");
    let gate = pair(header(&response, "set-cookie"));
    for expected in [StatusCode::OK, StatusCode::FOUND] {
        let request = get("/sso").header("cookie", gate.clone());
        let response = send(server.addr(), &authority, request)
            .await
            .expect("an answer");
        assert_eq!(response.status(), expected);
    }
    assert_eq!(server.violations().len(), 2);
}

#[tokio::test]
async fn unknown_cookie_is_a_violation() {
    let found = violation(get("/sso").header("cookie", "a=b")).await;
    assert!(found.contains("a=b"), "{found}");
}

#[tokio::test]
async fn violations_are_recorded_for_broken_answers_too() {
    let (authority, server) = lab().await;
    server.set_fault(HttpFault::CloseAfterRequest);
    let request = get("/sso").header("authorization", "Bearer lab");
    send(server.addr(), &authority, request)
        .await
        .expect_err("no answer");
    assert_eq!(server.violations().len(), 1);
}

async fn send_body<B>(server: &LoginServer, authority: &Authority, body: B)
where
    B: hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let stream = handshake(server.addr(), authority)
        .await
        .expect("a session");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::get(format!("https://{NAME}/sso")).body(body);
    let response = sender.send_request(request.expect("a request")).await;
    assert_eq!(response.expect("an answer").status(), StatusCode::OK);
}

fn pair(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap_or_default().to_owned()
}

/// A body without a known size.
struct Unannounced(Option<Bytes>);

impl hyper::body::Body for Unannounced {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(
            self.0
                .take()
                .map(|bytes| Ok(hyper::body::Frame::data(bytes))),
        )
    }
}
