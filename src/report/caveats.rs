//! What a report cannot say, and the step that no program can do.

use super::{Expectation, Hop, Interception, Layer, Report, Role};

/// What a report cannot say.
pub fn caveats(report: &Report) -> Vec<String> {
    let mut list = Vec::new();
    if report.expect == Expectation::Reachable {
        if let Layer::Done(page) = &report.page
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
    list.push(if !report.proxied() { "Proxies and PAC files: this probe connects directly; a browser may not." } else {
        "The direct way, HKEX's resolvers and PAC files: this probe goes through the web proxy, \
         which resolves the name; a browser may not."
    }
    .to_owned());
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
