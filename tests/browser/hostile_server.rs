//! A web server whose pages try everything that the check must prevent. Its log has each request.

use std::sync::{Arc, Mutex};

use ccass_2fa_lab::{Identity, Lab, Leaf};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

pub struct HostileServer {
    pub port: u16,
    log: Arc<Mutex<Vec<String>>>,
    requests: watch::Receiver<usize>,
    _task: AbortOnDropHandle<()>,
}

/// Whether the server asks for a certificate of the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    None,
    Required,
}

impl HostileServer {
    pub async fn start(lab: &Lab, client: ClientCertificate) -> Self {
        let identity = lab.authority.issue(&Leaf::for_name(ccass_2fa_lab::HOST));
        let acceptor = TlsAcceptor::from(Arc::new(config(lab, &identity, client)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (count, requests) = watch::channel(0);
        let (seen, count) = (Arc::clone(&log), Arc::new(count));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &seen, &count).await;
                    }
                });
            }
        });
        Self {
            port,
            log,
            requests,
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}:{}{path}", ccass_2fa_lab::HOST, self.port)
    }

    /// Method and path of each request.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for this many requests.
    pub async fn wait_for(&self, requests: usize) {
        let mut count = self.requests.clone();
        count.wait_for(|count| *count >= requests).await.unwrap();
    }
}

fn config(lab: &Lab, identity: &Identity, client: ClientCertificate) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client {
        ClientCertificate::None => builder.with_no_client_auth(),
        ClientCertificate::Required => {
            let mut roots = RootCertStore::empty();
            roots.add(lab.authority.root_der()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    builder
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .unwrap()
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    log: &Mutex<Vec<String>>,
    count: &watch::Sender<usize>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) if head.len() < 64 * 1024 => head.push(byte),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let request = head.split(" HTTP/").next().unwrap_or_default().to_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(request);
    count.send_modify(|count| *count += 1);
    if path == "/huge" {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>Huge</title>";
        let _ = stream.write_all(head.as_bytes()).await;
        // Comments, which cost no layout.
        let comment = format!("<!--{}-->", "x".repeat(64 * 1024));
        while stream.write_all(comment.as_bytes()).await.is_ok() {}
        return;
    }
    if path == "/silent" {
        std::future::pending::<()>().await;
    }
    let _ = stream.write_all(answer(&path).as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn answer(path: &str) -> String {
    let (status, headers, body) = match path {
        "/tricks" => ("200 OK", String::new(), TRICKS.to_owned()),
        "/worker.js" => (
            "200 OK",
            "Content-Type: text/javascript\r\n".to_owned(),
            "fetch('/from-worker', {method: 'POST'})".to_owned(),
        ),
        "/drawn" => ("200 OK", String::new(), DRAWN.to_owned()),
        "/spin" => (
            "200 OK",
            String::new(),
            "<title>Spin</title><script>for (;;);</script>".to_owned(),
        ),
        "/file" => (
            "200 OK",
            "Content-Disposition: attachment; filename=x.exe\r\n".to_owned(),
            "MZ".to_owned(),
        ),
        "/login-box" => (
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"lab\"\r\n".to_owned(),
            "<title>Who are you?</title>".to_owned(),
        ),
        path if path.starts_with("/loop") => {
            let next: u64 = path.trim_start_matches("/loop").parse().unwrap_or(0) + 1;
            (
                "302 Found",
                format!("Location: /loop{next}\r\n"),
                String::new(),
            )
        }
        _ => ("200 OK", String::new(), "<title>Other</title>".to_owned()),
    };
    let kind = if headers.contains("Content-Type") {
        ""
    } else {
        "Content-Type: text/html\r\n"
    };
    format!(
        "HTTP/1.1 {status}\r\n{kind}{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// As it is sent, it has no form.
const DRAWN: &str = r"<!doctype html><title></title><body><script>
setTimeout(() => {
  document.title = 'CCASS Lab Login';
  document.body.innerHTML = '<form><input name=username><input name=password type=password></form>';
}, 200);
</script>";

/// Everything at once. The form is drawn by script, and is still there when all of it was prevented.
const TRICKS: &str = r#"<!doctype html><title>CCASS Lab Login</title>
<body onload="go()">
<form id=login action=/login method=post><input name=username value=x><input name=password type=password></form>
<form id=auto action=/auto method=post><input type=hidden name=secret value=1></form>
<iframe src="https://elsewhere.lab.test/frame"></iframe>
<iframe srcdoc="<script>new WebSocket('wss://sso.lab.test/frame-socket'); fetch('/frame-post', {method: 'POST'})</script>"></iframe>
<link rel=preconnect href="https://elsewhere.lab.test"><link rel=dns-prefetch href="https://elsewhere.lab.test">
<link rel=prefetch href="https://elsewhere.lab.test/prefetched">
<script type=speculationrules>{"prefetch": [{"urls": ["https://elsewhere.lab.test/speculated"], "eagerness": "immediate"}],
  "prerender": [{"urls": ["/prerendered"], "eagerness": "immediate"}]}</script>
<img src="https://elsewhere.lab.test/pixel.png">
<a id=save href="/save" download=x.exe>save</a>
<script>
navigator.sendBeacon('/beacon', 'x');
fetch('/post', {method: 'POST', body: 'x'}).catch(() => {});
fetch('/put', {method: 'PUT'}).catch(() => {});
fetch('/keepalive', {method: 'POST', keepalive: true}).catch(() => {});
const request = new XMLHttpRequest(); request.open('DELETE', '/xhr'); request.send();
new WebSocket('wss://' + location.host + '/socket');
new EventSource('https://elsewhere.lab.test/events');
try { new WebTransport('https://' + location.host + '/transport') } catch {}
try { new RTCPeerConnection() } catch {}
try { new Worker('/worker.js') } catch {}
navigator.serviceWorker?.register('/worker.js').catch(() => {});
navigator.geolocation.getCurrentPosition(() => fetch('/located'), () => {});
Notification.requestPermission().then(p => { if (p === 'granted') fetch('/notified') });
onpagehide = () => navigator.sendBeacon('/unload', 'x');
function go() {
  window.open('/window'); window.open('https://elsewhere.lab.test/window');
  document.getElementById('save').click();
  setTimeout(() => { alert('stop'); confirm('really?'); prompt('password?'); }, 50);
  setTimeout(() => document.getElementById('auto').submit(), 100);
  setTimeout(() => { document.body.append(document.createElement('hr')) }, 150);
}
</script>"#;
