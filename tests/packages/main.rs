//! What `make packages` built: the static binary, the Debian and RPM packages and the image. Each is
//! unpacked, installed or run as its users do. It needs root.

#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod binary;
mod compose;
mod dist;
mod files;
mod image;
mod kubernetes;
mod windows;

use std::path::{Path, PathBuf};
use std::process::Command;

use ccass_2fa_lab::{Authority, Leaf};
use harness::documents::repository;
use harness::namespace::Namespace;

/// Runs a shell script in `directory` and returns its standard output; it must succeed.
#[track_caller]
fn shell(directory: &Path, script: &str) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(directory)
        .output()
        .expect("bash starts");
    assert!(
        output.status.success(),
        "{script}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The one file in dist/ whose name has this start and end.
#[track_caller]
fn artifact(start: &str, end: &str) -> PathBuf {
    let entries = std::fs::read_dir(repository("dist")).expect("dist/ is there; run make packages");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(start) && name.ends_with(end)
        })
        .collect();
    assert_eq!(
        found.len(),
        1,
        "{start}*{end} in dist/: {found:?}; run make packages"
    );
    found.remove(0)
}

fn deb() -> PathBuf {
    artifact("ccass-2fa-exporter_", ".deb")
}

fn rpm() -> PathBuf {
    artifact("ccass-2fa-exporter-", ".rpm")
}

/// Unpacks a Debian package into a new directory.
fn unpacked_deb() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let deb = deb();
    shell(
        directory.path(),
        &format!("dpkg-deb --extract {} .", deb.display()),
    );
    directory
}

const LOGIN_PAGE: &str = "https://sso.lab.test/sso";
/// Not on loopback, which the exporter takes for a sinkhole.
const LOGIN_SERVER: &str = "203.0.113.10";

/// A namespace in which nginx serves [`LOGIN_PAGE`] at [`LOGIN_SERVER`]. In its directory, `ca.pem` is the
/// server's CA and `hosts` a hosts file with the server's name.
async fn namespace_with_login_server() -> Namespace {
    let mut namespace = Namespace::new(&[LOGIN_SERVER], &[]).await;
    let authority = Authority::new("Packages");
    namespace.write("ca.pem", authority.root_pem());
    let hosts = format!("127.0.0.1 localhost\n{LOGIN_SERVER} sso.lab.test\n");
    namespace.write("hosts", hosts);
    let identity = authority.issue(&Leaf::for_name("sso.lab.test"));
    let (certificate, key) = identity
        .write_pem(namespace.directory.path())
        .expect("a file");
    let config = format!(
        "daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log stderr; user root;\n\
         events {{}}\nhttp {{ access_log off; server {{ listen {LOGIN_SERVER}:443 ssl;\n\
         ssl_certificate {}; ssl_certificate_key {};\n\
         location / {{ default_type text/html; return 200 '<title>Login</title>'; }} }} }}\n",
        certificate.display(),
        key.display(),
        directory = namespace.directory.path().display(),
    );
    let config = namespace.write("nginx.conf", config).display().to_string();
    namespace.spawn("nginx", "nginx", &["-c", &config]);
    namespace.wait_for_port("nginx", LOGIN_SERVER, 443).await;
    // Other users read what is mounted from here.
    shell(
        namespace.directory.path(),
        "chmod 755 . && chmod 644 ca.pem hosts",
    );
    namespace
}
