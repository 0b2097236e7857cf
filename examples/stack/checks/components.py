"""Finds components of the Collector that start with a warning or lose data: components.py FILE...

`otelcol validate` accepts deprecated names. The image has more components than the Collector of the tests, so
files that only the image can start are checked here, too.
"""

import pathlib
import sys

import yaml

RENAMED = {
    "connectors": {"spanmetrics": "span_metrics"},
    "exporters": {
        "loadbalancing": "load_balancing",
        "otlp": "otlp_grpc",
        "otlphttp": "otlp_http",
        "prometheusremotewrite": "prometheus_remote_write",
    },
    "receivers": {"filelog": "file_log"},
}
BATCH = "the processor `batch` holds data in memory in front of the queue on disk; use sending_queue.batch"


def main(*paths):
    errors = []
    for path in paths:
        config = yaml.safe_load(pathlib.Path(path).read_text())
        for section, names in RENAMED.items():
            for name in config.get(section) or {}:
                kind = name.partition("/")[0]
                if kind in names:
                    errors.append(f"{path}: {section}: {kind} is deprecated, its name is {names[kind]}")
        if any(name.partition("/")[0] == "batch" for name in config.get("processors") or {}):
            errors.append(f"{path}: {BATCH}")
    sys.exit("\n".join(errors) or None)


if __name__ == "__main__":
    main(*sys.argv[1:])
