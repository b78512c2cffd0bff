//! Puts the commit, its date and the target into the version that a release build prints. Other
//! builds do not ask git, so that a commit does not make Cargo build them anew.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    let source = if env::var("PROFILE").as_deref() == Ok("release") {
        // Changes with every commit and checkout.
        if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
            println!("cargo::rerun-if-changed={log}");
        }
        let format = "--date=format-local:%Y-%m-%d";
        let commit = git(&["show", "-s", format, "--format=commit %h, %cd", "HEAD"]);
        commit.unwrap_or_else(|| "commit unknown".to_owned())
    } else {
        "not a release build".to_owned()
    };
    println!("cargo::rustc-env=CCASS2FA_BUILD={source}, {target}");
}

/// What git prints; nothing outside a clone, or where git is missing.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(["-c", "core.abbrev=12"])
        .args(arguments)
        .env("TZ", "UTC0")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
