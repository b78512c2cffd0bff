//! The circular's dates on the status page.

use maud::{Markup, html};

use super::super::timetable::{Explain, describe};
use super::StatusPage;

impl StatusPage<'_> {
    /// Deadlines and events with business days left; collapsed once all are past.
    pub(super) fn dates(&self) -> Markup {
        let timetable = &self.evidence.timetable(self.config);
        let status = timetable.status_at(self.now, &self.config.calendar);
        let header = &timetable.header;
        html! {
            details.card id="dates" open[!status.historical] {
                summary {
                    h2 { "Dates of the circular" }
                    @if status.historical { " (all past)" }
                }
                p {
                    (header.issuer) ", " (header.reference) ", issued " (header.issued) ". Phase: "
                    (status.phase.into_str().replace('_', " "))
                    @if !status.phase_certain { ", by its earliest date" }
                    "."
                }
                dl.dates {
                    @for (date, paragraphs) in describe(timetable, &status, Explain::DatesOnly) {
                        dt { (date) }
                        dd {
                            @for (index, text) in paragraphs.iter().enumerate() {
                                @if index == 0 { p { strong { (text) } } } @else { p { (text) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
