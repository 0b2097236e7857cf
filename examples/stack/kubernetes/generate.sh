#!/usr/bin/env bash
# Writes the manifests that contain other files of the stack, so that rules and the Collector's configuration
# are written once:
#
#   collector-config.yaml   from ../otelcol.yaml
#   prometheusrules.yaml    from ../rules/*.yml
#
#   generate.sh             writes them
#   generate.sh --check     fails if one of them differs from what would be written
set -euo pipefail
cd "$(dirname "$0")"

# Indents by $1 spaces, except empty lines.
indent() { sed "s/^./$(printf '%*s' "$1" '')&/"; }

collector_config() {
    cat <<'YAML'
# Written by generate.sh from ../otelcol.yaml.
apiVersion: v1
kind: ConfigMap
metadata:
  name: otel-collector
  namespace: observability
data:
  otelcol.yaml: |
YAML
    indent 4 <../otelcol.yaml
}

# A resource for each file, because the names of groups are unique within one.
prometheus_rules() {
    echo "# Written by generate.sh from ../rules/*.yml."
    local file separator=""
    for file in ../rules/*.yml; do
        printf '%s' "$separator"
        separator=$'---\n'
        cat <<YAML
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: shop-$(basename "$file" .yml)
  namespace: shop
spec:
YAML
        indent 2 <"$file"
    done
}

# Writes its input to the file $1, or compares them.
file() {
    if [ "$mode" = --check ]; then
        diff -u "$1" - || { echo "$1 is not what generate.sh writes: run it" >&2; return 1; }
    else
        cat >"$1"
    fi
}

mode="${1:-}"
status=0
collector_config | file collector-config.yaml || status=1
prometheus_rules | file prometheusrules.yaml || status=1
exit "$status"
