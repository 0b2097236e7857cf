#!/usr/bin/env bash
# Runs the stack on loopback without Docker: the shop, a Collector, Prometheus, Jaeger, VictoriaLogs and
# Alertmanager.
#
#   local.sh up             starts what does not run yet
#   local.sh load [option…] sends requests to the shop; `local.sh load --help` lists the options
#   local.sh walk           goes from the latency of a route to its slowest trace to the log lines of that trace
#   local.sh status         lists the parts and their ports
#   local.sh down           stops all parts
#   local.sh verify         runs the tests of the stack, which have parts of their own
#
# Needs Rust, Go (once, to build the parts), curl, jq (for `walk`), and Debian's package prometheus-alertmanager.
# Data, logs and process ids are in TOWER_TELEMETRY_STACK, by default the directory .stack beside this file.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
dir="${TOWER_TELEMETRY_STACK:-$here/.stack}"
mkdir -p "$dir"
dir="$(cd "$dir" && pwd)"

# In the order of their start. `down` stops them in the reverse order, so that telemetry is delivered.
parts=(jaeger victoria-logs alertmanager prometheus collector supplier backend gateway)

ports_of() {
    case "$1" in
        jaeger) echo 16686 16685 14317 14133 ;;
        victoria-logs) echo 9428 ;;
        alertmanager) echo 9093 ;;
        prometheus) echo 9090 ;;
        collector) echo 4317 4318 8888 13133 ;;
        supplier) echo 8002 ;;
        backend) echo 8001 8101 ;;
        gateway) echo 8000 ;;
    esac
}

readiness_of() {
    case "$1" in
        jaeger) echo http://127.0.0.1:14133/status ;;
        victoria-logs) echo http://127.0.0.1:9428/health ;;
        alertmanager) echo http://127.0.0.1:9093/-/ready ;;
        prometheus) echo http://127.0.0.1:9090/-/ready ;;
        collector) echo http://127.0.0.1:13133 ;;
        supplier) echo http://127.0.0.1:8002/readyz ;;
        backend) echo http://127.0.0.1:8101/readyz ;;
        gateway) echo http://127.0.0.1:8000/readyz ;;
    esac
}

# Replaces the shell by the program of a part.
run() {
    cd "$dir"
    case "$1" in
        jaeger) exec "$bin/jaeger" --config="$here/jaeger.yaml" ;;
        victoria-logs) exec "$bin/victoria-logs" -httpListenAddr=127.0.0.1:9428 -storageDataPath="$dir/logs-data" ;;
        alertmanager)
            exec "$alertmanager" --config.file="$here/alertmanager.yml" --storage.path="$dir/alertmanager" \
                --web.listen-address=127.0.0.1:9093 --cluster.listen-address= ;;
        prometheus)
            exec "$bin/prometheus" --config.file="$here/prometheus.yml" --storage.tsdb.path="$dir/prometheus" \
                --web.listen-address=127.0.0.1:9090 --web.enable-otlp-receiver \
                --enable-feature=exemplar-storage ;;
        collector) QUEUE_DIR="$dir/queue" exec "$bin/otelcol" --config="$here/otelcol.yaml" ;;
        supplier | backend | gateway)
            export OTEL_EXPORTER_OTLP_ENDPOINT="${OTEL_EXPORTER_OTLP_ENDPOINT:-http://127.0.0.1:4318}"
            export OTEL_METRIC_EXPORT_INTERVAL="${OTEL_METRIC_EXPORT_INTERVAL:-5000}"
            export OTEL_RESOURCE_ATTRIBUTES="${OTEL_RESOURCE_ATTRIBUTES:-deployment.environment.name=local}"
            exec "$shop" "$1" ;;
    esac
}

fail() {
    echo "local.sh: $*" >&2
    exit 1
}

# A process id alone could be that of another program by now, so the time of its start is kept, too.
started() { ps -o lstart= -p "$1" 2>/dev/null; }

# Prints the process id of a part that runs.
pid_of() {
    local pid start
    [ -f "$dir/$1.pid" ] || return 1
    { read -r pid && read -r start; } <"$dir/$1.pid" || return 1
    [ "$(started "$pid" | xargs)" = "$start" ] && echo "$pid"
}

is_ready() { curl --silent --fail --output /dev/null --max-time 2 "$(readiness_of "$1")"; }

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints which process listens on a port, as far as this user may know.
listener_on() {
    local found=""
    if command -v lsof >/dev/null; then
        found="$(lsof -nP -iTCP:"$1" -sTCP:LISTEN -Fpc 2>/dev/null | sed -n 's/^p//p; s/^c//p' | paste -sd' ' -)"
    elif command -v ss >/dev/null; then
        found="$(ss -Hltnp "sport = :$1" | grep -o 'users:.*')"
    fi
    echo "${found:-another process}"
}

check_ports() {
    local part port taken=""
    for part in "${parts[@]}"; do
        pid_of "$part" >/dev/null && continue
        for port in $(ports_of "$part"); do
            if is_taken "$port"; then
                taken+="  $port, for $part, by: $(listener_on "$port")"$'\n'
            fi
        done
    done
    [ -z "$taken" ] || fail "these ports are taken:"$'\n'"${taken%$'\n'}"
}

# Sets `bin` and `alertmanager`, or says what is missing.
find_parts() {
    command -v curl >/dev/null || fail "curl is missing: apt install curl"
    alertmanager="$(command -v prometheus-alertmanager || command -v alertmanager)" ||
        fail "Alertmanager is missing: apt install prometheus-alertmanager"
    bin="$("$here/parts.sh" collector prometheus victoria_logs jaeger)"
}

# Builds the shop, and sets `shop` and `load`.
build_shop() {
    command -v cargo >/dev/null || fail "Rust is missing: https://rustup.rs"
    local manifest="$here/../shop/Cargo.toml" target
    cargo build --quiet --manifest-path "$manifest"
    target="$(cargo metadata --format-version 1 --no-deps --manifest-path "$manifest" |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')"
    shop="$target/debug/shop" load="$target/debug/load"
}

start() {
    local part="$1" pid
    if pid="$(pid_of "$part")"; then
        echo "$part runs already ($pid)"
        return
    fi
    (run "$part") >>"$dir/$part.log" 2>&1 </dev/null &
    pid=$!
    disown "$pid"
    printf '%s\n%s\n' "$pid" "$(started "$pid" | xargs)" >"$dir/$part.pid"
    for _ in $(seq 600); do
        if is_ready "$part"; then
            echo "$part is ready ($pid)"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$dir/$part.log" >&2
    fail "$part did not become ready; its log is $dir/$part.log"
}

stop() {
    local part="$1" pid
    if ! pid="$(pid_of "$part")"; then
        rm -f "$dir/$part.pid"
        return
    fi
    kill -TERM "$pid" 2>/dev/null || true
    # The shop drains requests and delivers telemetry for 25 seconds at most.
    for _ in $(seq 400); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -KILL "$pid" 2>/dev/null; then
        echo "$part was killed, because it did not stop within 40 seconds"
    else
        echo "$part has stopped"
    fi
    rm -f "$dir/$part.pid"
}

up() {
    check_ports
    find_parts
    build_shop
    for part in "${parts[@]}"; do
        start "$part"
    done
    cat <<END

  shop          http://127.0.0.1:8000/products/7
  Prometheus    http://127.0.0.1:9090/api/v1/alerts
  Jaeger        http://127.0.0.1:16686/api/v3/services
  VictoriaLogs  http://127.0.0.1:9428/select/vmui
  Alertmanager  http://127.0.0.1:9093

From a spike to the trace to its lines:

  $0 load --scenario slow --seconds 20
  $0 walk

Prometheus and Jaeger answer queries, but have no pages: their Go modules don't contain them, and Grafana's is
not served. \`docker compose up\` has the pages and the dashboards.
END
}

# Prints a question as a command, asks it, and prints what `jq` makes of the answer.
ask() {
    local url="$1" filter="$2" query=()
    [ $# -lt 3 ] || query=(--data-urlencode "query=$3")
    printf "\n   curl -sG '%s'" "$url" >&2
    [ $# -lt 3 ] || printf " --data-urlencode 'query=%s'" "$3" >&2
    printf '\n\n' >&2
    curl --silent --show-error --fail -G "$url" "${query[@]}" | jq -r "$filter"
}

# shellcheck disable=SC2016 # the variables in filters are jq's
walk() {
    command -v jq >/dev/null || fail "jq is missing: apt install jq"
    local now histogram route trace
    now="$(date +%s)"
    histogram='http_server_request_duration_seconds_bucket{service_name="shop-gateway"}'
    echo "1. The 95th percentile of each route in the last five minutes, in seconds:"
    ask http://127.0.0.1:9090/api/v1/query '.data.result[] | "   \(.value[1]) \(.metric.http_route)"' \
        "histogram_quantile(0.95, sum by (le, http_route) (rate(${histogram}[5m])))"
    printf '\n2. The slowest request whose trace is known, an exemplar:\n'
    read -r trace route < <(ask "http://127.0.0.1:9090/api/v1/query_exemplars?start=$((now - 300))&end=$now" '
        [.data[] | .seriesLabels.http_route as $route | .exemplars[] | {route: $route} + .]
        | max_by(.value | tonumber) // empty
        | "\(.labels.trace_id) \(.value) s \(.route)"' "$histogram") ||
        fail "there are no exemplars yet: send requests with \`$0 load\`, and wait for five seconds"
    echo "   $trace $route"
    printf '\n3. Its trace:\n'
    ask "http://127.0.0.1:16686/api/v3/traces/$trace" '
        [.result.resourceSpans[] | (.resource.attributes[] | select(.key == "service.name").value.stringValue) as $service
            | .scopeSpans[].spans[] | {service: $service} + .]
        | (map({key: .spanId, value: (.parentSpanId // "")}) | from_entries) as $parents
        | def depth: if ($parents[.] // "") == "" then 0 else 1 + ($parents[.] | depth) end;
        sort_by(.startTimeUnixNano)[]
        | "   \("  " * (.spanId | depth) // "")\(.service) \(.name), \(((.endTimeUnixNano | tonumber) - (.startTimeUnixNano | tonumber)) / 1e6 | round) ms"'
    printf '\n4. Its log lines:\n'
    ask http://127.0.0.1:9428/select/logsql/query '"   \(._time) \(.severity_text) \(.["service.name"]) \(._msg)"' \
        "trace_id:$trace | sort by (_time)"
}

status() {
    local part pid state
    for part in "${parts[@]}"; do
        if ! pid="$(pid_of "$part")"; then
            state=stopped
        elif is_ready "$part"; then
            state="ready, process $pid"
        else
            state="not ready, process $pid, log $dir/$part.log"
        fi
        printf '%-14s %-24s %s\n' "$part" "$(ports_of "$part")" "$state"
    done
}

case "${1:-}" in
    up) up ;;
    down)
        for ((i = ${#parts[@]} - 1; i >= 0; i--)); do
            stop "${parts[i]}"
        done
        echo "data and logs stay in $dir"
        ;;
    walk) walk ;;
    status) status ;;
    load)
        build_shop
        "$load" "${@:2}"
        ;;
    verify)
        find_parts
        cargo test --manifest-path "$here/verify/Cargo.toml" "${@:2}"
        ;;
    *)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
        exit 2
        ;;
esac
