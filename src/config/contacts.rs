//! The key `contacts`: the teams that can help, and how to reach them.

use std::collections::BTreeMap;

use super::raw::RawContacts;
use super::section::Section;
use crate::report::advice::Contact;

/// The circular's enquiry line (CD/OES/CCASS/013/2023).
const HOTLINE: &str = "CCASS Hotline 2979 7111, clearingps@hkex.com.hk";
const MAX_CHARACTERS: usize = 200;

/// Names and telephone numbers of the teams that can help. They are printed, but never exported in
/// metrics.
#[derive(Clone, Debug)]
pub struct Contacts(BTreeMap<Contact, String>);

impl Contacts {
    pub fn of(&self, contact: Contact) -> Option<&str> {
        self.0.get(&contact).map(String::as_str)
    }

    pub(super) fn validate(raw: &RawContacts, mut section: Section<'_>) -> Self {
        let mut contacts = Self::default();
        for (contact, text) in [
            (Contact::Dns, &raw.dns),
            (Contact::Firewall, &raw.firewall),
            (Contact::Proxy, &raw.proxy),
            (Contact::Security, &raw.security),
            (Contact::Desk, &raw.desk),
            (Contact::Hkex, &raw.hkex),
        ] {
            if let Some(text) = section.optional(contact.into_str(), text, one_line) {
                contacts.0.insert(contact, text);
            }
        }
        contacts
    }
}

impl Default for Contacts {
    fn default() -> Self {
        Self(BTreeMap::from([(Contact::Hkex, HOTLINE.to_owned())]))
    }
}

/// A contact as the configuration accepts it.
///
/// # Errors
/// It has several lines, or is too long.
pub fn one_line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) || text.chars().count() > MAX_CHARACTERS {
        return Err(format!(
            "invalid contact; use one line of at most {MAX_CHARACTERS} characters"
        ));
    }
    Ok(text.to_owned())
}
