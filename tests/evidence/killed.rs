//! A process that is killed at a moment that differs each time: this test binary, started again to run one test.
//!
//! `CCASS_2FA_TEST_KILLS=10000 cargo test --workspace --test evidence kill_while` kills that often, which takes some
//! ten minutes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KILLS: &str = "CCASS_2FA_TEST_KILLS";

/// What a process writes until it is killed.
pub struct Killed {
    /// The test that it runs.
    pub test: &'static str,
    /// The environment variable that names the directory to that test.
    pub directory: &'static str,
    /// The longest time between the last line that is waited for and the kill.
    pub longest: Duration,
}

impl Killed {
    /// Its lines; `kills` of these processes were killed before. They include those that it wrote between the
    /// last one that was waited for and the kill.
    pub fn lines(&self, directory: &Path, kills: u32, most: usize) -> Vec<String> {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", self.test, "--nocapture"])
            .env(self.directory, directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut taken = Vec::new();
        // Another number of lines each time, and another moment within the last one.
        let wanted = 1 + (kills as usize * 37) % most;
        taken.extend(lines.by_ref().take(wanted));
        let longest = u64::try_from(self.longest.as_micros()).expect("a short time");
        let moment = Instant::now() + Duration::from_micros(u64::from(kills) * 131 % longest);
        while Instant::now() < moment {
            // Both may share one processor.
            std::thread::yield_now();
        }
        child.kill().expect("the process is running");
        taken.extend(lines);
        child.wait().expect("the process has ended");
        taken.into_iter().map_while(Result::ok).collect()
    }
}

/// How often a process is killed: `usual`, or as the environment says.
pub fn kills(usual: u32) -> u32 {
    let wanted = std::env::var(KILLS).ok();
    wanted.map_or(usual, |number| number.parse().expect(KILLS))
}

/// The limit of a test with so many kills. It only ends a hang.
pub fn time_limit(kills: u32) -> Duration {
    Duration::from_secs(300).max(Duration::from_secs(1) * kills)
}
