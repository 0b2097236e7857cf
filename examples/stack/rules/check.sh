#!/usr/bin/env bash
# Checks Prometheus' configuration and rules, runs the rules' tests, and checks Alertmanager's routes. Each alert has
# to fire in a test, and to be free of alerts in the same test.
#
# Needs promtool of Prometheus 3 (PROMTOOL, by default that of parts.sh) and amtool.
set -euo pipefail
cd "$(dirname "$0")"
parts="${PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tower-telemetry/parts}"
promtool="${PROMTOOL:-$parts/bin/promtool}"
for program in "$promtool" amtool; do
    command -v "$program" >/dev/null || { echo "rules/check.sh: $program is missing" >&2; exit 1; }
done

"$promtool" check config --lint=all --lint-fatal ../prometheus.yml
"$promtool" check rules --lint=all --lint-fatal ./*.yml
"$promtool" test rules tests/*.yml
grep -oP 'alert: \K\w+' alerts.yml | while read -r alert; do
    grep -q "alertname=\"$alert\", alertstate=\"firing\"\|{alertname=\"$alert\"[^}]*}', value" tests/*.yml || {
        echo "rules/check.sh: no test expects $alert to fire" >&2
        exit 1
    }
    grep -q "runbook_url: docs/stack.md#${alert,,}\$" alerts.yml || {
        echo "rules/check.sh: the runbook_url of $alert has another anchor" >&2
        exit 1
    }
done

amtool check-config ../alertmanager.yml
route() {
    amtool config routes test --config.file ../alertmanager.yml --verify.receivers="$1" "${@:2}" >/dev/null || {
        echo "rules/check.sh: ${*:2} is not routed to $1" >&2
        exit 1
    }
}
route pages severity=page alertname=ErrorBudgetBurnsFast
route tickets severity=ticket alertname=ErrorsHigh
route tickets alertname=WithoutSeverity
route heartbeat severity=none alertname=Watchdog
echo "rules, alerts and routes: good"
