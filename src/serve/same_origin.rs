//! Refuses requests that change something and may come from a web page of another site: cross-site
//! requests and DNS rebinding. Browsers send `Origin` with every such request; a name that an attacker
//! made resolve to this host is recognized by the `Host` header.

use hyper::header::{HeaderName, ORIGIN};
use url::{Host, Url};

use super::prefix::Prefix;
use super::request::RequestContext;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// # Errors
/// Why the request is refused, and what to do.
pub fn check(request: &RequestContext, prefix: &Prefix) -> Result<(), String> {
    let header = |name: &HeaderName| {
        let value = request.parts.headers.get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    match header(&SEC_FETCH_SITE).as_deref() {
        None | Some("same-origin" | "none") => {}
        Some(site) => {
            return Err(format!(
                "Refused: a page of another site sent it ({SEC_FETCH_SITE}: {site})"
            ));
        }
    }
    let authority = request.authority();
    if let Some(origin) = header(&ORIGIN) {
        let sender = origin_of(&origin);
        if sender.is_some() && sender == external_origin(prefix) {
            return Ok(());
        }
        let own = authority
            .as_deref()
            .map(|own| format!("{}://{own}", request.scheme));
        if own.as_deref().and_then(origin_of) != sender {
            return Err(format!(
                "Refused: a page of another site sent it (Origin: {origin})"
            ));
        }
    }
    let Some(authority) = authority else {
        return Ok(());
    };
    let host = origin_of(&format!("http://{authority}")).map(|(_, host, _)| host);
    match host {
        Some(host) if is_own(&host, prefix) => Ok(()),
        _ => Err(format!(
            "Refused: {authority} may be a name under another site's control. Send the request to an \
             address of this host, to localhost or to its host name, or start the exporter with \
             --web.external-url"
        )),
    }
}

/// Scheme, host and port.
type Origin = (String, Host, u16);

fn origin_of(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let port = url.port_or_known_default()?;
    Some((url.scheme().to_owned(), url.host()?.to_owned(), port))
}

fn external_origin(prefix: &Prefix) -> Option<Origin> {
    let (scheme, authority) = prefix.external()?;
    origin_of(&format!("{scheme}://{authority}"))
}

/// Whether no other site can make the name resolve to this host: an address, a name without a domain,
/// the host's own name or that of the external URL.
fn is_own(host: &Host, prefix: &Prefix) -> bool {
    let Host::Domain(name) = host else {
        return true;
    };
    !name.contains('.')
        || name.ends_with(".localhost")
        || gethostname::gethostname().eq_ignore_ascii_case(name.as_str())
        || external_origin(prefix).is_some_and(|(_, external, _)| external == *host)
}
