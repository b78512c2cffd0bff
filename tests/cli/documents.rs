//! The documents agree with the program. `make documents` rewrites those that repeat a table of the
//! code; review the difference.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ccass_2fa_exporter::cli::Cli;
use ccass_2fa_exporter::render::metrics::{DEFINITIONS, MetricDesc, TERMINAL_DEFINITIONS};
use ccass_2fa_exporter::report::advice::{self, Advice, Contact};
use ccass_2fa_exporter::report::{Finding, LayerName, Reason};
use clap::CommandFactory;
use harness::documents::{assert_document, read, repository};
use harness::exporter::binary;

/// The standard output of a command.
fn stdout_of(arguments: &[&str]) -> String {
    let output = std::process::Command::new(binary())
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn section(code: &str, advice: Advice) -> String {
    let provide = advice
        .information_to_provide
        .map_or(String::new(), |text| format!(" **Provide:** {text}"));
    format!(
        "### `{code}`\n\n{}\n\n**Contact:** {}. **Action:** {}{provide}\n\n",
        advice.meaning,
        contact(advice.contact),
        advice.action
    )
}

fn contact(contact: Contact) -> String {
    match contact {
        Contact::Hkex => "the CCASS Hotline 2979 7111, clearingps@hkex.com.hk".to_owned(),
        other => format!("{} (`contacts.{}`)", other.team(), other.into_str()),
    }
}

#[test]
fn reasons_document_has_every_reason_and_finding_with_its_advice() {
    let mut text = String::from(
        "# Reasons and findings\n\n\
         Every failed probe has one first failing layer and one reason from this list. The code is the\n\
         value of the `reason` label, the JSON value and the heading here. `verify` and the status page\n\
         show the same advice with the addresses, names and times of the failure. For http and page the\n\
         advice names the Hotline only if the certificate proves that the login server answered;\n\
         otherwise it names the security team.\n\n",
    );
    for layer in LayerName::ALL {
        writeln!(text, "## {}\n", layer.into_str()).unwrap();
        for reason in Reason::ALL.iter().filter(|reason| reason.layer() == layer) {
            text += &section(reason.into_str(), advice::of_reason(*reason));
        }
    }
    text += "## Findings\n\n\
             A finding does not fail a probe: the login may work. Each that `serve` finds has an alert.\n\n";
    for finding in Finding::ALL {
        text += &section(finding.into_str(), advice::of_finding(*finding));
    }
    assert_document("docs/reasons.md", &format!("{}\n", text.trim_end()));
}

#[test]
fn metrics_document_has_every_metric_with_labels_and_help() {
    let mut text = String::from(
        "# Metrics\n\n\
         Every metric of `/metrics` begins with `ccass2fa_`, which is omitted here. Other labels come from\n\
         the scrape. An absent fact is an absent series, never 0. On Linux the usual `process_*`\n\
         metrics are exported as well.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    text += &rows(DEFINITIONS);
    text += "\n## Of a terminal\n\n\
             `verify --format prometheus --output FILE` writes these for the textfile collector of\n\
             node_exporter or windows_exporter ([how](browser.md#without-a-listener)).\n\n\
             | metric | type | labels | meaning |\n|---|---|---|---|\n";
    text += &rows(TERMINAL_DEFINITIONS);
    assert_document("docs/metrics.md", &text);
}

fn rows(definitions: &[&MetricDesc]) -> String {
    let row = |definition: &&MetricDesc| {
        let labels = definition.labels.iter();
        let labels: Vec<_> = labels.map(|label| format!("`{label}`")).collect();
        format!(
            "| `{}` | {} | {} | {} |\n",
            definition.name,
            definition.kind.name(),
            labels.join(", "),
            definition.help
        )
    };
    definitions.iter().map(row).collect()
}

#[test]
fn man_pages_describe_every_command() {
    let directory = tempfile::tempdir().unwrap();
    // The version of a test's build names no commit, and neither must the page.
    let command = Cli::command().version(env!("CARGO_PKG_VERSION"));
    clap_mangen::generate_to(command, directory.path()).unwrap();
    let names = |directory: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let generated = names(directory.path());
    for name in &generated {
        let text = std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_document(&format!("docs/man/{name}"), &text);
    }
    assert_eq!(names(&repository("docs/man")), generated);
}

#[test]
fn metrics_are_defined_once_and_follow_naming_conventions() {
    let definitions: Vec<_> = DEFINITIONS.iter().chain(TERMINAL_DEFINITIONS).collect();
    for (index, definition) in definitions.iter().enumerate() {
        assert!(
            definitions[..index]
                .iter()
                .all(|other| other.name != definition.name)
        );
        assert_eq!(
            definition.name.ends_with("_total"),
            definition.kind == ccass_2fa_exporter::render::metrics::MetricType::Counter,
            "{}",
            definition.name
        );
        assert!(definition.help.ends_with('.'), "{}", definition.name);
    }
}

/// The code blocks in `language`.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn configuration_in_the_readme_loads() {
    let readme = read("README.md");
    let blocks = blocks(&readme, "yaml");
    let block = blocks
        .iter()
        .find(|block| block.starts_with("site:"))
        .expect("a configuration");
    let config = ccass_2fa_exporter::config::Config::parse(block, &repository("README.md"));
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.site.as_deref(), Some("central"));
}

#[test]
fn configuration_in_the_firewall_document_loads() {
    let page = read("docs/behind-your-firewall.md");
    for block in blocks(&page, "yaml") {
        let config = ccass_2fa_exporter::config::Config::parse(block, &repository("docs"));
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.targets.len(), 3);
    }
    let reasons = read("docs/reasons.md");
    for word in page.split('`') {
        let is_reason = LayerName::ALL
            .iter()
            .any(|layer| word.starts_with(&format!("{}_", layer.into_str())));
        if is_reason {
            assert!(reasons.contains(&format!("`{word}`")), "{word}");
        }
    }
}

#[test]
fn flags_and_commands_in_the_readme_exist() {
    let all = [
        "serve",
        "verify",
        "init",
        "timetable",
        "check",
        "drill",
        "healthcheck",
        "completions",
        "record",
        "evidence list",
        "evidence check",
        "evidence report",
    ]
    .map(|command| {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        stdout_of(&words)
    })
    .join("\n");
    let readme = read("README.md");
    // Flags of other programs.
    let other = |line: &&str| {
        ["dpkg ", "rpm ", "docker "]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let ours: Vec<&str> = readme.lines().filter(|line| !other(line)).collect();
    let ours = ours.join("\n");
    let words = ours.split(|c: char| c.is_whitespace() || "`(),;=".contains(c));
    let mut count = 0;
    for word in words.filter(|word| word.starts_with("--") && word != &"-->" && word.len() > 2) {
        if !["--release", "--locked", "--help"].contains(&word) {
            assert!(
                all.contains(word),
                "{word} is in the README and not in the help"
            );
            count += 1;
        }
    }
    assert!(count > 4, "only {count} flags");
    let overview = stdout_of(&["--help"]);
    for line in overview
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
    {
        let Some(command) = line.split_whitespace().next() else {
            break;
        };
        if command != "help" {
            assert!(
                readme.contains(&format!("`{command}")),
                "{command} is not in the README"
            );
        }
    }
}

#[test]
fn documented_timetable_and_printed_timetable_load() {
    let document = read("docs/timetable.md");
    let (_, rest) = document.split_once("```yaml\n").unwrap();
    let text = rest.split_once("```").unwrap().0;
    let timetable =
        ccass_2fa_exporter::timetable::Timetable::parse(text, &repository("docs/timetable.md"))
            .unwrap();
    assert_eq!((timetable.deadlines.len(), timetable.events.len()), (1, 1));
    // The timetable that is printed as a template is the built-in one.
    let built_in = ccass_2fa_exporter::timetable::Timetable::embedded();
    let text = stdout_of(&["timetable", "--format=yaml"]);
    assert_eq!(text, built_in.source());
}

#[test]
fn workflows_pin_their_actions_and_call_targets_of_the_makefile() {
    let makefile = read("Makefile");
    for name in ["ci", "release"] {
        let text = read(&format!(".github/workflows/{name}.yml"));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for line in lines.iter().filter(|line| line.contains("uses:")) {
            let commit = line.split(['@', ' ']).find(|word| word.len() == 40);
            let is_commit = commit.is_some_and(|word| word.bytes().all(|c| c.is_ascii_hexdigit()));
            assert!(is_commit, "{name}.yml pins no commit: {line}");
        }
        for line in &lines {
            let target = line
                .split("make ")
                .nth(1)
                .map(|rest| rest.split(' ').next().unwrap());
            if let Some(target) = target.filter(|_| !line.starts_with('#')) {
                assert!(
                    makefile.contains(&format!("\n{target}:")),
                    "{name}.yml: {line}"
                );
            }
        }
        assert!(
            text.contains("permissions:\n  contents: read\n"),
            "{name}.yml"
        );
    }
}

#[test]
fn links_between_documents_resolve() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/evidence.md",
        "docs/install.md",
        "docs/timetable.md",
    ] {
        let text = read(document);
        for link in text
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap())
        {
            if !link.contains("://") && !link.starts_with('#') {
                let path = link.split('#').next().unwrap();
                let target = Path::new(document).with_file_name(path);
                assert!(
                    repository(&target.display().to_string()).exists(),
                    "{document} links to {link}"
                );
            }
        }
    }
}

/// The last column of the table has names of tests and of scenarios.
#[test]
fn tests_named_in_the_security_document_exist() {
    let directories = [
        "browser", "cli", "evidence", "interop", "lab/src", "network", "probe", "serve",
    ];
    let files = directories
        .iter()
        .flat_map(|name| source_files(&repository(&format!("tests/{name}"))));
    let sources: String = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let text = read("SECURITY.md");
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let names: Vec<&str> = rows
        .filter_map(|row| row.trim_end_matches(" |").rsplit_once("| "))
        .flat_map(|(_, tests)| tests.split(", "))
        .filter_map(|name| name.strip_prefix('`')?.strip_suffix('`'))
        .collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let exists =
            sources.contains(&format!("fn {name}(")) || sources.contains(&format!("\"{name}\""));
        assert!(exists, "{name}");
    }
}

#[test]
fn log_messages_quoted_in_the_runbook_exist_in_the_source() {
    let source: String = source_files(&repository("src"))
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let runbook = read("docs/runbook.md");
    let quoted: Vec<_> = runbook
        .split("the log line \"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(message, _)| message)
        .collect();
    assert!(!quoted.is_empty(), "the runbook quotes no log line");
    for message in quoted {
        let unwrapped = message.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            source.contains(&format!("\"{unwrapped}\"")),
            "docs/runbook.md quotes \"{unwrapped}\", which src does not log"
        );
    }
}

/// The Rust files below `directory`.
fn source_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                source_files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
