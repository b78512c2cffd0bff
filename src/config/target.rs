//! A target as it is meant: what is probed, by which module, and what should be seen there.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::diagnostic::Diagnostics;
use super::module::ProbeModule;
use super::raw;
use crate::redact;
use crate::report::{Expectation, Role};

/// The login server that the circular names (CD/OES/CCASS/013/2023, Appendix, step 1).
pub const LOGIN_URL: &str = "https://sso.hkexposttrade.com.hk/sso";
/// The built-in target's name.
pub const LOGIN_TARGET: &str = "sso";
/// The built-in module's name.
pub const LOGIN_MODULE: &str = "login_page";

/// What is probed.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: String,
    /// https, or http where the target allows it; without credentials.
    pub url: Url,
    pub role: Role,
    pub module: Arc<ProbeModule>,
    pub expect: Expectation,
    /// Targets of one group are ways to one page.
    pub group: Option<String>,
    pub scheme: Scheme,
    /// The limit that one probe shares among its layers.
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
    /// A target that stands in no file: a URL given on the command line.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn ad_hoc(url: &str, module: Arc<ProbeModule>, timeout: Duration) -> Result<Self, String> {
        Ok(Self {
            name: url.to_owned(),
            url: probe_url(url, Scheme::HttpsOnly)?,
            role: Role::Login,
            timeout: module.limit(timeout),
            module,
            expect: Expectation::Reachable,
            group: None,
            scheme: Scheme::HttpsOnly,
        })
    }

    /// Whether it says if the login page is reached: a target that must be closed does not.
    pub fn is_login(&self) -> bool {
        self.role == Role::Login && self.expect == Expectation::Reachable
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
    /// The first of each address.
    by_url: HashMap<Url, usize>,
}

impl Targets {
    /// The target of that name.
    pub fn named(&self, name: &str) -> Option<&Arc<Target>> {
        self.all.get(*self.by_name.get(name)?)
    }

    /// The first target of that address.
    pub fn at(&self, url: &Url) -> Option<&Arc<Target>> {
        self.all.get(*self.by_url.get(url)?)
    }
}

impl FromIterator<Target> for Targets {
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        let mut targets: Self = Self {
            all: targets.into_iter().map(Arc::new).collect(),
            ..Self::default()
        };
        for (place, target) in targets.all.iter().enumerate() {
            targets.by_name.insert(target.name.clone(), place);
            targets.by_url.entry(target.url.clone()).or_insert(place);
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

/// What all targets of a file share.
pub(super) struct TargetContext<'a> {
    pub modules: &'a BTreeMap<String, Arc<ProbeModule>>,
    pub timeout: Duration,
}

/// The targets of one list of the file.
pub(super) fn validate(
    list: &[raw::Target],
    role: Role,
    context: &TargetContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Target> {
    let key = match role {
        Role::Login => "targets",
        Role::Control => "controls",
    };
    list.iter()
        .enumerate()
        .filter_map(|(index, one)| {
            validate_one(&format!("{key}[{index}]"), one, role, context, diagnostics)
        })
        .collect()
}

fn validate_one(
    key: &str,
    raw: &raw::Target,
    role: Role,
    context: &TargetContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Target> {
    let label = |text: &raw::Text, key: String, diagnostics: &mut Diagnostics| {
        if let Err(message) = super::value::label(&text.value) {
            diagnostics.at(text, key, message);
        }
    };
    label(&raw.name, format!("{key}.name"), diagnostics);
    if let Some(group) = &raw.group {
        label(group, format!("{key}.group"), diagnostics);
    }
    let scheme = if raw.allow_http {
        Scheme::HttpAllowed
    } else {
        Scheme::HttpsOnly
    };
    let url = probe_url(&raw.url.value, scheme)
        .map_err(|message| {
            if raw.url.value.contains('@') {
                diagnostics.at_secret(&raw.url, format!("{key}.url"), message)
            } else {
                diagnostics.at(&raw.url, format!("{key}.url"), message)
            }
        })
        .ok();
    let module = match &raw.module {
        None => context.modules.get(LOGIN_MODULE).cloned(),
        Some(name) => {
            let module = context.modules.get(&name.value).cloned();
            if module.is_none() {
                let known: Vec<_> = context.modules.keys().cloned().collect();
                diagnostics.at(
                    name,
                    format!("{key}.module"),
                    format!(
                        "there is no module {:?}; there are {}",
                        name.value,
                        known.join(", ")
                    ),
                );
            }
            module
        }
    };
    let expect = match raw.expect.as_ref().map(|text| (text, text.value.as_str())) {
        None | Some((_, "reachable")) => Expectation::Reachable,
        Some((_, "unreachable")) => Expectation::Unreachable,
        Some((text, _)) => {
            diagnostics.at(
                text,
                format!("{key}.expect"),
                "write one of reachable, unreachable",
            );
            Expectation::Reachable
        }
    };
    let module = module?;
    Some(Target {
        name: raw.name.value.clone(),
        url: url?,
        role,
        timeout: module.limit(context.timeout),
        module,
        expect,
        group: raw.group.as_ref().map(|group| group.value.clone()),
        scheme,
    })
}

fn probe_url(text: &str, scheme: Scheme) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("not an address ({error}); write for example {LOGIN_URL}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "credentials in the address are refused: this program never logs in".to_owned(),
        );
    }
    if redact::contains_email(text) {
        return Err("an e-mail address stands in it; the address of a page holds none".to_owned());
    }
    match (url.scheme(), scheme) {
        ("https", _) | ("http", Scheme::HttpAllowed) => {}
        ("http", Scheme::HttpsOnly) => {
            return Err(
                "plain http is refused; a target may ask for it with allow_http: true".to_owned(),
            );
        }
        (other, _) => {
            return Err(format!(
                "{other} is refused; the address begins with https://"
            ));
        }
    }
    if url.host().is_none() {
        return Err("the address names no host".to_owned());
    }
    Ok(url)
}
