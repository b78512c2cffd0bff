//! The board: the latest report of each target and what was counted, shared by the scheduler, which
//! writes, and the routes, which read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

use crate::config::Target;
use crate::report::history::{ChangeKind, SavedState, TargetHistory, TargetState};
use crate::report::{MissReason, Report, TargetStats};

/// One slot a target. Nothing waits while it holds a slot's lock.
#[derive(Debug)]
pub struct ReportStore {
    slots: RwLock<Slots>,
    /// What must not be lost has happened.
    pub persist_now: Notify,
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
    known: Mutex<TargetState>,
}

impl Slot {
    fn of(target: &Arc<Target>, history: Option<Arc<TargetHistory>>) -> Self {
        let url = target.url.as_str();
        let history = history.unwrap_or_else(|| Arc::new(TargetHistory::of(url)));
        let last_success = history.last_good.as_ref().map(|good| good.at);
        Self {
            target: Arc::clone(target),
            known: Mutex::new(TargetState {
                stats: TargetStats::since(last_success),
                history,
            }),
        }
    }

    fn known(&self) -> MutexGuard<'_, TargetState> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReportStore {
    /// With what is remembered of the targets from before the start.
    pub fn of(targets: &[Arc<Target>], memory: &SavedState) -> Self {
        let slot = |target: &Arc<Target>| {
            Slot::of(
                target,
                memory.of(&target.name, target.url.as_str()).cloned(),
            )
        };
        Self {
            slots: RwLock::new(targets.iter().map(slot).collect()),
            persist_now: Notify::new(),
            reports: AtomicU64::new(0),
        }
    }

    /// Goes on with other targets. One of the same name and address keeps what is known of it.
    pub fn replace_targets(&self, targets: &[Arc<Target>]) {
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
    pub fn record(&self, report: Arc<Report>) -> Option<Arc<Report>> {
        let slots = self.slots();
        let slot = slots.named(&report.target)?;
        if slot.target.url.as_str() != report.url {
            return None;
        }
        let mut known = slot.known();
        let before = known.stats.latest.clone();
        let weight = Arc::make_mut(&mut known.history).observe(&report);
        known.stats.observe(report);
        // Counted before it is told: the keeper looks at the count.
        self.reports.fetch_add(1, Ordering::Release);
        if weight == ChangeKind::StateChanged {
            self.persist_now.notify_one();
        }
        before
    }

    /// Counts cycles that were not run in their time.
    pub fn record_missed(&self, target: &str, cause: MissReason, count: u64) {
        if let Some(slot) = self.slots().named(target)
            && count > 0
        {
            *slot.known().stats.missed.entry(cause).or_default() += count;
        }
    }

    /// Every target has been probed once.
    pub fn is_ready(&self) -> bool {
        let probed = |slot: &Slot| slot.known().stats.latest.is_some();
        self.slots().all.iter().all(probed)
    }

    /// What is known now, target by target.
    pub fn known(&self) -> Vec<(Arc<Target>, TargetState)> {
        let slots = self.slots();
        let all = slots.all.iter();
        all.map(|slot| (Arc::clone(&slot.target), slot.known().clone()))
            .collect()
    }

    /// What is remembered of one target.
    pub fn history(&self, target: &str) -> Option<Arc<TargetHistory>> {
        let slots = self.slots();
        let history = Arc::clone(&slots.named(target)?.known().history);
        Some(history)
    }

    /// How many reports were taken in.
    pub fn reports(&self) -> u64 {
        self.reports.load(Ordering::Acquire)
    }

    /// What is to be remembered of all of them.
    pub fn memory(&self) -> SavedState {
        let of = |slot: &Slot| {
            let history = Arc::clone(&slot.known().history);
            (slot.target.name.clone(), history)
        };
        SavedState {
            targets: self.slots().all.iter().map(of).collect(),
        }
    }

    fn slots(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }
}
