#!/usr/bin/python3
"""Writes what the Prometheus Operator reads, from alerts/ and grafana/. `make kubernetes` runs it.

The rules are copied. Of Alertmanager's configuration, everything but its global part is translated: the
operator has other names for the keys and no time zones, so business hours are written in UTC, in which
they lie on the same day.
"""

import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Where to write, for the test that compares.
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "components/prometheus-operator/generated"
HONG_KONG = 8
MATCHER = re.compile(r'^\s*(\w+)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*$')
# Not in the operator: the global part is configured at the Alertmanager itself.
GLOBAL = {"smtp_smarthost": "smarthost", "smtp_from": "from"}


def camel(key):
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)


def matchers(texts):
    found = [MATCHER.match(text).groups() for text in texts]
    return [{"name": name, "matchType": kind, "value": value} for name, kind, value in found]


def route(node):
    result = {}
    for key, value in node.items():
        if key == "matchers":
            result[key] = matchers(value)
        elif key == "routes":
            result[key] = [route(child) for child in value]
        else:
            result[camel(key)] = value
    return result


def receiver(node, defaults):
    result = {"name": node["name"]}
    for webhook in node.get("webhook_configs", []):
        result.setdefault("webhookConfigs", []).append({camel(key): value for key, value in webhook.items()})
    for mail in node.get("email_configs", []):
        entry = {camel(key): value for key, value in mail.items()}
        entry["headers"] = [{"key": key, "value": value} for key, value in mail.get("headers", {}).items()]
        result.setdefault("emailConfigs", []).append({**defaults, **entry})
    unknown = set(node) - {"name", "webhook_configs", "email_configs"}
    assert not unknown, f"translate {unknown} of receiver {node['name']}"
    return result


def utc(time):
    hour, minute = time.split(":")
    hour = int(hour) - HONG_KONG
    assert 0 <= hour, f"{time} in Hong Kong is on another day in UTC"
    return f"{hour:02}:{minute}"


def interval(node):
    assert node.pop("location") == "Asia/Hong_Kong"
    result = {}
    for key, value in node.items():
        if key == "times":
            result[key] = [{"startTime": utc(one["start_time"]), "endTime": utc(one["end_time"])} for one in value]
        elif key == "days_of_month":
            result["daysOfMonth"] = [{"start": int(day), "end": int(day)} for day in value]
        else:
            result[camel(key)] = [str(one) for one in value]
    return result


def alertmanager_config():
    config = yaml.safe_load((ROOT / "alerts/alertmanager.yml").read_text())
    defaults = {GLOBAL[key]: value for key, value in config["global"].items() if key in GLOBAL}
    # The operator adds the route to those of others; its own top is the one of this service.
    [service] = config["route"]["routes"]
    return {
        "route": route(service),
        "receivers": [receiver(node, defaults) for node in config["receivers"]],
        "inhibitRules": [
            {
                "sourceMatch": matchers(rule["source_matchers"]),
                "targetMatch": matchers(rule["target_matchers"]),
                **({"equal": rule["equal"]} if "equal" in rule else {}),
            }
            for rule in config["inhibit_rules"]
        ],
        "muteTimeIntervals": [
            {"name": named["name"], "timeIntervals": [interval(one) for one in named["time_intervals"]]}
            for named in config["time_intervals"]
        ],
    }


def resource(version, kind, name, content, **metadata):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}, **content}


class Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""

    def ignore_aliases(self, data):
        return True


def text(dumper, value):
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Dumper.add_representer(str, text)


def write(name, *resources):
    header = "# Written by `make kubernetes`. Change what it comes from instead: alerts/, grafana/.\n"
    body = yaml.dump_all(resources, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=200)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text(header + body)


def main():
    example = yaml.safe_load((ROOT / "alerts/prometheus.yml").read_text())
    groups = []
    for name in example["rule_files"]:
        groups += yaml.safe_load((ROOT / "alerts" / name).read_text())["groups"]
    name = "ccass-2fa-exporter"
    write("prometheusrule.yaml", resource("monitoring.coreos.com/v1", "PrometheusRule", name, {"spec": {"groups": groups}}))
    config = {"spec": alertmanager_config()}
    write("alertmanagerconfig.yaml", resource("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig", name, config))
    template = (ROOT / "alerts/templates/ccass2fa.tmpl").read_text()
    write("templates.yaml", resource("v1", "ConfigMap", f"{name}-templates", {"data": {"ccass2fa.tmpl": template}}))
    dashboards = []
    for path in sorted((ROOT / "grafana").glob("*.json")):
        # Shorter, for the limit of a ConfigMap.
        data = json.dumps(json.loads(path.read_text()), ensure_ascii=False, separators=(",", ":"))
        labels = {"grafana_dashboard": "1"}
        dashboards.append(
            resource("v1", "ConfigMap", f"{name}-{path.stem}", {"data": {path.name: data}}, labels=labels)
        )
    write("dashboards.yaml", *dashboards)


main()
