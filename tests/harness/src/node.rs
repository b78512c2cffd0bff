//! Runs the scripts in `tests/harness/node` with the Node.js and the libraries that `tests/install.sh`
//! installs.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// For a script that has a permit; it protects from hanging.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A browser or a compiler keeps a processor busy, so no more than this many scripts run at once.
static PERMITS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// The path of a file in `tests/harness/node`.
pub fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("node")
        .join(file)
}

/// Runs a script with `input` on its standard input and parses its standard output, both JSON.
pub async fn run<T: DeserializeOwned>(script: &str, input: &serde_json::Value) -> T {
    let output = node(&[path(script)], Path::new("."), &input.to_string()).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed: {stderr}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{script} printed no valid JSON: {error}"))
}

/// Checks a TypeScript project without emitting code; fails with the compiler's messages.
pub async fn check_types(project: &Path) {
    let compiler = path("node_modules/typescript/bin/tsc");
    let output = node(&[compiler, "--noEmit".into()], project, "").await;
    let messages = String::from_utf8_lossy(&output.stdout);
    let first: Vec<&str> = messages.lines().take(5).collect();
    assert!(output.status.success(), "tsc: {}", first.join("\n"));
}

/// Runs Node.js to its end in `directory`.
async fn node(arguments: &[PathBuf], directory: &Path, input: &str) -> Output {
    let _permit = PERMITS.acquire().await.expect("it is never closed");
    let mut child = Command::new(path("node_modules/node/bin/node"))
        .args(arguments)
        .current_dir(directory)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("Node.js: {error}; run make install"));
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let write = async move { stdin.write_all(input.as_bytes()).await };
    let both = async { tokio::join!(write, child.wait_with_output()) };
    let Ok((_written, output)) = tokio::time::timeout(TIMEOUT, both).await else {
        panic!("{arguments:?} did not end within {} s", TIMEOUT.as_secs());
    };
    output.expect("the exit status of Node.js")
}
