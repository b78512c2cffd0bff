#!/usr/bin/env python3
"""Writes the unit tests of the alert rules for vmalert-tool, and the rules for them as rules.sh does.

  alerts/tests/vmalert.py DIRECTORY                writes DIRECTORY/NAME.yml for each NAME.yml here
  alerts/tests/vmalert.py DIRECTORY NAME.yml       writes one file
  alerts/tests/vmalert.py DIRECTORY NAME.yml TEXT  with the tests alone whose names contain TEXT

Then run, for each: vmalert-tool unittest --disableAlertgroupLabel --files=DIRECTORY/NAME.yml. docs/fleet.md has
what differs from promtool, and why.
"""

import pathlib
import re
import subprocess
import sys

import yaml

TESTS = pathlib.Path(__file__).resolve().parent
RULES = TESTS.parents[1] / "deploy/fleet/centre/rules.sh"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# In the tests, the links either begin with these or with nothing.
BASES = {"runbook_url": "https://docs/runbook", "dashboard_url": "https://grafana/d"}


def main(directory, only=None, text=""):
    out = pathlib.Path(directory)
    subprocess.run([RULES, out / "rules", *BASES.values()], check=True)
    parts = {}
    for path in (out / "rules").glob("*.yml"):
        rules = yaml.load(path.read_text(), LOADER)
        parts |= {group["name"]: parts_of(group) for group in rules["groups"]}
        rules["groups"] = [part for group in rules["groups"] for part in parts[group["name"]]]
        path.write_text(yaml.dump(rules, sort_keys=False, width=1000))
    for path in sorted(TESTS.glob("*.yml")):
        if only not in (None, path.name):
            continue
        document = yaml.load(path.read_text(), LOADER)
        document["rule_files"] = [f"{out.resolve()}/rules/{rule.removeprefix('../')}" for rule in document["rule_files"]]
        order = document.get("group_eval_order", [])
        document["group_eval_order"] = [part["name"] for group in order for part in parts[group]]
        document["tests"] = [test for test in document["tests"] if text in test["name"]]
        for test in document["tests"]:
            test.pop("external_labels", None)
            if "promql_expr_test" in test:
                test["metricsql_expr_test"] = test.pop("promql_expr_test")
            for case in test.get("metricsql_expr_test", []):
                # vmalert sets this label on ALERTS, whatever the flag says.
                case["expr"] = re.sub(r"^ALERTS\b[^()]*$", r'label_del(\g<0>, "alertgroup")', case["expr"])
            for case in test.get("alert_rule_test", []):
                for alert in case.get("exp_alerts") or []:
                    texts = alert.get("exp_annotations", {})
                    for key, base in BASES.items():
                        if not texts.get(key, base).startswith("http"):
                            texts[key] = base + texts[key]
        document["tests"] = [part for test in document["tests"] for part in alone(test)]
        # Without aliases: an annotation that two tests share would get its base twice.
        DUMPER.ignore_aliases = lambda *_: True
        (out / path.name).write_text(yaml.dump(document, Dumper=DUMPER, sort_keys=False, width=1000))


def alone(test):
    """The alerts and the expressions of a test by themselves: to compare an alert, vmalert-tool takes labels from it,
    and ALERTS has it twice from then on."""
    kinds = [kind for kind in ("alert_rule_test", "metricsql_expr_test") if kind in test]
    return [{key: test[key] for key in test if key == kind or key not in kinds} for kind in kinds]


def parts_of(group):
    """The group, split where a rule reads what one before it records: vmalert records after the last rule of a group."""
    parts, recorded = [[]], set()
    for rule in group["rules"]:
        text = "\n".join([rule["expr"], *rule.get("annotations", {}).values()])
        if any(re.search(rf"(?<![\w:]){re.escape(name)}(?![\w:])", text) for name in recorded):
            parts.append([])
            recorded = set()
        parts[-1].append(rule)
        if "record" in rule:
            recorded.add(rule["record"])
    return [group | {"name": f"{group['name']} {number}", "rules": rules} for number, rules in enumerate(parts, 1)]


if __name__ == "__main__":
    main(*sys.argv[1:])
