#!/usr/bin/env python3
"""Writes cases.json.gz from the limbo.json of C2SP/x509-limbo: the cases of a TLS client without CRLs.

    tests/limbo/convert.py limbo.json
"""

import base64
import gzip
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent


def der(pem):
    return re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", pem, re.S)[1].replace("\n", "")


def main(path):
    certificates, index, cases = [], {}, []

    def number(pem):
        text = der(pem)
        base64.b64decode(text)
        if text not in index:
            index[text] = len(certificates)
            certificates.append(text)
        return index[text]

    for case in json.loads(pathlib.Path(path).read_text())["testcases"]:
        if case["validation_kind"] != "SERVER" or case["crls"]:
            continue
        name = case["expected_peer_name"]
        chain = [case["peer_certificate"], *case["untrusted_intermediates"]]
        cases.append({
            "id": case["id"],
            "expected": case["expected_result"] == "SUCCESS",
            "at": case["validation_time"],
            "name": name and name["value"],
            "roots": [number(pem) for pem in case["trusted_certs"]],
            "chain": [number(pem) for pem in chain],
        })
    text = json.dumps({"certificates": certificates, "cases": cases}, separators=(",", ":"))
    (HERE / "cases.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(cases)} cases, {len(certificates)} certificates")


if __name__ == "__main__":
    main(sys.argv[1])
