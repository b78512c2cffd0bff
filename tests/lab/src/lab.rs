//! A complete lab: an authority, a name server, a web proxy and a login server, and a configuration
//! with which the exporter probes them.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::authority::{Authority, Identity, Leaf, Validity};
use crate::issuer_server::IssuerServer;
use crate::locked;
use crate::login_server::{Alpn, LoginServer};
use crate::name_server::NameServer;
use crate::proxy_server::{CREDENTIALS, ProxyServer};
use crate::scenarios::Scenario;

/// The web proxy's name.
const PROXY: &str = "proxy.lab.test";

/// The name server's name in its certificate.
pub(crate) const RESOLVER: &str = "dns.lab.test";

/// The checks of the login page, whose title is `TITLE`.
pub(crate) const PAGE: &str =
    "title: \"CCASS Lab Login\", contains: [\"username\"], form_fields: [username, password]";

/// The name of the web server with the authority's certificates.
pub const ISSUERS: &str = "ca.lab.test";

/// The login server's name.
pub const HOST: &str = "sso.lab.test";

const LOGIN_PATH: &str = crate::answers::LOGIN_PATH;

/// A running lab; it stops when it is dropped.
pub struct Lab {
    pub authority: Authority,
    /// The authority of a web filter, which the lab's `ca.pem` contains too: its certificates are
    /// an interception that the trusted roots alone do not reveal.
    pub interceptor: Authority,
    /// An authority that is trusted only because `authority` issued its root too.
    pub newcomer: Authority,
    /// An authority whose root, in `ca.pem` too, has expired.
    pub retired: Authority,
    pub name_server: NameServer,
    pub login_server: LoginServer,
    pub proxy: ProxyServer,
    pub issuer_server: IssuerServer,
    identity: Identity,
    proxy_identity: Identity,
    resolver_identity: Identity,
    directory: Directory,
    current: Mutex<Option<&'static str>>,
}

enum Directory {
    Given(PathBuf),
    Temporary(TempDir),
}

impl Lab {
    /// Starts with a temporary directory, which is removed with the lab.
    ///
    /// # Errors
    /// When a port cannot be bound or `ca.pem` cannot be written.
    pub async fn start() -> io::Result<Self> {
        Self::build(Directory::Temporary(tempfile::tempdir()?)).await
    }

    /// Starts with its files in `directory`, which must exist and is kept.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_in(directory: &Path) -> io::Result<Self> {
        Self::build(Directory::Given(directory.canonicalize()?)).await
    }

    async fn build(directory: Directory) -> io::Result<Self> {
        let issuer_server = IssuerServer::start().await?;
        let published_at = format!("http://{ISSUERS}:{}", issuer_server.addr().port());
        let authority = Authority::published_at("CCASS Lab", &published_at);
        issuer_server.publish("/issuing", &authority.intermediate_der());
        issuer_server.publish("/root", &authority.root_der());
        let below = format!("{published_at}/new");
        let newcomer = Authority::published_at("CCASS Lab Newcomer", &below);
        issuer_server.publish("/new/issuing", &newcomer.intermediate_der());
        let cross_signed = newcomer.root_signed_by(&authority, Validity(-100, 1000));
        issuer_server.publish("/new/root", &cross_signed);
        let interceptor = Authority::new("Example Web Filter");
        let retired = Authority::with_root_valid("CCASS Lab Retired", Validity(-3650, -1));
        let identity = authority.issue(&Leaf::for_name(HOST));
        let login_server = LoginServer::start(identity.clone()).await?;
        let name_server = NameServer::start().await?;
        let proxy_identity = authority.issue(&Leaf::for_name(PROXY));
        let proxy = ProxyServer::start(login_server.addr().ip(), proxy_identity.clone()).await?;
        let resolver_identity = authority.issue(&Leaf::for_name(RESOLVER));
        name_server.set_identity(resolver_identity.clone());
        let lab = Self {
            authority,
            interceptor,
            newcomer,
            issuer_server,
            retired,
            name_server,
            login_server,
            proxy,
            identity,
            proxy_identity,
            resolver_identity,
            directory,
            current: Mutex::new(None),
        };
        lab.name_server.answer(HOST, &[lab.login_address()]);
        let roots = [&lab.authority, &lab.interceptor, &lab.retired]
            .map(Authority::root_pem)
            .concat();
        std::fs::write(lab.ca_file(), roots)?;
        lab.name_server
            .answer(ISSUERS, &[lab.issuer_server.addr().ip()]);
        lab.name_server.answer(PROXY, &[lab.proxy.addr().ip()]);
        std::fs::write(lab.directory().join("credentials"), CREDENTIALS)?;
        std::fs::write(lab.directory().join("other-credentials"), "clerk:wrong")?;
        Ok(lab)
    }

    /// The URL of the login page.
    pub fn url(&self) -> String {
        self.login_server.url(HOST, LOGIN_PATH)
    }

    pub fn directory(&self) -> &Path {
        match &self.directory {
            Directory::Given(path) => path,
            Directory::Temporary(directory) => directory.path(),
        }
    }

    /// The trusted roots: the lab's own, the interceptor's and the expired one.
    pub fn ca_file(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    /// The exporter's configuration, as YAML, for a lab without faults and for most scenarios.
    pub fn config(&self) -> String {
        self.render("", "", "", PAGE)
    }

    /// The configuration with which a probe fails with the scenario's reason.
    pub fn config_for(&self, scenario: &Scenario) -> String {
        self.render(
            scenario.module,
            scenario.tls,
            scenario.target,
            scenario.page,
        )
    }

    /// Clears all faults, then activates `scenario`.
    pub fn provoke(&self, scenario: &Scenario) {
        self.heal();
        (scenario.provoke)(self);
        *locked(&self.current) = Some(scenario.name);
    }

    /// Clears all faults.
    pub fn heal(&self) {
        self.name_server.clear();
        self.name_server
            .set_identity(self.resolver_identity.clone());
        self.name_server.answer(HOST, &[self.login_address()]);
        self.login_server.clear();
        self.proxy.clear();
        self.proxy.set_identity(self.proxy_identity.clone());
        self.login_server.set_alpn(Alpn::Both);
        self.login_server.set_identity(self.identity.clone());
        *locked(&self.current) = None;
    }

    /// The name of the active scenario.
    pub fn current(&self) -> Option<&'static str> {
        *locked(&self.current)
    }

    /// What the exporter sent although it must not.
    pub fn violations(&self) -> Vec<String> {
        self.login_server.violations()
    }

    /// The name server's URI template for DNS over HTTPS by GET (RFC 8484).
    pub fn resolver_template(&self) -> String {
        let port = self.name_server.addr().port();
        format!("https://{RESOLVER}:{port}/dns-query{{?dns}}")
    }

    pub(crate) fn login_address(&self) -> IpAddr {
        self.login_server.addr().ip()
    }

    fn render(&self, module: &str, tls: &str, target: &str, page: &str) -> String {
        let resolver = self.name_server.addr();
        let encrypted = format!("{RESOLVER}@{resolver}");
        let url = self.url();
        // A JSON string is a YAML string, with any path.
        let ca_file = serde_json::Value::from(self.ca_file().to_string_lossy()).to_string();
        let organisation = self.authority.name();
        let module = module
            .replace("{proxy}", &format!("{PROXY}:{}", self.proxy.addr().port()))
            .replace("{resolver}", &encrypted)
            .replace("{directory}", &self.directory().to_string_lossy());
        let tls = tls.replace(
            "{issuers}",
            &format!("{ISSUERS}:{}", self.issuer_server.addr().port()),
        );
        let dns = if module.contains("resolvers:") {
            String::new()
        } else {
            format!("    resolvers: [\"{resolver}\"]\n    route: \"{resolver}\"\n")
        };
        format!(
            "probe: {{interval: 10s, timeout: 10s}}
modules:
  lab_page:
    system_resolvers: ignore
{dns}{module}    tls: {{roots: [ca_file], ca_file: {ca_file}, expected_issuers: [\"{organisation}\"]{tls}}}
    page: {{{page}}}
targets:
  - {{name: sso, url: \"{url}\", module: lab_page{target}}}
"
        )
    }
}
