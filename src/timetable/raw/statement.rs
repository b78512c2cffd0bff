//! Validates a dated statement. Whether its form fits a deadline or an event is checked there.

use super::value::{Read, date, month, sentences, text};
use super::{RawForm, RawStatement};
use crate::diagnostics::{Diagnostic, Text};
use crate::timetable::entry::Statement;
use crate::timetable::form::{Form, Interval};

impl RawStatement {
    pub(super) fn validate(&self, key: &str) -> Read<Statement> {
        let statement = || {
            Ok(Statement {
                form: self
                    .form
                    .validate()
                    .map_err(|error: Diagnostic| error.below("form"))?,
                words: text(&self.words, "words")?,
                sentences: sentences(&self.sentences, &self.words)?,
            })
        };
        statement().map_err(|error: Diagnostic| error.below(key))
    }

    /// The statement about an event, with its interval.
    pub(super) fn event(&self) -> Read<(Statement, Interval)> {
        let statement = self.validate("said")?;
        match statement.form.interval() {
            Some(interval) => Ok((statement, interval)),
            None => Err(self.unfit("said", "on, from, early, mid, late, month or range")),
        }
    }

    pub(super) fn unfit(&self, key: &str, fit: &str) -> Diagnostic {
        let message = format!("this form is not possible here; use {fit}");
        Diagnostic::at(&self.words, format!("{key}.form"), message)
    }
}

impl RawForm {
    fn validate(&self) -> Read<Form> {
        Ok(match self {
            Self::Before(day) => Form::Before(date(day, "before")?),
            Self::By(day) => Form::By(date(day, "by")?),
            Self::On(day) => Form::On(date(day, "on")?),
            Self::From(day) => Form::From(date(day, "from")?),
            Self::Early(of) => Form::Early(month(of, "early")?),
            Self::Mid(of) => Form::Mid(month(of, "mid")?),
            Self::Late(of) => Form::Late(month(of, "late")?),
            Self::Month(of) => Form::Month(month(of, "month")?),
            Self::Range { from, to } => {
                let bound = |form: &Self| form.validate().map_err(|error| error.below("range"));
                let (first, last) = (bound(from)?, bound(to)?);
                let message = match (first.days(), last.days()) {
                    (Some((start, _)), Some((_, end))) if start <= end => {
                        return Ok(Form::Range(Box::new(first), Box::new(last)));
                    }
                    (Some(_), Some(_)) => "the range ends before it begins; swap `from` and `to`",
                    _ => "the bounds of a range must be on, from, early, mid, late, month or range",
                };
                return Err(Diagnostic::at(to.text(), "range", message));
            }
        })
    }

    /// A value of the form, for the position of an error.
    fn text(&self) -> &Text {
        match self {
            Self::Before(of) | Self::By(of) | Self::On(of) | Self::From(of) => of,
            Self::Early(of) | Self::Mid(of) | Self::Late(of) | Self::Month(of) => of,
            Self::Range { to, .. } => to.text(),
        }
    }
}
