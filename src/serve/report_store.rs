//! The latest report, the counters and the history of each target. The scheduler writes, the routes
//! read, and [`ReportStore::persist`] saves the histories.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::task::FileTask;
use crate::clock::Stopwatch;
use crate::config::{Target, Targets};
use crate::data_directory::Recording;
use crate::input_file::InputFile;
use crate::lock::lock;
use crate::report::history::{
    ChangeKind, ClockStep, SavedState, TargetHistory, TargetState, Watch,
};
use crate::report::{BrowserRun, MissReason, Report, TargetStats};
use crate::state_file::StateFile;

/// How old the newest probe in the state file may be.
const SAVE_INTERVAL: Duration = Duration::from_secs(10);
/// Saving the histories of many targets takes at most one part in so many of the time.
const SAVE_SHARE: u32 = 20;
/// For the last save after the stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct ReportStore {
    inner: Mutex<Inner>,
    /// A change happened that must be saved at once.
    save_now: Notify,
    /// A report was added.
    recorded: Notify,
}

#[derive(Debug)]
struct Inner {
    targets: Targets,
    /// By the name of the target.
    states: HashMap<String, TargetState>,
    /// Incremented with each report.
    revision: u64,
}

impl ReportStore {
    /// The state of `targets` at startup, with their saved histories.
    pub fn new(targets: &Targets, saved: &SavedState) -> Self {
        let state = |target: &Arc<Target>| {
            let history = saved.of(&target.name, target.url.as_str()).cloned();
            (target.name.clone(), initial_state(target, history))
        };
        Self {
            inner: Mutex::new(Inner {
                states: targets.iter().map(state).collect(),
                targets: targets.clone(),
                revision: 0,
            }),
            save_now: Notify::new(),
            recorded: Notify::new(),
        }
    }

    /// Replaces the targets. A target with the same name and URL keeps its state.
    pub fn replace_targets(&self, targets: &Targets) {
        let mut inner = lock(&self.inner);
        let mut old = std::mem::take(&mut inner.states);
        let state = |target: &Arc<Target>| {
            let state = old
                .remove(&target.name)
                .filter(|state| state.history.url == target.url.as_str());
            let state = state.unwrap_or_else(|| initial_state(target, None));
            (target.name.clone(), state)
        };
        inner.states = targets.iter().map(state).collect();
        inner.targets = targets.clone();
    }

    /// Adds a report and returns the previous one. A report of a target that was removed, or whose
    /// URL changed meanwhile, is ignored.
    pub fn record(&self, report: Arc<Report>, watch: Watch) -> Option<Arc<Report>> {
        let mut inner = lock(&self.inner);
        let state = inner.states.get_mut(&report.target)?;
        if state.history.url != report.url {
            return None;
        }
        let previous = state.stats.latest.clone();
        let watch = watch.after(previous.as_deref());
        let change = Arc::make_mut(&mut state.history).observe(&report, watch);
        state.stats.observe(report);
        inner.revision += 1;
        if change == ChangeKind::StateChanged {
            self.save_now.notify_one();
        }
        self.recorded.notify_one();
        previous
    }

    /// Waits until a report is added, or returns at once if one was added since the last call.
    pub async fn recorded(&self) {
        self.recorded.notified().await;
    }

    /// Adds a browser check and returns the previous one. A check of a target that was removed, or whose
    /// URL changed meanwhile, is ignored.
    pub fn record_browser(&self, target: &Target, run: BrowserRun) -> Option<Arc<BrowserRun>> {
        let mut inner = lock(&self.inner);
        let state = inner.states.get_mut(&target.name)?;
        if state.history.url != target.url.as_str() {
            return None;
        }
        let previous = state.stats.browser.clone();
        state.stats.observe_browser(run);
        previous
    }

    /// Removes the browser checks of all but these targets.
    pub fn keep_browser_checks(&self, targets: &[String]) {
        for (name, state) in &mut lock(&self.inner).states {
            if !targets.contains(name) {
                state.stats.forget_browser();
            }
        }
    }

    /// The latest report of a target.
    pub fn latest(&self, target: &str) -> Option<Arc<Report>> {
        lock(&self.inner).states.get(target)?.stats.latest.clone()
    }

    /// The picture of a target's latest browser check, as PNG.
    pub fn picture(&self, target: &str) -> Option<Arc<[u8]>> {
        let inner = lock(&self.inner);
        let run = inner.states.get(target)?.stats.browser.as_ref()?;
        run.result.as_ref().ok()?.screenshot.clone()
    }

    /// Dates again what was recorded since `began`.
    pub fn apply(&self, step: ClockStep, began: Timestamp) {
        let mut inner = lock(&self.inner);
        for state in inner.states.values_mut() {
            Arc::make_mut(&mut state.history).apply(step, began);
            state.stats.apply(step, began);
        }
        inner.revision += 1;
        self.save_now.notify_one();
    }

    /// Counts probe cycles that did not run.
    pub fn record_missed(&self, target: &str, reason: MissReason, count: u64) {
        if count > 0
            && let Some(state) = lock(&self.inner).states.get_mut(target)
        {
            *state.stats.missed.entry(reason).or_default() += count;
        }
    }

    /// Whether every target has been probed once.
    pub fn is_ready(&self) -> bool {
        let inner = lock(&self.inner);
        let mut states = inner.states.values();
        states.all(|state| state.stats.latest.is_some())
    }

    /// The targets, in the order of the configuration, with their states.
    pub fn states(&self) -> Vec<(Arc<Target>, TargetState)> {
        let inner = lock(&self.inner);
        let targets = inner.targets.iter();
        targets
            .filter_map(|target| {
                Some((Arc::clone(target), inner.states.get(&target.name)?.clone()))
            })
            .collect()
    }

    pub fn history(&self, target: &str) -> Option<Arc<TargetHistory>> {
        let inner = lock(&self.inner);
        Some(Arc::clone(&inner.states.get(target)?.history))
    }

    pub fn saved_state(&self) -> SavedState {
        lock(&self.inner).saved_state()
    }

    /// Saves the histories to `file` until `stop`, and then once more: at once after a change of
    /// state, otherwise every [`SAVE_INTERVAL`].
    pub async fn persist(
        &self,
        file: StateFile,
        recording: &watch::Sender<Option<Recording>>,
        stop: CancellationToken,
    ) {
        let mut saver = Saver {
            file,
            recording,
            task: FileTask::new(InputFile::State),
            saving: 0,
            saved: 0,
            is_failing: false,
        };
        let save_until_stop = async {
            let mut pause = Duration::ZERO;
            loop {
                let change = async {
                    tokio::time::sleep(pause).await;
                    self.save_now.notified().await;
                };
                tokio::select! {
                    () = change => {}
                    () = tokio::time::sleep(SAVE_INTERVAL.max(pause)) => {}
                }
                let stopwatch = Stopwatch::start();
                saver.save(self).await;
                pause = stopwatch.elapsed() * SAVE_SHARE;
            }
        };
        let _: Option<()> = stop.run_until_cancelled(save_until_stop).await;
        let last_saves = async {
            // The first call waits for a save that the stop interrupted.
            saver.save(self).await;
            saver.save(self).await;
        };
        let _ = timeout(SHUTDOWN_TIMEOUT, last_saves).await;
    }

    fn changed_since(&self, revision: u64) -> Option<(u64, SavedState)> {
        let inner = lock(&self.inner);
        (inner.revision != revision).then(|| (inner.revision, inner.saved_state()))
    }
}

struct Saver<'a> {
    file: StateFile,
    recording: &'a watch::Sender<Option<Recording>>,
    task: FileTask<io::Result<()>>,
    /// The revision that the task writes.
    saving: u64,
    saved: u64,
    is_failing: bool,
}

impl Saver<'_> {
    /// Saves what has changed, or waits for the save that runs.
    async fn save(&mut self, store: &ReportStore) {
        if !self.task.is_running() {
            let Some((revision, state)) = store.changed_since(self.saved) else {
                return;
            };
            let file = self.file.clone();
            self.saving = revision;
            self.task.start(move || file.save(&state));
        }
        let result = self.task.wait().await;
        let result = result.map_err(|error| error.to_string());
        match result.and_then(|saved| saved.map_err(|error| error.to_string())) {
            Ok(()) => {
                self.saved = self.saving;
                if std::mem::take(&mut self.is_failing) {
                    self.show_recording(true);
                    info!("state file writes recovered");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    self.show_recording(false);
                    warn!(%error, "cannot write the state file, history is kept in memory only");
                }
            }
        }
    }
}

impl Saver<'_> {
    fn show_recording(&self, history: bool) {
        let evidence = self.recording.borrow().is_some_and(|shown| shown.evidence);
        let shown = Recording { history, evidence };
        self.recording.send_replace(Some(shown));
    }
}

impl Inner {
    fn saved_state(&self) -> SavedState {
        let histories = self.states.iter();
        SavedState {
            targets: histories
                .map(|(name, state)| (name.clone(), Arc::clone(&state.history)))
                .collect(),
        }
    }
}

fn initial_state(target: &Target, history: Option<Arc<TargetHistory>>) -> TargetState {
    let history = history.unwrap_or_else(|| Arc::new(TargetHistory::of(target.url.as_str())));
    let last_success = history.last_good.as_ref().map(|good| good.at);
    TargetState {
        stats: TargetStats::since(last_success),
        history,
    }
}
