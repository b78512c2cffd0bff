//! The engine: probes a [`Target`] and returns a [`Report`], always; a target's failure is data.
//!
//! `probe_run` goes hop by hop (the target's URL, then each redirect that is followed), `layers`
//! layer by layer: [`dns`], then [`connect`] (tcp, proxy and tls on every address), [`http`],
//! [`page`]. Measurements in the background (the other addresses, each resolver) end when the
//! verdict is known, and all share one time limit. The engine does not depend on its callers.

mod certificate;
mod connect;
mod dns;
mod findings;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod http;
mod issuer_fetch;
mod layers;
pub mod page;
mod probe_run;
mod progress;
mod proxy;
mod redirect;
mod signature_cache;
mod tcp;
mod tls;
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use crate::clock::Clock;
use crate::config::{AllowedHosts, ProbeModule, Target};
use crate::redact::redact_emails;
use crate::report::{PageVerdict, Report, Verdict};
use crate::terminal::is_unsafe;
use certificate::MAX_CHAIN;
pub use dns::resolver_count;
use issuer_fetch::IssuerCache;
pub use probe_run::ForbiddenAddress;
use probe_run::ProbeRun;
pub use progress::LayerStarted;
use progress::Progress;
use tls::TlsClient;
pub use trust::{FetchedIssuer, Roots, TrustAnchors, TrustResult};

/// Strings from outside are cut to this many characters.
const MAX_TEXT: usize = 256;

/// Probes targets.
#[derive(Clone, Debug)]
pub struct Engine {
    clock: Clock,
    roots: Roots,
    clients: BTreeMap<String, TlsClients>,
    site: Option<String>,
    watcher: Option<UnboundedSender<LayerStarted>>,
}

/// The TLS clients of a module.
#[derive(Clone, Debug)]
struct TlsClients {
    targets: Arc<TlsClient>,
    resolvers: Arc<TlsClient>,
    /// Fetched intermediates.
    issuers: Arc<IssuerCache>,
}

impl TlsClients {
    fn of(module: &ProbeModule, roots: &Roots, clock: Clock) -> Self {
        let targets = TlsClient::of(module, roots, clock);
        Self {
            resolvers: Arc::new(targets.for_resolvers()),
            targets: Arc::new(targets),
            issuers: Arc::default(),
        }
    }
}

impl Engine {
    /// An engine for targets of these modules, at `site`.
    pub fn new(
        modules: &BTreeMap<String, Arc<ProbeModule>>,
        roots: &Roots,
        site: Option<String>,
        clock: Clock,
    ) -> Self {
        tls::prepare();
        let clients = modules.iter();
        let clients =
            clients.map(|(name, module)| (name.clone(), TlsClients::of(module, roots, clock)));
        Self {
            clock,
            roots: roots.clone(),
            clients: clients.collect(),
            site,
            watcher: None,
        }
    }

    /// The same engine, which sends each layer that a probe starts to `watcher`.
    #[must_use]
    pub fn watched_by(mut self, watcher: UnboundedSender<LayerStarted>) -> Self {
        self.watcher = Some(watcher);
        self
    }

    /// Probes `target` once, within the target's time limit.
    pub async fn probe(&self, target: &Target) -> Report {
        self.run(target, None).await.0
    }

    /// Probes a target that a client named. The addresses of each name are checked before anything
    /// connects to them, and the same addresses are connected to.
    ///
    /// # Errors
    /// The first address that may not be connected to.
    pub async fn probe_allowed(
        &self,
        target: &Target,
        allowed: &AllowedHosts,
    ) -> Result<Report, ForbiddenAddress> {
        match self.run(target, Some(allowed)).await {
            (report, None) => Ok(report),
            (_, Some(forbidden)) => Err(forbidden),
        }
    }

    async fn run(
        &self,
        target: &Target,
        allowed: Option<&AllowedHosts>,
    ) -> (Report, Option<ForbiddenAddress>) {
        let progress = Progress::new(&target.name, self.watcher.as_ref());
        let mut run = ProbeRun::new(self, target, allowed, progress);
        let started = self.clock.now();
        let (failure, page) = run.run().await;
        let duration = run.limit.elapsed();
        let forbidden = run.forbidden.take();
        let hops = run.finish().await;
        let is_checked = page.facts().is_some_and(|facts| !facts.checks.is_empty());
        let verdict = match failure {
            Some(reason) => Verdict::of(reason),
            None if is_checked => Verdict::Good {
                page: PageVerdict::Checked,
            },
            None => Verdict::Good {
                page: PageVerdict::Unchecked,
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
            findings: findings::of(&hops, &target.module, self.roots.platform_is_empty()),
            hops,
            page,
            browser: None,
            browser_not_started: None,
        };
        (report, forbidden)
    }
}

/// A fact made of `text` that a server sent: without e-mail addresses and without characters that move
/// the cursor or change the direction of text, cut to a length that fits a label or a line. Every such
/// text passes here, so that nothing that renders facts has to redact.
fn bounded(text: &str) -> String {
    redact_emails(text)
        .chars()
        .map(|c| if is_unsafe(c) { ' ' } else { c })
        .take(MAX_TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::redact::contains_email;

    proptest! {
        #[test]
        fn texts_of_servers_are_short_and_have_no_address_and_no_control_character(
            text in prop_oneof![any::<String>(), "([a-z.@ \u{202e}\u{9b}\n<>\"-]{0,40}){0,20}"],
        ) {
            let text = bounded(&text);
            prop_assert!(text.chars().count() <= MAX_TEXT);
            prop_assert!(!text.chars().any(char::is_control));
            prop_assert!(!text.chars().any(is_unsafe));
            prop_assert!(!contains_email(&text), "{text}");
        }
    }
}
