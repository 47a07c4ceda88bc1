"""Make every page that is due and not there, and tell whoever is to be told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from capacity.errors import NotCoveredError
from capacity.report.alert import find_alerts, send
from capacity.report.attempt import Limits
from capacity.report.run import ReportRun, run_reports
from capacity.report.schedule import Due, find_absent, find_due, read_schedule
from capacity.workspace import Workspace


@dataclass(frozen=True)
class DueRuns:
    """What was due, what was made of it, and what is missing all the same.

    Attributes
    ----------
    runs
        Of this call.
    absent
        Due pages that are not there, each with why.
    alerts
        What was told, as it was sent.
    problems
        Why an alert could not be sent.
    """

    runs: tuple[ReportRun, ...]
    absent: tuple[tuple[Due, str], ...]
    alerts: tuple[dict[str, object], ...]
    problems: tuple[str, ...]


def run_due(
    workspace: Workspace,
    *,
    today: date,
    back_days: int = 7,
    every: bool = False,
    jobs: int = 1,
    limits: Limits | None = None,
    on_done: Callable[[ReportRun], None] | None = None,
) -> DueRuns:
    """Make the pages that are due by ``reports.yaml``; running it again makes nothing twice.

    Parameters
    ----------
    workspace
        The company's folder.
    today
        Pages due on later days wait.
    back_days
        How far back a missed page is caught up.
    every
        Make every missed page; when not, of each report and promotion the newest alone, for it says what the older
        ones would, and more.
    jobs, limits, on_done
        As for `run_reports`.
    """
    schedule = read_schedule(workspace.directory)
    due = find_due(schedule, workspace.promotions.values(), today=today, since=today - timedelta(days=back_days))
    wanted = sorted(find_absent(workspace, due if every else _newest(due)), key=lambda d: (d.as_of, d.promotion))
    runs: list[ReportRun] = []
    absent: list[tuple[Due, str]] = []
    for (promotion, day), group in groupby(wanted, key=lambda d: (d.promotion, d.as_of)):
        asked = list(group)
        try:
            runs += run_reports(
                Workspace(workspace.directory, as_of=day),
                [d.report for d in asked],
                promotion=promotion,
                limits=limits,
                jobs=jobs,
                fresh_within_days=schedule.fresh_within_days,
                on_done=on_done,
            )
        except NotCoveredError as error:
            absent += [(d, error.message) for d in asked]
    link = workspace.reports_dir.resolve().as_uri()
    alerts = tuple(find_alerts(runs, absent, rules=schedule.alert, link=link))
    problems = [told for alert in alerts for told in send(alert, rules=schedule.alert, cwd=workspace.directory)]
    return DueRuns(tuple(runs), tuple(absent), alerts, tuple(problems))


def _newest(due: Sequence[Due]) -> list[Due]:
    newest = {(d.report, d.promotion): d for d in due}  # the oldest come first
    return list(newest.values())
