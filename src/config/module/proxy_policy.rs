//! The key `proxy` of a module: whether targets are reached directly or through a web proxy.

use std::sync::Arc;

use url::Url;

use super::environment_proxies::EnvironmentProxies;
use super::proxy::{Credentials, Proxy};
use crate::config::raw::RawModule;
use crate::config::section::Section;

/// Which proxy a request goes through.
#[derive(Clone, Debug, Default)]
pub enum ProxyPolicy {
    #[default]
    Direct,
    /// As configured in the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
    System(Arc<EnvironmentProxies>),
    Always(Arc<Proxy>),
}

impl ProxyPolicy {
    pub(super) fn validate(raw: &RawModule, section: &mut Section<'_>) -> Self {
        if let Some(text) = &raw.proxy
            && text.value.contains('@')
        {
            section.hide(text);
        }
        let policy = section.optional("proxy", &raw.proxy, Self::parse);
        let policy = policy.unwrap_or_default();
        let Some(file) = &raw.proxy_credentials_file else {
            return policy;
        };
        let path = section.path(file);
        let key = "proxy_credentials_file";
        let credentials = section.parse(key, file, |_| Credentials::read(&path));
        match (policy, credentials) {
            (Self::Always(proxy), credentials @ Some(_)) => Self::Always(Arc::new(Proxy {
                credentials,
                ..Proxy::clone(&proxy)
            })),
            (policy @ (Self::Direct | Self::System(_)), Some(_)) => {
                let message = "the credentials belong to one proxy; set its URL as proxy";
                section.error(file, key, message);
                policy
            }
            (policy, None) => policy,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::Direct),
            "system" => EnvironmentProxies::read().map(|proxies| Self::System(Arc::new(proxies))),
            url => Proxy::parse(url).map(|proxy| Self::Always(Arc::new(proxy))),
        }
    }

    /// The proxy for `url`; `None` for a direct connection.
    pub fn of(&self, url: &Url) -> Option<Arc<Proxy>> {
        match self {
            Self::Direct => None,
            Self::Always(proxy) => Some(Arc::clone(proxy)),
            Self::System(proxies) => proxies.of_url(url),
        }
    }
}
