#!/usr/bin/env bash
# Unpacks the newest Prometheus, Alertmanager, blackbox_exporter, kubectl and VictoriaMetrics of Debian, those of
# the release "unstable", into target/newest. Nothing is installed, and the programs of the installed release
# stay. Does nothing if they are there already, unless the argument is "again".
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "tests/newest.sh: $*" >&2
  exit 1
}

directory=$PWD/target/newest
mkdir -p target
exec {lock}>target/newest.lock
if command -v flock >/dev/null; then
  flock "$lock"
fi
if [ -e "$directory/complete" ] && [ -e "$directory/root/usr/bin/kubectl" ] &&
  [ -e "$directory/root/usr/bin/vmalert" ] && [ "${1:-}" != again ]; then
  exit 0
fi
for tool in apt-get dpkg-deb; do
  command -v $tool >/dev/null ||
    fail "$tool is missing: it downloads and unpacks packages of Debian. On another system run the" \
      "tests in a Debian container, as tests/install.sh describes."
done

# The mirror and the keyring of this machine's Debian sources, in either of the two formats of apt.
mirror=${DEBIAN_MIRROR:-}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
if [ -z "$mirror" ]; then
  read -r mirror keyring < <(
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
      awk '
        /^URIs:/ && $2 ~ /\/debian\/?$/ && !mirror { mirror = $2 }
        /^Signed-By:/ && mirror && !keyring { keyring = $2 }
        /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^https?:.*\/debian\/?$/ && !mirror) mirror = $i }
        END { print mirror, keyring }'
  )
fi
[ -n "$mirror" ] ||
  fail "the sources of apt name no Debian mirror. Install the package debian-archive-keyring and set" \
    "its address: DEBIAN_MIRROR=URL tests/newest.sh"

new=$directory.new
state=$new/apt
rm -rf "$new"
mkdir -p "$state"/{lists/partial,cache/archives/partial,etc}
: >"$state/status"
signed=${keyring:+[signed-by=$keyring] }
echo "deb ${signed}$mirror sid main" >"$state/etc/sources.list"
apt=(apt-get -qq
  -o Dir::Etc::SourceList="$state/etc/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::Status="$state/status"
  -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update &&
  (cd "$new" && "${apt[@]}" download \
    prometheus promtool prometheus-alertmanager prometheus-blackbox-exporter kubectl victoria-metrics) ||
  fail "cannot download from $mirror; the messages of apt-get are above"
for package in "$new"/*.deb; do
  dpkg-deb --extract "$package" "$new/root"
done
# Large, and no test uses them.
rm -f "$new"/root/usr/bin/{vmbackup,vmrestore,vmctl}
for program in prometheus promtool prometheus-alertmanager amtool prometheus-blackbox-exporter; do
  "$new/root/usr/bin/$program" --version 2>&1 | head -n 1
done
rm -rf "$state" "$new"/*.deb
touch "$new/complete"
rm -rf "$directory"
mv "$new" "$directory"
