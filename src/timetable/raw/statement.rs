//! A dated statement as written, and as meant.
//!
//! In: a form with its dates, the circular's words and sentences. Out: a
//! [`Statement`] whose dates exist; whether its form fits a duty or an event is
//! asked by those.

use super::{RawForm, RawStatement, Read, Text};
use crate::timetable::entry::Statement;
use crate::timetable::error::TimetableError;
use crate::timetable::form::{Form, Interval};
use crate::timetable::value::{date, month, text};

impl RawStatement {
    pub(super) fn validate(&self, key: &str) -> Read<Statement> {
        Ok(Statement {
            form: self.form.validate(&format!("{key}.form"))?,
            words: text(&self.words, &format!("{key}.words"))?,
            sentences: sentences(&self.sentences, &self.words, key)?,
        })
    }

    pub(super) fn happening(&self, key: &str) -> Read<(Statement, Interval)> {
        let said = self.validate(&format!("{key}.said"))?;
        let interval = said.form.interval();
        let interval = interval
            .ok_or_else(|| self.unfit(key, "said", "on, from, early, mid, late, month or range"))?;
        Ok((said, interval))
    }

    pub(super) fn unfit(&self, key: &str, field: &str, fit: &str) -> TimetableError {
        let problem = format!("this form does not fit here; use {fit}");
        TimetableError::at(&self.words, format!("{key}.{field}.form"), problem)
    }
}

impl RawForm {
    pub(super) fn validate(&self, key: &str) -> Read<Form> {
        Ok(match self {
            Self::Before(day) => Form::Before(date(day, &format!("{key}.before"))?),
            Self::By(day) => Form::By(date(day, &format!("{key}.by"))?),
            Self::On(day) => Form::On(date(day, &format!("{key}.on"))?),
            Self::From(day) => Form::From(date(day, &format!("{key}.from"))?),
            Self::Early(of) => Form::Early(month(of, &format!("{key}.early"))?),
            Self::Mid(of) => Form::Mid(month(of, &format!("{key}.mid"))?),
            Self::Late(of) => Form::Late(month(of, &format!("{key}.late"))?),
            Self::Month(of) => Form::Month(month(of, &format!("{key}.month"))?),
            Self::Range { from, to } => {
                let key = format!("{key}.range");
                let (first, last) = (from.validate(&key)?, to.validate(&key)?);
                match (first.days(), last.days()) {
                    (Some((start, _)), Some((_, end))) if start <= end => {
                        Form::Range(Box::new(first), Box::new(last))
                    }
                    (Some(_), Some(_)) => {
                        let problem = "the range ends before it begins; swap `from` and `to`";
                        return Err(TimetableError::at(to.written(), key, problem));
                    }
                    _ => {
                        let problem = "a range goes from and to on, early, mid, late or month";
                        return Err(TimetableError::at(to.written(), key, problem));
                    }
                }
            }
        })
    }

    /// A piece of the file to point at.
    fn written(&self) -> &Text {
        match self {
            Self::Before(of) | Self::By(of) | Self::On(of) | Self::From(of) => of,
            Self::Early(of) | Self::Mid(of) | Self::Late(of) | Self::Month(of) => of,
            Self::Range { to, .. } => to.written(),
        }
    }
}

pub(super) fn sentences(written: &[Text], words: &Text, key: &str) -> Read<Vec<String>> {
    let key = format!("{key}.sentences");
    if written.is_empty() {
        return Err(TimetableError::at(
            words,
            key,
            "quote the circular's sentence",
        ));
    }
    written
        .iter()
        .map(|sentence| text(sentence, &key))
        .collect()
}
