//! What a report does not cover, and the manual step that completes it.

use super::{Expectation, Interception, Layer, Report, Role};

/// What the report does not cover.
pub fn caveats(report: &Report) -> Vec<String> {
    let mut list = Vec::new();
    if report.expect == Expectation::Reachable {
        if let Layer::Done(page) = &report.page
            && page.facts.checks.is_empty()
        {
            list.push(
                "The page: no check is configured, so any page with a good status passes. Compare \
                 the title and the form fields with what Edge shows.",
            );
        }
        let mut handshakes = report.hops.iter().filter_map(|hop| hop.tls.facts());
        let is_inspected = handshakes.any(|facts| {
            let mut handshakes = facts.handshakes.iter();
            handshakes.any(|one| one.interception != Interception::None)
        });
        if is_inspected {
            list.push(
                "The server behind the inspecting device: the certificate seen here is the \
                 device's.",
            );
        }
    }
    list.push("The CCASS Terminal PC: it may have another network, source address and proxy.");
    list.push(if report.proxied() {
        "Direct connections, HKEX's resolvers and PAC files: this probe goes through the web proxy, \
         which resolves the name; a browser may not."
    } else {
        "Proxies and PAC files: this probe connects directly; a browser may not."
    });
    list.into_iter().map(str::to_owned).collect()
}

/// The step that no program can do (the circular's Appendix).
pub fn manual_step(report: &Report) -> String {
    match report.role {
        Role::Login => format!(
            "On each CCASS Terminal PC, open {} in MS Edge. The login page should appear. Close the \
             window without logging on.",
            report.url
        ),
        Role::Control | Role::Closed => "None: this target is not the login page.".to_owned(),
    }
}
