//! The browser on Linux: a process group of its own. This process adopts whatever the browser's
//! processes leave behind, so that none survives it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::dup;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group,
    set_child_subreaper, set_parent_process_death_signal, waitpid,
};

use super::{Pipes, Printed, arguments};
use crate::time::Deadline;

/// For the processes to disappear after they were killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The argument with which this program becomes the browser.
const LAUNCH: &str = "launch";

/// Becomes the browser, which the system kills with its parent: `launch PARENT WATCHED PROGRAM ARGUMENTS`.
/// The browser's processes keep the descriptor WATCHED as their standard output.
/// Returns `None` for other arguments, and the error if the browser cannot be started.
pub fn launch(mut arguments: impl Iterator<Item = OsString>) -> Option<io::Error> {
    if arguments.next()? != LAUNCH {
        return None;
    }
    let parent = arguments.next()?;
    let watched = arguments.next()?;
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return Some(error.into());
    }
    let current = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    if current.is_none_or(|current| parent != *current) {
        return Some(io::Error::other("the check has ended"));
    }
    // The browser talks over the descriptors 3 and 4. A shell moves them there, which needs no unsafe
    // code.
    let watched = watched.to_string_lossy();
    let script = format!("exec \"$0\" \"$@\" 5>&{watched} 3<&0 4>&1 </dev/null >&5 5>&-");
    let error = Command::new("/bin/sh")
        .args(["-c", &script])
        .args(arguments)
        .exec();
    Some(error)
}

/// A running browser; it is killed with its children when dropped.
pub struct Browser {
    group: Pid,
    pub printed: Printed,
    is_running: bool,
}

impl Browser {
    /// # Errors
    /// The program cannot be started.
    pub fn start(program: &Path, profile: &Path) -> io::Result<(Self, Pipes)> {
        // Best effort: without it, orphans end by themselves when the browser is gone.
        let _ = set_child_subreaper(Some(getpid()));
        // The exporter reads it to its end, which comes when no process of the browser is left.
        let watched = dup(io::stderr())?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(LAUNCH)
            .arg(getpid().as_raw_nonzero().to_string())
            .arg(watched.as_raw_fd().to_string())
            .arg(program)
            .args(arguments(profile))
            .args(["--remote-debugging-pipe", "about:blank"])
            // Sockets and temporary files would otherwise stay outside the profile.
            .env("TMPDIR", profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn()?;
        let printed = child.stderr.take().map(Printed::collect);
        let missing = || io::Error::other("no pipe to the browser");
        let browser = Self {
            group: i32::try_from(child.id())
                .ok()
                .and_then(Pid::from_raw)
                .ok_or_else(missing)?,
            printed: printed.unwrap_or_default(),
            is_running: true,
        };
        let to = child.stdin.take().ok_or_else(missing)?;
        let from = child.stdout.take().ok_or_else(missing)?;
        let pipes = Pipes {
            to: Box::new(to),
            from: Box::new(from),
        };
        Ok((browser, pipes))
    }

    /// Kills every process that the browser started, and waits until they are gone.
    pub fn kill(&mut self) {
        if !std::mem::take(&mut self.is_running) {
            return;
        }
        let deadline = Deadline::after(KILL_TIMEOUT);
        while !deadline.is_over() {
            let _ = kill_process_group(self.group, Signal::KILL);
            for child in children() {
                let _ = kill_process(child, Signal::KILL);
            }
            // Collect whatever has ended; orphans become children of this process.
            loop {
                match waitpid(None, WaitOptions::NOHANG) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Bytes of memory that no other process shares.
    pub fn memory(&self) -> u64 {
        const PAGE: u64 = 4096;
        let mut total = 0;
        for process in descendants() {
            let file = format!("/proc/{}/statm", process.as_raw_nonzero());
            let text = fs::read_to_string(file).unwrap_or_default();
            let mut pages = text.split(' ').skip(1).map(|pages| pages.parse::<u64>());
            if let (Some(Ok(resident)), Some(Ok(shared))) = (pages.next(), pages.next()) {
                total += resident.saturating_sub(shared) * PAGE;
            }
        }
        total
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The children of this process.
fn children() -> Vec<Pid> {
    let own = getpid();
    processes()
        .into_iter()
        .filter(|(_, parent)| *parent == own.as_raw_nonzero().get())
        .filter_map(|(process, _)| Pid::from_raw(process))
        .collect()
}

/// The children of this process, their children and so on.
fn descendants() -> Vec<Pid> {
    let all = processes();
    let mut known = vec![getpid().as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(parent) = known.get(next).copied() {
        next += 1;
        known.extend(
            all.iter()
                .filter(|(_, of)| *of == parent)
                .map(|(process, _)| *process),
        );
    }
    known
        .into_iter()
        .skip(1)
        .filter_map(Pid::from_raw)
        .collect()
}

/// Every process with its parent.
fn processes() -> Vec<(i32, i32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let process: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name before the last parenthesis may contain anything.
            let (_, fields) = stat.rsplit_once(") ")?;
            let parent = fields.split(' ').nth(1)?.parse().ok()?;
            Some((process, parent))
        })
        .collect()
}
