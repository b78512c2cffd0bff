//! A file system that never answers, as a dead network mount: a FUSE mount without a server. It needs
//! root.

use std::time::{Duration, Instant};

use harness::exporter::{Metrics, binary};
use harness::namespace::Namespace;

/// A stop takes at most this long.
const STOP: Duration = Duration::from_secs(5);

/// A namespace in which every access to the directory `dead` waits for ever.
async fn namespace_with_dead_mount() -> Namespace {
    let mut namespace = Namespace::new(&[], &[]).await;
    let directory = namespace.path("dead");
    std::fs::create_dir(&directory).unwrap();
    let script = format!(
        "exec 3<>/dev/fuse && mount -i -t fuse -o \
         fd=3,rootmode=40000,user_id=0,group_id=0 dead {} && echo mounted && exec sleep infinity",
        directory.display()
    );
    namespace.spawn("fuse", "sh", &["-c", &script]);
    namespace.wait_for_log("fuse", "mounted").await;
    namespace
}

/// Starts the exporter; its process id goes to the file `id`.
async fn start(namespace: &mut Namespace, config: &str) {
    let config = namespace.write("ccass.yml", config);
    let script = format!(
        "echo $$ > {id}.new && mv {id}.new {id} && exec {program} --config.file={config} \
         --web.listen-address=127.0.0.1:10762",
        id = namespace.path("id").display(),
        program = binary(),
        config = config.display(),
    );
    namespace.spawn("exporter", "sh", &["-c", &script]);
    let started = format!("test -e {}", namespace.path("id").display());
    namespace.wait_until(&started, "exporter").await;
}

/// Sends SIGTERM to the exporter and checks that it ends in time.
async fn stops(namespace: &Namespace) {
    let started = Instant::now();
    let script = format!(
        "read id < {} && kill -TERM $id && while kill -0 $id 2>/dev/null; do sleep 0.05; done",
        namespace.path("id").display()
    );
    let (code, _) = namespace.run("sh", &["-c", &script]).await;
    assert_eq!(code, 0, "{}", namespace.log_tail("exporter"));
    let elapsed = started.elapsed();
    assert!(elapsed < STOP, "the stop took {elapsed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_on_a_dead_mount_stops_neither_probes_nor_the_stop() {
    let mut namespace = namespace_with_dead_mount().await;
    let dead = namespace.path("dead");
    let config = format!(
        "data_directory: {0}/data\nreadiness: {{file: {0}/accounts.csv}}\n\
         probe: {{interval: 10s, timeout: 9s}}\n\
         targets: [{{name: sso, url: \"https://127.0.0.1:1/\"}}]\n",
        dead.display()
    );
    start(&mut namespace, &config).await;
    for message in [
        "data_directory is not writable",
        "cannot read the state file, starting without history",
        "cannot load the readiness file",
    ] {
        namespace.wait_for_log("exporter", message).await;
    }
    let text = namespace.get("http://127.0.0.1:10762/metrics").await;
    let metrics = Metrics::parse(&text);
    for file in ["readiness", "state"] {
        let series = format!("file_read_failures_total{{file=\"{file}\"}}");
        assert!(metrics.value(&series) >= Some(1.0), "{text}");
    }
    metrics.expect("readiness_readable", 0.0);
    let message = "message=\"probe failed";
    namespace.wait_for_log("exporter", message).await;
    stops(&namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_during_the_start_does_not_wait_for_a_dead_mount() {
    let mut namespace = namespace_with_dead_mount().await;
    let config = format!(
        "targets: []\ntimetable: {{file: {}/timetable.yml}}\n",
        namespace.path("dead").display()
    );
    start(&mut namespace, &config).await;
    stops(&namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_end_with_an_error_on_a_dead_mount() {
    let namespace = namespace_with_dead_mount().await;
    let script = format!(
        "{} --config.file {}/ccass.yml check 2>&1",
        binary(),
        namespace.path("dead").display()
    );
    let (code, output) = namespace.run("sh", &["-c", &script]).await;
    assert_eq!(code, 2, "{output}");
    assert!(
        output.contains("its file system does not answer"),
        "{output}"
    );
}
