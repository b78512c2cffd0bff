#!/usr/bin/env python3
"""Writes the dashboards into a directory as grafana.com expects them: with `__inputs`.

The dashboards in this directory choose their data source by a variable, which provisioning needs. Those
with inputs ask for it once, when they are imported, and name the Grafana and the panels that they need.
"""

import json
import sys
from pathlib import Path

INPUT = "DS_PROMETHEUS"
GRAFANA = "11.0.0"
PANELS = {
    "heatmap": "Heatmap",
    "stat": "Stat",
    "state-timeline": "State timeline",
    "table": "Table",
    "text": "Text",
    "timeseries": "Time series",
}


def with_inputs(text):
    text = text.replace("var-datasource=${datasource}&", "").replace("${datasource}", "${%s}" % INPUT)
    dashboard = json.loads(text)
    variables = dashboard["templating"]["list"]
    variables[:] = [one for one in variables if one["type"] != "datasource"]
    panels = sorted({panel["type"] for panel in dashboard["panels"]})
    head = {
        "__inputs": [
            {
                "name": INPUT,
                "label": "Prometheus",
                "description": "The Prometheus that scrapes the exporters",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__elements": {},
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": GRAFANA},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": one, "name": PANELS[one], "version": ""} for one in panels),
        ],
    }
    return json.dumps({**head, **dashboard}, indent=2, ensure_ascii=False) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: grafana/with_inputs.py DIRECTORY")
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(__file__).parent.glob("*.json")):
        text = with_inputs(path.read_text(encoding="utf-8"))
        (directory / path.name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
