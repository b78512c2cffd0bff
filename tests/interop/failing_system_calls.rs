//! System calls of the release build that fail once, as strace makes them: each that the writing of evidence
//! consists of, and those by which the service listens, connects, reads and starts threads.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use ccass_2fa_lab::Lab;
use harness::exporter::{ConfigFile, Exporter, output_of, release_binary};
use tempfile::TempDir;
use tokio::process::Command;

const EVIDENCE: &str = "data/evidence/2026.jsonl";

/// A system call, its error or the signal sent during it, and which of a thread's calls it is, from 1.
#[derive(Clone, Copy, Debug)]
struct Fault(&'static str, &'static str, u32);

/// The exporter below strace, which makes a system call fail; with `paths` only one that concerns these files.
struct Traced {
    command: Command,
    log: PathBuf,
}

impl Traced {
    fn new(directory: &Path, paths: &[&str], fault: Fault) -> Self {
        let Fault(call, error, number) = fault;
        let log = directory.join(format!("{call}-{error}-{number}.strace"));
        let mut command = Command::new("strace");
        command.arg("--follow-forks").arg("--output").arg(&log);
        for path in paths {
            command.arg("--trace-path").arg(directory.join(path));
        }
        command.arg(format!("--trace={call}"));
        let kind = if error.starts_with("SIG") {
            "signal"
        } else {
            "error"
        };
        command.arg(format!("--inject={call}:{kind}={error}:when={number}"));
        command.kill_on_drop(true).stdin(Stdio::null());
        Self { command, log }
    }

    /// Runs a command of the exporter; returns its exit code and output, and whether the call was made and failed.
    async fn run(mut self, arguments: &[&str]) -> (i32, String, bool) {
        self.command.arg(release_binary());
        let (code, text) = run(&mut self.command, arguments).await;
        (code, text, self.has_failed())
    }

    /// Starts the service as a child of the test, whose child the tracer is.
    async fn serve(&mut self, config: &ConfigFile) -> Exporter {
        self.command.arg("--daemonize").arg(release_binary());
        Exporter::spawn(self.command.arg(config.argument())).await
    }

    fn has_failed(&self) -> bool {
        let log = std::fs::read_to_string(&self.log).expect("strace wrote a log");
        log.contains("(INJECTED)")
    }
}

/// Runs a prepared command until its end; returns its exit code and output.
async fn run(command: &mut Command, arguments: &[&str]) -> (i32, String) {
    let output = output_of(command.args(arguments)).await;
    let text = [output.stdout, output.stderr].concat();
    let code = output.status.code().expect("an exit code");
    (code, String::from_utf8(text).expect("UTF-8"))
}

/// A directory with a configuration for recording.
fn desk() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let text = format!(
        "data_directory: {}\nevidence: {{terminals: [t1]}}\n\
         targets: [{{name: sso, url: \"https://127.0.0.1:1/\"}}]\n",
        data.display()
    );
    std::fs::write(directory.path().join("ccass.yml"), text).unwrap();
    directory
}

fn config_of(directory: &Path) -> String {
    format!("--config.file={}", directory.join("ccass.yml").display())
}

async fn recorded(directory: &Path) -> usize {
    let arguments = [&config_of(directory), "evidence", "list"];
    let (_, list) = run(&mut Command::new(release_binary()), &arguments).await;
    list.matches("login page seen").count()
}

/// Records once for each fault, with existing evidence or with none, until none of its calls is left to fail.
async fn record_with(call: &'static str, error: &'static str, is_new: bool) -> u32 {
    let paths = ["ccass.yml", "data", "data/evidence", EVIDENCE];
    let mut desk = desk();
    let mut acknowledged = 0;
    for number in 1.. {
        if is_new {
            desk = self::desk();
            acknowledged = 0;
        }
        let fault = Fault(call, error, number);
        let config = config_of(desk.path());
        let arguments = [&config, "record", "--terminal", "t1", "--outcome", "seen"];
        let traced = Traced::new(desk.path(), &paths, fault);
        let (code, text, has_failed) = traced.run(&arguments).await;
        match code {
            0 => acknowledged += 1,
            2 => assert!(text.starts_with("cannot read "), "{fault:?}: {text}"),
            _ => {
                assert_eq!(code, 3, "{fault:?}: {text}");
                assert!(text.starts_with("NOT recorded: "), "{fault:?}: {text}");
            }
        }
        let kept = recorded(desk.path()).await;
        assert_eq!(kept, acknowledged, "{fault:?}, code {code}: {text}");
        if !has_failed {
            return number - 1;
        }
    }
    unreachable!("the number of calls is finite")
}

#[tokio::test(flavor = "multi_thread")]
async fn any_system_call_of_a_recording_may_fail_and_only_what_is_acknowledged_is_recorded() {
    let mut failed = Vec::new();
    for call in [
        "openat",
        "read",
        "write",
        "fsync",
        "statx",
        "mkdir",
        "getdents64",
    ] {
        for error in ["EIO", "ENOSPC", "EINTR"] {
            for is_new in [true, false] {
                let count = record_with(call, error, is_new).await;
                failed.push((call, count));
            }
        }
    }
    for call in ["openat", "read", "write", "fsync", "statx", "mkdir"] {
        let count: u32 = failed.iter().filter(|it| it.0 == call).map(|it| it.1).sum();
        assert!(count >= 4, "{call} failed {count} times only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_killed_at_any_system_call_leaves_no_partial_line_unrecorded() {
    let mut killed = 0;
    for call in ["openat", "read", "write", "lseek", "ftruncate", "fsync"] {
        for number in 1.. {
            let desk = desk();
            let config = config_of(desk.path());
            let record = [&config, "record", "--terminal", "t1", "--outcome", "seen"];
            assert_eq!(run(&mut Command::new(release_binary()), &record).await.0, 0);
            let file = desk.path().join(EVIDENCE);
            let mut text = std::fs::read(&file).unwrap();
            text.extend_from_within(..text.len() / 2);
            std::fs::write(&file, text).unwrap();

            let fault = Fault(call, "SIGKILL", number);
            let mut traced = Traced::new(desk.path(), &["data/evidence", EVIDENCE], fault);
            let output = output_of(traced.command.arg(release_binary()).args(record)).await;
            let is_killed = !output.status.success();
            killed += u32::from(is_killed);

            assert_eq!(run(&mut Command::new(release_binary()), &record).await.0, 0);
            let arguments = [&config, "evidence", "list"];
            let (_, list) = run(&mut Command::new(release_binary()), &arguments).await;
            assert!(list.contains("2026.torn"), "{fault:?}: {list}");
            let arguments = [&config, "evidence", "check"];
            let (code, text) = run(&mut Command::new(release_binary()), &arguments).await;
            assert_eq!(code, 0, "{fault:?}: {text}");
            if !is_killed {
                break;
            }
        }
    }
    assert!(killed >= 8, "killed {killed} times only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_call_that_fails_at_the_start_ends_the_service_with_the_reason() {
    for (fault, paths, expected) in [
        (
            Fault("socket", "EMFILE", 1),
            &[][..],
            "cannot listen on 127.0.0.1:0",
        ),
        (
            Fault("bind", "EADDRINUSE", 1),
            &[],
            "Address already in use",
        ),
        (
            Fault("listen", "EADDRINUSE", 1),
            &[],
            "Address already in use",
        ),
        (
            Fault("epoll_create1", "EMFILE", 1),
            &[],
            "cannot start the async runtime",
        ),
        (
            Fault("eventfd2", "EMFILE", 1),
            &[],
            "cannot start the async runtime",
        ),
        (
            Fault("clone3", "EAGAIN", 1),
            &[],
            "raise the limit of threads",
        ),
        (
            Fault("openat", "EMFILE", 1),
            &["ccass.yml"],
            "Too many open files",
        ),
    ] {
        let desk = desk();
        let config = config_of(desk.path());
        let arguments = [&config, "--web.listen-address=127.0.0.1:0"];
        let traced = Traced::new(desk.path(), paths, fault);
        let (code, text, has_failed) = traced.run(&arguments).await;
        assert!(has_failed, "{fault:?}: {text}");
        assert!([2, 3].contains(&code), "{fault:?}: code {code}: {text}");
        assert!(text.contains(expected), "{fault:?}: {text}");
        assert!(!text.contains("panicked"), "{fault:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_survives_system_calls_that_fail_once_and_its_next_probe_succeeds() {
    let lab = Lab::start().await.unwrap();
    let limits = "interval: 1h, timeout: 60s";
    for (paths, fault) in [
        (&[][..], Fault("socket", "EMFILE", 2)),
        (&[], Fault("socket", "EMFILE", 3)),
        (&[], Fault("socket", "ENOBUFS", 4)),
        (&[], Fault("connect", "ENETUNREACH", 1)),
        (&[], Fault("connect", "EADDRNOTAVAIL", 2)),
        (&[], Fault("bind", "EADDRINUSE", 2)),
        (&[], Fault("accept4", "EMFILE", 1)),
        (&[], Fault("accept4", "ECONNABORTED", 1)),
        (&[], Fault("accept4", "ENOBUFS", 2)),
        (&[], Fault("recvfrom", "ECONNRESET", 1)),
        (&[], Fault("recvfrom", "ECONNRESET", 2)),
        (&[], Fault("recvfrom", "EINTR", 3)),
        (&[], Fault("epoll_wait", "EINTR", 1)),
        (&[], Fault("clone3", "EAGAIN", 4)),
        (&[], Fault("clone3", "EAGAIN", 6)),
        (&["data"], Fault("openat", "EMFILE", 1)),
        (&["data/evidence", EVIDENCE], Fault("fsync", "EIO", 1)),
        (&["data/evidence", EVIDENCE], Fault("write", "EIO", 1)),
        (&[], Fault("rename", "EIO", 1)),
    ] {
        let text = super::with_limits(&lab.config(), limits);
        let config = ConfigFile::new(&text);
        let data = config.directory().join("data");
        let text = format!("data_directory: {}\n{text}", data.display());
        std::fs::write(config.path(), text).unwrap();
        let mut traced = Traced::new(config.directory(), paths, fault);
        let exporter = traced.serve(&config).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut last = String::new();
        for _ in 0..3 {
            let response = client.get(exporter.url("/probe?target=sso")).send().await;
            last = match response {
                Ok(response) => response.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
        }
        assert!(last.contains("\nprobe_success 1\n"), "{fault:?}: {last}");
        exporter.metrics().await;
        assert_eq!(exporter.terminate().await, Some(0), "{fault:?}");
        assert!(traced.has_failed(), "{fault:?}: no such call");
    }
}
