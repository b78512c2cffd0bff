#!/usr/bin/env python3
"""Fails if tracked files contain words of the project's former private dialect.

The right-hand side is what to write instead. Quotations of the circular, third-party texts and old
names that CHANGELOG.md quotes are exempt.
"""

import re
import subprocess
import sys

DIALECT = {
    r"heeds?|heeded": "handles, honors",
    r"tells|told": "prints, reports, logs, returns, shows; for a variable: rendered, output, message",
    r"whom": "the contact, the team to contact",
    r"whose (fault|trouble|turn)": "fault, responsible team",
    r"slips?": "error",
    r"mistaken": "invalid, wrong",
    r"hurried": "with a short timeout",
    r"tally|tallies": "statistics, counters",
    r"keeper": "state writer",
    r"(?<!in )(?<!in-)(?<!single )(?<!single-)flights?|landings?|take off": "in-flight probe, outcome",
    r"sightings?": "observation",
    r"standing": "status",
    r"under way": "in progress, in flight",
    r"hangs? on": "depends on",
    r"gravely|grave": "severity, severe",
    r"hand(s|ed|ing)? over": "send them, pass on",
    r"of ours": "the exporter's own, or name the owner",
    r"strangers?": "unknown CA, unknown client",
    r"in force": "active",
    r"laid over": "applied to",
    r"beside the": "in the background, next to the",
    r"winner|passage|shelf|farewell": "connection, tunnel, cache, close",
    r"complains?": "reports an error, prints an error",
    r"as it stands|as they stand|stands (there|for ever|alone)": "exists, is firing",
    r"(rings|rang|rung)": "pages, notifies",
    r"(not|none|nothing) otherwise than": "exactly as",
    r"(this|own) vantage": "this site",
    r"defects? of ours": "internal error (bug)",
    r"is no (\w+ )?(page|name|address|date|number|host|path)\b": "is not a ...",
}

EXEMPT = (
    "Cargo.lock",
    "LICENSE",
    "THIRD-PARTY-NOTICES.md",
    "src/timetable/ccass-013-2023.yaml",
    "tests/plain_language.py",
)


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True).stdout
    for name in listed.decode().split("\0"):
        if name in EXEMPT or name.startswith(("fuzz/seeds/", "fuzz/found/")):
            continue
        if name and not name.endswith(("package-lock.json", ".png", ".csv", ".gz")):
            yield name


def main():
    patterns = [
        (re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE), advice)
        for words, advice in DIALECT.items()
    ]
    found = 0
    for name in tracked_files():
        with open(name, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                # Identifiers count too: no_longer_told is three words and "told".
                text = re.sub("`[^`]*`", "", line) if name == "CHANGELOG.md" else line
                text = text.replace("_", " ")
                for pattern, advice in patterns:
                    for match in pattern.finditer(text):
                        print(f"{name}:{number}: “{match[0]}”: write {advice}")
                        found += 1
    if found:
        print(f"{found} words of dialect; see the table in tests/plain_language.py", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
