//! Names that become metric labels: short, and of characters that leave no room for personal data.

/// Whether `text` has 1 to 64 ASCII letters, digits and characters of `others`.
pub fn is_name(text: &str, others: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}

/// Checks the name of a site, target, group or terminal.
///
/// # Errors
/// The allowed characters. The name is not repeated: it may be personal data.
pub fn check(text: &str) -> Result<(), &'static str> {
    if is_name(text, "_-.") {
        Ok(())
    } else {
        Err("invalid name; use 1 to 64 letters, digits, dots, dashes and underscores")
    }
}

/// Checks the reference of a ticket.
///
/// # Errors
/// The allowed characters.
pub fn check_reference(text: &str) -> Result<(), &'static str> {
    if is_name(text, "_-./#") {
        Ok(())
    } else {
        Err("invalid reference; use 1 to 64 letters, digits and . - _ / #")
    }
}
