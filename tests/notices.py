#!/usr/bin/env python3
"""Checks the licences of the crates that are linked into the programs against deny.toml, and that
THIRD-PARTY-NOTICES.md lists exactly these crates. With --write it writes that file.

Needs cargo and Python, and the network for crates of Windows that are not downloaded yet."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTICES = ROOT / "THIRD-PARTY-NOTICES.md"
TARGETS = ["x86_64-unknown-linux-gnu", "x86_64-pc-windows-gnu", "x86_64-pc-windows-msvc"]
PACKAGES = ["ccass-2fa-exporter", "ccass-2fa-browser"]


def strings_of(key):
    """The strings of a list in deny.toml. (tomllib needs Python 3.11; the lists are simple.)"""
    text = (ROOT / "deny.toml").read_text()
    body = re.search(rf"^{key} = \[(.*?)^\]", text, re.M | re.S).group(1)
    return re.findall(r'"([^"]+)"', body)


def crates():
    """Name, version, licence and repository of each crate that is linked into a program."""
    tree = subprocess.check_output(
        ["cargo", "tree", "--locked", "--edges=normal,build", "--prefix=none", "--format={p}|{l}|{r}"]
        + [f"--package={package}" for package in PACKAGES]
        + [f"--target={target}" for target in TARGETS],
        cwd=ROOT,
        text=True,
    )
    found = set()
    for line in filter(None, tree.splitlines()):
        package, licence, repository = line.removesuffix(" (*)").split("|")
        name, version, *rest = package.split(" ")
        if not any(part.startswith("(/") for part in rest):
            found.add((name, version.removeprefix("v"), licence, repository))
    return sorted(found)


def is_allowed(expression, licences):
    """Whether a licence expression is satisfied by these licences. Crates use only ANDs of ORs, with or
    without parentheses, and the older slash for OR."""
    expression = expression.replace("/", " OR ")
    for part in re.split(r" AND (?![^(]*\))", expression):
        choices = [choice.strip(" ()") for choice in part.split(" OR ")]
        if not any(all(one.strip(" ()") in licences for one in choice.split(" AND ")) for choice in choices):
            return False
    return True


def render(crates_found):
    lines = [
        "# Third-party notices",
        "",
        "The crates that are linked into the programs for Linux and Windows, with their licences. The sources of each",
        "crate contain the full text. `make notices` writes this list and `make lint` checks it.",
        "",
        "| crate | version | licence | source |",
        "|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(crate) + " |" for crate in crates_found]
    return "\n".join(lines) + "\n"


def main():
    found = crates()
    licences, banned = strings_of("allow"), strings_of("deny")
    errors = []
    for name, version, licence, _ in found:
        if not is_allowed(licence or "none", licences):
            errors.append(f"{name} {version}: the licence {licence} is not allowed")
        if name in banned:
            errors.append(f"{name} {version} is banned")
    if "--write" in sys.argv[1:]:
        NOTICES.write_text(render(found))
    elif not NOTICES.exists() or NOTICES.read_text() != render(found):
        errors.append("THIRD-PARTY-NOTICES.md is out of date: run make notices")
    for error in errors:
        print(error, file=sys.stderr)
    print(f"{len(found)} crates checked")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
