//! Why a handshake failed, from the errors of rustls and the system.

use std::io;

use rustls::{AlertDescription, Error as TlsError, InvalidMessage};

use crate::probe::bounded;
use crate::report::Reason;

pub(super) struct HandshakeError {
    pub reason: Reason,
    pub detail: Option<String>,
    /// The registered name of a fatal alert.
    pub alert: Option<String>,
}

impl HandshakeError {
    pub fn timed_out() -> Self {
        Self {
            reason: Reason::TlsTimedOut,
            detail: None,
            alert: None,
        }
    }

    pub fn of(error: io::Error) -> Self {
        let tls: Option<&TlsError> = error.get_ref().and_then(|inner| inner.downcast_ref());
        let reason = match (tls, error.kind()) {
            (Some(tls), _) => tls_reason(tls),
            (None, io::ErrorKind::UnexpectedEof) => Reason::TlsClosed,
            (None, io::ErrorKind::TimedOut) => Reason::TlsTimedOut,
            (None, _) => Reason::TlsReset,
        };
        let alert = match tls {
            Some(TlsError::AlertReceived(alert)) => Some(alert_name(*alert)),
            _ => None,
        };
        Self {
            reason,
            alert,
            detail: Some(bounded(&error.to_string())),
        }
    }
}

/// `handshake_failure` for `HandshakeFailure`.
fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    for c in format!("{alert:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    bounded(&name)
}

fn tls_reason(error: &TlsError) -> Reason {
    match error {
        TlsError::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity,
        )
        | TlsError::PeerIncompatible(_) => Reason::TlsVersion,
        TlsError::AlertReceived(_) => Reason::TlsAlert,
        TlsError::InvalidCertificate(_)
        | TlsError::DecryptError
        | TlsError::NoCertificatesPresented => Reason::TlsBadSignature,
        TlsError::InvalidMessage(
            InvalidMessage::CertificatePayloadTooLarge
            | InvalidMessage::HandshakePayloadTooLarge
            | InvalidMessage::MessageTooLarge,
        ) => Reason::TlsTooLarge,
        _ => Reason::TlsNotTls,
    }
}
