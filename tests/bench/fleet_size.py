#!/usr/bin/env python3
"""Measures a centre with many sites: series, bytes a day, time of the rules, time of the dashboards' queries.

  tests/bench/fleet_size.py prometheus PROGRAMS         PROGRAMS has ccass-2fa-exporter and ccass-2fa-lab
  tests/bench/fleet_size.py newest-prometheus PROGRAMS  with that of tests/newest.sh
  tests/bench/fleet_size.py victoria-metrics PROGRAMS

What each site sends is the exposition of a real exporter, once healthy and once for each of two failures,
without what deploy/fleet/site/agent.yml drops, with the labels of that site. It is written by remote write,
as an agent does: an hour of all series, a day of those that a rule looks back on for longer, then live for
some minutes, in which the rules are evaluated.
Environment: SITES (1500, three for each firm), FAILING (75 sites), MINUTES (4).
"""

import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
AGENT = yaml.safe_load((ROOT / "deploy/fleet/site/agent.yml").read_text())
NEWEST = ROOT / "target/newest/root/usr/bin"
SITES = int(os.environ.get("SITES", "1500"))
FAILING = int(os.environ.get("FAILING", "75"))
MINUTES = int(os.environ.get("MINUTES", "4"))
FAULTS = ["tls-expired", "dns-nxdomain"]
SCRAPE = 15
# The lab probes every 10 s; what is sent says 60 s, the default, and changes as often.
INTERVAL = 60
HOUR, DAY = 3600, 86400
# A write holds this many series at most.
BATCH = 4000
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
WINDOW = re.compile(r"(\w+)(?:\{[^}]*\})?\[(\d+)([smhd])\]")
# What differs from probe to probe.
MEASURED = re.compile("duration_seconds$|bytes|ttl|skew|open_fds|threads")
UNITS = {"s": 1, "m": 60, "h": HOUR, "d": DAY}


def get(url, **parameters):
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{url}?{query}" if query else url, timeout=120) as answer:
        return answer.read().decode()


def wait_for(url, program):
    for _ in range(600):
        try:
            return get(url)
        except OSError:
            assert program.poll() is None, f"{program.args[0]} ended with {program.returncode}"
            time.sleep(0.1)
    sys.exit(f"{url} does not answer")


def start(programs, *arguments, **options):
    programs.append(subprocess.Popen([str(one) for one in arguments], **options))
    return programs[-1]


def free_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# What one exporter exposes


class Series:
    """A series of an exporter: its name, its labels, and its value as a function of the time."""

    def __init__(self, kind, name, labels, before, after, elapsed):
        self.name, self.labels = name, labels
        self.value = self.function(kind, before, after, elapsed)

    def function(self, kind, before, after, elapsed):
        latest = lambda t: t - t % INTERVAL
        if self.name == "ccass2fa_probe_interval_seconds":
            return lambda t: INTERVAL
        if before == after:
            return lambda t: after
        if self.name == "ccass2fa_exporter_time_seconds":
            return lambda t: t
        if self.name.endswith("timestamp_seconds"):
            return latest
        if kind in ("counter", "histogram"):
            each = (after - before) / max(1, round(elapsed / 10))
            return lambda t: after + each * (latest(t) // INTERVAL % 1_000_000)
        if not MEASURED.search(self.name):
            return lambda t: after
        low, high = sorted((before, after))
        return lambda t: random.Random(f"{self.name}{self.labels}{latest(t)}").uniform(low, high)


def parse(text):
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            pairs = tuple((key, re.sub(r"\\(.)", r"\1", text)) for key, text in LABEL.findall(labels or ""))
            found[name, pairs] = (kinds.get(name) or kinds.get(family, "gauge"), float(value))
    return found


def expositions(binaries, programs, directory):
    """The series of an exporter that is healthy, and of one that fails, for each of the faults."""
    start(programs, binaries / "ccass-2fa-lab", "--directory", directory, stdout=subprocess.DEVNULL)
    config = directory / "config.yml"
    while not (directory / "control.url").exists():
        time.sleep(0.1)
    time.sleep(0.5)
    control = (directory / "control.url").read_text().strip()
    (directory / "data").mkdir()
    config.write_text(config.read_text() + "data_directory: data\nexpected_sites: 3\n")
    address = f"127.0.0.1:{free_port()}"
    exporter = start(
        programs,
        binaries / "ccass-2fa-exporter",
        f"--config.file={config}",
        f"--web.listen-address={address}",
        stderr=subprocess.DEVNULL,
    )
    url = f"http://{address}/metrics"

    def scrape_when(success, attempts):
        while True:
            text = wait_for(url, exporter)
            now = {name: value for (name, labels), (_, value) in parse(text).items()}
            if now.get("ccass2fa_probe_success") == success and now["ccass2fa_probe_attempts_total"] >= attempts:
                return time.time(), now["ccass2fa_probe_attempts_total"], text
            time.sleep(0.2)

    results = []
    for fault in [None, *FAULTS]:
        if fault:
            urllib.request.urlopen(urllib.request.Request(f"{control}/faults/{fault}", method="PUT")).close()
        success = 0 if fault else 1
        began, attempts, before = scrape_when(success, 1)
        # Some of its own values, such as its CPU, change with each scrape.
        ended, _, after = scrape_when(success, attempts + 1)
        earlier, later = parse(before), parse(after)
        results.append(
            [
                Series(kind, name, labels, earlier.get((name, labels), (kind, value))[1], value, ended - began)
                for (name, labels), (kind, value) in later.items()
            ]
        )
    for one in results:
        number = len(one)
        for name, low, high in [
            ("up", 1, 1),
            ("scrape_duration_seconds", 0.002, 0.006),
            ("scrape_samples_scraped", number, number),
            ("scrape_samples_post_metric_relabeling", number, number),
            ("scrape_series_added", 0, 0),
        ]:
            one.append(Series("gauge", name, (), low, high, 15))
    return results


# Remote write: protocol buffers in one literal of snappy, which compresses nothing


def varint(number):
    result = bytearray()
    while number > 127:
        result.append(number & 127 | 128)
        number >>= 7
    result.append(number)
    return bytes(result)


def field(number, content):
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def encode_labels(name, labels):
    pairs = sorted([("__name__", name), *labels])
    return b"".join(field(1, field(1, key.encode()) + field(2, text.encode())) for key, text in pairs if text)


def encode_samples(samples):
    return b"".join(field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(t * 1000)) for t, value in samples)


def snappy(content):
    return varint(len(content)) + b"\xfc" + struct.pack("<I", len(content) - 1) + content


class Writer:
    """Writes the series of all sites to an engine."""

    HEADERS = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }

    def __init__(self, address, kinds):
        self.address = address
        self.kinds = kinds
        self.connections = []
        # Of each site: the kind of its exposition, and its encoded labels.
        self.sites = []
        for number in range(SITES):
            kind = 1 + number % len(FAULTS) if number * FAILING // SITES != (number + 1) * FAILING // SITES else 0
            own = [("firm", f"firm-{number // 3:03}"), ("site", ["head-office", "data-centre", "backup"][number % 3])]
            own += [("job", "ccass2fa"), ("instance", f"exporter-{number:04}:10762")]
            encoded = [encode_labels(one.name, [*one.labels, *own]) for one in kinds[kind]]
            self.sites.append((kind, encoded))
        self.pool = concurrent.futures.ThreadPoolExecutor(2)

    def write(self, times, names=None):
        """Writes the samples of these times, of all series or of those of these names; returns how many."""
        tails = [
            [
                encode_samples([(t, one.value(t)) for t in times]) if names is None or one.name in names else None
                for one in kind
            ]
            for kind in self.kinds
        ]
        pending, batch, count = [], [], 0
        for kind, encoded in self.sites:
            batch += [field(1, head + tail) for head, tail in zip(encoded, tails[kind]) if tail]
            if len(batch) * len(times) > BATCH * 40 or len(batch) > BATCH:
                count += len(batch)
                pending.append(self.pool.submit(self.post, batch))
                batch = []
            if len(pending) > 4:
                pending.pop(0).result()
        count += len(batch)
        pending.append(self.pool.submit(self.post, batch))
        for one in pending:
            one.result()
        return count * len(times)

    def post(self, batch):
        if not batch:
            return
        connection = self.connections.pop() if self.connections else http.client.HTTPConnection(self.address, timeout=120)
        connection.request("POST", "/api/v1/write", snappy(b"".join(batch)), self.HEADERS)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in (200, 204), f"{answer.status} {body[:300]}"
        self.connections.append(connection)


# The engines


class Prometheus:
    PROGRAM = "prometheus"

    def __init__(self, programs, directory):
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.directory = directory
        self.config = directory / "prometheus.yml"
        self.config.write_text(self.text([]))
        self.program = start(
            programs,
            self.PROGRAM,
            f"--config.file={self.config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--web.enable-remote-write-receiver",
            "--web.enable-admin-api",
            stderr=open(directory / "prometheus.log", "w"),
        )
        wait_for(f"{self.url}/-/ready", self.program)
        self.rules_url = self.url

    def text(self, rules):
        labels = {"runbook_base": "https://docs.example.com/runbook", "dashboard_base": "https://grafana.example.com/d"}
        config = {"global": {"evaluation_interval": "15s", "external_labels": labels}, "rule_files": rules}
        return yaml.safe_dump({**config, "storage": {"tsdb": {"out_of_order_time_window": "30m"}}})

    def load_rules(self, files):
        self.config.write_text(self.text([str(one) for one in files]))
        self.program.send_signal(signal.SIGHUP)

    def unload_rules(self):
        self.load_rules([])
        while json.loads(get(f"{self.url}/api/v1/rules"))["data"]["groups"]:
            time.sleep(1)

    def stored_bytes(self):
        request = urllib.request.Request(f"{self.url}/api/v1/admin/tsdb/snapshot", method="POST")
        with urllib.request.urlopen(request, timeout=600) as answer:
            name = json.load(answer)["data"]["name"]
        return size(self.directory / "data/snapshots" / name)


class NewestPrometheus(Prometheus):
    PROGRAM = NEWEST / "prometheus"


class VictoriaMetrics:
    def __init__(self, programs, directory):
        self.programs, self.directory = programs, directory
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.program = start(
            programs,
            NEWEST / "victoria-metrics",
            f"-storageDataPath={directory / 'data'}",
            f"-httpListenAddr={self.address}",
            "-search.latencyOffset=0s",
            "-retentionPeriod=2y",
            "-search.maxUniqueTimeseries=1000000",
            stderr=open(directory / "victoria-metrics.log", "w"),
        )
        wait_for(f"{self.url}/health", self.program)

    def load_rules(self, files):
        rules = self.directory / "rules"
        script = ROOT / "deploy/fleet/centre/rules.sh"
        subprocess.run([script, rules, "https://docs.example.com/runbook", "https://grafana.example.com/d"], check=True)
        address = f"127.0.0.1:{free_port()}"
        self.rules_url = f"http://{address}"
        self.vmalert = start(
            self.programs,
            NEWEST / "vmalert",
            f"-rule={rules}/*.yml",
            f"-httpListenAddr={address}",
            f"-datasource.url={self.url}",
            f"-remoteWrite.url={self.url}",
            f"-remoteRead.url={self.url}",
            "-notifier.blackhole",
            "-evaluationInterval=15s",
            "-disableAlertgroupLabel",
            stderr=open(self.directory / "vmalert.log", "w"),
        )

    def unload_rules(self):
        self.vmalert.kill()

    def stored_bytes(self):
        get(f"{self.url}/internal/force_flush")
        return size(self.directory / "data")


def size(directory):
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


# The measurements


def rule_files():
    return [file for file in sorted((ROOT / "alerts").glob("*.yml")) if "groups:" in file.read_text()]


def looked_back_on(files):
    """The metrics that a rule looks back on for more than an hour."""
    found = set()
    for file in files:
        for name, number, unit in WINDOW.findall(file.read_text()):
            if int(number) * UNITS[unit] > HOUR and name.startswith(("ccass2fa_", "up")):
                found.add(name)
    return found


def queries():
    """Each query of the dashboards: its dashboard and panel, and the step over six hours or None for an instant one."""
    for file in sorted((ROOT / "grafana").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                step = 6 * HOUR // panel.get("maxDataPoints", 720)
                yield file.stem, panel["title"], target["expr"], None if target["instant"] else step


def expressions(files):
    """The name and the expression of each rule, by group."""
    for file in files:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield [(rule.get("record") or rule["alert"], rule["expr"]) for rule in group["rules"]]


def evaluate(url, rules, when):
    for _, expression in rules:
        get(f"{url}/api/v1/query", query=expression, time=when)


def expand(query, firm):
    values = {"job": "ccass2fa.*", "firm": firm, "reason": ".*"}
    query = re.sub(r"\$(job|firm|instance|site|target|reason)\b", lambda one: values.get(one[1], ".*"), query)
    return query.replace("$__rate_interval", "1m").replace("$__range", "6h").replace("$__interval", "30s")


def slowest_queries(url, firm, dashboards):
    times = []
    now = time.time()
    for dashboard, title, query, step in queries():
        if dashboard not in dashboards:
            continue
        query = expand(query, firm)
        took = []
        for _ in range(3):
            began = time.monotonic()
            if step is None:
                get(f"{url}/api/v1/query", query=query, time=now)
            else:
                get(f"{url}/api/v1/query_range", query=query, start=now - 6 * HOUR, end=now, step=step)
            took.append(time.monotonic() - began)
        times.append((statistics.median(took), f"{dashboard}: {title}"))
    return sorted(times, reverse=True)


def count(url, selector):
    result = json.loads(get(f"{url}/api/v1/query", query=f"count({selector})"))["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def evaluation_times(url):
    """The seconds of the latest evaluation of each group, and of each rule."""
    groups, rules = {}, {}
    for group in json.loads(get(f"{url}/api/v1/rules"))["data"]["groups"]:
        took = 0
        for number, rule in enumerate(group["rules"]):
            rules[group["name"], number, rule["name"]] = rule.get("evaluationTime", 0)
            took += rule.get("evaluationTime", 0)
        groups[group["name"]] = took
    return groups, rules


def is_sent(one):
    """Whether the agent's configuration for a site sends a series."""
    for rule in AGENT["scrape_configs"][0]["metric_relabel_configs"]:
        value = ";".join(dict(one.labels).get(label, "") if label != "__name__" else one.name for label in rule["source_labels"])
        if re.fullmatch(rule["regex"], value):
            return False
    return True


def unused(series):
    """The metrics that no rule, dashboard or document uses but the list of all metrics."""
    files = [*(ROOT / "alerts").rglob("*.yml"), *(ROOT / "grafana").glob("*.json"), *(ROOT / "docs").rglob("*.md")]
    files = [file for file in files if file.name != "metrics.md" and "tests" not in file.parts]
    text = "\n".join(file.read_text() for file in files)
    held = re.search(r'__name__=~"ccass2fa_\((.*?)\)"', text)[1]
    used = lambda name: re.search(rf"\b{name}", text) or re.fullmatch(f"ccass2fa_({held})", name)
    names = {}
    for one in series:
        family = re.sub(r"_(bucket|sum|count)$", "", one.name)
        if not used(one.name) and not used(family):
            names[one.name] = names.get(one.name, 0) + 1
    return names


def cpu(programs):
    """The CPU seconds of the engine: all programs but the lab and the exporter."""
    total = 0
    for one in programs[2:]:
        if one.poll() is not None:
            continue
        fields = pathlib.Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def load():
    return f"load average {os.getloadavg()[0]:.1f}"


def main():
    engine, binaries = sys.argv[1], pathlib.Path(sys.argv[2])
    programs = []
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fleet-size-"))
    try:
        measure(engine, binaries, programs, directory)
    finally:
        for one in reversed(programs):
            one.kill()
            one.wait()
        subprocess.run(["rm", "-rf", directory], check=True)


def measure(engine, binaries, programs, directory):
    exposed = expositions(binaries, programs, directory)
    print(f"| series of a site's exporter | {len(exposed[0])} |")
    kinds = [[one for one in kind if is_sent(one)] for kind in exposed]
    print(f"| series of a site, healthy | {len(kinds[0])} |")
    for kind, fault in zip(kinds[1:], FAULTS):
        print(f"| series of a site, {fault} | {len(kind)} |")
    of_target = sum(1 for one in kinds[0] if "target" in dict(one.labels))
    print(f"| of these, of its target | {of_target} |")
    print("unused:", ", ".join(f"{name} ({number})" for name, number in sorted(unused(kinds[0]).items())))

    engines = {
        "prometheus": Prometheus,
        "newest-prometheus": NewestPrometheus,
        "victoria-metrics": VictoriaMetrics,
    }
    centre = engines[engine](programs, directory)
    writer = Writer(centre.address, kinds)
    files = rule_files()
    now = int(time.time()) // SCRAPE * SCRAPE
    began, written = time.monotonic(), 0
    long = looked_back_on(files)
    for first in range(now - DAY, now - HOUR, 1800):
        written += writer.write(range(first, first + 1800, SCRAPE), long)
    for first in range(now - HOUR, now, 600):
        written += writer.write(range(first, first + 600, SCRAPE))
    took = time.monotonic() - began
    print(f"{written / 1e6:.0f} million samples written in {took:.0f} s, {load()}", flush=True)
    stored = centre.stored_bytes()
    a_day = sum(len(kinds[kind]) for kind, _ in writer.sites) * DAY // SCRAPE
    print(f"| bytes of a sample | {stored / written:.2f} |")
    print(f"| samples a day | {a_day / 1e6:.0f} million |")
    print(f"| bytes a day | {a_day * stored / written / 1e9:.2f} GB |", flush=True)

    # What was missed while it was written.
    tick = now
    while tick < time.time():
        until = min(tick + 600, int(time.time()) + 1)
        times = range(tick, until, SCRAPE)
        writer.write(times)
        tick = times[-1] + SCRAPE
    centre.load_rules(files)
    totals, by_rule, until = [], {}, time.time() + 60 * MINUTES
    began, used = time.monotonic(), cpu(programs)
    while time.time() < until:
        time.sleep(max(0, tick - time.time()))
        writer.write([tick])
        tick += SCRAPE
        time.sleep(3)
        try:
            groups, rules = evaluation_times(centre.rules_url)
        except OSError:
            continue
        totals.append(sum(groups.values()))
        for key, seconds in rules.items():
            by_rule.setdefault(key, []).append(seconds)
    share = (cpu(programs) - used) / (time.monotonic() - began)
    # The first evaluations are those of new series.
    late = totals[len(totals) // 2 :]
    print(f"| one evaluation of all rules, median | {statistics.median(late):.2f} s |")
    print(f"| one evaluation of all rules, longest | {max(late):.2f} s |  {load()}")
    print(f"| CPU of the centre, of one processor | {share:.0%} |")
    firing = json.loads(get(f"{centre.url}/api/v1/query", query='count by (alertname) (ALERTS{alertstate="firing"})'))
    firing = {one["metric"]["alertname"]: one["value"][1] for one in firing["data"]["result"]}
    print(f"| alerts that fire | {', '.join(f'{count} {name}' for name, count in sorted(firing.items()))} |")
    recorded = count(centre.url, '{__name__=~".+:.+|ALERTS.*"}')
    print(f"| recorded series and alerts, of a site | {recorded / SITES:.1f} |")
    print("slowest rules:")
    slow = sorted(((statistics.median(times[len(times) // 2 :]), key) for key, times in by_rule.items()), reverse=True)
    for seconds, (group, _, name) in slow[:12]:
        print(f"  {seconds:.3f} s {group} {name}")
    centre.unload_rules()
    # As the engines do: the rules of a group one after the other, the groups beside each other.
    began, used = time.monotonic(), cpu(programs)
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        list(pool.map(lambda group: evaluate(centre.url, group, tick - SCRAPE), expressions(files)))
    took = time.monotonic() - began
    print(f"| the expressions of all rules once | {took:.2f} s, {cpu(programs) - used:.2f} s of CPU |  {load()}")
    times = []
    for group in expressions(files):
        for rule in group:
            used = cpu(programs)
            evaluate(centre.url, [rule], tick - SCRAPE)
            times.append((cpu(programs) - used, rule[0]))
    for seconds, name in sorted(times, reverse=True)[:12]:
        print(f"  {seconds:.2f} s of CPU {name}")
    every = {dashboard for dashboard, *_ in queries()}
    for what, firm, dashboards in [
        ("the dashboard of the fleet, all firms", ".*", {"fleet"}),
        ("the other dashboards, one firm", "firm-007", every - {"fleet"}),
    ]:
        times = slowest_queries(centre.url, firm, dashboards)
        print(f"| slowest query of {what} | {times[0][0]:.2f} s, {times[0][1]} |  {load()}")
        for seconds, place in times[1:4]:
            print(f"  {seconds:.2f} s {place}")
        sys.stdout.flush()


main()
