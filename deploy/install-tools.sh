#!/bin/sh
# Installs the programs that build the packages and the book, at these versions; those that are there stay. Without
# arguments all, otherwise those named. Unoptimized: they run for seconds and would compile for minutes; in one directory,
# since they share dependencies.
set -eu
CARGO_TARGET_DIR=$(dirname "$0")/../target/tools
export CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0
cargo=${CARGO:-cargo}

while read -r tool version; do
  case " ${*:-$tool} " in
    *" $tool "*) ;;
    *) continue ;;
  esac
  case $("$cargo" install --list) in
    *"$tool v$version:"*) ;;
    *) "$cargo" install --locked --debug "$tool@$version" ;;
  esac
done <<TOOLS
cargo-auditable 0.7.7
cargo-deb 3.8.0
cargo-generate-rpm 0.21.1
cargo-cyclonedx 0.5.9
mdbook 0.5.2
TOOLS
