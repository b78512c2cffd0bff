#!/usr/bin/env bash
# Installs the programs that the tests use: packages of Debian, and the Node.js packages of the
# browser tests. What is installed already is left alone, and then no network is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"

# program package
programs="
openssl     openssl
certutil    libnss3-tools
prometheus-node-exporter prometheus-node-exporter
chromium    chromium
chromium-headless-shell chromium-headless-shell
node        nodejs
npm         npm
prometheus  prometheus
promtool    prometheus
amtool      prometheus-alertmanager
prometheus-alertmanager prometheus-alertmanager
curl        curl
faketime    faketime
strace      strace
python3     python3
cc          gcc
lintian     lintian
rpm         rpm
cpio        cpio
systemd-analyze systemd
"
# Only the tests in namespaces, the image and make dist-test use these.
if [ "$(tests/with_namespaces.sh echo yes 2>/dev/null)" = yes ]; then
  programs+="
nginx       nginx-light
unbound     unbound
nsd         nsd
tinyproxy   tinyproxy-bin
ethtool     ethtool
dig         bind9-dnsutils
nft         nftables
ip          iproute2
nsenter     util-linux
buildah     buildah
minisign    minisign
mmdebstrap  mmdebstrap
systemd-nspawn systemd-container
"
fi
# module of /usr/bin/python3, package
modules="
prometheus_client python3-prometheus-client
jsonschema        python3-jsonschema
icalendar         python3-icalendar
yaml              python3-yaml
"

fail() {
  echo "tests/install.sh: $*" >&2
  exit 1
}

# The packages of missing programs and modules, in one line.
missing_packages() {
  local name package
  {
    while read -r name package; do
      [ -z "$name" ] || command -v "$name" >/dev/null || echo "$package"
    done <<<"$programs"
    while read -r name package; do
      [ -z "$name" ] || /usr/bin/python3 -c "import $name" 2>/dev/null || echo "$package"
    done <<<"$modules"
  } | sort -u | paste -sd ' '
}

install_packages() {
  local packages=$1 policy=/usr/sbin/policy-rc.d
  command -v apt-get >/dev/null ||
    fail "the tests need these packages of Debian: $packages. This system has no apt-get: install" \
      "them by its own package manager, or run the tests in a Debian container: docker run" \
      "--privileged -v \"\$PWD\":/src -w /src rust:1.95-bookworm make test"
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    { command -v sudo && sudo true; } >/dev/null ||
      fail "these packages are missing, and installing them needs root or sudo: $packages." \
        "Run as root: apt-get install $packages. Without them, make quick runs."
    as_root=(sudo)
  fi
  echo "installing: $packages"
  # The installed servers must not be started as services.
  if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f '"$policy" EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
  fi
  # shellcheck disable=SC2086 # one argument for each package
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends $packages >/dev/null ||
    fail "apt-get cannot install $packages; its messages are above"
}

install_node_packages() {
  local directory=tests/harness/node
  if [ ! -e $directory/node_modules/.installed ] ||
    [ $directory/package-lock.json -nt $directory/node_modules/.installed ]; then
    echo "installing the packages of $directory/package-lock.json"
    npm ci --prefix $directory --loglevel=error --update-notifier=false ||
      fail "npm cannot install the packages of $directory/package-lock.json; this needs the network once"
    $directory/node_modules/node/bin/node --version
    touch $directory/node_modules/.installed
  fi
}

# A second run waits for the first one.
mkdir -p target
exec {lock}>target/install.lock
if command -v flock >/dev/null; then
  flock "$lock"
fi
packages=$(missing_packages)
if [ -n "$packages" ]; then
  install_packages "$packages"
  packages=$(missing_packages)
  [ -z "$packages" ] || fail "programs of these packages are still missing after the installation: $packages"
fi
install_node_packages
tests/newest.sh
