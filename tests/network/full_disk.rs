//! A full and a read-only disk, in a mount namespace. It needs root.

use harness::exporter::{Metrics, binary};
use harness::namespace::Namespace;

/// The target refuses connections.
const TARGETS: &str = "targets: [{name: sso, url: \"https://127.0.0.1:1/\"}]\n";

fn config(namespace: &Namespace, targets: &str) -> String {
    format!(
        "data_directory: {}\nevidence: {{terminals: [t1]}}\n\
         probe: {{interval: 10s, timeout: 9s}}\n{targets}",
        namespace.path("disk").display()
    )
}

/// A namespace with a disk of 256 KiB, on which the exporter stores its evidence.
async fn namespace_with_small_disk() -> Namespace {
    let namespace = Namespace::new(&[], &[]).await;
    let disk = namespace.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let disk = disk.display().to_string();
    let (code, _) = namespace
        .run("mount", &["-t", "tmpfs", "-o", "size=256k", "small", &disk])
        .await;
    assert_eq!(code, 0, "mount a tmpfs on {disk}");
    namespace.write("ccass.yml", config(&namespace, "targets: []\n"));
    namespace
}

/// Runs a command of the exporter inside; returns its exit code, standard output and error.
async fn run(namespace: &Namespace, arguments: &str) -> (i32, String) {
    let config = namespace.path("ccass.yml");
    let script = format!(
        "{} --config.file {} {arguments} 2>&1",
        binary(),
        config.display()
    );
    namespace.run("sh", &["-c", &script]).await
}

async fn record(namespace: &Namespace) -> (i32, String) {
    run(namespace, "record --terminal t1 --outcome seen").await
}

async fn metrics(namespace: &Namespace) -> Metrics {
    Metrics::parse(&namespace.get("http://127.0.0.1:10762/metrics").await)
}

/// Runs a script in the directory of the disk.
async fn run_on_disk(namespace: &Namespace, script: &str) {
    let script = format!("cd {} && {script}", namespace.path("disk").display());
    let (code, _) = namespace.run("sh", &["-c", &script]).await;
    assert_eq!(code, 0, "{script}");
}

/// While the disk cannot be written, `record` reports `error` and the exporter keeps probing; after
/// `repair` the evidence contains every record that was acknowledged, and the outage.
async fn keeps_evidence(break_disk: &str, error: &str, repair: &str) {
    let mut namespace = namespace_with_small_disk().await;
    assert_eq!(record(&namespace).await.0, 0);
    let flag = format!("--config.file={}", namespace.path("ccass.yml").display());
    let arguments = [flag.as_str(), "--web.listen-address=127.0.0.1:10762"];
    namespace.spawn("exporter", binary(), &arguments);
    namespace
        .wait_for_log("exporter", "message=listening")
        .await;
    run_on_disk(&namespace, break_disk).await;

    // A few records may still fit into the last block of the file.
    let mut acknowledged = 1;
    let output = loop {
        let (code, output) = record(&namespace).await;
        if code != 0 {
            assert_eq!(code, 3, "{output}");
            break output;
        }
        acknowledged += 1;
        assert!(acknowledged < 20, "the disk is not full: {output}");
    };
    assert!(output.contains("NOT recorded"), "{output}");
    assert!(output.contains(error), "{output}");

    // The outage begins while the disk is broken: two consecutive probes fail.
    namespace.write("ccass.yml", config(&namespace, TARGETS));
    let reload = ["-sf", "-X", "POST", "http://127.0.0.1:10762/-/reload"];
    let (code, _) = namespace.run("curl", &reload).await;
    assert_eq!(code, 0, "reload; {}", namespace.log_tail("exporter"));
    let message = "cannot write evidence, records are queued";
    namespace.wait_for_log("exporter", message).await;
    let during = metrics(&namespace).await;
    assert!(during.value("evidence_errors_total") >= Some(1.0));
    assert!(during.value("probe_attempts_total{target=\"sso\"}") >= Some(2.0));

    run_on_disk(&namespace, repair).await;
    namespace
        .wait_for_log("exporter", "evidence writes recovered")
        .await;
    assert_eq!(record(&namespace).await.0, 0);
    let (code, evidence) = run(&namespace, "evidence list").await;
    assert_eq!(code, 0, "{evidence}");
    let count = |part: &str| evidence.lines().filter(|line| line.contains(part)).count();
    assert_eq!(
        count("terminal t1: login page seen"),
        acknowledged + 1,
        "{evidence}"
    );
    assert_eq!(count("outage of sso since"), 1, "{evidence}");
    let (code, output) = run(&namespace, "evidence check").await;
    assert_eq!(code, 0, "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_loses_no_evidence_and_probing_continues() {
    keeps_evidence(
        "dd if=/dev/zero of=filler bs=1k 2>/dev/null; test -s filler",
        "No space left on device",
        "rm filler",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_disk_loses_no_evidence_and_probing_continues() {
    keeps_evidence(
        "cd / && mount -o remount,ro $OLDPWD",
        "Read-only file system",
        "mount -o remount,rw .",
    )
    .await;
}
