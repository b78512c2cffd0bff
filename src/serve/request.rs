//! A request without its body, and the configuration that was active when it arrived.

use std::sync::Arc;

use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use url::form_urlencoded;

use super::state::ActiveConfig;
use crate::config::Config;

pub struct RequestContext {
    pub parts: Parts,
    pub active: Arc<ActiveConfig>,
    /// `http` or `https`, as the listener was reached.
    pub scheme: &'static str,
}

impl RequestContext {
    pub fn config(&self) -> &Config {
        &self.active.config
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, key: &str) -> Option<String> {
        self.parameters(key).next()
    }

    pub fn parameters(&self, key: &str) -> impl Iterator<Item = String> {
        let query = self.parts.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.into_owned())
    }

    /// The host and port that the client used: the Host header, or `:authority` in HTTP/2.
    pub fn authority(&self) -> Option<String> {
        let authority: Option<Authority> = match self.parts.headers.get(HOST) {
            Some(host) => host.to_str().ok()?.parse().ok(),
            None => self.parts.uri.authority().cloned(),
        };
        authority.map(|authority| authority.as_str().to_owned())
    }
}
