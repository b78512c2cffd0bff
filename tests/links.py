#!/usr/bin/env python3
"""Fails if a link in a tracked Markdown file leads nowhere, or docs/README.md does not list a page.

Checks files and anchors inside the repository, with the anchors that GitHub and mdBook give to
headings. Links to other hosts are not followed.
"""

import os
import re
import subprocess
import sys
from functools import cache
from urllib.parse import unquote

# Not pages: generated from licenses of others.
EXEMPT = ("THIRD-PARTY-NOTICES.md",)
INDEX = "docs/README.md"
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*<?([^\s>]+)")
HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
FENCE = re.compile(r"^\s*(```+|~~~+)")


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True).stdout
    return [name for name in listed.decode().split("\0") if name]


def prose(name):
    """The lines outside of code blocks, with their numbers."""
    fence = None
    with open(name, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            mark = FENCE.match(line)
            if mark and fence is None:
                fence = mark[1]
            elif mark and mark[1].startswith(fence):
                fence = None
            elif fence is None:
                yield number, line


@cache
def anchors(name):
    """The anchors of a page: its headings' and those written as HTML."""
    found, count = set(), {}
    for _, line in prose(name):
        found.update(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line))
        heading = HEADING.match(line)
        if not heading:
            continue
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[2]).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = count.get(anchor, 0)
        count[anchor] = number + 1
        found.add(f"{anchor}-{number}" if number else anchor)
    return found


def problem(page, link, files, directories):
    """What is wrong with a link, or None."""
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return None
    path, _, anchor = unquote(link).partition("#")
    if path.startswith("/"):
        return "write it relative to this page"
    target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
    if target not in files and target not in directories:
        return f"{target} is not a tracked file"
    if anchor and not target.endswith(".md"):
        return "only Markdown pages have anchors"
    if anchor and anchor not in anchors(target):
        return f"{target} has no heading #{anchor}"
    return None


def main():
    files = set(tracked_files())
    directories = {"."}
    for name in files:
        while name := os.path.dirname(name):
            directories.add(name)
    found, count, listed = [], 0, set()
    for page in sorted(files):
        if not page.endswith(".md") or page in EXEMPT:
            continue
        for number, line in prose(page):
            text = re.sub(r"`[^`]*`", lambda code: "x" * len(code[0]), line)
            for link in LINK.findall(text) + REFERENCE.findall(text):
                count += 1
                what = problem(page, link, files, directories)
                if what:
                    found.append(f"{page}:{number}: ({link}): {what}")
                elif page == INDEX:
                    listed.add(os.path.normpath(os.path.join("docs", link.partition("#")[0])))
    for page in sorted(files):
        if page.startswith("docs/") and page.endswith(".md") and page != INDEX and page not in listed:
            found.append(f"{INDEX}: does not list {page}")
    print("\n".join(found), end="\n" if found else "")
    print(f"{len(found)} of {count} links are broken" if found else f"{count} links lead to something", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
