//! docs/tutorial.md: its commands, one after the other, by a shell.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ccass_2fa_lab::Lab;
use harness::documents::{self, repository};
use harness::exporter::binary;
use harness::prometheus::{QUICK, TIMEOUT};
use regex::Regex;
use tokio::net::TcpListener;
use tokio::process::Command;

/// The commands of the page in their order: all of its blocks for the shell.
fn commands(page: &str) -> String {
    let mut commands = String::new();
    let mut is_inside = false;
    for line in page.lines() {
        match line {
            "```sh" => is_inside = true,
            "```" => is_inside = false,
            _ if is_inside => commands.push_str(&format!("{line}\n")),
            _ => assert!(!line.starts_with("```"), "a block that is not run: {line}"),
        }
    }
    commands
}

/// The ports of the page, each replaced by one that is free here.
async fn with_free_ports(text: &str) -> String {
    let mut text = text.to_owned();
    let mut listeners = Vec::new();
    for port in ["10762", "9090", "9093", "8025"] {
        assert!(text.contains(port), "{port}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = listener.local_addr().unwrap().port().to_string();
        text = text.replace(port, &free);
        listeners.push(listener);
    }
    text
}

/// The shipped rules and routes with shorter durations, at `directory/alerts`.
fn shorten_alerts(directory: &Path) {
    let target = directory.join("alerts");
    std::fs::create_dir_all(target.join("templates")).unwrap();
    let waits = Regex::new(r"(group_wait|group_interval): \S+").unwrap();
    for entry in std::fs::read_dir(repository("alerts")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_owned();
        if path.extension().is_some_and(|one| one == "yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = if name == "alertmanager.yml" {
                waits.replace_all(&text, "$1: 2s").into_owned()
            } else {
                QUICK.apply(&text)
            };
            std::fs::write(target.join(name), text).unwrap();
        }
    }
    let templates = "alerts/templates/ccass2fa.tmpl";
    std::fs::copy(repository(templates), directory.join(templates)).unwrap();
}

/// The same commands, with the lab's login server in place of the real one, which the environment
/// variable names to `verify` and `init`, and with shorter durations.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_tutorial_works_and_ends_with_a_page_and_its_end() {
    let lab = Lab::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let shared = directory.path().join("shared");
    shorten_alerts(&shared);
    let lab_config = directory.path().join("lab.yml");
    std::fs::write(&lab_config, lab.config()).unwrap();

    let page = documents::read("docs/tutorial.md");
    let mut script = with_free_ports(&commands(&page)).await;
    for (there, here) in [
        (
            "SHARED=/usr/share/ccass-2fa-exporter",
            format!("SHARED={}", shared.display()),
        ),
        ("scrape_interval: 15s", "scrape_interval: 2s".to_owned()),
        (
            "evaluation_interval: 15s",
            "evaluation_interval: 1s".to_owned(),
        ),
        (
            "ccass-2fa-exporter check ",
            "printf 'probe: {interval: 10s}\\n' >> ccass.yml\nccass-2fa-exporter check ".to_owned(),
        ),
        (
            "--severity critical",
            "--severity critical --hold 5s".to_owned(),
        ),
    ] {
        assert!(script.contains(there), "{there}");
        script = script.replace(there, &here);
    }
    let exporter = Regex::new(r"localhost:(\d+)/metrics").unwrap();
    let exporter = exporter.captures(&script).expect("the exporter's port")[1].to_owned();
    let programs = directory.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(binary(), programs.join("ccass-2fa-exporter")).unwrap();
    let file = directory.path().join("tutorial.sh");
    // After a failed command the programs in the background end with the shell; otherwise the last
    // command of the page ends them.
    let text = format!("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n{script}trap - EXIT\n");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!(
        "{}:{}",
        programs.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let limit = TIMEOUT.as_secs().to_string();
    let shell = Command::new("timeout")
        .args([&limit, "bash", "-x"])
        .arg(&file)
        .current_dir(directory.path())
        .env("PATH", path)
        .env("CCASS2FA_CONFIG_FILE", &lab_config)
        .env(
            "CCASS2FA_WEB_LISTEN_ADDRESS",
            format!("127.0.0.1:{exporter}"),
        )
        .kill_on_drop(true)
        .output()
        .await
        .expect("bash is installed");
    let stdout = String::from_utf8_lossy(&shell.stdout);
    let stderr = String::from_utf8_lossy(&shell.stderr);
    let logs = [
        "exporter.log",
        "prometheus.log",
        "alertmanager.log",
        "pager.txt",
    ]
    .map(|name| {
        let text = std::fs::read_to_string(directory.path().join("ccass-tutorial").join(name));
        let text = text.unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        format!("{name}, latest first:\n{}\n", last.join("\n"))
    });
    assert_eq!(
        shell.status.code(),
        Some(0),
        "{stdout}\n{stderr}\n{}",
        logs.concat()
    );
    let mut rest = stdout.as_ref();
    for part in [
        "REACHED",
        "Wrote ccass.yml.",
        "ccass2fa_probe_success{",
        "SUCCESS",
        "routed to pager",
        "FIRING DRILL",
        "FIRING ",
        "tcp_refused",
        "RESOLVED ",
    ] {
        let after = rest.split_once(part).map(|(_, after)| after);
        rest = after.unwrap_or_else(|| panic!("{part:?} is missing after:\n{rest}"));
    }
}
