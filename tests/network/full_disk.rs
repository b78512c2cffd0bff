//! A disk that is full, and one that can only be read, in a mount namespace of the test's own. It needs
//! root.

use harness::exporter::{Metrics, binary};
use harness::namespace::Namespace;

const CONFIG: &str = "data_directory: DISK\nevidence: {terminals: [t1]}\nprobe: {interval: 10s, timeout: 1s}\n\
                      targets: [{name: sso, url: \"https://127.0.0.1:1/\"}]\n";

/// A world with a disk of 256 KiB, and a configuration that keeps its evidence there.
async fn world() -> Namespace {
    let world = Namespace::with(&[], &[]).await;
    let disk = world.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let disk = disk.display().to_string();
    let (code, _) = world
        .run("mount", &["-t", "tmpfs", "-o", "size=256k", "small", &disk])
        .await;
    assert_eq!(code, 0);
    world.write("ccass.yml", CONFIG.replace("DISK", &disk));
    world
}

/// A command of ours inside: its exit code, and what it says on both ways.
async fn run(world: &Namespace, arguments: &str) -> (i32, String) {
    let config = world.path("ccass.yml");
    let script = format!(
        "{} --config.file {} {arguments} 2>&1",
        binary(),
        config.display()
    );
    world.run("sh", &["-c", &script]).await
}

async fn record(world: &Namespace) -> (i32, String) {
    run(world, "record --terminal t1 --outcome seen").await
}

async fn metrics(world: &Namespace) -> Metrics {
    Metrics::parse(&world.get("http://127.0.0.1:10762/metrics").await)
}

/// Waits until the exporter inside says so.
async fn log_says(world: &Namespace, part: &str) {
    let found = tokio::time::timeout(harness::exporter::PATIENCE, async {
        while !world.log("exporter").contains(part) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    assert!(found.await.is_ok(), "{part}: {}", world.log("exporter"));
}

/// The disk is made unusable and usable again by these commands.
async fn nothing_is_lost_while(world: &mut Namespace, breaks: &str, told: &str, mends: &str) {
    let sh = |script: String| async move { script };
    let disk = world.path("disk").display().to_string();
    let at_disk = |script: &str| sh(format!("cd {disk} && {script}"));
    let config = format!("--config.file={}", world.path("ccass.yml").display());
    assert_eq!(record(world).await.0, 0);
    world.serve(
        "exporter",
        binary(),
        &[&config, "--web.listen-address=127.0.0.1:10762"],
    );
    world.accepts("exporter", "127.0.0.1", 10762).await;
    let script = at_disk(breaks).await;
    assert_eq!(world.run("sh", &["-c", &script]).await.0, 0);

    // What is left of the file's last block may still hold a few.
    let mut acknowledged = 1;
    let said = loop {
        let (code, said) = record(world).await;
        if code != 0 {
            assert_eq!(code, 3, "{said}");
            break said;
        }
        acknowledged += 1;
        assert!(acknowledged < 20, "the disk is not full: {said}");
    };
    assert!(said.contains("it is NOT recorded"), "{said}");
    assert!(said.contains(told), "{said}");
    // Two failing probes in a row are an outage, which cannot be written down.
    log_says(
        world,
        "evidence cannot be recorded; it waits, and probing goes on",
    )
    .await;
    let before = metrics(world).await;
    assert!(before.value("evidence_errors_total") >= Some(1.0));
    assert!(before.value("probe_attempts_total{target=\"sso\"}") >= Some(2.0));

    let script = at_disk(mends).await;
    assert_eq!(world.run("sh", &["-c", &script]).await.0, 0);
    log_says(world, "evidence is recorded again").await;
    assert_eq!(record(world).await.0, 0);
    let (code, said) = run(world, "evidence list").await;
    assert_eq!(code, 0, "{said}");
    let count = |part: &str| said.lines().filter(|line| line.contains(part)).count();
    assert_eq!(
        count("terminal t1: login page seen"),
        acknowledged + 1,
        "{said}"
    );
    assert_eq!(count("outage of sso since"), 1, "{said}");
    let (code, said) = run(world, "evidence check").await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_loses_nothing_and_probing_goes_on() {
    let mut world = world().await;
    nothing_is_lost_while(
        &mut world,
        "dd if=/dev/zero of=filler bs=1k 2>/dev/null; test -s filler",
        "No space left on device",
        "rm filler",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_can_only_be_read_is_told_loses_nothing_and_probing_goes_on() {
    let mut world = world().await;
    nothing_is_lost_while(
        &mut world,
        "cd / && mount -o remount,ro $OLDPWD",
        "Read-only file system",
        "mount -o remount,rw .",
    )
    .await;
}
