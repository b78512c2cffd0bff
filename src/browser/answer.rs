//! Reads the answer of `ccass-2fa-browser`, within the limits of the protocol. Derived code would be ten
//! times as large, and the exporter is to stay small.

use serde::Deserialize;
use serde_json::Value;

use crate::report::browser::protocol::{
    Attempt, Blocked, BrowserCertificate, BrowserProxy, MAX_ENTRIES, MAX_TEXT, NotRun, Observation,
    Redirect, Stop,
};

/// What the browser showed, or why none opened the page; `None` if the answer is neither.
pub fn read(answer: &mut Value) -> Option<Result<Observation, NotRun>> {
    if let Some(seen) = answer.get_mut("opened") {
        return Some(Ok(observation(seen)));
    }
    let (why, details) = answer.get("not_run")?.as_object()?.iter().next()?;
    not_run(why, details).map(Err)
}

fn not_run(why: &str, details: &Value) -> Option<NotRun> {
    let browser = text(details, "browser");
    let message = text(details, "message");
    Some(match why {
        "browser_not_found" => NotRun::BrowserNotFound {
            searched: texts(details, "searched"),
        },
        "browser_too_old" => NotRun::BrowserTooOld {
            browser,
            version: text(details, "version"),
            needed: u32::try_from(number(details, "needed")?).ok()?,
        },
        "debugging_forbidden" => NotRun::DebuggingForbidden { browser },
        "no_sandbox" => NotRun::NoSandbox { browser, message },
        "no_display" => NotRun::NoDisplay { browser, message },
        "profile_not_writable" => NotRun::ProfileNotWritable {
            directory: text(details, "directory"),
            message,
        },
        "not_started" => NotRun::NotStarted { browser, message },
        "checker_failed" => NotRun::CheckerFailed { message },
        _ => return None,
    })
}

fn observation(seen: &mut Value) -> Observation {
    // The only long ones.
    let mut take = |name: &str| match seen.as_object_mut()?.remove(name)? {
        Value::String(text) => Some(text),
        _ => None,
    };
    let (html, screenshot) = (take("html"), take("screenshot"));
    let seen = &*seen;
    Observation {
        browser: text(seen, "browser"),
        version: text(seen, "version"),
        executable: text(seen, "executable"),
        url: text(seen, "url"),
        redirects: list(seen, "redirects", |one| {
            Some(Redirect {
                url: text(one, "url"),
                status: status(one)?,
                location: text(one, "location"),
            })
        }),
        status: status(seen),
        error: optional_text(seen, "error"),
        reason: optional_text(seen, "reason"),
        stopped: seen
            .get("stopped")
            .and_then(|stop| Stop::deserialize(stop).ok()),
        certificate: seen.get("certificate").map(certificate),
        remote_address: optional_text(seen, "remote_address"),
        protocol: optional_text(seen, "protocol"),
        proxy: seen.get("proxy").map(|proxy| BrowserProxy {
            proxy: text(proxy, "proxy"),
            pac_url: optional_text(proxy, "pac_url"),
            detected: flag(proxy, "detected"),
            asked_for_credentials: flag(proxy, "asked_for_credentials"),
        }),
        title: optional_text(seen, "title"),
        visible_fields: texts(seen, "visible_fields"),
        load_ms: number(seen, "load_ms"),
        requests: number(seen, "requests").unwrap_or_default(),
        bytes: number(seen, "bytes").unwrap_or_default(),
        blocked: list(seen, "blocked", |one| {
            Some(Blocked {
                what: Attempt::deserialize(one.get("what")?).ok()?,
                detail: text(one, "detail"),
            })
        }),
        blocked_more: number(seen, "blocked_more").unwrap_or_default(),
        html,
        screenshot,
    }
}

fn certificate(certificate: &Value) -> BrowserCertificate {
    let seconds = |name: &str| {
        let seconds = certificate.get(name).and_then(Value::as_i64);
        seconds.unwrap_or_default()
    };
    BrowserCertificate {
        subject: text(certificate, "subject"),
        names: texts(certificate, "names"),
        issuer: text(certificate, "issuer"),
        valid_from: seconds("valid_from"),
        valid_to: seconds("valid_to"),
        protocol: text(certificate, "protocol"),
        cipher: text(certificate, "cipher"),
        key_exchange: text(certificate, "key_exchange"),
    }
}

fn text(object: &Value, name: &str) -> String {
    optional_text(object, name).unwrap_or_default()
}

fn optional_text(object: &Value, name: &str) -> Option<String> {
    object.get(name).and_then(bounded)
}

fn bounded(text: &Value) -> Option<String> {
    Some(text.as_str()?.chars().take(MAX_TEXT).collect())
}

fn texts(object: &Value, name: &str) -> Vec<String> {
    list(object, name, bounded)
}

fn list<T>(object: &Value, name: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let entries = object.get(name).and_then(Value::as_array);
    let entries = entries.into_iter().flatten().take(MAX_ENTRIES);
    entries.filter_map(read).collect()
}

fn number(object: &Value, name: &str) -> Option<u64> {
    object.get(name)?.as_u64()
}

fn status(object: &Value) -> Option<u16> {
    u16::try_from(number(object, "status")?).ok()
}

fn flag(object: &Value, name: &str) -> bool {
    object.get(name).and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::browser::protocol::Answer;

    #[test]
    fn whatever_the_checker_writes_is_read() {
        let seen = Observation {
            browser: "Chromium".to_owned(),
            version: "156.0".to_owned(),
            executable: "/usr/bin/chromium".to_owned(),
            url: "https://sso.lab.test/".to_owned(),
            redirects: vec![Redirect {
                url: "https://sso.lab.test/a".to_owned(),
                status: 302,
                location: "/".to_owned(),
            }],
            status: Some(200),
            error: Some("ERR_FAILED".to_owned()),
            reason: Some("http_reset".to_owned()),
            stopped: Some(Stop::TooManyBytes),
            certificate: Some(BrowserCertificate {
                subject: "sso.lab.test".to_owned(),
                names: vec!["sso.lab.test".to_owned()],
                issuer: "CA".to_owned(),
                valid_from: -1,
                valid_to: 2,
                protocol: "TLS 1.3".to_owned(),
                cipher: "AES_128_GCM".to_owned(),
                key_exchange: "X25519".to_owned(),
            }),
            remote_address: Some("127.0.0.1:443".to_owned()),
            protocol: Some("h2".to_owned()),
            proxy: Some(BrowserProxy {
                proxy: "PROXY 10.0.0.1:8080".to_owned(),
                pac_url: Some("http://pac".to_owned()),
                detected: true,
                asked_for_credentials: true,
            }),
            title: Some("Login".to_owned()),
            visible_fields: vec!["username".to_owned()],
            load_ms: Some(3),
            requests: 4,
            bytes: 5,
            blocked: vec![Blocked {
                what: Attempt::WebSocket,
                detail: "wss://x".to_owned(),
            }],
            blocked_more: 6,
            html: Some("<p>".to_owned()),
            screenshot: Some("iVBO".to_owned()),
        };
        let opened = Answer::Opened(Box::new(seen.clone()));
        let mut opened = serde_json::to_value(&opened).unwrap();
        assert_eq!(read(&mut opened), Some(Ok(seen)));
        let browser = || "b".to_owned();
        let message = || "m".to_owned();
        for why in [
            NotRun::BrowserNotFound {
                searched: vec![browser()],
            },
            NotRun::BrowserTooOld {
                browser: browser(),
                version: "1".to_owned(),
                needed: 112,
            },
            NotRun::DebuggingForbidden { browser: browser() },
            NotRun::NoSandbox {
                browser: browser(),
                message: message(),
            },
            NotRun::NoDisplay {
                browser: browser(),
                message: message(),
            },
            NotRun::ProfileNotWritable {
                directory: "d".to_owned(),
                message: message(),
            },
            NotRun::NotStarted {
                browser: browser(),
                message: message(),
            },
            NotRun::CheckerFailed { message: message() },
        ] {
            let mut answer = serde_json::to_value(Answer::NotRun(why.clone())).unwrap();
            // The names of metrics are those of the protocol.
            let name = answer["not_run"].as_object().unwrap().keys().next();
            assert_eq!(name.map(String::as_str), Some(why.code()));
            assert_eq!(read(&mut answer), Some(Err(why)));
        }
        assert_eq!(read(&mut serde_json::json!({"other": 1})), None);
    }
}
