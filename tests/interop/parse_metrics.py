#!/usr/bin/python3
"""Reads with the field's own libraries what the exporter writes.

On standard input: {"schema": ..., "documents": [...], "text": [...], "openmetrics": [...]}, where
documents are to meet the JSON schema and the other two are expositions. On standard output: for each
exposition the samples that were read, {"text": [[[name, labels, value], ...], ...], "openmetrics": ...}.
"""

import json
import sys

import jsonschema
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

asked = json.load(sys.stdin)
schema = asked.get("schema")
if schema:
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.FormatChecker()
    validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
    for document in asked["documents"]:
        for error in validator.iter_errors(document):
            best = jsonschema.exceptions.best_match([error])
            sys.exit(f"{list(best.absolute_path)}: {best.message[:2000]}")


def samples(parse, exposition):
    return [
        [sample.name, sample.labels, sample.value]
        for family in parse(exposition)
        for sample in family.samples
    ]


told = {
    "text": [samples(text, one) for one in asked.get("text", [])],
    "openmetrics": [samples(openmetrics, one) for one in asked.get("openmetrics", [])],
}
json.dump(told, sys.stdout)
