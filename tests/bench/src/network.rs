//! The network namespace of the benchmark: a name server, a web server and an address that never answers.
//! Everything in it ends with this process.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ccass_2fa_lab::{Authority, Identity, Leaf, LeafKey};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The zone of the names `t0`, `t1` and so on.
pub const GOOD: &str = "bench.test";
/// The same behind a chain of RSA-2048 keys.
pub const RSA: &str = "rsa.test";
/// Resolves to an address that never answers.
pub const SILENT: &str = "silent.test";
/// A zone without names.
pub const NONE: &str = "none.test";
/// The zone of the servers with known delays.
pub const SLOW: &str = "slow.test";

pub const GOOD_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 76, 2, 1);
pub const RSA_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 76, 2, 2);
pub const SLOW_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 76, 2, 3);
pub const SILENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 76, 2, 9);
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 76, 2, 53);
pub const SLOW_NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 76, 2, 54);

pub struct BenchNetwork {
    directory: TempDir,
    pub slow: Identity,
    _servers: Vec<Child>,
}

impl BenchNetwork {
    /// Sets up the servers inside the current network and mount namespace.
    pub async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let at = directory.path();
        std::fs::write(
            at.join("resolv.conf"),
            format!("nameserver {NAME_SERVER}\n"),
        )?;
        std::fs::write(at.join("hosts"), "127.0.0.1 localhost\n")?;
        let mut setup = format!(
            "ip link set lo up; mount --bind {0}/resolv.conf /etc/resolv.conf; \
             mount --bind {0}/hosts /etc/hosts; \
             nft 'table inet bench {{ chain in {{ type filter hook input priority 0; \
             ip daddr {SILENT_ADDRESS} drop; }}; }}'; ",
            at.display()
        );
        for address in [
            GOOD_ADDRESS,
            RSA_ADDRESS,
            SLOW_ADDRESS,
            SILENT_ADDRESS,
            NAME_SERVER,
            SLOW_NAME_SERVER,
        ] {
            setup.push_str(&format!("ip addr add {address}/32 dev lo; "));
        }
        let status = Command::new("sh").args(["-ec", &setup]).status().await?;
        ensure!(status.success(), "the network cannot be made");

        let classic = Authority::new("Bench");
        let rsa = Authority::with_keys("Bench RSA", LeafKey::Rsa2048);
        std::fs::write(at.join("ca.pem"), classic.root_pem())?;
        std::fs::write(at.join("rsa.pem"), rsa.root_pem())?;
        let leaf = |domain: &str| Leaf::for_name(&format!("*.{domain}"));
        write_identity(&at.join("good"), &classic.issue(&leaf(GOOD)))?;
        write_identity(&at.join("rsa"), &rsa.issue(&leaf(RSA).rsa()))?;
        std::fs::write(at.join("nginx.conf"), nginx(at))?;
        std::fs::write(at.join("nsd.conf"), nsd(at))?;
        write_zones(at)?;
        std::fs::create_dir(at.join("www"))?;
        let page = ccass_2fa_lab::login_page("0123456789abcdef");
        std::fs::write(at.join("www/login.html"), page)?;

        let serve = |program: &str, arguments: &[&str]| {
            let log = std::fs::File::create(at.join(format!("{program}.log")))?;
            Command::new(program)
                .args(arguments)
                .env("PATH", path_with_sbin())
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("{program}: tests/install.sh installs it"))
        };
        let servers = vec![
            serve("nginx", &["-c", &text(&at.join("nginx.conf"))])?,
            serve("nsd", &["-d", "-c", &text(&at.join("nsd.conf"))])?,
        ];
        let slow = classic.issue(&leaf(SLOW));
        accepts(GOOD_ADDRESS, 443).await?;
        accepts(NAME_SERVER, 53).await?;
        Ok(Self {
            slow,
            directory,
            _servers: servers,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Debian installs servers outside an ordinary user's path.
fn path_with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

fn write_identity(directory: &Path, identity: &Identity) -> anyhow::Result<()> {
    std::fs::create_dir(directory)?;
    identity.write_pem(directory)?;
    Ok(())
}

async fn accepts(address: Ipv4Addr, port: u16) -> anyhow::Result<()> {
    for _ in 0..400 {
        if TcpStream::connect((address, port)).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    bail!("nothing listens on {address}:{port}")
}

/// One worker; full handshakes only.
fn nginx(at: &Path) -> String {
    let at = at.display();
    let server = |address: Ipv4Addr, identity: &str| {
        format!(
            "server {{ listen {address}:443 ssl backlog=4096; root {at}/www;\n\
             ssl_certificate {at}/{identity}/chain.pem; ssl_certificate_key {at}/{identity}/key.pem;\n\
             location / {{ try_files /login.html =404; }} }}\n"
        )
    };
    format!(
        "daemon off; worker_processes 1; worker_rlimit_nofile 65536; pid {at}/nginx.pid;\n\
         error_log stderr; user root; events {{ worker_connections 16384; }}\n\
         http {{ access_log off; default_type text/html; client_body_temp_path {at}/body;\n\
         proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi;\n\
         scgi_temp_path {at}/scgi; ssl_protocols TLSv1.3; ssl_session_tickets off;\n\
         ssl_session_cache off;\n{}{} }}\n",
        server(GOOD_ADDRESS, "good"),
        server(RSA_ADDRESS, "rsa"),
    )
}

fn nsd(at: &Path) -> String {
    let directory = at.display();
    let zones: String = [GOOD, RSA, SILENT, NONE]
        .iter()
        .map(|zone| format!("zone:\n  name: {zone}\n  zonefile: {zone}.zone\n"))
        .collect();
    format!(
        "server:\n  ip-address: {NAME_SERVER}\n  username: \"\"\n  zonesdir: {directory}\n  \
         database: \"\"\n  pidfile: {directory}/nsd.pid\n  xfrdfile: {directory}/xfrd.state\n  \
         zonelistfile: {directory}/zone.list\n  xfrdir: {directory}\n  rrl-ratelimit: 0\n\
         remote-control:\n  control-enable: no\n{zones}"
    )
}

fn write_zones(at: &Path) -> anyhow::Result<()> {
    for (zone, address) in [
        (GOOD, Some(GOOD_ADDRESS)),
        (RSA, Some(RSA_ADDRESS)),
        (SILENT, Some(SILENT_ADDRESS)),
        (NONE, None),
    ] {
        let mut text = format!(
            "$ORIGIN {zone}.\n$TTL 60\n@ SOA ns.{zone}. root.{zone}. 1 3600 600 86400 60\n\
             @ NS ns.{zone}.\nns A {NAME_SERVER}\n"
        );
        if let Some(address) = address {
            text.push_str(&format!("* A {address}\n"));
        }
        std::fs::write(at.join(format!("{zone}.zone")), text)?;
    }
    Ok(())
}
