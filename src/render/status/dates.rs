//! The circular's dates on the status page.

use maud::{Markup, html};

use super::super::timetable::{Explain, describe, stage};
use super::StatusPage;
use super::strip::bar;
use crate::timetable::{DeadlineState, TimetableStatus};

impl StatusPage<'_> {
    /// Deadlines and events with business days left; collapsed once all are past.
    pub(super) fn dates(&self) -> Markup {
        let timetable = &self.evidence.timetable(self.config);
        let status = timetable.status_at(self.now, &self.config.calendar);
        let header = &timetable.header;
        html! {
            details.card id="dates" open[!status.historical || self.is_expanded("dates")] {
                summary {
                    h2 { "Dates of the circular" }
                    @if status.historical { " (all past)" }
                }
                p {
                    (header.issuer) ", " (header.reference) ", issued " (header.issued) "."
                }
                p { "Stage: " (stage(timetable, &status)) }
                (days_left(&status))
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
                (self.toggle("dates"))
            }
        }
    }
}

/// The open deadlines as lines of business days, all on one scale.
fn days_left(status: &TimetableStatus) -> Markup {
    let open = status.deadlines.iter();
    let open = open.filter(|one| one.state == DeadlineState::Open);
    let mut open: Vec<_> = open
        .filter_map(|one| Some((one.business_days_left?, one)))
        .collect();
    open.sort_by_key(|(left, _)| *left);
    let most = open.last().map_or(1, |(left, _)| *left).max(1);
    html! {
        @if !open.is_empty() {
            h3 { "Open deadlines, in business days from today" }
            ul.plain {
                @for (left, deadline) in &open {
                    @let label = format!("{}: {left} of at most {most} business days left", deadline.title);
                    @let class = match *left { 0..=2 => "bad", 3..=10 => "part", _ => "good" };
                    li {
                        (bar(&label, &[(class, 100.0 * f64::from(*left) / f64::from(most))]))
                        (deadline.title) ": " strong { (left) } " left"
                        @if let Some(last) = deadline.last_day_to_act { ", last day " (last) }
                    }
                }
            }
        }
    }
}
