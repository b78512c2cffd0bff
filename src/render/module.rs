//! A module as it was written, for people.

use std::collections::BTreeMap;

use crate::config::ProbeModule;

/// The module's keys in YAML; what is not written is as `ccass.yml` documents it.
pub fn yaml(module: &ProbeModule) -> String {
    let named = BTreeMap::from([(module.name.as_str(), &module.as_written.0)]);
    serde_saphyr::to_string(&named).unwrap_or_default()
}
