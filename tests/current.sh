#!/usr/bin/env bash
# The alerting tests against the newest Prometheus and Alertmanager in Debian, beside the ones of the
# release that is installed. Unpacks them from unstable, from the mirror that this machine uses, into
# target/current; installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
tests/install.sh

directory=$PWD/target/current
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
rm -f "$directory"/*.deb
(cd "$directory" && "${apt[@]}" download prometheus promtool prometheus-alertmanager)
rm -rf "$directory/root"
for package in "$directory"/*.deb; do
  dpkg-deb --extract "$package" "$directory/root"
done

export PATH="$directory/root/usr/bin:$PATH"
for program in prometheus promtool prometheus-alertmanager amtool; do
  test "$(command -v "$program")" = "$directory/root/usr/bin/$program"
  "$program" --version 2>&1 | head -n 1
done
cargo test --locked --test alerts --test drill --test migration
cargo test --locked --test paging -- --test-threads=8
