//! The page, from the navigation until it is drawn.
//!
//! * `attach`: prepares the page and its frames
//! * `judge`: which requests are sent
//! * `events`: what the browser reports
//! * `look`: the page as it is drawn

mod attach;
mod events;
mod judge;
mod look;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::json;

use crate::devtools::{DevTools, Error};
use crate::process::MAX_MEMORY;
use crate::protocol::{Observation, Request, Stop};
use crate::rules::Rules;
use crate::time::Deadline;

/// Without any request for so long, the page is complete.
const QUIET: Duration = Duration::from_millis(500);
/// For a page that never rests, after its load event.
const MAX_SETTLING: Duration = Duration::from_secs(8);
/// How often memory is measured.
const STEP: Duration = Duration::from_millis(250);
/// Frames and requests in flight that are remembered.
const MAX_KNOWN: usize = 2_000;

pub struct PageCheck<'a> {
    request: &'a Request,
    rules: Rules,
    tools: DevTools<'a>,
    deadline: Deadline,
    started: Deadline,
    session: Option<String>,
    /// The page's target, which is also its main frame.
    frame: String,
    /// The last request for the page itself.
    document: Option<String>,
    document_url: String,
    /// It is neither shown nor refused yet.
    is_pending: bool,
    documents: usize,
    /// The URL of each frame.
    frames: HashMap<String, String>,
    in_flight: HashSet<String>,
    last_activity: Deadline,
    loaded: Option<Deadline>,
    /// An error page is shown.
    failed: Option<Deadline>,
    pub observation: Observation,
}

/// A stopwatch: it never ends.
fn now() -> Deadline {
    Deadline::after(Duration::MAX)
}

impl<'a> PageCheck<'a> {
    pub fn new(request: &'a Request, tools: DevTools<'a>, deadline: Deadline) -> Self {
        Self {
            rules: Rules::of(request),
            request,
            tools,
            deadline,
            started: now(),
            session: None,
            frame: String::new(),
            document: None,
            document_url: String::new(),
            is_pending: false,
            documents: 0,
            frames: HashMap::new(),
            in_flight: HashSet::new(),
            last_activity: now(),
            loaded: None,
            failed: None,
            observation: Observation::default(),
        }
    }

    pub fn finish(self) -> Observation {
        self.observation
    }

    /// Opens the page and looks at it.
    ///
    /// # Errors
    /// The browser does not understand the protocol, or the exporter has ended.
    pub fn run(&mut self, memory: &dyn Fn() -> u64) -> Result<(), String> {
        let outcome = self.prepare().and_then(|()| self.load(memory));
        match outcome {
            Ok(()) => {}
            Err(Error::ParentGone) => return Err("the exporter has ended".to_owned()),
            Err(Error::BrowserGone) => {
                self.stop(Stop::Crashed);
                return Ok(());
            }
            Err(Error::Refused(message)) => return Err(message),
            Err(Error::TimedOut) => return Err("it did not answer in time".to_owned()),
        }
        if !matches!(
            self.observation.stopped,
            Some(Stop::Crashed | Stop::TooMuchMemory | Stop::Unresponsive)
        ) {
            self.take_screenshot();
        }
        Ok(())
    }

    fn load(&mut self, memory: &dyn Fn() -> u64) -> Result<(), Error> {
        let url = json!({"url": self.request.url});
        self.started = now();
        self.last_activity = now();
        let session = self.session.clone();
        self.tools.send("Page.navigate", url, session.as_deref())?;
        // The rest is for looking at what there is.
        let loading = self
            .deadline
            .at_most(self.deadline.remaining().mul_f64(0.8));
        let mut measured = now();
        let mut seen = None;
        while self.observation.stopped.is_none() && !loading.is_over() {
            match self.tools.event(loading.at_most(STEP)) {
                Ok(event) => self.handle(&event)?,
                Err(Error::TimedOut) => {}
                Err(error) => return Err(error),
            }
            if measured.elapsed() > STEP {
                measured = now();
                if memory() > MAX_MEMORY {
                    self.stop(Stop::TooMuchMemory);
                }
            }
            if self.failed.is_some_and(|failed| failed.elapsed() > QUIET) {
                return Ok(());
            }
            if self.is_quiet() {
                let html = self.look(loading)?;
                // Twice the same: nothing is drawn any more.
                if html.is_some() && html == seen {
                    return Ok(());
                }
                seen = html;
                self.last_activity = now();
            }
        }
        if self.observation.stopped.is_none() {
            if self.observation.status.is_none() && self.observation.error.is_none() {
                self.stop(Stop::TimedOut);
            } else if self.look(self.deadline)?.is_none() {
                self.stop(Stop::Unresponsive);
            }
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        let Some(loaded) = self.loaded else {
            return false;
        };
        let is_resting = self.in_flight.is_empty() && self.last_activity.elapsed() > QUIET;
        let is_final = self.failed.is_none() && !self.is_pending;
        is_final && (is_resting || loaded.elapsed() > MAX_SETTLING)
    }

    fn stop(&mut self, stop: Stop) {
        self.observation.stopped.get_or_insert(stop);
    }
}
