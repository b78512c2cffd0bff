//! Faults that only a firewall, a filter or a slow path can cause. Each test switches one of them on
//! and off in a network of namespaces while the exporter runs. It needs root.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::exporter::{Metrics, binary};
use harness::firewall_network::{
    FILTER_CLIENT_HELLO, FirewallNetwork, HKEX_RESOLVER, LOCAL_RESOLVER, SECOND_HKEX_RESOLVER,
    Uplink,
};
use harness::namespace::TIMEOUT;
use serde_json::Value;

const TARGETS: &[&str] = &[
    "sso",
    "by-proxy",
    "other",
    "dual",
    "six",
    "long",
    "closed",
    "inspected",
];

/// A configuration with these of the `TARGETS`. The first one is probed at once, the others spread
/// over the shortest possible interval.
fn config(targets: &[&str]) -> String {
    let page = "page: {title: \"CCASS 2FA\", form_fields: [username, password]}";
    let lab_ca = format!("tls: {{roots: [ca_file], ca_file: ca.pem}}, {page}");
    let sinkhole = "sinkhole_addresses: [10.4.0.80]";
    let mut text = format!(
        "site: lab\nprobe: {{interval: 10s, timeout: 9s}}\nmodules:\n\
         \x20 direct: {{{sinkhole}, {lab_ca}}}\n\
         \x20 by_proxy: {{proxy: \"http://proxy.lab.test:3128\", {lab_ca}}}\n\
         \x20 long_answer: {{route: {HKEX_RESOLVER}, {lab_ca}}}\n\
         \x20 inspected: {{tls: {{roots: [platform], accepted_interceptors: [CCASS Lab]}}, {page}}}\n\
         targets:\n"
    );
    for target in targets {
        let settings = match *target {
            "sso" => "url: \"https://sso.lab.test/sso\", module: direct, group: login",
            "by-proxy" => "url: \"https://sso.lab.test/sso\", module: by_proxy, group: login",
            "other" => "url: \"https://other.lab.test/sso\", module: direct",
            "dual" => "url: \"https://dual.lab.test/sso\", module: direct",
            "six" => "url: \"https://six.lab.test/sso\", module: direct",
            "long" => "url: \"https://long.lab.test/sso\", module: long_answer",
            "closed" => "url: \"https://203.0.113.11:8443/\", module: direct, expect: unreachable",
            "inspected" => "url: \"https://sso.lab.test/sso\", module: inspected",
            unknown => panic!("{unknown} is not in TARGETS"),
        };
        text += &format!("  - {{name: {target}, {settings}}}\n");
    }
    text
}

#[tokio::test]
async fn every_target_of_the_healthy_network_succeeds_without_findings() {
    let _healthy = Scenario::start(Uplink::Direct, TARGETS).await;
}

#[tokio::test]
async fn dropped_packets_time_out() {
    let fault = "at firewall nft add rule inet lab forward tcp dport 443 drop";
    fails(fault, "sso", "tcp_timed_out", "firewall").await;
}

#[tokio::test]
async fn tcp_reset_by_the_firewall_is_refused() {
    let fault = "at firewall nft add rule inet lab forward tcp dport 443 reject with tcp reset";
    fails(fault, "sso", "tcp_refused", "firewall").await;
}

#[tokio::test]
async fn icmp_admin_prohibited_is_host_unreachable() {
    let fault = "at firewall nft add rule inet lab forward tcp dport 443 reject \
                 with icmp type admin-prohibited";
    fails(fault, "sso", "tcp_host_unreachable", "prohibited").await;
}

#[tokio::test]
async fn icmp_host_unreachable_may_be_a_prohibition() {
    let fault = "at firewall nft add rule inet lab forward tcp dport 443 reject \
                 with icmp type host-unreachable";
    fails(fault, "sso", "tcp_host_unreachable", "prohibited").await;
}

#[tokio::test]
async fn icmp_net_unreachable_is_network_unreachable() {
    let fault = "at firewall nft add rule inet lab forward tcp dport 443 reject \
                 with icmp type net-unreachable";
    fails(fault, "sso", "tcp_network_unreachable", "route").await;
}

#[tokio::test]
async fn missing_route_is_network_unreachable() {
    let fault = "at host ip route del 203.0.113.0/24";
    fails(fault, "sso", "tcp_network_unreachable", "route").await;
}

#[tokio::test]
async fn icmpv6_admin_prohibited_is_prohibited() {
    let fault = "at firewall nft add rule inet lab forward ip6 daddr 2001:db8:10::10 \
                 tcp dport 443 reject with icmpv6 type admin-prohibited";
    fails(fault, "six", "tcp_prohibited", "firewall").await;
}

#[tokio::test]
async fn reset_before_any_data_is_a_tcp_failure() {
    let fault = "at firewall nft add rule inet lab forward tcp dport 443 tcp flags \\& syn == 0 \
                 reject with tcp reset";
    fails(fault, "sso", "tcp_reset", "firewall").await;
}

#[tokio::test]
async fn translation_to_an_open_port_is_unexpectedly_open() {
    let fault = "at firewall nft add rule inet lab nat tcp dport 8443 dnat ip to 203.0.113.11:443";
    fails(fault, "closed", "tcp_unexpectedly_open", "firewall").await;
}

#[tokio::test]
async fn broken_ipv6_is_a_finding_while_ipv4_works() {
    let fault = "at firewall nft add rule inet lab forward meta nfproto ipv6 drop";
    let detail = "2001:db8:10::10: tcp_timed_out";
    succeeds_with_finding(fault, "dual", "address_failed", detail).await;
}

#[tokio::test]
async fn broken_ipv4_is_a_finding_while_ipv6_works() {
    let fault = "at firewall nft add rule inet lab forward ip daddr 203.0.113.10 drop";
    let detail = "203.0.113.10: tcp_timed_out";
    succeeds_with_finding(fault, "dual", "address_failed", detail).await;
}

/// `ip -6 route` of the host without a way out of its network.
const NO_IPV6_ROUTE: &str = "at host ip -6 route del default";

#[tokio::test]
async fn family_that_this_host_never_had_a_route_for_is_not_tried() {
    let mut network = FirewallNetwork::start(Uplink::Direct).await;
    network.shell(NO_IPV6_ROUTE).await;
    network.start_exporter(&config(&["dual"])).await;
    network.wait_for_probes("dual", 1).await;
    let metrics = network.metrics().await;
    let findings = metrics.family("finding_info");
    assert_eq!(findings.len(), 0, "{:?}", findings.first());
    let connects = metrics.family("tcp_connect_success");
    assert_eq!(connects.len(), 1, "{connects:?}");
    let config = network.namespace.path("ccass.yml");
    let verify = [
        binary(),
        "--config.file",
        &config.display().to_string(),
        "verify",
    ];
    let (code, text) = network.run("host", &verify).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("not tried, no IPv6 here"), "{text}");
}

#[tokio::test]
async fn family_whose_route_is_lost_is_a_finding() {
    let mut scenario = Scenario::start(Uplink::Direct, &["dual"]).await;
    scenario.switch_on(NO_IPV6_ROUTE).await;
    // `verify` starts without a route and cannot know that there was one.
    let finding = "finding_info{finding=\"address_failed\",target=\"dual\"}";
    let check = |_: &Value, metrics: &Metrics| {
        has_value(metrics, &success_series("dual"), 1.0)?;
        has_value(metrics, finding, 1.0)
    };
    scenario.expect("dual", check).await;
    scenario.expect_recovery().await;
}

/// A resolver that answers for one family and drops the questions for the other.
#[tokio::test]
async fn silent_family_delays_a_probe_by_the_resolution_delay_only() {
    let mut network = FirewallNetwork::start(Uplink::Direct).await;
    // Behind the headers of UDP and DNS and the name of 14 bytes is the type; 28 is AAAA.
    network
        .shell("at firewall nft add rule inet lab forward udp dport 53 @th,272,16 28 drop")
        .await;
    network.start_exporter(&config(&["sso"])).await;
    network.wait_for_probes("sso", 1).await;
    let metrics = network.metrics().await;
    let dns: f64 = metrics
        .family("probe_layer_duration_seconds")
        .iter()
        .filter(|(series, _)| series.contains("dns"))
        .map(|(_, seconds)| *seconds)
        .sum();
    assert!((0.05..1.0).contains(&dns), "{dns} s");
    let findings = metrics.family("finding_info");
    assert!(
        findings
            .iter()
            .any(|(series, _)| series.contains("resolver_failed")),
        "{findings:?}"
    );
}

/// A name server on a link-local address, as routers announce them: the address is complete only
/// with its interface.
#[tokio::test]
async fn resolv_conf_of_a_dual_stack_network_is_followed_as_the_c_library_does() {
    let mut network = FirewallNetwork::start(Uplink::Direct).await;
    network
        .shell("at firewall ip -6 addr add fe80::53/64 dev host nodad")
        .await;
    let unbound = "server:\n interface: fe80::53%host\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n \
                   pidfile: \"\"\n use-syslog: no\n access-control: ::0/0 allow\n \
                   local-zone: \"lab.test.\" static\n local-data: \"dual.lab.test. A 203.0.113.10\"\n\
                   remote-control:\n control-enable: no\n";
    let config = network.namespace.write("link-local.conf", unbound);
    let config = config.display().to_string();
    let command = ["netns", "exec", "firewall", "unbound", "-d", "-c", &config];
    network.namespace.spawn("link-local", "ip", &command);
    let answers = "ip netns exec host dig +tries=1 +time=2 @fe80::53%eth0 dual.lab.test A";
    network.namespace.wait_until(answers, "link-local").await;
    network.namespace.write(
        "resolv.conf",
        format!(
            "nameserver fe80::53%eth0\nnameserver {LOCAL_RESOLVER}\nnameserver {SECOND_HKEX_RESOLVER}\n\
             nameserver 192.0.2.1\noptions no-aaaa\n"
        ),
    );
    network
        .namespace
        .write("ccass.yml", self::config(&["dual"]));
    let report = network.verify("dual").await;
    assert_eq!(report["verdict"]["outcome"], "good", "{report:#}");
    let lookups = report["hops"][0]["dns"]["facts"]["lookups"].as_array();
    let lookups: Vec<[&str; 3]> = lookups
        .unwrap_or_else(|| panic!("{report:#}"))
        .iter()
        .map(|one| ["resolver", "record", "rcode"].map(|key| one[key].as_str().unwrap_or_default()))
        .collect();
    let expected = [
        format!("udp://{LOCAL_RESOLVER}:53"),
        format!("udp://{SECOND_HKEX_RESOLVER}:53"),
        "udp://[fe80::53%eth0]:53".to_owned(),
    ];
    let mut found: Vec<&str> = lookups.iter().map(|one| one[0]).collect();
    found.sort_unstable();
    assert_eq!(found, expected, "the first three, and each for IPv4 only");
    for [_, record, rcode] in lookups {
        assert_eq!([record, rcode], ["A", "NOERROR"], "{report:#}");
    }
}

#[tokio::test]
async fn unreachable_second_resolver_is_a_finding() {
    let fault = "at firewall nft add rule inet lab forward ip saddr 10.1.0.10 \
                 ip daddr 198.51.100.54 meta l4proto { tcp, udp } th dport 53 drop";
    let detail = "udp://198.51.100.54:53: dns_timed_out";
    succeeds_with_finding(fault, "sso", "resolver_failed", detail).await;
}

#[tokio::test]
async fn unreachable_first_resolver_is_a_finding() {
    let fault = "at firewall nft add rule inet lab forward ip daddr 10.2.0.53 \
                 meta l4proto { tcp, udp } th dport 53 drop";
    let detail = "udp://10.2.0.53:53: dns_timed_out";
    succeeds_with_finding(fault, "sso", "resolver_failed", detail).await;
}

#[tokio::test]
async fn dropped_dns_over_tcp_times_out_for_long_answers() {
    let fault = "at firewall nft add rule inet lab forward ip saddr 10.1.0.10 tcp dport 53 drop";
    fails(fault, "long", "dns_timed_out", "TCP 53").await;
}

#[tokio::test]
async fn different_answers_of_two_resolvers_are_a_finding() {
    let fault = "at dns unbound-control -q -c unbound.conf local_data sso.lab.test 1 IN A \
                 203.0.113.11";
    let detail = "203.0.113.11 from udp://10.2.0.53:53";
    succeeds_with_finding(fault, "sso", "resolvers_disagree", detail).await;
}

#[tokio::test]
async fn unspecified_address_is_a_sinkhole() {
    let fault = "at dns unbound-control -q -c unbound.conf local_data sso.lab.test 1 IN A 0.0.0.0";
    fails(fault, "sso", "dns_sinkhole", "filter").await;
}

#[tokio::test]
async fn configured_block_page_address_is_a_sinkhole() {
    let fault =
        "at dns unbound-control -q -c unbound.conf local_data sso.lab.test 1 IN A 10.4.0.80";
    fails(fault, "sso", "dns_sinkhole", "filter").await;
}

#[tokio::test]
async fn client_hello_filtered_by_server_name_times_out() {
    let mut scenario = Scenario::start(Uplink::Relay(Duration::ZERO), &["sso", "other"]).await;
    scenario.switch_on(FILTER_CLIENT_HELLO).await;
    scenario
        .expect_failure("sso", "tls_timed_out", "firewall")
        .await;
    // It has the same address and another name.
    scenario.expect_success("other").await;
    scenario.expect_recovery().await;
}

#[tokio::test]
async fn dropped_client_hello_of_two_segments_is_a_large_hello() {
    let mut scenario = Scenario::start(Uplink::Relay(Duration::ZERO), &["sso"]).await;
    let fault = "at firewall nft add rule inet lab forward tcp dport 443 @th,256,8 0x16 \
                 @th,280,16 '>' 1400 drop";
    scenario.switch_on(fault).await;
    scenario
        .expect_failure("sso", "tls_large_hello_dropped", "post-quantum")
        .await;
    scenario.expect_recovery().await;
}

#[tokio::test]
async fn small_mtu_without_icmp_drops_the_large_hello() {
    let mut scenario = Scenario::start(Uplink::Relay(Duration::ZERO), &["sso"]).await;
    let fault = "at firewall ip route add 203.0.113.10/32 dev sso mtu lock 1300; \
                 at firewall nft add rule inet lab output icmp type destination-unreachable drop";
    scenario.switch_on(fault).await;
    scenario
        .expect_failure("sso", "tls_large_hello_dropped", "MTU")
        .await;
    scenario.expect_recovery().await;
}

#[tokio::test]
async fn interception_by_a_trusted_ca_is_a_finding() {
    let fault = "at firewall nft add rule inet lab nat ip saddr 10.1.0.10 ip daddr 203.0.113.10 \
                 tcp dport 443 dnat ip to 10.4.0.32";
    succeeds_with_finding(fault, "inspected", "intercepted", "Example Web Filter").await;
}

#[tokio::test]
async fn interception_by_an_unknown_ca_fails() {
    let fault = "at firewall nft add rule inet lab nat ip saddr 10.1.0.10 ip daddr 203.0.113.10 \
                 tcp dport 443 dnat ip to 10.4.0.32:8443";
    fails(
        fault,
        "inspected",
        "tls_unknown_issuer",
        "Example Unknown CA",
    )
    .await;
}

#[tokio::test]
async fn dropped_application_data_times_out_at_http() {
    let fault = "at firewall nft add rule inet lab forward tcp dport 443 @th,256,8 0x17 drop";
    fails(fault, "sso", "http_timed_out", "firewall").await;
}

#[tokio::test]
async fn reset_of_application_data_fails_at_http() {
    let fault = "at firewall nft add rule inet lab forward tcp dport 443 @th,256,8 0x17 \
                 reject with tcp reset";
    fails(fault, "sso", "http_reset", "firewall").await;
}

#[tokio::test]
async fn proxy_that_requires_credentials_fails_only_by_proxy() {
    let fault = "at proxy nft add rule ip lab nat tcp dport 3128 redirect to :3129";
    fails_only_by_proxy(fault, "proxy_auth_required", "Basic").await;
}

#[tokio::test]
async fn proxy_that_forbids_the_port_fails_only_by_proxy() {
    let fault = "at proxy nft add rule ip lab nat tcp dport 3128 redirect to :3130";
    fails_only_by_proxy(fault, "proxy_denied", "rules").await;
}

#[tokio::test]
async fn proxy_that_sends_a_block_page_fails_only_by_proxy() {
    let fault = "at proxy nft add rule ip lab nat tcp dport 3128 redirect to :3131";
    fails_only_by_proxy(fault, "proxy_denied", "403").await;
}

#[tokio::test]
async fn unreachable_proxy_fails_only_by_proxy() {
    let fault = "at firewall nft add rule inet lab forward ip daddr 10.3.0.31 tcp dport 3128 drop";
    fails_only_by_proxy(fault, "tcp_timed_out", "web proxy").await;
}

/// 100 probes, a round trip of 300 ms and 5 % packet loss in either direction. The timeout is twice the default
/// one, because a busy machine adds to the latency.
#[tokio::test]
async fn probes_survive_high_latency_and_packet_loss() {
    const TARGETS: usize = 50;
    let mut network = FirewallNetwork::start(Uplink::Relay(Duration::from_millis(150))).await;
    let mut config = "probe: {interval: 20s, timeout: 20s}\nmodules:\n  login_page:\n    \
                      tls: {roots: [ca_file], ca_file: ca.pem}\n    \
                      page: {title: \"CCASS 2FA\", form_fields: [username, password]}\ntargets:\n"
        .to_owned();
    for index in 0..TARGETS {
        config += &format!("  - {{name: sso-{index}, url: \"https://sso.lab.test/sso\"}}\n");
    }
    // For 5 s after a loss, a connection loses nothing in the same direction, and for datagrams, whose repetitions
    // are from another port, neither does the pair of hosts. So no SYN is lost again and again, and of the four
    // queries of a lookup, 1.5 s apart, at most two are lost.
    let loss = "at firewall nft 'add set inet lab just_lost { \
                type ipv4_addr . inet_service . ipv4_addr . inet_service; \
                flags dynamic; timeout 5s; }; \
                add set inet lab lost_datagram { type ipv4_addr . ipv4_addr; flags dynamic; timeout 5s; }; \
                add rule inet lab forward meta l4proto tcp \
                ip saddr . th sport . ip daddr . th dport @just_lost accept; \
                add rule inet lab forward meta l4proto udp ip saddr . ip daddr @lost_datagram accept; \
                add rule inet lab forward meta l4proto udp numgen random mod 100 < 5 \
                add @lost_datagram { ip saddr . ip daddr } drop; \
                add rule inet lab forward meta l4proto tcp numgen random mod 100 < 5 \
                add @just_lost { ip saddr . th sport . ip daddr . th dport } counter drop'";
    network.shell(loss).await;
    network.start_exporter(&config).await;
    for index in 0..TARGETS {
        network.wait_for_probes(&format!("sso-{index}"), 2).await;
    }
    let metrics = network.metrics().await;
    for family in ["probe_failure_info", "probe_failures_total"] {
        let failures = metrics.family(family);
        let first = failures.first();
        assert_eq!(
            failures.len(),
            0,
            "failures of targets, the first: {first:?}"
        );
    }
    let sum = |family| metrics.family(family).iter().map(|one| one.1).sum::<f64>();
    assert!(sum("probe_attempts_total") >= 100.0);
    assert_eq!(sum("probe_attempts_total"), sum("probe_successes_total"));
    assert_eq!(sum("probe_missed_total"), 0.0);
    for (series, seconds) in metrics.family("tcp_connect_duration_seconds") {
        assert!(seconds > 0.3, "{series} {seconds}: the path has no latency");
    }
    let dropped = dropped_packets(&network).await;
    assert!(dropped >= 50, "the path lost only {dropped} packets");
}

/// How many packets the rule that has a counter has dropped.
async fn dropped_packets(network: &FirewallNetwork) -> u64 {
    let list = ["nft", "list", "chain", "inet", "lab", "forward"];
    let (_, rules) = network.run("firewall", &list).await;
    let count = rules
        .split_once("counter packets ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    count.unwrap_or_else(|| panic!("no counter in {rules}"))
}

/// Runs the commands of `docs/behind-your-firewall.md` with the addresses of the test network.
#[tokio::test]
async fn documented_commands_prove_each_layer() {
    let mut network = FirewallNetwork::start(Uplink::Direct).await;
    network.start_exporter(&config(TARGETS)).await;
    let document = include_str!("../../docs/behind-your-firewall.md");
    let mut blocks = document.split("```sh\n").skip(1);
    let variables = blocks.next().expect("the block with the variables");
    for name in ["NAME", "RESOLVER", "ADDRESS", "PROXY"] {
        assert!(variables.contains(&format!("{name}=")), "{name}");
    }
    let variables = format!(
        "export NAME=sso.lab.test RESOLVER={LOCAL_RESOLVER} ADDRESS=203.0.113.10 \
         PROXY=10.3.0.31:3128 SSL_CERT_FILE={0} CURL_CA_BUNDLE={0}; set -euo pipefail\n",
        network.namespace.path("platform.pem").display()
    );
    let exporter = format!(
        "export CCASS2FA_CONFIG_FILE={}; ccass-2fa-exporter() {{ {} \"$@\"; }}\n",
        network.namespace.path("ccass.yml").display(),
        binary()
    );
    let commands: Vec<&str> = blocks
        .filter_map(|block| Some(block.split_once("```")?.0))
        .collect();
    assert_eq!(commands.len(), 6);
    for (command, expected) in commands.iter().zip([
        "REACHED",
        "status: NOERROR",
        "open",
        "proxy said 200, the page 200",
        "issuer=C = HK, O = CCASS Lab",
        "200 from 203.0.113.10",
    ]) {
        let script = format!("{variables}{exporter}{command}");
        let (code, output) = network.run("host", &["bash", "-c", &script]).await;
        assert_eq!(code, 0, "{command}{output:.500}");
        assert!(output.contains(expected), "{command}{output:.500}");
    }
    network
        .shell("at firewall nft add rule inet lab forward tcp dport 443 drop")
        .await;
    let script = format!("{variables}{}", commands[2]);
    let (code, output) = network.run("host", &["bash", "-c", &script]).await;
    assert_ne!(
        code, 0,
        "succeeds although the firewall drops: {output:.500}"
    );
}

#[tokio::test]
async fn failing_test_leaves_no_process_behind() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let failing = tokio::spawn(async {
        let mut network = FirewallNetwork::start(Uplink::Relay(Duration::ZERO)).await;
        network.start_exporter(&config(TARGETS)).await;
        let directory = network.namespace.directory.path().to_owned();
        let processes = processes_of(&directory);
        assert!(processes.len() > 8, "{processes:?}");
        sender.send(directory).expect("the receiver exists");
        panic!("a failing test");
    });
    assert!(failing.await.expect_err("the task panics").is_panic());
    let directory = receiver.await.expect("the network has started");
    let start = Instant::now();
    while !processes_of(&directory).is_empty() {
        let left = processes_of(&directory);
        assert!(start.elapsed() < TIMEOUT, "after {TIMEOUT:?}: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!directory.exists());
}

/// The command lines of all processes of this machine that contain the path of `directory`.
fn processes_of(directory: &Path) -> Vec<String> {
    let directory = directory.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc is mounted");
    processes
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&directory))
        .collect()
}

/// Switches a fault on and off: meanwhile the target fails for this reason, and the report mentions
/// `detail`.
async fn fails(fault: &str, target: &str, reason: &str, detail: &str) {
    let mut scenario = Scenario::start(Uplink::Direct, &[target]).await;
    scenario.switch_on(fault).await;
    scenario.expect_failure(target, reason, detail).await;
    scenario.expect_recovery().await;
}

/// Switches a fault on and off: meanwhile the target succeeds with this finding, and the report
/// mentions `detail`.
async fn succeeds_with_finding(fault: &str, target: &str, finding: &str, detail: &str) {
    let mut scenario = Scenario::start(Uplink::Direct, &[target]).await;
    scenario.switch_on(fault).await;
    scenario.expect_finding(target, finding, detail).await;
    scenario.expect_recovery().await;
}

/// Switches a fault of the proxy on and off: meanwhile only the direct target of the group succeeds.
async fn fails_only_by_proxy(fault: &str, reason: &str, detail: &str) {
    let mut scenario = Scenario::start(Uplink::Direct, &["by-proxy", "sso"]).await;
    scenario.switch_on(fault).await;
    scenario.expect_failure("by-proxy", reason, detail).await;
    let metrics = scenario.expect_success("sso").await;
    let by_way = |target: &str, way: &str| {
        let labels = format!("{{group=\"login\",target=\"{target}\",way=\"{way}\"}}");
        metrics.value(&format!("group_way_success{labels}"))
    };
    assert_eq!(by_way("sso", "direct"), Some(1.0), "{fault}");
    assert_eq!(by_way("by-proxy", "proxy"), Some(0.0), "{fault}");
    scenario.expect_recovery().await;
}

/// A running exporter in a network in which faults are switched on and off.
struct Scenario {
    network: FirewallNetwork,
    /// The series of each target in the healthy network.
    healthy: BTreeMap<String, BTreeSet<String>>,
    fault: String,
    /// When the network was changed for the last time.
    changed: f64,
}

impl Scenario {
    /// Builds the network and waits until each target has been probed without failure or finding.
    async fn start(uplink: Uplink, targets: &[&str]) -> Self {
        let mut network = Box::pin(FirewallNetwork::start(uplink)).await;
        network.start_exporter(&config(targets)).await;
        let mut scenario = Self {
            network,
            healthy: BTreeMap::new(),
            fault: "no fault".to_owned(),
            changed: 0.0,
        };
        for target in targets {
            scenario.expect_success(target).await;
        }
        let metrics = scenario.network.metrics().await;
        for target in targets {
            let series = series_of(&metrics, target);
            scenario.healthy.insert((*target).to_owned(), series);
        }
        scenario
    }

    async fn switch_on(&mut self, fault: &str) {
        self.network.shell(fault).await;
        self.fault = fault.to_owned();
        self.changed = now();
    }

    /// Both `verify` and the running exporter report this reason.
    async fn expect_failure(&self, target: &str, reason: &str, detail: &str) {
        let layer = reason.split('_').next().expect("a layer");
        self.expect(target, |report, metrics| {
            let verdict = &report["verdict"];
            ensure(
                verdict["reason"] == reason && verdict["layer"] == layer,
                || format!("verify reports {verdict}"),
            )?;
            mentions(report, detail)?;
            for part in ["meaning", "contact", "action"] {
                let text = report["advice"][part].as_str().unwrap_or_default();
                ensure(!text.is_empty(), || format!("the advice has no {part:?}"))?;
            }
            has_value(metrics, &success_series(target), 0.0)?;
            let labels = format!("{{layer=\"{layer}\",reason=\"{reason}\",target=\"{target}\"}}");
            has_value(metrics, &format!("probe_failure_info{labels}"), 1.0)
        })
        .await;
    }

    /// Both `verify` and the running exporter report success with this finding.
    async fn expect_finding(&self, target: &str, finding: &str, detail: &str) {
        self.expect(target, |report, metrics| {
            let (verdict, findings) = (&report["verdict"], &report["findings"]);
            ensure(verdict["outcome"] == "good", || {
                format!("verify reports {verdict}")
            })?;
            let mut listed = findings.as_array().into_iter().flatten();
            ensure(listed.any(|one| one["finding"] == finding), || {
                format!("verify reports the findings {findings}")
            })?;
            mentions(report, detail)?;
            has_value(metrics, &success_series(target), 1.0)?;
            let labels = format!("{{finding=\"{finding}\",target=\"{target}\"}}");
            has_value(metrics, &format!("finding_info{labels}"), 1.0)
        })
        .await;
    }

    /// Both `verify` and the running exporter report success without findings.
    async fn expect_success(&self, target: &str) -> Metrics {
        self.expect(target, |report, metrics| {
            let (verdict, findings) = (&report["verdict"], &report["findings"]);
            ensure(verdict["outcome"] == "good", || {
                format!("verify reports {verdict}")
            })?;
            ensure(findings.as_array().is_none_or(Vec::is_empty), || {
                format!("verify reports the findings {findings}")
            })?;
            has_value(metrics, &success_series(target), 1.0)?;
            let label = format!("target=\"{target}\"");
            let findings = metrics.family("finding_info");
            ensure(!findings.iter().any(|one| one.0.contains(&label)), || {
                format!("the exporter reports {findings:?}")
            })
        })
        .await
    }

    /// Removes the fault. Each target succeeds, and the exporter again has exactly the series of the
    /// healthy network.
    async fn expect_recovery(&mut self) {
        self.network.clear_faults().await;
        self.changed = now();
        for (target, healthy) in &self.healthy {
            let metrics = self.expect_success(target).await;
            let series = series_of(&metrics, target);
            let difference: Vec<_> = series.symmetric_difference(healthy).collect();
            assert!(
                difference.is_empty(),
                "after {}: {difference:?}",
                self.fault
            );
        }
    }

    /// Waits for the first probe after the network was changed, runs `verify` meanwhile, and checks
    /// the report and the metrics of the exporter. A busy machine can make a probe fail for another
    /// reason, so it is repeated until the check passes.
    async fn expect(
        &self,
        target: &str,
        check: impl Fn(&Value, &Metrics) -> Result<(), String>,
    ) -> Metrics {
        let start = Instant::now();
        let mut since = self.changed;
        loop {
            let (report, metrics) = tokio::join!(
                Box::pin(self.network.verify(target)),
                Box::pin(self.probe_since(target, since))
            );
            let Err(error) = check(&report, &metrics) else {
                return metrics;
            };
            let fault = &self.fault;
            assert!(
                start.elapsed() < TIMEOUT,
                "{fault}: {target}, the last of all probes of {TIMEOUT:?}: {error}"
            );
            since = now();
        }
    }

    /// The metrics after the first probe that began after this time.
    async fn probe_since(&self, target: &str, since: f64) -> Metrics {
        let mut probes = self.network.probe_count(target);
        loop {
            let metrics = self.network.metrics().await;
            let series = format!("probe_last_run_timestamp_seconds{{target=\"{target}\"}}");
            if metrics.value(&series) >= Some(since) {
                return metrics;
            }
            self.network.wait_for_probes(target, probes + 1).await;
            probes = self.network.probe_count(target);
        }
    }
}

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(message()) }
}

fn has_value(metrics: &Metrics, series: &str, value: f64) -> Result<(), String> {
    let actual = metrics.value(series);
    ensure(actual == Some(value), || {
        let name = series.split('{').next().unwrap_or(series);
        let family = metrics.family(name);
        format!("{series} is {actual:?} instead of {value}; there are {family:?}")
    })
}

fn mentions(report: &Value, detail: &str) -> Result<(), String> {
    ensure(report.to_string().contains(detail), || {
        format!(
            "verify does not mention {detail:?}; advice {}, findings {}",
            report["advice"], report["findings"]
        )
    })
}

fn success_series(target: &str) -> String {
    let role = if target == "closed" {
        "closed"
    } else {
        "login"
    };
    format!("probe_success{{role=\"{role}\",target=\"{target}\"}}")
}

/// The series of a target, without the counters of past failures.
fn series_of(metrics: &Metrics, target: &str) -> BTreeSet<String> {
    let label = format!("target=\"{target}\"");
    metrics
        .series
        .keys()
        .filter(|series| series.contains(&label) && !series.contains("probe_failures_total"))
        .cloned()
        .collect()
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs_f64()
}
