//! Reports and the configuration's summary for a person at a terminal of 100 columns.
//!
//! Colours are always written; the door strips them where nobody would see them. Every line that
//! says good or bad says it in words too.

use std::fmt::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use crate::calendar::HKT;
use crate::config::{Config, Contacts, Route};
use crate::probe::resolver_count;
use crate::report::advice::{self, Contact};
use crate::report::{
    Certificate, DnsFacts, Expectation, Handshake, Hop, HttpFacts, Interception, Layer, Lookup,
    PageFacts, PageVerdict, Reason, Report, Role, RootSet, TcpFacts, TlsFacts, Verdict,
};

const WIDTH: usize = 100;
/// Where the facts begin, right of a layer's name, state and time.
const FACTS: usize = 24;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default().bold();
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// The reports, one below the other.
pub fn reports(reports: &[Report], contacts: &Contacts) -> String {
    let mut page = Page::default();
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            page.line("");
        }
        page.report(report, contacts);
    }
    page.0
}

/// What a report cannot say.
pub fn not_checked(report: &Report) -> Vec<String> {
    let mut list = Vec::new();
    if report.expect == Expectation::Reachable {
        if let Layer::Ran(page) = &report.page
            && page.facts.checks.is_empty()
        {
            list.push(
                "The page: no check is configured, so that any page with a good status passes. \
                 Compare the title and form fields above with what Edge shows."
                    .to_owned(),
            );
        }
        let inspected = |hop: &Hop| {
            let handshakes = hop.tls.facts().map_or(&[][..], |facts| &facts.handshakes);
            handshakes
                .iter()
                .any(|one| one.interception != Interception::None)
        };
        if report.hops.iter().any(inspected) {
            list.push(
                "What lies behind the inspecting proxy: the certificate seen here is the proxy's."
                    .to_owned(),
            );
        }
    }
    list.push(
        "The CCASS Terminal PC: this host may have another network, source address and proxy."
            .to_owned(),
    );
    list.push("Proxies and PAC files: this probe connects directly; a browser may not.".to_owned());
    list
}

/// The step that no program can do (the circular's Appendix).
pub fn manual_step(report: &Report) -> String {
    match (report.role, report.expect) {
        (Role::Login, Expectation::Reachable) => format!(
            "On each CCASS Terminal PC open {} in MS Edge. The login page should be seen. Close the \
             window without logging on.",
            report.url
        ),
        _ => "None: this target is not the login page.".to_owned(),
    }
}

/// What the configuration will do, for `check`.
pub fn summary(config: &Config, now: Timestamp) -> String {
    let mut page = Page::default();
    page.line(&format!("{GOOD}The configuration is good.{GOOD:#}"));
    let day = Duration::from_secs(24 * 3600).as_secs_f64();
    let probes = (day / config.probe.interval.as_secs_f64()).ceil();
    for target in &config.targets {
        let resolvers = resolver_count(&target.module);
        let route = match &target.module.route {
            Route::System => "the system's resolution".to_owned(),
            Route::Resolver(resolver) => resolver.to_string(),
        };
        page.line("");
        page.line(&format!(
            "{STRONG}{}{STRONG:#}  {}",
            target.name, target.url
        ));
        page.paragraph(
            2,
            &format!(
                "probed every {}, at most {} at a time; follows {route}",
                span(config.probe.interval),
                span(target.timeout),
            ),
        );
        page.paragraph(
            2,
            &format!(
                "a day: {probes} probes, each with one connection to every address of the name \
                 ({probes} connections where it has one, and as many more for each redirect), and \
                 {} questions to {resolvers} resolver{} besides the resolution itself",
                probes * 2.0 * resolvers as f64,
                if resolvers == 1 { "" } else { "s" },
            ),
        );
        if target.module.page.is_empty() && target.expect == Expectation::Reachable {
            page.paragraph(
                2,
                &format!(
                    "{WARN}the page is not checked{WARN:#}: add page checks to the module {} once \
                     you have seen the page",
                    target.module.name
                ),
            );
        }
    }
    if config.targets.is_empty() {
        page.line("No target is probed.");
    }
    page.line("");
    let until = config.calendar.valid_until();
    page.line(&format!("holidays known until {}", date(until)));
    if until < now {
        page.line(&format!(
            "{WARN}the table of holidays has ended{WARN:#}: name a calendar.file"
        ));
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    /// Wrapped at the page's width, each line indented.
    fn paragraph(&mut self, indent: usize, text: &str) {
        let margin = " ".repeat(indent);
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(&margin)
            .subsequent_indent(&margin);
        for line in textwrap::wrap(text, options) {
            self.line(&line);
        }
    }

    /// A word in the margin and a paragraph beside it.
    fn beside(&mut self, word: &str, text: &str) {
        let margin = " ".repeat(12);
        let first = format!("  {word:<10}");
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(&first)
            .subsequent_indent(&margin);
        for (index, line) in textwrap::wrap(text, options).iter().enumerate() {
            match (index, line.strip_prefix(&first)) {
                (0, Some(rest)) => self.line(&format!("{STRONG}{first}{STRONG:#}{rest}")),
                _ => self.line(line),
            }
        }
    }

    fn report(&mut self, report: &Report, contacts: &Contacts) {
        self.heading(report);
        let several = report.hops.len() > 1;
        for (index, hop) in report.hops.iter().enumerate() {
            if several {
                let word = if index == 0 { "asked" } else { "redirected to" };
                self.line(&format!("\n  {FAINT}{word}{FAINT:#} {}", hop.url));
            }
            self.hop(hop);
        }
        self.page_layer(report);
        self.line("");
        self.advice(report, contacts);
        self.findings(report, contacts);
        self.limits(report);
    }

    fn heading(&mut self, report: &Report) {
        let verdict = match (report.verdict, report.expect) {
            (Verdict::Failed { layer, .. }, _) => {
                format!("{BAD}FAILS at {}{BAD:#}", layer.code())
            }
            (Verdict::Good { .. }, Expectation::Unreachable) => {
                format!("{GOOD}CLOSED, as it should be{GOOD:#}")
            }
            (Verdict::Good { page }, Expectation::Reachable) => match page {
                PageVerdict::Checked => format!("{GOOD}REACHED, page checked{GOOD:#}"),
                PageVerdict::Unchecked => {
                    format!("{GOOD}REACHED{GOOD:#}, {WARN}page not checked{WARN:#}")
                }
            },
        };
        let name = match report.target == report.url {
            true => String::new(),
            false => format!("{STRONG}{}{STRONG:#}  ", report.target),
        };
        self.line(&format!("{name}{}  {verdict}", report.url));
        let mut about = vec![instant(report.started)];
        if let Some(site) = &report.site {
            about.push(format!("site {site}"));
        }
        about.push(format!("module {}", report.module));
        about.push(format!(
            "{} of at most {}",
            span(report.duration),
            span(report.timeout)
        ));
        self.line(&format!("{FAINT}{}{FAINT:#}", about.join(" · ")));
        self.line("");
    }

    /// The first line of a layer: its name, state and time, and the first fact beside it.
    fn layer<F>(&mut self, name: &str, layer: &Layer<F>, facts: Vec<String>) {
        let mut facts = facts.into_iter();
        let (style, state, time) = match layer {
            Layer::NotReached => (FAINT, "not reached", String::new()),
            Layer::NotNeeded => (FAINT, "not needed", String::new()),
            Layer::Ran(ran) => match ran.failure {
                None => (GOOD, "good", span(ran.duration)),
                Some(_) => (BAD, "FAILS", span(ran.duration)),
            },
        };
        let first = facts.next().unwrap_or_default();
        let time_width = FACTS - 2 - 6 - 6 - 2;
        self.beside_facts(
            &format!("  {name:<6}{style}{state:<6}{style:#}{time:>time_width$}  "),
            &first,
        );
        for fact in facts {
            self.fact(&fact);
        }
    }

    fn fact(&mut self, fact: &str) {
        self.beside_facts(&" ".repeat(FACTS), fact);
    }

    /// A fact to the right of `head`, wrapped in its column.
    fn beside_facts(&mut self, head: &str, fact: &str) {
        let own_indent = fact.len() - fact.trim_start().len();
        let hanging = " ".repeat(own_indent + 2);
        let options = textwrap::Options::new(WIDTH - FACTS).subsequent_indent(&hanging);
        let wrapped = textwrap::wrap(fact, options);
        let mut lines = wrapped.iter();
        let first = lines.next().map_or("", |line| line.as_ref());
        self.line(&format!("{head}{first}"));
        for line in lines {
            self.line(&format!("{:FACTS$}{line}", ""));
        }
    }

    fn hop(&mut self, hop: &Hop) {
        let failure = hop.dns.ran().and_then(|ran| ran.failure);
        let facts = hop.dns.facts().map(|facts| dns_facts(facts, failure));
        self.layer("dns", &hop.dns, facts.unwrap_or_default());
        self.layer(
            "tcp",
            &hop.tcp,
            hop.tcp.facts().map(tcp_facts).unwrap_or_default(),
        );
        self.layer(
            "tls",
            &hop.tls,
            hop.tls.facts().map(tls_facts).unwrap_or_default(),
        );
        let failure = hop.http.ran().and_then(|ran| ran.failure);
        let facts = hop.http.facts().map(|facts| http_facts(facts, failure));
        self.layer("http", &hop.http, facts.unwrap_or_default());
    }

    fn page_layer(&mut self, report: &Report) {
        match &report.page {
            Layer::Ran(ran) if ran.facts.checks.is_empty() => {
                let mut facts = page_facts(&ran.facts, None).into_iter();
                let first = facts.next().unwrap_or_default();
                self.line(&format!(
                    "  page  {WARN}{:<16}{WARN:#}{first}",
                    "not configured"
                ));
                for fact in facts {
                    self.fact(&fact);
                }
            }
            layer => {
                let failure = layer.ran().and_then(|ran| ran.failure);
                let facts = layer.facts().map(|facts| page_facts(facts, failure));
                self.layer("page", layer, facts.unwrap_or_default());
            }
        }
    }

    fn advice(&mut self, report: &Report, contacts: &Contacts) {
        let (Some(reason), Some(advice)) = (report.verdict.reason(), advice::of_report(report))
        else {
            return;
        };
        self.beside("Why", &format!("{}: {}", reason.code(), advice.meaning));
        self.beside("Ask", &whom(advice.ask, contacts));
        self.beside("Hand over", advice.hand_over);
        self.line("");
    }

    fn findings(&mut self, report: &Report, contacts: &Contacts) {
        for found in &report.findings {
            let advice = advice::of_finding(found.finding);
            self.beside(
                "Finding",
                &format!(
                    "{}: {}. {} Ask {}.",
                    found.finding.code(),
                    found.detail,
                    advice.meaning,
                    whom(advice.ask, contacts)
                ),
            );
        }
        if !report.findings.is_empty() {
            self.line("");
        }
    }

    fn limits(&mut self, report: &Report) {
        for (index, text) in not_checked(report).iter().enumerate() {
            self.beside(if index == 0 { "Not seen" } else { "" }, text);
        }
        self.beside("By hand", &manual_step(report));
    }
}

/// Whom to ask, by the configuration's name and number where it has one.
fn whom(contact: Contact, contacts: &Contacts) -> String {
    match contacts.of(contact) {
        Some(text) if contact == Contact::Hkex => text.to_owned(),
        Some(text) => format!("{} ({text})", contact.team()),
        None => contact.team().to_owned(),
    }
}

fn failed(failure: Option<Reason>) -> String {
    failure.map_or(String::new(), |reason| {
        format!("{BAD}{}{BAD:#}", reason.code())
    })
}

fn dns_facts(facts: &DnsFacts, failure: Option<Reason>) -> Vec<String> {
    let addresses: Vec<_> = facts
        .followed
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut first = format!("{} → ", facts.followed.route);
    if failure.is_some() {
        write_all(&mut first, format_args!("{} ", failed(failure)));
    }
    first.push_str(&addresses.join(", "));
    if let Some(detail) = &facts.followed.detail {
        write_all(&mut first, format_args!("{FAINT}{detail}{FAINT:#}"));
    }
    let mut lines = vec![first];
    lines.extend(facts.lookups.iter().map(lookup));
    lines
}

fn lookup(lookup: &Lookup) -> String {
    let mut line = format!(
        "{FAINT}{}{FAINT:#} {:<4} ",
        lookup.resolver,
        lookup.record.code()
    );
    let answers: Vec<_> = lookup.answers.iter().map(ToString::to_string).collect();
    match (lookup.failure, answers.is_empty()) {
        (Some(reason), _) => {
            line.push_str(&failed(Some(reason)));
            if !answers.is_empty() {
                line.push_str(&format!(" {}", answers.join(", ")));
            }
        }
        (None, true) => line.push_str("none"),
        (None, false) => line.push_str(&answers.join(", ")),
    }
    for alias in &lookup.cnames {
        line.push_str(&format!(" via {alias}"));
    }
    if let Some(ttl) = lookup.min_ttl {
        line.push_str(&format!(", ttl {ttl} s"));
    }
    if lookup.authenticated {
        line.push_str(", validated");
    }
    if lookup.truncated {
        line.push_str(", over TCP");
    }
    if lookup.expected == Some(false) {
        line.push_str(&format!(", {WARN}not in the expected ranges{WARN:#}"));
    }
    line.push_str(&format!(", {}", span(lookup.duration)));
    line
}

fn tcp_facts(facts: &TcpFacts) -> Vec<String> {
    let mut lines: Vec<String> = facts
        .addresses
        .iter()
        .map(|one| {
            let state = match one.failure {
                None => "connected".to_owned(),
                some => failed(some),
            };
            let source = one
                .source
                .map_or(String::new(), |source| format!(" from {source}"));
            format!(
                "{} port {}{source}: {state}, {}",
                one.address,
                facts.port,
                span(one.duration)
            )
        })
        .collect();
    if facts.addresses_left_out > 0 {
        lines.push(format!(
            "{} further addresses were left alone",
            facts.addresses_left_out
        ));
    }
    lines
}

fn tls_facts(facts: &TlsFacts) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &facts.handshakes {
        lines.push(session(one));
        if let (Some(detail), Some(_)) = (&one.detail, one.failure) {
            lines.push(format!("{FAINT}{detail}{FAINT:#}"));
        }
    }
    if let Some(telling) = facts.telling() {
        for (position, certificate) in telling.chain.iter().enumerate() {
            lines.extend(self::certificate(position, certificate));
        }
        if !telling.trust.is_empty() {
            lines.push(trust(telling));
        }
        if let Some(matched) = telling.pin_matched {
            let leaf = telling.chain.first().map_or("", |leaf| leaf.pin.as_str());
            lines.push(match matched {
                true => "a pinned key is in the chain".to_owned(),
                false => format!("no pinned key is in the chain; the leaf's is {leaf}"),
            });
        }
    }
    lines
}

fn session(handshake: &Handshake) -> String {
    let parameters: Vec<_> = [
        &handshake.version,
        &handshake.cipher,
        &handshake.key_exchange,
        &handshake.alpn,
    ]
    .into_iter()
    .flatten()
    .map(String::as_str)
    .collect();
    let mut line = format!("{}: ", handshake.address);
    match handshake.failure {
        None => {}
        some => write_all(&mut line, format_args!("{} ", failed(some))),
    }
    write_all(&mut line, format_args!("{}", parameters.join(", ")));
    line
}

fn write_all(line: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = line.write_fmt(text);
}

fn certificate(position: usize, certificate: &Certificate) -> Vec<String> {
    let role = if position == 0 {
        "certificate"
    } else {
        "sent with it"
    };
    let mut lines = vec![
        format!("{role}: {}", certificate.subject),
        format!("  issued by {STRONG}{}{STRONG:#}", certificate.issuer),
        format!(
            "  valid {} to {}, {}",
            date(certificate.not_before),
            date(certificate.not_after),
            certificate.key
        ),
    ];
    if position == 0 {
        if !certificate.names.is_empty() {
            lines.push(format!("  for {}", shortened(&certificate.names)));
        }
        lines.push(format!(
            "  {FAINT}sha256 {}{FAINT:#}",
            certificate.fingerprint_sha256
        ));
    }
    lines
}

fn shortened(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(4).map(String::as_str).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn trust(handshake: &Handshake) -> String {
    let verdicts: Vec<_> = handshake
        .trust
        .iter()
        .map(|one| {
            let whose = match one.roots {
                RootSet::Platform => "this host",
                RootSet::PublicWeb => "the public web",
                RootSet::CaFile => "the ca_file",
            };
            format!("{whose} {}", if one.trusted { "yes" } else { "no" })
        })
        .collect();
    format!("trusted by: {}", verdicts.join(", "))
}

fn http_facts(facts: &HttpFacts, failure: Option<Reason>) -> Vec<String> {
    let mut lines = Vec::new();
    if failure.is_some() {
        lines.push(failed(failure));
    }
    if let Some(status) = facts.status {
        let mut line = format!(
            "HTTP/{} status {status}",
            facts.version.as_deref().unwrap_or("?")
        );
        if let (Some(first), Some(transfer)) = (facts.first_byte, facts.transfer) {
            write_all(
                &mut line,
                format_args!(", first byte {}, transfer {}", span(first), span(transfer)),
            );
        }
        write_all(&mut line, format_args!(", {} bytes", facts.body_bytes));
        lines.push(line);
    }
    if let Some(location) = &facts.location {
        lines.push(format!("leads to {location}"));
    }
    if let Some(wait) = facts.retry_after {
        lines.push(format!("asks to be left alone for {}", span(wait)));
    }
    if let Some(detail) = &facts.detail {
        lines.push(format!("{FAINT}{detail}{FAINT:#}"));
    }
    lines
}

fn page_facts(facts: &PageFacts, failure: Option<Reason>) -> Vec<String> {
    let mut lines = Vec::new();
    if failure.is_some() {
        lines.push(failed(failure));
    }
    lines.push(match &facts.title {
        Some(title) => format!("title {title:?}"),
        None => "no title".to_owned(),
    });
    lines.push(match facts.form_fields.is_empty() {
        true => "no form fields".to_owned(),
        false => format!("form fields {}", facts.form_fields.join(", ")),
    });
    lines.push(format!("{FAINT}{} bytes{FAINT:#}", facts.bytes));
    lines.push(format!("{FAINT}sha256 {}{FAINT:#}", facts.sha256));
    let missed: Vec<_> = facts.checks.iter().filter(|check| !check.passed).collect();
    match (facts.checks.len(), missed.len()) {
        (0, _) => {}
        (all, 0) => lines.push(format!("{all} of {all} checks hold")),
        (all, _) => {
            let names: Vec<_> = missed.iter().map(|check| check.check.as_str()).collect();
            lines.push(format!(
                "{} of {all} checks fail: {}",
                missed.len(),
                names.join(", ")
            ));
        }
    }
    lines
}

/// A span of time with the digits that matter.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 10.0 {
        format!("{seconds:.0} s")
    } else if seconds >= 1.0 {
        format!("{seconds:.1} s")
    } else if seconds >= 0.01 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

fn instant(at: Timestamp) -> String {
    let local = HKT.to_datetime(at);
    local.strftime("%Y-%m-%d %H:%M:%S HKT").to_string()
}

fn date(at: Timestamp) -> String {
    let local = HKT.to_datetime(at);
    local.strftime("%Y-%m-%d").to_string()
}
