"""The folder of a company: settings, words, tables, plans, journal and lessons, as known before one day."""

import hashlib
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from capacity.catalog import Catalog, parse_services
from capacity.document import read_text, write_text
from capacity.errors import InputError
from capacity.lessons import Lessons, parse_lessons
from capacity.promotion import Promotions, parse_promotions
from capacity.settings import Risk, Settings, parse_settings
from capacity.workspace.keeping import Keeps
from capacity.workspace.plans import PlanShelf
from capacity.workspace.taking_in import TakesIn, read_day
from capacity.workspace.template import (
    LESSONS_FILE,
    OPERATIONS_FILE,
    PROMOTIONS_FILE,
    SERVICES_FILE,
    SETTINGS_FILE,
)

if TYPE_CHECKING:
    import pandas as pd

    from capacity.history import DailyActivity, Store, Traffic
    from capacity.journal import Journal
    from capacity.loadtest import LoadTests
    from capacity.operations import Operations
    from capacity.plan import Plan
    from capacity.rehearsal import Rehearsal


class Workspace(TakesIn, Keeps):
    """A company's folder, as it was known before ``as_of``.

    Parameters
    ----------
    directory
        The folder that holds ``capacity.toml``; ``.`` also finds it from a folder inside, as from ``notebooks/``.
    as_of
        The first day that is not known: rows, load tests, journal lines, plans and signed estimates of
        that day or later are invisible through everything this object returns. Without one, the day
        after the last day of ``daily_activity``.

    Raises
    ------
    InputError
        If the folder is no workspace, or when a file that is read breaks its contract.

    Examples
    --------
    >>> Workspace("nowhere")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    capacity.errors.InputError: nowhere is not a workspace
    """

    def __init__(self, directory: str | Path = ".", *, as_of: date | str | None = None) -> None:
        self.directory = _find_root(Path(directory))
        if not (self.directory / SETTINGS_FILE).is_file():
            raise InputError(
                f"{self.directory} is not a workspace: it holds no {SETTINGS_FILE}",
                remedy=f"make one with: capacity init {self.directory} (add --sample to see one filled)",
            )
        self._as_of = read_day(as_of)

    def __repr__(self) -> str:
        return f"Workspace({str(self.directory)!r}, as_of={self.as_of_text or None!r})"

    # ------------------------------------------------------------------ words

    @cached_property
    def settings(self) -> Settings:
        """Time zone, currency, country, engine and risk."""
        return parse_settings(self._read(SETTINGS_FILE), where=SETTINGS_FILE)

    @property
    def risk(self) -> Risk:
        """The risk a plan may take."""
        return self.settings.risk

    @cached_property
    def promotions(self) -> Promotions:
        """Every past and coming promotion, with what was not yet known at ``as_of`` hidden."""
        text = self._read(PROMOTIONS_FILE)
        every = parse_promotions(text, timezone=self.settings.timezone, where=PROMOTIONS_FILE)
        return every if self.as_of is None else every.as_of(self.as_of)

    @cached_property
    def services(self) -> Catalog:
        """The service catalogue and its call graph; calls from the ``calls`` table where the file gives none."""
        catalog = parse_services(self._read(SERVICES_FILE), where=SERVICES_FILE)
        calls = self.calls()
        return catalog if calls.empty else catalog.with_calls(calls)

    @cached_property
    def lessons(self) -> Lessons:
        """What earlier reviews taught before ``as_of``; empty when there is no file."""
        if not (self.directory / LESSONS_FILE).is_file():
            return Lessons(())
        lessons = parse_lessons(self._read(LESSONS_FILE), where=LESSONS_FILE)
        return lessons if self.as_of is None else lessons.before(self.as_of)

    @cached_property
    def operations(self) -> "Operations":
        """Change rules, roster, meetings, escalation and drills; empty when there is no file."""
        from capacity.operations import Operations, find_unknown, parse_operations

        if not (self.directory / OPERATIONS_FILE).is_file():
            return Operations()
        text = self._read(OPERATIONS_FILE)
        found = parse_operations(text, timezone=self.settings.timezone, where=OPERATIONS_FILE)
        problems = find_unknown(found, text, services=self.services, where=OPERATIONS_FILE)
        if problems:
            raise InputError(f"{OPERATIONS_FILE} names services that are none", problems=problems)
        return found

    # --------------------------------------------------------------- evidence

    @cached_property
    def as_of(self) -> date | None:
        """The first day that is not known; ``None`` while there is no daily activity."""
        if self._as_of is not None:
            return self._as_of
        return self.store.first_unknown_day()

    @property
    def given_as_of(self) -> date | None:
        """The ``as_of`` that was asked for; ``None`` where it follows from the data."""
        return self._as_of

    @property
    def as_of_text(self) -> str:
        """``as_of`` in ISO form; empty while there is none."""
        return "" if self.as_of is None else self.as_of.isoformat()

    @cached_property
    def store(self) -> "Store":
        """The Parquet tables below ``data/tables``."""
        from capacity.history import Store

        return Store(self.directory, timezone=self.settings.timezone, engine=self.settings.engine)

    def daily_activity(self) -> "DailyActivity":
        """Return DAU and DAT by day and segment, and with them what limits turned away (read when first asked)."""
        from capacity.history import order_requests

        known = self.store.daily_activity(as_of=self.as_of, country=self.settings.country)
        return known.with_order_requests(lambda: order_requests(self.traffic(), self.services))

    def traffic(self) -> "Traffic":
        """Return requests by service and interval; lazy, its methods return bounded frames."""
        return self.store.traffic(as_of=self.as_of)

    def calls(self) -> "pd.DataFrame":
        """Return who called whom how often; empty when nothing was ingested."""
        return self.store.calls(as_of=self.as_of)

    def sql(self, query: str) -> "pd.DataFrame":
        """Answer one question in SQL on ``daily_activity``, ``traffic`` and ``calls``, as known before ``as_of``.

        Raises
        ------
        UsageError
            If it is not one statement that reads.
        InputError
            If the engine refuses it.
        """
        return self.store.sql(query, self.as_of)

    def load_tests(self) -> "LoadTests":
        """Return the load tests below ``data/loadtests`` that had started before ``as_of``."""
        from capacity.loadtest import read_load_tests

        return read_load_tests(
            self.directory / "data" / "loadtests",
            timezone=self.settings.timezone,
            as_of=self.as_of,
            services=self.services,
        )

    def journal(self, promotion: str) -> "Journal":
        """Return the log kept during a promotion, corrections applied.

        Only a day that was asked for hides lines: the evening's log runs ahead of ``daily_activity``.
        """
        from capacity.journal import read_journal

        return read_journal(self.journal_path(promotion), timezone=self.settings.timezone, as_of=self._as_of)

    def journal_path(self, promotion: str) -> Path:
        """Return where a promotion's journal lies."""
        return self.directory / "data" / "journal" / f"{self.promotions[promotion].slug}.jsonl"

    def inputs(self) -> list[dict[str, object]]:
        """Return what everything rests on: ``path`` relative to the workspace, ``sha256`` and ``rows``."""
        data = self.directory / "data"
        files = [self.directory / SETTINGS_FILE, *sorted(data.glob("*.yaml")), *sorted((data / "loadtests").rglob("*"))]
        found: list[dict[str, object]] = [
            {
                "path": path.relative_to(self.directory).as_posix(),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "rows": None,
            }
            for path in files
            if path.is_file()
        ]
        return found + list(self.store.inputs())

    @property
    def reports_dir(self) -> Path:
        """Where generated pages go."""
        return self.directory / "reports"

    # ------------------------------------------------------------------ plans

    def plan(self, promotion: str) -> "Plan":
        """Return the approved plan of a promotion, else the newest, with the samples it was made from.

        Plans made on or after ``as_of`` are invisible.

        Raises
        ------
        NotCoveredError
            If no plan of the promotion is there.
        InputError
            If the plan was changed after it was written, or its samples are missing or broken.
        """
        subject = self.promotions[promotion]
        return self._shelf(promotion).read(promotion=subject, services=self.services.for_promotion(subject))

    def approval(self, promotion: str) -> str | None:
        """Return who approved the plan that :meth:`plan` returns, or ``None`` when nobody did."""
        return self._shelf(promotion).approved_by()

    def save(self, plan: "Plan", rehearsal: "Rehearsal | None" = None, *, approved_by: str | None = None) -> "Plan":
        """Write a plan, its samples and its rehearsal below ``data/plans``; return it as written, inputs named.

        Parameters
        ----------
        plan
            What to write.
        rehearsal
            Its rehearsal, written beside it.
        approved_by
            Who signs it; exports, tracking and review then use this plan until another is signed.
        """
        plan = plan.with_inputs(self.inputs())
        self._shelf(plan.promotion_id).save(plan, rehearsal, approved_by=approved_by)
        return plan

    def learn(self, lessons: Lessons) -> Path:
        """Add a review's lessons to ``data/lessons.yaml``; those of the same promotion are replaced."""
        path = self.directory / LESSONS_FILE
        known = parse_lessons(self._read(LESSONS_FILE), where=LESSONS_FILE) if path.is_file() else Lessons(())
        reviewed = {lesson.promotion for lesson in lessons}
        kept = [lesson for lesson in known if lesson.promotion not in reviewed]
        write_text(path, Lessons((*kept, *lessons)).to_yaml())
        self.__dict__.pop("lessons", None)
        return path

    def _shelf(self, promotion: str) -> PlanShelf:
        return PlanShelf(self.directory, self.promotions[promotion].slug, until=self._as_of)

    def _read(self, name: str) -> str:
        return read_text(self.directory / name, name=name)


def _find_root(directory: Path) -> Path:
    if directory != Path() or (directory / SETTINGS_FILE).is_file():
        return directory
    inside_of = [folder for folder in directory.resolve().parents if (folder / SETTINGS_FILE).is_file()]
    return inside_of[0] if inside_of else directory
