"""Checks that each data source that Grafana is asked for exists: data_sources.py DASHBOARDS FILE...

Each file provisions the data sources of one variant of the stack. All variants have the same dashboards.
"""

import json
import pathlib
import sys

import yaml


def main(dashboards, *files):
    wanted = {}
    for path in pathlib.Path(dashboards).glob("*.json"):
        for uid in references(json.loads(path.read_text())):
            wanted.setdefault(uid, path.name)
    errors = []
    for file in files:
        config = yaml.safe_load(pathlib.Path(file).read_text())
        uids = {source["uid"] for source in config["datasources"]}
        named = {uid: file for uid in references(config)} | wanted
        errors += [f"{place}: {file} has no data source {uid}" for uid, place in named.items() if uid not in uids]
    if not wanted:
        errors.append(f"{dashboards} asks for no data source")
    sys.exit("\n".join(errors) or None)


def references(part):
    """Yields the uids of data sources that a part of a document names. Variables and Grafana's own are left out."""
    if isinstance(part, dict):
        source = part.get("datasource")
        uid = part.get("datasourceUid") or (source.get("uid") if isinstance(source, dict) else None)
        if uid and uid[0] not in "$-":
            yield uid
    if isinstance(part, (dict, list)):
        for item in part.values() if isinstance(part, dict) else part:
            yield from references(item)


if __name__ == "__main__":
    main(*sys.argv[1:])
