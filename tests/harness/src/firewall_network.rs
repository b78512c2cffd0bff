//! A participant's network, its firewall, and HKEX's network behind it: each host is a network
//! namespace in which the machine's real programs run.
//!
//! ```text
//! host 10.1.0.10 ─┐                        ┌─ hkex 198.51.100.53, .54 (nsd: the zone)
//! dns 10.2.0.53 ──┤ (unbound)              │
//! proxy 10.3.0.31 ┼─ firewall (nftables) ──┼─ sso 203.0.113.10, .11, 2001:db8:10::10 (nginx)
//! filter 10.4.0.32┘ (tinyproxy; nginx)
//! ```
//!
//! Host and firewall are connected directly, or by a relay that delays and filters frames. Every
//! process is killed with the test, however that ends.

use std::time::{Duration, Instant};

use ccass_2fa_lab::{Authority, Identity, Leaf};

use crate::exporter::{Metrics, binary};
use crate::namespace::{Namespace, TIMEOUT};

pub const LOCAL_RESOLVER: &str = "10.2.0.53";
pub const HKEX_RESOLVER: &str = "198.51.100.53";
pub const SECOND_HKEX_RESOLVER: &str = "198.51.100.54";

const PAGE: &str = "<!doctype html><html><head><title>CCASS 2FA</title></head><body>\
                    <form method=post><input name=username><input name=password type=password>\
                    </form></body></html>";

/// The connection between the host and the firewall.
#[derive(Clone, Copy)]
pub enum Uplink {
    Direct,
    /// Through `relay.py`, with this delay in each direction.
    Relay(Duration),
}

pub struct FirewallNetwork {
    pub namespace: Namespace,
}

/// Defines `at HOST COMMAND`, which runs a command on a host.
const SHELL: &str = "set -e; at() { host=$1; shift; ip netns exec \"$host\" \"$@\"; }; ";

/// Creates the host `$1` (addresses `$2`, `$3`) and connects it to the firewall (`$4`, `$5`).
const LINK: &str = "link() { ip netns add $1; ip link add eth0 netns $1 type veth peer name $1 \
    netns firewall; at $1 ip link set lo up; \
    at $1 ip addr add $2 dev eth0; at $1 ip -6 addr add $3 dev eth0 nodad; at $1 ip link set eth0 up; \
    at firewall ip addr add $4/24 dev $1; at firewall ip -6 addr add $5/64 dev $1 nodad; \
    at firewall ip link set $1 up; \
    for net in 10.0.0.0/8 198.51.100.0/24 203.0.113.0/24; do \
    at $1 ip route add $net via $4 2>/dev/null || true; done; \
    at $1 ip -6 route add default via $5; };";

const HOSTS: &str = "mkdir -p /run/netns; mount -t tmpfs none /run/netns; ip netns add firewall; \
    at firewall ip link set lo up; \
    at firewall sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; \
    link host 10.1.0.10/24 fd01::10/64 10.1.0.1 fd01::1; \
    link dns 10.2.0.53/24 fd02::53/64 10.2.0.1 fd02::1; \
    link proxy 10.3.0.31/24 fd03::31/64 10.3.0.1 fd03::1; \
    link filter 10.4.0.32/24 fd04::32/64 10.4.0.1 fd04::1; \
    link hkex 198.51.100.53/24 fd05::53/64 198.51.100.1 fd05::1; \
    link sso 203.0.113.10/24 2001:db8:10::10/64 203.0.113.1 2001:db8:10::1; \
    at hkex ip addr add 198.51.100.54/24 dev eth0; at sso ip addr add 203.0.113.11/24 dev eth0; \
    at firewall nft 'table inet lab { \
    chain forward { type filter hook forward priority 0; }; \
    chain output { type filter hook output priority 0; }; \
    chain nat { type nat hook prerouting priority -100; }; }'; \
    at proxy nft 'table ip lab { chain nat { type nat hook prerouting priority -100; }; }';";

/// Inserts a namespace for the relay between host and firewall.
const RELAY: &str = "ip netns add wire; at firewall ip link set host netns wire; \
    at wire ip addr flush dev host; at wire ip link set host name left; at wire ip link set left up; \
    ip link add right netns wire type veth peer name host netns firewall; \
    at wire ip link set right up; at firewall ip addr add 10.1.0.1/24 dev host; \
    at firewall ip -6 addr add fd01::1/64 dev host nodad; at firewall ip link set host up; \
    for end in 'host eth0' 'wire left' 'wire right' 'firewall host'; do \
    set -- $end; at $1 ethtool -K $2 tx off tso off gso off gro off >/dev/null; done;";

/// Removes every fault that a test can have switched on.
const CLEAR_FAULTS: &str = "at firewall nft 'flush chain inet lab forward; flush chain inet lab output; \
    flush chain inet lab nat'; at proxy nft flush chain ip lab nat; \
    at host ip route replace 203.0.113.0/24 via 10.1.0.1; \
    at host ip -6 route replace default via fd01::1; \
    at firewall ip route del 203.0.113.10/32 2>/dev/null || true; \
    at dns unbound-control -q -c unbound.conf local_data_remove sso.lab.test; \
    if [ -e relay.pid ]; then kill -USR2 $(cat relay.pid); fi; \
    while [ -e relay.filtering ]; do sleep 0.05; done;";

/// Drops every ClientHello with the name `sso.lab.test`; needs `Uplink::Relay`.
pub const FILTER_CLIENT_HELLO: &str =
    "kill -USR1 $(cat relay.pid); until [ -e relay.filtering ]; do sleep 0.05; done";

impl FirewallNetwork {
    /// Builds the network, starts its servers and waits until they accept connections.
    pub async fn start(uplink: Uplink) -> Self {
        let namespace = Namespace::new(&[], &[LOCAL_RESOLVER, SECOND_HKEX_RESOLVER]).await;
        let lab = Authority::new("CCASS Lab");
        let filter = Authority::new("Example Web Filter");
        namespace.write("ca.pem", lab.root_pem());
        namespace.write("platform.pem", lab.root_pem() + &filter.root_pem());
        namespace.write("sso.html", PAGE);
        let names = ["other", "dual", "six", "long"];
        let leaf = names
            .iter()
            .fold(Leaf::for_name("sso.lab.test"), |leaf, name| {
                leaf.also(&format!("{name}.lab.test"))
            });
        let unknown_ca = Authority::new("Example Unknown CA");
        for (name, identity) in [
            ("sso", lab.issue(&leaf)),
            ("filter", filter.issue(&leaf)),
            ("unknown-ca", unknown_ca.issue(&leaf)),
        ] {
            write_identity(&namespace, name, &identity);
        }
        let mut network = Self { namespace };
        let relay = match uplink {
            Uplink::Direct => "",
            Uplink::Relay(_) => RELAY,
        };
        network.shell(&format!("{LINK}{HOSTS}{relay}")).await;
        if let Uplink::Relay(delay) = uplink {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/relay.py");
            let seconds = delay.as_secs_f64().to_string();
            let pid = network.namespace.path("relay.pid").display().to_string();
            let filter = network.namespace.path("relay.filtering");
            let filter = filter.display().to_string();
            let text = "sso.lab.test";
            let arguments = [script, "left", "right", &seconds, text, &pid, &filter];
            network.spawn("wire", "relay", "python3", &arguments);
            let ready = format!("[ -s {pid} ]");
            network.namespace.wait_until(&ready, "relay").await;
        }
        network.spawn_servers();
        for (host, address, port) in [
            ("host", HKEX_RESOLVER, 53),
            ("host", LOCAL_RESOLVER, 53),
            ("host", "203.0.113.10", 443),
            ("host", "10.3.0.31", 3128),
            ("proxy", "10.3.0.31", 3131),
            ("host", "10.4.0.32", 8443),
        ] {
            network.wait_for_port(host, address, port).await;
        }
        network
    }

    fn spawn_servers(&mut self) {
        let directory = self.namespace.directory.path().display().to_string();
        self.namespace.write("lab.test.zone", zone());
        let nsd = format!(
            "server:\n ip-address: {HKEX_RESOLVER}\n ip-address: {SECOND_HKEX_RESOLVER}\n \
             username: \"\"\n database: \"\"\n pidfile: \"\"\n xfrdfile: \"\"\n \
             zonelistfile: \"{directory}/zones\"\n zonesdir: \"{directory}\"\n xfrdir: \"{directory}\"\n\
             zone:\n name: lab.test\n zonefile: lab.test.zone\n"
        );
        let unbound = format!(
            "server:\n interface: {LOCAL_RESOLVER}\n do-daemonize: no\n username: \"\"\n \
             chroot: \"\"\n directory: \"{directory}\"\n pidfile: \"\"\n use-syslog: no\n \
             access-control: 0.0.0.0/0 allow\n module-config: \"iterator\"\n cache-max-ttl: 1\n \
             local-zone: \"test.\" transparent\n\
             remote-control:\n control-enable: yes\n control-use-cert: no\n \
             control-interface: \"{directory}/unbound.sock\"\n\
             stub-zone:\n name: lab.test\n stub-addr: {HKEX_RESOLVER}\n \
             stub-addr: {SECOND_HKEX_RESOLVER}\n"
        );
        let config = self.namespace.write("nsd.conf", nsd);
        self.spawn(
            "hkex",
            "nsd",
            "nsd",
            &["-d", "-c", &config.display().to_string()],
        );
        let config = self.namespace.write("unbound.conf", unbound);
        let config = config.display().to_string();
        self.spawn("dns", "unbound", "unbound", &["-d", "-c", &config]);

        let page =
            format!("location = /sso {{ default_type text/html; alias {directory}/sso.html; }}");
        let sso = "listen 203.0.113.10:443 ssl http2; listen 203.0.113.11:443 ssl http2; \
                   listen [2001:db8:10::10]:443 ssl http2;";
        self.spawn_nginx("sso", &[("sso", sso, &page)]);
        let forward =
            "location / { proxy_pass https://203.0.113.10; proxy_set_header Host $host; }";
        let filters = [
            ("filter", "listen 10.4.0.32:443 ssl http2;", forward),
            ("unknown-ca", "listen 10.4.0.32:8443 ssl http2;", forward),
        ];
        self.spawn_nginx("filter", &filters);

        self.namespace.write("filtered", "lab\\.test\n");
        for (port, rules) in [
            (3128, "ConnectPort 443"),
            (3129, "ConnectPort 443\nBasicAuth clerk secret"),
            (3130, "ConnectPort 563"),
            (
                3131,
                "ConnectPort 443\nFilter \"filtered\"\nFilterExtended On",
            ),
        ] {
            let name = format!("tinyproxy-{port}");
            let rules = rules.replace("\"filtered\"", &format!("\"{directory}/filtered\""));
            let text = format!("Port {port}\nListen 10.3.0.31\nMaxClients 20\n{rules}\n");
            let config = self.namespace.write(&format!("{name}.conf"), text);
            let config = config.display().to_string();
            self.spawn("proxy", &name, "tinyproxy", &["-d", "-c", &config]);
        }
    }

    fn spawn_nginx(&mut self, host: &str, servers: &[(&str, &str, &str)]) {
        let directory = self.namespace.path(&format!("nginx-{host}"));
        std::fs::create_dir(&directory).expect("a directory");
        let directory = directory.display();
        let mut blocks = String::new();
        for (identity, listen, directives) in servers {
            let files = self.namespace.path(identity);
            let files = files.display();
            blocks += &format!(
                "server {{ {listen} ssl_certificate {files}/chain.pem; \
                 ssl_certificate_key {files}/key.pem; {directives} }}\n"
            );
        }
        let text = format!(
            "daemon off; worker_processes 1; pid {directory}/pid; error_log stderr; user root;\n\
             events {{}}\nhttp {{ access_log off; client_body_temp_path {directory}/body;\n\
             proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;\n\
             uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;\n{blocks}}}\n"
        );
        let name = format!("nginx-{host}.conf");
        let config = self.namespace.write(&name, text).display().to_string();
        let prefix = directory.to_string();
        self.spawn(host, &name, "nginx", &["-p", &prefix, "-c", &config]);
    }

    /// Starts a server on a host; it logs to `{name}.log`.
    fn spawn(&mut self, host: &str, name: &str, program: &str, arguments: &[&str]) {
        let arguments = [&["netns", "exec", host, program], arguments].concat();
        self.namespace.spawn(name, "ip", &arguments);
    }

    /// Runs a shell script in the network's directory; `at HOST COMMAND` runs a command on a host.
    pub async fn shell(&self, script: &str) {
        let directory = self.namespace.directory.path().display();
        let with_log = format!("{SHELL} cd {directory}; {{ {script}\n}} >script.log 2>&1");
        let (code, _) = self.namespace.run("sh", &["-c", &with_log]).await;
        assert_eq!(
            code,
            0,
            "{script:.300}\n{}",
            self.namespace.log_tail("script")
        );
    }

    /// Runs a command on a host to its end; returns its exit code and standard output.
    pub async fn run(&self, host: &str, command: &[&str]) -> (i32, String) {
        let arguments = [&["netns", "exec", host], command].concat();
        self.namespace.run("ip", &arguments).await
    }

    /// Waits until `host` can open a connection to this address and port.
    pub async fn wait_for_port(&self, host: &str, address: &str, port: u16) {
        let connect = format!("exec 3<>/dev/tcp/{address}/{port}");
        let connect = format!("ip netns exec {host} timeout 5 bash -c '{connect}'");
        self.namespace.wait_until(&connect, "script").await;
    }

    /// Removes every fault.
    pub async fn clear_faults(&self) {
        self.shell(CLEAR_FAULTS).await;
    }

    /// Starts the exporter on the host and waits until it listens.
    pub async fn start_exporter(&mut self, config: &str) {
        let path = self.namespace.write("ccass.yml", config);
        let roots = self.namespace.path("platform.pem");
        let flag = format!("--config.file={}", path.display());
        let roots = format!("SSL_CERT_FILE={}", roots.display());
        let arguments = [
            roots.as_str(),
            binary(),
            &flag,
            "--log.level=debug",
            "--web.listen-address=127.0.0.1:10762",
        ];
        self.spawn("host", "exporter", "env", &arguments);
        self.namespace
            .wait_for_log("exporter", "message=listening")
            .await;
    }

    pub async fn metrics(&self) -> Metrics {
        let url = "http://127.0.0.1:10762/metrics";
        let (code, text) = self.run("host", &["curl", "-sSf", url]).await;
        assert_eq!(
            code,
            0,
            "curl {url}; {}",
            self.namespace.log_tail("exporter")
        );
        Metrics::parse(&text)
    }

    /// The report of `ccass-2fa-exporter verify` about one target.
    pub async fn verify(&self, target: &str) -> serde_json::Value {
        let config = self.namespace.path("ccass.yml");
        let flag = format!("--config.file={}", config.display());
        let roots = format!(
            "SSL_CERT_FILE={}",
            self.namespace.path("platform.pem").display()
        );
        let command = [
            "env",
            &roots,
            binary(),
            &flag,
            "verify",
            target,
            "--format=json",
        ];
        let (code, text) = self.run("host", &command).await;
        assert!(code < 2, "verify {target} exits with {code}");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        document["reports"][0].clone()
    }

    /// The number of finished probes of `target`, according to the exporter's log.
    pub fn probe_count(&self, target: &str) -> usize {
        let name = format!("target_name={target} ");
        let finished = |line: &&str| line.contains("seconds=") && line.contains(&name);
        self.namespace
            .log("exporter")
            .lines()
            .filter(finished)
            .count()
    }

    /// Waits until `target` has been probed at least `count` times.
    pub async fn wait_for_probes(&self, target: &str, count: usize) {
        let start = Instant::now();
        while self.probe_count(target) < count {
            assert!(
                start.elapsed() < TIMEOUT,
                "{target} was probed {} instead of {count} times within {TIMEOUT:?}; {}",
                self.probe_count(target),
                self.namespace.log_tail("exporter")
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn write_identity(namespace: &Namespace, name: &str, identity: &Identity) {
    let directory = namespace.path(name);
    std::fs::create_dir(&directory).expect("a new directory");
    let _paths = identity
        .write_pem(&directory)
        .expect("the directory is writable");
}

/// The zone file. `long` is a chain of aliases whose answer does not fit into a datagram.
fn zone() -> String {
    let mut text = "$ORIGIN lab.test.\n$TTL 1\n@ SOA ns host 1 3600 600 86400 1\n@ NS ns\n\
                    ns A 198.51.100.53\nsso A 203.0.113.10\nother A 203.0.113.10\n\
                    dual A 203.0.113.10\ndual AAAA 2001:db8:10::10\nsix AAAA 2001:db8:10::10\n\
                    proxy A 10.3.0.31\n"
        .to_owned();
    let mut name = "long".to_owned();
    for step in 0..8 {
        // The names share no suffix, because name servers compress shared suffixes.
        let label = |letter: &str| format!("{}{step}", letter.repeat(62));
        let next = format!("{}.{}.{}", label("a"), label("b"), label("c"));
        text += &format!("{name} CNAME {next}\n");
        name = next;
    }
    text + &format!("{name} CNAME sso\n")
}
