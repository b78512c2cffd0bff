#!/usr/bin/env python3
"""Makes a book of docs/ with mdBook, into the directory given: pages, search, nothing from other hosts.

The chapters are those that docs/README.md lists, in its order and under its headings. Fails if a page
of the book loads something from another host or has a link that leads nowhere.
"""

import html.parser
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

DOCS = Path(__file__).parent
SETTINGS = """
[book]
title = "ccass-2fa-exporter"
language = "en"
src = "docs"

[output.html]
no-section-label = true
smart-punctuation = false
"""


def chapters():
    """The table of contents in mdBook's form."""
    lines = ["# Summary", "", "[Documentation](README.md)", ""]
    for line in (DOCS / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            lines += ["", f"# {line[3:]}", ""]
        elif page := re.match(r"(?:\| |- )\[[^\]]+\]\(([\w./-]+\.md)\)", line):
            with open(DOCS / page[1], encoding="utf-8") as file:
                title = file.readline().removeprefix("# ").strip()
            lines.append(f"- [{title}]({page[1]})")
    return "\n".join(lines) + "\n"


class Page(html.parser.HTMLParser):
    """What a page loads, where it links to, and its anchors."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.anchors = [], [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors.add(attrs.get("id"))
        if tag == "a":
            self.links.append(attrs.get("href") or "")
        elif tag == "link":
            self.loads.append(attrs.get("href") or "")
        else:
            self.loads.append(attrs.get("src") or "")


def problems(book):
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in book.rglob("*.html")}
    for path, page in sorted(pages.items()):
        name = path.relative_to(book)
        # The page for unknown addresses has links from the root; the page to print has the headings of all.
        if str(name) in ("404.html", "print.html", "toc.html"):
            continue
        for load in page.loads:
            if urlsplit(load).netloc:
                yield f"{name} loads {load}"
        for link in page.loads + page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path.parent / unquote(parts.path) if parts.path else path
            target = Path(os.path.normpath(target))
            if not target.is_file():
                yield f"{name}: {link} leads nowhere"
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{name}: {link}: no such heading"
    for style in book.rglob("*.css"):
        for found in re.findall(r"url\(['\"]?(https?:[^)]*)", style.read_text(encoding="utf-8")):
            yield f"{style.relative_to(book)} loads {found}"


def main():
    book = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "docs"
        shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("book.py", "man"))
        # A directory has no page in a book.
        index = source / "README.md"
        index.write_text(index.read_text(encoding="utf-8").replace("[man/](man)", "`man/`"), encoding="utf-8")
        (source / "SUMMARY.md").write_text(chapters(), encoding="utf-8")
        (Path(directory) / "book.toml").write_text(SETTINGS, encoding="utf-8")
        subprocess.run(["mdbook", "build", directory, "--dest-dir", book], check=True)
    found = list(problems(book))
    print("\n".join(found), end="\n" if found else "")
    if not found:
        print(f"{book}/index.html")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
