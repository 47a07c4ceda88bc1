"""The list of all report runs, as one page that filters without a network."""

from pathlib import Path

from capacity.document import write_text
from capacity.report.page import environment
from capacity.report.records import Record, list_records
from capacity.report.shelf import REPORTS


def write_index(reports: Path) -> Path:
    """Write ``index.html`` over every run below a reports folder and return its path.

    A failed attempt is listed as what it is, beside the last good page of the same report and day.
    """
    rows = [_row(record, reports) for record in list_records(reports)]
    page = environment().get_template("index.html").render(rows=rows, title="Reports")
    target = reports / "index.html"
    write_text(target, page)
    return target


def _row(record: Record, reports: Path) -> dict[str, str]:
    return {
        "title": REPORTS.get(record.report, record.report),
        "report": record.report,
        "promotion": record.promotion,
        "as_of": record.as_of,
        "status": str(record.run["status"]),
        "says": record.verdict.partition("\n")[0],
        "href": (record.folder / ("index.html" if record.is_good else "run.json")).relative_to(reports).as_posix(),
    }
