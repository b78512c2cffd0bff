#!/usr/bin/env bash
# Makes target/windows/wine: a Debian with wine and a Windows disk, in which the tests run the programs for Windows. As
# root, once, in a minute; it needs 2 GB. Nothing writes to it afterwards.
# With arguments, it then runs a program in it, as cargo asks: wine.sh PROGRAM.EXE ARGUMENT...
set -euo pipefail
cd "$(dirname "$0")/.."
# The first release with wine 10; wine 8 lacks a library that Rust's programs load.
release=trixie
root=$PWD/target/windows/wine

# In namespaces of its own, with a copy of the disk, and this repository at its place.
run() {
  local repository=$PWD
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp -al "$root/prefix" "$work/" 2>/dev/null || cp -a "$root/prefix" "$work/"
  cp "$1" "$work/program.exe"
  shift
  unshare --mount --net --pid --fork --kill-child bash -euc '
    root=$1; work=$2; repository=$3; shift 3
    ip link set lo up
    mount --bind "$work" "$root/pc"
    mount -t proc proc "$root/proc"; mount -t sysfs sysfs "$root/sys"; mount --rbind /dev "$root/dev"
    mkdir -p "$root$repository"
    mount --bind "$repository" "$root$repository"
    exec chroot "$root" windows "$repository" cmd /c "Z:\\pc\\program.exe" "$@"' - "$root" "$work" "$repository" "$@"
}

if [ -e "$root/complete" ]; then
  [ $# = 0 ] || run "$@"
  exit
fi
command -v mmdebstrap >/dev/null || {
  echo "tests/wine.sh: mmdebstrap is missing; run tests/install.sh as root" >&2
  exit 1
}
rm -rf "$root"
mkdir -p "$root"
mmdebstrap --quiet --variant=minbase --include=wine,wine64 $release "$root"
# Each test mounts its own over these.
mkdir -p "$root/pc" "$root/etc/ssl/certs"
touch "$root/etc/resolv.conf" "$root/etc/ssl/certs/ca-certificates.crt"
printf '127.0.0.1 localhost %s\n' "$(uname -n)" >"$root/etc/hosts"
cat >"$root/usr/local/bin/windows" <<'SCRIPT'
#!/bin/sh
# windows DIRECTORY PROGRAM ARGUMENT...: a program for Windows in a directory of the disk.
export HOME=/pc WINEPREFIX="${WINEPREFIX:-/pc/prefix}" WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml= LC_ALL=C.UTF-8
export XDG_RUNTIME_DIR=/pc
cd "$1"
shift
exec /usr/lib/wine/wine64 "$@"
SCRIPT
chmod +x "$root/usr/local/bin/windows"
unshare --mount --pid --fork --kill-child bash -euc "
  mount -t proc proc '$root/proc'; mount -t sysfs sysfs '$root/sys'; mount --bind /dev '$root/dev'
  export WINEPREFIX=/prefix
  chroot '$root' windows / wineboot --init
  chroot '$root' env WINEPREFIX=/prefix /usr/lib/wine/wineserver64 --wait"
touch "$root/complete"
[ $# = 0 ] || run "$@"
