//! The container image: its configuration, and its entry point run in its root file system.

use std::path::Path;
use std::time::{Duration, Instant};

use harness::documents::repository;
use harness::namespace::Namespace;
use serde_json::Value;

use crate::{LOGIN_PAGE, artifact, namespace_with_login_server, shell};

/// The user that the image names.
const USER: u32 = 65532;

/// Unpacks the archive's only layer into `root` and returns the image's configuration.
fn unpack(root: &Path) -> Value {
    let layout = tempfile::tempdir().unwrap();
    let archive = artifact("ccass-2fa-exporter-image", ".tar");
    shell(
        layout.path(),
        &format!("tar --extract --file {}", archive.display()),
    );
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        layout.path().join("blobs").join(digest.replace(':', "/"))
    };
    let read =
        |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let index = read(&layout.path().join("index.json"));
    let manifest = read(&blob(&index["manifests"][0]));
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let layer = blob(&manifest["layers"][0]);
    std::fs::create_dir_all(root).unwrap();
    shell(
        root,
        &format!(
            "tar --extract --numeric-owner --gzip --file {}",
            layer.display()
        ),
    );
    read(&blob(&manifest["config"]))["config"].clone()
}

/// The words of a list.
fn words(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect()
}

#[test]
fn image_holds_the_program_the_roots_and_a_user_and_is_below_16_mb() {
    let root = tempfile::tempdir().unwrap();
    let config = unpack(root.path());
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(
        words(&config["Entrypoint"]),
        ["/usr/bin/ccass-2fa-exporter"]
    );
    assert_eq!(
        words(&config["Healthcheck"]["Test"]),
        ["CMD", "/usr/bin/ccass-2fa-exporter", "healthcheck"]
    );
    assert!(config["Volumes"]["/data"].is_object());
    assert!(config["ExposedPorts"]["10762/tcp"].is_object());
    let labels = &config["Labels"];
    assert_eq!(
        labels["org.opencontainers.image.version"],
        env!("CARGO_PKG_VERSION")
    );
    let revision = shell(&repository("."), "git rev-parse HEAD");
    assert_eq!(labels["org.opencontainers.image.revision"], revision.trim());
    let files = shell(root.path(), "find . -type f -printf '%P\\n' | sort");
    assert_eq!(
        files.lines().collect::<Vec<_>>(),
        [
            "etc/ccass-2fa-exporter/ccass.yml",
            "etc/group",
            "etc/passwd",
            "etc/ssl/certs/ca-certificates.crt",
            "usr/bin/ccass-2fa-exporter",
        ]
    );
    let bytes: u64 = shell(root.path(), "du --bytes --summarize . | cut -f 1")
        .trim()
        .parse()
        .unwrap();
    assert!(bytes < 16_000_000, "{bytes} bytes");
    let roots =
        std::fs::read_to_string(root.path().join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(roots.matches("BEGIN CERTIFICATE").count() > 100);
}

/// The image in a namespace with a read-only root file system, a volume, and a target in the lab.
struct Container {
    namespace: Namespace,
    config: Value,
}

impl Container {
    async fn new(volume_owner: u32) -> Self {
        let namespace = namespace_with_login_server().await;
        let config = unpack(&namespace.path("root"));
        namespace.write(
            "ccass.yml",
            format!(
                "data_directory: /data\nevidence: {{terminals: [t1]}}\n\
                 targets: [{{name: sso, url: \"{LOGIN_PAGE}\"}}]\n"
            ),
        );
        // What a user mounts, a configuration and a CA, and what every container engine adds.
        let path = namespace.directory.path().display().to_string();
        let script = format!(
            "set -e; cd {path}; mkdir volume; chown {volume_owner}:{volume_owner} volume; \
             chmod 644 ccass.yml; touch root/etc/hosts; mkdir root/proc; mount --bind root root; \
             mount -t proc proc root/proc; \
             mount --bind ccass.yml root/etc/ccass-2fa-exporter/ccass.yml; \
             mount --bind hosts root/etc/hosts; \
             mount --bind ca.pem root/etc/ssl/certs/ca-certificates.crt; \
             mount --bind volume root/data; mount -o remount,ro,bind root"
        );
        let (code, _) = namespace.run("sh", &["-c", &script]).await;
        assert_eq!(code, 0, "{script}");
        Self { namespace, config }
    }

    /// The command line that a container engine runs: user, environment and entry point of the image.
    fn command(&self, arguments: &str) -> String {
        format!(
            "env --ignore-environment {} chroot --userspec={} {} {} {arguments}",
            words(&self.config["Env"]).join(" "),
            self.config["User"].as_str().unwrap(),
            self.namespace.path("root").display(),
            words(&self.config["Entrypoint"]).join(" "),
        )
    }

    async fn start(&mut self) {
        let pid = self.namespace.path("pid").display().to_string();
        let script = format!("echo $$ >{pid}; exec {}", self.command(""));
        self.namespace.spawn("exporter", "sh", &["-c", &script]);
        self.namespace
            .wait_for_log("exporter", "message=started")
            .await;
    }

    async fn run(&self, arguments: &str) -> (i32, String) {
        let script = format!("{} 2>&1", self.command(arguments));
        self.namespace.run("sh", &["-c", &script]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn image_serves_from_a_read_only_root_is_healthy_and_stops_in_time() {
    let mut container = Container::new(USER).await;
    container.start().await;
    let namespace = &container.namespace;
    let probed = "curl -s http://127.0.0.1:10762/metrics | grep -q 'ccass2fa_probe_success{.*} 1'";
    namespace.wait_until(probed, "exporter").await;
    let test = words(&container.config["Healthcheck"]["Test"])[2..].join(" ");
    assert_eq!(container.run(&test).await, (0, String::new()));

    let (code, output) = container.run("record --terminal t1 --outcome seen").await;
    assert_eq!(code, 0, "{output}");
    let volume = namespace.path("volume");
    let owners = shell(&volume, "find . -type f -printf '%U\\n' | sort --unique");
    assert_eq!(owners.trim(), USER.to_string());
    let evidence = shell(&volume, "cat evidence/*.jsonl");
    assert!(evidence.contains("\"t1\""), "{evidence}");
    let denied = format!("touch {}/file", namespace.path("root").display());
    assert_ne!(namespace.run("sh", &["-c", &denied]).await.0, 0);

    // Docker waits for 10 seconds before it kills.
    let start = Instant::now();
    let script = format!(
        "kill -TERM $(cat {path}); while kill -0 $(cat {path}); do sleep 0.05; done 2>/dev/null",
        path = namespace.path("pid").display()
    );
    namespace.run("sh", &["-c", &script]).await;
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(namespace.log("exporter").contains("message=stopped"));
    assert_eq!(container.run("healthcheck").await.0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn volume_of_another_user_is_reported_with_the_user_who_must_own_it() {
    let mut container = Container::new(0).await;
    container.start().await;
    let log = container.namespace.log("exporter");
    for part in [
        "/data belongs to user 0, group 0, mode 755, and this process is user 65532",
        "chown 65532 /data",
    ] {
        assert!(log.contains(part), "{log}");
    }
    let (code, output) = container.run("record --terminal t1 --outcome seen").await;
    assert_eq!(code, 3, "{output}");
    assert!(output.contains("chown 65532 /data"), "{output}");
}
