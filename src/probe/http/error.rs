//! Why a request failed, from the errors of hyper, h2 and rustls.

use std::error::Error;
use std::io;

use crate::probe::bounded;
use crate::report::{NotProcessed, Reason};

/// How rustls begins to describe an alert.
const ALERT_PREFIX: &str = "received fatal alert";

pub(in crate::probe) struct HttpError {
    pub reason: Reason,
    pub detail: Option<String>,
    /// The server ended the session with a TLS alert once it could (because it requires a client
    /// certificate, for example): that is a failure of the tls layer.
    pub tls_alert: Option<String>,
    /// The server says that it did not process the request.
    pub not_processed: Option<NotProcessed>,
}

impl HttpError {
    pub fn of(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
            tls_alert: None,
            not_processed: None,
        }
    }

    pub fn malformed(error: impl ToString) -> Self {
        Self {
            detail: Some(bounded(&error.to_string())),
            ..Self::of(Reason::HttpMalformed)
        }
    }

    pub fn of_decoder(error: &io::Error) -> Self {
        Self {
            reason: match error.kind() {
                io::ErrorKind::UnexpectedEof => Reason::HttpTruncated,
                _ => Reason::HttpMalformed,
            },
            ..Self::malformed(error)
        }
    }

    /// `closed` is the reason if the connection just ended.
    pub fn of_hyper(error: &hyper::Error, closed: Reason) -> Self {
        let sources = || {
            let first: &dyn Error = error;
            std::iter::successors(Some(first), |&error| error.source())
        };
        let mut outcome = Self::malformed(sources().last().unwrap_or(error));
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            outcome.reason = closed;
        }
        for source in sources() {
            if let Some(http2) = source.downcast_ref::<h2::Error>() {
                outcome.reason = http2_reason(http2, closed);
                outcome.not_processed = not_processed(http2);
                if let Some(io) = http2.get_io() {
                    outcome.read_io(io, closed);
                }
            }
            if let Some(io) = source.downcast_ref::<io::Error>() {
                outcome.read_io(io, closed);
            }
        }
        outcome
    }

    fn read_io(&mut self, error: &io::Error, closed: Reason) {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        let text = error.to_string();
        // h2 keeps only the text of the error.
        if matches!(tls, Some(rustls::Error::AlertReceived(_))) || text.starts_with(ALERT_PREFIX) {
            self.tls_alert = Some(bounded(&text));
        }
        self.reason = match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Reason::HttpReset,
            io::ErrorKind::UnexpectedEof => closed,
            _ => self.reason,
        };
    }
}

/// An h2 error by GOAWAY reaches only the streams that the server did not process (RFC 9113, 6.8).
fn not_processed(error: &h2::Error) -> Option<NotProcessed> {
    if !error.is_remote() {
        return None;
    }
    match error.reason()? {
        h2::Reason::HTTP_1_1_REQUIRED => Some(NotProcessed::Http11Required),
        h2::Reason::REFUSED_STREAM if error.is_reset() => Some(NotProcessed::RefusedStream),
        h2::Reason::NO_ERROR if error.is_go_away() => Some(NotProcessed::Goaway),
        _ => None,
    }
}

fn http2_reason(error: &h2::Error, closed: Reason) -> Reason {
    if error.is_reset() && error.is_remote() {
        Reason::HttpReset
    } else if error.is_go_away() && error.is_remote() {
        closed
    } else {
        Reason::HttpMalformed
    }
}
