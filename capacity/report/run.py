"""Run reports: check, execute aside, render, move in whole, and say truly what became of each."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from capacity.errors import NotCoveredError
from capacity.report import shelf
from capacity.report.attempt import Limits, Task, attempt_page, render
from capacity.report.changes import compare
from capacity.report.index import write_index
from capacity.report.key import report_inputs
from capacity.report.lock import hold
from capacity.report.records import FAILED, Record, good_neighbours, read_record
from capacity.workspace import Workspace


@dataclass(frozen=True)
class ReportRun:
    """What became of one report run.

    Attributes
    ----------
    report, promotion, as_of
        Which report, of what, as known before which day.
    status
        ``ok``, ``failed``, ``timed_out`` or ``killed``.
    folder
        Where its page lies; a failed attempt is kept under ``failed/`` beside the last good page.
    verdict, error
        What a good run says first; what went wrong in another.
    duration_s
        Wall time.
    skipped
        Whether a page made from the same things was there already, and was left.
    changes
        What moved since the good run before, in words.
    verdict_before
        What that run said; None where there is none.
    """

    report: str
    promotion: str
    as_of: str
    status: str
    folder: Path
    verdict: str | None
    error: str | None
    duration_s: float
    skipped: bool = False
    changes: tuple[str, ...] = ()
    verdict_before: str | None = None

    def to_document(self) -> dict[str, object]:
        """Return the run as plain values for JSON."""
        return asdict(self) | {"folder": self.folder.as_posix()}


def run_reports(
    workspace: Workspace,
    names: Sequence[str],
    *,
    promotion: str,
    days: Sequence[date] = (),
    limits: Limits | None = None,
    jobs: int = 1,
    force: bool = False,
    fresh_within_days: int | None = None,
    parameters: Mapping[str, object] | None = None,
    on_done: Callable[[ReportRun], None] | None = None,
) -> tuple[ReportRun, ...]:
    """Execute reports of one promotion and refresh the index.

    Everything is checked before the first kernel starts. A run whose page was made from the same report, parameters,
    inputs and code is skipped. Each run is built aside and moved in whole, one at a time for one page; one that failed
    is kept as that, and leaves the last good page where it was.

    Parameters
    ----------
    names
        Of ``REPORTS``.
    promotion
        The promotion's id.
    days
        As known on which days; the workspace's ``as_of`` when left out.
    limits
        Time-outs and retries.
    jobs
        How many run at once, each in a process of its own.
    force
        Run even where the page would be the same.
    fresh_within_days
        How old the newest day of ``daily_activity`` may be on the day of the report.
    parameters
        Further parameters of the notebooks.

    Raises
    ------
    UsageError
        For an unknown report or parameter, before anything runs.
    NotCoveredError
        If the data are older than that.
    """
    subject = workspace.promotions[promotion]
    known = [Workspace(workspace.directory, as_of=day) for day in days] or [workspace]
    tasks = []
    for ws in known:
        _check_fresh(ws, fresh_within_days)
        given = {"workspace": ".", "promotion": subject.id, "as_of": ws.as_of_text, **(parameters or {})}
        inputs = report_inputs(ws, subject.slug)
        tasks += [
            Task(ws, name, subject.slug, shelf.check_parameters(name, given), inputs) for name in dict.fromkeys(names)
        ]

    def run(task: Task) -> ReportRun:
        done = _run_one(task, limits or Limits(), force=force)
        if on_done is not None:
            on_done(done)
        return done

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        runs = tuple(pool.map(run, tasks))
    write_index(workspace.reports_dir)
    return runs


def _check_fresh(ws: Workspace, within_days: int | None) -> None:
    """Refuse a report on data that end long before its day: it would look like news."""
    if within_days is None:
        return
    first_unknown, day = ws.store.first_unknown_day(), ws.as_of
    behind = None if first_unknown is None or day is None else (day - first_unknown).days
    if behind is None or behind > within_days:
        got = "there is none" if first_unknown is None else f"it ends on the day before {first_unknown.isoformat()}"
        raise NotCoveredError(
            f"daily_activity is not fresh as of {ws.as_of_text or 'now'}: {got}, and at most {within_days} days may be "
            "missing",
            remedy="ingest the newest days, or allow more with --fresh-within",
        )


def _run_one(task: Task, limits: Limits, *, force: bool) -> ReportRun:
    target = task.target
    with hold(target):
        there = read_record(target)
        if not force and there is not None and there.is_good and there.key == task.key:
            return _told(task, there.run, verdict=there.verdict, skipped=True)
        record = attempt_page(task, limits)
        for _ in range(limits.retries):
            if record["status"] != "killed":
                break
            record = attempt_page(task, limits)
        before, after = good_neighbours(target)
        if record["status"] != "ok":
            return _told(task, record, before=before)
        for neighbour in (before, after):
            if neighbour is not None:
                render(neighbour)  # its way to the page before or after it, and what changed since, are other ones now
        there = read_record(target)
        verdict = "" if there is None else there.verdict
        return _told(task, record, verdict=verdict, before=before, here=there)


def _told(
    task: Task,
    record: Mapping[str, Any],
    *,
    verdict: str | None = None,
    skipped: bool = False,
    before: Record | None = None,
    here: Record | None = None,
) -> ReportRun:
    moved = compare(before.metrics, here.metrics) if before is not None and here is not None else ()
    return ReportRun(
        report=task.report,
        promotion=str(task.parameters["promotion"]),
        as_of=str(task.parameters["as_of"]),
        status=str(record["status"]),
        folder=task.target if record["status"] == "ok" else task.target / FAILED,
        verdict=verdict,
        error=None if record["error"] is None else str(record["error"]),
        duration_s=0.0 if skipped else float(record["duration_s"]),
        skipped=skipped,
        changes=tuple(str(change) for change in moved),
        verdict_before=None if before is None else before.verdict,
    )
