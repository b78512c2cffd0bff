//! What only a firewall can show. Each test runs in a network namespace of its own, which ends with
//! the process that it was made for; it needs root.

mod exporter;

use exporter::{BINARY, ConfigFile, PATIENCE};
use tokio::process::Command;
use tokio::time::timeout;

/// Probes `url` in a fresh namespace with loopback up, after `setup` (shell) has run there. The limit
/// leaves room for a second SYN: seen on Linux 6, an IPv6 prohibition of the first goes unheeded.
async fn probe_behind(setup: &str, url: &str) -> serde_json::Value {
    let config = ConfigFile::new(&format!(
        "probe: {{timeout: 4s}}\ntargets: [{{name: sso, url: \"{url}\"}}]\n"
    ));
    let script = format!(
        "set -e; ip link set lo up; {setup}\n{BINARY} {} verify --format=json || test $? = 1",
        config.argument()
    );
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", &script])
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output)
        .await
        .expect("it ends")
        .expect("unshare starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "namespaces and nftables need root: {told}"
    );
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&told);
    document["reports"][0].clone()
}

/// A rule on what leaves this host.
fn nft(rule: &str) -> String {
    nft_at("output", rule)
}

fn nft_at(hook: &str, rule: &str) -> String {
    format!(
        "nft 'add table inet lab; \
         add chain inet lab wall {{ type filter hook {hook} priority 0; }}; \
         add rule inet lab wall {rule}';"
    )
}

/// A second host at fd00::2, with a rule on what comes to it. Its namespace ends with its process.
fn neighbour(rule: &str) -> String {
    format!(
        "unshare --net sleep 60 & peer=$!; trap 'kill $peer' EXIT; \
         own=$(readlink /proc/self/ns/net); \
         until [ \"$(readlink /proc/$peer/ns/net)\" != \"$own\" ]; do :; done; \
         ip link add here type veth peer name there netns $peer; \
         ip addr add fd00::1/64 dev here nodad; ip link set here up; \
         nsenter --net=/proc/$peer/ns/net sh -ec \"ip addr add fd00::2/64 dev there nodad; \
         ip link set there up; {}\";",
        nft_at("input", rule)
    )
}

#[track_caller]
fn assert_reason(report: &serde_json::Value, reason: &str) {
    assert_eq!(report["verdict"]["reason"], reason, "{report:#}");
    assert!(!report["advice"]["hand_over"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn dropped_packets_are_a_time_out() {
    let setup = nft("ip daddr 127.0.0.9 tcp dport 443 drop");
    let report = probe_behind(&setup, "https://127.0.0.9/").await;
    assert_reason(&report, "tcp_timed_out");
}

#[tokio::test]
async fn a_reject_with_host_unreachable_is_told_and_the_advice_names_a_prohibition_too() {
    for answer in ["host-unreachable", "admin-prohibited"] {
        let setup = nft(&format!(
            "ip daddr 127.0.0.9 tcp dport 443 reject with icmp {answer}"
        ));
        let report = probe_behind(&setup, "https://127.0.0.9/").await;
        assert_reason(&report, "tcp_host_unreachable");
        let meaning = report["advice"]["meaning"].as_str().unwrap();
        assert!(meaning.contains("prohibited"), "{meaning}");
    }
}

#[tokio::test]
async fn a_reject_with_prohibited_over_ipv6_is_told_as_such() {
    let setup = neighbour("tcp dport 443 reject with icmpv6 admin-prohibited");
    let report = probe_behind(&setup, "https://[fd00::2]/").await;
    assert_reason(&report, "tcp_prohibited");
}

#[tokio::test]
async fn a_net_without_a_route_is_told_as_such() {
    let report = probe_behind("", "https://192.0.2.1/").await;
    assert_reason(&report, "tcp_network_unreachable");
}

#[tokio::test]
async fn a_reset_before_anything_was_said_is_the_connections_not_the_sessions() {
    // The connection is accepted; the client's next packet is answered with a reset.
    let listen = "python3 -c 'import socket,time; s=socket.create_server((\"127.0.0.9\",443)); \
                  print(flush=True); time.sleep(30)' > ready & \
                  until [ -s ready ]; do :; done;";
    let rule = nft("ip daddr 127.0.0.9 tcp dport 443 tcp flags & syn == 0 reject with tcp reset");
    let directory = tempfile::tempdir().unwrap();
    let setup = format!(
        "cd {}; trap 'kill $!' EXIT; {listen} {rule}",
        directory.path().display()
    );
    let report = probe_behind(&setup, "https://127.0.0.9/").await;
    assert_reason(&report, "tcp_reset");
}

#[tokio::test]
async fn a_rejection_with_a_reset_looks_like_a_closed_port_and_the_advice_names_both() {
    let setup = nft("ip daddr 127.0.0.9 tcp dport 443 reject with tcp reset");
    let report = probe_behind(&setup, "https://127.0.0.9/").await;
    assert_reason(&report, "tcp_refused");
    let meaning = report["advice"]["meaning"].as_str().unwrap();
    assert!(meaning.contains("firewall"), "{meaning}");
}
