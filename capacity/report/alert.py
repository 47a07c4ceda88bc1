"""Tell somebody that a report failed, is absent, or says something else than before."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from capacity.report.run import ReportRun
from capacity.report.schedule import Alert, Due

SCHEMA = "capacity.alert/1"
_TIMEOUT_S = 30


def find_alerts(
    runs: Iterable[ReportRun], absent: Iterable[tuple[Due, str]], *, rules: Alert, link: str
) -> Iterator[dict[str, Any]]:
    """Yield what is worth telling: ``schema, reason, report, promotion, as_of, says, said_before, changes, link``.

    Parameters
    ----------
    runs
        That were made now; those skipped say nothing new.
    absent
        Due pages that are not there all the same, each with why.
    rules
        Which reasons count.
    link
        Where the pages lie.
    """
    for run in runs:
        if run.status != "ok" and "failed" in rules.on:
            yield _alert("failed", run, link) | {"says": f"{run.status.replace('_', ' ')}: {run.error}"}
        elif run.verdict_before not in {None, run.verdict} and not run.skipped and "changed" in rules.on:
            yield _alert("changed", run, link)
    for due, why in absent if "absent" in rules.on else ():
        yield {
            "schema": SCHEMA,
            "reason": "absent",
            "report": due.report,
            "promotion": due.promotion,
            "as_of": due.as_of.isoformat(),
            "says": why,
            "said_before": None,
            "changes": [],
            "link": link,
        }


def _alert(reason: str, run: ReportRun, link: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "reason": reason,
        "report": run.report,
        "promotion": run.promotion,
        "as_of": run.as_of,
        "says": run.verdict,
        "said_before": run.verdict_before,
        "changes": list(run.changes),
        "link": f"{link}/{run.report}/{run.folder.parent.name}/{run.as_of}/index.html" if run.status == "ok" else link,
    }


def send(alert: dict[str, Any], *, rules: Alert, cwd: Path) -> list[str]:
    """Send an alert on every way that is given; return what went wrong, for a report is not undone by it."""
    text = json.dumps(alert, ensure_ascii=False)
    return [told for told in (_run(rules.command, text, cwd), _post(rules.webhook, text)) if told]


def _run(command: tuple[str, ...], text: str, cwd: Path) -> str:
    if not command:
        return ""
    try:
        # The command is the workspace's own; what is told goes to its standard input, never into its arguments.
        done = subprocess.run(
            command, input=text, text=True, capture_output=True, timeout=_TIMEOUT_S, cwd=cwd, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the alert command {command[0]!r} did not work: {error}"
    return (
        f"the alert command {command[0]!r} ended with {done.returncode}: {done.stderr[-200:]}"
        if done.returncode
        else ""
    )


def _post(address: str | None, text: str) -> str:
    if address is None:
        return ""
    request = urllib.request.Request(  # noqa: S310 - the contract allows http and https alone
        address, data=text.encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - as above
            return ""
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"the webhook did not take the alert: {error}"
