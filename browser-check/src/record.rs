//! What is kept of a check: the facts of the messages, each bounded.

use serde_json::Value;

use crate::devtools::{number, text};
use crate::protocol::{
    Attempt, Blocked, BrowserCertificate, MAX_ENTRIES, MAX_TEXT, Observation, Redirect,
};

/// Without the rest of a long text.
pub fn bounded(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

impl Observation {
    /// Adds what was prevented, each once.
    pub fn block(&mut self, what: Attempt, detail: &str) {
        let blocked = Blocked {
            what,
            detail: bounded(detail),
        };
        if self.blocked.contains(&blocked) {
            return;
        }
        if self.blocked.len() < MAX_ENTRIES {
            self.blocked.push(blocked);
        } else {
            self.blocked_more += 1;
        }
    }

    /// Reads the response of the page itself.
    pub fn read_response(&mut self, response: &Value) {
        self.status = status(response);
        self.protocol = text(response, "/protocol").map(bounded);
        self.remote_address = text(response, "/remoteIPAddress")
            .filter(|address| !address.is_empty())
            .map(|address| {
                let address = address.trim_matches(['[', ']']);
                let port = number(response, "/remotePort").unwrap_or_default();
                if address.contains(':') {
                    format!("[{address}]:{port}")
                } else {
                    format!("{address}:{port}")
                }
            });
        if let Some(details) = response.get("securityDetails") {
            self.certificate = Some(certificate(details));
        }
    }

    /// Reads the state of an error page, which has the certificate that the browser refused.
    pub fn read_security_state(&mut self, state: &Value) {
        if let (Some(state), None) = (state.get("certificateSecurityState"), &self.certificate)
            && text(state, "/subjectName").is_some()
        {
            self.certificate = Some(certificate(state));
        }
    }

    pub fn redirect(&mut self, response: &Value, location: &str) {
        if self.redirects.len() < MAX_ENTRIES {
            self.redirects.push(Redirect {
                url: bounded(text(response, "/url").unwrap_or_default()),
                status: status(response).unwrap_or_default(),
                location: bounded(location),
            });
        }
    }
}

fn status(response: &Value) -> Option<u16> {
    u16::try_from(number(response, "/status")?).ok()
}

fn certificate(details: &Value) -> BrowserCertificate {
    let field = |name: &str| {
        let value = details.get(name).and_then(Value::as_str);
        bounded(value.unwrap_or_default())
    };
    let seconds = |name: &str| {
        details
            .get(name)
            .and_then(Value::as_f64)
            .unwrap_or_default() as i64
    };
    let names = details.get("sanList").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    let group = field("keyExchangeGroup");
    let exchange = field("keyExchange");
    BrowserCertificate {
        subject: field("subjectName"),
        names: names.take(MAX_ENTRIES).map(bounded).collect(),
        issuer: field("issuer"),
        valid_from: seconds("validFrom"),
        valid_to: seconds("validTo"),
        protocol: field("protocol"),
        cipher: field("cipher"),
        key_exchange: if exchange.is_empty() { group } else { exchange },
    }
}
