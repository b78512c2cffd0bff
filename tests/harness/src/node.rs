//! The scripts beside this file, run by the Node that `tests/install.sh` installs with their libraries.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(180);

/// A file beside this one.
pub fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("node")
        .join(file)
}

/// Node with these arguments.
pub fn node() -> Command {
    let mut command = Command::new(path("node_modules/node/bin/node"));
    command.kill_on_drop(true).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a script says on standard output to what it is asked on standard input, both JSON.
pub async fn run<Answer: DeserializeOwned>(script: &str, asked: &serde_json::Value) -> Answer {
    let child = node().arg(path(script)).spawn();
    let mut child = child.expect("tests/install.sh has run");
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = asked.to_string();
    stdin.write_all(text.as_bytes()).await.expect("it reads");
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let output = output.await.expect("it ends").expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {told}");
    serde_json::from_slice(&output.stdout).expect("an answer")
}
