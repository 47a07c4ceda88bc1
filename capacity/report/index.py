"""The list of all report runs, as one page that filters without a network."""

import json
from pathlib import Path

from capacity.document import write_text
from capacity.report.page import environment
from capacity.report.shelf import REPORTS


def write_index(reports: Path) -> Path:
    """Write ``index.html`` over every run below a reports folder and return its path.

    A failed attempt is listed as what it is, beside the last good page of the same report and day.
    """
    rows = [_row(path, reports) for path in reports.glob("*/*/*/run.json")]
    rows += [_row(path, reports) for path in reports.glob("*/*/*/failed/run.json")]
    rows.sort(key=lambda row: (row["as_of"], row["started_at"]), reverse=True)
    page = environment().get_template("index.html").render(rows=rows, title="Reports")
    target = reports / "index.html"
    write_text(target, page)
    return target


def _row(path: Path, reports: Path) -> dict[str, str]:
    run = json.loads(path.read_text(encoding="utf-8"))
    metrics = path.with_name("metrics.json")
    verdict = json.loads(metrics.read_text(encoding="utf-8"))["verdict"] if metrics.is_file() else run["error"]
    good = run["status"] == "ok"
    return {
        "title": REPORTS.get(run["report"], run["report"]),
        "report": run["report"],
        "promotion": run["promotion"],
        "as_of": run["as_of"],
        "status": run["status"],
        "started_at": run["started_at"],
        "says": (verdict or "").partition("\n")[0],
        "href": (path.with_name("index.html") if good else path).relative_to(reports).as_posix(),
    }
