#!/bin/sh
# Verifies the files of a release as somebody who downloaded them: verify.sh DIRECTORY [PUBLIC_KEY]
# PUBLIC_KEY is the file of the key that you got elsewhere; with it, a missing signature is an error.
set -eu
cd "$1"
fail() {
  echo "deploy/verify.sh: $*" >&2
  exit 1
}

if [ -n "${2:-}" ]; then
  [ -e SHA256SUMS.minisig ] || fail "SHA256SUMS.minisig is missing: nothing shows who made these files"
  minisign -V -q -p "$2" -m SHA256SUMS || fail "the signature of SHA256SUMS is not that of $2"
  echo "signature    valid"
else
  echo "signature    not checked: name the public key"
fi
sha256sum --quiet --check --strict SHA256SUMS || fail "a file is not the one that was released"
for file in *; do
  case $file in
    SHA256SUMS | SHA256SUMS.minisig) ;;
    *) grep -q " $file\$" SHA256SUMS || fail "$file is not listed in SHA256SUMS" ;;
  esac
done
echo "checksums    $(wc -l <SHA256SUMS) files"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name=ccass-2fa-exporter
tar -xzf $name-*-linux-*.tar.gz -C "$work"
mv "$work"/$name-*/$name "$work/tarball"
dpkg-deb --fsys-tarfile ${name}_*.deb | tar -xO ./usr/bin/$name >"$work/deb"
rpm2cpio $name-*.rpm | (cd "$work" && cpio --quiet -i --to-stdout ./usr/bin/$name >rpm)
mkdir "$work/oci"
tar -xf $name-image.tar -C "$work/oci"
# The only layer that is a compressed tar.
for blob in "$work"/oci/blobs/sha256/*; do
  [ "$(sha256sum <"$blob" | cut -d ' ' -f 1)" = "$(basename "$blob")" ] || fail "a blob of the image has another digest"
  tar -xzOf "$blob" usr/bin/$name >"$work/image" 2>/dev/null && break
done
for kind in deb rpm image; do
  cmp -s "$work/tarball" "$work/$kind" || fail "the program in the $kind is not the one in the tarball"
done
echo "program      the same in tarball, deb, rpm and image: $(sha256sum <"$work/tarball" | cut -c 1-16)"
chmod +x "$work/tarball"
echo "version      $("$work/tarball" --version)"
rpm --checksig --nosignature $name-*.rpm >/dev/null || fail "the rpm is damaged"
python3 - $name-*.cdx.json <<'PYTHON' || fail "the SBOM is not that of this program"
import json, sys
bom = json.load(open(sys.argv[1]))
assert bom["bomFormat"] == "CycloneDX" and bom["metadata"]["component"]["name"] == "ccass-2fa-exporter"
names = {component["name"] for component in bom["components"]}
assert {"rustls", "tokio"} <= names
print(f"SBOM         {len(names)} components")
PYTHON
