//! Reads the page as it is drawn, and takes the screenshot.

use std::time::Duration;

use serde_json::{Value, json};

use super::PageCheck;
use crate::devtools::{Error, text};
use crate::protocol::{MAX_ENTRIES, MAX_HTML, MAX_SCREENSHOT};
use crate::record::bounded;
use crate::time::Deadline;

/// For one command to a page.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs in a world of its own, which the page's scripts cannot change.
const LOOK: &str = "(() => {
  const isVisible = e => e.type !== 'hidden' && e.checkVisibility({visibilityProperty: true});
  const fields = [...document.querySelectorAll('input, select, textarea, button')];
  const root = document.documentElement;
  return {
    title: document.title,
    url: location.href,
    fields: [...new Set(fields.filter(isVisible).map(e => e.name).filter(n => n))],
    html: root ? root.outerHTML.slice(0, MAX_HTML) : '',
  };
})()";

impl PageCheck<'_> {
    /// Reads the page as it is drawn; returns it, or `None` if it does not answer.
    pub(super) fn look(&mut self, deadline: Deadline) -> Result<Option<String>, Error> {
        let deadline = deadline.at_most(COMMAND_TIMEOUT);
        let world = json!({"frameId": self.frame, "worldName": "check"});
        let found = self.evaluate(&world, deadline);
        let page = match found {
            Ok(page) => page,
            Err(error @ (Error::BrowserGone | Error::ParentGone)) => return Err(error),
            // Another page is about to be shown.
            Err(Error::Refused(_) | Error::TimedOut) => return Ok(None),
        };
        let html = text(&page, "/html").map(str::to_owned);
        self.observation.title = text(&page, "/title").map(bounded);
        let fields = page.pointer("/fields").and_then(Value::as_array);
        let fields = fields.into_iter().flatten().filter_map(Value::as_str);
        self.observation.visible_fields = fields.take(MAX_ENTRIES).map(bounded).collect();
        self.observation.html.clone_from(&html);
        if let (Some(loaded), None) = (self.loaded, self.observation.load_ms) {
            let load = self.started.elapsed().saturating_sub(loaded.elapsed());
            self.observation.load_ms = u64::try_from(load.as_millis()).ok();
        }
        Ok(html)
    }

    fn evaluate(&mut self, world: &Value, deadline: Deadline) -> Result<Value, Error> {
        let session = self.session.clone();
        let session = session.as_deref();
        let world = self.call("Page.createIsolatedWorld", world.clone(), session, deadline)?;
        let expression = LOOK.replace("MAX_HTML", &MAX_HTML.to_string());
        let script = json!({
            "expression": expression,
            "contextId": world.get("executionContextId"),
            "returnByValue": true,
            "timeout": COMMAND_TIMEOUT.as_millis() as u64,
        });
        let mut result = self.call("Runtime.evaluate", script, session, deadline)?;
        let value = result.pointer_mut("/result/value").map(Value::take);
        Ok(value.unwrap_or_default())
    }

    /// Like [`DevTools::call`], and handles events meanwhile: a dialog would block the answer.
    fn call(
        &mut self,
        method: &str,
        params: Value,
        session: Option<&str>,
        deadline: Deadline,
    ) -> Result<Value, Error> {
        let id = self.tools.send(method, params, session)?;
        loop {
            match self.tools.result(id, deadline)? {
                Ok(result) => return Ok(result),
                Err(event) => self.handle(&event)?,
            }
        }
    }

    pub(super) fn take_screenshot(&mut self) {
        let session = self.session.clone();
        for scale in [1.0, 0.5, 0.25] {
            let clip = json!({"x": 0, "y": 0, "width": 1280, "height": 900, "scale": scale});
            let params = json!({"format": "png", "clip": clip});
            let deadline = Deadline::after(COMMAND_TIMEOUT);
            let result = self.call(
                "Page.captureScreenshot",
                params,
                session.as_deref(),
                deadline,
            );
            let Ok(result) = result else { return };
            let picture = text(&result, "/data").unwrap_or_default();
            if !picture.is_empty() && picture.len() / 4 * 3 <= MAX_SCREENSHOT {
                self.observation.screenshot = Some(picture.to_owned());
                return;
            }
        }
    }
}
