//! The browser as a process: started with pipes for the DevTools protocol, ended with all its children.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(unix)]
pub use unix::{Browser, launch};
#[cfg(windows)]
pub use windows::Browser;

/// Bytes of memory that belong to the browser alone; more than any login page needs.
pub const MAX_MEMORY: u64 = 2 * 1024 * 1024 * 1024;
/// Bytes that are kept of what the browser prints.
const MAX_PRINTED: usize = 8 * 1024;

/// The two ends of the protocol.
pub struct Pipes {
    pub to: Box<dyn Write + Send>,
    pub from: Box<dyn Read + Send>,
}

/// The beginning of what the browser prints to standard error.
#[derive(Clone, Default)]
pub struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    /// Reads to the end, so that the browser never waits, and keeps the beginning.
    fn collect(mut from: impl Read + Send + 'static) -> Self {
        let printed = Self::default();
        let kept = Arc::clone(&printed.0);
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MAX_PRINTED.saturating_sub(kept.len());
                kept.extend(buffer.iter().take(count.min(room)));
            }
        });
        printed
    }

    pub fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

/// The flags of every start. The machine's proxy settings, PAC file and policies stay active.
pub fn arguments(profile: &Path) -> Vec<String> {
    let fixed = [
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-sync",
        "--disable-domain-reliability",
        "--disable-client-side-phishing-detection",
        "--disable-breakpad",
        "--disable-crash-reporter",
        "--disable-notifications",
        "--deny-permission-prompts",
        "--metrics-recording-only",
        "--no-pings",
        "--no-service-autorun",
        "--mute-audio",
        "--hide-scrollbars",
        "--password-store=basic",
        "--use-mock-keychain",
        "--window-size=1280,900",
        // Reports that the network service would send itself, without a page and so without a rule.
        "--disable-features=Reporting,NetworkErrorLogging,DocumentReporting,OptimizationHints,Translate,\
         MediaRouter,AutofillServerCommunication,InterestFeedContentSuggestions,\
         CertificateTransparencyComponentUpdater,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,\
         AttributionReportingCrossAppWeb,NetworkTimeServiceQuerying,PrivacySandboxAdsAPIs,FetchLaterAPI,Prerender2",
        "--disable-blink-features=WebTransport,RTCDataChannel",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        // The browser's own requests, which no other flag stops: they fail at once.
        "--gaia-url=http://127.0.0.1:1",
        "--component-updater=url-source=http://127.0.0.1:1/",
        // No credentials of the signed-in user for a server; proxies may have them.
        "--auth-server-allowlist=none.invalid",
    ];
    let mut arguments: Vec<String> = fixed.map(str::to_owned).to_vec();
    arguments.push(format!(
        "--user-data-dir={}",
        profile.join("profile").display()
    ));
    arguments.push(format!("--crash-dumps-dir={}", profile.display()));
    arguments.push(format!("--log-net-log={}", net_log(profile).display()));
    arguments
}

pub fn net_log(profile: &Path) -> std::path::PathBuf {
    profile.join("net-log.json")
}
