#!/usr/bin/env python3
"""Writes fuzz/seeds from the inputs that the repository has and from answers of common servers.

    fuzz/seeds.py [STATE_FILE EVIDENCE_FILE]

The two files, of a data directory, are left as they are if they are not named.
"""

import base64
import gzip
import json
import pathlib
import re
import shutil
import struct
import sys
import zlib

ROOT = pathlib.Path(__file__).parent.parent
SEEDS = ROOT / "fuzz/seeds"

PAGE = b"""<!DOCTYPE html><html><head><title>CCASS</title><meta http-equiv="refresh" content="5; url=/next">
<style>p{}</style></head><body><p>Please log&nbsp;in</p><form action="/login" method="post">
<input name="username"><input type=password name='password'><input type=hidden name=t value="a&amp;b"></form>
<script>var a = "<p>";</script></body></html>"""


def write(target, name, data):
    path = SEEDS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def copies():
    for name in ["deploy/ccass.yml", "deploy/compose/ccass.yml"]:
        write("config", name.replace("/", "-"), (ROOT / name).read_bytes())
    for path in (ROOT / "tests/cli/blackbox_config").glob("*.modules.yml"):
        write("config", path.name, path.read_bytes())
    for path in (ROOT / "tests/cli/blackbox_config").glob("*.yml"):
        if not path.name.endswith(".modules.yml"):
            write("blackbox_config", path.name, path.read_bytes())
    write("web_config", "package.yml", (ROOT / "deploy/packages/web-config.yml").read_bytes())
    write("timetable", "circular.yml", (ROOT / "src/timetable/ccass-013-2023.yaml").read_bytes())
    write("calendar", "holidays.csv", (ROOT / "src/calendar/hk-general-holidays.csv").read_bytes())


def files():
    write("config", "odd.yml", """site: central
probe: {interval: 30s, timeout: 10s}
modules:
  m: {route: 'tls://resolver@10.1.2.3', ip_family: '4', tls: {min_version: '1.3', pins: ['sha256/AAAA']}}
targets:
  - {name: a, url: 'https://a.example.com:8443/x', module: m, group: g}
  - {name: b, url: 'http://b.example.com/', allow_http: true, expect: unreachable}
""")
    write("web_config", "users.yml", """tls_server_config: {cert_file: a.pem, key_file: b.pem, min_version: TLS12}
http_server_config: {http2: true, headers: {X-Frame-Options: deny}}
basic_auth_users:
  prometheus: $2y$10$abcdefghijklmnopqrstuu5Lh9rD8GkTqPz6yUQy0Vnq0y6n0y0y0
rate_limit: {interval: 1s, burst: 20}
""")
    feed = {"vcalendar": [{"vevent": [
        {"dtstart": [f"{year}0101", {"value": "DATE"}], "summary": "The first day of January"}
        for year in (2026, 2027)]}]}
    write("calendar", "feed.json", json.dumps(feed))
    write("readiness", "rows.csv", "kind,email,created_after_launch\nuser,missing,no\nda,confirmed,yes\n")
    write("readiness", "counts.csv", "\ufeffkind;email;count\r\nuser;submitted;12\r\ndelegated_admin;missing;3\r\n")
    for number, target in enumerate([
            "sso", "https://login.example.com/", "login.example.com", "https%3A%2F%2Fother.example.com:8443/a",
            "https://10.1.2.3/", "https://[2001:db8::1]:99/", "https://user@login.example.com/",
            "https://169.254.169.254/latest", "http://login.example.com/"]):
        write("probe_query", str(number), f"target={target}&module=login_page&debug=true")


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def record(kind, data, owner=b"\xc0\x0c"):
    return owner + struct.pack(">HHIH", kind, 1, 300, len(data)) + data


def dns():
    question = name("sso.hkexposttrade.com.hk") + struct.pack(">HH", 1, 1)

    def message(flags, *answers, extra=b""):
        count = len(answers)
        head = struct.pack(">HHHHHH", 7, flags, 1, count, 0, 1 if extra else 0)
        return head + question + b"".join(answers) + extra

    edns = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
    write("dns_answer", "a", message(0x8180, record(1, bytes([203, 0, 113, 20])), extra=edns))
    alias = name("edge.example.net")
    write("dns_answer", "alias", message(
        0x81A0, record(5, alias), record(28, bytes(range(16)), alias)))
    write("dns_answer", "nxdomain", message(0x8183))
    write("dns_answer", "truncated", message(0x8380))
    write("dns_answer", "loop", message(0x8180, record(5, b"\xc0\x0c")))
    write("dns_answer", "many", message(0x8180, *[record(1, bytes([10, 0, 0, n])) for n in range(90)]))


def http():
    head = b"HTTP/1.1 %s\r\nServer: nginx\r\nDate: Sat, 28 Nov 2026 00:00:00 GMT\r\n"
    good = head % b"200 OK"
    write("http1", "length", good + b"Content-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE)
    write("http1", "chunked", good + b"Transfer-Encoding: chunked\r\nSet-Cookie: a=b; Secure\r\n\r\n5\r\nlogin\r\n0\r\n\r\n")
    write("http1", "closed", b"HTTP/1.0 200 OK\r\n\r\n" + PAGE)
    write("http1", "redirect", head % b"302 Found" + b"Location: https://idp.example.com/x?y\r\nContent-Length: 0\r\n\r\n")
    write("http1", "retry", head % b"503 Service Unavailable" + b"Retry-After: 120\r\nContent-Length: 2\r\n\r\nno")
    write("http1", "early", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + good + b"Content-Length: 0\r\n\r\n")
    packed = gzip.compress(PAGE, mtime=0)
    write("http1", "gzip", good + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)

    def frame(kind, flags, stream, data=b""):
        return len(data).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + data

    settings = frame(4, 0, 0, struct.pack(">HI", 3, 100)) + frame(4, 1, 0)
    fields = b"\x88\x5f\x09text/html\x54\x84\x19\x08\x5a\xd3"[:12]
    write("http2", "page", settings + frame(1, 4, 1, fields) + frame(0, 1, 1, PAGE))
    write("http2", "status", settings + frame(1, 5, 1, b"\x8d"))
    write("http2", "padded", settings + frame(1, 0, 1, b"\x88") + frame(9, 4, 1, b"\x40\x01a\x01b") + frame(0, 9, 1, b"\x02hi\0\0"))
    write("http2", "reset", settings + frame(3, 0, 1, struct.pack(">I", 7)))
    write("http2", "goaway", settings + frame(7, 0, 0, struct.pack(">II", 0, 0)))
    write("http2", "ping", settings + frame(6, 0, 0, bytes(8)) + frame(8, 0, 0, struct.pack(">I", 9)))

    write("body", "gzip", b"\0" + packed)
    write("body", "zlib", b"\x01" + zlib.compress(PAGE))
    write("body", "deflate", b"\x01" + zlib.compress(PAGE)[2:-4])
    # Stored, uncompressed: an empty last block.
    write("body", "brotli", b"\x02\x0b\x02\x80login\x03")
    write("body", "twice", b"\x03" + gzip.compress(packed, mtime=0))
    write("body", "bomb", b"\0" + gzip.compress(bytes(1 << 20), mtime=0))

    write("page", "login", b"utf-8\n" + PAGE)
    write("page", "big5", b"big5\n<title>" + "登入".encode("big5") + b"</title>")
    write("page", "meta", b"\n<meta charset=gb18030><title>" + "登录".encode("gb18030") + b"</title>")
    write("page", "utf16", b"x\n" + "<title>\ufeffa</title>".encode("utf-16"))


def certificates():
    suite = json.loads(gzip.decompress((ROOT / "tests/limbo/cases.json.gz").read_bytes()))
    wanted = {"nc::permitted-dns-match", "pathlen::ee-with-intermediate-pathlen-0", "nc::excluded-ipv4-match",
              "multiple-chains-expired-intermediate", "intermediate-cycle-distinct-cas", "san::exact-dns-san"}
    for case in suite["cases"]:
        if not any(case["id"].endswith(one) for one in wanted):
            continue
        out = bytes([len(case["roots"])]) + struct.pack(">I", 1_795_000_000)
        for index in case["roots"] + case["chain"]:
            der = base64.b64decode(suite["certificates"][index])
            out += struct.pack(">H", len(der)) + der
        if len(case["roots"]) < 4 and len(out) < 8192:
            write("certificates", re.sub("[^a-z0-9]+", "-", case["id"]), out)


def main():
    for name, path in zip(["state", "evidence"], sys.argv[1:]):
        write(name, "one", pathlib.Path(path).read_bytes())
    for directory in SEEDS.glob("*"):
        if directory.name not in ("state", "evidence"):
            shutil.rmtree(directory)
    copies()
    files()
    dns()
    http()
    certificates()


if __name__ == "__main__":
    main()
