//! The hosts file, as glibc reads it: `getent` and the exporter find the same addresses. It needs root.

use std::collections::BTreeSet;

use harness::exporter::binary;
use harness::namespace::Namespace;
use serde_json::Value;

/// With comments and a name in Latin-1, invalid addresses, and a line that ends as on Windows.
const HOSTS: &[u8] = b"# Caf\xe9: the firm's hosts\n\
    192.0.2.1 plain.lab.test # r\xe9seau\n\
    192.0.2.2 caf\xe9.lab.test after-latin-1.lab.test\n\
    192.0.2.300 invalid.lab.test\n\
    192.0.2 short.lab.test\n\
    \t192.0.2.3\tUPPER.lab.TEST\talias.lab.test\r\n\
    192.0.2.4 twice.lab.test\n\
    192.0.2.5#comment twice.lab.test\n\
    192.0.2.6 twice.lab.test\n\
    2001:db8::1 both.lab.test\n\
    192.0.2.7 both.lab.test\n\
    #192.0.2.8 commented.lab.test\n\
    192.0.2.9\n\
    192.0.2.10 last.lab.test";

const NAMES: [&str; 10] = [
    "plain",
    "after-latin-1",
    "invalid",
    "short",
    "upper",
    "alias",
    "twice",
    "both",
    "commented",
    "last",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_file_gives_the_addresses_that_glibc_finds_in_it_whatever_else_it_contains() {
    let namespace = Namespace::new(&[], &[]).await;
    let hosts = namespace.write("hosts", HOSTS).display().to_string();
    let arguments = ["--bind", &hosts, "/etc/hosts"];
    let (mounted, _) = namespace.run("mount", &arguments).await;
    assert_eq!(mounted, 0);
    let targets =
        NAMES.map(|name| format!("  - {{name: {name}, url: \"https://{name}.lab.test:9/\"}}\n"));
    let config = format!("targets:\n{}", targets.concat());
    let config = namespace.write("ccass.yml", config);
    let argument = format!("--config.file={}", config.display());
    let arguments = [&argument, "verify", "--format=json"];
    let (_, text) = namespace.run(binary(), &arguments).await;
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let mut found = 0;
    for name in NAMES {
        let reports = document["reports"].as_array().expect("reports");
        let report = reports.iter().find(|report| report["target"] == name);
        let report = report.expect("a report of each target");
        let addresses = report["hops"][0]["dns"]["facts"]["resolution"]["addresses"].as_array();
        let addresses = addresses.unwrap_or_else(|| panic!("{report:#}")).iter();
        let addresses: BTreeSet<_> = addresses.map(|one| one.as_str().unwrap()).collect();
        let host = format!("{name}.lab.test");
        // Without the canonical name, which is not UTF-8.
        let script = "getent --no-addrconfig ahosts $0 | cut -d ' ' -f 1";
        let (_, text) = namespace.run("sh", &["-c", script, &host]).await;
        let expected: BTreeSet<_> = text.lines().collect();
        assert_eq!(addresses, expected, "{host}");
        found += addresses.len();
    }
    assert_eq!(found, 9, "addresses of all names");
}
