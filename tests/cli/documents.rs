//! What the documents say is what the program does. `make documents`
//! writes those that repeat a table of the code; read the difference before you commit it.

use std::fmt::Write as _;
use std::path::Path;

use ccass_2fa_exporter::render::metrics::{CATALOGUE, PREFIX};
use ccass_2fa_exporter::report::advice::{self, Advice, Contact};
use ccass_2fa_exporter::report::{Finding, LayerName, Reason};
use harness::documents::{assert_document, read, repository};
use harness::exporter::binary;

/// What a command prints.
fn printed(arguments: &[&str]) -> String {
    let output = std::process::Command::new(binary())
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn section(code: &str, advice: Advice) -> String {
    format!(
        "### `{code}`\n\n{}\n\n**Ask** {}. **Hand over:** {}\n\n",
        advice.meaning,
        whom(advice.ask),
        advice.hand_over
    )
}

fn whom(contact: Contact) -> String {
    match contact {
        Contact::Hkex => "the CCASS Hotline 2979 7111, clearingps@hkex.com.hk".to_owned(),
        other => format!("{} (`contacts.{}`)", other.team(), other.code()),
    }
}

#[test]
fn each_reason_and_finding_has_its_heading_with_the_advice_of_the_code() {
    let mut text = String::from(
        "# Reasons and findings\n\n\
         Every failed probe has one first failing layer and one reason out of this list. The code is\n\
         the value of the `reason` label, the JSON value and the heading here. Over HTTP and for the\n\
         page, nobody is sent to the Hotline unless the certificate proves that the login server\n\
         itself answered; then the security team is asked first.\n\n",
    );
    for layer in LayerName::ALL {
        writeln!(text, "## {}\n", layer.code()).unwrap();
        for reason in Reason::ALL
            .into_iter()
            .filter(|reason| reason.layer() == layer)
        {
            text += &section(reason.code(), advice::of_reason(reason));
        }
    }
    text += "## Findings\n\n\
             A finding does not fail a probe: the login may work. It has an alert of its own.\n\n";
    for finding in Finding::ALL {
        text += &section(finding.code(), advice::of_finding(finding));
    }
    assert_document("docs/reasons.md", &format!("{}\n", text.trim_end()));
}

#[test]
fn each_metric_stands_in_the_documentation_with_its_labels_and_help() {
    let mut text = format!(
        "# Metrics\n\n\
         Every metric of `/metrics` begins with `{PREFIX}`, which is left out here. Labels besides\n\
         these come from the scrape. An absent fact is an absent series, never a 0. The usual\n\
         `process_*` of a Prometheus client stand beside them (on Linux).\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n"
    );
    for definition in CATALOGUE {
        let labels: Vec<_> = definition
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            definition.name,
            definition.kind.name(),
            labels.join(", "),
            definition.help
        )
        .unwrap();
    }
    assert_document("docs/metrics.md", &text);
}

#[test]
fn each_metric_is_defined_once_and_named_as_the_field_names_them() {
    for (index, definition) in CATALOGUE.iter().enumerate() {
        assert!(
            CATALOGUE[..index]
                .iter()
                .all(|other| other.name != definition.name)
        );
        assert_eq!(
            definition.name.ends_with("_total"),
            definition.kind == ccass_2fa_exporter::render::metrics::Kind::Counter,
            "{}",
            definition.name
        );
        assert!(definition.help.ends_with('.'), "{}", definition.name);
    }
}

/// The code blocks of a document in that language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn the_configuration_in_the_readme_loads() {
    let readme = read("README.md");
    let blocks = blocks(&readme, "yaml");
    let block = blocks.first().expect("a configuration");
    let config = ccass_2fa_exporter::config::Config::parse(block, &repository("README.md"));
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.site.as_deref(), Some("central"));
}

#[test]
fn the_configuration_in_the_page_about_the_firewall_loads() {
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
            .any(|layer| word.starts_with(&format!("{}_", layer.code())));
        if is_reason {
            assert!(reasons.contains(&format!("`{word}`")), "{word}");
        }
    }
}

#[test]
fn each_flag_and_command_in_the_readme_is_one_of_the_programs() {
    let all = [
        "serve",
        "verify",
        "timetable",
        "check",
        "drill",
        "healthcheck",
        "record",
        "evidence list",
        "evidence check",
        "evidence report",
    ]
    .map(|command| {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        printed(&words)
    })
    .join("\n");
    let readme = read("README.md");
    let words = readme.split(|c: char| c.is_whitespace() || "`(),;=".contains(c));
    let mut count = 0;
    for word in words.filter(|word| word.starts_with("--") && word.len() > 2) {
        if !["--release", "--locked", "--help"].contains(&word) {
            assert!(
                all.contains(word),
                "{word} is in the README and not in the help"
            );
            count += 1;
        }
    }
    assert!(count > 4, "only {count} flags");
    let overview = printed(&["--help"]);
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
fn the_documented_timetable_is_one() {
    let document = read("docs/timetable.md");
    let (_, rest) = document.split_once("```yaml\n").unwrap();
    let text = rest.split_once("```").unwrap().0;
    let timetable = ccass_2fa_exporter::timetable::Timetable::parse(text).unwrap();
    assert_eq!((timetable.deadlines.len(), timetable.events.len()), (1, 1));
    // What is printed to begin with is one too, and the same.
    let built_in = ccass_2fa_exporter::timetable::Timetable::embedded();
    let text = printed(&["timetable", "--format=yaml"]);
    assert_eq!(text, built_in.written());
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/evidence.md",
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
                let beside = Path::new(document).with_file_name(path);
                assert!(
                    repository(&beside.display().to_string()).exists(),
                    "{document} links to {link}"
                );
            }
        }
    }
}
