//! The static release binary.

use harness::documents::repository;
use harness::exporter::{copy_program, release_binary};
use harness::namespace::Namespace;
use serde_json::Value;

use crate::{LOGIN_PAGE, namespace_with_login_server, shell};

#[test]
fn release_binary_is_static_and_below_14_mb() {
    let binary = release_binary();
    let size = std::fs::metadata(&binary).unwrap().len();
    assert!(size < 14_000_000, "{size} bytes");
    let headers = shell(
        &repository("."),
        &format!("readelf --wide --segments --dynamic {}", binary.display()),
    );
    assert!(headers.contains("DYN (Position-Independent"), "{headers}");
    for part in ["INTERP", "(NEEDED)"] {
        assert!(!headers.contains(part), "{part}:\n{headers}");
    }
}

#[test]
fn release_binary_lists_its_dependencies_and_names_no_path_of_this_machine() {
    let binary = release_binary();
    let list = shell(
        &repository("."),
        &format!(
            "objcopy --dump-section .dep-v0=/dev/stdout {} /dev/null | python3 -c \
             'import sys, zlib; print(zlib.decompress(sys.stdin.buffer.read()).decode())'",
            binary.display()
        ),
    );
    let list: Value = serde_json::from_str(&list).unwrap();
    let packages = list["packages"].as_array().unwrap();
    for name in ["rustls", "tokio", "aws-lc-rs"] {
        assert!(
            packages.iter().any(|package| package["name"] == name),
            "{name}"
        );
    }
    let bytes = std::fs::read(&binary).unwrap();
    let cargo_home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .unwrap();
    for path in [repository("").display().to_string(), cargo_home] {
        let found = bytes
            .windows(path.len())
            .any(|part| part == path.as_bytes());
        assert!(!found, "the binary contains {path}");
    }
}

#[test]
fn version_names_commit_date_and_target() {
    let version = shell(
        &repository("."),
        &format!("{} --version", release_binary().display()),
    );
    // A tree without git has no commit to name.
    let commit = shell(
        &repository("."),
        "TZ=UTC0 git -c core.abbrev=12 show -s --date=format-local:%Y-%m-%d --format='commit %h, %cd' HEAD",
    );
    let expected = format!(
        "ccass-2fa-exporter {} ({}, {}-unknown-linux-gnu)",
        env!("CARGO_PKG_VERSION"),
        commit.trim(),
        std::env::consts::ARCH
    );
    assert_eq!(version.trim(), expected);
}

/// A login server, and a directory `bare` that holds the release binary and the roots alone: no libc, no
/// modules of the name service switch, and what a test adds.
async fn bare_directory() -> Namespace {
    let namespace = namespace_with_login_server().await;
    let bare = namespace.path("bare");
    for part in ["etc/ssl/certs", "bin"] {
        std::fs::create_dir_all(bare.join(part)).unwrap();
    }
    copy_program(&release_binary(), &bare.join("bin/exporter"));
    std::fs::copy(
        namespace.path("ca.pem"),
        bare.join("etc/ssl/certs/ca-certificates.crt"),
    )
    .unwrap();
    namespace
}

async fn verify(namespace: &Namespace) -> (i32, Value) {
    let bare = namespace.path("bare").display().to_string();
    let arguments = [
        &bare,
        "/bin/exporter",
        "verify",
        "--format=json",
        LOGIN_PAGE,
    ];
    let (code, text) = namespace.run("chroot", &arguments).await;
    let document: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (code, document["reports"][0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn static_binary_alone_reads_the_hosts_file_and_the_system_roots() {
    let namespace = bare_directory().await;
    let hosts = namespace.path("bare/etc/hosts");
    std::fs::copy(namespace.path("hosts"), hosts).unwrap();
    let (code, report) = verify(&namespace).await;
    assert_eq!(code, 0, "{report:#}");
    // Without the root the same server is not trusted.
    std::fs::write(namespace.path("bare/etc/ssl/certs/ca-certificates.crt"), "").unwrap();
    let (code, report) = verify(&namespace).await;
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(
        report["verdict"]["reason"], "tls_unknown_issuer",
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn static_binary_alone_reads_the_forms_of_resolv_conf() {
    let mut namespace = bare_directory().await;
    let config = "server:\n  interface: 127.0.0.53\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  \
                  pidfile: \"\"\n  use-syslog: no\n  local-zone: \"lab.test.\" static\n  \
                  local-data: \"sso.lab.test. A 203.0.113.10\"\nremote-control:\n  control-enable: no\n";
    let config = namespace
        .write("unbound.conf", config)
        .display()
        .to_string();
    namespace.spawn("unbound", "unbound", &["-d", "-c", &config]);
    namespace.wait_for_port("unbound", "127.0.0.53", 53).await;
    for text in [
        "nameserver 127.0.0.53\n",
        // As systemd-resolved writes it.
        "# comment\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n",
        // As a hand or a network manager writes it.
        "; comment\n\ndomain lab.test\nsearch lab.test example.com\noptions ndots:2 timeout:1 attempts:2 rotate\n\
         nameserver 127.0.0.53\nnameserver 127.0.0.54\n",
    ] {
        std::fs::write(namespace.path("bare/etc/resolv.conf"), text).unwrap();
        let (code, report) = verify(&namespace).await;
        assert_eq!(code, 0, "{text}{report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn static_binary_alone_finds_alertmanager_by_name_and_needs_roots_for_https_only() {
    let namespace = bare_directory().await;
    std::fs::write(
        namespace.path("bare/etc/hosts"),
        "127.0.0.1 alertmanager.test\n",
    )
    .unwrap();
    std::fs::remove_file(namespace.path("bare/etc/ssl/certs/ca-certificates.crt")).unwrap();
    // The name is found; nothing listens there.
    for (scheme, error) in [
        ("http", "Connection refused"),
        (
            "https",
            "the package ca-certificates), or name its CA with --ca-file",
        ),
    ] {
        let script = format!(
            "chroot {} /bin/exporter drill --alertmanager {scheme}://alertmanager.test:9 2>&1 || true",
            namespace.path("bare").display()
        );
        let (_, output) = namespace.run("sh", &["-c", &script]).await;
        assert!(output.contains(error), "{output}");
    }
}
