//! The board: the latest report of each target and what was counted, shared by the scheduler, which
//! writes, and the routes, which read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::config::Target;
use crate::report::memory::{Known, Memory, Remembered, Weight};
use crate::report::{Missed, Report, Tally};

/// One slot a target. Nothing waits while it holds a slot's lock.
#[derive(Debug)]
pub struct Board {
    slots: Vec<Slot>,
    /// What must not be lost has happened.
    pub heavy: Notify,
    reports: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    target: Arc<Target>,
    known: Mutex<Known>,
}

impl Slot {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// With what is remembered of the targets from before the start.
    pub fn of(targets: &[Arc<Target>], memory: &Memory) -> Self {
        let slot = |target: &Arc<Target>| {
            let url = target.url.as_str();
            let remembered = memory.of(&target.name, url).cloned();
            let remembered = remembered.unwrap_or_else(|| Arc::new(Remembered::of(url)));
            let last_success = remembered.last_good.as_ref().map(|good| good.at);
            Slot {
                target: Arc::clone(target),
                known: Mutex::new(Known {
                    tally: Tally::since(last_success),
                    remembered,
                }),
            }
        };
        Self {
            slots: targets.iter().map(slot).collect(),
            heavy: Notify::new(),
            reports: AtomicU64::new(0),
        }
    }

    /// Takes in a report of the target of its name; returns the one before it.
    pub fn take(&self, report: Arc<Report>) -> Option<Arc<Report>> {
        let slot = self.slot(&report.target)?;
        let mut known = slot.known();
        let before = known.tally.latest.clone();
        let weight = Arc::make_mut(&mut known.remembered).take(&report);
        known.tally.take(report);
        // Counted before it is told: the keeper looks at the count.
        self.reports.fetch_add(1, Ordering::Release);
        if weight == Weight::Heavy {
            self.heavy.notify_one();
        }
        before
    }

    /// Counts cycles that were not run in their time.
    pub fn miss(&self, target: &str, cause: Missed, count: u64) {
        if let Some(slot) = self.slot(target)
            && count > 0
        {
            *slot.known().tally.missed.entry(cause).or_default() += count;
        }
    }

    /// Every target has been probed once.
    pub fn is_ready(&self) -> bool {
        let probed = |slot: &Slot| slot.known().tally.latest.is_some();
        self.slots.iter().all(probed)
    }

    /// What is known now, target by target.
    pub fn known(&self) -> Vec<(Arc<Target>, Known)> {
        self.slots
            .iter()
            .map(|slot| (Arc::clone(&slot.target), slot.known().clone()))
            .collect()
    }

    /// What is remembered of one target.
    pub fn remembered(&self, target: &str) -> Option<Arc<Remembered>> {
        let slot = self.slot(target)?;
        Some(Arc::clone(&slot.known().remembered))
    }

    /// How many reports were taken in.
    pub fn reports(&self) -> u64 {
        self.reports.load(Ordering::Acquire)
    }

    /// What is to be remembered of all of them.
    pub fn memory(&self) -> Memory {
        let of = |slot: &Slot| {
            let remembered = Arc::clone(&slot.known().remembered);
            (slot.target.name.clone(), remembered)
        };
        Memory {
            targets: self.slots.iter().map(of).collect(),
        }
    }

    fn slot(&self, target: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.target.name == target)
    }
}
