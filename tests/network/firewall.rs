//! What only a firewall, a filter or a long way can show: each fault real, in the laboratory of
//! network namespaces, switched on and off while the exporter runs. It needs root.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::exporter::{Metrics, binary};
use harness::firewall_network::{FirewallNetwork, HKEX_RESOLVER, OWN_RESOLVER, Uplink};

/// A cycle's jitter, and what a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_secs(10);

fn config() -> String {
    let page = "page: {title: \"CCASS 2FA\", form_fields: [username, password]}";
    let own = format!("tls: {{roots: [ca_file], ca_file: ca.pem}}, {page}");
    let direct = "sinkhole_addresses: [10.4.0.80]";
    format!(
        "site: lab\nprobe: {{interval: 10s, timeout: 5s}}\nmodules:\n\
         \x20 direct: {{{direct}, {own}}}\n\
         \x20 by_proxy: {{proxy: \"http://proxy.lab.test:3128\", {own}}}\n\
         \x20 long_answer: {{route: {HKEX_RESOLVER}, {own}}}\n\
         \x20 inspected: {{tls: {{roots: [platform], accepted_interceptors: [CCASS Lab]}}, {page}}}\n\
         targets:\n\
         \x20 - {{name: sso, url: \"https://sso.lab.test/sso\", module: direct, group: login}}\n\
         \x20 - {{name: by-proxy, url: \"https://sso.lab.test/sso\", module: by_proxy, group: login}}\n\
         \x20 - {{name: other, url: \"https://other.lab.test/sso\", module: direct}}\n\
         \x20 - {{name: dual, url: \"https://dual.lab.test/sso\", module: direct}}\n\
         \x20 - {{name: six, url: \"https://six.lab.test/sso\", module: direct}}\n\
         \x20 - {{name: long, url: \"https://long.lab.test/sso\", module: long_answer}}\n\
         \x20 - {{name: closed, url: \"https://203.0.113.11:8443/\", module: direct, \
         expect: unreachable}}\n\
         \x20 - {{name: inspected, url: \"https://sso.lab.test/sso\", module: inspected}}\n"
    )
}

/// One fault of the network.
struct Fault {
    about: &'static str,
    /// A script of the laboratory's shell.
    on: &'static str,
    target: &'static str,
    told: Told,
    /// What the advice, or what stands of it in the report, must name.
    names: &'static str,
}

/// What the exporter must make of it.
enum Told {
    Reason(&'static str),
    /// The login works.
    Finding(&'static str),
}

const fn reason(
    about: &'static str,
    on: &'static str,
    target: &'static str,
    reason: &'static str,
    names: &'static str,
) -> Fault {
    Fault {
        about,
        on,
        target,
        told: Told::Reason(reason),
        names,
    }
}

const fn finding(
    about: &'static str,
    on: &'static str,
    target: &'static str,
    finding: &'static str,
    names: &'static str,
) -> Fault {
    Fault {
        about,
        on,
        target,
        told: Told::Finding(finding),
        names,
    }
}

#[tokio::test]
async fn a_firewall_that_drops_or_answers_is_told_by_its_answer() {
    walk(
        Uplink::Cable,
        &[
            reason(
                "packets to 443 are dropped",
                "at firewall nft add rule inet lab forward tcp dport 443 drop",
                "sso",
                "tcp_timed_out",
                "firewall",
            ),
            reason(
                "packets to 443 are answered with a reset",
                "at firewall nft add rule inet lab forward tcp dport 443 reject with tcp reset",
                "sso",
                "tcp_refused",
                "firewall",
            ),
            reason(
                "packets to 443 are answered with: administratively prohibited",
                "at firewall nft add rule inet lab forward tcp dport 443 reject with icmp type \
                 admin-prohibited",
                "sso",
                "tcp_host_unreachable",
                "prohibited",
            ),
            reason(
                "packets to 443 are answered with: host unreachable",
                "at firewall nft add rule inet lab forward tcp dport 443 reject with icmp type \
                 host-unreachable",
                "sso",
                "tcp_host_unreachable",
                "prohibited",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_net_that_cannot_be_reached_is_told_apart_from_a_prohibition() {
    walk(
        Uplink::Cable,
        &[
            reason(
                "packets to 443 are answered with: net unreachable",
                "at firewall nft add rule inet lab forward tcp dport 443 reject with icmp type \
                 net-unreachable",
                "sso",
                "tcp_network_unreachable",
                "route",
            ),
            reason(
                "this host has no route",
                "at host ip route del 203.0.113.0/24",
                "sso",
                "tcp_network_unreachable",
                "route",
            ),
            reason(
                "packets over IPv6 are answered with: administratively prohibited",
                "at firewall nft add rule inet lab forward ip6 daddr 2001:db8:10::10 tcp dport 443 \
                 reject with icmpv6 type admin-prohibited",
                "six",
                "tcp_prohibited",
                "firewall",
            ),
            reason(
                "a connection is reset before anything was said",
                "at firewall nft add rule inet lab forward tcp dport 443 tcp flags \\& syn == 0 \
                 reject with tcp reset",
                "sso",
                "tcp_reset",
                "firewall",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_firewall_that_opens_what_must_be_closed_is_told() {
    walk(
        Uplink::Cable,
        &[reason(
            "a rule translates to an open port",
            "at firewall nft add rule inet lab nat tcp dport 8443 dnat ip to 203.0.113.11:443",
            "closed",
            "tcp_unexpectedly_open",
            "firewall",
        )],
    )
    .await;
}

#[tokio::test]
async fn one_broken_family_or_resolver_is_a_finding_while_the_login_works() {
    walk(
        Uplink::Cable,
        &[
            finding(
                "IPv6 is broken, IPv4 good",
                "at firewall nft add rule inet lab forward meta nfproto ipv6 drop",
                "dual",
                "address_failed",
                "2001:db8:10::10: tcp_timed_out",
            ),
            finding(
                "IPv4 is broken, IPv6 good",
                "at firewall nft add rule inet lab forward ip daddr 203.0.113.10 drop",
                "dual",
                "address_failed",
                "203.0.113.10: tcp_timed_out",
            ),
            finding(
                "port 53 is dropped towards the second resolver",
                "at firewall nft add rule inet lab forward ip saddr 10.1.0.10 ip daddr \
                 198.51.100.54 meta l4proto { tcp, udp } th dport 53 drop",
                "sso",
                "resolver_failed",
                "udp://198.51.100.54:53: dns_timed_out",
            ),
            finding(
                "port 53 is dropped towards the first resolver",
                "at firewall nft add rule inet lab forward ip daddr 10.2.0.53 meta l4proto \
                 { tcp, udp } th dport 53 drop",
                "sso",
                "resolver_failed",
                "udp://10.2.0.53:53: dns_timed_out",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_happens_to_dns_on_the_way_is_told() {
    walk(
        Uplink::Cable,
        &[
            reason(
                "UDP 53 is open, TCP 53 dropped, and the answer does not fit into a datagram",
                "at firewall nft add rule inet lab forward ip saddr 10.1.0.10 tcp dport 53 drop",
                "long",
                "dns_timed_out",
                "TCP 53",
            ),
            finding(
                "the answer inside differs from that outside",
                "at dns unbound-control -q -c unbound.conf local_data sso.lab.test 1 IN A \
                 203.0.113.11",
                "sso",
                "resolvers_disagree",
                "203.0.113.11 from udp://10.2.0.53:53",
            ),
            reason(
                "a filter answers with an address that is nobody's",
                "at dns unbound-control -q -c unbound.conf local_data sso.lab.test 1 IN A 0.0.0.0",
                "sso",
                "dns_sinkhole",
                "filter",
            ),
            reason(
                "a filter answers with its block page's address",
                "at dns unbound-control -q -c unbound.conf local_data sso.lab.test 1 IN A 10.4.0.80",
                "sso",
                "dns_sinkhole",
                "filter",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_client_hello_that_is_dropped_is_told_by_what_gets_through() {
    walk(
        Uplink::Relay(0.0),
        &[
            reason(
                "a filter drops the ClientHello by the name in it",
                "kill -USR1 $(cat relay.pid)",
                "sso",
                "tls_timed_out",
                "firewall",
            ),
            reason(
                "a middlebox drops a ClientHello of more than one segment",
                "at firewall nft add rule inet lab forward tcp dport 443 @th,256,8 0x16 @th,280,16 \
                 '>' 1400 drop",
                "sso",
                "tls_large_hello_dropped",
                "post-quantum",
            ),
            reason(
                "a path that carries less, and says so to nobody",
                "at firewall ip route add 203.0.113.10/32 dev sso mtu lock 1300; at firewall nft add \
                 rule inet lab output icmp type destination-unreachable drop",
                "sso",
                "tls_large_hello_dropped",
                "MTU",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_inspecting_proxy_is_told_whether_its_authority_is_trusted_or_not() {
    const TO_FILTER: &str = "at firewall nft add rule inet lab nat ip saddr 10.1.0.10 ip daddr \
                             203.0.113.10 tcp dport 443 dnat ip to 10.4.0.32";
    const TO_STRANGER: &str = "at firewall nft add rule inet lab nat ip saddr 10.1.0.10 ip daddr \
                               203.0.113.10 tcp dport 443 dnat ip to 10.4.0.32:8443";
    walk(
        Uplink::Cable,
        &[
            finding(
                "a filter inspects, and this host trusts its authority",
                TO_FILTER,
                "inspected",
                "intercepted",
                "Example Web Filter",
            ),
            reason(
                "a filter inspects, and this host does not trust its authority",
                TO_STRANGER,
                "inspected",
                "tls_unknown_issuer",
                "Example Stranger",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_connection_that_dies_after_the_handshake_fails_at_http() {
    walk(
        Uplink::Cable,
        &[
            reason(
                "application data is dropped",
                "at firewall nft add rule inet lab forward tcp dport 443 @th,256,8 0x17 drop",
                "sso",
                "http_timed_out",
                "firewall",
            ),
            reason(
                "application data is answered with a reset",
                "at firewall nft add rule inet lab forward tcp dport 443 @th,256,8 0x17 reject with \
                 tcp reset",
                "sso",
                "http_reset",
                "firewall",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_proxys_refusal_is_the_proxys_and_the_direct_way_is_told_beside_it() {
    walk(
        Uplink::Cable,
        &[
            reason(
                "the proxy asks for credentials",
                "at proxy nft add rule ip lab nat tcp dport 3128 redirect to :3129",
                "by-proxy",
                "proxy_auth_required",
                "Basic",
            ),
            reason(
                "the proxy does not allow CONNECT to 443",
                "at proxy nft add rule ip lab nat tcp dport 3128 redirect to :3130",
                "by-proxy",
                "proxy_denied",
                "rules",
            ),
            reason(
                "the proxy answers with a block page",
                "at proxy nft add rule ip lab nat tcp dport 3128 redirect to :3131",
                "by-proxy",
                "proxy_denied",
                "403",
            ),
            reason(
                "the proxy cannot be reached",
                "at firewall nft add rule inet lab forward ip daddr 10.3.0.31 tcp dport 3128 drop",
                "by-proxy",
                "tcp_timed_out",
                "web proxy",
            ),
        ],
    )
    .await;
}

/// 300 ms there and back, and one packet in twenty lost either way: the limits are the defaults.
#[tokio::test]
async fn a_hundred_probes_over_a_long_and_lossy_way_show_no_false_failure() {
    const TARGETS: usize = 50;
    let mut network = FirewallNetwork::start(Uplink::Relay(0.15)).await;
    let mut text = "probe: {interval: 10s}\nmodules:\n  login_page:\n    \
                    tls: {roots: [ca_file], ca_file: ca.pem}\n    \
                    page: {title: \"CCASS 2FA\", form_fields: [username, password]}\ntargets:\n"
        .to_owned();
    for index in 0..TARGETS {
        text += &format!("  - {{name: sso-{index}, url: \"https://sso.lab.test/sso\"}}\n");
    }
    let lossy = "at firewall nft add rule inet lab forward numgen random mod 100 '<' 5 drop";
    network.shell(lossy).await;
    network.exporter(&text);
    network.accepts("host", "127.0.0.1", 10762).await;
    for index in 0..TARGETS {
        network.wait_for_probe(&format!("sso-{index}"), 2).await;
    }
    let metrics = network.metrics().await;
    assert_eq!(
        metrics.family("probe_failures_total"),
        [],
        "{}",
        metrics.text
    );
    let sum = |family| metrics.family(family).iter().map(|one| one.1).sum::<f64>();
    assert!(sum("probe_attempts_total") >= 100.0);
    assert_eq!(sum("probe_attempts_total"), sum("probe_successes_total"));
    assert_eq!(sum("probe_missed_total"), 0.0);
    // The way is as long as it is meant to be.
    for (series, seconds) in metrics.family("tcp_connect_duration_seconds") {
        assert!(seconds > 0.3, "{series} {seconds}");
    }
}

/// `docs/behind-your-firewall.md`, with the laboratory's names in place of the reader's.
#[tokio::test]
async fn the_commands_of_the_document_prove_each_layer() {
    let mut network = FirewallNetwork::start(Uplink::Cable).await;
    network.exporter(&config());
    network.accepts("host", "127.0.0.1", 10762).await;
    let document = include_str!("../../docs/behind-your-firewall.md");
    let mut blocks = document.split("```sh\n").skip(1);
    let values = blocks.next().expect("the values");
    for name in ["NAME", "RESOLVER", "ADDRESS", "PROXY"] {
        assert!(values.contains(&format!("{name}=")), "{name}");
    }
    let values = format!(
        "export NAME=sso.lab.test RESOLVER={OWN_RESOLVER} ADDRESS=203.0.113.10 \
         PROXY=10.3.0.31:3128 SSL_CERT_FILE={0} CURL_CA_BUNDLE={0}; set -euo pipefail\n",
        network.world.path("platform.pem").display()
    );
    let settings = format!(
        "export CCASS2FA_CONFIG_FILE={}; ccass-2fa-exporter() {{ {} \"$@\"; }}\n",
        network.world.path("ccass.yml").display(),
        binary()
    );
    let commands: Vec<&str> = blocks
        .filter_map(|block| Some(block.split_once("```")?.0))
        .collect();
    assert_eq!(commands.len(), 6);
    for (command, shows) in commands.iter().zip([
        "REACHED",
        "status: NOERROR",
        "open",
        "proxy said 200, the page 200",
        "issuer=C = HK, O = CCASS Lab",
        "200 from 203.0.113.10",
    ]) {
        let script = format!("{values}{settings}{command}");
        let (code, told) = network.run("host", &["bash", "-c", &script]).await;
        assert_eq!(code, 0, "{command}{told}");
        assert!(told.contains(shows), "{command}{told}");
    }
    // They fail where the layer does.
    network
        .shell("at firewall nft add rule inet lab forward tcp dport 443 drop")
        .await;
    let script = format!("{values}{}", commands[2]);
    let (code, told) = network.run("host", &["bash", "-c", &script]).await;
    assert_ne!(code, 0, "{told}");
}

#[tokio::test]
async fn the_laboratory_leaves_nothing_behind_when_a_test_fails() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let failing = tokio::spawn(async {
        let mut network = FirewallNetwork::start(Uplink::Relay(0.0)).await;
        network.exporter(&config());
        network.accepts("host", "127.0.0.1", 10762).await;
        let directory = network.world.directory.path().to_owned();
        let processes = processes_of(&directory);
        assert!(processes.len() > 8, "{processes:?}");
        sender.send(directory).expect("somebody listens");
        panic!("a test that fails");
    });
    assert!(failing.await.expect_err("it fails").is_panic());
    let directory = receiver.await.expect("it was told");
    let start = Instant::now();
    while !processes_of(&directory).is_empty() {
        assert!(start.elapsed() < SLACK, "{:?}", processes_of(&directory));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!directory.exists());
}

/// The command lines, of all processes of this machine, that name `directory`.
fn processes_of(directory: &Path) -> Vec<String> {
    let directory = directory.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("a list of processes");
    processes
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&directory))
        .collect()
}

/// Switches each fault on and off again while the exporter runs.
async fn walk(uplink: Uplink, faults: &[Fault]) {
    let mut network = FirewallNetwork::start(uplink).await;
    network.exporter(&config());
    let good = baseline(&network).await;
    for fault in faults {
        let switched = now();
        network.shell(fault.on).await;
        let (report, metrics) = tokio::join!(
            network.verify(fault.target),
            follows(&network, fault.target, switched)
        );
        is_told(fault, &report, &metrics);
        if fault.about.contains("by the name in it") {
            // The same address under another name.
            metrics.expect("probe_success{role=\"login\",target=\"other\"}", 1.0);
        }
        if fault.target == "by-proxy" {
            let way = |target: &str, way: &str| {
                let labels = format!("{{group=\"login\",target=\"{target}\",way=\"{way}\"}}");
                metrics.value(&format!("group_way_success{labels}"))
            };
            assert_eq!(way("sso", "direct"), Some(1.0), "{}", fault.about);
            assert_eq!(way("by-proxy", "proxy"), Some(0.0), "{}", fault.about);
        }

        let switched = now();
        network.heal().await;
        let metrics = follows(&network, fault.target, switched).await;
        let series = lasting(&metrics, fault.target);
        let of_target: BTreeSet<String> = good
            .iter()
            .filter(|series| series.contains(&format!("target=\"{}\"", fault.target)))
            .cloned()
            .collect();
        assert_eq!(series, of_target, "after: {}", fault.about);
    }
}

/// The series of a network that is good: every target has been probed, and is reached.
async fn baseline(network: &FirewallNetwork) -> BTreeSet<String> {
    network.accepts("host", "127.0.0.1", 10762).await;
    let targets = [
        "sso",
        "by-proxy",
        "other",
        "dual",
        "six",
        "long",
        "closed",
        "inspected",
    ];
    for target in targets {
        network.wait_for_probe(target, 1).await;
    }
    let metrics = network.metrics().await;
    for target in targets {
        metrics.expect(
            &format!("probe_success{{role=\"login\",target=\"{target}\"}}"),
            1.0,
        );
        let found = metrics.family("finding_info");
        assert_eq!(found, [], "{target}");
    }
    targets
        .iter()
        .flat_map(|target| lasting(&metrics, target))
        .collect()
}

/// The series of a target but for the counters of what has been.
fn lasting(metrics: &Metrics, target: &str) -> BTreeSet<String> {
    let of_target = format!("target=\"{target}\"");
    metrics
        .series
        .keys()
        .filter(|series| series.contains(&of_target) && !series.contains("probe_failures_total"))
        .cloned()
        .collect()
}

/// The metrics after the first probe that began after `switched`, which comes within an interval.
async fn follows(network: &FirewallNetwork, target: &str, switched: f64) -> Metrics {
    let mut probes = network.probes_of(target);
    loop {
        network.wait_for_probe(target, probes + 1).await;
        probes = network.probes_of(target);
        let metrics = network.metrics().await;
        let series = format!("probe_last_run_timestamp_seconds{{target=\"{target}\"}}");
        let began = metrics.value(&series).expect("a probe");
        if began >= switched {
            let most = (INTERVAL + SLACK).as_secs_f64();
            assert!(began - switched < most, "after {} s", began - switched);
            return metrics;
        }
    }
}

fn is_told(fault: &Fault, report: &serde_json::Value, metrics: &Metrics) {
    let about = fault.about;
    let target = fault.target;
    let told = report.to_string();
    assert!(told.contains(fault.names), "{about}: {report:#}");
    let success = format!("probe_success{{role=\"login\",target=\"{target}\"}}");
    match fault.told {
        Told::Reason(reason) => {
            assert_eq!(report["verdict"]["reason"], reason, "{about}: {report:#}");
            let layer = reason.split('_').next().expect("a layer");
            assert_eq!(report["verdict"]["layer"], layer, "{about}");
            for part in ["meaning", "ask", "hand_over"] {
                let text = report["advice"][part].as_str().expect("advice");
                assert!(!text.is_empty(), "{about}");
            }
            metrics.expect(&success, 0.0);
            let series = format!(
                "probe_failure_info{{layer=\"{layer}\",reason=\"{reason}\",target=\"{target}\"}}"
            );
            assert_eq!(
                metrics.value(&series),
                Some(1.0),
                "{about}: {}",
                metrics.text
            );
        }
        Told::Finding(finding) => {
            assert_eq!(report["verdict"]["outcome"], "good", "{about}: {report:#}");
            let found = report["findings"].as_array().expect("findings");
            let found = found.iter().any(|one| one["finding"] == finding);
            assert!(found, "{about}: {report:#}");
            metrics.expect(&success, 1.0);
            let series = format!("finding_info{{finding=\"{finding}\",target=\"{target}\"}}");
            assert_eq!(
                metrics.value(&series),
                Some(1.0),
                "{about}: {}",
                metrics.text
            );
        }
    }
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs_f64()
}
