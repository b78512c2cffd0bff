//! A webhook as a pager has one: it takes what Alertmanager sends and keeps it.

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
                let service = service_fn(move |request| take(request, sender.clone()));
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

    /// The next notification.
    pub async fn next(&mut self) -> serde_json::Value {
        self.next_within(Duration::from_secs(60)).await
    }

    pub async fn next_within(&mut self, patience: Duration) -> serde_json::Value {
        tokio::time::timeout(patience, self.notifications.recv())
            .await
            .expect("a notification comes")
            .expect("the webhook runs")
    }

    /// What has come and was not asked for yet.
    pub fn now(&mut self) -> Vec<serde_json::Value> {
        let mut all = Vec::new();
        while let Ok(one) = self.notifications.try_recv() {
            all.push(one);
        }
        all
    }
}

async fn take(
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
