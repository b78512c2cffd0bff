#!/usr/bin/env python3
"""Writes the unit tests of the alert rules once more, with two firms that share sites and targets.

Each new test joins two of the existing ones: the series of the first get the label firm="alpha", those of
the second firm="beta". Each firm must have the alerts that its test expects, as if the other did not
exist. The new tests compare the firing alerts and their labels; firms.yml compares texts.

  alerts/tests/firms.py DIRECTORY            writes DIRECTORY/NAME.yml for each NAME.yml here
  alerts/tests/firms.py DIRECTORY NAME.yml   writes one file
"""

import json
import pathlib
import sys

import yaml

TESTS = pathlib.Path(__file__).resolve().parent
# About Prometheus itself, whatever firm it watches.
SHARED = {"Ccass2faExporterAbsent", "Ccass2faRulesFailing", "Ccass2faWatchdog"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def series_of(test, firm):
    """The input series of a test with the label `firm`."""
    for entry in test.get("input_series", []):
        name, _, labels = entry["series"].partition("{")
        labels = labels.rstrip("}")
        both = ",".join(filter(None, [labels, f'firm="{firm}"']))
        yield {"series": f"{name}{{{both}}}", "values": entry["values"]}


def cases_of(test, firm):
    """The expected alerts of a test as expectations of the series ALERTS of one firm."""
    for case in test.get("alert_rule_test", []):
        name = case["alertname"]
        if name in SHARED:
            continue
        samples = []
        for alert in case.get("exp_alerts") or []:
            labels = {**alert["exp_labels"], "alertname": name, "alertstate": "firing", "firm": firm}
            text = ",".join(f"{key}={json.dumps(str(value))}" for key, value in labels.items() if value != "")
            samples.append({"labels": f"ALERTS{{{text}}}", "value": 1})
        yield {
            "expr": f'ALERTS{{alertname="{name}",alertstate="firing",firm="{firm}"}}',
            "eval_time": case["eval_time"],
            "exp_samples": samples,
        }


def has_firms(test):
    """Whether a series of the test has the label `firm`."""
    return any('firm="' in entry["series"] for entry in test.get("input_series", []))


def joined(document):
    """The tests of a file in pairs of the same interval; one that is left over is paired with the first.

    Those that have firms themselves are left out.
    """
    tests = [test for test in document["tests"] if test.get("alert_rule_test") and not has_firms(test)]
    for interval in dict.fromkeys(test.get("interval") for test in tests):
        same = [test for test in tests if test.get("interval") == interval]
        if len(same) % 2:
            same.append(same[0])
        for test, other in zip(same[::2], same[1::2]):
            yield {
                **{key: value for key, value in test.items() if not key.endswith("_test")},
                "name": f"alpha: {test['name']}; beta: {other['name']}",
                "input_series": [*series_of(test, "alpha"), *series_of(other, "beta")],
                "promql_expr_test": [*cases_of(test, "alpha"), *cases_of(other, "beta")],
            }


def main(directory, *names):
    out = pathlib.Path(directory)
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(TESTS.glob("*.yml")):
        document = yaml.load(path.read_text(), LOADER)
        if names and path.name not in names or path.name == "firms.yml":
            continue
        tests = list(joined(document))
        if not tests:
            continue
        rules = [str((TESTS / rule).resolve()) for rule in document["rule_files"]]
        document = {**document, "rule_files": rules, "tests": tests}
        (out / path.name).write_text(yaml.dump(document, Dumper=DUMPER, sort_keys=False, width=1000))


if __name__ == "__main__":
    main(*sys.argv[1:])
