//! Sites with agents, and the centres that they send to, as `deploy/fleet` configures them. Only
//! addresses, paths, credentials and labels are filled in and durations shortened.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ccass_2fa_lab::{Authority, Lab, Leaf};
use regex::Regex;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::documents::{read, repository};
use crate::exporter::{self, ConfigFile, Exporter};
use crate::prometheus::{Contact, PROMETHEUS, Peer, QUICK, alertmanager_yml, write_rules};

/// VictoriaMetrics and its companions in the newest version that Debian has, if they are unpacked.
pub fn victoria_metrics_installed() -> bool {
    repository("target/newest/root/usr/bin/vmalert").is_file()
}

/// As `--query.lookback-delta`, whose 5 minutes are shortened like the windows of the rules.
const LOOKBACK: &str = "25s";

/// The line from a site to a centre. It can be cut.
pub struct Uplink {
    /// Where the agent connects to.
    pub address: String,
    /// The centre, `None` while the line is cut.
    centre: watch::Sender<Option<String>>,
    _task: AbortOnDropHandle<()>,
}

impl Uplink {
    /// A line to the centre at this address.
    pub async fn start(centre: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, receiver) = watch::channel(Some(centre.to_owned()));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(carry(stream, receiver.clone()));
            }
        });
        Self {
            address,
            centre: sender,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Ends every connection, and each new one at once.
    pub fn cut(&self) {
        self.centre.send_replace(None);
    }

    /// Connects to the centre at this address again.
    pub fn restore(&self, centre: &str) {
        self.centre.send_replace(Some(centre.to_owned()));
    }
}

async fn carry(mut agent: TcpStream, mut centre: watch::Receiver<Option<String>>) {
    let Some(address) = centre.borrow_and_update().clone() else {
        return;
    };
    let Ok(mut connection) = TcpStream::connect(address).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut agent, &mut connection) => {}
        _ = centre.changed() => {}
    }
}

/// The certificates of a fleet: of the centre, and of its clients.
pub struct Certificates {
    directory: tempfile::TempDir,
}

impl Certificates {
    pub fn issue() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("Fleet");
        let centre = Leaf::for_name("centre.example.com").also("127.0.0.1");
        let client = Leaf::for_name("site.example.com").of_a_client();
        for (leaf, names) in [
            (&centre, &["centre"][..]),
            (&client, &["site", "centre-client"][..]),
        ] {
            let temporary = tempfile::tempdir().unwrap();
            let (chain, key) = authority.issue(leaf).write_pem(temporary.path()).unwrap();
            for name in names {
                std::fs::copy(&chain, directory.path().join(format!("{name}.pem"))).unwrap();
                std::fs::copy(&key, directory.path().join(format!("{name}-key.pem"))).unwrap();
            }
        }
        for name in ["centre-ca.pem", "sites-ca.pem"] {
            std::fs::write(directory.path().join(name), authority.root_pem()).unwrap();
        }
        Self { directory }
    }

    /// Copies them into the directory of a program.
    fn copy_to(&self, directory: &Path) {
        for file in std::fs::read_dir(self.directory.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), directory.join(file.file_name())).unwrap();
        }
    }

    /// A client that has the certificate of a site.
    fn contact(&self, ready: &'static str) -> Contact {
        let read = |name: &str| std::fs::read(self.directory.path().join(name)).unwrap();
        let root = reqwest::Certificate::from_pem(&read("centre-ca.pem")).unwrap();
        let pem = [read("site.pem"), read("site-key.pem")].concat();
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([root])
            .identity(reqwest::Identity::from_pem(&pem).unwrap());
        Contact {
            scheme: "https",
            client: client.build().unwrap(),
            ready,
        }
    }
}

/// The arguments of a unit of `deploy/fleet`, with those of these names replaced.
fn arguments(unit: &str, replaced: &[(&str, String)]) -> Vec<String> {
    let text = read(&format!("deploy/fleet/{unit}.service"));
    let (_, command) = text.split_once("\nExecStart=").unwrap();
    let lines = command.split("\\\n").map(str::trim);
    let mut arguments: Vec<String> = lines.skip(1).map(str::to_owned).collect();
    let last = arguments.last_mut().unwrap();
    *last = last.lines().next().unwrap().to_owned();
    for (name, argument) in replaced {
        let named = |one: &&mut String| one.split('=').next() == Some(*name);
        let found = arguments.iter_mut().find(named);
        argument.clone_into(found.unwrap_or_else(|| panic!("{unit}.service has no {name}")));
    }
    arguments
}

/// Replaces each text, which must be there.
fn replace(mut text: String, changes: &[(&str, &str)]) -> String {
    for (old, new) in changes {
        assert!(text.contains(old), "{old:?} is missing in:\n{text}");
        text = text.replace(old, new);
    }
    text
}

/// A site: a login server, and an exporter that probes it.
pub struct Site {
    pub firm: &'static str,
    pub name: &'static str,
    pub lab: Lab,
    pub exporter: Exporter,
    /// The external label `replica` of the next agent, if it is one of several.
    pub replica: Option<&'static str>,
    /// By how many seconds the clock of the site is ahead; negative if it is behind.
    clock_ahead: i64,
    _config: ConfigFile,
}

impl Site {
    pub async fn start(firm: &'static str, name: &'static str) -> Self {
        Self::start_with(firm, name, 0).await
    }

    /// A site whose clock is ahead by these seconds, or behind if they are negative. See
    /// [`Agent::with_clock_of`].
    pub async fn start_with_clock(firm: &'static str, ahead: i64) -> Self {
        Self::start_with(firm, "central", ahead).await
    }

    async fn start_with(firm: &'static str, name: &'static str, clock_ahead: i64) -> Self {
        let lab = Lab::start().await.expect("the lab starts on loopback");
        let config = ConfigFile::new(&lab.config());
        let mut command = exporter::command();
        command.arg(config.argument());
        if clock_ahead != 0 {
            exporter::fake_clock(&mut command).env("FAKETIME", format!("{clock_ahead:+}s"));
        }
        let mut exporter = Exporter::spawn(&mut command).await;
        exporter.first_probe().await;
        Self {
            firm,
            name,
            lab,
            exporter,
            replica: None,
            clock_ahead,
            _config: config,
        }
    }

    /// The labels that select its series at the centre.
    pub fn labels(&self) -> String {
        format!("firm=\"{}\",site=\"{}\"", self.firm, self.name)
    }

    /// Fills in the labels and addresses of an agent's configuration.
    fn configure(&self, text: String) -> String {
        let text = if self.clock_ahead == 0 {
            text
        } else {
            replace(
                text,
                &[(
                    "targets: ['127.0.0.1:10762']",
                    "targets: [] # 127.0.0.1:10762",
                )],
            )
        };
        let firm = format!("firm: {}", self.firm);
        let mut name = format!("site: {}", self.name);
        if let Some(replica) = self.replica {
            name += &format!("\n    replica: {replica}");
        }
        replace(
            text,
            &[
                ("firm: example-firm", &firm),
                ("site: head-office", &name),
                ("127.0.0.1:10762", &self.exporter.address),
                ("scrape_interval: 15s", "scrape_interval: 2s"),
                ("scrape_timeout: 10s", "scrape_timeout: 2s"),
            ],
        )
    }
}

/// A running agent, and its line to the centre.
pub struct Agent {
    pub peer: Peer,
    pub uplink: Uplink,
    program: String,
    arguments: Vec<String>,
    ready: &'static str,
    scrapes: Option<AbortOnDropHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Agent {
    /// Prometheus in agent mode.
    pub async fn prometheus(site: &Site, centre: &str, certificates: &Certificates) -> Self {
        let uplink = Uplink::start(centre).await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        certificates.copy_to(path);
        let text = site.configure(read("deploy/fleet/site/agent.yml"));
        let text = replace(
            text,
            &[
                ("centre.example.com:9090", &uplink.address),
                ("/etc/prometheus", &path.display().to_string()),
                (
                    "max_backoff: 30s",
                    "max_backoff: 1s\n      batch_send_deadline: 1s",
                ),
            ],
        );
        let config = path.join("agent.yml");
        std::fs::write(&config, text).unwrap();
        let data = path.join("data").display().to_string();
        let replaced = [
            (
                "--config.file",
                format!("--config.file={}", config.display()),
            ),
            (
                "--storage.agent.path",
                format!("--storage.agent.path={data}"),
            ),
            (
                "--web.listen-address",
                "--web.listen-address=127.0.0.1:0".to_owned(),
            ),
        ];
        let mut arguments = arguments("site/prometheus-agent", &replaced);
        // How long it tries to send before it stops: a minute by default.
        arguments.push("--storage.remote.flush-deadline=2s".to_owned());
        Self::run(
            PROMETHEUS.to_owned(),
            arguments,
            "/-/ready",
            uplink,
            directory,
        )
        .await
    }

    /// vmagent, with a client certificate and with the token of its site.
    pub async fn vmagent(site: &Site, centre: &str, certificates: &Certificates) -> Self {
        let uplink = Uplink::start(centre).await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        certificates.copy_to(path);
        std::fs::write(path.join("token"), site.name).unwrap();
        let config = path.join("vmagent.yml");
        std::fs::write(
            &config,
            site.configure(read("deploy/fleet/site/vmagent.yml")),
        )
        .unwrap();
        let argument = |name: &str, file: &str| format!("{name}={}", path.join(file).display());
        let url = format!("-remoteWrite.url=https://{}/api/v1/write", uplink.address);
        let replaced = [
            (
                "-promscrape.config",
                argument("-promscrape.config", "vmagent.yml"),
            ),
            ("-httpListenAddr", "-httpListenAddr=127.0.0.1:0".to_owned()),
            ("-remoteWrite.url", url),
            (
                "-remoteWrite.tlsCAFile",
                argument("-remoteWrite.tlsCAFile", "centre-ca.pem"),
            ),
            (
                "-remoteWrite.tlsCertFile",
                argument("-remoteWrite.tlsCertFile", "site.pem"),
            ),
            (
                "-remoteWrite.tlsKeyFile",
                argument("-remoteWrite.tlsKeyFile", "site-key.pem"),
            ),
            (
                "-remoteWrite.bearerTokenFile",
                argument("-remoteWrite.bearerTokenFile", "token"),
            ),
            (
                "-remoteWrite.retryMaxInterval",
                "-remoteWrite.retryMaxInterval=1s".to_owned(),
            ),
            (
                "-remoteWrite.tmpDataPath",
                argument("-remoteWrite.tmpDataPath", "queue"),
            ),
        ];
        let arguments = arguments("site/vmagent", &replaced);
        let program = crate::prometheus::newest("vmagent");
        Self::run(program, arguments, "/health", uplink, directory).await
    }

    async fn run(
        program: String,
        arguments: Vec<String>,
        ready: &'static str,
        uplink: Uplink,
        directory: tempfile::TempDir,
    ) -> Self {
        Self {
            peer: Peer::start(&program, &arguments, Contact::plain(ready)).await,
            uplink,
            program,
            arguments,
            ready,
            scrapes: None,
            _directory: directory,
        }
    }

    /// vmagent by the clock of the site. No clock but the system's moves a program in Go, so that it is sent each
    /// scrape with its time instead.
    pub async fn with_clock_of(site: &Site, centre: &str, certificates: &Certificates) -> Self {
        let mut agent = Self::vmagent(site, centre, certificates).await;
        let exporter = site.exporter.url("/metrics");
        let url = agent.peer.url.clone();
        let labels = format!(
            "extra_label=firm={}&extra_label=site={}&extra_label=instance=by-its-clock",
            site.firm, site.name
        );
        let clock_ahead = site.clock_ahead;
        agent.scrapes = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let scrape = reqwest::get(&exporter).await.unwrap().text().await.unwrap();
                let text = format!("{scrape}\nup 1\n");
                push(
                    &url,
                    &format!("{labels}&extra_label=job=ccass2fa"),
                    clock_ahead,
                    text,
                )
                .await;
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        })));
        agent
    }

    /// Sends samples to the centre that are as many seconds old.
    pub async fn send(&self, samples: &str, age: i64) {
        push(&self.peer.url, "", -age, samples.to_owned()).await;
    }

    /// Ends it and starts it again, with what it has on its disk.
    pub async fn restart(&mut self) {
        self.peer.terminate().await;
        let contact = Contact::plain(self.ready);
        self.peer = Peer::start(&self.program, &self.arguments, contact).await;
    }
}

/// Gives samples to a vmagent with the time of a clock that is ahead by these seconds.
async fn push(vmagent: &str, labels: &str, ahead: i64, samples: String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = i64::try_from(now.as_millis()).unwrap() + 1000 * ahead;
    let url = format!("{vmagent}/api/v1/import/prometheus?timestamp={time}&{labels}");
    let request = reqwest::Client::new().post(url).body(samples);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

/// Prometheus as the centre.
pub struct PrometheusCentre {
    pub peer: Peer,
    config: String,
    arguments: Vec<String>,
    contact: Contact,
    directory: tempfile::TempDir,
}

impl PrometheusCentre {
    /// Starts it without rules. Its alerts have the label `centre`, so that one Alertmanager can tell those of two centres apart.
    pub async fn start(alertmanager: &str, certificates: &Certificates) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        certificates.copy_to(path);
        let text = read("deploy/fleet/centre/prometheus.yml");
        let others = Regex::new(r" +- alertmanager-b\.example\.com:9093\n").unwrap();
        let text = others.replace_all(&text, "").into_owned();
        let alertmanager = alertmanager.trim_start_matches("http://");
        let label = "alert_relabel_configs:\n    - {target_label: centre, replacement: prometheus}";
        let text = replace(
            text,
            &[
                (
                    "scrape_interval: 15s",
                    "scrape_interval: 2s\n  scrape_timeout: 2s",
                ),
                ("evaluation_interval: 15s", "evaluation_interval: 1s"),
                ("alert_relabel_configs:", label),
                ("alertmanager-a.example.com:9093", alertmanager),
                // Its own address is not known before it is started.
                ("['centre.example.com:9090']", "[]"),
                // A dead man's switch outside would take it.
                ("  - watchdog.yml\n", ""),
            ],
        );
        let (before, rules) = text.split_once("rule_files:\n").unwrap();
        let (_, after) = rules.split_once("\nalerting:\n").unwrap();
        let without_rules = format!("{before}alerting:\n{after}");
        std::fs::write(path.join("prometheus.yml"), without_rules).unwrap();
        let web = path.join("web-config.yml");
        std::fs::write(&web, read("deploy/fleet/centre/web-config.yml")).unwrap();
        let config = path.join("prometheus.yml").display().to_string();
        let data = path.join("data").display().to_string();
        let replaced = [
            ("--config.file", format!("--config.file={config}")),
            (
                "--web.config.file",
                format!("--web.config.file={}", web.display()),
            ),
            ("--storage.tsdb.path", format!("--storage.tsdb.path={data}")),
            (
                "--web.listen-address",
                "--web.listen-address=127.0.0.1:0".to_owned(),
            ),
        ];
        let mut arguments = arguments("centre/prometheus", &replaced);
        arguments.push(format!("--query.lookback-delta={LOOKBACK}"));
        let contact = certificates.contact("/-/ready");
        Self {
            peer: Peer::start(PROMETHEUS, &arguments, contact.clone()).await,
            config: text,
            arguments,
            contact,
            directory,
        }
    }

    /// Loads the rules, once the sites of the fleet send: until then, none of them is absent.
    pub fn load_rules(&self) {
        let path = self.directory.path();
        write_rules(path, &self.config, QUICK);
        std::fs::write(path.join("prometheus.yml"), &self.config).unwrap();
        self.peer.signal("HUP");
    }

    /// Ends it and starts it again with its stored data, at another address.
    pub async fn restart(&mut self) {
        self.peer.terminate().await;
        self.peer = Peer::start(PROMETHEUS, &self.arguments, self.contact.clone()).await;
    }
}

/// VictoriaMetrics as the centre, with vmauth in front of it and vmalert, which has the rules.
pub struct VictoriaCentre {
    pub metrics: Peer,
    pub vmauth: Peer,
    vmalert: Option<Peer>,
    directory: tempfile::TempDir,
}

impl VictoriaCentre {
    /// Starts it without rules, with a token for each of the sites: its name.
    pub async fn start(certificates: &Certificates, sites: &[&Site]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        certificates.copy_to(path);
        let argument = |name: &str, file: &str| format!("{name}={}", path.join(file).display());
        let listen = ("-httpListenAddr", "-httpListenAddr=127.0.0.1:0".to_owned());
        let replaced = [
            ("-storageDataPath", argument("-storageDataPath", "data")),
            listen.clone(),
        ];
        let newest = crate::prometheus::newest;
        let contact = Contact::plain("/health");
        let unit = arguments("centre/victoria-metrics", &replaced);
        let metrics = Peer::start(&newest("victoria-metrics"), &unit, contact).await;

        let example = read("deploy/fleet/centre/vmauth.yml");
        let (head, user) = example.split_once("users:\n").unwrap();
        let users: String = sites
            .iter()
            .map(|site| {
                replace(
                    user.to_owned(),
                    &[
                        ("%{TOKEN_HEAD_OFFICE}", site.name),
                        ("127.0.0.1:8428", metrics.address()),
                        ("firm=example-firm", &format!("firm={}", site.firm)),
                        ("site=head-office", &format!("site={}", site.name)),
                    ],
                )
            })
            .collect();
        std::fs::write(path.join("vmauth.yml"), format!("{head}users:\n{users}")).unwrap();
        let replaced = [
            ("-auth.config", argument("-auth.config", "vmauth.yml")),
            ("-tlsCertFile", argument("-tlsCertFile", "centre.pem")),
            ("-tlsKeyFile", argument("-tlsKeyFile", "centre-key.pem")),
            listen,
        ];
        let unit = arguments("centre/vmauth", &replaced);
        let tls = certificates.contact("/health");
        let vmauth = Peer::start(&newest("vmauth"), &unit, tls).await;
        Self {
            metrics,
            vmauth,
            vmalert: None,
            directory,
        }
    }

    /// Starts vmalert, once the sites of the fleet send. Its alerts have the label `centre`.
    pub async fn load_rules(&mut self, alertmanager: &str) {
        let path = self.directory.path();
        let rules = vmalert_rules(path);
        let notifier = path.join("notifier.yml");
        let text = format!(
            "static_configs: [{{targets: [\"{}\"]}}]\n\
             alert_relabel_configs: [{{target_label: centre, replacement: victoria-metrics}}]\n",
            alertmanager.trim_start_matches("http://")
        );
        std::fs::write(&notifier, text).unwrap();
        let url = |name: &str| format!("{name}={}", self.metrics.url);
        let replaced = [
            ("-rule", format!("-rule={}/*.yml", rules.display())),
            ("-datasource.url", url("-datasource.url")),
            ("-remoteWrite.url", url("-remoteWrite.url")),
            ("-remoteRead.url", url("-remoteRead.url")),
            (
                "-notifier.url",
                format!("-notifier.config={}", notifier.display()),
            ),
            ("-evaluationInterval", "-evaluationInterval=2s".to_owned()),
            ("-httpListenAddr", "-httpListenAddr=127.0.0.1:0".to_owned()),
        ];
        let mut unit = arguments("centre/vmalert", &replaced);
        // An alert that is not sent again within four of these ends.
        unit.push("-rule.resendDelay=5s".to_owned());
        unit.push(format!("-datasource.queryStep={LOOKBACK}"));
        let program = crate::prometheus::newest("vmalert");
        self.vmalert = Some(Peer::start(&program, &unit, Contact::plain("/health")).await);
    }
}

/// The shipped Alertmanager configuration for the alerts of several centres, of which each is sent.
pub fn alertmanager_of_centres(webhook: &str) -> String {
    alertmanager_yml(webhook)
        .replace("group_by: [", "group_by: [centre, ")
        .replace("equal: [", "equal: [centre, ")
}

/// The rules as `rules.sh` writes them for vmalert, with shorter durations.
fn vmalert_rules(directory: &Path) -> PathBuf {
    let rules = directory.join("rules");
    let written = Command::new(repository("deploy/fleet/centre/rules.sh"))
        .arg(&rules)
        .args([
            "https://docs.example.com/runbook",
            "https://grafana.example.com/d",
        ])
        .status();
    assert!(written.unwrap().success(), "rules.sh");
    std::fs::remove_file(rules.join("watchdog.yml")).unwrap();
    for file in std::fs::read_dir(&rules).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, QUICK.apply(&text)).unwrap();
    }
    rules
}
