#!/bin/sh
# Copies the rules of alerts/ for vmalert, Mimir or Thanos, with the addresses of the runbook and of the dashboards
# written into them: these programs have no external labels that a recorded series would not get, too.
#
#   rules.sh DIRECTORY RUNBOOK DASHBOARDS
set -eu
if [ $# -ne 3 ]; then
    echo "usage: $0 DIRECTORY RUNBOOK DASHBOARDS, for example: $0 /etc/vmalert/rules" \
        "https://docs.example.com/runbook https://grafana.example.com/d" >&2
    exit 2
fi
mkdir -p "$1"
for file in "$(dirname "$0")"/../../../alerts/*.yml; do
    if grep -q '^groups:' "$file"; then
        sed -e "s|{{ \$externalLabels.runbook_base }}|$2|" -e "s|{{ \$externalLabels.dashboard_base }}|$3|" \
            "$file" >"$1/$(basename "$file")"
    fi
done
