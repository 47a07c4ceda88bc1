"""All load tests before a promotion, as one plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from capacity.errors import UsageError, did_you_mean
from capacity.result import Result
from capacity.staircase.around import Downstream, Told
from capacity.staircase.quiet import Window
from capacity.staircase.staircase import Staircase

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart


@dataclass(frozen=True)
class PlannedTest:
    """One service's test: what, when, after which, who is told, and what to mind.

    Attributes
    ----------
    order
        Its place, from 1 on.
    level
        0 calls nobody that is tested; every other stands above all that it calls.
    staircase
        Steps and stop rules.
    window
        When it may run; None where nothing is free before the promotion.
    downstream
        What its last step asks of others.
    told
        Who must know.
    warnings
        What may go wrong, and what to do about it.
    next_step
        What the evidence so far asks for.
    """

    order: int
    level: int
    staircase: Staircase
    window: Window | None
    downstream: tuple[Downstream, ...]
    told: tuple[Told, ...]
    warnings: tuple[str, ...]
    next_step: str = ""

    @property
    def service(self) -> str:
        """Its name."""
        return self.staircase.service

    @property
    def ceilings(self) -> tuple[Downstream, ...]:
        """Downstreams with a stated limit that no instance raises: the test must not pass it."""
        return tuple(one for one in self.downstream if one.is_hard)


@dataclass(frozen=True)
class LoadTestPlan(Result):
    """The load tests to run before a promotion, in order.

    Attributes
    ----------
    promotion
        Its id.
    as_of
        The first day that was not known.
    timezone
        Of all windows.
    tests
        In order: what is called before what calls it.
    left_out
        Services without a test, and why.
    why
        By service, the numbers behind its test.
    assumptions
        Stated rules that were used.
    mocked
        Downstreams that the tests replace.
    """

    promotion: str
    as_of: date | None
    timezone: str
    tests: tuple[PlannedTest, ...]
    left_out: Mapping[str, str]
    why: Mapping[str, tuple[str, ...]]
    assumptions: tuple[str, ...]
    mocked: tuple[str, ...] = ()

    units: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("target_qps", "holds_qps", "ends_qps", "top_qps"), "requests/s"),
        "minutes": "min",
    }

    def __getitem__(self, service: str) -> PlannedTest:
        for test in self.tests:
            if test.service == service:
                return test
        because = self.left_out.get(service)
        names = [test.service for test in self.tests]
        remedy = because or did_you_mean(service, names) or "planned are " + ", ".join(names[:5])
        raise UsageError(f"no load test of {service!r} is planned", remedy=remedy)

    def __iter__(self) -> Iterator[PlannedTest]:
        return iter(self.tests)

    def __len__(self) -> int:
        return len(self.tests)

    def summary(self) -> str:
        """Say the plan in one line."""
        hours = sum(test.staircase.duration_s for test in self.tests) / 3600
        homeless = sum(test.window is None for test in self.tests)
        late = f"; {homeless} find no window before it" if homeless else ""
        nights = len({test.window.starts_at.date() for test in self.tests if test.window is not None})
        return f"{len(self.tests)} load tests before {self.promotion}: {hours:.1f} hours of load on {nights} days{late}"

    def to_frame(self) -> pd.DataFrame:
        """One row a test, in order.

        `holds_qps` and `ends_qps` are what is known of the instances under test before it: 5 % and 95 % quantile.
        """
        import pandas as pd

        columns = [
            "order", "service", "target_qps", "holds_qps", "ends_qps", "top_qps", "instances", "steps", "minutes",
            "starts_at", "ends_at", "business", "tightest_downstream", "told", "warnings",
        ]  # fmt: skip
        return pd.DataFrame([_row(test) for test in self.tests], columns=columns)

    def plot(self, service: str | None = None) -> Chart:
        """Draw when each test runs; or, for one service, its steps."""
        from capacity.staircase.figure import draw_calendar, draw_staircase

        return draw_calendar(self) if service is None else draw_staircase(self[service].staircase)


def _row(test: PlannedTest) -> dict[str, Any]:
    import pandas as pd

    stairs, window = test.staircase, test.window
    tight = next((one for one in test.downstream if one.known_qps), None)
    use = "" if tight is None or not tight.known_qps else f"{tight.service} {tight.total_qps / tight.known_qps:.0%}"
    return {
        "order": test.order,
        "service": test.service,
        "target_qps": stairs.target_qps,
        "holds_qps": stairs.known.low,
        "ends_qps": stairs.known.high,
        "top_qps": stairs.offered_qps[-1],
        "instances": stairs.instances,
        "steps": len(stairs.offered_qps),
        "minutes": stairs.duration_s / 60,
        "starts_at": pd.NaT if window is None else window.starts_at,
        "ends_at": pd.NaT if window is None else window.ends_at,
        "business": None if window is None else window.business,
        "tightest_downstream": use,
        "told": ", ".join(told.who for told in test.told),
        "warnings": len(test.warnings),
    }
