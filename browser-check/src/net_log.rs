//! Which proxy the browser used, and how far it got, from its network log. DevTools shows neither.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;

use crate::devtools::{number, text};
use crate::protocol::{BrowserProxy, MAX_TEXT};

/// Bytes that are read of the log.
const MAX_LOG: u64 = 64 * 1024 * 1024;

/// The code of the reason for a load that ended in time: the first layer that began and did not end.
pub fn timed_out(log: &Path) -> &'static str {
    const BEGIN: u64 = 1;
    const END: u64 = 2;
    const LAYERS: [(&str, &str); 3] = [
        ("HOST_RESOLVER_MANAGER_REQUEST", "dns_timed_out"),
        ("TCP_CONNECT", "tcp_timed_out"),
        ("SSL_CONNECT", "tls_timed_out"),
    ];
    let mut open = [0_i64; LAYERS.len()];
    let Some((kinds, entries)) = read(log, &LAYERS.map(|(event, _)| event)) else {
        return "http_timed_out";
    };
    for entry in entries {
        let kind = number(&entry, "/type");
        let mut layers = kinds.iter().zip(&mut open);
        if let Some((_, open)) = layers.find(|(one, _)| one.is_some() && **one == kind) {
            match number(&entry, "/phase") {
                Some(BEGIN) => *open += 1,
                Some(END) => *open -= 1,
                _ => {}
            }
        }
    }
    let mut layers = LAYERS.iter().zip(open);
    let unfinished = layers.find(|(_, open)| *open > 0);
    unfinished.map_or("http_timed_out", |((_, reason), _)| reason)
}

/// The numbers of some types of events, and the entries. The log is not complete: the browser was killed.
fn read(
    log: &Path,
    events: &[&str],
) -> Option<(Vec<Option<u64>>, impl Iterator<Item = Value> + use<>)> {
    let mut lines = BufReader::new(File::open(log).ok()?.take(MAX_LOG)).lines();
    let first = lines.next()?.ok()?;
    let constants = format!("{}}}", first.trim_end().trim_end_matches(','));
    let constants: Value = serde_json::from_str(&constants).ok()?;
    let kind = |name: &&str| number(&constants, &format!("/constants/logEventTypes/{name}"));
    let kinds = events.iter().map(kind).collect();
    let entry = |line: String| {
        let line = line.trim_end().trim_end_matches(',');
        let entry: Value = serde_json::from_str(line).ok()?;
        entry.get("type").is_some().then_some(entry)
    };
    Some((kinds, lines.map_while(Result::ok).filter_map(entry)))
}

/// The proxy of the last resolution for `host`; `None` for a direct connection, and if the log does not
/// say.
pub fn proxy(log: &Path, host: &str) -> Option<BrowserProxy> {
    const EVENTS: [&str; 3] = [
        "PROXY_CONFIG_CHANGED",
        "PROXY_RESOLUTION_SERVICE_RESOLVED_PROXY_LIST",
        "HTTP_STREAM_JOB_CONTROLLER",
    ];
    let (kinds, entries) = read(log, &EVENTS)?;
    let [configuration, resolved, stream] = kinds.try_into().ok()?;
    let (mut pac_url, mut detected, mut used) = (None, false, None);
    // Only requests for the host count: the browser may ask for others by itself.
    let mut sources = Vec::new();
    for entry in entries {
        let kind = number(&entry, "/type");
        let source = number(&entry, "/source/id");
        if kind == configuration {
            let config = entry.pointer("/params/new_config").unwrap_or(&Value::Null);
            pac_url = text(config, "/pac_url").map(str::to_owned);
            detected = config.get("auto_detect").and_then(Value::as_bool) == Some(true);
        } else if kind == stream {
            let url = text(&entry, "/params/url").unwrap_or_default();
            let is_of_host = url::Url::parse(url).is_ok_and(|url| url.host_str() == Some(host));
            if is_of_host && sources.len() < 1_000 {
                sources.push(source);
            }
        } else if kind == resolved && sources.contains(&source) {
            used = text(&entry, "/params/proxy_info").map(str::to_owned);
        }
    }
    let proxy = used?;
    if proxy.is_empty() || proxy.starts_with("DIRECT") {
        return None;
    }
    let bounded = |text: String| text.chars().take(MAX_TEXT).collect();
    Some(BrowserProxy {
        proxy: bounded(proxy),
        pac_url: pac_url.map(bounded),
        detected,
        asked_for_credentials: false,
    })
}
