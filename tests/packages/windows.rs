//! The zip for Windows, as `make windows` built it, under wine: `make windows-test` runs these tests. They need root.
//!
//! Each test has a PC of its own: a namespace with a network adapter and a copy of the Windows disk that
//! `tests/wine.sh` made, on which the zip is unpacked at `C:\ccass-2fa-exporter`.

use std::path::PathBuf;

use ccass_2fa_lab::scenarios;
use harness::documents::repository;
use harness::exporter::Metrics;
use harness::namespace::Namespace;
use serde_json::Value;

use crate::{LOGIN_SERVER, artifact, namespace_with_login_server, shell};

const NAME_SERVER: &str = "203.0.113.53";
const FOLDER: &str = "/pc/prefix/drive_c/ccass-2fa-exporter";
const HOSTS: &str = "/pc/prefix/drive_c/windows/system32/drivers/etc/hosts";
const CONFIG: &str = "data_directory: data\n\
                      targets: [{name: sso, url: \"https://sso.lab.test/sso\"}]\n";

struct Pc {
    namespace: Namespace,
    root: PathBuf,
}

/// Exit code, standard output and standard error.
#[derive(Debug)]
struct Output {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Pc {
    /// With a login server at [`LOGIN_SERVER`], which Windows trusts, and a name server that knows it.
    async fn start() -> Self {
        let mut namespace = namespace_with_login_server().await;
        let root = namespace.path("root");
        let directory = namespace.directory.path().display().to_string();
        namespace.write("resolv.conf", format!("nameserver {NAME_SERVER}\n"));
        let disk = repository("target/windows/wine").display().to_string();
        let zip = artifact("ccass-2fa-exporter-", "-windows-amd64.zip");
        shell(
            namespace.directory.path(),
            &format!(
                "mkdir root pc; cp -al {disk}/prefix pc/ 2>/dev/null || cp -a {disk}/prefix pc/; \
                 python3 -m zipfile -e {} pc/prefix/drive_c/",
                zip.display()
            ),
        );
        let setup = format!(
            "set -e; cd {directory}; \
             ip link add eth0 type veth peer name eth1; ip addr add 203.0.113.1/24 dev eth0; \
             ip link set eth0 up; ip link set eth1 up; ip addr add {NAME_SERVER}/32 dev lo; \
             mount --bind {disk} root; mount --bind pc root/pc; \
             mount --bind resolv.conf root/etc/resolv.conf; \
             mount --bind ca.pem root/etc/ssl/certs/ca-certificates.crt; \
             mount -t proc proc root/proc; mount -t sysfs sysfs root/sys; mount --rbind /dev root/dev",
        );
        let (code, output) = namespace.run("bash", &["-c", &setup]).await;
        assert_eq!(code, 0, "{output}");
        let unbound = format!(
            "server:\n interface: {NAME_SERVER}\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n \
             pidfile: \"\"\n use-syslog: no\n access-control: 0.0.0.0/0 allow\n \
             local-zone: \"test.\" static\n local-data: \"sso.lab.test. 300 IN A {LOGIN_SERVER}\"\n\
             remote-control:\n control-enable: no\n"
        );
        let unbound = namespace.write("unbound.conf", unbound);
        namespace.spawn(
            "unbound",
            "unbound",
            &["-c", &unbound.display().to_string()],
        );
        namespace.wait_for_port("unbound", NAME_SERVER, 53).await;
        let pc = Self { namespace, root };
        pc.write(&format!("{FOLDER}/ccass.yml"), CONFIG);
        pc
    }

    /// A path of the disk, for the test.
    fn path(&self, path: &str) -> PathBuf {
        let path = path.strip_prefix("/pc/").expect("a path on the disk");
        self.namespace.path("pc").join(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(path), text).expect("a file on the disk");
    }

    fn read(&self, path: &str) -> String {
        let bytes =
            std::fs::read(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// Runs a program in a directory of the disk to its end. `cmd` starts it: wine itself now and then loses the exit
    /// code of a program with threads, and `cmd` does not.
    async fn run_in(&self, directory: &str, arguments: &[&str]) -> Output {
        let quoted: Vec<String> = arguments
            .iter()
            .map(|argument| format!("'{argument}'"))
            .collect();
        let script = format!(
            "chroot {root} windows '{directory}' cmd /c {} 2>{root}/pc/stderr.txt",
            quoted.join(" "),
            root = self.root.display()
        );
        let (code, stdout) = self.namespace.run("bash", &["-c", &script]).await;
        let stderr = self.read("/pc/stderr.txt");
        Output {
            code,
            stdout,
            stderr,
        }
    }

    /// Runs the exporter in its folder, with the configuration there.
    async fn exporter(&self, arguments: &[&str]) -> Output {
        let program = ["ccass-2fa-exporter.exe", "--config.file", "ccass.yml"];
        self.run_in(FOLDER, &[&program, arguments].concat()).await
    }

    /// Probes with this configuration; returns the report.
    async fn verify(&self, config: &str) -> Value {
        self.write(&format!("{FOLDER}/ccass.yml"), config);
        let output = self.exporter(&["verify", "--format", "json"]).await;
        let document: Value = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        document["reports"][0].clone()
    }

    /// Starts the service, and waits until it answers on port 10762.
    async fn serve(&mut self) {
        let root = self.root.display().to_string();
        let program = ["windows", FOLDER, "ccass-2fa-exporter.exe"];
        let arguments = ["--config.file", "ccass.yml"];
        let command = [&[root.as_str()][..], &program, &arguments].concat();
        self.namespace.spawn("serve", "chroot", &command);
        let answered = "curl --silent --fail http://127.0.0.1:10762/metrics | \
                        grep -q '^ccass2fa_probe_success{.*} 1'";
        self.namespace.wait_until(answered, "serve").await;
    }

    /// Sends Ctrl-C to the service and waits for its end.
    async fn stop(&self) {
        let (code, _) = self
            .namespace
            .run("pkill", &["-INT", "-f", "^ccass-2fa-exporter.exe"])
            .await;
        assert_eq!(code, 0, "the service runs");
        self.namespace
            .wait_until("! pgrep -f ^ccass-2fa-exporter.exe", "serve")
            .await;
    }
}

/// The reason of a report; `none` if the page is reached.
fn reason(report: &Value) -> &str {
    report["verdict"]["reason"].as_str().unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn page_is_reached_by_the_name_servers_of_the_adapter_and_the_roots_of_windows() {
    let pc = Pc::start().await;
    let report = pc.verify(CONFIG).await;
    assert_eq!(reason(&report), "none", "{report:#}");
    assert!(
        report
            .to_string()
            .contains(&format!("udp://{NAME_SERVER}:53")),
        "{report:#}"
    );
    // Mozilla's roots do not contain the login server's.
    let mozilla = "modules: {login_page: {tls: {roots: [public_web]}}}\n".to_owned() + CONFIG;
    let report = pc.verify(&mozilla).await;
    assert_eq!(reason(&report), "tls_unknown_issuer", "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_file_of_windows_goes_before_the_name_servers() {
    let pc = Pc::start().await;
    pc.write(
        HOSTS,
        format!("# names of this firm\r\n{LOGIN_SERVER} gone.lab.test sso.lab.test\r\n"),
    );
    let gone = CONFIG.replace("sso.lab.test/", "gone.lab.test/");
    let report = pc.verify(&gone).await;
    // The name server does not know the name, the hosts file does; the certificate is for another one.
    assert_eq!(reason(&report), "tls_name_mismatch", "{report:#}");
    pc.write(HOSTS, "127.0.0.1 localhost\r\n");
    assert_eq!(reason(&pc.verify(&gone).await), "dns_nxdomain");
}

#[tokio::test(flavor = "multi_thread")]
async fn error_numbers_of_windows_become_the_reasons_of_tcp() {
    let pc = Pc::start().await;
    for (setup, url, expected) in [
        ("true", "https://sso.lab.test:444/", "tcp_refused"),
        (
            "ip route add unreachable 198.51.100.1/32",
            "https://198.51.100.1/",
            "tcp_host_unreachable",
        ),
        ("true", "https://198.51.100.2/", "tcp_network_unreachable"),
        (
            "ip route add prohibit 198.51.100.3/32",
            "https://198.51.100.3/",
            "tcp_prohibited",
        ),
        (
            "nft add table ip lab && nft 'add chain ip lab input {type filter hook input priority 0;}' && \
             nft add rule ip lab input tcp dport 445 drop",
            "https://sso.lab.test:445/",
            "tcp_timed_out",
        ),
    ] {
        let (code, output) = pc.namespace.run("bash", &["-c", setup]).await;
        assert_eq!(code, 0, "{setup}: {output}");
        let config = format!(
            "probe: {{timeout: 3s}}\ntargets: [{{name: sso, url: \"{url}\", module: any}}]\n\
             modules: {{any: {{}}}}\n"
        );
        let report = pc.verify(&config).await;
        assert_eq!(reason(&report), expected, "{url}: {report:#}");
    }
}

/// wine takes "port unreachable" from the socket before the program can read it.
const NOT_UNDER_WINE: [&str; 2] = ["dns-unreachable", "dns-tls-unreachable"];

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_of_the_lab_has_the_same_reason_on_windows() {
    let mut pc = Pc::start().await;
    let lab = pc.path("/pc/lab").display().to_string();
    let program = harness::exporter::binary().replace("ccass-2fa-exporter", "ccass-2fa-lab");
    pc.namespace.spawn("lab", &program, &["--directory", &lab]);
    pc.namespace
        .wait_for_log("lab", "Ctrl-C stops the lab.")
        .await;
    let control = pc.read("/pc/lab/control.url");
    let config = pc.read("/pc/lab/config.yml").replace(&lab, "Z:/pc/lab");
    let healthy = pc.verify(&config).await;
    assert_eq!(reason(&healthy), "none", "{healthy:#}");
    let mut wrong = Vec::new();
    let mut count = 0;
    let without_config = scenarios().iter().filter(|one| !one.needs_config());
    for scenario in without_config.filter(|one| !NOT_UNDER_WINE.contains(&one.name)) {
        let url = format!("{}/faults/{}", control.trim(), scenario.name);
        let put = ["--silent", "--fail", "-X", "PUT", &url];
        assert_eq!(pc.namespace.run("curl", &put).await.0, 0, "{url}");
        let report = pc.verify(&config).await;
        if !scenario.allows(reason(&report)) {
            wrong.push(format!("{}: {}", scenario.name, reason(&report)));
        }
        count += 1;
    }
    assert!(count > 60, "{count} scenarios");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn service_answers_saves_its_state_and_stops_by_ctrl_c() {
    let mut pc = Pc::start().await;
    pc.serve().await;
    let metrics = Metrics::parse(&pc.namespace.get("http://127.0.0.1:10762/metrics").await);
    for name in [
        "cpu_seconds_total",
        "start_time_seconds",
        "resident_memory_bytes",
        "virtual_memory_bytes",
    ] {
        let value = metrics.series.get(&format!("process_{name}"));
        assert!(value.is_some_and(|value| *value > 0.0), "{name}: {value:?}");
    }
    pc.stop().await;
    let log = pc.namespace.log("serve");
    assert!(!log.contains("level=error"), "{log}");
    let state: Value =
        serde_json::from_str(&pc.read(&format!("{FOLDER}/data/state.json"))).unwrap();
    assert!(state["targets"]["sso"].is_object(), "{state}");

    // The saved state is replaced and read again.
    pc.serve().await;
    pc.stop().await;
    let log = pc.namespace.log("serve");
    assert!(!log.contains("cannot"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_service_uses_a_data_directory_and_other_commands_append_evidence_meanwhile() {
    let mut pc = Pc::start().await;
    let config = format!("evidence: {{terminals: [t1]}}\n{CONFIG}");
    pc.write(&format!("{FOLDER}/ccass.yml"), &config);
    pc.serve().await;
    let second = [
        pc.root.to_str().unwrap(),
        "windows",
        FOLDER,
        "ccass-2fa-exporter.exe",
        "--config.file",
        "ccass.yml",
        "--web.listen-address",
        "127.0.0.1:10763",
    ];
    pc.namespace.spawn("second", "chroot", &second);
    pc.namespace
        .wait_for_log("second", "another exporter")
        .await;
    for outcome in ["seen", "not-seen"] {
        let recorded = pc
            .exporter(&["record", "--terminal", "t1", "--outcome", outcome])
            .await;
        assert_eq!(recorded.code, 0, "{recorded:?}");
    }
    let check = pc.exporter(&["evidence", "check"]).await;
    assert_eq!(check.code, 0, "{check:?}");
    pc.stop().await;
    let list = pc.exporter(&["evidence", "list"]).await;
    assert!(list.stdout.contains("t1"), "{list:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn file_is_replaced_while_another_program_reads_it() {
    let mut pc = Pc::start().await;
    pc.write(&format!("{FOLDER}/ccass.prom"), "old\n");
    let root = pc.root.display().to_string();
    // Its standard input is the file, which nobody may replace until it ends.
    let reader = "ping -n 3 127.0.0.1 < ccass.prom & echo ended";
    let command = [root.as_str(), "windows", FOLDER, "cmd", "/c", reader];
    pc.namespace.spawn("reader", "chroot", &command);
    pc.namespace.wait_for_log("reader", "inging").await;
    let verify = ["verify", "--format", "prometheus", "--output", "ccass.prom"];
    let output = pc.exporter(&verify).await;
    assert_eq!(output.code, 0, "{output:?}");
    let text = pc.read(&format!("{FOLDER}/ccass.prom"));
    assert!(text.contains("ccass2fa_terminal_check_success"), "{text}");
    let left = std::fs::read_dir(pc.path(FOLDER)).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().ends_with(".new"));
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_have_spaces_and_chinese_characters_and_files_the_line_ends_of_windows() {
    let pc = Pc::start().await;
    let folder = "/pc/prefix/drive_c/中央結算 系統";
    std::fs::rename(pc.path(FOLDER), pc.path(folder)).unwrap();
    let config = "\u{feff}site: 中環\ncontacts: {desk: 電腦部 1234}\ndata_directory: 'C:\\中央結算 系統\\資料 夾'\n"
        .to_owned()
        + "targets: [{name: sso, url: \"https://sso.lab.test/sso\"}]\n";
    let windows = config.replace('\n', "\r\n");
    pc.write(
        &format!("{folder}/ccass 設定.yml"),
        windows.replace("site: 中環", "site: central"),
    );
    let program = ["ccass-2fa-exporter.exe", "--config.file", "ccass 設定.yml"];
    let check = pc
        .run_in(folder, &[&program[..], &["check"]].concat())
        .await;
    assert_eq!(check.code, 0, "{check:?}");
    let verify = ["verify", "--record", "--output", "結 果.txt"];
    let verified = pc.run_in(folder, &[&program[..], &verify].concat()).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(pc.read(&format!("{folder}/結 果.txt")).contains("OK"));
    let evidence = std::fs::read_dir(pc.path(&format!("{folder}/資料 夾/evidence"))).unwrap();
    let files: Vec<_> = evidence.flatten().map(|entry| entry.file_name()).collect();
    assert!(
        files
            .iter()
            .any(|name| name.to_string_lossy().ends_with(".jsonl")),
        "{files:?}"
    );

    // An error has the line that an editor of Windows shows.
    pc.write(
        &format!("{folder}/ccass 設定.yml"),
        "site: central\r\nprobe:\r\n  interval: 1s\r\n",
    );
    let check = pc
        .run_in(folder, &[&program[..], &["check"]].concat())
        .await;
    assert_eq!(check.code, 2, "{check:?}");
    assert!(check.stderr.contains("ccass 設定.yml:3:"), "{check:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_shows_chinese_characters() {
    let pc = Pc::start().await;
    let config = "contacts: {dns: 網絡組 內線 1234}\n".to_owned()
        + &CONFIG.replace("sso.lab.test/", "gone.lab.test/");
    pc.write(&format!("{FOLDER}/ccass.yml"), config);
    // A terminal, which wine's console draws on.
    let command = format!(
        "TERM=xterm script --quiet --command \"chroot {} windows {FOLDER} ccass-2fa-exporter.exe \
         --config.file ccass.yml verify\" {}",
        pc.root.display(),
        pc.path("/pc/typescript").display()
    );
    pc.namespace.run("bash", &["-c", &command]).await;
    let shown = pc.read("/pc/typescript");
    assert!(shown.contains("網絡組 內線 1234"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_directories_are_refused_as_files() {
    let pc = Pc::start().await;
    for path in ["NUL", "C:\\windows"] {
        let output = pc
            .run_in(
                FOLDER,
                &["ccass-2fa-exporter.exe", "--config.file", path, "check"],
            )
            .await;
        assert_eq!(output.code, 2, "{output:?}");
        assert!(
            output.stderr.contains("use a regular file"),
            "{path}: {output:?}"
        );
    }
}

/// The texts of the zip have the line ends of Windows, and the configuration is that of the first check.
#[tokio::test(flavor = "multi_thread")]
async fn desk_checks_the_terminal_and_creates_the_task_with_the_files_of_the_zip() {
    let pc = Pc::start().await;
    for name in [
        "check-terminal.cmd",
        "ccass.example.yml",
        "TERMINAL-PC.txt",
        "LICENSE.txt",
        "THIRD-PARTY-NOTICES.txt",
    ] {
        let text = pc.read(&format!("{FOLDER}/{name}"));
        assert!(text.contains("\r\n"), "{name}");
        assert!(!text.replace("\r\n", "").contains('\n'), "{name}");
    }
    std::fs::remove_file(pc.path(&format!("{FOLDER}/ccass.yml"))).unwrap();
    let check = ["check-terminal.cmd", "scheduled"];
    let scheduled = pc.run_in(FOLDER, &check).await;
    // There is no browser under wine; the message is for the IT department.
    let advice = "install Microsoft Edge, Google Chrome or Chromium";
    assert_eq!(scheduled.code, 2, "{scheduled:?}");
    assert!(scheduled.stderr.contains(advice), "{scheduled:?}");
    let shipped = pc.exporter(&["check"]).await;
    assert_eq!(shipped.code, 0, "{shipped:?}");
    assert!(
        shipped.stdout.contains("data_directory data"),
        "{shipped:?}"
    );

    // A terminal that the configuration does not list.
    pc.write(&format!("{FOLDER}/terminal.txt"), "t 1\r\n");
    let unknown = pc.run_in(FOLDER, &check).await;
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("evidence.terminals"), "{unknown:?}");

    let create = [
        "/create",
        "/tn",
        "CCASS 2FA check",
        "/xml",
        "scheduled-task.xml",
    ];
    let created = pc
        .run_in(FOLDER, &[&["schtasks"][..], &create].concat())
        .await;
    assert_eq!(created.code, 0, "{created:?}");
}
