"""Which reports are due when: the workspace's ``reports.yaml``, and what it means for each promotion."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from capacity.document import read_yaml
from capacity.document.contract import Contract, Count, Fault, Name, PositiveCount, Text
from capacity.errors import did_you_mean
from capacity.report.shelf import REPORTS

if TYPE_CHECKING:
    from capacity.promotion import Promotion
    from capacity.workspace import Workspace

FILE = "reports.yaml"
Reason = Literal["failed", "absent", "changed"]


class Rule(Contract):
    """When one report is made.

    Parameters
    ----------
    report
        Its name.
    before_days
        From so many days before the promotion's start until the day of its start; not given: never before it.
    every_days
        In that time, every so many days, counted back from the start.
    daily_before_days
        Every day in the last so many days.
    after_days
        So many days after the promotion's last day.
    """

    report: Name
    before_days: PositiveCount | None = None
    every_days: PositiveCount = 7
    daily_before_days: Count = 0
    after_days: tuple[PositiveCount, ...] = ()

    def faults(self) -> Iterator[Fault]:
        """Yield an unknown report, and a rule that never applies."""
        if self.report not in REPORTS:
            expected = f"one of {', '.join(REPORTS)}"
            yield Fault(("report",), repr(self.report), expected, did_you_mean(self.report, REPORTS))
        if self.before_days is None and not self.after_days:
            yield Fault(("before_days",), "nothing", "before_days or after_days, or the report is never due")

    def days(self, promotion: "Promotion") -> list[date]:
        """Return the days on which it is due, as each report's ``as_of``."""
        start, end = promotion.dates[0], promotion.dates[-1]
        found = {end + timedelta(days=after) for after in self.after_days}
        for before in range((self.before_days or -1) + 1):
            if before % self.every_days == 0 or before <= self.daily_before_days:
                found.add(start - timedelta(days=before))
        return sorted(found)


class Alert(Contract):
    """Whom to tell.

    Parameters
    ----------
    command
        Program and arguments; it gets the alert as one JSON object on standard input.
    webhook
        Address to which the same object is posted.
    on
        Reasons: a report failed, a due one is absent, its verdict changed.
    """

    command: tuple[Text, ...] = ()
    webhook: Text | None = Field(default=None, pattern=r"^https?://\S+$")
    on: tuple[Reason, ...] = ("failed", "absent", "changed")


class Schedule(Contract):
    """The file ``reports.yaml``.

    Parameters
    ----------
    at
        Time of day at which due reports are made, in the workspace's zone.
    fresh_within_days
        Days that ``daily_activity`` may lag behind a report's day; when not given, two.
    reports
        Rules; several may name one report.
    alert
        Whom to tell of what.
    """

    at: Text = Field(default="06:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    fresh_within_days: Count = 2
    reports: tuple[Rule, ...] = (
        Rule(report="forecast", before_days=90, every_days=7, daily_before_days=14),
        Rule(report="plan", before_days=90, every_days=7, daily_before_days=14),
        Rule(report="readiness", before_days=90, every_days=7, daily_before_days=14),
        Rule(report="decision", before_days=90, every_days=7, daily_before_days=14),
        Rule(report="retrospective", after_days=(1, 7)),
    )
    alert: Alert = Alert()


@dataclass(frozen=True)
class Due:
    """One page that should be there.

    Attributes
    ----------
    report, promotion
        Which.
    as_of
        As known on which day.
    """

    report: str
    promotion: str
    as_of: date


def read_schedule(directory: Path) -> Schedule:
    """Read a workspace's ``reports.yaml``; without one the default holds.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    path = directory / FILE
    if not path.is_file():
        return Schedule()
    found: Schedule = read_yaml(path, model=Schedule, name=FILE)
    return found


def find_due(schedule: Schedule, promotions: "Iterable[Promotion]", *, today: date, since: date) -> tuple[Due, ...]:
    """List what was due from `since` until today, the oldest first.

    Examples
    --------
    >>> from capacity.promotion import Promotion
    >>> eve = Promotion(id="p", kind="k", starts_at="2026-11-10T20:00+08:00", ends_at="2026-11-12T00:00+08:00")
    >>> found = find_due(Schedule(), [eve], today=date(2026, 11, 12), since=date(2026, 11, 10))
    >>> [(due.report, due.as_of.day) for due in found]
    [('decision', 10), ('forecast', 10), ('plan', 10), ('readiness', 10), ('retrospective', 12)]
    """
    listed = list(promotions)
    found = {
        Due(rule.report, promotion.id, day)
        for rule in schedule.reports
        for promotion in listed
        for day in rule.days(promotion)
        if since <= day <= today
    }
    order = {name: place for place, name in enumerate(REPORTS)}
    return tuple(sorted(found, key=lambda due: (due.as_of, due.promotion, order[due.report])))


def find_absent(workspace: "Workspace", due: Iterable[Due]) -> tuple[Due, ...]:
    """Return those of which no good page is on file."""
    from capacity.report.records import list_records

    there = {(r.report, r.promotion, r.as_of) for r in list_records(workspace.reports_dir) if r.is_good}
    return tuple(d for d in due if (d.report, d.promotion, d.as_of.isoformat()) not in there)
