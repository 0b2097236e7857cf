"""Checks what `docker compose config` doesn't look at: images.py STACK < the output of `config --format json`.

- Each image has a version, and the same one in the manifests of Kubernetes.
- Parts that the tests build (parts.sh) have the version of the tests.
- Each file and directory that is mounted exists. Docker would create an empty directory in its place.
- Each port is published on loopback alone.
"""

import json
import pathlib
import re
import sys


def main(stack):
    stack = pathlib.Path(stack)
    services = json.load(sys.stdin)["services"]
    tested = tested_versions(stack)
    manifests = "".join(path.read_text() for path in (stack / "kubernetes").glob("*.yaml"))
    errors = []
    for name, service in services.items():
        if "build" not in service:
            image, _, version = service["image"].partition(":")
            if not re.match(r"v?\d+\.\d+", version):
                errors.append(f"{name}: the image {service['image']} has no version")
            if image in tested and version != tested[image]:
                errors.append(f"{name}: {image}:{version}, but the tests run {tested[image]}")
            for other in re.findall(rf"image: {re.escape(image)}:(\S+)", manifests):
                if other != version:
                    errors.append(f"{name}: {image}:{version}, but {other} in kubernetes/")
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and not pathlib.Path(volume["source"]).exists():
                errors.append(f"{name}: {volume['source']} doesn't exist")
        for port in service.get("ports", []):
            if port.get("host_ip") != "127.0.0.1":
                errors.append(f"{name}: port {port['target']} is not on loopback alone")
    sys.exit("\n".join(errors) or None)


def tested_versions(stack):
    """Returns the version of each image whose program parts.sh builds."""
    parts = dict(re.findall(r"^(\w+)=v(\S+)", (stack / "parts.sh").read_text(), re.MULTILINE))
    module = (stack / "collector" / "go.mod").read_text()
    collector = re.search(r"go.opentelemetry.io/collector/otelcol v(\S+)", module)[1]
    # Modules of Go and releases are numbered apart: v0.316.0 is Prometheus 3.16.0, v1.76.0 is Jaeger 2.13.0.
    prometheus = re.sub(r"^0\.(\d)(\d\d)", lambda m: f"{m[1]}.{int(m[2])}", parts["prometheus"])
    jaeger = re.sub(r"^1\.(\d+)", lambda m: f"2.{int(m[1]) - 63}", parts["jaeger"])
    return {
        "otel/opentelemetry-collector-contrib": collector,
        "prom/prometheus": f"v{prometheus}",
        "jaegertracing/jaeger": jaeger,
        "victoriametrics/victoria-logs": f"v{parts['victoria_logs']}",
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
