//! What a configuration does, for `check`.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::page::{GOOD, Page, STRONG, WARN, Width, date, format_duration};
use super::readiness;
use super::status::approximate;
use crate::config::{Config, Route, WebConfig};
use crate::ownership::Access;
use crate::probe::resolver_count;
use crate::readiness::Readiness;
use crate::report::Expectation;

/// The summary as of `now`, with the counts of the readiness file.
pub fn of(
    config: &Config,
    web: &WebConfig,
    readiness: Option<&Readiness>,
    now: Timestamp,
    width: Width,
) -> String {
    let mut page = Page::new(width);
    let site = config.site.as_ref();
    let site = site.map_or_else(String::new, |site| format!(" of site {site}"));
    page.line(&format!("{GOOD}The configuration{site} is valid.{GOOD:#}"));
    let day = Duration::from_secs(24 * 3600).as_secs_f64();
    let probes = (day / config.probe.interval.as_secs_f64()).ceil();
    for target in config.targets.iter() {
        let resolvers = resolver_count(&target.module);
        let route = match &target.module.route {
            Route::System => "system resolution".to_owned(),
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
                "probed every {}, timeout {}, route: {route}",
                format_duration(config.probe.interval),
                format_duration(target.timeout),
            ),
        );
        page.paragraph(
            2,
            &format!(
                "per day: {probes} probes, each with one connection per address of the name \
                 ({probes} connections for a single address, as many again for each redirect, and one \
                 more for a request that the server says it did not process), and \
                 {} queries to {resolvers} resolver{} in addition to the resolution itself",
                probes * 2.0 * resolvers as f64,
                if resolvers == 1 { "" } else { "s" },
            ),
        );
        if target.module.page.is_empty() && target.expect == Expectation::Reachable {
            page.paragraph(
                2,
                &format!(
                    "{WARN}the page is not checked{WARN:#}: add page checks to module {} once you have \
                     seen the page",
                    target.module.name
                ),
            );
        }
    }
    if let Some(warning) = concurrency(config) {
        page.line("");
        page.paragraph(0, &warning);
    }
    if let Some(browser) = &config.browser {
        page.line("");
        let program = match &browser.path {
            Some(path) => path.display().to_string(),
            None => "the first that is found".to_owned(),
        };
        let targets = browser.targets.join(", ");
        let interval = approximate(browser.interval);
        page.paragraph(
            0,
            &format!("Opened in a browser ({program}) every {interval}: {targets}."),
        );
    }
    if config.targets.is_empty() {
        page.line("No targets are configured.");
    }
    if let (Some(source), Some(readiness)) = (&config.readiness, readiness) {
        page.line("");
        for line in readiness::lines(&readiness.accounts) {
            page.line(&line);
        }
        if let Some(remark) = readiness::remark(&readiness.accounts) {
            page.paragraph(0, &format!("{WARN}note{WARN:#}: {remark}"));
        }
        if Duration::try_from(now.duration_since(readiness.updated)).unwrap_or_default()
            > source.max_age
        {
            let text = format!(
                "{WARN}outdated{WARN:#}: the file is from {}, older than readiness.max_age",
                date(readiness.updated)
            );
            page.paragraph(0, &text);
        }
        let done = |id: &str| config.timetable.is_done(id);
        for one in readiness
            .accounts
            .contradictions(&source.expected_total, done)
        {
            let text = readiness::contradiction(one);
            page.paragraph(0, &format!("{WARN}contradiction{WARN:#}: {text}"));
        }
    }
    if !web.files.is_empty() {
        page.line("");
        listener(&mut page, web, now);
    }
    page.line("");
    let until = config.calendar.valid_until();
    page.line(&format!("The holiday table ends on {}.", date(until)));
    if until < now {
        page.line(&format!(
            "{WARN}The holiday table has ended{WARN:#}: configure calendar.file."
        ));
    }
    page.text
}

/// Whether every target can be probed in each interval, even if every probe runs into its timeout.
fn concurrency(config: &Config) -> Option<String> {
    let limits = &config.probe;
    let timeouts: Duration = config.targets.iter().map(|target| target.timeout).sum();
    let needed = (timeouts.as_secs_f64() / limits.interval.as_secs_f64()).ceil();
    if needed <= limits.concurrency as f64 {
        return None;
    }
    let round = timeouts / u32::try_from(limits.concurrency).ok()?;
    Some(format!(
        "{WARN}the interval cannot be kept in an outage{WARN:#}: if every probe runs into its timeout, \
         a round of all {} targets takes {} with probe.concurrency {}, longer than probe.interval ({}). \
         Set probe.concurrency to at least {needed}, or shorten probe.timeout.",
        config.targets.len(),
        format_duration(round),
        limits.concurrency,
        format_duration(limits.interval),
    ))
}

/// How the web configuration protects the listener.
fn listener(page: &mut Page, web: &WebConfig, now: Timestamp) {
    let users = match web.users.len() {
        0 => "no password".to_owned(),
        1 => "1 user with a password".to_owned(),
        users => format!("{users} users with passwords"),
    };
    let Some(tls) = &web.tls else {
        page.line(&format!("The listener serves plain HTTP, {users}."));
        return;
    };
    let until = date(tls.not_after);
    page.line(&format!(
        "The listener serves HTTPS, {users}; its certificate ends on {until}."
    ));
    if tls.not_after < now {
        let text = format!("{WARN}The certificate has ended{WARN:#}: clients reject it; renew it.");
        page.line(&text);
    }
}

/// Who may write into the data directory, which may not exist.
pub fn data_directory(directory: &Path, access: Option<&Access>) -> String {
    let mut page = Page::default();
    let path = directory.display();
    let Some(access) = access else {
        page.line(&format!(
            "data_directory {path} does not exist; the first start creates it."
        ));
        return page.text;
    };
    let access = match access {
        Access::Mode(mode) => mode,
        Access::List => {
            page.line(&format!(
                "data_directory {path}: icacls \"{path}\" prints who may write."
            ));
            return page.text;
        }
    };
    let mut writers = Vec::new();
    if access.owner_may_write {
        writers.push(format!("user {}", access.owner));
    }
    if access.group_may_write {
        writers.push(format!("group {}", access.group));
    }
    let mut who = if writers.is_empty() {
        format!(
            "nobody but root may write; it belongs to user {}",
            access.owner
        )
    } else {
        format!("{} may write", writers.join(" and "))
    };
    if access.everybody_may_write {
        who = format!("{WARN}everybody may write{WARN:#}, and remove evidence");
    }
    page.line(&format!("data_directory {path}: {who}."));
    let owner = access.owner.split(' ').next().unwrap_or_default();
    for file in &access.foreign {
        let file = file.display();
        let text = format!(
            "{WARN}not writable{WARN:#}: user {owner} may not write {file}; run: chown {owner} {file}"
        );
        page.line(&text);
    }
    page.text
}
