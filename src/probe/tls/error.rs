//! Why a handshake failed, from the errors of rustls and the system.

use std::io;

use rustls::{AlertDescription, Error as TlsError, InvalidMessage};

use crate::probe::bounded;
use crate::report::Reason;

pub(super) struct HandshakeError {
    pub reason: Reason,
    pub detail: Option<String>,
}

impl HandshakeError {
    pub fn timed_out() -> Self {
        Self {
            reason: Reason::TlsTimedOut,
            detail: None,
        }
    }

    pub fn of(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        let reason = match (tls, error.kind()) {
            (Some(tls), _) => tls_reason(tls),
            (None, io::ErrorKind::UnexpectedEof) => Reason::TlsClosed,
            (None, io::ErrorKind::TimedOut) => Reason::TlsTimedOut,
            (None, _) => Reason::TlsReset,
        };
        Self {
            reason,
            detail: Some(bounded(&error.to_string())),
        }
    }
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
