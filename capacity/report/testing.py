"""The load tests ahead, as a section of a page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capacity.errors import NotCoveredError
from capacity.report.narrate import Sentences, Table, sentences, show_each

if TYPE_CHECKING:
    from capacity.staircase import LoadTestPlan
    from capacity.workspace import Workspace

_COLUMNS = [
    "order", "service", "starts_at", "minutes", "target_qps", "holds_qps", "top_qps", "instances",
    "tightest_downstream",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class LoadTestsAhead:
    """Calendar, table, what to mind and the staircases of a plan of load tests."""

    planned: "LoadTestPlan"

    def __repr__(self) -> str:
        return repr(self.planned)

    @property
    def minded(self) -> Sentences:
        """What may go wrong around each test."""
        return sentences(f"{test.service}: {line}" for test in self.planned for line in test.warnings)

    def _repr_html_(self) -> str:
        planned = self.planned
        stairs = show_each(planned.plot(test.service) for test in planned)
        table = Table(planned.to_frame()[_COLUMNS], planned.units)
        return "".join(part._repr_html_() for part in (planned.plot(), table, self.minded, stairs))


def load_tests_ahead(ws: "Workspace", promotion: str) -> LoadTestsAhead | Sentences:
    """Return the load tests to run before a promotion, or why none can be planned: it may be over.

    Parameters
    ----------
    ws
        The company's folder.
    promotion
        Its id.
    """
    from capacity.questions import next_load_tests

    try:
        return LoadTestsAhead(next_load_tests(ws, promotion))
    except NotCoveredError as error:
        return sentences([f"No load test can be planned before {promotion}: {error.message}"])
