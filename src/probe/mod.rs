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

mod approach;
mod certificate;
mod dns;
mod findings;
mod http;
pub mod page;
mod proxy;
mod redirect;
mod signature;
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
    DnsFacts, Expectation, Hop, Layer, Lookup, PageFacts, PageVerdict, Ran, Reason, Report, Verdict,
};
use approach::{Approaches, Plan, Stream, Winner};
use certificate::MAX_CHAIN;
pub use dns::resolver_count;
use proxy::Passage;
use redirect::{Step, Trail};
pub use trust::{Anchors, Judgement, Roots, judge};

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
            trail: Trail::default(),
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
                page: match page.facts().is_some_and(|facts| !facts.checks.is_empty()) {
                    true => PageVerdict::Checked,
                    false => PageVerdict::Unchecked,
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
    trail: Trail,
    steps: Vec<Walked>,
}

/// A hop that was walked, with what still goes on beside it.
struct Walked {
    hop: Hop,
    lookups: JoinSet<Lookup>,
    approaches: Option<Approaches>,
}

/// How a hop ended.
enum Ending {
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
        self.trail.visit(&url, &self.cookies);
        loop {
            match self.hop(&url).await {
                Ending::Next(next) => url = next,
                Ending::Failed(reason) => return (Some(reason), Layer::NotReached),
                Ending::Closed => return (None, Layer::NotNeeded),
                Ending::Body(body) => {
                    let page = judged(body, &self.target.module).await;
                    return (page.failure, Layer::Ran(page));
                }
            }
        }
    }

    async fn hop(&mut self, url: &Url) -> Ending {
        let host = bounded(url.host_str().unwrap_or_default());
        let first_of_its_name = self.steps.iter().all(|step| step.hop.host != host);
        let mut walked = Walked {
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
            approaches: None,
        };
        let ending = self.walk(url, &mut walked, first_of_its_name).await;
        self.steps.push(walked);
        ending
    }

    async fn walk(&mut self, url: &Url, walked: &mut Walked, ask_resolvers: bool) -> Ending {
        let passage = match self.passage(url) {
            Ok(passage) => passage,
            Err(reason) => return Ending::Failed(reason),
        };
        let host = match &passage {
            Some(passage) => Some(passage.proxy.host.clone()),
            None => {
                walked.hop.proxy = Layer::NotNeeded;
                url.host().map(|host| host.to_owned())
            }
        };
        let resolved = self.resolve(host, walked, ask_resolvers).await;
        if self.leads_astray(url, passage.is_some(), walked, &resolved) {
            return Ending::Failed(Reason::DnsSinkhole);
        }
        let addresses = match resolved {
            Ok(addresses) => addresses,
            Err(reason) => return Ending::Failed(reason),
        };
        let winner = match self.connect(url, passage, walked, &addresses).await {
            Ok(Some(winner)) => winner,
            Ok(None) => return Ending::Closed,
            Err(reason) => return Ending::Failed(reason),
        };
        self.ask(url, walked, winner).await
    }

    /// Whether the probe would connect to what it may not. A proxy is the configuration's own choice,
    /// and resolves the name itself.
    fn leads_astray(
        &mut self,
        url: &Url,
        by_proxy: bool,
        walked: &Walked,
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
        let seen = walked.hop.dns.facts();
        let seen = seen.map(|facts| facts.followed.addresses.as_slice());
        let usable = resolved.as_deref().unwrap_or_default();
        let all: Vec<IpAddr> = match by_proxy {
            true => literal.into_iter().collect(),
            false => [usable, seen.unwrap_or_default()].concat(),
        };
        let port = url.port_or_known_default().unwrap_or(443);
        self.forbidden = allowed.forbidden(&all, port);
        self.forbidden.is_some()
    }

    /// The way through a proxy, where `url` goes through one. What must not be reachable is asked for
    /// directly: a proxy is always open.
    fn passage(&self, url: &Url) -> Result<Option<Passage>, Reason> {
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
        Ok(Some(Passage::to(url, proxy, tls, user_agent)))
    }

    /// The dns layer: of the target's host, or of the proxy's.
    async fn resolve(
        &self,
        host: Option<Host>,
        walked: &mut Walked,
        ask_resolvers: bool,
    ) -> Result<Vec<IpAddr>, Reason> {
        let module = &self.target.module;
        let host = match &host {
            Some(Host::Ipv4(address)) => {
                walked.hop.dns = Layer::NotNeeded;
                return Ok(vec![(*address).into()]);
            }
            Some(Host::Ipv6(address)) => {
                walked.hop.dns = Layer::NotNeeded;
                return Ok(vec![(*address).into()]);
            }
            Some(Host::Domain(host)) => host.as_str(),
            None => return Err(Reason::DnsMalformed),
        };
        let client = self.engine.clients.get(&module.name);
        let asker = dns::Asker {
            module,
            system: &dns::System::read_for(module),
            client: &client.ok_or(Reason::DnsTls)?.resolvers,
            limit: self.limit,
        };
        if ask_resolvers {
            walked.lookups = dns::ask_each(&asker, host);
        }
        let followed = dns::follow(&asker, host).await;
        let usable = dns::usable(module, host, &followed.facts.addresses);
        let failure = followed.failure;
        walked.hop.dns = Layer::Ran(Ran {
            duration: followed.duration,
            failure,
            facts: DnsFacts {
                followed: followed.facts,
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
        passage: Option<Passage>,
        walked: &mut Walked,
        addresses: &[IpAddr],
    ) -> Result<Option<Winner>, Reason> {
        let must_be_closed = self.target.expect == Expectation::Unreachable;
        let session = match url.scheme() {
            "https" if !must_be_closed => Some(self.session(url)?),
            _ => {
                walked.hop.tls = Layer::NotNeeded;
                None
            }
        };
        let port = match &passage {
            Some(passage) => passage.proxy.port,
            None => url.port_or_known_default().unwrap_or(443),
        };
        let plan = Plan {
            port,
            source: self.target.module.source_address,
            passage,
            session,
            limit: self.limit,
        };
        let approaches = walked
            .approaches
            .insert(Approaches::start(addresses, &plan));
        if must_be_closed {
            return closed(approaches, &mut walked.hop).await;
        }
        let winner = approaches.first().await;
        let tcp = approaches.tcp();
        let proxy = approaches.proxy();
        let tls = approaches.tls();
        let failure = tcp
            .failure
            .or(proxy.as_ref().and_then(|proxy| proxy.failure))
            .or(tls.as_ref().and_then(|tls| tls.failure));
        walked.hop.tcp = Layer::Ran(tcp);
        if let Some(proxy) = proxy {
            walked.hop.proxy = Layer::Ran(proxy);
        }
        if let Some(tls) = tls {
            walked.hop.tls = Layer::Ran(tls);
        }
        match winner {
            Some(winner) => Ok(Some(winner)),
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
    async fn ask(&mut self, url: &Url, walked: &mut Walked, winner: Winner) -> Ending {
        let question = http::Question {
            url,
            policy: &self.target.module.http,
            protocol: winner.protocol,
            answered_by: winner.answered_by,
            limit: self.limit,
            clock: self.engine.clock,
        };
        let answer = match winner.stream {
            Stream::Plain(stream) => http::ask(stream, &question, &mut self.cookies).await,
            Stream::Tls(stream) => http::ask(stream, &question, &mut self.cookies).await,
        };
        if let (Some(detail), Layer::Ran(tls)) = (answer.tls_alert, &mut walked.hop.tls) {
            tls.failure = Some(Reason::TlsAlert);
            if let Some(approaches) = &mut walked.approaches {
                approaches.fail_chosen(Reason::TlsAlert, detail);
            }
            return Ending::Failed(Reason::TlsAlert);
        }
        let mut layer = answer.layer;
        let ending = match (layer.failure, answer.body) {
            (Some(reason), _) => Ending::Failed(reason),
            (None, None) => Ending::Failed(Reason::HttpMalformed),
            (None, Some((body, location))) => self.next(url, location.as_deref(), body),
        };
        if let Ending::Failed(reason) = ending {
            layer.failure = Some(reason);
        }
        walked.hop.http = Layer::Ran(layer);
        ending
    }

    /// Where a good response leads.
    fn next(&mut self, url: &Url, location: Option<&str>, body: Vec<u8>) -> Ending {
        let Some(location) = location else {
            return Ending::Body(body);
        };
        let policy = &self.target.module.http;
        match redirect::step(url, location, self.target) {
            Step::Fail(reason) => Ending::Failed(reason),
            Step::Follow(next) if !self.trail.visit(&next, &self.cookies) => {
                Ending::Failed(Reason::HttpRedirectLoop)
            }
            Step::Follow(_) if self.steps.len() >= policy.max_redirects => {
                Ending::Failed(Reason::HttpTooManyRedirects)
            }
            Step::Follow(next) => Ending::Next(next),
        }
    }

    /// Waits for what goes on beside the pipe, and puts it into the hops.
    async fn gather(self) -> Vec<Hop> {
        let mut hops = Vec::with_capacity(self.steps.len());
        for mut walked in self.steps {
            if let Some(mut approaches) = walked.approaches {
                approaches.all().await;
                if let Layer::Ran(tcp) = &mut walked.hop.tcp {
                    tcp.facts = approaches.tcp().facts;
                }
                if let (Layer::Ran(proxy), Some(all)) = (&mut walked.hop.proxy, approaches.proxy())
                {
                    proxy.facts = all.facts;
                }
                if let (Layer::Ran(tls), Some(all)) = (&mut walked.hop.tls, approaches.tls()) {
                    tls.facts = all.facts;
                }
            }
            let mut lookups = Vec::new();
            while let Some(joined) = walked.lookups.join_next().await {
                lookups.extend(joined);
            }
            lookups.sort_by(|a, b| (&a.resolver, a.record).cmp(&(&b.resolver, b.record)));
            dns::mark_no_data(&mut lookups);
            if let Layer::Ran(dns) = &mut walked.hop.dns {
                dns.facts.lookups = lookups;
            }
            hops.push(walked.hop);
        }
        hops
    }
}

/// The page layer. A large page takes longer than the probes beside it should be held up.
async fn judged(body: Vec<u8>, module: &Arc<ProbeModule>) -> Ran<PageFacts> {
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
async fn closed(approaches: &mut Approaches, hop: &mut Hop) -> Result<Option<Winner>, Reason> {
    approaches.all().await;
    let mut tcp = approaches.tcp();
    tcp.failure = match tcp.failure {
        None => Some(Reason::TcpUnexpectedlyOpen),
        Some(Reason::TcpLocal) => Some(Reason::TcpLocal),
        Some(_) => None,
    };
    let failure = tcp.failure;
    hop.tcp = Layer::Ran(tcp);
    match failure {
        None => Ok(None),
        Some(reason) => Err(reason),
    }
}
