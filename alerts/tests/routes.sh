#!/bin/sh
# Checks the receiver of every category and severity with the routes of ../alertmanager.yml.
# Needs amtool. Prints every mismatch; exits 1 if there is one.
set -eu
cd "$(dirname "$0")/.."
config=alertmanager.yml
passed=0
failed=0

# RECEIVER LABEL=VALUE...
expect() {
    expected=$1
    shift
    if actual=$(amtool config routes test --config.file="$config" "$@" 2>/dev/null) &&
        [ "$actual" = "$expected" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$*: routed to ${actual:-no receiver}, expected $expected"
    fi
}

amtool check-config "$config" >/dev/null

while read -r category critical warning info; do
    expect "$critical" service=ccass2fa category="$category" severity=critical
    expect "$warning" service=ccass2fa category="$category" severity=warning
    expect "$info" service=ccass2fa category="$category" severity=info
done <<END
reachability pager tickets null
diagnosis    pager tickets null
certificate  pager tickets null
slo          pager tickets null
deadline     mail  mail    null
readiness    mail  mail    null
meta         pager tickets null
END

# Alerts with all their labels.
expect pager service=ccass2fa category=reachability severity=critical \
    alertname=Ccass2faLoginUnreachableAllSites target=sso
expect tickets service=ccass2fa category=reachability severity=warning \
    alertname=Ccass2faLoginUnreachable target=sso site=head-office
expect tickets service=ccass2fa category=reachability severity=warning \
    alertname=Ccass2faUnexpectedPageAllSites target=sso
expect pager service=ccass2fa category=slo severity=critical \
    alertname=Ccass2faErrorBudgetBurn target=sso site=head-office
expect pager service=ccass2fa category=meta severity=critical \
    alertname=Ccass2faExporterDown site=head-office instance=exporter:10762
expect mail service=ccass2fa category=deadline severity=critical \
    alertname=Ccass2faDeadlineMissed deadline=connection_verification

# The dead man's switch with any severity, a drill, alerts with an unknown or without a severity, and an
# alert of another service.
expect watchdog service=ccass2fa alertname=Ccass2faWatchdog severity=none category=meta
expect watchdog service=ccass2fa alertname=Ccass2faWatchdog severity=critical category=meta
expect watchdog service=ccass2fa alertname=Ccass2faWatchdog
expect pager service=ccass2fa alertname=Ccass2faDrill severity=critical
expect tickets service=ccass2fa alertname=Ccass2faDrill severity=warning
expect tickets service=ccass2fa alertname=Ccass2faLoginUnreachable severity=page category=reachability
expect tickets service=ccass2fa alertname=Ccass2faDeadlineMissed category=deadline
expect tickets service=another alertname=Whatever severity=critical

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
