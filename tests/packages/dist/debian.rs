//! The packages in a fresh Debian that systemd has booted.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use harness::documents::repository;
use harness::namespace::Namespace;

use crate::{LOGIN_PAGE, deb, namespace_with_login_server, rpm, shell};

const CONFIG: &str = "root/etc/ccass-2fa-exporter/ccass.yml";

/// A Debian with systemd and rpm, packed.
static ARCHIVE: LazyLock<PathBuf> = LazyLock::new(|| {
    let archive = repository("target/debian.tar");
    let script = format!(
        "mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,rpm bookworm {}",
        archive.display()
    );
    shell(&repository("."), &script);
    archive
});

/// A fresh Debian in the namespace's directory `root`, with a login server beside it.
struct Debian {
    namespace: Namespace,
}

impl Debian {
    async fn boot() -> Self {
        let mut namespace = namespace_with_login_server().await;
        let root = namespace.path("root");
        std::fs::create_dir(&root).unwrap();
        shell(
            namespace.directory.path(),
            &format!(
                "tar --extract --directory root --file {} --exclude='./dev/*'; \
                 cp hosts root/etc/hosts; mkdir -p root/etc/ssl/certs; \
                 cp ca.pem root/etc/ssl/certs/ca-certificates.crt",
                ARCHIVE.display()
            ),
        );
        let machine = namespace.directory.path().file_name().unwrap();
        let machine = machine.to_string_lossy().replace('.', "");
        namespace.spawn(
            "systemd",
            "systemd-nspawn",
            &[
                "--boot",
                "--directory",
                &root.display().to_string(),
                "--machine",
                &machine,
                // Neither a systemd of this machine nor its files are needed.
                "--register=no",
                "--keep-unit",
                "--resolv-conf=off",
                "--timezone=off",
                "--link-journal=no",
                "--console=pipe",
            ],
        );
        let running = "nsenter --target $(pgrep -xo systemd) --all systemctl is-system-running | grep -qx running";
        namespace.wait_until(running, "systemd").await;
        Self { namespace }
    }

    /// Runs a script inside as root, which must succeed; returns what it prints.
    async fn run(&self, script: &str) -> String {
        let script = format!(
            "exec 2>&1; export DEBIAN_FRONTEND=noninteractive; cd /; \
             exec nsenter --target $(pgrep -xo systemd) --all bash -euo pipefail -c '{script}'"
        );
        let (code, output) = self.namespace.run("bash", &["-c", &script]).await;
        assert_eq!(code, 0, "{script}\n{output}");
        output
    }

    /// Copies a package to /tmp/package and installs it.
    async fn install(&self, package: &Path, command: &str) -> String {
        std::fs::copy(package, self.namespace.path("root/opt/package")).unwrap();
        let output = self.run(&format!("{command} /opt/package")).await;
        std::fs::remove_file(self.namespace.path("root/opt/package")).unwrap();
        output
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.namespace.path(CONFIG), text).unwrap();
    }

    fn configuration(&self) -> String {
        std::fs::read_to_string(self.namespace.path(CONFIG)).unwrap()
    }

    /// A property of the service, as `systemctl show` prints it.
    async fn service(&self, property: &str) -> String {
        let command = format!("systemctl show --property {property} --value ccass-2fa-exporter");
        self.run(&command).await.trim().to_owned()
    }

    async fn assert_stopped(&self) {
        let (code, processes) = self.namespace.run("pgrep", &["-a", "ccass-2fa-exp"]).await;
        assert_eq!(code, 1, "{processes}");
    }

    async fn wait_for_probe(&self) {
        let probed =
            "curl -s http://127.0.0.1:10762/metrics | grep -q \"ccass2fa_probe_success{.*} 1\"";
        let (code, _) = self.namespace.run("pgrep", &["ccass-2fa-exp"]).await;
        assert_eq!(code, 0);
        self.namespace.wait_until(probed, "systemd").await;
    }

    /// Every path but for what the package managers, systemd and the tests' own users change.
    fn paths(&self) -> String {
        shell(
            &self.namespace.path("root"),
            "find . -xdev \\( -path ./var/lib/dpkg -o -path ./var/lib/rpm -o -path ./root/.rpmdb -o -path ./var/log \
               -o -path ./tmp -o -path ./run -o -name '*-' -path './etc/*' \\) -prune -o -printf '%P\\n' | sort; \
             cut -d: -f1 etc/passwd etc/group",
        )
    }

    /// Fails with what is new or gone since `before`.
    #[track_caller]
    fn assert_unchanged(&self, before: &str) {
        let after = self.paths();
        let only = |text: &str, other: &str| -> Vec<String> {
            let other: Vec<&str> = other.lines().collect();
            let lines = text.lines().filter(|line| !other.contains(line));
            lines.map(str::to_owned).collect()
        };
        let (new, gone) = (only(&after, before), only(before, &after));
        assert!(
            new.is_empty() && gone.is_empty(),
            "new: {new:?}, gone: {gone:?}"
        );
    }

    /// The service runs in its former process after `output`, which an upgrade with an invalid
    /// configuration printed, and a restart fails with the mistake in the journal.
    async fn assert_invalid_configuration_is_refused(&self, process: &str, output: &str) {
        let mistake = "/etc/ccass-2fa-exporter/ccass.yml:2:";
        for part in [mistake, "interval", "left running in its former version"] {
            assert!(output.contains(part), "{output}");
        }
        assert_eq!(self.service("MainPID").await, process);
        self.namespace.get("http://127.0.0.1:10762/-/healthy").await;

        self.run("! systemctl restart ccass-2fa-exporter").await;
        assert_eq!(self.service("ActiveState").await, "failed");
        assert_eq!(self.service("ExecMainStatus").await, "2");
        assert_eq!(self.service("NRestarts").await, "0");
        let journal = self
            .run("journalctl --quiet --unit ccass-2fa-exporter --output cat")
            .await;
        assert!(journal.contains(mistake), "{journal}");
    }
}

fn valid_configuration() -> String {
    format!(
        "data_directory: /var/lib/ccass-2fa-exporter\nevidence: {{terminals: [t1]}}\n\
         targets: [{{name: sso, url: \"{LOGIN_PAGE}\"}}]\n"
    )
}

const INVALID_CONFIGURATION: &str = "site: central\nprobe: {interval: 1s}\n";

/// The same Debian package with another version.
fn deb_of_version(version: &str, directory: &Path) -> PathBuf {
    let path = directory.join(format!("{version}.deb"));
    let script = format!(
        "cargo deb --quiet --no-build --no-strip --deb-version {version}-1 --output {}",
        path.display()
    );
    shell(&repository("."), &script);
    path
}

/// The same RPM package with another version.
fn rpm_of_version(version: &str, directory: &Path) -> PathBuf {
    let path = directory.join(format!("{version}.rpm"));
    let script = format!(
        "cargo generate-rpm --set-metadata 'version = \"{version}\"' --output {}",
        path.display()
    );
    shell(&repository("."), &script);
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn debian_package_is_installed_reloaded_upgraded_removed_and_purged() {
    let debian = Debian::boot().await;
    let directory = debian.namespace.directory.path().to_owned();
    let before = debian.paths();
    debian.install(&deb(), "dpkg --install").await;
    debian
        .run("systemctl is-enabled ccass-2fa-exporter; systemctl is-active ccass-2fa-exporter")
        .await;
    let first = debian.service("MainPID").await;
    debian.configure(&valid_configuration());
    debian.run("systemctl reload ccass-2fa-exporter").await;
    debian.wait_for_probe().await;
    assert_eq!(debian.service("MainPID").await, first);

    // Service and operator, with the usual umask, append to the same evidence in turns.
    debian
        .run("useradd --groups ccass-2fa-exporter alice; rm -rf /var/lib/ccass-2fa-exporter/evidence")
        .await;
    for user in ["alice", "ccass-2fa-exporter", "alice"] {
        let record = format!(
            "umask 022; runuser -u {user} -- ccass-2fa-exporter \
             --config.file=/etc/ccass-2fa-exporter/ccass.yml record --terminal t1 --outcome seen"
        );
        debian.run(&record).await;
    }
    debian
        .run(
            "runuser -u alice -- ccass-2fa-exporter \
             --config.file=/etc/ccass-2fa-exporter/ccass.yml evidence check; \
             useradd visitor; ! runuser -u visitor -- ls /var/lib/ccass-2fa-exporter; \
             userdel alice; userdel visitor",
        )
        .await;

    let newer = deb_of_version("99.0.0", &directory);
    debian.install(&newer, "dpkg --install").await;
    assert_eq!(debian.configuration(), valid_configuration());
    let second = debian.service("MainPID").await;
    assert_ne!(second, first);
    debian.wait_for_probe().await;

    debian.configure(INVALID_CONFIGURATION);
    let newest = deb_of_version("99.0.1", &directory);
    let output = debian.install(&newest, "dpkg --install").await;
    debian
        .assert_invalid_configuration_is_refused(&second, &output)
        .await;
    debian.configure(&valid_configuration());
    debian.run("systemctl restart ccass-2fa-exporter").await;

    debian.run("dpkg --remove ccass-2fa-exporter").await;
    debian.assert_stopped().await;
    assert_eq!(debian.configuration(), valid_configuration());
    let root = debian.namespace.path("root");
    assert!(!root.join("usr/bin/ccass-2fa-exporter").exists());
    assert!(root.join("var/lib/ccass-2fa-exporter/evidence").exists());
    debian.run("dpkg --purge ccass-2fa-exporter").await;
    debian.assert_unchanged(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rpm_package_is_installed_upgraded_and_erased() {
    let debian = Debian::boot().await;
    let directory = debian.namespace.directory.path().to_owned();
    let before = debian.paths();
    debian.install(&rpm(), "rpm --install --nodeps").await;
    debian
        .run("rpm --verify --nodeps ccass-2fa-exporter; systemctl is-enabled ccass-2fa-exporter")
        .await;
    debian.configure(&valid_configuration());
    debian
        .run("systemctl enable --now ccass-2fa-exporter")
        .await;
    debian.wait_for_probe().await;
    let first = debian.service("MainPID").await;

    let newer = rpm_of_version("99.0.0", &directory);
    debian.install(&newer, "rpm --upgrade --nodeps").await;
    assert_eq!(debian.configuration(), valid_configuration());
    let second = debian.service("MainPID").await;
    assert_ne!(second, first);

    debian.configure(INVALID_CONFIGURATION);
    let newest = rpm_of_version("99.0.1", &directory);
    let output = debian.install(&newest, "rpm --upgrade --nodeps").await;
    debian
        .assert_invalid_configuration_is_refused(&second, &output)
        .await;
    debian.configure(&valid_configuration());
    debian.run("systemctl restart ccass-2fa-exporter").await;

    debian.run("rpm --erase ccass-2fa-exporter").await;
    debian.assert_stopped().await;
    // What docs/install.md says is kept.
    debian
        .run(
            "rm -r /var/lib/ccass-2fa-exporter /etc/ccass-2fa-exporter/ccass.yml.rpmsave; \
             rmdir --ignore-fail-on-non-empty /etc/ccass-2fa-exporter || true; userdel ccass-2fa-exporter",
        )
        .await;
    debian.assert_unchanged(&before);
}
