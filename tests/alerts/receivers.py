#!/usr/bin/python3
"""Sends one alert through a real Alertmanager to every receiver of alerts/receivers, at local servers, and
checks what arrives against the fields that each provider documents: receivers.py ALERTMANAGER
"""

import http.server
import json
import pathlib
import queue
import re
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNBOOK = "https://docs.example.com/runbook#ccass2faloginunreachable"
DASHBOARD = "https://grafana.example.com/d/ccass2fa-now"
START = int(time.time())
# From half an hour before the alert, for its site and target.
DASHBOARD_AT = f"{DASHBOARD}?from={START - 1800}000&to=now&var-site=central&var-target=sso"
ALERT = {
    "labels": {
        "alertname": "Ccass2faLoginUnreachable",
        "severity": "critical",
        "service": "ccass2fa",
        "category": "reachability",
        "target": "sso",
        "site": "central",
    },
    "annotations": {
        "summary": "Site central cannot reach the CCASS login page.",
        "description": "Fails at tcp (tcp_timed_out).",
        "runbook_url": RUNBOOK,
        "dashboard_url": DASHBOARD,
    },
}
WORD = {"type": "string", "minLength": 1}


def words(*keys, **more):
    properties = {**{key: WORD for key in keys}, **more}
    return {"type": "object", "required": list(properties), "properties": properties}


def at_least(item):
    return {"type": "array", "minItems": 1, "items": item}


# Slack: attachments of an incoming webhook. PagerDuty: events API v2. Opsgenie: create alert.
# Teams: an adaptive card in a message of a workflow's webhook. Webhook: Alertmanager's own form.
SCHEMAS = {
    "slack": words(
        "channel",
        attachments=at_least(
            words(
                "title",
                "title_link",
                "text",
                "fallback",
                color={"enum": ["good", "warning", "danger"]},
                fields=at_least(words("title", "value")),
                actions=at_least(words("text", "url", type={"const": "button"})),
            )
        ),
    ),
    "teams": words(
        type={"const": "message"},
        attachments=at_least(
            words(
                contentType={"const": "application/vnd.microsoft.card.adaptive"},
                content=words(
                    "version",
                    type={"const": "AdaptiveCard"},
                    body=at_least(words("text", type={"const": "TextBlock"})),
                ),
            )
        ),
    ),
    "pagerduty": words(
        "dedup_key",
        "client",
        "client_url",
        routing_key={"type": "string", "minLength": 32, "maxLength": 32},
        event_action={"const": "trigger"},
        links=at_least(words("href", "text")),
        payload=words(
            "source",
            "class",
            "component",
            "group",
            summary={"type": "string", "minLength": 1, "maxLength": 1024},
            severity={"enum": ["critical", "error", "warning", "info"]},
            custom_details=words("contact", "text"),
        ),
    ),
    "opsgenie": words(
        "description",
        "source",
        "entity",
        "alias",
        message={"type": "string", "minLength": 1, "maxLength": 130},
        priority={"enum": ["P1", "P2", "P3", "P4", "P5"]},
        tags=at_least(WORD),
        details=words("contact", "runbook", "dashboard"),
    ),
    "webhook": words(
        "groupKey", "receiver", version={"const": "4"}, status={"const": "firing"}, alerts=at_least(words("fingerprint"))
    ),
}

arrived = queue.Queue()


class Web(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        arrived.put((self.path.split("/")[1], json.loads(body), dict(self.headers)))
        self.send_response(202 if self.path.startswith(("/pagerduty", "/opsgenie")) else 200)
        self.end_headers()
        self.wfile.write(b'{"status":"success"}' if self.path.startswith("/pagerduty") else b"ok")

    def log_message(self, *_):
        pass


class Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as Alertmanager speaks."""

    def handle(self):
        self.wfile.write(b"220 mail\r\n")
        while line := self.rfile.readline().strip():
            if line.upper() == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += self.rfile.readline()
                arrived.put(("email", text.decode(), {}))
            elif line.upper() == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


class Mails(socketserver.ThreadingTCPServer):
    daemon_threads = True


def serve(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def local(directory, web, mail):
    """The shipped file, with local addresses, and a route to every receiver."""
    config = yaml.safe_load((ROOT / "alerts/receivers/receivers.yml").read_text())
    config["templates"] = [str(ROOT / "alerts/receivers" / name) for name in config["templates"]]
    config["global"].update(smtp_smarthost=f"127.0.0.1:{mail}", smtp_require_tls=False)
    names = [receiver["name"] for receiver in config["receivers"]]
    config["route"] = {
        "receiver": names[0],
        "group_by": ["alertname"],
        "group_wait": "0s",
        "routes": [{"receiver": name, "continue": True} for name in names],
    }
    secrets = {
        "pagerduty": "0" * 32,
        "opsgenie": "key",
    }
    for receiver in config["receivers"]:
        for kind, entries in receiver.items():
            if not kind.endswith("_configs"):
                continue
            for entry in entries:
                for key in [key for key in entry if key.endswith("_file")]:
                    url = f"http://127.0.0.1:{web}/{receiver['name']}/"
                    path = directory / receiver["name"]
                    path.write_text(secrets.get(receiver["name"], url))
                    entry[key] = str(path)
                    if receiver["name"] == "pagerduty":
                        entry["url"] = url
                    if receiver["name"] == "opsgenie":
                        entry["api_url"] = url
    path = directory / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path, names


def check(name, body, headers):
    text = body if name == "email" else json.dumps(body, ensure_ascii=False)
    if name == "email":
        text = re.sub(r"=\r?\n", "", text).replace("=3D", "=")
        assert re.search(r"^Subject: .*CCASS", text, re.M), text
    else:
        jsonschema.validate(body, SCHEMAS[name])
    for part in (RUNBOOK, "tcp"):
        assert part in text, f"{part} is missing: {text}"
    if name in ("slack", "pagerduty", "opsgenie", "teams"):
        assert DASHBOARD_AT in text, text
    if name == "webhook":
        assert DASHBOARD in text, text
    if name == "pagerduty":
        assert body["payload"]["severity"] == "critical"
        assert [link["href"] for link in body["links"]] == [RUNBOOK, DASHBOARD_AT]
    if name == "opsgenie":
        assert body["priority"] == "P1" and body["details"]["runbook"] == RUNBOOK
        assert headers["Authorization"] == "GenieKey key"
    if name == "slack":
        assert [action["url"] for action in body["attachments"][0]["actions"]] == [RUNBOOK, DASHBOARD_AT]
    print(f"valid: {name}")


def main(alertmanager):
    web = serve(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web))
    mail = serve(Mails(("127.0.0.1", 0), Mail))
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        config, names = local(directory, web, mail)
        process = subprocess.Popen(
            [
                alertmanager,
                f"--config.file={config}",
                f"--storage.path={directory}",
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            log = []
            for line in process.stderr:
                log.append(line)
                if found := re.search(r"Listening on.*address=(127.0.0.1:\d+)", line):
                    break
            else:
                sys.exit("".join(log))
            threading.Thread(target=lambda: log.extend(process.stderr), daemon=True).start()
            alerts = json.dumps([{**ALERT, "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START))}])
            request = urllib.request.Request(
                f"http://{found[1]}/api/v2/alerts",
                data=alerts.encode(),
                headers={"Content-Type": "application/json"},
            )
            urllib.request.urlopen(request).close()
            missing = set(names)
            while missing:
                try:
                    name, body, headers = arrived.get(timeout=60)
                except queue.Empty:
                    sys.exit(f"nothing arrived for {missing}\n{''.join(log)}")
                if name in missing:
                    check(name, body, headers)
                    missing.discard(name)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


main(sys.argv[1])
