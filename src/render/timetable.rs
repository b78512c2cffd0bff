//! The timetable's standing for people (text) and for scripts (JSON).
//!
//! In: a timetable and its standing. Out: text of at most 100 columns, told in
//! the words of someone who runs a settlement desk, or a JSON document. Nothing
//! is computed here; calendar and monitoring formats are left to other files.

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

/// Whether the circular's sentences and our reading of them are told as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explain {
    DatesOnly,
    WithSentences,
}

/// The timetable as text: what it is, where we stand, and every date in order
/// with a line where now falls.
pub fn text(timetable: &Timetable, standing: &TimetableStatus, explain: Explain) -> String {
    let mut page = String::new();
    heading(&mut page, timetable, standing);
    page.push('\n');
    situation(&mut page, timetable, standing);

    let now = format!("now: {}, {}", day(standing.today), clock(standing.at));
    let mut now = Some(now);
    for row in rows(timetable, standing) {
        if row.at() > standing.at
            && let Some(now) = now.take()
        {
            page.push('\n');
            rule(&mut page, &now);
        }
        page.push('\n');
        let (left, paragraphs) = row.told(explain, standing);
        entry(&mut page, &left, &paragraphs);
    }
    if let Some(now) = now {
        page.push('\n');
        rule(&mut page, &now);
    }
    page
}

/// Every date in order: its day, and what is said of it, the title first.
pub(super) fn told(
    timetable: &Timetable,
    standing: &TimetableStatus,
    explain: Explain,
) -> Vec<(String, Vec<String>)> {
    let rows = rows(timetable, standing);
    rows.iter().map(|row| row.told(explain, standing)).collect()
}

fn heading(page: &mut String, timetable: &Timetable, standing: &TimetableStatus) {
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
        Status::Tentative if standing.historical => {
            paragraph(page, "The circular called its schedule tentative.");
        }
        Status::Tentative => paragraph(
            page,
            "The circular calls its schedule tentative: dates can still move.",
        ),
        Status::Confirmed => {}
    }
    if header.language_note.is_some() {
        paragraph(
            page,
            "Where its English and Chinese texts differ, the English prevails.",
        );
    }
    if let Some(enquiry) = &header.enquiry {
        paragraph(page, &format!("Questions: {enquiry}"));
    }
}

fn situation(page: &mut String, timetable: &Timetable, standing: &TimetableStatus) {
    let now = format!(
        "Now: {}, {} Hong Kong time,",
        day(standing.today),
        clock(standing.at)
    );
    paragraph(
        page,
        &format!("{now} as are all dates here. Business days left include today."),
    );
    paragraph(page, &format!("Stage: {}", stage(timetable, standing)));
    if standing.historical {
        paragraph(
            page,
            "Every date of this circular is past. It is kept for reference, and no reminder comes from it any \
             more. Checking that the login page can be reached goes on for good. When the next circular \
             comes, load its dates as a file.",
        );
        return;
    }
    let in_state = |state| {
        standing
            .deadlines
            .iter()
            .filter(move |it| it.state == state)
    };
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
            let left = lower_first(&time_left(first, standing));
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

fn stage(timetable: &Timetable, standing: &TimetableStatus) -> String {
    let now = match standing.phase {
        Phase::Preparation => "preparation; the smartcard is the way in.",
        Phase::ParallelRun => "parallel run; 2FA is live and the smartcard is the fallback.",
        Phase::Sole2fa => "2FA only; there is no fallback.",
    };
    let open = timetable.events.iter().rfind(|event| {
        matches!(event.kind, EventKind::PhaseStart { .. }) && event.interval().start <= standing.at
    });
    match open {
        Some(event) if !standing.phase_certain => format!(
            "{now} That is assumed: the circular says only \"{}\", so it may begin any day until {}. \
             Once the day is known, enter it as timetable.actual.{}.",
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
