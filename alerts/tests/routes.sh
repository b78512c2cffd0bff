#!/bin/sh
# Where each alert goes: every category and severity through the routes of ../alertmanager.yml.
# Needs amtool. Exits 1 on any mismatch, after naming all of them.
set -eu
cd "$(dirname "$0")/.."
config=alertmanager.yml
passed=0
failed=0

# RECEIVER LABEL=VALUE...
goes_to() {
    want=$1
    shift
    if got=$(amtool config routes test --config.file="$config" "$@" 2>/dev/null) && [ "$got" = "$want" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$*: goes to ${got:-nobody}, not to $want"
    fi
}

amtool check-config "$config" >/dev/null

while read -r category critical warning info; do
    goes_to "$critical" service=ccass2fa category="$category" severity=critical
    goes_to "$warning" service=ccass2fa category="$category" severity=warning
    goes_to "$info" service=ccass2fa category="$category" severity=info
done <<END
reachability pager tickets null
diagnosis    pager tickets null
certificate  pager tickets null
slo          pager tickets null
deadline     mail  mail    null
readiness    mail  mail    null
meta         pager tickets null
END

# As they come, with all their labels.
goes_to pager service=ccass2fa category=reachability severity=critical \
    alertname=Ccass2faLoginUnreachableAllSites target=sso
goes_to tickets service=ccass2fa category=reachability severity=warning \
    alertname=Ccass2faLoginUnreachable target=sso site=head-office
goes_to pager service=ccass2fa category=meta severity=critical \
    alertname=Ccass2faExporterDown site=head-office instance=exporter:10762
goes_to mail service=ccass2fa category=deadline severity=critical \
    alertname=Ccass2faDeadlineMissed deadline=connection_verification

# The dead man's switch, with whatever severity; a drill, which has no category of these; a
# severity that is a mistake; an alert of something else.
goes_to watchdog service=ccass2fa alertname=Ccass2faWatchdog severity=none category=meta
goes_to watchdog service=ccass2fa alertname=Ccass2faWatchdog severity=critical category=meta
goes_to watchdog service=ccass2fa alertname=Ccass2faWatchdog
goes_to pager service=ccass2fa alertname=Ccass2faDrill severity=critical
goes_to tickets service=ccass2fa alertname=Ccass2faDrill severity=warning
goes_to tickets service=ccass2fa alertname=Ccass2faLoginUnreachable severity=page category=reachability
goes_to tickets service=ccass2fa alertname=Ccass2faDeadlineMissed category=deadline
goes_to tickets service=another alertname=Whatever severity=critical

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
