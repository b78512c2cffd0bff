//! One module of the file: the keys that were given, and what the probe learned in addition.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::page::instant;
use super::{Lines, Setup};
use crate::config::ProbeModule;
use crate::redact::is_redacted;
use crate::report::{Learned, PageFacts, Report};

/// Where HKEX lists its networks, name servers and addresses.
const GUIDE: &str = "CCASS Technical Guide 4.7-4.9";
/// Texts and form fields that become checks.
const MAX_TEXTS: usize = 2;
const MAX_FIELDS: usize = 8;

type Keys = Map<String, Value>;

impl Lines {
    pub(super) fn module(
        &mut self,
        module: &ProbeModule,
        report: Option<&Report>,
        setup: &Setup<'_>,
    ) {
        let mut keys = given(module, setup.file);
        let mut tls = take(&mut keys, "tls");
        let mut http = take(&mut keys, "http");
        let page = take(&mut keys, "page");
        let learned = report.map(Learned::of);
        if let Some(learned) = &learned {
            self.network(&keys, learned, setup.proxy_variable);
        }
        for (key, value) in &keys {
            self.line(4, &format!("{key}: {value}"));
        }
        if http.remove("headers").is_some() {
            self.comment(
                4,
                "http.headers are not copied: they may be secrets. Copy them by hand.",
            );
        }
        self.section("http", &http);
        match &learned {
            Some(learned) if !tls.contains_key("expected_issuers") => self.tls(&mut tls, learned),
            _ => self.section("tls", &tls),
        }
        match learned.as_ref().and_then(|learned| learned.page) {
            Some(facts) if page.is_empty() => self.page(facts, learned.as_ref()),
            _ => self.section("page", &page),
        }
    }

    fn section(&mut self, name: &str, keys: &Keys) {
        if !keys.is_empty() {
            self.line(4, &format!("{name}:"));
        }
        for (key, value) in keys {
            self.line(6, &format!("{key}: {value}"));
        }
    }

    /// What must be confirmed before it is expected.
    fn network(&mut self, keys: &Keys, learned: &Learned<'_>, proxy_variable: Option<&str>) {
        if !learned.resolvers.is_empty() && !keys.contains_key("resolvers") {
            let resolvers = learned.resolvers.join(", ");
            self.comment(
                4,
                &format!(
                    "The name servers of this host, from its system configuration: {resolvers}. They are \
                     queried without being listed. List those that the terminals use, if they are others \
                     ({GUIDE} has HKEX's):"
                ),
            );
            self.line(4, "# resolvers: [10.1.2.3]");
        }
        let is_proxied = keys.get("proxy").is_some_and(|proxy| proxy != "none");
        if !learned.addresses.is_empty() && !keys.contains_key("expected_addresses") && !is_proxied
        {
            self.comment(
                4,
                &format!(
                    "The addresses that the name had when this host asked. If {GUIDE} lists their networks, \
                     remove the \"#\": any other address is then a finding."
                ),
            );
            self.line(
                4,
                &format!("# expected_addresses: {}", json!(learned.addresses)),
            );
        }
        if let Some(variable) = proxy_variable
            && !keys.contains_key("proxy")
        {
            self.comment(
                4,
                &format!(
                    "{variable} is set in the environment of `init`, which connected directly. If the \
                     terminals use that proxy ({GUIDE} says whether HKEX expects one), remove the \"#\" \
                     and set the variable for the service too:"
                ),
            );
            self.line(4, "# proxy: system");
        }
    }

    fn tls(&mut self, tls: &mut Keys, learned: &Learned<'_>) {
        match &learned.issuer {
            Some(issuer) => {
                self.line(4, "tls:");
                self.comment(
                    6,
                    &format!(
                        "The issuer of the certificate that the server presented on {}: {}. Compare it with \
                         the certificate that Edge shows on a CCASS Terminal connected as in {GUIDE}. Any \
                         other issuer is a finding.",
                        instant(learned.at),
                        issuer.distinguished_name
                    ),
                );
                tls.insert("expected_issuers".to_owned(), json!([issuer.name]));
                for (key, value) in &*tls {
                    self.line(6, &format!("{key}: {value}"));
                }
            }
            None => {
                self.section("tls", tls);
                self.comment(
                    4,
                    "tls.expected_issuers was not learned: the probe saw no certificate that is trusted and \
                     not of a TLS inspection.",
                );
            }
        }
    }

    fn page(&mut self, facts: &PageFacts, learned: Option<&Learned<'_>>) {
        let checks = page_checks(facts);
        if checks.is_empty() {
            self.comment(
                4,
                "The page has no title, form field or heading to check: add page checks.",
            );
            return;
        }
        self.line(4, "page:");
        let at = learned.map_or(String::new(), |learned| {
            format!(" on {}", instant(learned.at))
        });
        self.comment(
            6,
            &format!(
                "From the page that the server sent{at}. Compare it with the login page in Edge on a CCASS \
                 Terminal connected as in {GUIDE}, and remove what may change."
            ),
        );
        for (key, value) in &checks {
            self.line(6, &format!("{key}: {value}"));
        }
    }
}

fn page_checks(facts: &PageFacts) -> Keys {
    let mut checks = Keys::new();
    // A title that was changed on the way here would not match.
    let is_literal = |text: &&str| {
        !is_redacted(text) && text.split_whitespace().collect::<Vec<_>>().join(" ") == **text
    };
    let title = facts.title.as_deref().filter(|title| !title.is_empty());
    if let Some(title) = title.filter(is_literal) {
        checks.insert("title".to_owned(), json!(title));
    }
    let fields = facts.form_fields.iter().map(String::as_str);
    let fields: Vec<&str> = fields.filter(is_literal).take(MAX_FIELDS).collect();
    if !fields.is_empty() {
        checks.insert("form_fields".to_owned(), json!(fields));
    }
    let texts: Vec<&String> = facts.texts.iter().take(MAX_TEXTS).collect();
    if !texts.is_empty() {
        checks.insert("contains".to_owned(), json!(texts));
    }
    checks
}

/// The keys of the given file, with paths that do not depend on its place.
fn given(module: &ProbeModule, file: Option<&Path>) -> Keys {
    let mut value = module.as_written.0.clone();
    for key in ["/tls/ca_file", "/proxy_credentials_file"] {
        if let Some(Value::String(path)) = value.pointer_mut(key)
            && let Some(directory) = file.and_then(Path::parent)
            && let Ok(absolute) = std::path::absolute(directory.join(&*path))
        {
            *path = absolute.to_string_lossy().into_owned();
        }
    }
    match value {
        Value::Object(keys) => keys,
        _ => Keys::new(),
    }
}

fn take(keys: &mut Keys, key: &str) -> Keys {
    match keys.remove(key) {
        Some(Value::Object(inner)) => inner,
        _ => Keys::new(),
    }
}
