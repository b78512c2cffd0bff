//! Which browser: the one that is named, or the first of Edge, Chrome and Chromium in their usual
//! places.

use std::env;
use std::path::{Path, PathBuf};

use crate::protocol::NotRun;

/// Programs on the path, in order of preference: the circular's test is one in Edge.
#[cfg(not(windows))]
const PROGRAMS: [&str; 6] = [
    "microsoft-edge-stable",
    "microsoft-edge",
    "google-chrome-stable",
    "google-chrome",
    "chromium",
    "chromium-browser",
];

#[cfg(not(windows))]
const PLACES: [&str; 6] = [
    "/opt/microsoft/msedge/msedge",
    "/opt/google/chrome/chrome",
    "/usr/bin/chromium",
    "/usr/lib/chromium/chromium",
    "/snap/bin/chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
];

/// Below the directories for programs.
#[cfg(windows)]
const PLACES: [&str; 3] = [
    r"Microsoft\Edge\Application\msedge.exe",
    r"Google\Chrome\Application\chrome.exe",
    r"Chromium\Application\chrome.exe",
];

/// The browser's program.
///
/// # Errors
/// `named` is no file, or no browser was found.
pub fn browser(named: Option<&Path>) -> Result<PathBuf, NotRun> {
    let mut searched = Vec::new();
    let candidates = named.map_or_else(usual_places, |path| vec![path.to_owned()]);
    for candidate in candidates {
        if candidate.is_file() {
            return Ok(candidate);
        }
        searched.push(candidate.display().to_string());
    }
    Err(NotRun::BrowserNotFound { searched })
}

#[cfg(not(windows))]
fn usual_places() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = env::split_paths(&path).collect();
    let on_path = PROGRAMS.iter().flat_map(|program| {
        let found = directories
            .iter()
            .map(move |directory| directory.join(program));
        // Only what exists: the list of what was searched would be long.
        found.filter(|candidate| candidate.is_file())
    });
    on_path.chain(PLACES.iter().map(PathBuf::from)).collect()
}

#[cfg(windows)]
fn usual_places() -> Vec<PathBuf> {
    let variables = ["ProgramFiles(x86)", "ProgramFiles", "LocalAppData"];
    let directories: Vec<PathBuf> = variables
        .iter()
        .filter_map(env::var_os)
        .map(PathBuf::from)
        .collect();
    let places = PLACES.iter();
    places
        .flat_map(|place| {
            directories
                .iter()
                .map(move |directory| directory.join(place))
        })
        .collect()
}

/// The name of the product, by its program and its user agent.
pub fn product(program: &Path, user_agent: &str) -> &'static str {
    let file = program
        .file_stem()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    if user_agent.contains("Edg/") || file.contains("edge") {
        "Microsoft Edge"
    } else if file.contains("google") || program.to_string_lossy().contains("Google") {
        "Google Chrome"
    } else {
        "Chromium"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_browser_is_reported_with_its_path() {
        let error = browser(Some(Path::new("/nowhere/browser"))).unwrap_err();
        let searched = vec!["/nowhere/browser".to_owned()];
        assert_eq!(error, NotRun::BrowserNotFound { searched });
    }

    #[test]
    fn product_follows_the_user_agent_and_the_program() {
        for (program, agent, expected) in [
            ("/opt/msedge", "Chrome/156 Edg/156", "Microsoft Edge"),
            ("/usr/bin/google-chrome", "Chrome/156", "Google Chrome"),
            ("/usr/bin/chromium", "HeadlessChrome/156", "Chromium"),
        ] {
            assert_eq!(product(Path::new(program), agent), expected);
        }
    }
}
