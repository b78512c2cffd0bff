//! The addresses that carried the requests of a target, and how the latest probe over each ended: when
//! good and failing probes alternate, this shows which address fails.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TargetHistory;
use crate::report::{Reason, Report};

const MAX_ADDRESSES: usize = 16;
/// An older result says nothing about the present.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// How the latest probe whose request went to an address ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressResult {
    pub address: IpAddr,
    pub at: Timestamp,
    /// Absent if the probe succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
}

impl TargetHistory {
    pub(super) fn observe_address(&mut self, report: &Report) {
        let tls = report.hops.last().and_then(|hop| hop.tls.facts());
        let Some(address) = tls.and_then(|tls| tls.chosen) else {
            return;
        };
        let oldest = report.started - MAX_AGE;
        self.addresses
            .retain(|one| one.address != address && one.at >= oldest);
        super::push(
            &mut self.addresses,
            MAX_ADDRESSES,
            AddressResult {
                address,
                at: report.started,
                failure: report.verdict.reason(),
            },
        );
    }

    /// The results of the last hour by address, the newest last.
    fn recent_addresses(&self, now: Timestamp) -> impl Iterator<Item = &AddressResult> {
        let oldest = now - MAX_AGE;
        self.addresses.iter().filter(move |one| one.at >= oldest)
    }

    /// The addresses that fail and those that work, if there are both.
    pub fn failing_addresses(
        &self,
        now: Timestamp,
    ) -> Option<(Vec<&AddressResult>, Vec<&AddressResult>)> {
        let recent = self.recent_addresses(now);
        let (failing, good): (Vec<_>, Vec<_>) = recent.partition(|one| one.failure.is_some());
        (!failing.is_empty() && !good.is_empty()).then_some((failing, good))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::history::Watch;
    use crate::report::{Hop, Layer, LayerResult, TlsFacts};

    fn observe(history: &mut TargetHistory, second: i64, address: &str, failure: Option<Reason>) {
        let at = Timestamp::from_second(second).unwrap();
        let facts = TlsFacts {
            chosen: address.parse().ok(),
            ..TlsFacts::default()
        };
        let tls = LayerResult {
            duration: Duration::ZERO,
            failure: None,
            facts,
        };
        let mut report = crate::report::example(at, failure);
        report.hops.push(Hop {
            tls: Layer::Done(tls),
            ..Hop::default()
        });
        let watch = Watch {
            max_gap: Duration::from_secs(100),
            in_service_hours: true,
        };
        history.observe(&report, watch);
    }

    fn failing(history: &TargetHistory, second: i64) -> Option<(Vec<String>, Vec<String>)> {
        let now = Timestamp::from_second(second).unwrap();
        let (failing, good) = history.failing_addresses(now)?;
        let names = |list: Vec<&AddressResult>| {
            let names = list.iter().map(|one| one.address.to_string());
            names.collect::<Vec<_>>()
        };
        Some((names(failing), names(good)))
    }

    #[test]
    fn address_that_fails_while_another_works_is_named_for_an_hour() {
        let mut history = TargetHistory::of("https://sso.lab.test/");
        observe(&mut history, 0, "203.0.113.10", Some(Reason::HttpStatus));
        assert_eq!(failing(&history, 1), None, "no other address was tried");
        observe(&mut history, 60, "203.0.113.11", None);
        observe(&mut history, 120, "203.0.113.10", Some(Reason::HttpStatus));
        let expected = (
            vec!["203.0.113.10".to_owned()],
            vec!["203.0.113.11".to_owned()],
        );
        assert_eq!(failing(&history, 121), Some(expected));
        assert_eq!(failing(&history, 3661), None, "a result is an hour old");
        observe(&mut history, 180, "203.0.113.10", None);
        assert_eq!(failing(&history, 181), None, "it works again");
    }
}
