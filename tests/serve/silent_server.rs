//! A server that keeps probes waiting until the test releases them.

use std::future::pending;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Accepts connections and sends nothing; dropping it closes them.
pub struct SilentServer {
    port: u16,
    connections: watch::Receiver<usize>,
    _accepting: AbortOnDropHandle<()>,
}

impl SilentServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (count, connections) = watch::channel(0);
        let accepting = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
                count.send_replace(open.len());
            }
            pending::<()>().await;
        });
        Self {
            port,
            connections,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// A configuration whose only target, `held`, is this server; it is probed once.
    pub fn config(&self) -> String {
        format!(
            "probe: {{interval: 1h, timeout: 60s}}\ntargets: [{}]\n",
            self.target()
        )
    }

    /// The target `held`, in a line.
    pub fn target(&self) -> String {
        format!("{{name: held, url: \"https://127.0.0.1:{}/\"}}", self.port)
    }

    pub async fn wait_for_connection(&mut self) {
        let connected = self.connections.wait_for(|count| *count > 0);
        let connected = timeout(TIMEOUT, connected).await;
        connected
            .expect("the exporter connects within 60 s")
            .expect("the server accepts");
    }
}
