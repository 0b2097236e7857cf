#!/usr/bin/env bash
# Builds the real parts of the stack, once per version, and prints the directory of their programs.
#
#   parts.sh                     all parts
#   parts.sh collector promtool  some of them
#
# Needs Go and its module proxy. A part takes minutes to build. It is kept in PARTS_DIR, by default in the
# user's cache directory, until its version changes.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
dir="${PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tower-telemetry/parts}"

prometheus=v0.316.0      # Prometheus 3.16
jaeger=v1.76.0           # Jaeger 2
victoria_logs=v1.52.1

export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0

# Each function builds the programs of one part into the directory $1.
build_collector() {
    (cd "$here/collector" && go build -mod=mod -trimpath -ldflags='-s -w' -o "$1/otelcol" .)
}
build_prometheus() {
    GOBIN="$1" go install -tags remove_all_sd,netgo -ldflags='-s -w' \
        "github.com/prometheus/prometheus/cmd/prometheus@$prometheus"
}
build_promtool() {
    GOBIN="$1" go install -tags remove_all_sd,netgo -ldflags='-s -w' \
        "github.com/prometheus/prometheus/cmd/promtool@$prometheus"
}
build_jaeger() {
    # Its go.mod has a `replace`, which `go install` refuses.
    local module
    module="$(mktemp -d)"
    (
        cd "$module"
        go mod init jaeger-build
        go get -tool "github.com/jaegertracing/jaeger/cmd/jaeger@$jaeger"
        go build -trimpath -ldflags='-s -w' -o "$1/jaeger" github.com/jaegertracing/jaeger/cmd/jaeger
    )
    rm -rf "$module"
}
build_victoria_logs() {
    GOBIN="$1" go install -ldflags='-s -w' \
        "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@$victoria_logs"
}
version() {
    case "$1" in
        collector) sha256sum "$here"/collector/{go.mod,main.go} | sha256sum | cut -c1-12 ;;
        prometheus | promtool) echo "$prometheus" ;;
        jaeger) echo "$jaeger" ;;
        victoria_logs) echo "$victoria_logs" ;;
        *) echo "parts.sh: there is no part named $1" >&2; return 2 ;;
    esac
}

if [ $# -eq 0 ]; then
    set -- collector prometheus promtool victoria_logs jaeger
fi
mkdir -p "$dir/bin"
for part in "$@"; do
    home="$dir/$part-$(version "$part")"
    if [ ! -d "$home" ]; then
        if ! command -v go >/dev/null; then
            echo "parts.sh: Go is missing, which builds $part: https://go.dev/dl" >&2
            exit 1
        fi
        echo "building $part" >&2
        fresh="$(mktemp -d "$dir/$part.XXXXXX")"
        trap 'rm -rf "$fresh"' EXIT
        "build_$part" "$fresh" >&2
        # Renamed at the end, so that a build that was interrupted is not taken for a part.
        mv "$fresh" "$home"
        trap - EXIT
    fi
    ln -sf "$home"/* "$dir/bin/"
done
echo "$dir/bin"
