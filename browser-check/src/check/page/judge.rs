//! Every request is paused and judged before it is sent; a request for credentials is declined.

use serde_json::{Value, json};

use super::PageCheck;
use crate::devtools::{Error, text};
use crate::protocol::{Attempt, BrowserProxy, Stop};
use crate::record::bounded;
use crate::rules::{MAX_DOCUMENTS, Requested, may_preflight};

impl PageCheck<'_> {
    /// Answers a paused request: it goes on, or not.
    pub(super) fn judge(&mut self, params: &Value) -> Result<(), Error> {
        let id = json!(text(params, "/requestId"));
        self.observation.requests += 1;
        let (method, answer) = match self.allow(params) {
            Ok(()) => ("Fetch.continueRequest", json!({"requestId": id})),
            // The page stays as it is.
            Err(_) if self.is_main_document(params) => (
                "Fetch.fulfillRequest",
                json!({"requestId": id, "responseCode": 204}),
            ),
            Err(_) => (
                "Fetch.failRequest",
                json!({"requestId": id, "errorReason": "BlockedByClient"}),
            ),
        };
        // The browser's own session: it judges for every page, frame and worker.
        self.tools.send(method, answer, None)?;
        Ok(())
    }

    fn is_main_document(&self, params: &Value) -> bool {
        text(params, "/resourceType") == Some("Document")
            && text(params, "/frameId") == Some(&self.frame)
    }

    fn allow(&mut self, params: &Value) -> Result<(), Attempt> {
        let url = text(params, "/request/url").unwrap_or_default();
        let method = text(params, "/request/method").unwrap_or_default();
        let kind = text(params, "/resourceType").unwrap_or_default();
        let is_main = self.is_main_document(params);
        let frame = text(params, "/frameId").unwrap_or_default();
        let document = self.frames.get(frame).map_or("", String::as_str);
        let verdict = self.rules.check(&Requested {
            method,
            url,
            before: self.observation.requests - 1,
        });
        let verdict = match verdict {
            Ok(()) if !is_main && may_preflight(kind, url, document) => Err(Attempt::Host),
            verdict => verdict,
        };
        match verdict {
            Ok(()) if is_main => {
                self.documents += 1;
                self.document = text(params, "/networkId").map(str::to_owned);
                url.clone_into(&mut self.document_url);
                self.is_pending = true;
                self.failed = None;
                if self.documents > MAX_DOCUMENTS {
                    self.stop(Stop::TooManyRedirects);
                    return Err(Attempt::TooMany);
                }
            }
            Ok(()) => {}
            Err(attempt) => {
                self.observation.block(attempt, &format!("{method} {url}"));
                match attempt {
                    Attempt::Host if is_main => self.stop(Stop::OffHost),
                    Attempt::Scheme if is_main => self.stop(Stop::Insecure),
                    _ => {}
                }
            }
        }
        verdict
    }

    pub(super) fn refuse_credentials(&mut self, params: &Value) -> Result<(), Error> {
        let origin = text(params, "/authChallenge/origin").unwrap_or_default();
        if text(params, "/authChallenge/source") == Some("Proxy") {
            self.observation.proxy = Some(BrowserProxy {
                proxy: bounded(origin),
                pac_url: None,
                detected: false,
                asked_for_credentials: true,
            });
        } else {
            self.observation.block(Attempt::Authentication, origin);
        }
        let answer = json!({
            "requestId": text(params, "/requestId"),
            "authChallengeResponse": {"response": "CancelAuth"},
        });
        self.tools.send("Fetch.continueWithAuth", answer, None)?;
        Ok(())
    }
}
