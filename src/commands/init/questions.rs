//! The questions of `init`, for what no probe can find out. An empty answer keeps the default.

use std::io::{self, BufRead};

use crate::config::one_line;
use crate::label;
use crate::readiness::Kind;
use crate::render::setup::Answers;
use crate::report::advice::Contact;
use crate::terminal;

/// A longer line is not an answer.
const MAX_LINE: u64 = 4096;

/// Asks on the terminal; `answers` holds the defaults.
pub(super) fn ask(answers: &mut Answers) -> io::Result<()> {
    print("\nSome questions; Enter keeps what is in brackets. You can change the file later.\n")?;
    for (contact, team) in [
        (Contact::Dns, "DNS team"),
        (Contact::Firewall, "Firewall team"),
        (Contact::Proxy, "Web-proxy team"),
        (Contact::Security, "Security team"),
    ] {
        let default = answers
            .contacts
            .get(&contact)
            .map_or("none", String::as_str);
        let question = format!("{team}, name and telephone number [{default}]");
        if let Some(text) = answer(&question, one_line)? {
            answers.contacts.insert(contact, text);
        }
    }
    let default = match answers.terminals.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let question = format!("CCASS Terminals, separated by commas [{default}]");
    if let Some(names) = answer(&question, terminals)? {
        answers.terminals = names;
    }
    for (kind, accounts) in [
        (Kind::User, "CCASS user accounts"),
        (Kind::DelegatedAdmin, "Delegated Administrators"),
    ] {
        let known = answers.accounts.get(&kind);
        let default = known.map_or("unknown".to_owned(), u64::to_string);
        let number = |text: &str| {
            text.parse()
                .map_err(|_| "write a number, such as 40".to_owned())
        };
        if let Some(count) = answer(&format!("Number of {accounts} [{default}]"), number)? {
            answers.accounts.insert(kind, count);
        }
    }
    Ok(())
}

/// Asks until the answer is valid or empty. At the end of the input, every answer is empty.
fn answer<T>(question: &str, parse: impl Fn(&str) -> Result<T, String>) -> io::Result<Option<T>> {
    loop {
        print(&format!("{question}: "))?;
        let mut line = Vec::new();
        let mut input = io::Read::take(io::stdin().lock(), MAX_LINE);
        input.read_until(b'\n', &mut line)?;
        match String::from_utf8_lossy(&line).trim() {
            "" => return Ok(None),
            text => match parse(text) {
                Ok(answer) => return Ok(Some(answer)),
                Err(message) => print(&format!("  {message}\n"))?,
            },
        }
    }
}

/// Contacts may be e-mail addresses, and the operator should see them.
fn print(text: &str) -> io::Result<()> {
    terminal::write_error(text)
}

fn terminals(text: &str) -> Result<Vec<String>, String> {
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let mut unique: Vec<String> = Vec::new();
    for name in names {
        label::check(name)?;
        if !unique.iter().any(|known| known == name) {
            unique.push(name.to_owned());
        }
    }
    Ok(unique)
}
