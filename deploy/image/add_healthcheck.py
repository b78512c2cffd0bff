#!/usr/bin/python3
"""Adds the health check of an image, whose inspection is standard input, to its OCI layout.

OCI's own format has no field for it; Docker and Podman read it all the same, as BuildKit writes it.
"""

import hashlib
import json
import pathlib
import sys

layout = pathlib.Path(sys.argv[1])
blobs = layout / "blobs" / "sha256"


def load(descriptor):
    return json.loads((blobs / descriptor["digest"].removeprefix("sha256:")).read_text())


def replace(descriptor, value):
    old = blobs / descriptor["digest"].removeprefix("sha256:")
    new = json.dumps(value, separators=(",", ":")).encode()
    digest = hashlib.sha256(new).hexdigest()
    old.unlink()
    (blobs / digest).write_bytes(new)
    descriptor.update(digest=f"sha256:{digest}", size=len(new))


index = json.loads((layout / "index.json").read_text())
[image] = index["manifests"]
manifest = load(image)
config = load(manifest["config"])
config["config"]["Healthcheck"] = json.load(sys.stdin)["Docker"]["config"]["Healthcheck"]
# No base image, so nothing to name.
manifest.pop("annotations", None)
replace(manifest["config"], config)
replace(image, manifest)
(layout / "index.json").write_text(json.dumps(index, separators=(",", ":")))
