//! The shipped Alertmanager configuration, by the tools that load it.

mod exporter;

use exporter::run;

fn read(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn the_holidays_of_the_shipped_configuration_are_those_of_the_calendar() {
    let output = run(&[
        "timetable",
        "--format=alertmanager",
        "--year=2026",
        "--year=2027",
    ])
    .await;
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stdout).unwrap();
    let shipped = read("alerts/alertmanager.yml");
    let start = shipped
        .find("time_intervals:\n  - name: hk-business-hours")
        .unwrap();
    assert_eq!(told, shipped[start..]);
    let output = run(&["timetable", "--format=alertmanager", "--year=1999"]).await;
    assert_eq!(output.status.code(), Some(2));
}

/// Runs a tool in the repository; its output, which is shown where it fails.
fn tool(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; tests/install.sh installs it"));
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {told}");
    told
}

#[test]
fn alertmanager_takes_the_shipped_configuration_and_routes_by_it() {
    tool("amtool", &["check-config", "alerts/alertmanager.yml"]);
    tool("bash", &["alerts/tests/routes.sh"]);
}
