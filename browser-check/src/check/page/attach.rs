//! Prepares the page, its frames and whatever else it opens, before their scripts run.

use serde_json::{Value, json};

use super::PageCheck;
use crate::devtools::{Error, text};
use crate::protocol::Attempt;

/// With which the replacement below reports an attempt.
const BINDING: &str = "ccass2faAttempt";

/// Runs before the scripts of every document. A WebSocket cannot be intercepted like a request, so it
/// fails as if the server refused it; other connections do not exist.
const REPLACE_CONNECTIONS: &str = "(() => {
  const report = globalThis.ccass2faAttempt;
  delete globalThis.ccass2faAttempt;
  globalThis.WebSocket = class WebSocket extends EventTarget {
    static CONNECTING = 0; static OPEN = 1; static CLOSING = 2; static CLOSED = 3;
    constructor(url) {
      super();
      this.url = String(url);
      this.readyState = 3;
      report?.(this.url);
      setTimeout(() => ['error', 'close'].forEach(type => {
        const event = new Event(type);
        this.dispatchEvent(event);
        this['on' + type]?.(event);
      }));
    }
    send() {}
    close() {}
  };
  for (const name of ['RTCPeerConnection', 'webkitRTCPeerConnection', 'WebTransport', 'WebSocketStream'])
    delete globalThis[name];
})()";

impl PageCheck<'_> {
    pub(super) fn prepare(&mut self) -> Result<(), Error> {
        let browser = self.deadline;
        let commands = [
            (
                "Browser.setDownloadBehavior",
                json!({"behavior": "deny", "eventsEnabled": true}),
            ),
            (
                "Fetch.enable",
                json!({
                    "handleAuthRequests": true,
                    "patterns": [{"urlPattern": "*", "requestStage": "Request"}],
                }),
            ),
            ("Target.setAutoAttach", auto_attach()),
        ];
        for (method, params) in commands {
            self.tools.call(method, params, None, browser)?;
        }
        let target = json!({"url": "about:blank"});
        let target = self
            .tools
            .call("Target.createTarget", target, None, browser)?;
        self.frame = text(&target, "/targetId").unwrap_or_default().to_owned();
        while self.session.is_none() {
            let event = self.tools.event(browser)?;
            self.handle(&event)?;
        }
        let session = self.session.clone();
        let size = json!({"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        let script = json!({"source": REPLACE_CONNECTIONS});
        for (method, params) in [
            ("Page.enable", json!({})),
            (
                "Network.enable",
                json!({"maxTotalBufferSize": 0, "maxResourceBufferSize": 0}),
            ),
            ("Network.setBypassServiceWorker", json!({"bypass": true})),
            ("Network.setCacheDisabled", json!({"cacheDisabled": true})),
            ("Security.enable", json!({})),
            // Without it no binding is reported.
            ("Runtime.enable", json!({})),
            ("Runtime.addBinding", json!({"name": BINDING})),
            ("Emulation.setDeviceMetricsOverride", size),
            ("Page.addScriptToEvaluateOnNewDocument", script),
            ("Target.setAutoAttach", auto_attach()),
            ("Runtime.runIfWaitingForDebugger", json!({})),
        ] {
            self.tools
                .call(method, params, session.as_deref(), browser)?;
        }
        Ok(())
    }

    pub(super) fn attached(&mut self, params: &Value) -> Result<(), Error> {
        let target = text(params, "/targetInfo/targetId").unwrap_or_default();
        let url = text(params, "/targetInfo/url").unwrap_or_default();
        let session = text(params, "/sessionId");
        match text(params, "/targetInfo/type") {
            Some("page") if target == self.frame => {
                self.session = session.map(str::to_owned);
            }
            Some("page") if params.pointer("/waitingForDebugger") == Some(&Value::Bool(true)) => {
                self.observation.block(Attempt::Window, url);
                let target = json!({"targetId": target});
                self.tools.send("Target.closeTarget", target, None)?;
            }
            Some("iframe") => {
                for (method, params) in [
                    ("Page.enable", json!({})),
                    ("Network.enable", json!({"maxTotalBufferSize": 0})),
                    ("Runtime.addBinding", json!({"name": BINDING})),
                    (
                        "Page.addScriptToEvaluateOnNewDocument",
                        json!({"source": REPLACE_CONNECTIONS}),
                    ),
                    ("Target.setAutoAttach", auto_attach()),
                    ("Runtime.runIfWaitingForDebugger", json!({})),
                ] {
                    self.tools.send(method, params, session)?;
                }
            }
            // It waits for a debugger for ever.
            Some("worker" | "shared_worker" | "service_worker" | "worklet") => {
                self.observation.block(Attempt::Worker, url);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Everything that the browser opens waits until it is known what it is.
fn auto_attach() -> Value {
    json!({"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true})
}
