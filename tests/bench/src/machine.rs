//! The machine, programs and date of the measurement.

use std::path::Path;

use crate::process::version;
use crate::programs::Programs;

pub async fn described(programs: &Programs) -> anyhow::Result<Vec<(String, String)>> {
    let mut list = Vec::new();
    let mut add = |what: &str, value: String| list.push((what.to_owned(), value));
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let processors = std::thread::available_parallelism()?;
    add(
        "processors",
        format!(
            "{processors} of {}",
            model.map_or("an unknown kind", |(_, name)| name)
        ),
    );
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    add(
        "memory",
        total.map_or(String::new(), |total| total.trim().to_owned()),
    );
    let kernel = std::fs::read_to_string("/proc/sys/kernel/ostype")?;
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    add("system", format!("{} {}", kernel.trim(), release.trim()));
    add("ours", version(&programs.ours, "--version").await?);
    for (what, path) in [
        ("blackbox_exporter", &programs.blackbox),
        ("Prometheus", &programs.prometheus),
    ] {
        add(what, short(&version(path, "--version").await?));
    }
    add("nginx", version(Path::new("nginx"), "-v").await?);
    add("nsd", version(Path::new("nsd"), "-v").await?);
    add("compiler", version(Path::new("rustc"), "--version").await?);
    add(
        "date",
        jiff::Timestamp::now()
            .strftime("%Y-%m-%d %H:%M UTC")
            .to_string(),
    );
    Ok(list)
}

/// Without the packaging revision.
fn short(version: &str) -> String {
    version.split(" (").next().unwrap_or(version).to_owned()
}
