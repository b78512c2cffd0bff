//! One probe in progress: hop by hop to the verdict, then to the facts that come later.

use std::net::IpAddr;
use std::sync::Arc;

use cookie_store::CookieStore;
use tokio::task::JoinSet;
use url::Url;

use super::connect::{ConnectAttempts, ConnectParams};
use super::page::{Page, refresh};
use super::progress::Progress;
use super::redirect::{self, RedirectHistory};
use super::{Engine, TlsClients, bounded, dns};
use crate::clock::{Clock, TimeLimit};
use crate::config::{AllowedHosts, ProbeModule, Redirects, Target};
use crate::report::{Hop, HopKind, Layer, LayerResult, Lookup, PageFacts, Reason};

/// A page from this size on is evaluated on another thread: about a millisecond's work.
const LARGE_PAGE: usize = 48 * 1024;

/// An address that the probe would have connected to, but may not, and the host that has it.
#[derive(Clone, Debug)]
pub struct ForbiddenAddress {
    pub host: String,
    pub address: IpAddr,
}

pub(super) struct ProbeRun<'a> {
    pub target: &'a Target,
    pub clients: TlsClients,
    pub clock: Clock,
    /// Where the probe may connect to; `None` allows everything.
    pub allowed: Option<&'a AllowedHosts>,
    /// What ended the probe because nothing may connect to it.
    pub forbidden: Option<ForbiddenAddress>,
    pub limit: TimeLimit,
    pub progress: Progress,
    pub cookies: CookieStore,
    redirects: RedirectHistory,
    hops: Vec<HopProgress>,
}

/// A hop, and its measurements that are still in progress.
pub(super) struct HopProgress {
    pub hop: Hop,
    pub lookups: JoinSet<Lookup>,
    pub attempts: Option<ConnectAttempts>,
    /// For another connection to the same address.
    pub params: Option<ConnectParams>,
}

/// How a hop ended.
pub(super) enum HopOutcome {
    Failed(Reason),
    Next(Url, HopKind),
    Page(Page),
    /// The target must not be reachable, and is not.
    Closed,
}

impl<'a> ProbeRun<'a> {
    pub fn new(
        engine: &Engine,
        target: &'a Target,
        allowed: Option<&'a AllowedHosts>,
        progress: Progress,
    ) -> Self {
        let module = &target.module;
        let clients = engine.clients.get(&module.name).cloned();
        let new_clients = || TlsClients::of(module, &engine.roots, engine.clock);
        Self {
            target,
            clients: clients.unwrap_or_else(new_clients),
            clock: engine.clock,
            allowed,
            forbidden: None,
            limit: TimeLimit::starting_now(target.timeout),
            progress,
            cookies: CookieStore::default(),
            redirects: RedirectHistory::default(),
            hops: Vec::new(),
        }
    }

    /// Follows the critical path to the verdict: the failure, if any, and the page layer.
    pub async fn run(&mut self) -> (Option<Reason>, Layer<PageFacts>) {
        let mut url = self.target.url.clone();
        self.redirects.visit(&url, &self.cookies);
        let mut kind = None;
        loop {
            match self.hop(&url, kind).await {
                HopOutcome::Next(next, by) => {
                    url = next;
                    kind = Some(by);
                    self.progress.next_hop();
                }
                HopOutcome::Failed(reason) => return (Some(reason), Layer::NotReached),
                HopOutcome::Closed => return (None, Layer::NotApplicable),
                HopOutcome::Page(page) => {
                    let page = evaluate_page(page, &self.target.module).await;
                    return (page.failure, Layer::Done(page));
                }
            }
        }
    }

    async fn hop(&mut self, url: &Url, kind: Option<HopKind>) -> HopOutcome {
        let host = bounded(url.host_str().unwrap_or_default());
        let is_new_name = self.hops.iter().all(|one| one.hop.host != host);
        let mut progress = HopProgress {
            hop: Hop {
                kind,
                url: bounded(url.as_str()),
                host,
                ..Hop::default()
            },
            lookups: JoinSet::new(),
            attempts: None,
            params: None,
        };
        let outcome = self.layers(url, &mut progress, is_new_name).await;
        let outcome = outcome.unwrap_or_else(HopOutcome::Failed);
        self.hops.push(progress);
        outcome
    }

    /// Where a good response leads.
    pub fn follow(&mut self, url: &Url, location: &str) -> Result<HopOutcome, Reason> {
        let next = redirect::next(url, location, self.target)?;
        if !self.redirects.visit(&next, &self.cookies) {
            return Err(Reason::HttpRedirectLoop);
        }
        if self.hops.len() >= self.target.module.http.max_redirects {
            return Err(Reason::HttpTooManyRedirects);
        }
        Ok(HopOutcome::Next(next, HopKind::Redirect))
    }

    /// Where a good page leads by itself, if a browser would go there; else the page. One that only
    /// loads itself again is the page.
    pub fn refresh(
        &mut self,
        url: &Url,
        page: Page,
        header: Option<&str>,
    ) -> Result<HopOutcome, Reason> {
        let by_header = header.and_then(refresh::parse);
        let (refresh, kind) = match (&by_header, page.refresh()) {
            (Some(refresh), _) => (refresh, HopKind::RefreshHeader),
            (None, Some(refresh)) => (refresh, HopKind::MetaRefresh),
            (None, None) => return Ok(HopOutcome::Page(page)),
        };
        let next = url.join(&refresh.location);
        let leads_on = |next: &Url| {
            let is_page = |one: &Url| matches!(one.scheme(), "http" | "https");
            let is_repeated = next == url && self.redirects.contains(next, &self.cookies);
            refresh.is_immediate() && is_page(next) && !is_repeated
        };
        let follows = self.target.module.http.redirects != Redirects::None;
        match next.ok().filter(|next| follows && leads_on(next)) {
            None => Ok(HopOutcome::Page(page)),
            Some(_) => match self.follow(url, &refresh.location)? {
                HopOutcome::Next(next, _) => Ok(HopOutcome::Next(next, kind)),
                other => Ok(other),
            },
        }
    }

    /// Waits for the measurements in progress and adds them to the hops.
    pub async fn finish(self) -> Vec<Hop> {
        let mut hops = Vec::with_capacity(self.hops.len());
        for mut progress in self.hops {
            if let Some(attempts) = progress.attempts {
                attempts.finish(&mut progress.hop).await;
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

/// Reads a page. A large one takes longer than concurrent probes should wait.
pub(super) async fn read_page(body: Vec<u8>, content_type: Option<String>) -> Option<Page> {
    if body.len() < LARGE_PAGE {
        return Some(Page::parse(body, content_type.as_deref()));
    }
    let parse = move || Page::parse(body, content_type.as_deref());
    // The task fails only if the runtime is shutting down.
    tokio::task::spawn_blocking(parse).await.ok()
}

/// The page layer.
async fn evaluate_page(page: Page, module: &Arc<ProbeModule>) -> LayerResult<PageFacts> {
    if page.size() < LARGE_PAGE {
        return page.evaluate(&module.page);
    }
    let page = Arc::new(page);
    let task = {
        let (page, module) = (Arc::clone(&page), Arc::clone(module));
        tokio::task::spawn_blocking(move || page.evaluate(&module.page))
    };
    let outcome = task.await;
    outcome.unwrap_or_else(|_| page.evaluate(&module.page))
}
