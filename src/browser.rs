//! Asks `ccass-2fa-browser`, which is installed beside this program, to open a target in a browser of
//! this host. Input: a target. Output: what the browser showed, or why it was not started. The browser
//! and its profile are gone when the answer is there.

mod answer;

use std::env;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Scheme, Target};
use crate::probe::page::Page;
use crate::redact::redact_emails;
use crate::report::BrowserCheck;
use crate::report::browser::Judged;
use crate::report::browser::protocol::{MAX_ANSWER, NotRun, Observation, Request};

const PROGRAM: &str = "ccass-2fa-browser";
/// The beginning of the names of profile directories.
const PROFILE: &str = "ccass-2fa-browser-";
/// For the start and the end of the browser, in addition.
const START_AND_END: Duration = Duration::from_secs(75);
/// For the end of a check that takes too long.
const END: Duration = Duration::from_secs(10);
/// A profile of this age was left behind by a check that was killed together with its exporter.
const MAX_PROFILE_AGE: i64 = 3_600;

/// A browser, and how long it may take.
pub struct Browser<'a> {
    /// Its program; by default it is searched for.
    pub program: Option<&'a Path>,
    /// For opening a page and looking at it, once the browser has started.
    pub timeout: Duration,
    /// Ends the check and the browser.
    pub stop: &'a CancellationToken,
}

/// What the browser showed.
struct Opened {
    seen: Observation,
    /// The same for reports, without the page and the picture.
    json: Value,
}

/// Opens a target and judges what the browser shows by the rules of the target's module.
///
/// # Errors
/// Why no browser opened the page, which says nothing about the target.
pub async fn check(
    target: &Target,
    browser: &Browser<'_>,
    clock: Clock,
) -> Result<BrowserCheck, NotRun> {
    let started = clock.now();
    let Opened { seen, json } = open(target, browser, clock).await?;
    let judged = judge(target, &seen);
    Ok(BrowserCheck::of(started, seen, json, judged))
}

fn judge(target: &Target, seen: &Observation) -> Judged {
    let policy = &target.module.http;
    let page = seen.html.as_ref().map(|html| {
        let html = html.clone().into_bytes();
        Page::parse(html, Some("text/html; charset=utf-8")).evaluate(&target.module.page)
    });
    Judged {
        is_valid_status: seen
            .status
            .is_none_or(|status| policy.valid_status.contains(&status)),
        page,
    }
}

/// Opens a target and returns what the browser showed.
///
/// # Errors
/// Why no browser opened the page, which says nothing about the target.
async fn open(target: &Target, browser: &Browser<'_>, clock: Clock) -> Result<Opened, NotRun> {
    let mut request = Request {
        browser: browser.program.map(Path::to_owned),
        url: target.url.to_string(),
        allowed_hosts: target.module.http.allowed_hosts.clone(),
        allow_http: target.scheme == Scheme::HttpAllowed,
        timeout_ms: u64::try_from(browser.timeout.as_millis()).unwrap_or(u64::MAX),
        profile: PathBuf::new(),
    };
    let now = clock.now().as_second();
    // One of each.
    let (sender, events) = sync_channel(2);
    let answers = sender.clone();
    let mut asking = tokio::task::spawn_blocking(move || {
        let profile = Profile::create(now)?;
        request.profile.clone_from(&profile.0);
        ask(&request, answers, &events)
    });
    let asked = tokio::select! {
        asked = &mut asking => asked,
        () = browser.stop.cancelled() => {
            let _ = sender.try_send(Event::Stop);
            asking.await
        }
    };
    asked.unwrap_or_else(|error| Err(failed(error.to_string())))
}

/// The directory of one profile, removed when dropped: also where the check was killed.
struct Profile(PathBuf);

impl Profile {
    fn create(now: i64) -> Result<Self, NotRun> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let parent = env::temp_dir();
        remove_old(&parent, now);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PROFILE}{now}-{}-{number}", std::process::id());
        let directory = parent.join(name);
        #[cfg_attr(
            windows,
            expect(unused_mut, reason = "the user's own directory is private")
        )]
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&directory) {
            Ok(()) => Ok(Self(directory)),
            Err(error) => Err(NotRun::ProfileNotWritable {
                directory: parent.display().to_string(),
                message: error.to_string(),
            }),
        }
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // A browser that is about to end may still write.
        for _ in 0..50 {
            match fs::remove_dir_all(&self.0) {
                Ok(()) => return,
                Err(error) if error.kind() == ErrorKind::NotFound => return,
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

fn remove_old(parent: &Path, now: i64) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let created = name.to_str().and_then(|name| name.strip_prefix(PROFILE));
        let created = created.and_then(|rest| rest.split('-').next()?.parse::<i64>().ok());
        if created.is_some_and(|created| created < now.saturating_sub(MAX_PROFILE_AGE)) {
            // Another user's profile stays.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn failed(message: impl Into<String>) -> NotRun {
    NotRun::CheckerFailed {
        message: message.into(),
    }
}

/// Starts the program beside this one, else the one on the path.
fn start() -> Result<Child, NotRun> {
    let beside = env::current_exe().ok().and_then(|program| {
        let name = format!("{PROGRAM}{}", env::consts::EXE_SUFFIX);
        Some(program.parent()?.join(name))
    });
    let mut error = io::Error::from(ErrorKind::NotFound);
    for program in beside
        .iter()
        .map(PathBuf::as_path)
        .chain([Path::new(PROGRAM)])
    {
        let started = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        match started {
            Ok(child) => return Ok(child),
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => {
                error = cause;
                break;
            }
        }
    }
    let place = beside.unwrap_or_default();
    Err(failed(if error.kind() == ErrorKind::NotFound {
        format!(
            "it is neither at {} nor on the path; copy it there from the package or the archive of this \
             version, or build it with cargo build --release --workspace",
            place.display()
        )
    } else {
        format!("{} cannot be started: {error}", place.display())
    }))
}

/// What a check that runs waits for.
enum Event {
    Answer(io::Result<Vec<u8>>),
    Stop,
}

fn ask(
    request: &Request,
    answers: SyncSender<Event>,
    events: &Receiver<Event>,
) -> Result<Opened, NotRun> {
    let mut child = start()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let (Some(mut input), Some(output)) = (input, output) else {
        return Err(failed("it has no standard input or output"));
    };
    let (sender, ended) = sync_channel(1);
    let errors = child.stderr.take();
    thread::spawn(move || {
        if let Some(mut errors) = errors {
            let _ = io::copy(&mut errors, &mut io::sink());
        }
        let _ = sender.send(());
    });
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(MAX_ANSWER + 1).read_to_end(&mut bytes);
        let _ = answers.send(Event::Answer(read.map(|_| bytes)));
    });
    let sent = serde_json::to_vec(request).map_err(io::Error::from);
    let sent = sent.and_then(|mut line| {
        line.push(b'\n');
        input.write_all(&line)
    });
    let limit = Duration::from_millis(request.timeout_ms) + START_AND_END;
    let mut received = events.recv_timeout(limit);
    // The check ends when its standard input does.
    drop(input);
    if !matches!(received, Ok(Event::Answer(_))) {
        received = events.recv_timeout(END);
    }
    let _ = child.kill();
    let _ = child.wait();
    // Every process of the browser holds the other end: one that outlives the check, which was killed, could
    // create its directory again.
    let _ = ended.recv_timeout(END);
    sent.map_err(|error| failed(format!("it did not read the request: {error}")))?;
    let bytes = match received {
        Ok(Event::Answer(Ok(bytes))) => bytes,
        Ok(Event::Answer(Err(error))) => {
            return Err(failed(format!("its answer cannot be read: {error}")));
        }
        Ok(Event::Stop) | Err(_) => {
            return Err(failed(format!(
                "it did not answer within {} s",
                limit.as_secs()
            )));
        }
    };
    if bytes.is_empty() {
        return Err(failed("it ended without an answer; run the command again"));
    }
    // Whatever the page shows: an address of a person is not kept.
    let text = String::from_utf8_lossy(&bytes);
    let invalid =
        || failed("its answer is invalid; install the version that belongs to this exporter");
    let mut json = serde_json::from_str(&redact_emails(&text)).map_err(|_| invalid())?;
    let seen = answer::read(&mut json).ok_or_else(invalid)??;
    let json = json.get_mut("opened").map(Value::take);
    Ok(Opened {
        seen,
        json: json.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_of_killed_checks_are_removed_after_an_hour() {
        let parent = tempfile::tempdir().unwrap();
        let now = 1_800_000_000;
        let names = ["1799990000-7-0", "1799999000-7-0", "mine"];
        let directories = names.map(|name| parent.path().join(format!("{PROFILE}{name}")));
        for directory in &directories {
            fs::create_dir_all(directory.join("profile")).unwrap();
        }
        remove_old(parent.path(), now);
        let kept = directories.map(|directory| crate::input_file::stat(&directory).is_ok());
        assert_eq!(kept, [false, true, true]);
    }
}
