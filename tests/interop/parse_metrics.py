#!/usr/bin/python3
"""Validates JSON documents with jsonschema, and parses expositions with prometheus_client.

Standard input: {"schema": ..., "documents": [...], "text": [...], "openmetrics": [...]}. The documents
must match the schema; "text" and "openmetrics" are expositions.
Standard output: the samples of each exposition, {"text": [[[name, labels, value], ...], ...],
"openmetrics": ...}.
"""

import json
import sys

import jsonschema
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

request = json.load(sys.stdin)
schema = request.get("schema")
if schema:
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.FormatChecker()
    validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
    for document in request["documents"]:
        for error in validator.iter_errors(document):
            best = jsonschema.exceptions.best_match([error])
            sys.exit(f"{list(best.absolute_path)}: {best.message[:2000]}")


def samples(parse, exposition):
    return [
        [sample.name, sample.labels, sample.value]
        for family in parse(exposition)
        for sample in family.samples
    ]


response = {
    "text": [samples(text, one) for one in request.get("text", [])],
    "openmetrics": [samples(openmetrics, one) for one in request.get("openmetrics", [])],
}
json.dump(response, sys.stdout)
