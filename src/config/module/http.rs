//! The key `http` of a module: the request, and which responses are valid.

use hyper::header::{HeaderName, HeaderValue};

use crate::config::raw::RawHttp;
use crate::config::section::Section;
use crate::config::value::{header_value, host, size};
use crate::diagnostics::Text;

const MAX_BODY: usize = 64 * 1024 * 1024;
const DEFAULT_MAX_BODY: usize = 1024 * 1024;
const MAX_REDIRECTS: u64 = 20;
const DEFAULT_MAX_REDIRECTS: usize = 5;
const USER_AGENT: &str = concat!(
    "ccass-2fa-exporter/",
    env!("CARGO_PKG_VERSION"),
    " (connectivity probe; never logs in)"
);

/// The request, and which responses are valid.
#[derive(Clone, Debug)]
pub struct HttpPolicy {
    pub valid_status: Vec<u16>,
    pub redirects: Redirects,
    /// Lower case.
    pub allowed_hosts: Vec<String>,
    pub max_redirects: usize,
    /// Bytes, both as transferred and after decoding.
    pub max_body: usize,
    pub user_agent: HeaderValue,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Which redirects are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// None: a redirect is the response.
    None,
    /// Those to the same host and to the allowed hosts.
    #[default]
    SameHost,
}

impl HttpPolicy {
    pub(super) fn validate(raw: &RawHttp, mut section: Section<'_>) -> Self {
        let section = &mut section;
        let redirects = [
            ("same_host", Redirects::SameHost),
            ("none", Redirects::None),
        ];
        Self {
            valid_status: valid_status(raw, section),
            redirects: section.choice("redirects", &raw.redirects, &redirects),
            allowed_hosts: section.list("allowed_hosts", &raw.allowed_hosts, redirect_host),
            max_redirects: max_redirects(raw, section),
            max_body: section
                .optional("max_body", &raw.max_body, max_body)
                .unwrap_or(DEFAULT_MAX_BODY),
            user_agent: section
                .optional("user_agent", &raw.user_agent, header_value)
                .unwrap_or_else(|| HeaderValue::from_static(USER_AGENT)),
            headers: raw
                .headers
                .iter()
                .filter_map(|(name, value)| header(name, value, &mut section.below("headers")))
                .collect(),
        }
    }
}

fn valid_status(raw: &RawHttp, section: &mut Section<'_>) -> Vec<u16> {
    let Some(list) = &raw.valid_status else {
        return vec![200];
    };
    if list.value.is_empty() {
        let message = "the list is empty: every response would fail";
        section.error(list, "valid_status", message);
    }
    for (index, status) in list.value.iter().enumerate() {
        if !(200..=599).contains(&status.value) {
            let message = format!("{} is not a status from 200 to 599", status.value);
            section.error(status, &format!("valid_status[{index}]"), message);
        }
    }
    list.value.iter().map(|status| status.value).collect()
}

fn max_redirects(raw: &RawHttp, section: &mut Section<'_>) -> usize {
    let Some(count) = &raw.max_redirects else {
        return DEFAULT_MAX_REDIRECTS;
    };
    if count.value > MAX_REDIRECTS {
        let message = format!(
            "{} is too many; the maximum is {MAX_REDIRECTS}",
            count.value
        );
        section.error(count, "max_redirects", message);
    }
    count.value.min(MAX_REDIRECTS) as usize
}

fn max_body(text: &str) -> Result<usize, String> {
    match size(text)? {
        bytes @ 1..=MAX_BODY => Ok(bytes),
        _ => Err(format!("{text} is out of range; use 1B to 64MiB")),
    }
}

/// A host without scheme, port and path, in the form in which a redirect's host is compared.
fn redirect_host(text: &str) -> Result<String, String> {
    host(text).map(|host| host.to_string()).ok_or_else(|| {
        format!(
            "invalid host {text:?}; use for example login.example.com, without scheme, port, path \
             and wildcard"
        )
    })
}

fn header(name: &str, text: &Text, section: &mut Section<'_>) -> Option<(HeaderName, HeaderValue)> {
    let Ok(header) = HeaderName::try_from(name) else {
        section.error(
            text,
            name,
            format!("invalid header name {name:?}; use letters, digits and hyphens"),
        );
        return None;
    };
    let message = match header.as_str() {
        "authorization" | "proxy-authorization" | "cookie" => {
            section.hide(text);
            "not allowed: this program never logs in and sends no credentials; remove it"
        }
        "host" | "content-length" | "transfer-encoding" | "connection" | "upgrade" => {
            "not allowed: the program sets it itself; remove it"
        }
        _ => {
            let value = section.parse(name, text, header_value)?;
            return Some((header, value));
        }
    };
    section.error(text, name, message);
    None
}
