#!/usr/bin/env bash
# Installs from Debian what the tests run against, if it is not there: real servers, not imitations.
set -euo pipefail

# program package
needed="
nginx       nginx-light
unbound     unbound
nsd         nsd
tinyproxy   tinyproxy-bin
ethtool     ethtool
dig         bind9-dnsutils
openssl     openssl
chromium    chromium
node        nodejs
npm         npm
prometheus  prometheus
promtool    prometheus
amtool      prometheus-alertmanager
prometheus-alertmanager prometheus-alertmanager
nft         nftables
ip          iproute2
unshare     util-linux
nsenter     util-linux
curl        curl
python3     python3
cc          gcc
"

export PATH="$PATH:/usr/sbin:/sbin"
packages=$(while read -r program package; do
  [ -z "$program" ] || command -v "$program" >/dev/null || echo "$package"
done <<<"$needed" | sort -u)

# Debian's Python reads what we write with the field's own libraries.
# module package
libraries="
prometheus_client python3-prometheus-client
jsonschema        python3-jsonschema
icalendar         python3-icalendar
"
packages+=$'\n'$(while read -r module package; do
  [ -z "$module" ] || /usr/bin/python3 -c "import $module" 2>/dev/null || echo "$package"
done <<<"$libraries")
packages=$(xargs <<<"$packages")

# The libraries of the browser's tests, as the lock file has them.
web() {
  local here
  here=$(dirname "$0")/harness/node
  if [ ! -e "$here/node_modules/.installed" ] ||
    [ "$here/package-lock.json" -nt "$here/node_modules/.installed" ]; then
    echo "installing what $here/package-lock.json names"
    npm ci --prefix "$here" --loglevel=error
    "$here/node_modules/node/bin/node" --version
    touch "$here/node_modules/.installed"
  fi
}

if [ -z "$packages" ]; then
  web
  "$(dirname "$0")/newest.sh"
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "the tests need these programs, and this machine has no apt-get to install them:" >&2
  echo "$packages" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  as_root=(sudo)
fi
echo "installing:" $packages
# Nothing that is installed here may start as a service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends $packages >/dev/null

while read -r program package; do
  if [ -n "$program" ] && ! command -v "$program" >/dev/null; then
    echo "$program is still missing although $package was installed" >&2
    exit 1
  fi
done <<<"$needed"
web
"$(dirname "$0")/newest.sh"
