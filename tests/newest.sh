#!/usr/bin/env bash
# Unpacks the newest Prometheus, Alertmanager and blackbox_exporter that Debian has, those of unstable,
# into target/newest, from the mirror that this machine's own apt uses; installs nothing. They stand
# beside the ones of the release that is installed. With "again" it looks for newer ones.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=$PWD/target/newest
programs="prometheus promtool prometheus-alertmanager amtool prometheus-blackbox-exporter"
complete=$directory/complete
if [ -e "$complete" ] && [ "${1:-}" != again ]; then
  exit 0
fi
rm -rf "$directory"
state=$directory/apt
mkdir -p "$state"/{lists/partial,cache/archives/partial,etc}
: >"$state/status"

# The mirror and the keyring of the machine's own Debian sources, in either of apt's two formats.
read -r mirror keyring < <(
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    awk '
      /^URIs:/ && $2 ~ /\/debian\/?$/ && !mirror { mirror = $2 }
      /^Signed-By:/ && mirror && !keyring { keyring = $2 }
      /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^https?:.*\/debian\/?$/ && !mirror) mirror = $i }
      END { print mirror, keyring }'
)
if [ -z "$mirror" ]; then
  echo "no Debian mirror in this machine's apt sources" >&2
  exit 1
fi
signed=${keyring:+[signed-by=$keyring] }
echo "deb ${signed}$mirror sid main" >"$state/etc/sources.list"

apt=(apt-get -qq
  -o Dir::Etc::SourceList="$state/etc/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::Status="$state/status"
  -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update
(cd "$directory" && "${apt[@]}" download \
  prometheus promtool prometheus-alertmanager prometheus-blackbox-exporter)
for package in "$directory"/*.deb; do
  dpkg-deb --extract "$package" "$directory/root"
done
rm -rf "$state" "$directory"/*.deb

for program in $programs; do
  "$directory/root/usr/bin/$program" --version 2>&1 | head -n 1
done
touch "$complete"
