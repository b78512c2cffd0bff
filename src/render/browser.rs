//! The browser check next to the probe, as rows of two columns, and why a browser was not started.

use jiff::Timestamp;

use super::layer_name;
use super::page::{BAD, GOOD, Page, STRONG, date, format_duration};
use crate::report::browser::BrowserCheck;
use crate::report::browser::protocol::{Attempt, NotRun};
use crate::report::{PageFacts, Report, Verdict, advice};

/// One fact as the exporter and as the browser see it.
pub(super) struct Row {
    pub label: &'static str,
    pub probe: String,
    pub browser: String,
}

/// Only rows in which at least one of them knows something.
pub(super) fn rows(report: &Report, check: &BrowserCheck) -> Vec<Row> {
    let seen = &check.seen;
    let last = report.hops.last();
    let tls = last.and_then(|hop| hop.tls.facts()?.representative());
    let own = report.certificate();
    let certificate = seen.certificate.as_ref();
    let http = report.response();
    let row = |label, probe: Option<String>, browser: Option<String>| Row {
        label,
        probe: probe.unwrap_or_default(),
        browser: browser.unwrap_or_default(),
    };
    let probe_result = match report.verdict {
        Verdict::Good { .. } => "OK".to_owned(),
        Verdict::Failed { layer, reason } => format!("FAILED at {}: {reason}", layer_name(layer)),
    };
    let joined = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let addresses = last.and_then(|hop| hop.tcp.facts()).map(|tcp| {
        let connected = tcp.addresses.iter().filter(|one| one.failure.is_none());
        let connected: Vec<String> = connected
            .map(|one| std::net::SocketAddr::new(one.address, tcp.port).to_string())
            .collect();
        connected.join(", ")
    });
    let proxy = last
        .and_then(|hop| hop.proxy.facts())
        .map(|facts| facts.proxy.clone());
    let list = [
        row("Result", Some(probe_result), Some(browser_result(check))),
        row(
            "Proxy",
            Some(proxy.unwrap_or_else(|| "none".to_owned())),
            Some(
                seen.proxy
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), |it| it.proxy.clone()),
            ),
        ),
        row("Connected", addresses, seen.remote_address.clone()),
        row(
            "TLS",
            tls.and_then(|one| {
                let version = one.version.as_deref()?;
                Some(format!(
                    "{version} {}",
                    one.cipher.as_deref().unwrap_or_default()
                ))
            }),
            certificate.map(|it| format!("{} {}", it.protocol, it.cipher)),
        ),
        row(
            "Key exchange",
            tls.and_then(|one| one.key_exchange.clone()),
            certificate.map(|it| it.key_exchange.clone()),
        ),
        row(
            "Issuer",
            own.map(|it| it.issuer.clone()),
            certificate.map(|it| it.issuer.clone()),
        ),
        row(
            "Names",
            own.and_then(|it| joined(&it.names)),
            certificate.and_then(|it| joined(&it.names)),
        ),
        row(
            "Valid from",
            own.map(|it| date(it.not_before)),
            certificate
                .and_then(|it| Timestamp::from_second(it.valid_from).ok())
                .map(date),
        ),
        row(
            "Valid until",
            own.map(|it| date(it.not_after)),
            certificate
                .and_then(|it| Timestamp::from_second(it.valid_to).ok())
                .map(date),
        ),
        row(
            "Redirects",
            (report.hops.len() > 1).then(|| (report.hops.len() - 1).to_string()),
            (!seen.redirects.is_empty()).then(|| seen.redirects.len().to_string()),
        ),
        row(
            "Final URL",
            last.map(|hop| hop.url.clone()),
            (!seen.url.is_empty()).then(|| seen.url.clone()),
        ),
        row(
            "Status",
            http.and_then(|facts| facts.status)
                .map(|status| status.to_string()),
            seen.status.map(|status| status.to_string()),
        ),
        row(
            "Title",
            report.page.facts().and_then(|facts| facts.title.clone()),
            seen.title.clone(),
        ),
        row(
            "Form fields",
            report
                .page
                .facts()
                .and_then(|facts| joined(&facts.form_fields)),
            joined(&seen.visible_fields),
        ),
        row(
            "Page checks",
            report.page.facts().and_then(page_checks),
            check.page.as_ref().and_then(page_checks),
        ),
        row(
            "Time",
            Some(format_duration(report.duration)),
            seen.load_ms
                .map(|ms| format_duration(std::time::Duration::from_millis(ms))),
        ),
    ];
    list.into_iter()
        .filter(|row| !row.probe.is_empty() || !row.browser.is_empty())
        .collect()
}

/// `3 OK`, or the names of those that the page does not pass.
fn page_checks(facts: &PageFacts) -> Option<String> {
    let failed: Vec<&str> = facts.failed_checks().collect();
    match (facts.checks.len(), failed.is_empty()) {
        (0, _) => None,
        (count, true) => Some(format!("{count} OK")),
        (_, false) => Some(format!("FAILED: {}", failed.join(", "))),
    }
}

/// `OK`, or the reason with the browser's own error.
pub(super) fn browser_result(check: &BrowserCheck) -> String {
    match &check.failure {
        None => "OK".to_owned(),
        Some(failure) => match (failure.reason, &failure.error) {
            (Some(reason), Some(error)) => format!("FAILED: {reason} ({error})"),
            (Some(reason), None) => format!("FAILED: {reason}"),
            (None, Some(error)) => format!("FAILED: {error}"),
            (None, None) => "FAILED".to_owned(),
        },
    }
}

/// `Chromium 156.0.1.2`
pub(super) fn name(check: &BrowserCheck) -> String {
    format!("{} {}", check.seen.browser, check.seen.version)
}

/// What the page attempted and the check prevented, one line each.
pub(super) fn prevented(check: &BrowserCheck) -> Vec<String> {
    let seen = &check.seen;
    let list = seen.blocked.iter();
    let mut lines: Vec<String> = list
        .map(|blocked| format!("{}: {}", attempt(blocked.what), blocked.detail))
        .collect();
    if seen.blocked_more > 0 {
        lines.push(format!("and {} more", seen.blocked_more));
    }
    lines
}

fn attempt(what: Attempt) -> &'static str {
    match what {
        Attempt::Method => "request of another method than GET",
        Attempt::Host => "request to another host",
        Attempt::Scheme => "request without https",
        Attempt::WebSocket => "WebSocket",
        Attempt::Worker => "worker",
        Attempt::Window => "new window",
        Attempt::Download => "download",
        Attempt::Dialog => "dialog",
        Attempt::Authentication => "login by the browser (HTTP authentication)",
        Attempt::TooMany => "too many requests",
    }
}

/// Why the browser failed, who to contact, and what to do, unless the probe failed by the same reason.
pub(super) fn explanation(report: &Report, check: &BrowserCheck) -> Vec<(&'static str, String)> {
    let reason = check.failure.as_ref().and_then(|failure| failure.reason);
    let Some(reason) = reason.filter(|reason| report.verdict.reason() != Some(*reason)) else {
        return Vec::new();
    };
    let advice = advice::of_reason(reason);
    vec![
        ("Why", format!("{reason}: {}", advice.meaning)),
        ("Contact", advice.contact.team().to_owned()),
        ("Action", advice.action),
    ]
}

impl Page {
    /// Both columns, the differences, and what the check prevented.
    pub(super) fn browser(&mut self, report: &Report, check: &BrowserCheck) {
        let style = if check.is_good() { GOOD } else { BAD };
        self.line(&format!(
            "  {STRONG}In {}{STRONG:#}  {style}{}{style:#}",
            name(check),
            browser_result(check)
        ));
        self.columns("", "exporter", "browser");
        for row in rows(report, check) {
            self.columns(row.label, &row.probe, &row.browser);
        }
        self.line("");
        for difference in &check.differences {
            self.labelled("Differs", &capitalized(difference));
        }
        for (label, text) in explanation(report, check) {
            self.labelled(label, &text);
        }
        for (index, line) in prevented(check).iter().enumerate() {
            self.labelled(if index == 0 { "Prevented" } else { "" }, line);
        }
        if !check.differences.is_empty() || !check.seen.blocked.is_empty() {
            self.line("");
        }
    }
}

/// With a full stop.
pub(super) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// The key of the configuration that names a browser.
pub const PATH_KEY: &str = "browser.path";

/// Why no browser opened the page, and what to do; `path` is the flag or the key that names a browser.
pub fn not_run(why: &NotRun, path: &str) -> String {
    match why {
        NotRun::BrowserNotFound { searched } => format!(
            "no browser found in {}; install Microsoft Edge, Google Chrome or Chromium, or name its program \
             with {path}",
            searched.join(", ")
        ),
        NotRun::BrowserTooOld {
            browser,
            version,
            needed,
        } => format!(
            "{browser} is version {version}, and the check needs {needed} or later; update it, or name \
             another browser with {path}"
        ),
        NotRun::DebuggingForbidden { browser } => format!(
            "a policy of this machine forbids remote debugging of {browser}, which the check needs; allow \
             it with the policy RemoteDebuggingAllowed, or name another browser with {path}"
        ),
        NotRun::NoSandbox { browser, message } => format!(
            "{browser} cannot isolate its processes here; run the check as a user other than root, on a \
             system that allows unprivileged user namespaces (browser: {message})"
        ),
        NotRun::NoDisplay { browser, message } => format!(
            "{browser} wants a display; update it, since recent versions need none (browser: {message})"
        ),
        NotRun::ProfileNotWritable { directory, message } => format!(
            "cannot write a profile for the browser below {directory}: {message}; make it writable, or set \
             TMPDIR (on Windows TEMP) to a directory that is"
        ),
        NotRun::NotStarted { browser, message } => format!(
            "{browser} ended before it opened the page: {message}; start it by hand as the same user to see \
             more, or name another browser with {path}"
        ),
        NotRun::CheckerFailed { message } => {
            format!("ccass-2fa-browser, the program that starts the browser, failed: {message}")
        }
    }
}
