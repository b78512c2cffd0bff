//! The Kubernetes manifests: rendered by kubectl, validated against the schemas of their kinds, and equal
//! to the rules and dashboards that they are generated from.

use std::io::Write as _;
use std::process::{Command, Stdio};

use harness::documents::{repository, updating};
use harness::prometheus::newest;
use serde_json::{Value, json};

use crate::shell;

/// Everything that the example applies.
fn rendered() -> Vec<Value> {
    // `=` has a meaning of its own in YAML 1.1; here it is a matcher.
    let script = format!(
        "{} kustomize deploy/kubernetes/example | /usr/bin/python3 -c '\
         import json, sys, yaml\n\
         yaml.SafeLoader.add_constructor(\"tag:yaml.org,2002:value\", lambda _, node: node.value)\n\
         print(json.dumps(list(yaml.safe_load_all(sys.stdin))))'",
        newest("kubectl")
    );
    serde_json::from_str(&shell(&repository("."), &script)).unwrap()
}

/// The kind's only manifest.
fn only<'a>(manifests: &'a [Value], kind: &str) -> &'a Value {
    let mut found = manifests.iter().filter(|manifest| manifest["kind"] == kind);
    let manifest = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "several of {kind}");
    manifest
}

/// What the validator prints, and whether every manifest is valid.
fn validate(manifests: &[Value]) -> (bool, String) {
    let node = repository("tests/harness/node");
    let mut child = Command::new(node.join("node_modules/node/bin/node"))
        .arg(node.join("validate_manifests.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(manifests).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn manifests_are_valid_for_kubernetes_and_the_prometheus_operator() {
    let mut manifests = rendered();
    let (valid, report) = validate(&manifests);
    assert!(valid, "{report}");
    assert_eq!(report.lines().count(), manifests.len(), "{report}");
    for kind in ["Deployment", "AlertmanagerConfig"] {
        for manifest in manifests
            .iter_mut()
            .filter(|manifest| manifest["kind"] == kind)
        {
            manifest["spec"] = json!({"replicas": "two", "route": 1});
        }
    }
    let (valid, report) = validate(&manifests);
    assert!(!valid);
    for kind in ["Deployment", "AlertmanagerConfig"] {
        assert!(report.contains(&format!("invalid: {kind}")), "{report}");
    }
}

#[test]
fn generated_manifests_agree_with_rules_and_dashboards() {
    let path = "deploy/kubernetes/components/prometheus-operator/generated";
    if updating() {
        shell(&repository("."), "deploy/kubernetes/generate.py");
    }
    let again = tempfile::tempdir().unwrap();
    let script = format!(
        "deploy/kubernetes/generate.py {again} && diff --recursive {path} {again} || \
         (echo 'run make kubernetes' >&2; exit 1)",
        again = again.path().display()
    );
    shell(&repository("."), &script);
}

#[test]
fn rules_taken_out_of_the_prometheusrule_pass_promtool() {
    let manifests = rendered();
    let directory = tempfile::tempdir().unwrap();
    let rules = only(&manifests, "PrometheusRule")["spec"].to_string();
    std::fs::write(directory.path().join("rules.yml"), rules).unwrap();
    let report = shell(
        directory.path(),
        &format!("{} check rules rules.yml", newest("promtool")),
    );
    assert!(report.contains("SUCCESS"), "{report}");
}

#[test]
fn pods_are_restricted_and_let_out_to_dns_and_https_alone() {
    let manifests = rendered();
    let pod = &only(&manifests, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    assert_eq!(pod["automountServiceAccountToken"], false);
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(
        container["securityContext"]["allowPrivilegeEscalation"],
        false
    );
    assert_eq!(
        container["securityContext"]["capabilities"]["drop"],
        json!(["ALL"])
    );
    let policy = &only(&manifests, "NetworkPolicy")["spec"];
    let ports: Vec<i64> = policy["egress"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["ports"].as_array().unwrap())
        .map(|port| port["port"].as_i64().unwrap())
        .collect();
    assert_eq!(ports, [53, 53, 443]);
    // All of them select the same pods.
    let name = json!({"app.kubernetes.io/name": "ccass-2fa-exporter"});
    assert_eq!(policy["podSelector"]["matchLabels"], name);
    let budget = &only(&manifests, "PodDisruptionBudget")["spec"];
    assert_eq!(budget["selector"]["matchLabels"], name);
    assert_eq!(only(&manifests, "Service")["spec"]["selector"], name);
    let template = &only(&manifests, "Deployment")["spec"]["template"]["metadata"];
    assert_eq!(template["labels"], name);
    // The configuration that is mounted is valid.
    let config =
        std::fs::read_to_string(repository("deploy/kubernetes/exporter/ccass.yml")).unwrap();
    ccass_2fa_exporter::config::Config::parse(&config, &repository("deploy")).unwrap();
}
