//! A network, mount and PID namespace for one test, with its own addresses and resolver
//! configuration, in which the machine's real programs run. It needs root.
//!
//! The first process of the namespace reads from a pipe of the test. It ends with the test, however
//! that ends, and the kernel then kills every process of the namespace.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Protects from waiting forever; no test depends on it being short.
pub const TIMEOUT: Duration = Duration::from_secs(120);

pub struct Namespace {
    first_process: Child,
    pub directory: tempfile::TempDir,
    servers: Vec<Child>,
}

impl Namespace {
    /// Creates a namespace with these addresses on its loopback interface and these resolvers in its
    /// `/etc/resolv.conf`.
    pub async fn new(addresses: &[&str], resolvers: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let resolv_conf = directory.path().join("resolv.conf");
        let lines: Vec<String> = resolvers
            .iter()
            .map(|resolver| format!("nameserver {resolver}\n"))
            .collect();
        std::fs::write(&resolv_conf, lines.concat()).expect("resolv.conf is writable");
        let mut setup = format!(
            "ip link set lo up; mount --bind {} /etc/resolv.conf;",
            resolv_conf.display()
        );
        for address in addresses {
            setup.push_str(&format!("ip addr add {address}/32 dev lo;"));
        }
        let script = format!("set -e; {setup} echo ready; exec cat");
        let mut first_process = Command::new("unshare")
            .args(["--net", "--mount", "--mount-proc", "--pid", "--fork"])
            .args(["--kill-child", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("unshare is installed (package util-linux)");
        let stdout = first_process.stdout.take().expect("stdout is a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(TIMEOUT, lines.next_line())
            .await
            .unwrap_or_else(|_| panic!("namespace not ready within {TIMEOUT:?}"))
            .expect("stdout is readable");
        assert_eq!(
            line.as_deref(),
            Some("ready"),
            "cannot create a network namespace: this needs root; \
             NO_NETNS=1 make test leaves these tests out"
        );
        Self {
            first_process,
            directory,
            servers: Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the temporary directory is writable");
        path
    }

    /// A command that runs inside the namespace.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let pid = self.first_process.id().expect("the namespace exists");
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &pid.to_string(), "--net", "--mount"])
            .arg(format!("--pid=/proc/{pid}/ns/pid_for_children"))
            .arg(program)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts a server inside, which is killed with the namespace; it logs to `{name}.log`.
    pub fn spawn(&mut self, name: &str, program: &str, arguments: &[&str]) {
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).expect("a log file");
        let child = self
            .command(program)
            .args(arguments)
            .stdout(log.try_clone().expect("a second handle of the log file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
        self.servers.push(child);
    }

    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// The last lines of a log, for the message of a failed assertion.
    pub fn log_tail(&self, name: &str) -> String {
        let log = self.log(name);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(5)..].join("\n");
        format!("{name}.log ends with:\n{tail}")
    }

    /// Waits until the log of a server contains `part`.
    pub async fn wait_for_log(&self, name: &str, part: &str) {
        let found = timeout(TIMEOUT, async {
            while !self.log(name).contains(part) {
                sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(
            found.await.is_ok(),
            "no {part:?} within {TIMEOUT:?}; {}",
            self.log_tail(name)
        );
    }

    /// Runs a command inside to its end; returns its exit code and standard output.
    pub async fn run(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> (i32, String) {
        let program = program.as_ref();
        let output = timeout(TIMEOUT, self.command(program).args(arguments).output())
            .await
            .unwrap_or_else(|_| {
                panic!("{program:?} {arguments:?} still runs after {TIMEOUT:?}");
            })
            .unwrap_or_else(|error| panic!("cannot start {program:?}: {error}"));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        (output.status.code().unwrap_or(-1), text)
    }

    /// Waits until a shell command inside succeeds; `server` is the one whose log explains why it
    /// does not.
    pub async fn wait_until(&self, command: &str, server: &str) {
        let script = format!("until {command}; do sleep 0.1; done");
        let succeeded = self
            .command("bash")
            .args(["-c", &script])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            timeout(TIMEOUT, succeeded).await.is_ok(),
            "{command:?} does not succeed within {TIMEOUT:?}; {}",
            self.log_tail(server)
        );
    }

    /// Waits until a server inside accepts connections.
    pub async fn wait_for_port(&self, server: &str, address: &str, port: u16) {
        let connect = format!("(exec 3<>/dev/tcp/{address}/{port})");
        self.wait_until(&connect, server).await;
    }

    pub async fn get(&self, url: &str) -> String {
        let (code, text) = self.run("curl", &["--silent", "--show-error", url]).await;
        assert_eq!(code, 0, "curl {url}");
        text
    }
}

impl Drop for Namespace {
    /// Ends the first process and waits until the kernel has killed the others: none may still write
    /// to the directory when it is removed.
    fn drop(&mut self) {
        drop(self.first_process.stdin.take());
        let start = Instant::now();
        while matches!(self.first_process.try_wait(), Ok(None)) && start.elapsed() < TIMEOUT {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
