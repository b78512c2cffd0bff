//! A network of the test's own: a network, mount and process namespace with addresses, a resolver
//! configuration, and the machine's real programs running in it. It needs root. Its first process
//! reads from the test until that ends, however it ends; with it the kernel ends everything in it.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Namespace {
    holder: Child,
    pub directory: tempfile::TempDir,
    servers: Vec<Child>,
}

impl Namespace {
    /// A world with these addresses on its loopback, whose system resolvers are `resolvers`.
    pub async fn with(addresses: &[&str], resolvers: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let resolv = directory.path().join("resolv.conf");
        let lines: Vec<String> = resolvers
            .iter()
            .map(|one| format!("nameserver {one}\n"))
            .collect();
        std::fs::write(&resolv, lines.concat()).expect("a file");
        let mut setup = format!(
            "ip link set lo up; mount --bind {} /etc/resolv.conf;",
            resolv.display()
        );
        for address in addresses {
            setup.push_str(&format!("ip addr add {address}/32 dev lo;"));
        }
        let script = format!("set -e; {setup} echo ready; exec cat");
        let mut holder = Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--mount-proc",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .args(["sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("unshare starts");
        let out = holder.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(out).lines();
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .expect("it is ready in time")
            .expect("a readable pipe");
        assert_eq!(
            line.as_deref(),
            Some("ready"),
            "network namespaces need root; NO_NETNS=1 make test leaves these tests out"
        );
        Self {
            holder,
            directory,
            servers: Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> std::path::PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// A command inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let holder = self.holder.id().expect("it runs");
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &holder.to_string(), "--net", "--mount"])
            .arg(format!("--pid=/proc/{holder}/ns/pid_for_children"))
            .arg(program)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts a server inside, which ends with the world; its output goes to a file of its name.
    pub fn serve(&mut self, name: &str, program: &str, arguments: &[&str]) {
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).expect("a log");
        let child = self
            .command(program)
            .args(arguments)
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} starts: {error}"));
        self.servers.push(child);
    }

    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// Runs a command inside to its end; its standard output and exit code.
    pub async fn run(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> (i32, String) {
        let output = self.command(program).args(arguments).output();
        let output = timeout(PATIENCE, output)
            .await
            .expect("it ends")
            .expect("it starts");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        (output.status.code().unwrap_or(-1), text)
    }

    /// Waits until something inside accepts connections.
    pub async fn accepts(&self, server: &str, address: &str, port: u16) {
        let script = format!(
            "for i in $(seq 600); do (exec 3<>/dev/tcp/{address}/{port}) 2>/dev/null && exit 0; \
             sleep 0.05; done; exit 1"
        );
        let (code, _) = self.run("bash", &["-c", &script]).await;
        assert_eq!(code, 0, "{server} does not accept: {}", self.log(server));
    }

    pub async fn get(&self, url: &str) -> String {
        let (code, text) = self.run("curl", &["--silent", "--show-error", url]).await;
        assert_eq!(code, 0, "{url}");
        text
    }
}
