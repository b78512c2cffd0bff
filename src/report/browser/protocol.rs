//! What the exporter and `ccass-2fa-browser` exchange: one JSON object on standard input, one on
//! standard output. `browser-check` compiles this file too, so that neither program depends on the
//! other; it uses nothing but serde. Both ends enforce the limits.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Bytes of a request.
pub const MAX_REQUEST: u64 = 64 * 1024;
/// Bytes of an answer: the page, the screenshot and the facts.
pub const MAX_ANSWER: u64 = 12 * 1024 * 1024;
/// Bytes of the rendered page in an answer.
pub const MAX_HTML: usize = 1024 * 1024;
/// Bytes of a screenshot, as PNG.
pub const MAX_SCREENSHOT: usize = 2 * 1024 * 1024;
/// Entries of every list in an answer.
pub const MAX_ENTRIES: usize = 32;
/// Characters of every other text in an answer.
pub const MAX_TEXT: usize = 256;

/// What to open, and the limits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The program of the browser; by default it is searched for.
    pub browser: Option<PathBuf>,
    pub url: String,
    /// Hosts that the page may request in addition to the URL's own.
    pub allowed_hosts: Vec<String>,
    pub allow_http: bool,
    pub timeout_ms: u64,
    /// An empty directory for the profile. Both programs remove it.
    pub profile: PathBuf,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Opened(Box<Observation>),
    NotRun(NotRun),
}

/// Why no browser opened the page. It says nothing about the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotRun {
    /// No browser in any of these places.
    BrowserNotFound {
        searched: Vec<String>,
    },
    /// The protocol of this version lacks what the check needs.
    BrowserTooOld {
        browser: String,
        version: String,
        needed: u32,
    },
    /// A policy of the machine forbids remote debugging.
    DebuggingForbidden {
        browser: String,
    },
    /// The browser cannot isolate its processes: it runs as root, or the kernel denies namespaces.
    NoSandbox {
        browser: String,
        message: String,
    },
    NoDisplay {
        browser: String,
        message: String,
    },
    /// The directory for the profile cannot be written.
    ProfileNotWritable {
        directory: String,
        message: String,
    },
    /// The browser ended or did not answer; its last words.
    NotStarted {
        browser: String,
        message: String,
    },
    /// The program `ccass-2fa-browser` is missing, or did not answer.
    CheckerFailed {
        message: String,
    },
}

/// What the browser showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observation {
    /// `Chromium`, `Google Chrome`, `Microsoft Edge`.
    pub browser: String,
    pub version: String,
    pub executable: String,
    /// The URL of the page that was shown last.
    pub url: String,
    pub redirects: Vec<Redirect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The browser's error, such as `ERR_NAME_NOT_RESOLVED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The exporter's reason for that error, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the check ended the loading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<BrowserCertificate>,
    /// Of the connection: the server's, or the proxy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<String>,
    /// `h2`, `http/1.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Absent if the browser connected directly, or did not get so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<BrowserProxy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Names of the form fields that are visible.
    pub visible_fields: Vec<String>,
    /// From the navigation until the page was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_ms: Option<u64>,
    pub requests: u64,
    pub bytes: u64,
    /// What the page attempted and the check prevented.
    pub blocked: Vec<Blocked>,
    /// How many more there were.
    pub blocked_more: u64,
    /// The rendered document; it is judged and not passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// PNG in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screenshot: Option<String>,
}

/// One redirect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    pub url: String,
    pub status: u16,
    pub location: String,
}

/// A limit or a rule of the check that ended the loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The page leads to a host that is not allowed.
    OffHost,
    /// The page leads to plain http.
    Insecure,
    TooManyRedirects,
    /// The server did not answer in time.
    TimedOut,
    /// The page was received, but its scripts did not come to an end.
    Unresponsive,
    TooManyBytes,
    TooMuchMemory,
    /// The page crashed, or the browser ended.
    Crashed,
    /// The server sent a file to save instead of a page.
    Download,
}

/// The certificate as the browser describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserCertificate {
    pub subject: String,
    pub names: Vec<String>,
    pub issuer: String,
    /// Seconds since 1970.
    pub valid_from: i64,
    pub valid_to: i64,
    /// `TLS 1.3`
    pub protocol: String,
    pub cipher: String,
    pub key_exchange: String,
}

/// The proxy that the browser used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserProxy {
    /// As in a PAC file: `PROXY 10.0.0.1:8080`.
    pub proxy: String,
    /// The URL of the PAC file; absent if the proxy is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pac_url: Option<String>,
    /// The PAC file was found automatically (WPAD).
    #[serde(default)]
    pub detected: bool,
    /// The proxy asked for credentials, which the browser did not have.
    #[serde(default)]
    pub asked_for_credentials: bool,
}

/// Something that the page attempted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    pub what: Attempt,
    /// The URL or the method with the URL.
    pub detail: String,
}

/// What is never allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// Another method than GET and HEAD.
    Method,
    /// A host that is not allowed.
    Host,
    /// Plain http or another scheme.
    Scheme,
    WebSocket,
    Worker,
    Window,
    Download,
    Dialog,
    /// The server asked for a user name and a password.
    Authentication,
    /// More requests than a login page needs.
    TooMany,
}
