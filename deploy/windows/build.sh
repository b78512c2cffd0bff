#!/bin/sh
# Builds ccass-2fa-exporter.exe and ccass-2fa-browser.exe for x86-64 on Linux, with the cross compiler of Debian, and packs
# them: build.sh DIRECTORY. On Windows itself, `sh deploy/build.sh x86_64-pc-windows-msvc` builds them by Microsoft's compiler.
# Neither program needs a library that Windows does not have.
set -eu
dist=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
target=x86_64-pc-windows-gnu

fail() {
  echo "deploy/windows/build.sh: $*" >&2
  exit 1
}

if ! command -v x86_64-w64-mingw32-gcc >/dev/null; then
  command -v apt-get >/dev/null ||
    fail "the cross compiler x86_64-w64-mingw32-gcc (MinGW-w64) is missing; install it with the package manager of this system"
  [ "$(id -u)" = 0 ] ||
    fail "the cross compiler is missing; run as root: apt-get install --no-install-recommends gcc-mingw-w64-x86-64"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc-mingw-w64-x86-64 >/dev/null
fi
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]; then
  command -v rustup >/dev/null ||
    fail "Rust's standard library for $target is missing, and rustup, which installs it, too; see docs/install.md"
  rustup target add $target
fi
deploy/windows/zip.py "$(dirname "$(deploy/build.sh $target)")" "$dist"
