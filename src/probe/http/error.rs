//! Why an exchange did not come to its end, out of the errors of three libraries.

use std::error::Error as _;
use std::io;

use crate::probe::bounded;
use crate::report::Reason;

/// How the TLS library begins to tell of an alert.
const ALERT_WORDS: &str = "received fatal alert";

/// How far an exchange had come when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Head,
    Body,
}

/// Why an exchange did not come to its end.
pub(super) struct HttpError {
    pub reason: Reason,
    pub detail: Option<String>,
    pub tls_alert: Option<String>,
}

impl HttpError {
    pub fn plain(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
            tls_alert: None,
        }
    }

    pub fn of(error: &hyper::Error, phase: Phase) -> Self {
        let ended = match phase {
            Phase::Head => Reason::HttpClosed,
            Phase::Body => Reason::HttpTruncated,
        };
        let mut trouble = Self {
            reason: if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
                ended
            } else {
                Reason::HttpMalformed
            },
            detail: Some(bounded(&innermost(error))),
            tls_alert: None,
        };
        let mut source = error.source();
        while let Some(inner) = source {
            if let Some(http2) = inner.downcast_ref::<h2::Error>() {
                trouble.reason = http2_reason(http2, ended);
                if let Some(io) = http2.get_io() {
                    trouble.read_io(io, ended);
                }
            }
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                trouble.read_io(io, ended);
            }
            source = inner.source();
        }
        trouble
    }

    fn read_io(&mut self, error: &io::Error, ended: Reason) {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let text = error.to_string();
        // HTTP/2's library keeps only the words of the error.
        if matches!(tls, Some(rustls::Error::AlertReceived(_))) || text.starts_with(ALERT_WORDS) {
            self.tls_alert = Some(bounded(&text));
        }
        self.reason = match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Reason::HttpReset,
            io::ErrorKind::UnexpectedEof => ended,
            _ => self.reason,
        };
    }
}

fn http2_reason(error: &h2::Error, ended: Reason) -> Reason {
    if error.is_reset() && error.is_remote() {
        Reason::HttpReset
    } else if error.is_go_away() && error.is_remote() {
        ended
    } else {
        Reason::HttpMalformed
    }
}

fn innermost(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}
