//! The engine: what happened when a target was asked for.
//!
//! In: a [`Target`]. Out: a [`Report`], always; a target's failure is data. The engine knows none of
//! the doors that use it: it has no registry, channel or printer. A probe walks hop by hop (the
//! target's address, then each redirect that is followed), each hop layer by layer:
//!
//! * `dns`: from the name to addresses, and what each resolver says by itself
//! * `tcp`, `proxy`, `tls`, joined in `approach`: a connection and a session on every address, through
//!   a web proxy where there is one
//! * `trust`, `certificate`, `signature`: what the presented chain is and who trusts it
//! * `http`, `redirect`: one GET on the first session that passed
//! * `page`: what came, and whether it is what was expected
//! * `findings`: what a person should know although the login may work
//!
//! What is measured beside the pipe (the other addresses, the resolvers one by one) goes on while
//! the pipe does, and is gathered when the verdict is known. All of it shares one time limit.

mod certificate;
mod connect;
mod dns;
mod findings;
mod http;
pub mod page;
mod proxy;
mod redirect;
mod signature_cache;
mod tcp;
mod tls;
mod trust;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use cookie_store::CookieStore;
use rustls::pki_types::ServerName;
use tokio::task::JoinSet;
use url::{Host, Url};

use crate::clock::{Clock, TimeLimit};
use crate::config::{AllowedHosts, ProbeModule, Target};
use crate::report::{
    DnsFacts, Expectation, Hop, Layer, LayerResult, Lookup, PageFacts, PageVerdict, Reason, Report,
    Verdict,
};
use certificate::MAX_CHAIN;
use connect::{ConnectAttempts, ConnectParams, Connection, Stream};
pub use dns::resolver_count;
use proxy::Tunnel;
use redirect::{RedirectDecision, RedirectHistory};
pub use trust::{Roots, TrustAnchors, TrustResult, judge};

/// Probes targets.
#[derive(Clone, Debug)]
pub struct Engine {
    clock: Clock,
    platform_is_empty: bool,
    clients: BTreeMap<String, Clients>,
    site: Option<String>,
}

/// What a module's sessions share, by whom they are with.
#[derive(Clone, Debug)]
struct Clients {
    targets: Arc<tls::Client>,
    resolvers: Arc<tls::Client>,
}

impl Clients {
    fn of(module: &ProbeModule, roots: &Roots, clock: Clock) -> Self {
        let targets = tls::Client::of(module, roots, clock);
        Self {
            resolvers: Arc::new(targets.for_resolvers()),
            targets: Arc::new(targets),
        }
    }
}

/// From here on a page is judged aside: about a millisecond's worth.
const LARGE_PAGE: usize = 48 * 1024;
/// Strings from outside are cut to this many characters.
const MAX_TEXT: usize = 256;

/// `text` without what moves a cursor or turns the direction of writing, cut to a length that a
/// label or a line can bear.
fn bounded(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if steers(c) { ' ' } else { c })
        .take(MAX_TEXT)
        .collect()
}

impl Engine {
    /// An engine for targets of these modules, at the vantage `site`.
    pub fn new(
        modules: &BTreeMap<String, Arc<ProbeModule>>,
        roots: &Roots,
        site: Option<String>,
        clock: Clock,
    ) -> Self {
        Self {
            clock,
            platform_is_empty: roots.platform_is_empty(),
            clients: modules
                .iter()
                .map(|(name, module)| (name.clone(), Clients::of(module, roots, clock)))
                .collect(),
            site,
        }
    }

    /// Probes `target` once. It ends within the target's limit.
    pub async fn probe(&self, target: &Target) -> Report {
        self.within(target, None).await.0
    }

    /// The same of a target that somebody outside named: the addresses of each name on the way are
    /// judged before anything is connected to, and it is these that are connected to.
    ///
    /// # Errors
    /// The first address on the way that may not be connected to.
    pub async fn probe_allowed(
        &self,
        target: &Target,
        allowed: &AllowedHosts,
    ) -> Result<Report, IpAddr> {
        match self.within(target, Some(allowed)).await {
            (report, None) => Ok(report),
            (_, Some(address)) => Err(address),
        }
    }

    async fn within(
        &self,
        target: &Target,
        allowed: Option<&AllowedHosts>,
    ) -> (Report, Option<IpAddr>) {
        let mut probe = Probe {
            engine: self,
            target,
            allowed,
            forbidden: None,
            limit: TimeLimit::starting_now(target.timeout),
            cookies: CookieStore::default(),
            redirects: RedirectHistory::default(),
            steps: Vec::new(),
        };
        let started = self.clock.now();
        let (failure, page) = probe.run().await;
        let duration = probe.limit.elapsed();
        let forbidden = probe.forbidden;
        let hops = probe.gather().await;
        let verdict = match failure {
            Some(reason) => Verdict::of(reason),
            None => Verdict::Good {
                page: if page.facts().is_some_and(|facts| !facts.checks.is_empty()) {
                    PageVerdict::Checked
                } else {
                    PageVerdict::Unchecked
                },
            },
        };
        let report = Report {
            target: target.name.clone(),
            url: target.url.to_string(),
            role: target.role,
            module: target.module.name.clone(),
            expect: target.expect,
            group: target.group.clone(),
            site: self.site.clone(),
            started,
            duration,
            timeout: target.timeout,
            verdict,
            findings: findings::of(&hops, &target.module, self.platform_is_empty),
            hops,
            page,
        };
        (report, forbidden)
    }
}

/// One probe under way.
struct Probe<'a> {
    engine: &'a Engine,
    target: &'a Target,
    /// Where the probe may lead, if not anywhere.
    allowed: Option<&'a AllowedHosts>,
    /// An address on the way that may not be connected to; it ended the probe.
    forbidden: Option<IpAddr>,
    limit: TimeLimit,
    cookies: CookieStore,
    redirects: RedirectHistory,
    steps: Vec<HopProgress>,
}

/// A hop that was walked, with what still goes on beside it.
struct HopProgress {
    hop: Hop,
    lookups: JoinSet<Lookup>,
    attempts: Option<ConnectAttempts>,
}

/// How a hop ended.
enum HopOutcome {
    Failed(Reason),
    Next(Url),
    Body(Vec<u8>),
    /// The target must not be reachable, and is not.
    Closed,
}

impl Probe<'_> {
    /// Walks the pipe to its verdict.
    async fn run(&mut self) -> (Option<Reason>, Layer<PageFacts>) {
        let mut url = self.target.url.clone();
        self.redirects.visit(&url, &self.cookies);
        loop {
            match self.hop(&url).await {
                HopOutcome::Next(next) => url = next,
                HopOutcome::Failed(reason) => return (Some(reason), Layer::NotReached),
                HopOutcome::Closed => return (None, Layer::NotApplicable),
                HopOutcome::Body(body) => {
                    let page = judged(body, &self.target.module).await;
                    return (page.failure, Layer::Done(page));
                }
            }
        }
    }

    async fn hop(&mut self, url: &Url) -> HopOutcome {
        let host = bounded(url.host_str().unwrap_or_default());
        let first_of_its_name = self.steps.iter().all(|step| step.hop.host != host);
        let mut progress = HopProgress {
            hop: Hop {
                url: bounded(url.as_str()),
                host,
                dns: Layer::NotReached,
                tcp: Layer::NotReached,
                proxy: Layer::NotReached,
                tls: Layer::NotReached,
                http: Layer::NotReached,
            },
            lookups: JoinSet::new(),
            attempts: None,
        };
        let ending = self.walk(url, &mut progress, first_of_its_name).await;
        self.steps.push(progress);
        ending
    }

    async fn walk(
        &mut self,
        url: &Url,
        progress: &mut HopProgress,
        ask_resolvers: bool,
    ) -> HopOutcome {
        let via = match self.via(url) {
            Ok(via) => via,
            Err(reason) => return HopOutcome::Failed(reason),
        };
        let host = match &via {
            Some(via) => Some(via.proxy.host.clone()),
            None => {
                progress.hop.proxy = Layer::NotApplicable;
                url.host().map(|host| host.to_owned())
            }
        };
        let resolved = self.resolve(host, progress, ask_resolvers).await;
        if self.leads_astray(url, via.is_some(), progress, &resolved) {
            return HopOutcome::Failed(Reason::DnsSinkhole);
        }
        let addresses = match resolved {
            Ok(addresses) => addresses,
            Err(reason) => return HopOutcome::Failed(reason),
        };
        let connection = match self.connect(url, via, progress, &addresses).await {
            Ok(Some(connection)) => connection,
            Ok(None) => return HopOutcome::Closed,
            Err(reason) => return HopOutcome::Failed(reason),
        };
        self.ask(url, progress, connection).await
    }

    /// Whether the probe would connect to what it may not. A proxy is the configuration's own choice,
    /// and resolves the name itself.
    fn leads_astray(
        &mut self,
        url: &Url,
        by_proxy: bool,
        progress: &HopProgress,
        resolved: &Result<Vec<IpAddr>, Reason>,
    ) -> bool {
        let Some(allowed) = self.allowed else {
            return false;
        };
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
            Some(Host::Domain(_)) | None => None,
        };
        let seen = progress.hop.dns.facts();
        let seen = seen.map(|facts| facts.resolution.addresses.as_slice());
        let usable = resolved.as_deref().unwrap_or_default();
        let all: Vec<IpAddr> = if by_proxy {
            literal.into_iter().collect()
        } else {
            [usable, seen.unwrap_or_default()].concat()
        };
        let port = url.port_or_known_default().unwrap_or(443);
        self.forbidden = allowed.forbidden(&all, port);
        self.forbidden.is_some()
    }

    /// The way through a proxy, where `url` goes through one. What must not be reachable is asked for
    /// directly: a proxy is always open.
    fn via(&self, url: &Url) -> Result<Option<Tunnel>, Reason> {
        if self.target.expect == Expectation::Unreachable {
            return Ok(None);
        }
        let module = &self.target.module;
        let Some(proxy) = module.proxy.of(url) else {
            return Ok(None);
        };
        let client = self.engine.clients.get(&module.name);
        let tls = client.and_then(|clients| clients.targets.to_proxy().ok());
        let tls = Arc::new(tls.ok_or(Reason::ProxyTls)?);
        let user_agent = module.http.user_agent.clone();
        Ok(Some(Tunnel::to(url, proxy, tls, user_agent)))
    }

    /// The dns layer: of the target's host, or of the proxy's.
    async fn resolve(
        &self,
        host: Option<Host>,
        progress: &mut HopProgress,
        ask_resolvers: bool,
    ) -> Result<Vec<IpAddr>, Reason> {
        let module = &self.target.module;
        let host = match &host {
            Some(Host::Ipv4(address)) => {
                progress.hop.dns = Layer::NotApplicable;
                return Ok(vec![(*address).into()]);
            }
            Some(Host::Ipv6(address)) => {
                progress.hop.dns = Layer::NotApplicable;
                return Ok(vec![(*address).into()]);
            }
            Some(Host::Domain(host)) => host.as_str(),
            None => return Err(Reason::DnsMalformed),
        };
        let client = self.engine.clients.get(&module.name);
        let context = dns::ResolveContext {
            module,
            system: &dns::System::read_for(module),
            client: &client.ok_or(Reason::DnsTls)?.resolvers,
            limit: self.limit,
        };
        if ask_resolvers {
            progress.lookups = dns::query_each(&context, host);
        }
        let followed = dns::resolve(&context, host).await;
        let usable = dns::usable(module, host, &followed.facts.addresses);
        let failure = followed.failure;
        progress.hop.dns = Layer::Done(LayerResult {
            duration: followed.duration,
            failure,
            facts: DnsFacts {
                resolution: followed.facts,
                lookups: Vec::new(),
            },
        });
        match failure {
            None => Ok(usable),
            Some(reason) => Err(reason),
        }
    }

    /// The tcp, proxy and tls layers, up to the first address that comes through; `None` where none should
    /// and none does.
    async fn connect(
        &self,
        url: &Url,
        via: Option<Tunnel>,
        progress: &mut HopProgress,
        addresses: &[IpAddr],
    ) -> Result<Option<Connection>, Reason> {
        let must_be_closed = self.target.expect == Expectation::Unreachable;
        let session = match url.scheme() {
            "https" if !must_be_closed => Some(self.session(url)?),
            _ => {
                progress.hop.tls = Layer::NotApplicable;
                None
            }
        };
        let port = match &via {
            Some(via) => via.proxy.port,
            None => url.port_or_known_default().unwrap_or(443),
        };
        let params = ConnectParams {
            port,
            source: self.target.module.source_address,
            via,
            session,
            limit: self.limit,
        };
        let attempts = progress
            .attempts
            .insert(ConnectAttempts::start(addresses, &params));
        if must_be_closed {
            return closed(attempts, &mut progress.hop).await;
        }
        let connection = attempts.first().await;
        let tcp = attempts.tcp();
        let proxy = attempts.proxy();
        let tls = attempts.tls();
        let failure = tcp
            .failure
            .or(proxy.as_ref().and_then(|proxy| proxy.failure))
            .or(tls.as_ref().and_then(|tls| tls.failure));
        progress.hop.tcp = Layer::Done(tcp);
        if let Some(proxy) = proxy {
            progress.hop.proxy = Layer::Done(proxy);
        }
        if let Some(tls) = tls {
            progress.hop.tls = Layer::Done(tls);
        }
        match connection {
            Some(connection) => Ok(Some(connection)),
            None => Err(failure.unwrap_or(Reason::TcpLocal)),
        }
    }

    fn session(&self, url: &Url) -> Result<(Arc<tls::Client>, ServerName<'static>), Reason> {
        let client = self.engine.clients.get(&self.target.module.name);
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        match (client, ServerName::try_from(host.to_owned())) {
            (Some(clients), Ok(name)) => Ok((Arc::clone(&clients.targets), name)),
            _ => Err(Reason::TlsNameMismatch),
        }
    }

    /// The http layer.
    async fn ask(
        &mut self,
        url: &Url,
        progress: &mut HopProgress,
        connection: Connection,
    ) -> HopOutcome {
        let question = http::Question {
            url,
            policy: &self.target.module.http,
            protocol: connection.protocol,
            answered_by: connection.answered_by,
            limit: self.limit,
            clock: self.engine.clock,
        };
        let answer = match connection.stream {
            Stream::Plain(stream) => http::ask(stream, &question, &mut self.cookies).await,
            Stream::Tls(stream) => http::ask(stream, &question, &mut self.cookies).await,
        };
        if let (Some(detail), Layer::Done(tls)) = (answer.tls_alert, &mut progress.hop.tls) {
            tls.failure = Some(Reason::TlsAlert);
            if let Some(attempts) = &mut progress.attempts {
                attempts.mark_session_failed(Reason::TlsAlert, detail);
            }
            return HopOutcome::Failed(Reason::TlsAlert);
        }
        let mut layer = answer.layer;
        let ending = match (layer.failure, answer.body) {
            (Some(reason), _) => HopOutcome::Failed(reason),
            (None, None) => HopOutcome::Failed(Reason::HttpMalformed),
            (None, Some((body, location))) => self.next(url, location.as_deref(), body),
        };
        if let HopOutcome::Failed(reason) = ending {
            layer.failure = Some(reason);
        }
        progress.hop.http = Layer::Done(layer);
        ending
    }

    /// Where a good response leads.
    fn next(&mut self, url: &Url, location: Option<&str>, body: Vec<u8>) -> HopOutcome {
        let Some(location) = location else {
            return HopOutcome::Body(body);
        };
        let policy = &self.target.module.http;
        match redirect::step(url, location, self.target) {
            RedirectDecision::Fail(reason) => HopOutcome::Failed(reason),
            RedirectDecision::Follow(next) if !self.redirects.visit(&next, &self.cookies) => {
                HopOutcome::Failed(Reason::HttpRedirectLoop)
            }
            RedirectDecision::Follow(_) if self.steps.len() >= policy.max_redirects => {
                HopOutcome::Failed(Reason::HttpTooManyRedirects)
            }
            RedirectDecision::Follow(next) => HopOutcome::Next(next),
        }
    }

    /// Waits for what goes on beside the pipe, and puts it into the hops.
    async fn gather(self) -> Vec<Hop> {
        let mut hops = Vec::with_capacity(self.steps.len());
        for mut progress in self.steps {
            if let Some(mut attempts) = progress.attempts {
                attempts.all().await;
                if let Layer::Done(tcp) = &mut progress.hop.tcp {
                    tcp.facts = attempts.tcp().facts;
                }
                if let (Layer::Done(proxy), Some(all)) = (&mut progress.hop.proxy, attempts.proxy())
                {
                    proxy.facts = all.facts;
                }
                if let (Layer::Done(tls), Some(all)) = (&mut progress.hop.tls, attempts.tls()) {
                    tls.facts = all.facts;
                }
            }
            let mut lookups = Vec::new();
            while let Some(joined) = progress.lookups.join_next().await {
                lookups.extend(joined);
            }
            lookups.sort_by(|a, b| (&a.resolver, a.record).cmp(&(&b.resolver, b.record)));
            dns::mark_no_data(&mut lookups);
            if let Layer::Done(dns) = &mut progress.hop.dns {
                dns.facts.lookups = lookups;
            }
            hops.push(progress.hop);
        }
        hops
    }
}

/// The page layer. A large page takes longer than the probes beside it should be held up.
async fn judged(body: Vec<u8>, module: &Arc<ProbeModule>) -> LayerResult<PageFacts> {
    if body.len() < LARGE_PAGE {
        return page::judge(&body, &module.page);
    }
    let body = Arc::new(body);
    let aside = {
        let (body, module) = (Arc::clone(&body), Arc::clone(module));
        tokio::task::spawn_blocking(move || page::judge(&body, &module.page))
    };
    match aside.await {
        Ok(page) => page,
        // The runtime is ending.
        Err(_) => page::judge(&body, &module.page),
    }
}

/// The tcp layer of a target that must not be reachable.
async fn closed(
    attempts: &mut ConnectAttempts,
    hop: &mut Hop,
) -> Result<Option<Connection>, Reason> {
    attempts.all().await;
    let mut tcp = attempts.tcp();
    tcp.failure = match tcp.failure {
        None => Some(Reason::TcpUnexpectedlyOpen),
        Some(Reason::TcpLocal) => Some(Reason::TcpLocal),
        Some(_) => None,
    };
    let failure = tcp.failure;
    hop.tcp = Layer::Done(tcp);
    match failure {
        None => Ok(None),
        Some(reason) => Err(reason),
    }
}
