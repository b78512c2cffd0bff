//! The release build with less memory than it needs (`ulimit -v`): it ends with a message or works, and nothing
//! that it acknowledged is lost. Memory is limited before the start, and below a running service.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::{Audit, KnownHashes, Ledger};
use ccass_2fa_exporter::state_file::StateFile;
use ccass_2fa_lab::Lab;
use harness::exporter::{ConfigFile, command_of, release_binary};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::TIMEOUT;

const MIB: u64 = 1 << 20;
/// No system needs more.
const ENOUGH: u64 = 512 * MIB;
/// Enough for the service, and too little for a heap of each thread, which would leave it room.
const SMALL: u64 = 60 * MIB;
/// As many as the service accepts at a time.
const CONNECTIONS: usize = 256;

/// A data directory, and the records in it that were acknowledged.
struct Desk {
    config: ConfigFile,
    acknowledged: BTreeSet<u64>,
}

/// How a process with limited memory ended, or that it worked.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Worked,
    Ended,
}

impl Desk {
    fn new(lab: &Lab) -> Self {
        let text = super::with_limits(&lab.config(), "interval: 1h, timeout: 60s");
        let config = ConfigFile::new("");
        let data = config.directory().join("data");
        let text = format!(
            "data_directory: {}\nevidence: {{terminals: [t1]}}\n{text}",
            data.display()
        );
        std::fs::write(config.path(), text).unwrap();
        Self {
            config,
            acknowledged: BTreeSet::new(),
        }
    }

    fn directory(&self) -> std::path::PathBuf {
        self.config.directory().join("data")
    }

    /// The exporter with a limit of its address space, in bytes.
    fn command(&self, limit: u64) -> Command {
        let mut command = command_of(Path::new("prlimit"));
        command
            .arg(format!("--as={limit}"))
            .arg(release_binary())
            .arg(self.config.argument())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Records a check of a terminal.
    async fn record(&mut self, limit: u64) -> Outcome {
        let mut command = self.command(limit);
        command.args(["record", "--terminal", "t1", "--outcome", "seen"]);
        let output = timeout(TIMEOUT, command.output()).await;
        let output = output
            .expect("it ends")
            .expect("prlimit, of util-linux, starts");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        if output.status.success() {
            let (_, rest) = text.split_once("recorded as number ").expect("a number");
            let number = rest.split(' ').next().expect("a number");
            self.acknowledged.insert(number.parse().expect("a number"));
            return Outcome::Worked;
        }
        assert_clear_end(output.status, &text, limit);
        Outcome::Ended
    }

    async fn serve(&self, limit: u64) -> Service {
        let mut command = self.command(limit);
        command.arg("--web.listen-address=127.0.0.1:0");
        let mut child = command.stdout(Stdio::null()).spawn().expect("prlimit");
        let mut service = Service {
            lines: BufReader::new(child.stderr.take().expect("a pipe")).lines(),
            child,
            log: String::new(),
            address: None,
        };
        let line = service.line_with("message=listening").await;
        let address = line.as_ref().and_then(|line| line.split_once("address="));
        service.address = address.map(|(_, rest)| rest.split(' ').next().unwrap().to_owned());
        service
    }

    /// Checks the evidence and the state that the processes left.
    fn assert_intact(&mut self, log: &str) {
        for line in log
            .lines()
            .filter(|line| line.contains("\"evidence recorded\""))
        {
            let (_, rest) = line.split_once("number=").expect("a number");
            let number = rest.split(' ').next().expect("a number");
            self.acknowledged.insert(number.parse().expect("a number"));
        }
        let ledger = Ledger::in_directory(&self.directory(), None, Clock::System);
        let audit = Audit::of(&ledger, KnownHashes::default(), |_| {}).expect("readable evidence");
        assert!(audit.faults.is_empty(), "{:?}\n{log}", audit.faults);
        let numbers: BTreeSet<u64> = audit.records.iter().map(|one| one.number).collect();
        let lost: Vec<_> = self.acknowledged.difference(&numbers).collect();
        assert!(lost.is_empty(), "records {lost:?} are lost\n{log}");
        let state = StateFile::in_directory(&self.directory());
        let state = state.load_or_quarantine(Clock::System.now());
        state.expect("a readable state file");
        let moved = self.directory().join("state.json.corrupt");
        assert!(!moved.exists(), "the state file is corrupt\n{log}");
    }
}

/// A service, whose log is read until it ends.
struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    log: String,
    /// `None` if it did not start.
    address: Option<String>,
}

impl Service {
    /// The next line of the log with `part`; `None` if the service ends before.
    async fn line_with(&mut self, part: &str) -> Option<String> {
        let next = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                self.log.push_str(&line);
                self.log.push('\n');
                if line.contains(part) {
                    return Some(line);
                }
            }
            None
        };
        timeout(TIMEOUT, next).await.expect("it logs or ends")
    }

    /// A response; `None` if the service ends meanwhile.
    async fn get(&self, path: &str) -> Option<String> {
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT);
        let url = format!("http://{}{path}", self.address.as_ref()?);
        let response = client.build().unwrap().get(url).send().await;
        match response {
            Ok(response) => response.text().await.ok(),
            Err(error) => {
                assert!(!error.is_timeout(), "{path}: {error:?}");
                None
            }
        }
    }

    /// A probe of the login, which works, and what `/metrics` shows of it.
    async fn probe(&self) -> Option<()> {
        let probe = self.get("/probe?target=sso").await?;
        assert!(probe.contains("\nprobe_success 1\n"), "{probe}");
        let metrics = self.get("/metrics").await?;
        let failed = "ccass2fa_probe_success{target=\"sso\",role=\"login\"} 0";
        assert!(!metrics.contains(failed), "{metrics}");
        assert!(metrics.contains("ccass2fa_build_info{"), "{metrics}");
        Some(())
    }

    /// Stops the service if it still runs.
    async fn end(mut self, limit: u64) -> (Outcome, String) {
        if let Some(id) = self.child.id() {
            let _ended_meanwhile = std::process::Command::new("kill")
                .args(["-TERM", &id.to_string()])
                .stderr(Stdio::null())
                .status();
        }
        while self.line_with("").await.is_some() {}
        let status = timeout(TIMEOUT, self.child.wait()).await;
        let status = status.expect("it ends").unwrap();
        if status.success() {
            return (Outcome::Worked, self.log);
        }
        assert_clear_end(status, &self.log, limit);
        (Outcome::Ended, self.log)
    }
}

/// A message and an exit code, or the message of the allocator or of the start of a thread, or the kernel's refusal
/// to load the program.
fn assert_clear_end(status: ExitStatus, text: &str, limit: u64) {
    let is_clear = match (status.code(), status.signal()) {
        (Some(2 | 3), _) => !text.is_empty() && !text.contains("panicked"),
        (_, Some(libc::SIGABRT)) => {
            text.contains("memory allocation of ") || text.contains("Cannot allocate memory")
        }
        (_, Some(libc::SIGSEGV | libc::SIGKILL)) => text.is_empty(),
        _ => false,
    };
    assert!(is_clear, "{status} with {limit} bytes:\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_too_little_memory_for_the_start_it_ends_with_a_message_and_otherwise_it_works() {
    let lab = Lab::start().await.unwrap();
    let mut desk = Desk::new(&lab);
    let (mut ended, mut worked) = (0, 0);
    let mut limit = MIB;
    while worked < 3 {
        assert!(limit < ENOUGH, "it does not even work with {limit} bytes");
        let mut outcomes = [desk.record(limit).await, Outcome::Worked];
        let service = desk.serve(limit).await;
        let probed = service.probe().await;
        let (outcome, log) = service.end(limit).await;
        assert_eq!(probed.is_some(), outcome == Outcome::Worked, "{log}");
        outcomes[1] = outcome;
        desk.assert_intact(&log);
        match outcomes {
            [Outcome::Worked, Outcome::Worked] => worked += 1,
            _ => ended += 1,
        }
        limit += MIB;
    }
    assert!(ended > 5, "it always had enough memory");
    assert!(desk.acknowledged.len() > 3, "{:?}", desk.acknowledged);
}

/// What the process has of its address space, in bytes.
fn address_space(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.expect("a size").parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_memory_runs_out_ends_with_a_message_and_has_lost_nothing() {
    let lab = Lab::start().await.unwrap();
    let mut ended = 0;
    for more in [0, MIB / 4, MIB / 2, MIB, 2 * MIB, SMALL] {
        let mut desk = Desk::new(&lab);
        let mut service = desk.serve(SMALL).await;
        let recorded = service.line_with("\"evidence recorded\"").await;
        recorded.expect("it runs");
        let id = service.child.id().expect("it runs");
        let limit = SMALL.min(address_space(id) + more);
        let limited = std::process::Command::new("prlimit")
            .args(["--pid", &id.to_string(), &format!("--as={limit}:")])
            .status();
        assert!(limited.unwrap().success());
        let address = service.address.clone().expect("it listens");
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let Ok(mut connection) = TcpStream::connect(&address).await else {
                break;
            };
            let _it_may_have_ended = connection.write_all(&unfinished_request()).await;
            connections.push(connection);
        }
        let probed = service.probe().await;
        let (outcome, log) = service.end(limit).await;
        if probed.is_none() {
            assert_eq!(outcome, Outcome::Ended, "{more} bytes more\n{log}");
            ended += 1;
        }
        assert!(probed.is_some() || more < SMALL, "{log}");
        desk.assert_intact(&log);
        assert!(!desk.acknowledged.is_empty(), "{log}");
    }
    assert!(ended > 0, "it always had enough memory");
}

/// A head that is read and kept, since it does not end.
fn unfinished_request() -> Vec<u8> {
    let head = "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ";
    [head, &"x".repeat(8_000)].concat().into_bytes()
}
