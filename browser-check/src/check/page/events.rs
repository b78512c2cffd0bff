//! What the browser reports while the page loads.

use serde_json::{Value, json};

use super::{MAX_KNOWN, PageCheck, now};
use crate::devtools::{Error, Event, number, text};
use crate::net_errors;
use crate::protocol::{Attempt, Stop};
use crate::record::bounded;

/// Bytes of all responses, decoded.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

impl PageCheck<'_> {
    pub(super) fn handle(&mut self, event: &Event) -> Result<(), Error> {
        let params = &event.params;
        let session = event.session.as_deref();
        let is_page = session.is_some() && session == self.session.as_deref();
        match event.method.as_str() {
            "Fetch.requestPaused" => return self.judge(params),
            "Fetch.authRequired" => return self.refuse_credentials(params),
            "Target.attachedToTarget" => return self.attached(params),
            "Page.javascriptDialogOpening" => {
                let message = text(params, "/message").unwrap_or_default();
                self.observation.block(Attempt::Dialog, message);
                let answer = json!({"accept": false});
                self.tools
                    .send("Page.handleJavaScriptDialog", answer, session)?;
            }
            "Page.windowOpen" => {
                let url = text(params, "/url").unwrap_or_default();
                self.observation.block(Attempt::Window, url);
            }
            "Browser.downloadWillBegin" => self.download(params),
            "Network.webSocketCreated" => {
                let url = text(params, "/url").unwrap_or_default();
                self.observation.block(Attempt::WebSocket, url);
            }
            "Runtime.bindingCalled" => {
                let url = text(params, "/payload").unwrap_or_default();
                self.observation.block(Attempt::WebSocket, url);
            }
            "Page.frameNavigated" => self.navigated(params),
            "Page.loadEventFired" if is_page => self.loaded = Some(now()),
            "Inspector.targetCrashed" if is_page => self.stop(Stop::Crashed),
            "Security.visibleSecurityStateChanged" if is_page => {
                let state = params.get("visibleSecurityState");
                self.observation
                    .read_security_state(state.unwrap_or(&Value::Null));
            }
            method => self.network(method, params),
        }
        Ok(())
    }

    fn network(&mut self, method: &str, params: &Value) {
        let Some(id) = text(params, "/requestId") else {
            return;
        };
        let is_document = self.document.as_deref() == Some(id);
        match method {
            "Network.requestWillBeSent" => {
                if let (Some(response), true) = (params.get("redirectResponse"), is_document) {
                    let location = text(params, "/request/url").unwrap_or_default();
                    self.observation.redirect(response, location);
                }
                // The script of a worker, which waits, has no loader.
                let is_worker = text(params, "/loaderId") == Some("");
                if self.in_flight.len() < MAX_KNOWN && !is_worker {
                    self.in_flight.insert(id.to_owned());
                }
                self.last_activity = now();
            }
            "Network.responseReceived" if is_document => {
                let response = params.get("response").unwrap_or(&Value::Null);
                self.observation.read_response(response);
            }
            "Network.dataReceived" => {
                self.observation.bytes += number(params, "/dataLength").unwrap_or_default();
                if self.observation.bytes > MAX_BYTES {
                    self.stop(Stop::TooManyBytes);
                }
            }
            "Network.loadingFinished" => {
                self.in_flight.remove(id);
                self.last_activity = now();
            }
            "Network.loadingFailed" => {
                self.in_flight.remove(id);
                self.last_activity = now();
                if is_document {
                    self.is_pending = false;
                    self.document_failed(params);
                }
            }
            _ => {}
        }
    }

    fn document_failed(&mut self, params: &Value) {
        let error = text(params, "/errorText").unwrap_or_default();
        let error = error.trim_start_matches("net::");
        // A page that leads to another one, or that the check stopped.
        if error == "ERR_ABORTED" || self.observation.stopped.is_some() {
            return;
        }
        // The tunnel fails with one of several errors, by what else the proxy answers.
        let is_proxy = self.observation.proxy.as_ref();
        let is_proxy = is_proxy.is_some_and(|proxy| proxy.asked_for_credentials);
        let reason = if is_proxy {
            Some("proxy_auth_required")
        } else {
            net_errors::reason(error)
        };
        self.observation.error = Some(bounded(error));
        self.observation.reason = reason.map(str::to_owned);
        self.failed = Some(now());
    }

    fn download(&mut self, params: &Value) {
        let url = text(params, "/url").unwrap_or_default();
        self.observation.block(Attempt::Download, url);
        // A page that offers a file stays.
        let is_page = text(params, "/frameId") == Some(&self.frame);
        if is_page && url == self.document_url {
            self.is_pending = false;
            let shown = self.frames.get(&self.frame).map_or("", String::as_str);
            if shown.is_empty() || shown == "about:blank" {
                self.stop(Stop::Download);
            }
        }
    }

    fn navigated(&mut self, params: &Value) {
        let frame = text(params, "/frame/id").unwrap_or_default();
        let url = text(params, "/frame/url").unwrap_or_default();
        if self.frames.len() < MAX_KNOWN {
            self.frames.insert(frame.to_owned(), url.to_owned());
        }
        if frame == self.frame {
            let shown = text(params, "/frame/unreachableUrl").unwrap_or(url);
            self.observation.url = bounded(shown);
            self.is_pending = false;
            self.loaded = None;
            self.last_activity = now();
        }
    }
}
