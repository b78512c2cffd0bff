//! The firewall laboratory: a participant's network and HKEX's beyond its firewall, each host in a
//! network namespace of its own, run by the machine's real programs.
//!
//! ```text
//! host 10.1.0.10 ─┐                        ┌─ hkex 198.51.100.53, .54 (nsd: the zone)
//! dns 10.2.0.53 ──┤ (unbound)              │
//! proxy 10.3.0.31 ┼─ firewall (nftables) ──┼─ sso 203.0.113.10, .11, 2001:db8:10::10 (nginx)
//! filter 10.4.0.32┘ (tinyproxy; nginx)
//! ```
//!
//! Between host and firewall lies a cable, or a relay that delays and filters. Everything ends with
//! the test, however that ends.

use std::time::{Duration, Instant};

use ccass_2fa_lab::{Authority, Identity, Leaf};

use crate::exporter::{Metrics, binary};
use crate::namespace::Namespace;

pub const OWN_RESOLVER: &str = "10.2.0.53";
pub const HKEX_RESOLVER: &str = "198.51.100.53";
pub const OTHER_HKEX_RESOLVER: &str = "198.51.100.54";

const PAGE: &str = "<!doctype html><html><head><title>CCASS 2FA</title></head><body>\
                    <form method=post><input name=username><input name=password type=password>\
                    </form></body></html>";

/// What lies between the host and the firewall.
#[derive(Clone, Copy)]
pub enum Uplink {
    Cable,
    /// So many seconds each way.
    Relay(f64),
}

pub struct FirewallNetwork {
    pub world: Namespace,
}

/// Beside this the shell knows `at HOST COMMAND`.
const SHELL: &str = "set -e; at() { host=$1; shift; ip netns exec \"$host\" \"$@\"; }; ";

/// Joins `$1` (with addresses `$2`, `$3`) to the firewall (`$4`, `$5`).
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

/// Puts a namespace of its own between host and firewall.
const RELAY: &str = "ip netns add wire; at firewall ip link set host netns wire; \
    at wire ip addr flush dev host; at wire ip link set host name left; at wire ip link set left up; \
    ip link add right netns wire type veth peer name host netns firewall; \
    at wire ip link set right up; at firewall ip addr add 10.1.0.1/24 dev host; \
    at firewall ip -6 addr add fd01::1/64 dev host nodad; at firewall ip link set host up; \
    for end in 'host eth0' 'wire left' 'wire right' 'firewall host'; do \
    set -- $end; at $1 ethtool -K $2 tx off tso off gso off gro off >/dev/null; done;";

/// Everything good again.
const HEALED: &str = "at firewall nft 'flush chain inet lab forward; flush chain inet lab output; \
    flush chain inet lab nat'; at proxy nft flush chain ip lab nat; \
    at host ip route replace 203.0.113.0/24 via 10.1.0.1; \
    at firewall ip route del 203.0.113.10/32 2>/dev/null || true; \
    at dns unbound-control -q -c unbound.conf local_data_remove sso.lab.test; \
    if [ -e relay.pid ]; then kill -USR2 $(cat relay.pid); fi;";

impl FirewallNetwork {
    /// Builds it, starts its servers and waits for them.
    pub async fn start(uplink: Uplink) -> Self {
        let world = Namespace::with(&[], &[OWN_RESOLVER, OTHER_HKEX_RESOLVER]).await;
        let lab = Authority::new("CCASS Lab");
        let filter = Authority::new("Example Web Filter");
        world.write("ca.pem", lab.root_pem());
        world.write("platform.pem", lab.root_pem() + &filter.root_pem());
        world.write("sso.html", PAGE);
        let names = ["other", "dual", "six", "long"];
        let leaf = names
            .iter()
            .fold(Leaf::for_name("sso.lab.test"), |leaf, name| {
                leaf.also(&format!("{name}.lab.test"))
            });
        let stranger = Authority::new("Example Stranger");
        for (name, identity) in [
            ("sso", lab.issue(&leaf)),
            ("filter", filter.issue(&leaf)),
            ("stranger", stranger.issue(&leaf)),
        ] {
            identity_in(&world, name, &identity);
        }
        let mut network = Self { world };
        let relay = match uplink {
            Uplink::Cable => "",
            Uplink::Relay(_) => RELAY,
        };
        network.shell(&format!("{LINK}{HOSTS}{relay}")).await;
        if let Uplink::Relay(seconds) = uplink {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/relay.py");
            let seconds = seconds.to_string();
            let pid = network.world.path("relay.pid").display().to_string();
            let arguments = [script, "left", "right", &seconds, "sso.lab.test", &pid];
            network.serve("wire", "relay", "python3", &arguments);
            network
                .shell("until [ -s relay.pid ]; do sleep 0.05; done")
                .await;
        }
        network.servers();
        for (host, address, port) in [
            ("host", HKEX_RESOLVER, 53),
            ("host", OWN_RESOLVER, 53),
            ("host", "203.0.113.10", 443),
            ("host", "10.3.0.31", 3128),
            ("proxy", "10.3.0.31", 3131),
            ("host", "10.4.0.32", 8443),
        ] {
            network.accepts(host, address, port).await;
        }
        network
    }

    fn servers(&mut self) {
        let directory = self.world.directory.path().display().to_string();
        self.world.write("lab.test.zone", zone());
        let nsd = format!(
            "server:\n ip-address: {HKEX_RESOLVER}\n ip-address: {OTHER_HKEX_RESOLVER}\n \
             username: \"\"\n database: \"\"\n pidfile: \"\"\n xfrdfile: \"\"\n \
             zonelistfile: \"{directory}/zones\"\n zonesdir: \"{directory}\"\n xfrdir: \"{directory}\"\n\
             zone:\n name: lab.test\n zonefile: lab.test.zone\n"
        );
        let unbound = format!(
            "server:\n interface: {OWN_RESOLVER}\n do-daemonize: no\n username: \"\"\n \
             chroot: \"\"\n directory: \"{directory}\"\n pidfile: \"\"\n use-syslog: no\n \
             access-control: 0.0.0.0/0 allow\n module-config: \"iterator\"\n cache-max-ttl: 1\n \
             local-zone: \"test.\" transparent\n\
             remote-control:\n control-enable: yes\n control-use-cert: no\n \
             control-interface: \"{directory}/unbound.sock\"\n\
             stub-zone:\n name: lab.test\n stub-addr: {HKEX_RESOLVER}\n \
             stub-addr: {OTHER_HKEX_RESOLVER}\n"
        );
        let config = self.world.write("nsd.conf", nsd);
        self.serve(
            "hkex",
            "nsd",
            "nsd",
            &["-d", "-c", &config.display().to_string()],
        );
        let config = self.world.write("unbound.conf", unbound);
        let config = config.display().to_string();
        self.serve("dns", "unbound", "unbound", &["-d", "-c", &config]);

        let page =
            format!("location = /sso {{ default_type text/html; alias {directory}/sso.html; }}");
        let sso = "listen 203.0.113.10:443 ssl http2; listen 203.0.113.11:443 ssl http2; \
                   listen [2001:db8:10::10]:443 ssl http2;";
        self.nginx("sso", &[("sso", sso, &page)]);
        let onward = "location / { proxy_pass https://203.0.113.10; proxy_set_header Host $host; }";
        let filters = [
            ("filter", "listen 10.4.0.32:443 ssl http2;", onward),
            ("stranger", "listen 10.4.0.32:8443 ssl http2;", onward),
        ];
        self.nginx("filter", &filters);

        self.world.write("filtered", "lab\\.test\n");
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
            let config = self.world.write(&format!("{name}.conf"), text);
            let config = config.display().to_string();
            self.serve("proxy", &name, "tinyproxy", &["-d", "-c", &config]);
        }
    }

    fn nginx(&mut self, host: &str, servers: &[(&str, &str, &str)]) {
        let directory = self.world.path(&format!("nginx-{host}"));
        std::fs::create_dir(&directory).expect("a directory");
        let directory = directory.display();
        let mut blocks = String::new();
        for (identity, listen, more) in servers {
            let files = self.world.path(identity);
            let files = files.display();
            blocks += &format!(
                "server {{ {listen} ssl_certificate {files}/chain.pem; \
                 ssl_certificate_key {files}/key.pem; {more} }}\n"
            );
        }
        let text = format!(
            "daemon off; worker_processes 1; pid {directory}/pid; error_log stderr; user root;\n\
             events {{}}\nhttp {{ access_log off; client_body_temp_path {directory}/body;\n\
             proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;\n\
             uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;\n{blocks}}}\n"
        );
        let name = format!("nginx-{host}.conf");
        let config = self.world.write(&name, text).display().to_string();
        let prefix = directory.to_string();
        self.serve(host, &name, "nginx", &["-p", &prefix, "-c", &config]);
    }

    fn serve(&mut self, host: &str, name: &str, program: &str, arguments: &[&str]) {
        let arguments = [&["netns", "exec", host, program], arguments].concat();
        self.world.serve(name, "ip", &arguments);
    }

    /// Runs a script, which knows `at HOST COMMAND`, in the world's directory.
    pub async fn shell(&self, script: &str) {
        let directory = self.world.directory.path().display();
        let script = format!("{SHELL} cd {directory}; {{ {script}\n}} >script.log 2>&1");
        let (code, _) = self.world.run("sh", &["-c", &script]).await;
        assert_eq!(code, 0, "{script}\n{}", self.world.log("script"));
    }

    /// Runs a command on a host to its end; its exit code and standard output.
    pub async fn run(&self, host: &str, command: &[&str]) -> (i32, String) {
        let arguments = [&["netns", "exec", host], command].concat();
        self.world.run("ip", &arguments).await
    }

    pub async fn accepts(&self, host: &str, address: &str, port: u16) {
        let script = format!(
            "for i in $(seq 600); do (exec 3<>/dev/tcp/{address}/{port}) 2>/dev/null && exit 0; \
             sleep 0.05; done; exit 1"
        );
        let (code, _) = self
            .run(host, &["timeout", "60", "bash", "-c", &script])
            .await;
        assert_eq!(
            code,
            0,
            "{host} cannot reach {address} port {port}: {}",
            self.logs()
        );
    }

    fn logs(&self) -> String {
        let files = std::fs::read_dir(self.world.directory.path()).expect("a directory");
        let logs = files.filter_map(|file| {
            let path = file.ok()?.path();
            let is_log = path.extension().is_some_and(|one| one == "log");
            is_log.then(|| std::fs::read_to_string(&path).unwrap_or_default())
        });
        logs.collect::<Vec<_>>().join("\n")
    }

    /// Makes everything good again.
    pub async fn heal(&self) {
        self.shell(HEALED).await;
    }

    /// Starts the exporter on the host.
    pub fn exporter(&mut self, config: &str) {
        let path = self.world.write("ccass.yml", config);
        let roots = self.world.path("platform.pem");
        let flag = format!("--config.file={}", path.display());
        let roots = format!("SSL_CERT_FILE={}", roots.display());
        let arguments = [
            roots.as_str(),
            binary(),
            &flag,
            "--log.level=debug",
            "--web.listen-address=127.0.0.1:10762",
        ];
        self.serve("host", "exporter", "env", &arguments);
    }

    pub async fn metrics(&self) -> Metrics {
        let url = "http://127.0.0.1:10762/metrics";
        let (code, text) = self.run("host", &["curl", "-sSf", url]).await;
        assert_eq!(code, 0, "{}", self.world.log("exporter"));
        Metrics::parse(&text)
    }

    /// The report of one probe of `target` by `verify`.
    pub async fn verify(&self, target: &str) -> serde_json::Value {
        let config = self.world.path("ccass.yml");
        let flag = format!("--config.file={}", config.display());
        let roots = format!(
            "SSL_CERT_FILE={}",
            self.world.path("platform.pem").display()
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
        assert!(code < 2, "verify ends with {code}");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        document["reports"][0].clone()
    }

    /// How often `target` has been probed, by the exporter's log.
    pub fn probes_of(&self, target: &str) -> usize {
        let name = format!("target_name={target} ");
        let ended = |line: &&str| line.contains("seconds=") && line.contains(&name);
        self.world.log("exporter").lines().filter(ended).count()
    }

    /// Waits until `target` has been probed so many times.
    pub async fn wait_for_probe(&self, target: &str, times: usize) {
        const PATIENCE: Duration = Duration::from_secs(40);
        let start = Instant::now();
        while self.probes_of(target) < times {
            assert!(
                start.elapsed() < PATIENCE,
                "{target} is not probed: {}",
                self.world.log("exporter")
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn identity_in(world: &Namespace, name: &str, identity: &Identity) {
    let directory = world.path(name);
    std::fs::create_dir(&directory).expect("a directory");
    let _paths = identity.write_pem(&directory).expect("PEM files");
}

/// `long` is an alias of an alias and so on, so that its answer does not fit into a datagram.
fn zone() -> String {
    let mut text = "$ORIGIN lab.test.\n$TTL 1\n@ SOA ns host 1 3600 600 86400 1\n@ NS ns\n\
                    ns A 198.51.100.53\nsso A 203.0.113.10\nother A 203.0.113.10\n\
                    dual A 203.0.113.10\ndual AAAA 2001:db8:10::10\nsix AAAA 2001:db8:10::10\n\
                    proxy A 10.3.0.31\n"
        .to_owned();
    let mut name = "long".to_owned();
    for step in 0..8 {
        // No two of them share an end, which a name server would write once.
        let label = |letter: &str| format!("{}{step}", letter.repeat(62));
        let next = format!("{}.{}.{}", label("a"), label("b"), label("c"));
        text += &format!("{name} CNAME {next}\n");
        name = next;
    }
    text + &format!("{name} CNAME sso\n")
}
