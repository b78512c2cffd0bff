//! The keys `targets` and `controls`: what is probed, with which module, and what is expected.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::module::ProbeModule;
use super::raw::{RawConfig, RawTarget};
use super::section::Section;
use crate::diagnostics::Text;
use crate::label;
use crate::redact;
use crate::report::{Expectation, Role};

/// The login page of the circular (CD/OES/CCASS/013/2023, Appendix, step 1).
pub const LOGIN_URL: &str = "https://sso.hkexposttrade.com.hk/sso";
/// The built-in target's name.
pub const LOGIN_TARGET: &str = "sso";
/// The built-in module's name.
pub const LOGIN_MODULE: &str = "login_page";

/// A URL to probe.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: String,
    /// `https`, or `http` if [`Self::scheme`] allows it; without credentials.
    pub url: Url,
    pub role: Role,
    pub module: Arc<ProbeModule>,
    pub expect: Expectation,
    /// Targets of one group are paths to the same page.
    pub group: Option<String>,
    pub scheme: Scheme,
    /// Shared by all layers of one probe.
    pub timeout: Duration,
}

/// Whether plain http is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    HttpsOnly,
    HttpAllowed,
}

impl Target {
    /// A target that is not configured, such as a URL on the command line.
    ///
    /// # Errors
    /// The URL is invalid, not `https`, or holds credentials or an e-mail address.
    pub fn ad_hoc(url: &str, module: Arc<ProbeModule>, timeout: Duration) -> Result<Self, String> {
        Ok(Self {
            name: url.to_owned(),
            url: probe_url(url, Scheme::HttpsOnly)?,
            role: Role::Login,
            timeout: module.timeout_within(timeout),
            module,
            expect: Expectation::Reachable,
            group: None,
            scheme: Scheme::HttpsOnly,
        })
    }

    /// Whether a successful probe proves that the login page is reachable.
    pub fn is_login(&self) -> bool {
        self.role == Role::Login
    }

    pub(super) fn built_in(module: Arc<ProbeModule>, timeout: Duration) -> Result<Self, String> {
        Ok(Self {
            name: LOGIN_TARGET.to_owned(),
            group: Some(LOGIN_TARGET.to_owned()),
            ..Self::ad_hoc(LOGIN_URL, module, timeout)?
        })
    }
}

/// All targets, login targets first, then controls; names are unique.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    all: Vec<Arc<Target>>,
    by_name: HashMap<String, usize>,
    /// The first target of each URL.
    by_url: HashMap<Url, usize>,
}

/// Names that a message about an unknown target lists.
const MAX_SUGGESTIONS: usize = 5;

impl Targets {
    pub fn named(&self, name: &str) -> Option<&Arc<Target>> {
        self.all.get(*self.by_name.get(name)?)
    }

    /// The message for a name that no target has, with the most similar names.
    pub fn unknown(&self, name: &str) -> String {
        let mut names: Vec<&str> = self.all.iter().map(|target| target.name.as_str()).collect();
        names.sort_by_cached_key(|known| strsim::damerau_levenshtein(known, name));
        let more = names.len().saturating_sub(MAX_SUGGESTIONS);
        names.truncate(MAX_SUGGESTIONS);
        let known = match (names.as_slice(), more) {
            ([], _) => "no target is configured".to_owned(),
            (names, 0) => format!("configured targets: {}", names.join(", ")),
            (names, more) => format!("similar targets: {} and {more} others", names.join(", ")),
        };
        format!("Unknown target {name:?}; {known}")
    }

    /// The first target with that URL.
    pub fn at(&self, url: &Url) -> Option<&Arc<Target>> {
        self.all.get(*self.by_url.get(url)?)
    }
}

impl FromIterator<Target> for Targets {
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        let mut targets = Self {
            all: targets.into_iter().map(Arc::new).collect(),
            ..Self::default()
        };
        for (index, target) in targets.all.iter().enumerate() {
            targets.by_name.insert(target.name.clone(), index);
            targets.by_url.entry(target.url.clone()).or_insert(index);
        }
        targets
    }
}

impl Deref for Targets {
    type Target = [Arc<Target>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

/// The targets and controls of the file; without `targets`, the built-in target.
pub(super) fn validate(
    raw: &RawConfig,
    modules: &BTreeMap<String, Arc<ProbeModule>>,
    timeout: Duration,
    section: &mut Section<'_>,
) -> Targets {
    let mut context = Context {
        modules,
        timeout,
        lines: BTreeMap::new(),
    };
    let mut targets = Vec::new();
    if raw.targets.is_none() {
        context.lines.insert(LOGIN_TARGET.to_owned(), None);
        let module = modules.get(LOGIN_MODULE).cloned();
        targets.extend(module.and_then(|module| Target::built_in(module, timeout).ok()));
    }
    let lists = [
        (
            "targets",
            Role::Login,
            raw.targets.as_deref().unwrap_or_default(),
        ),
        ("controls", Role::Control, &raw.controls),
    ];
    for (list, role, raw) in lists {
        for (index, raw) in raw.iter().enumerate() {
            let section = section.below(&format!("{list}[{index}]"));
            targets.extend(context.validate(raw, role, section));
        }
    }
    targets.into_iter().collect()
}

/// What the targets of a file share.
struct Context<'a> {
    modules: &'a BTreeMap<String, Arc<ProbeModule>>,
    timeout: Duration,
    /// The line of each name so far; `None` for the built-in target.
    lines: BTreeMap<String, Option<u64>>,
}

impl Context<'_> {
    fn validate(
        &mut self,
        raw: &RawTarget,
        role: Role,
        mut section: Section<'_>,
    ) -> Option<Target> {
        section.parse("name", &raw.name, label::check);
        self.check_duplicate(&raw.name, &mut section);
        section.optional("group", &raw.group, label::check);
        if raw.url.value.contains('@') {
            section.hide(&raw.url);
        }
        let scheme = if raw.allow_http {
            Scheme::HttpAllowed
        } else {
            Scheme::HttpsOnly
        };
        let url = section.parse("url", &raw.url, |text| probe_url(text, scheme));
        let module = match &raw.module {
            None => self.modules.get(LOGIN_MODULE).cloned(),
            Some(name) => section.parse("module", name, |name| self.module(name)),
        };
        let expectations = [
            ("reachable", Expectation::Reachable),
            ("unreachable", Expectation::Unreachable),
        ];
        let module = module?;
        let expect = section.choice("expect", &raw.expect, &expectations);
        Some(Target {
            name: raw.name.value.clone(),
            url: url?,
            role: match expect {
                Expectation::Reachable => role,
                Expectation::Unreachable => Role::Closed,
            },
            timeout: module.timeout_within(self.timeout),
            module,
            expect,
            group: raw.group.as_ref().map(|group| group.value.clone()),
            scheme,
        })
    }

    fn check_duplicate(&mut self, name: &Text, section: &mut Section<'_>) {
        let line = Some(name.referenced.line());
        let message = match self.lines.insert(name.value.clone(), line) {
            None => return,
            Some(None) => format!(
                "{:?} is the built-in target; choose another name",
                name.value
            ),
            Some(Some(first)) => format!(
                "duplicate target {:?}, first on line {first}; choose another name",
                name.value
            ),
        };
        section.error(name, "name", message);
    }

    fn module(&self, name: &str) -> Result<Arc<ProbeModule>, String> {
        self.modules.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.modules.keys().map(String::as_str).collect();
            format!(
                "unknown module {name:?}; configured modules: {}",
                known.join(", ")
            )
        })
    }
}

/// What the URL parser would repair in silence, so that the URL means something else than it says.
fn repair(text: &str) -> Option<&'static str> {
    if text.trim() != text || text.contains(char::is_control) {
        return Some("the URL has spaces around it, or tabs or line breaks in it");
    }
    let in_front_of_query = text.split(['?', '#']).next().unwrap_or_default();
    if in_front_of_query.contains('\\') {
        return Some("the URL has a backslash");
    }
    let Some((_, rest)) = text.split_once("://") else {
        return Some("two slashes are missing behind the scheme");
    };
    if rest.starts_with('/') {
        return Some("too many slashes follow the scheme");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("the URL has an @ in front of its host");
    }
    if authority.contains('%') {
        return Some("the host is percent-encoded");
    }
    let name = authority.split(':').next().unwrap_or_default();
    if !authority.starts_with('[') && name.trim_end_matches('.').split('.').any(str::is_empty)
        || name.ends_with("..")
    {
        return Some("a label of the host is empty");
    }
    None
}

fn without_empty_labels(mut url: Url) -> Url {
    let labels = url.domain().unwrap_or_default().split('.');
    let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
    let name = labels.join(".");
    if !name.is_empty() {
        // It fails only for URLs without a host.
        let _ = url.set_host(Some(&name));
    }
    url
}

fn probe_url(text: &str, scheme: Scheme) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("invalid URL ({error}); use for example {LOGIN_URL}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("remove the credentials from the URL: this program never logs in".to_owned());
    }
    if redact::contains_email(text) {
        return Err("remove the e-mail address from the URL".to_owned());
    }
    match (url.scheme(), scheme) {
        ("https", _) | ("http", Scheme::HttpAllowed) => {}
        ("http", Scheme::HttpsOnly) => {
            return Err("http is not allowed; use https, or set allow_http: true".to_owned());
        }
        (other, _) => return Err(format!("scheme {other:?} is not supported; use https")),
    }
    if let Some(repair) = repair(text) {
        return Err(format!("{repair}; write {}", without_empty_labels(url)));
    }
    if url.host().is_none() {
        return Err("the URL has no host".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_only_parse_after_a_repair_are_refused_with_the_corrected_form() {
        for (text, corrected) in [
            ("https:///x", "https://x/"),
            ("https:/x.test/", "https://x.test/"),
            ("https:x.test/", "https://x.test/"),
            ("https:\\\\x.test\\a", "https://x.test/a"),
            ("https://x.te\tst/", "https://x.test/"),
            (" https://x.test/ ", "https://x.test/"),
            ("https://x.test/a\n", "https://x.test/a"),
            ("https://%78.test/", "https://x.test/"),
            ("https://@x.test/", "https://x.test/"),
            ("https://x..test/", "https://x.test/"),
            ("https://.x.test/", "https://x.test/"),
            ("https://x.test../", "https://x.test/"),
        ] {
            let message = probe_url(text, Scheme::HttpsOnly).unwrap_err();
            assert!(
                message.ends_with(&format!("write {corrected}")),
                "{text:?}: {message}"
            );
        }
        for text in [
            "https://x.test",
            "HTTPS://X.test:443/a%20b?c=d%0A#e",
            "https://x.test./",
            "https://x.test/?path=a\\b",
            "https://[2001:db8::1]:8443/",
            "https://10.1.2.3/",
        ] {
            assert!(probe_url(text, Scheme::HttpsOnly).is_ok(), "{text}");
        }
    }
}
