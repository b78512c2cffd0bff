//! The files of the Debian and RPM packages.

use std::collections::BTreeSet;

use harness::documents::repository;
use harness::exporter::release_binary;

use crate::{deb, rpm, shell, unpacked_deb};

/// Paths of files below a directory, sorted.
fn files_below(directory: &std::path::Path) -> BTreeSet<String> {
    let list = shell(directory, "find . -type f -printf '/%P\\n'");
    list.lines().map(str::to_owned).collect()
}

#[test]
fn debian_package_passes_lintian_without_errors() {
    let report = shell(
        &repository("."),
        &format!(
            "lintian --fail-on error --tag-display-limit 0 {} 2>&1",
            deb().display()
        ),
    );
    assert!(!report.contains("E: "), "{report}");
}

#[test]
fn packages_contain_the_release_binary_and_what_an_installation_needs() {
    let binary = std::fs::read(release_binary()).unwrap();
    let from_deb = unpacked_deb();
    let from_rpm = tempfile::tempdir().unwrap();
    shell(
        from_rpm.path(),
        &format!(
            "(rpm2cpio {} || true) | cpio --quiet --extract --make-directories",
            rpm().display()
        ),
    );
    for (root, zsh) in [
        (from_deb.path(), "vendor-completions"),
        (from_rpm.path(), "site-functions"),
    ] {
        let installed = std::fs::read(root.join("usr/bin/ccass-2fa-exporter")).unwrap();
        assert!(installed == binary, "another binary in {}", root.display());
        let files = files_below(root);
        let share = "/usr/share/ccass-2fa-exporter";
        for file in [
            "/usr/bin/ccass-2fa-browser",
            "/etc/ccass-2fa-exporter/ccass.yml",
            "/etc/ccass-2fa-exporter/web-config.yml",
            "/usr/lib/systemd/system/ccass-2fa-exporter.service",
            "/usr/lib/sysusers.d/ccass-2fa-exporter.conf",
            "/usr/share/man/man1/ccass-2fa-exporter.1.gz",
            "/usr/share/man/man1/ccass-2fa-exporter-verify.1.gz",
            "/usr/share/bash-completion/completions/ccass-2fa-exporter",
            &format!("/usr/share/zsh/{zsh}/_ccass-2fa-exporter"),
            "/usr/share/fish/vendor_completions.d/ccass-2fa-exporter.fish",
            &format!("{share}/alerts/alertmanager.yml"),
            &format!("{share}/alerts/reachability.yml"),
            &format!("{share}/alerts/templates/ccass2fa.tmpl"),
            &format!("{share}/grafana/now.json"),
            &format!("{share}/doc/runbook.md"),
            &format!("{share}/doc/tutorial.md"),
            &format!("{share}/grafana/import/now.json"),
            &format!("{share}/deploy/fleet/site/agent.yml"),
            &format!("{share}/README.md"),
        ] {
            assert!(files.contains(file), "{file} is not among {files:#?}");
        }
        // It runs where it is, and finds the rules.
        let script = "usr/share/ccass-2fa-exporter/deploy/fleet/centre/rules.sh";
        shell(root, &format!("{script} rules RUNBOOK DASHBOARDS"));
        assert!(root.join("rules/fleet.yml").is_file());
        let index = root.join(format!("{}/doc/README.md", &share[1..]));
        let index = std::fs::read_to_string(index).unwrap();
        assert!(index.starts_with("# Documentation\n"), "{index}");
    }
}

#[test]
fn packages_keep_changed_configuration_files() {
    let deb = deb();
    let conffiles = shell(
        &repository("."),
        &format!("dpkg-deb --info {} conffiles", deb.display()),
    );
    let configuration = shell(&repository("."), &format!("rpm -qpc {}", rpm().display()));
    for list in [conffiles, configuration] {
        assert_eq!(
            list.split_whitespace().collect::<Vec<_>>(),
            [
                "/etc/ccass-2fa-exporter/ccass.yml",
                "/etc/ccass-2fa-exporter/web-config.yml"
            ]
        );
    }
    // noreplace is bit 4, configuration bit 0.
    let flags = shell(
        &repository("."),
        &format!(
            "rpm -qp --queryformat '[%{{FILENAMES}} %{{FILEFLAGS}}\\n]' {} | grep ' /\\?etc\\|^/etc'",
            rpm().display()
        ),
    );
    for line in flags.lines() {
        let flags: u32 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(flags & 0b1_0001, 0b1_0001, "{line}");
    }
}

#[test]
fn packaged_configuration_is_valid_and_names_the_state_directory() {
    let root = unpacked_deb();
    let directory = root.path().join("etc/ccass-2fa-exporter");
    shell(
        &directory,
        &format!(
            "{} check --config.file ccass.yml --web.config.file web-config.yml",
            release_binary().display()
        ),
    );
    let text = std::fs::read_to_string(directory.join("ccass.yml")).unwrap();
    let config = ccass_2fa_exporter::config::Config::parse(&text, &directory).unwrap();
    let data = config.data_directory.unwrap();
    assert_eq!(data.to_str(), Some("/var/lib/ccass-2fa-exporter"));
    assert_eq!(config.targets.len(), 1);
}

#[test]
fn service_is_hardened_and_shares_its_state_with_its_group() {
    let root = unpacked_deb();
    let unit = root
        .path()
        .join("usr/lib/systemd/system/ccass-2fa-exporter.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    for line in [
        "Type=notify",
        "User=ccass-2fa-exporter",
        "StateDirectory=ccass-2fa-exporter",
        "StateDirectoryMode=2770",
        "UMask=0007",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    let report = shell(
        root.path(),
        &format!(
            "systemd-analyze security --offline=true --no-pager --threshold=20 {}",
            unit.display()
        ),
    );
    assert!(report.contains("Overall exposure level"), "{report}");
}

#[test]
fn rpm_installs_into_another_root_with_its_files_and_scriptlets() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().display().to_string();
    let rpm = rpm();
    let rpm = rpm.display();
    shell(
        root.path(),
        &format!(
            "rpm --root {path} --initdb && rpm --root {path} --install --nodeps --noscripts {rpm} \
             && rpm --root {path} --verify --nodeps --noscripts --nouser --nogroup ccass-2fa-exporter"
        ),
    );
    assert!(root.path().join("usr/bin/ccass-2fa-exporter").is_file());
    let scripts = shell(root.path(), &format!("rpm -qp --scripts {rpm}"));
    for name in ["post", "preun", "postun"] {
        let file = repository(&format!("deploy/packages/rpm/{name}"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(scripts.contains(text.trim()), "{name}:\n{scripts}");
        shell(root.path(), &format!("sh -n {}", file.display()));
    }
}
