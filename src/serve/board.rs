//! The board: the latest report of each target and what was counted, shared by the scheduler, which
//! writes, and the routes, which read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Target;
use crate::report::{Missed, Report, Tally};

/// One slot a target. Nothing waits while it holds a slot's lock.
#[derive(Debug)]
pub struct Board {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    target: Arc<Target>,
    tally: Mutex<Tally>,
}

impl Slot {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    pub fn of(targets: &[Arc<Target>]) -> Self {
        Self {
            slots: targets
                .iter()
                .map(|target| Slot {
                    target: Arc::clone(target),
                    tally: Mutex::default(),
                })
                .collect(),
        }
    }

    /// Takes in a report of the target of its name; returns the one before it.
    pub fn take(&self, report: Arc<Report>) -> Option<Arc<Report>> {
        let slot = self.slot(&report.target)?;
        let mut tally = slot.tally();
        let before = tally.latest.clone();
        tally.take(report);
        before
    }

    /// Counts cycles that were not run in their time.
    pub fn miss(&self, target: &str, cause: Missed, count: u64) {
        if let Some(slot) = self.slot(target)
            && count > 0
        {
            *slot.tally().missed.entry(cause).or_default() += count;
        }
    }

    /// Every target has been probed once.
    pub fn is_ready(&self) -> bool {
        self.slots.iter().all(|slot| slot.tally().latest.is_some())
    }

    /// What is known now, target by target.
    pub fn tallies(&self) -> Vec<(Arc<Target>, Tally)> {
        self.slots
            .iter()
            .map(|slot| (Arc::clone(&slot.target), slot.tally().clone()))
            .collect()
    }

    fn slot(&self, target: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.target.name == target)
    }
}
