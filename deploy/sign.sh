#!/bin/sh
# Writes the checksums of everything in DIRECTORY and, with MINISIGN_KEY, a signature of them.
set -eu
cd "$1"
rm -f SHA256SUMS SHA256SUMS.minisig
sha256sum -- * >SHA256SUMS.new
mv SHA256SUMS.new SHA256SUMS
if [ -n "${MINISIGN_KEY:-}" ]; then
  minisign -S -s "$MINISIGN_KEY" -m SHA256SUMS -t "ccass-2fa-exporter" </dev/null
fi
