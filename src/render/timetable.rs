//! The timetable and its status as text of at most 100 columns, JSON, iCalendar and Alertmanager time
//! intervals. Nothing is computed here.

mod alertmanager;
mod columns;
mod ics;
mod json;
mod row;
mod words;

use crate::timetable::{
    DeadlineState, DeadlineStatus, EventKind, Phase, Status, Timetable, TimetableStatus,
};
use columns::{entry, paragraph, rule};
use row::{rows, time_left};
use words::{clock, day, last_day};

pub use alertmanager::alertmanager;
pub use ics::ics;
pub use json::json;

/// Whether to include the circular's sentences and their interpretation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explain {
    DatesOnly,
    WithSentences,
}

/// The timetable as text: the circular, the current status, and every date in order with a line at the
/// current time.
pub fn text(timetable: &Timetable, status: &TimetableStatus, explain: Explain) -> String {
    let mut page = String::new();
    heading(&mut page, timetable, status);
    page.push('\n');
    current_status(&mut page, timetable, status);

    let now = format!("now: {}, {}", day(status.today), clock(status.at));
    let mut now = Some(now);
    for row in rows(timetable, status) {
        if row.at() > status.at
            && let Some(now) = now.take()
        {
            page.push('\n');
            rule(&mut page, &now);
        }
        page.push('\n');
        let (left, paragraphs) = row.describe(explain, status);
        entry(&mut page, &left, &paragraphs);
    }
    if let Some(now) = now {
        page.push('\n');
        rule(&mut page, &now);
    }
    page
}

/// Every date in order: the day and its description, title first.
pub(super) fn describe(
    timetable: &Timetable,
    status: &TimetableStatus,
    explain: Explain,
) -> Vec<(String, Vec<String>)> {
    let rows = rows(timetable, status);
    rows.iter()
        .map(|row| row.describe(explain, status))
        .collect()
}

fn heading(page: &mut String, timetable: &Timetable, status: &TimetableStatus) {
    let header = &timetable.header;
    paragraph(
        page,
        &format!("Circular {}, {}", header.reference, day(header.issued)),
    );
    paragraph(page, &header.issuer);
    paragraph(page, &header.subject);
    if let Some(supersedes) = &header.supersedes {
        paragraph(page, &format!("It replaces circular {supersedes}."));
    }
    page.push('\n');
    match header.status {
        Status::Tentative if status.historical => {
            paragraph(page, "The circular called its dates tentative.");
        }
        Status::Tentative => paragraph(
            page,
            "The circular calls its dates tentative: they can still change.",
        ),
        Status::Confirmed => {}
    }
    if header.language_note.is_some() {
        paragraph(
            page,
            "If the English and Chinese texts differ, the English text prevails.",
        );
    }
    if let Some(enquiry) = &header.enquiry {
        paragraph(page, &format!("Questions: {enquiry}"));
    }
}

fn current_status(page: &mut String, timetable: &Timetable, status: &TimetableStatus) {
    let now = format!(
        "Now: {}, {} Hong Kong time,",
        day(status.today),
        clock(status.at)
    );
    paragraph(
        page,
        &format!("{now} like all dates below. Business days left include today."),
    );
    paragraph(page, &format!("Stage: {}", stage(timetable, status)));
    if status.historical {
        paragraph(
            page,
            "All dates of this circular are past. They are kept for reference and cause no reminders. The login \
             page is still probed. When the next circular is issued, load its dates with timetable.file.",
        );
        return;
    }
    let in_state = |state| status.deadlines.iter().filter(move |it| it.state == state);
    let late: Vec<_> = in_state(DeadlineState::Disputed)
        .chain(in_state(DeadlineState::Passed))
        .collect();
    let mut open: Vec<_> = in_state(DeadlineState::Open).collect();
    open.sort_by_key(|deadline| deadline.strict);
    if !late.is_empty() {
        paragraph(page, &format!("Late: {}.", titles(&late)));
    }
    match open.as_slice() {
        [] if late.is_empty() => paragraph(page, "To do: nothing is open."),
        [] => paragraph(page, "To do: nothing else is open."),
        [first, ..] => {
            let next: Vec<_> = open
                .iter()
                .copied()
                .filter(|it| it.strict == first.strict)
                .collect();
            let left = lower_first(&time_left(first, status));
            paragraph(page, &format!("To do next ({left}): {}.", titles(&next)));
        }
    }
}

fn titles(deadlines: &[&DeadlineStatus]) -> String {
    let titles: Vec<_> = deadlines
        .iter()
        .map(|deadline| deadline.title.as_str())
        .collect();
    titles.join("; ")
}

pub(super) fn stage(timetable: &Timetable, status: &TimetableStatus) -> String {
    let now = match status.phase {
        Phase::Preparation => "preparation; users log in by smartcard.",
        Phase::ParallelRun => "parallel run; 2FA is live, the smartcard is the fallback.",
        Phase::Sole2fa => "2FA only; there is no fallback.",
    };
    let open = timetable.events.iter().rfind(|event| {
        matches!(event.kind, EventKind::PhaseStart { .. }) && event.interval().start <= status.at
    });
    match open {
        Some(event) if !status.phase_certain => format!(
            "{now} This is assumed: the circular only says \"{}\", so the phase may begin any day until {}. \
             When the day is known, configure it as timetable.actual.{}.",
            event.said.words,
            day(last_day(event.interval().end)),
            event.id,
        ),
        _ => now.to_owned(),
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}
