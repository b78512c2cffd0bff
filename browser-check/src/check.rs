//! One check: start the browser, open the page, wait until it is drawn, look at it, end the browser.

mod page;
mod start;

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use crate::devtools::Message;
use crate::protocol::{Answer, NotRun, Request, Stop};
use crate::time::Deadline;
use crate::{find, net_log, process};
use page::PageCheck;
use start::Started;

/// The longest check, whatever is requested.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// Runs a check. Whatever it started or wrote is gone when it returns.
pub fn run(request: &Request, sender: SyncSender<Message>, messages: &Receiver<Message>) -> Answer {
    let profile = Profile(&request.profile);
    let answer = open(request, sender, messages);
    drop(profile);
    match answer {
        Ok(answer) | Err(answer) => answer,
    }
}

fn open(
    request: &Request,
    sender: SyncSender<Message>,
    messages: &Receiver<Message>,
) -> Result<Answer, Answer> {
    let program = find::browser(request.browser.as_deref()).map_err(Answer::NotRun)?;
    create_profile(&request.profile).map_err(Answer::NotRun)?;
    let Started {
        mut browser,
        tools,
        version,
        product,
    } = start::start(&program, &request.profile, sender, messages).map_err(Answer::NotRun)?;
    // The start has a limit of its own.
    let deadline = Deadline::after(Duration::from_millis(request.timeout_ms).min(MAX_TIMEOUT));
    let mut page = PageCheck::new(request, tools, deadline);
    page.observation.browser = product.to_owned();
    page.observation.version = version;
    page.observation.executable = program.display().to_string();
    let outcome = page.run(&|| browser.memory());
    let mut observation = page.finish();
    browser.kill();
    if let Err(message) = outcome {
        return Ok(Answer::NotRun(NotRun::NotStarted {
            browser: program.display().to_string(),
            message,
        }));
    }
    let asked = observation.proxy.is_some();
    let host = url::Url::parse(&request.url).ok();
    let host = host.as_ref().and_then(url::Url::host_str);
    let log = process::net_log(&request.profile);
    if observation.stopped == Some(Stop::TimedOut) {
        observation.reason = Some(net_log::timed_out(&log).to_owned());
    }
    observation.proxy = net_log::proxy(&log, host.unwrap_or_default())
        .map(|mut proxy| {
            proxy.asked_for_credentials = asked;
            proxy
        })
        .or(observation.proxy);
    Ok(Answer::Opened(Box::new(observation)))
}

/// The directory of the profile: it holds URLs and is removed.
struct Profile<'a>(&'a Path);

impl Drop for Profile<'_> {
    fn drop(&mut self) {
        // A process that is being ended may still write.
        for _ in 0..50 {
            if std::fs::remove_dir_all(self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A new profile in which the browser opens no connections in advance (preconnect, DNS prefetch): they
/// cannot be intercepted.
fn create_profile(directory: &Path) -> Result<(), NotRun> {
    const PREFERENCES: &str = r#"{"net": {"network_prediction_options": 2}}"#;
    let own = directory.join("profile").join("Default");
    let created = std::fs::create_dir_all(&own)
        .and_then(|()| std::fs::write(own.join("Preferences"), PREFERENCES));
    created.map_err(|error| NotRun::ProfileNotWritable {
        directory: directory.display().to_string(),
        message: error.to_string(),
    })
}
