//! The server certificates of a target, and when each was seen.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{TargetHistory, push};
use crate::report::Report;

const MAX_CERTIFICATES: usize = 8;

/// A server certificate, and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenCertificate {
    pub sha256: String,
    pub issuer: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

impl TargetHistory {
    pub(super) fn observe_certificate(&mut self, report: &Report) {
        let Some(leaf) = report.certificate() else {
            return;
        };
        let newest = self.certificates.back_mut();
        match newest.filter(|newest| newest.sha256 == leaf.fingerprint_sha256) {
            Some(known) => known.last_seen = report.started,
            None => push(
                &mut self.certificates,
                MAX_CERTIFICATES,
                SeenCertificate {
                    sha256: leaf.fingerprint_sha256.clone(),
                    issuer: leaf.issuer.clone(),
                    not_before: leaf.not_before,
                    not_after: leaf.not_after,
                    first_seen: report.started,
                    last_seen: report.started,
                },
            ),
        }
    }
}
