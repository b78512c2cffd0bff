//! Values from the environment: `${NAME}` in place of a whole value, where sites differ, so that all of
//! them can share one file.

use super::raw::{RawConfig, RawModule};
use super::section::Section;
use crate::diagnostics::Text;

/// Replaces `${NAME}` in the site, the contacts, the data directory and the addresses of modules by what
/// `lookup` returns. Returns false after an error, which is reported.
pub(super) fn substitute(
    raw: &mut RawConfig,
    section: &mut Section<'_>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> bool {
    let mut values = vec![
        ("site".to_owned(), &mut raw.site),
        ("data_directory".to_owned(), &mut raw.data_directory),
    ];
    let contacts = &mut *raw.contacts;
    for (name, contact) in [
        ("dns", &mut contacts.dns),
        ("firewall", &mut contacts.firewall),
        ("proxy", &mut contacts.proxy),
        ("security", &mut contacts.security),
        ("desk", &mut contacts.desk),
        ("hkex", &mut contacts.hkex),
    ] {
        values.push((format!("contacts.{name}"), contact));
    }
    let mut values: Vec<(String, &mut Text)> = values
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.as_mut()?)))
        .collect();
    for (name, module) in raw.modules.iter_mut() {
        let addresses = addresses_of(module);
        values.extend(addresses.map(|(key, value)| (format!("modules.{name}.{key}"), value)));
    }
    let mut is_complete = true;
    for (key, text) in values {
        match value_of(&text.value, lookup) {
            Ok(Some(value)) => text.value = value,
            Ok(None) => {}
            Err(message) => {
                section.error(text, &key, message);
                is_complete = false;
            }
        }
    }
    is_complete
}

fn addresses_of(module: &mut RawModule) -> impl Iterator<Item = (String, &mut Text)> {
    let single = [
        ("source_address", &mut module.source_address),
        ("proxy", &mut module.proxy),
    ];
    let lists = [
        ("resolvers", &mut module.resolvers),
        ("expected_addresses", &mut module.expected_addresses),
        ("sinkhole_addresses", &mut module.sinkhole_addresses),
    ];
    let single = single
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value.as_mut()?)));
    let lists = lists.into_iter().flat_map(|(key, list)| {
        let values = list.iter_mut().enumerate();
        values.map(move |(index, value)| (format!("{key}[{index}]"), value))
    });
    single.chain(lists)
}

/// The value that `text` refers to, if it does.
///
/// # Errors
/// The variable is not set, or is not the whole value.
fn value_of(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .filter(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
        .ok_or("a variable must be the whole value, for example \"${CCASS_SITE}\"")?;
    lookup(name)
        .filter(|value| !value.is_empty())
        .map(Some)
        .ok_or_else(|| {
            format!("the environment variable {name} is not set; set it, or write the value")
        })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    fn parse(text: &str) -> Result<Config, String> {
        let lookup = |name: &str| match name {
            "SITE" => Some("central".to_owned()),
            "DESK" => Some("ext. 4410".to_owned()),
            "DNS_1" => Some("10.1.2.3".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        Config::parse_with(text, Path::new("ccass.yml"), &lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn whole_values_come_from_the_environment() {
        let config = parse(
            "site: ${SITE}\ncontacts: {desk: \"${DESK}\"}\nmodules:\n  login_page:\n    \
             resolvers: [\"${DNS_1}\", 10.1.2.4]\n    page: {contains: [\"${NOT_A_VARIABLE}\"]}\n",
        )
        .unwrap();
        assert_eq!(config.site.as_deref(), Some("central"));
        let written = format!("{config:?}");
        for part in ["ext. 4410", "10.1.2.3", "10.1.2.4", "${NOT_A_VARIABLE}"] {
            assert!(written.contains(part), "{part}: {written}");
        }
    }

    #[test]
    fn missing_variables_are_named_with_file_line_and_key() {
        let error = parse(
            "site: ${MISSING}\ndata_directory: ${EMPTY}\ncontacts: {desk: \"the ${DESK}\"}\nmodules:\n  \
             login_page:\n    resolvers: [10.1.2.4, \"${DNS_2}\"]\n",
        )
        .unwrap_err();
        for part in [
            "ccass.yml:1:7: site: the environment variable MISSING is not set",
            "ccass.yml:2:17: data_directory: the environment variable EMPTY is not set",
            "contacts.desk: a variable must be the whole value",
            "modules.login_page.resolvers[1]: the environment variable DNS_2 is not set",
        ] {
            assert!(error.contains(part), "{part}\n{error}");
        }
    }
}
