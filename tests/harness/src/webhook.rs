//! A webhook receiver that keeps the notifications that Alertmanager sends.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// It stops when dropped.
pub struct Webhook {
    pub url: String,
    notifications: mpsc::UnboundedReceiver<serde_json::Value>,
    _server: JoinSet<()>,
}

impl Webhook {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (sender, notifications) = mpsc::unbounded_channel();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| receive(request, sender.clone()));
                connections.spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            url,
            notifications,
            _server: server,
        }
    }

    /// Waits for the next notification; a failure names `awaited`.
    pub async fn next(&mut self, awaited: &str, limit: Duration) -> serde_json::Value {
        match tokio::time::timeout(limit, self.notifications.recv()).await {
            Ok(notification) => notification.expect("the webhook runs"),
            Err(_) => panic!("no notification within {} s: {awaited}", limit.as_secs()),
        }
    }

    /// The notifications received and not yet returned.
    pub fn drain(&mut self) -> Vec<serde_json::Value> {
        let mut all = Vec::new();
        while let Ok(one) = self.notifications.try_recv() {
            all.push(one);
        }
        all
    }
}

async fn receive(
    request: Request<Incoming>,
    sender: mpsc::UnboundedSender<serde_json::Value>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Ok(body) = request.into_body().collect().await
        && let Ok(value) = serde_json::from_slice(&body.to_bytes())
    {
        let _ = sender.send(value);
    }
    Ok(Response::new(Full::default()))
}
