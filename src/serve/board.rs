//! The board: the latest report of each target and what was counted, shared by the scheduler, which
//! writes, and the routes, which read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

use crate::config::Target;
use crate::report::memory::{Known, Memory, Remembered, Weight};
use crate::report::{Missed, Report, Tally};

/// One slot a target. Nothing waits while it holds a slot's lock.
#[derive(Debug)]
pub struct Board {
    slots: RwLock<Slots>,
    /// What must not be lost has happened.
    pub heavy: Notify,
    reports: AtomicU64,
}

#[derive(Debug)]
struct Slots {
    all: Vec<Slot>,
    by_name: HashMap<String, usize>,
}

impl Slots {
    fn named(&self, target: &str) -> Option<&Slot> {
        self.all.get(*self.by_name.get(target)?)
    }
}

impl FromIterator<Slot> for Slots {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let all: Vec<Slot> = slots.into_iter().collect();
        let names = all.iter().map(|slot| slot.target.name.clone());
        Self {
            by_name: names.zip(0..).collect(),
            all,
        }
    }
}

#[derive(Debug)]
struct Slot {
    target: Arc<Target>,
    known: Mutex<Known>,
}

impl Slot {
    fn of(target: &Arc<Target>, remembered: Option<Arc<Remembered>>) -> Self {
        let url = target.url.as_str();
        let remembered = remembered.unwrap_or_else(|| Arc::new(Remembered::of(url)));
        let last_success = remembered.last_good.as_ref().map(|good| good.at);
        Self {
            target: Arc::clone(target),
            known: Mutex::new(Known {
                tally: Tally::since(last_success),
                remembered,
            }),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// With what is remembered of the targets from before the start.
    pub fn of(targets: &[Arc<Target>], memory: &Memory) -> Self {
        let slot = |target: &Arc<Target>| {
            Slot::of(
                target,
                memory.of(&target.name, target.url.as_str()).cloned(),
            )
        };
        Self {
            slots: RwLock::new(targets.iter().map(slot).collect()),
            heavy: Notify::new(),
            reports: AtomicU64::new(0),
        }
    }

    /// Goes on with other targets. One of the same name and address keeps what is known of it.
    pub fn retarget(&self, targets: &[Arc<Target>]) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let next = |target: &Arc<Target>| {
            let same = slots.named(&target.name);
            match same.filter(|slot| slot.target.url == target.url) {
                None => Slot::of(target, None),
                Some(slot) => Slot {
                    target: Arc::clone(target),
                    known: Mutex::new(slot.known().clone()),
                },
            }
        };
        *slots = targets.iter().map(next).collect();
    }

    /// Takes in a report of the target of its name; returns the one before it. A target that is no
    /// longer there, or lies elsewhere now, is passed over.
    pub fn take(&self, report: Arc<Report>) -> Option<Arc<Report>> {
        let slots = self.slots();
        let slot = slots.named(&report.target)?;
        if slot.target.url.as_str() != report.url {
            return None;
        }
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
        if let Some(slot) = self.slots().named(target)
            && count > 0
        {
            *slot.known().tally.missed.entry(cause).or_default() += count;
        }
    }

    /// Every target has been probed once.
    pub fn is_ready(&self) -> bool {
        let probed = |slot: &Slot| slot.known().tally.latest.is_some();
        self.slots().all.iter().all(probed)
    }

    /// What is known now, target by target.
    pub fn known(&self) -> Vec<(Arc<Target>, Known)> {
        let slots = self.slots();
        let all = slots.all.iter();
        all.map(|slot| (Arc::clone(&slot.target), slot.known().clone()))
            .collect()
    }

    /// What is remembered of one target.
    pub fn remembered(&self, target: &str) -> Option<Arc<Remembered>> {
        let slots = self.slots();
        let remembered = Arc::clone(&slots.named(target)?.known().remembered);
        Some(remembered)
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
            targets: self.slots().all.iter().map(of).collect(),
        }
    }

    fn slots(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }
}
