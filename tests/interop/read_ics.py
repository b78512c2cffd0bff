#!/usr/bin/python3
"""Reads calendars with Python's icalendar. On standard input a list of texts; on standard output for
each the list of its events: {uid, sequence, stamp, start, end, all_day, status, summary, location,
transparent, alarms}, instants in UTC, alarms as the instant at which they ring."""

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


def event(one):
    start = one["DTSTART"].dt
    text = lambda name: str(one[name]) if name in one else None
    return {
        "uid": text("UID"),
        "sequence": int(one["SEQUENCE"]),
        "stamp": instant(one["DTSTAMP"].dt).isoformat(),
        "start": instant(start).isoformat(),
        "end": instant(one["DTEND"].dt).isoformat(),
        "all_day": not isinstance(start, datetime.datetime),
        "status": text("STATUS"),
        "summary": text("SUMMARY"),
        "description": text("DESCRIPTION"),
        "location": text("LOCATION"),
        "transparent": text("TRANSP") == "TRANSPARENT",
        "alarms": [
            (instant(start) + alarm["TRIGGER"].dt).isoformat()
            for alarm in one.walk("VALARM")
        ],
    }


told = []
for text in json.load(sys.stdin):
    calendar = icalendar.Calendar.from_ical(text)
    assert calendar["VERSION"] == "2.0" and "PRODID" in calendar
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert not calendar.errors and not any(one.errors for one in calendar.walk())
    told.append([event(one) for one in calendar.walk("VEVENT")])
json.dump(told, sys.stdout)
