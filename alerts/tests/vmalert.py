#!/usr/bin/env python3
"""Writes the unit tests of the alert rules for vmalert-tool, and the rules for them as rules.sh does.

  alerts/tests/vmalert.py DIRECTORY                writes DIRECTORY/NAME.yml for each NAME.yml here
  alerts/tests/vmalert.py DIRECTORY NAME.yml       writes one file
  alerts/tests/vmalert.py DIRECTORY NAME.yml TEXT  with the tests alone whose names contain TEXT

Then run, for each: vmalert-tool unittest --disableAlertgroupLabel --files=DIRECTORY/NAME.yml. docs/fleet.md has
what differs from promtool, and why.
"""

import pathlib
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
    for path in sorted(TESTS.glob("*.yml")):
        if only not in (None, path.name):
            continue
        document = yaml.load(path.read_text(), LOADER)
        document["rule_files"] = [f"{out.resolve()}/rules/{rule.removeprefix('../')}" for rule in document["rule_files"]]
        document["tests"] = [test for test in document["tests"] if text in test["name"]]
        for test in document["tests"]:
            test.pop("external_labels", None)
            if "promql_expr_test" in test:
                test["metricsql_expr_test"] = test.pop("promql_expr_test")
            for case in test.get("alert_rule_test", []):
                for alert in case.get("exp_alerts") or []:
                    texts = alert.get("exp_annotations", {})
                    for key, base in BASES.items():
                        if not texts.get(key, base).startswith("http"):
                            texts[key] = base + texts[key]
        # Without aliases: an annotation that two tests share would get its base twice.
        DUMPER.ignore_aliases = lambda *_: True
        (out / path.name).write_text(yaml.dump(document, Dumper=DUMPER, sort_keys=False, width=1000))


if __name__ == "__main__":
    main(*sys.argv[1:])
