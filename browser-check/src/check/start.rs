//! Starts the browser and names what keeps it from starting.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use serde_json::json;

use crate::devtools::{DevTools, Error, Message, text};
use crate::find;
use crate::process::Browser;
use crate::protocol::NotRun;
use crate::record::bounded;
use crate::time::Deadline;

/// For the browser's first answer; a first start on a busy machine takes some seconds.
const START_TIMEOUT: Duration = Duration::from_secs(45);
/// The first version in which headless browsers are the same as visible ones.
const MIN_VERSION: u32 = 112;

pub struct Started<'a> {
    pub browser: Browser,
    pub tools: DevTools<'a>,
    pub version: String,
    pub product: &'static str,
}

/// # Errors
/// The browser cannot be started, or not be used.
pub fn start<'a>(
    program: &Path,
    profile: &Path,
    sender: SyncSender<Message>,
    messages: &'a Receiver<Message>,
) -> Result<Started<'a>, NotRun> {
    let name = program.display().to_string();
    let not_started = |message: String| NotRun::NotStarted {
        browser: name.clone(),
        message,
    };
    let (browser, pipes) =
        Browser::start(program, profile).map_err(|error| not_started(error.to_string()))?;
    let mut tools = DevTools::new(pipes, sender, messages);
    let deadline = Deadline::after(START_TIMEOUT);
    let answer = match tools.call("Browser.getVersion", json!({}), None, deadline) {
        Ok(answer) => answer,
        Err(error) => {
            let printed = printed_by(&browser);
            return Err(explain(&name, &error, &printed));
        }
    };
    let agent = text(&answer, "/userAgent").unwrap_or_default();
    let version = text(&answer, "/product").unwrap_or_default();
    let version = version.rsplit('/').next().unwrap_or_default().to_owned();
    let product = find::product(program, agent);
    let major: Option<u32> = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_none_or(|major| major < MIN_VERSION) {
        return Err(NotRun::BrowserTooOld {
            browser: name,
            version: bounded(&version),
            needed: MIN_VERSION,
        });
    }
    Ok(Started {
        browser,
        tools,
        version: bounded(&version),
        product,
    })
}

/// What the browser printed; it may still be printing why it ends.
fn printed_by(browser: &Browser) -> String {
    std::thread::sleep(Duration::from_millis(200));
    browser.printed.text()
}

/// The cause in the browser's own messages.
fn explain(browser: &str, error: &Error, printed: &str) -> NotRun {
    let browser = browser.to_owned();
    let has = |part: &str| printed.contains(part);
    let line = |part: &str| {
        let line = printed.lines().find(|line| line.contains(part));
        bounded(line.unwrap_or_default().trim())
    };
    if has("remote debugging is disallowed") {
        return NotRun::DebuggingForbidden { browser };
    }
    for part in ["no-sandbox", "No usable sandbox", "sandbox"] {
        if has(part) {
            let message = line(part);
            return NotRun::NoSandbox { browser, message };
        }
    }
    for part in [
        "Missing X server",
        "cannot open display",
        "Unable to open X display",
    ] {
        if has(part) {
            let message = line(part);
            return NotRun::NoDisplay { browser, message };
        }
    }
    let last = printed.lines().rev().find(|line| !line.trim().is_empty());
    let message = match (error, last) {
        (_, Some(line)) => bounded(line.trim()),
        (Error::TimedOut, None) => "it did not answer".to_owned(),
        (_, None) => "it ended without a message".to_owned(),
    };
    NotRun::NotStarted { browser, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_is_found_in_what_the_browser_printed() {
        let cause = |printed: &str| explain("b", &Error::BrowserGone, printed);
        let browser = || "b".to_owned();
        let root = "[1:ERROR] Running as root without --no-sandbox is not supported.";
        assert_eq!(
            cause(root),
            NotRun::NoSandbox {
                browser: browser(),
                message: root.to_owned()
            }
        );
        assert_eq!(
            cause("DevTools remote debugging is disallowed by the system admin.\n"),
            NotRun::DebuggingForbidden { browser: browser() }
        );
        assert_eq!(
            cause(""),
            NotRun::NotStarted {
                browser: browser(),
                message: "it ended without a message".to_owned()
            }
        );
    }
}
