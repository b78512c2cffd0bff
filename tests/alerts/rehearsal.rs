//! The program behind `make rehearsal`.

use std::path::Path;

use harness::exporter::binary;
use harness::prometheus::TIMEOUT;
use tokio::process::Command;

#[tokio::test]
async fn rehearsal_shows_the_outage_from_probe_to_notification() {
    let program = Path::new(binary()).with_file_name("rehearsal");
    assert!(
        program.is_file(),
        "{} is missing; run cargo build --workspace --locked --bins",
        program.display()
    );
    let run = Command::new(program).kill_on_drop(true).output();
    let output = tokio::time::timeout(TIMEOUT, run).await;
    let output = output.expect("the rehearsal ends").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut rest = text.as_str();
    for part in [
        "exporter: http://127.0.0.1:",
        "ccass2fa_probe_success{",
        "Prometheus: http://127.0.0.1:",
        "Alertmanager: http://127.0.0.1:",
        "== 08:00",
        "Output of `ccass-2fa-exporter verify`",
        "tls_unknown_issuer",
        "Metrics after the next probe",
        "ccass2fa_probe_failure_info{",
        "Prometheus: Ccass2faLoginUnreachable is firing.",
        "Alertmanager notifies pager (firing)",
        "First failing layer: tls (tls_unknown_issuer).",
        "== 08:20",
        "ccass2fa_probe_success{",
        "Alertmanager notifies pager (resolved)",
        "All programs that were started have been stopped.",
    ] {
        let Some((_, after)) = rest.split_once(part) else {
            let last: Vec<&str> = rest.lines().take(4).collect();
            panic!("{part:?} is missing after:\n{}", last.join("\n"));
        };
        rest = after;
    }
}
