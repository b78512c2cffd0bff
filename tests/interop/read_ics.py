#!/usr/bin/python3
"""Parses calendars with icalendar.

Standard input: a list of iCalendar texts.
Standard output: for each the list of its events, {uid, sequence, stamp, start, end, all_day, status,
summary, description, location, transparent, alarms}. Times are in UTC; an alarm is the time of its
notification.
"""

import datetime
import json
import sys

import icalendar

UTC = datetime.timezone.utc
HKT = datetime.timezone(datetime.timedelta(hours=8))


def instant(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(UTC)
    return datetime.datetime.combine(value, datetime.time(), HKT).astimezone(UTC)


def event(component):
    start = component["DTSTART"].dt
    text = lambda name: str(component[name]) if name in component else None
    return {
        "uid": text("UID"),
        "sequence": int(component["SEQUENCE"]),
        "stamp": instant(component["DTSTAMP"].dt).isoformat(),
        "start": instant(start).isoformat(),
        "end": instant(component["DTEND"].dt).isoformat(),
        "all_day": not isinstance(start, datetime.datetime),
        "status": text("STATUS"),
        "summary": text("SUMMARY"),
        "description": text("DESCRIPTION"),
        "location": text("LOCATION"),
        "transparent": text("TRANSP") == "TRANSPARENT",
        "alarms": [
            (instant(start) + alarm["TRIGGER"].dt).isoformat()
            for alarm in component.walk("VALARM")
        ],
    }


calendars = []
for text in json.load(sys.stdin):
    calendar = icalendar.Calendar.from_ical(text)
    assert calendar["VERSION"] == "2.0" and "PRODID" in calendar
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert not calendar.errors and not any(component.errors for component in calendar.walk())
    calendars.append([event(component) for component in calendar.walk("VEVENT")])
json.dump(calendars, sys.stdout)
