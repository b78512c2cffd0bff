//! How the probes of a target are counted as time in which it was watched.

use std::time::Duration;

use crate::report::Report;

/// How a report is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Without a probe for longer than this, the target was not watched.
    pub max_gap: Duration,
    /// Whether the service is expected to work now.
    pub in_service_hours: bool,
}

impl Watch {
    /// Two intervals and the probe's own timeout: one cycle may be missing.
    pub fn max_gap(interval: Duration, timeout: Duration) -> Duration {
        interval * 2 + timeout
    }

    /// The pause that the server asked for in `previous` is no gap.
    #[must_use]
    pub fn after(self, previous: Option<&Report>) -> Self {
        let pause = previous.and_then(Report::pause);
        Self {
            max_gap: self.max_gap + pause.map_or(Duration::ZERO, |(pause, _)| pause),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{State, TargetHistory, Transition};
    use super::*;
    use crate::report::{Hop, HttpFacts, Layer, LayerResult, Reason, example};

    const WATCH: Watch = Watch {
        max_gap: Duration::from_secs(100),
        in_service_hours: true,
    };

    #[test]
    fn pause_that_the_server_asked_for_is_watched() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let mut before = example(at(1), Some(Reason::HttpStatus));
        before.hops.push(Hop {
            http: Layer::Done(LayerResult {
                duration: Duration::ZERO,
                failure: Some(Reason::HttpStatus),
                facts: HttpFacts {
                    retry_after: Some(Duration::from_secs(120)),
                    ..HttpFacts::default()
                },
            }),
            ..Hop::default()
        });
        assert_eq!(WATCH.after(None), WATCH);
        let mut history = TargetHistory::of("https://sso.lab.test/");
        history.observe(&before, WATCH);
        history.observe(&example(at(221), None), WATCH.after(Some(&before)));
        let states = history.transitions.iter().map(Transition::state);
        let states: Vec<State> = states.collect();
        assert_eq!(states, [State::Failed(Reason::HttpStatus), State::Good]);
    }
}
