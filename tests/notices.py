#!/usr/bin/env python3
"""Checks the licences of what is linked into the exporter against deny.toml, and that
THIRD-PARTY-NOTICES.md lists exactly these crates. With --write it writes that file.

Needs nothing but cargo and Python, and no network."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTICES = ROOT / "THIRD-PARTY-NOTICES.md"
TARGET = "x86_64-unknown-linux-gnu"


def listed(key):
    """The strings of a list in deny.toml. (Python's own reader of TOML is too new for Debian 12's
    predecessors; the lists there are plain.)"""
    text = (ROOT / "deny.toml").read_text()
    body = re.search(rf"^{key} = \[(.*?)^\]", text, re.M | re.S).group(1)
    return re.findall(r'"([^"]+)"', body)


def crates():
    """Name, version, licence and repository of each crate that is linked in."""
    tree = subprocess.check_output(
        ["cargo", "tree", "--locked", "--package=ccass-2fa-exporter", f"--target={TARGET}"]
        + ["--edges=normal,build", "--prefix=none", "--format={p}|{l}|{r}"],
        cwd=ROOT,
        text=True,
    )
    found = set()
    for line in tree.splitlines():
        package, licence, repository = line.removesuffix(" (*)").split("|")
        name, version, *rest = package.split(" ")
        if not any(part.startswith("(/") for part in rest):
            found.add((name, version.removeprefix("v"), licence, repository))
    return sorted(found)


def allowed(expression, licences):
    """Whether a licence expression can be met: AND of ORs is all that crates use, in brackets or
    not, with the older slash for OR."""
    expression = expression.replace("/", " OR ")
    for part in re.split(r" AND (?![^(]*\))", expression):
        choices = [choice.strip(" ()") for choice in part.split(" OR ")]
        if not any(all(one.strip(" ()") in licences for one in choice.split(" AND ")) for choice in choices):
            return False
    return True


def notices(found):
    lines = [
        "# Third-party notices",
        "",
        "What is linked into the exporter on Linux, and under which licence each part comes. Their",
        "sources carry the full texts. This list is written by `make notices`; `make lint` holds it.",
        "",
        "| crate | version | licence | source |",
        "|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(crate) + " |" for crate in found]
    return "\n".join(lines) + "\n"


def main():
    found = crates()
    licences, banned = listed("allow"), listed("deny")
    mistakes = []
    for name, version, licence, _ in found:
        if not allowed(licence or "none", licences):
            mistakes.append(f"{name} {version}: the licence {licence} is not allowed")
        if name in banned:
            mistakes.append(f"{name} {version} is banned")
    if "--write" in sys.argv[1:]:
        NOTICES.write_text(notices(found))
    elif not NOTICES.exists() or NOTICES.read_text() != notices(found):
        mistakes.append("THIRD-PARTY-NOTICES.md is out of date: make notices")
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    print(f"{len(found)} crates checked")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
