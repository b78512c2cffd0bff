//! A terminal: a home directory with a store of trusted roots, a PAC file, and the exporter's command.

use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Output;

use ccass_2fa_lab::{Authority, Lab};
use harness::exporter::{command, output_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::task::AbortOnDropHandle;

/// `nobody` in Debian.
const NOBODY: u32 = 65_534;

pub struct Desk {
    home: tempfile::TempDir,
    pac: Option<Pac>,
    /// The proxy of the desk's settings.
    proxy: Option<SocketAddr>,
}

/// A server of a PAC file that sends every request to a proxy.
struct Pac {
    url: String,
    _task: AbortOnDropHandle<()>,
}

/// By the owner of a new directory.
fn is_root() -> bool {
    let probe = tempfile::tempdir().unwrap();
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(probe.path()).unwrap()) == 0
}

impl Desk {
    /// A desk that trusts `roots`.
    pub async fn new(roots: &[&Authority]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let desk = Self {
            home,
            pac: None,
            proxy: None,
        };
        for directory in ["tmp", "data", ".pki/nssdb"] {
            std::fs::create_dir_all(desk.path(directory)).unwrap();
        }
        let store = format!("sql:{}", desk.path(".pki/nssdb").display());
        certutil(&["-d", &store, "-N", "--empty-password"]).await;
        for authority in roots {
            let root = desk.write("root.pem", &authority.root_pem());
            let root = root.to_str().unwrap().to_owned();
            certutil(&[
                "-d",
                &store,
                "-A",
                "-t",
                "C,,",
                "-n",
                authority.name(),
                "-i",
                &root,
            ])
            .await;
        }
        desk
    }

    /// All requests go through the lab's proxy, by a PAC file.
    pub async fn with_pac(mut self, lab: &Lab) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/proxy.pac", listener.local_addr().unwrap());
        let script = format!(
            "function FindProxyForURL(url, host) {{ return 'PROXY {}'; }}",
            lab.proxy.addr()
        );
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ns-proxy-autoconfig\r\n\
                     Connection: close\r\nContent-Length: {}\r\n\r\n{script}",
                    script.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        self.pac = Some(Pac {
            url,
            _task: AbortOnDropHandle::new(task),
        });
        self
    }

    /// All requests go through this proxy, by the desk's settings.
    pub fn with_proxy(mut self, proxy: SocketAddr) -> Self {
        self.proxy = Some(proxy);
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    pub fn pac_url(&self) -> &str {
        self.pac.as_ref().map_or("", |pac| &pac.url)
    }

    /// The exporter's command as the user of the desk, with a configuration.
    pub fn command(&self, config: &str, arguments: &[&str]) -> Command {
        let config = self.write("ccass.yml", config);
        let mut exporter = command();
        exporter
            .arg(format!("--config.file={}", config.display()))
            .args(arguments)
            .env("HOME", self.home.path())
            .env("TMPDIR", self.path("tmp"))
            .current_dir(self.home.path());
        for name in [
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "no_proxy",
            "XDG_CONFIG_HOME",
        ] {
            exporter.env_remove(name).env_remove(name.to_uppercase());
        }
        if let Some(pac) = &self.pac {
            exporter.env("auto_proxy", &pac.url);
        }
        if let Some(proxy) = self.proxy {
            exporter.env("https_proxy", format!("http://{proxy}"));
        }
        if is_root() {
            give(self.home.path());
            exporter.uid(NOBODY).gid(NOBODY);
        }
        exporter
    }

    /// `verify --browser` with these arguments. By default a page may take a minute, so that no test depends
    /// on a fast machine.
    pub async fn verify(&self, config: &str, arguments: &[&str]) -> Output {
        let minute = "--browser-timeout=1m";
        let is_limited = arguments
            .iter()
            .any(|argument| argument.starts_with("--browser-timeout"));
        let limit: &[&str] = if is_limited { &[] } else { &[minute] };
        let arguments = [&["verify", "--browser"], arguments, limit].concat();
        output_of(&mut self.command(config, &arguments)).await
    }

    /// The exit code, what is printed, and the report as JSON.
    pub async fn report(&self, config: &str, arguments: &[&str]) -> (i32, serde_json::Value) {
        let output = self
            .verify(config, &[&["--format=json"], arguments].concat())
            .await;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        matches_schema("reports.schema.json", &report).await;
        let report = report["reports"][0].clone();
        assert!(report["browser"].is_object(), "{output:?}");
        self.is_clean();
        (output.status.code().unwrap(), report)
    }

    /// No profile is left, and no process that used it.
    pub fn is_clean(&self) {
        let left: Vec<_> = std::fs::read_dir(self.path("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(self.processes(), Vec::<String>::new());
    }

    /// Command lines of the processes that use a profile of this desk.
    pub fn processes(&self) -> Vec<String> {
        let home = self.path("tmp").display().to_string();
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&home)).collect()
    }
}

/// Asserts that a document matches its schema in `docs`, with Python's jsonschema.
pub async fn matches_schema(schema: &str, document: &serde_json::Value) {
    const CHECK: &str = "import json, jsonschema, sys; \
        jsonschema.validate(json.loads(sys.argv[2]), json.load(open(sys.argv[1])))";
    let schema = harness::documents::repository("docs").join(schema);
    let output = Command::new("/usr/bin/python3")
        .args(["-c", CHECK])
        .arg(schema)
        .arg(document.to_string())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn give(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    let metadata = std::fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

async fn certutil(arguments: &[&str]) {
    let output = Command::new("certutil").args(arguments).output().await;
    let output = output.expect("certutil, of libnss3-tools");
    assert!(output.status.success(), "{output:?}");
}
