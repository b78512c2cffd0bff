//! What takes minutes: a second build of the same commit, a fresh Debian. `make dist-test` runs it.

use std::path::PathBuf;

use harness::documents::repository;
use harness::exporter::release_binary;
use harness::namespace::Namespace;

use crate::{LOGIN_PAGE, artifact, deb, namespace_with_login_server, rpm, shell};

#[test]
fn second_build_in_another_directory_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let clone = directory.path().join("another/place");
    shell(
        &repository("."),
        &format!("git clone --quiet . {}", clone.display()),
    );
    shell(&clone, "env -u CARGO_TARGET_DIR deploy/build.sh");
    let target = format!("target/{}-unknown-linux-gnu", std::env::consts::ARCH);
    let again = clone.join(target).join("release/ccass-2fa-exporter");
    assert!(std::fs::read(&again).unwrap() == std::fs::read(release_binary()).unwrap());
    // The same binary gives the same packages, SBOM and image.
    shell(
        &clone,
        &format!(
            "deploy/packages/build.sh {binary} dist deb rpm tarball sbom; \
             deploy/image/build.sh {binary} dist/ccass-2fa-exporter-image.tar",
            binary = again.display()
        ),
    );
    for (start, end) in [
        ("ccass-2fa-exporter_", ".deb"),
        ("ccass-2fa-exporter-", ".rpm"),
        ("ccass-2fa-exporter-", ".tar.gz"),
        ("ccass-2fa-exporter-", ".cdx.json"),
        ("ccass-2fa-exporter-image", ".tar"),
    ] {
        let first = artifact(start, end);
        let second = clone.join("dist").join(first.file_name().unwrap());
        let same = std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap();
        assert!(same, "{} differs", first.display());
    }
}

#[test]
fn signed_release_is_verified_and_an_altered_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let dist = directory.path().join("dist");
    shell(
        &repository("."),
        &format!("cp --recursive dist {}", dist.display()),
    );
    let key = directory.path().join("key");
    shell(
        directory.path(),
        "minisign -G -W -p key.pub -s key >/dev/null; minisign -G -W -p other.pub -s other >/dev/null",
    );
    let (sign, verify) = (repository("deploy/sign.sh"), repository("deploy/verify.sh"));
    let verify = format!("{} {} 2>&1", verify.display(), dist.display());
    shell(
        directory.path(),
        &format!(
            "MINISIGN_KEY={} {} {}",
            key.display(),
            sign.display(),
            dist.display()
        ),
    );
    let path = directory.path().display();
    let report = shell(
        directory.path(),
        &verify.replace("2>&1", &format!("{path}/key.pub 2>&1")),
    );
    for part in [
        "signature    valid",
        "the same in tarball, deb, rpm and image",
        "SBOM",
    ] {
        assert!(report.contains(part), "{report}");
    }
    let refused = |change: &str, key: &str, error: &str| {
        let script = format!(
            "cp --recursive {dist} altered; cd altered; {change}; cd ..; \
             ! {} altered {key} 2>&1; rm -r altered",
            repository("deploy/verify.sh").display(),
            dist = dist.display(),
        );
        let report = shell(directory.path(), &script);
        assert!(report.contains(error), "{change}: {report}");
    };
    let key = format!("{path}/key.pub");
    refused(
        ":",
        &format!("{path}/other.pub"),
        "the signature of SHA256SUMS is not that of",
    );
    refused(
        "rm SHA256SUMS.minisig",
        &key,
        "SHA256SUMS.minisig is missing",
    );
    refused(
        "echo >>*.deb",
        &key,
        "a file is not the one that was released",
    );
    refused(
        "sha256sum *.deb >SHA256SUMS",
        &key,
        "the signature of SHA256SUMS is not that of",
    );
    refused("touch more.deb", &key, "more.deb is not listed");
}

/// A fresh Debian with systemd in the namespace's directory `root`, and a login server beside it.
async fn fresh_debian() -> Namespace {
    let cache = repository("target/debian.tar");
    if !cache.exists() {
        shell(
            &repository("."),
            "mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv bookworm \
               target/new.tar && mv target/new.tar target/debian.tar",
        );
    }
    let namespace = namespace_with_login_server().await;
    let root = namespace.path("root");
    std::fs::create_dir(&root).unwrap();
    shell(
        &root,
        &format!("tar --extract --file {} --exclude=./dev/*", cache.display()),
    );
    shell(
        namespace.directory.path(),
        "cp hosts root/etc/hosts; mkdir -p root/etc/ssl/certs; \
         cp ca.pem root/etc/ssl/certs/ca-certificates.crt",
    );
    let script = format!(
        "mount -t proc proc {root}/proc; mount --rbind /dev {root}/dev",
        root = root.display()
    );
    assert_eq!(namespace.run("sh", &["-c", &script]).await.0, 0);
    namespace
}

/// Runs a script in the fresh Debian; it must succeed.
async fn inside(namespace: &Namespace, script: &str) -> String {
    let root = namespace.path("root").display().to_string();
    let script = format!("export DEBIAN_FRONTEND=noninteractive; exec 2>&1; {script}");
    let (code, output) = namespace
        .run(
            "chroot",
            &[&root, "bash", "-euo", "pipefail", "-c", &script],
        )
        .await;
    assert_eq!(code, 0, "{script}\n{output}");
    output
}

/// Every path of the fresh Debian but for the package managers' own and what programs run there change.
fn paths(namespace: &Namespace) -> String {
    shell(
        &namespace.path("root"),
        "find . -xdev \\( -path ./var/lib/dpkg -o -path ./root/.rpmdb -o -path ./var/log -o -path ./tmp -o -path ./run \\
           -o -name '*-' -path './etc/*' \\) -prune -o -printf '%P\\n' | sort; cut -d: -f1 etc/passwd etc/group",
    )
}

/// Fails with what is new or gone since `before`.
#[track_caller]
fn assert_unchanged(namespace: &Namespace, before: &str) {
    let after = paths(namespace);
    let lines = |text: &str, other: &str| -> Vec<String> {
        let other: Vec<&str> = other.lines().collect();
        let only = text.lines().filter(|line| !other.contains(line));
        only.map(str::to_owned).collect()
    };
    let (new, gone) = (lines(&after, before), lines(before, &after));
    assert!(
        new.is_empty() && gone.is_empty(),
        "new: {new:?}, gone: {gone:?}"
    );
}

/// A value of the installed unit.
fn unit_value(namespace: &Namespace, key: &str) -> String {
    let unit = "root/usr/lib/systemd/system/ccass-2fa-exporter.service";
    let text = std::fs::read_to_string(namespace.path(unit)).unwrap();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{key}=")));
    value
        .unwrap_or_else(|| panic!("{key} in {unit}"))
        .to_owned()
}

/// Starts the service as systemd would: state directory, umask, user and command line of the unit.
async fn start_service(namespace: &mut Namespace) {
    let user = unit_value(namespace, "User");
    let state = format!("/var/lib/{}", unit_value(namespace, "StateDirectory"));
    let mode = unit_value(namespace, "StateDirectoryMode");
    inside(
        namespace,
        &format!("install -d -o {user} -g {user} -m {mode} {state}"),
    )
    .await;
    let script = format!(
        "umask {}; echo $$ >{}; exec chroot --userspec={user}:{user} {} {}",
        unit_value(namespace, "UMask"),
        namespace.path("pid").display(),
        namespace.path("root").display(),
        unit_value(namespace, "ExecStart"),
    );
    namespace.spawn("exporter", "sh", &["-c", &script]);
    namespace.wait_for_log("exporter", "message=started").await;
}

async fn stop_service(namespace: &Namespace) {
    let script = format!(
        "kill -TERM $(cat {path}); while kill -0 $(cat {path}); do sleep 0.05; done 2>/dev/null",
        path = namespace.path("pid").display()
    );
    namespace.run("sh", &["-c", &script]).await;
}

/// The same package with a higher version.
fn newer_deb(directory: &std::path::Path) -> PathBuf {
    let path = directory.join("newer.deb");
    shell(
        &repository("."),
        &format!(
            "cargo deb --quiet --no-build --no-strip --deb-version 99.0.0-1 --output {}",
            path.display()
        ),
    );
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn debian_package_is_installed_upgraded_removed_and_purged() {
    let mut namespace = fresh_debian().await;
    let before = paths(&namespace);
    std::fs::copy(deb(), namespace.path("root/tmp/package.deb")).unwrap();
    inside(&namespace, "dpkg --install /tmp/package.deb").await;
    let enabled = inside(&namespace, "systemctl is-enabled ccass-2fa-exporter").await;
    assert_eq!(enabled.trim(), "enabled");

    // The operator changes the configuration.
    let config = namespace.path("root/etc/ccass-2fa-exporter/ccass.yml");
    let changed = format!(
        "data_directory: /var/lib/ccass-2fa-exporter\nevidence: {{terminals: [t1]}}\n\
         targets: [{{name: sso, url: \"{LOGIN_PAGE}\"}}]\n"
    );
    std::fs::write(&config, &changed).unwrap();
    start_service(&mut namespace).await;
    let probed = "curl -s http://127.0.0.1:10762/metrics | grep -q 'ccass2fa_probe_success{.*} 1'";
    namespace.wait_until(probed, "exporter").await;

    // Service and operator, with the usual umask, append to the same evidence in turns.
    inside(&namespace, "useradd --groups ccass-2fa-exporter alice").await;
    let record = |user: &str| {
        format!(
            "umask 022; runuser -u {user} -- ccass-2fa-exporter \
             --config.file=/etc/ccass-2fa-exporter/ccass.yml record --terminal t1 --outcome seen"
        )
    };
    inside(&namespace, "rm -rf /var/lib/ccass-2fa-exporter/evidence").await;
    for user in ["alice", "ccass-2fa-exporter", "alice"] {
        inside(&namespace, &record(user)).await;
    }
    inside(
        &namespace,
        "runuser -u alice -- ccass-2fa-exporter --config.file=/etc/ccass-2fa-exporter/ccass.yml evidence check",
    )
    .await;
    inside(
        &namespace,
        "useradd visitor; ! runuser -u visitor -- ls /var/lib/ccass-2fa-exporter",
    )
    .await;
    stop_service(&namespace).await;

    let newer = newer_deb(namespace.directory.path());
    std::fs::copy(newer, namespace.path("root/tmp/newer.deb")).unwrap();
    inside(&namespace, "dpkg --install /tmp/newer.deb").await;
    assert_eq!(std::fs::read_to_string(&config).unwrap(), changed);
    let version = "dpkg-query --show --showformat '${Version}' ccass-2fa-exporter";
    assert_eq!(inside(&namespace, version).await, "99.0.0-1");

    inside(&namespace, "dpkg --remove ccass-2fa-exporter").await;
    assert_eq!(std::fs::read_to_string(&config).unwrap(), changed);
    assert!(!namespace.path("root/usr/bin/ccass-2fa-exporter").exists());
    assert!(
        namespace
            .path("root/var/lib/ccass-2fa-exporter/evidence")
            .exists()
    );
    inside(
        &namespace,
        "userdel alice; userdel visitor; dpkg --purge ccass-2fa-exporter",
    )
    .await;
    assert_unchanged(&namespace, &before);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_configuration_stops_the_start_with_file_line_and_key() {
    let namespace = fresh_debian().await;
    std::fs::copy(deb(), namespace.path("root/tmp/package.deb")).unwrap();
    inside(&namespace, "dpkg --install /tmp/package.deb").await;
    let config = namespace.path("root/etc/ccass-2fa-exporter/ccass.yml");
    std::fs::write(config, "site: central\nprobe: {interval: 1s}\n").unwrap();
    let command = unit_value(&namespace, "ExecStart");
    let output = inside(&namespace, &format!("{command} || echo exit $?")).await;
    for part in ["/etc/ccass-2fa-exporter/ccass.yml:2:", "interval", "exit 2"] {
        assert!(output.contains(part), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rpm_scriptlets_run_and_erasing_leaves_nothing_but_the_user() {
    let namespace = fresh_debian().await;
    let before = paths(&namespace);
    let root = namespace.path("root").display().to_string();
    let rpm = rpm().display().to_string();
    let script = format!(
        "set -e; exec 2>&1; rpm --root {root} --initdb; rpm --root {root} --install --nodeps {rpm}; \
         chroot {root} getent passwd ccass-2fa-exporter; \
         rpm --root {root} --verify --nodeps ccass-2fa-exporter; \
         rpm --root {root} --erase ccass-2fa-exporter"
    );
    let (code, output) = namespace.run("sh", &["-c", &script]).await;
    assert_eq!(code, 0, "{output}");
    inside(
        &namespace,
        "userdel ccass-2fa-exporter; ! getent group ccass-2fa-exporter",
    )
    .await;
    assert_unchanged(&namespace, &before);
}
