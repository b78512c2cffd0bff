//! An HTTP endpoint on loopback that controls the lab.
//!
//! `GET /` lists the scenarios and marks the active one, `PUT /faults/NAME` activates one,
//! `DELETE /faults` clears it, `GET /violations` lists what the exporter must not have sent.

use std::convert::Infallible;
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::lab::Lab;
use crate::port::TcpPort;
use crate::scenarios::{scenario, scenarios, variations};
use crate::tasks::Task;
use crate::{ACCEPT_PAUSE, MAX_WAIT};

const MAX_CONNECTIONS: usize = 32;
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The control endpoint; it stops when it is dropped.
pub struct Control {
    addr: SocketAddr,
    _accepting: Task,
}

impl Control {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(lab: Arc<Lab>) -> io::Result<Self> {
        let port = TcpPort::open(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?;
        Ok(Self {
            addr: port.addr(),
            _accepting: Task::spawn(accept(port, lab)),
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

async fn accept(port: Arc<TcpPort>, lab: Arc<Lab>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = port.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            continue;
        }
        let lab = Arc::clone(&lab);
        let service = service_fn(move |request: Request<Incoming>| {
            let response = answer(&lab, request.method(), request.uri().path());
            async { Ok::<_, Infallible>(response) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(timeout(MAX_WAIT, async move {
            let _ = serving.await;
        }));
    }
}

fn answer(lab: &Lab, method: &Method, path: &str) -> Response<Full<Bytes>> {
    match (method, path) {
        (&Method::GET, "/") => text(StatusCode::OK, listing(lab)),
        (&Method::GET, "/violations") => {
            let lines = lab
                .violations()
                .iter()
                .map(|line| format!("{line}\n"))
                .collect();
            text(StatusCode::OK, lines)
        }
        (&Method::DELETE, "/faults") => {
            lab.heal();
            text(StatusCode::OK, "healed\n".to_owned())
        }
        (&Method::PUT, _) => match path.strip_prefix("/faults/").and_then(scenario) {
            Some(scenario) => {
                lab.provoke(scenario);
                text(
                    StatusCode::OK,
                    format!("{}: {}\n", scenario.name, scenario.about),
                )
            }
            None => text(
                StatusCode::NOT_FOUND,
                "no such fault: GET / lists them\n".to_owned(),
            ),
        },
        (_, "/" | "/violations" | "/faults") => text(
            StatusCode::METHOD_NOT_ALLOWED,
            "GET / prints the usage\n".to_owned(),
        ),
        _ => text(StatusCode::NOT_FOUND, "GET / prints the usage\n".to_owned()),
    }
}

fn listing(lab: &Lab) -> String {
    let current = lab.current();
    let mut text = format!(
        "now: {}\n\nPUT /faults/NAME sets a fault, DELETE /faults clears it.\n",
        current.unwrap_or("healthy")
    );
    for (heading, table) in [
        ("The probe fails:", scenarios()),
        ("The probe succeeds:", variations()),
    ] {
        let _ = writeln!(text, "\n{heading}");
        for scenario in table {
            let mark = if current == Some(scenario.name) {
                '*'
            } else {
                ' '
            };
            let also = if scenario.needs_config() {
                " (needs its own configuration)"
            } else {
                ""
            };
            let _ = writeln!(
                text,
                "{mark} {:27} {:25} {}{also}",
                scenario.name, scenario.reason, scenario.about
            );
        }
    }
    text
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
