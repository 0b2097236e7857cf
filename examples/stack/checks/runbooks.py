"""Writes the runbooks of docs/stack.md from the alerts, so that they are written once.

    runbooks.py          writes them
    runbooks.py --check  fails if they differ
"""

import pathlib
import re
import sys

import yaml

STACK = pathlib.Path(__file__).resolve().parent.parent
PAGE = STACK.parent.parent / "docs" / "stack.md"
BEGIN = "<!-- runbooks: written by examples/stack/checks/runbooks.py -->\n"
END = "<!-- end of runbooks -->\n"


def runbook(rule):
    severity = {"page": "pages", "ticket": "opens a ticket"}.get(rule["labels"]["severity"], "always fires")
    lasting = f", for {rule['for']}" if "for" in rule else ""
    expression = rule["expr"].strip()
    return (
        f"### {rule['alert']}\n\n"
        f"It {severity}. Its condition{lasting}:\n\n"
        f"```promql\n{expression}\n```\n\n"
        f"{rule['annotations']['runbook'].strip()}\n"
    )


def main():
    groups = yaml.safe_load((STACK / "rules" / "alerts.yml").read_text())["groups"]
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    text = "\n".join(map(runbook, alerts.values()))
    page = PAGE.read_text()
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    fresh = re.sub(pattern, lambda _: BEGIN + "\n" + text + "\n" + END, page, flags=re.DOTALL)
    if "--check" not in sys.argv:
        PAGE.write_text(fresh)
    elif fresh != page or BEGIN not in page:
        sys.exit("docs/stack.md differs from rules/alerts.yml: run examples/stack/checks/runbooks.py")


main()
