//! What to add to Prometheus and Alertmanager: the scrape job, and rule files and route of this release.

use serde_json::json;

const PROMETHEUS: &str = include_str!("../../../alerts/prometheus.yml");
const ALERTMANAGER: &str = include_str!("../../../alerts/alertmanager.yml");

/// What a Prometheus configuration has already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Installed {
    pub scrape_job: bool,
    pub rules: bool,
    pub alertmanager: bool,
}

/// The parts that `file` lacks; `address` is where Prometheus reaches this exporter.
pub fn prometheus(file: &str, installed: Installed, address: &str, site: &str) -> String {
    let mut text = String::new();
    let mut part = |title: &str, body: &str| {
        text.push_str(&format!("\n# {title}\n{body}"));
    };
    if installed.scrape_job {
        part(
            &format!("{file} has the scrape job ccass2fa; add {address} to it."),
            "",
        );
    } else {
        let (address, site) = (json!([address]), json!(site));
        part(
            &format!("Add to scrape_configs in {file}; the rules require this job name."),
            &format!(
                "  - job_name: ccass2fa\n    static_configs:\n      - targets: {address}\n        labels: \
                 {{site: {site}}}\n"
            ),
        );
    }
    if installed.rules {
        part(&format!("{file} has the rule files."), "");
    } else {
        part(
            &format!("Add to {file}, after copying the files of alerts/ beside it."),
            &block(PROMETHEUS, "rule_files:"),
        );
    }
    if !installed.alertmanager {
        part(
            &format!("{file} names no Alertmanager, so no alert would be sent. Add to it:"),
            "alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: [\"localhost:9093\"]\n",
        );
    }
    part(
        "Add to route.routes in alertmanager.yml. Replace the receivers by yours; templates, inhibition rules \
         and time intervals are in alerts/alertmanager.yml.",
        &block(ALERTMANAGER, "- matchers: ['service=\"ccass2fa\"']"),
    );
    part(
        "Then test the path to the pager:",
        "ccass-2fa-exporter drill --alertmanager http://localhost:9093 --severity critical\n",
    );
    text
}

/// The line that begins with `first`, and the lines below it that are indented further; without the
/// comments.
fn block(text: &str, first: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text
        .lines()
        .skip_while(|line| !line.trim_start().starts_with(first));
    let head = lines.next().unwrap_or_default();
    let mut block = format!("{head}\n");
    for line in lines.take_while(|line| line.is_empty() || indent(line) > indent(head)) {
        if !line.is_empty() && !line.trim_start().starts_with('#') {
            block.push_str(&format!("{line}\n"));
        }
    }
    block
}
