#!/usr/bin/env python3
"""Packs the programs and files for a Windows PC: zip.py DIRECTORY_OF_THE_PROGRAMS DIRECTORY

The same commit and programs give the same bytes. Texts get the line ends of Windows.
"""

import os
import pathlib
import subprocess
import sys
import time
import zipfile

NAME = "ccass-2fa-exporter"
ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ["ccass-2fa-exporter.exe", "ccass-2fa-browser.exe"]


def version():
    for line in (ROOT / "Cargo.toml").read_text("utf-8").splitlines():
        if line.startswith("version = "):
            return line.split('"')[1]
    sys.exit("zip.py: Cargo.toml has no version")


def commit_time():
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if seconds is None:
        command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return time.gmtime(int(seconds))[:6]


def text(path):
    return (ROOT / path).read_text("utf-8").replace("\n", "\r\n")


def configuration():
    found = text("deploy/ccass.yml")
    changed = found.replace("\ndata_directory: null", "\ndata_directory: data")
    if changed == found:
        sys.exit("zip.py: deploy/ccass.yml has no line data_directory: null")
    return changed


def contents():
    yield "check-terminal.cmd", text("deploy/windows/check-terminal.cmd").encode("ascii")
    # The form in which Windows exports tasks, and the only one that every version imports.
    task = text("deploy/windows/scheduled-task.xml")
    yield "scheduled-task.xml", b"\xff\xfe" + task.encode("utf-16-le")
    yield "ccass.example.yml", configuration().encode("utf-8")
    yield "TERMINAL-PC.txt", text("docs/terminal-pc.md").encode("utf-8")
    yield "LICENSE.txt", text("LICENSE").encode("utf-8")
    yield "THIRD-PARTY-NOTICES.txt", text("THIRD-PARTY-NOTICES.md").encode("utf-8")


def main():
    programs, dist = map(pathlib.Path, sys.argv[1:])
    dist.mkdir(parents=True, exist_ok=True)
    top = f"{NAME}-{version()}-windows-amd64"
    moment = commit_time()
    with zipfile.ZipFile(dist / f"{top}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        files = [(name, (programs / name).read_bytes()) for name in PROGRAMS]
        for name, content in files + list(contents()):
            entry = zipfile.ZipInfo(f"{NAME}/{name}", moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    print(dist / f"{top}.zip")


main()
