"""Pieces of a report's page that are not results of their own: sentences, short tables, runs of figures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capacity.display import escape, to_html, to_text

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart
    from capacity.loadtest import LoadTests
    from capacity.plan import Plan

MOST_ROWS = 10


@dataclass(frozen=True)
class Sentences:
    """Sentences as a list."""

    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(f"- {line}" for line in self.lines)

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(line)}</li>" for line in self.lines)
        return f"<ul>{items}</ul>" if items else "<p>Nothing.</p>"


@dataclass(frozen=True, eq=False)
class Table:
    """A frame as the reports' house style shows it."""

    frame: "pd.DataFrame"
    units: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return to_text(self.frame, units=dict(self.units))

    def _repr_html_(self) -> str:
        return to_html(self.frame, units=dict(self.units)) if len(self.frame) else "<p>Nothing.</p>"


@dataclass(frozen=True)
class Charts:
    """Figures one below the other."""

    charts: "tuple[Chart, ...]"

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.charts))

    def _repr_html_(self) -> str:
        return "".join(chart._repr_html_() for chart in self.charts)


def sentences(*groups: Iterable[str]) -> Sentences:
    """Return sentences to show as a list, each once.

    Examples
    --------
    >>> sentences(["a", "b"], ["a"])
    - a
    - b
    """
    return Sentences(tuple(dict.fromkeys(line for group in groups for line in group)))


def table(frame: "pd.DataFrame", *, units: Mapping[str, str] | None = None, most: int = MOST_ROWS) -> Table:
    """Return the first rows of a frame in house style."""
    return Table(frame.head(most), dict(units or {}))


def show_each(charts: "Iterable[Chart]") -> Charts:
    """Return figures to show one below the other."""
    return Charts(tuple(charts))


def gate_exceptions(tests: "LoadTests") -> Table:
    """Return the gates of load tests that are not passed, and what to do about each."""
    import pandas as pd

    rows = [
        {"run": test.run, "gate": gate.name, "verdict": gate.verdict, "says": gate.says, "remedy": gate.remedy}
        for test in tests
        for gate in test.gates
        if gate.verdict not in {"ok", "unknown"}
    ]
    return Table(pd.DataFrame(rows, columns=["run", "gate", "verdict", "says", "remedy"]))


def plan_actions(plan: "Plan") -> Table:
    """Return the services for which something is to be done, with the numbers that say so."""
    import pandas as pd

    rows = [
        {
            "service": name,
            "decision": service["decision"],
            "instances_now": service["instances_now"],
            "instances": service["instances"],
            "why": " ".join(service["why"][:2]),
        }
        for name, service in plan.document["services"].items()
        if service["decision"] != "keep"
    ]
    return Table(pd.DataFrame(rows, columns=["service", "decision", "instances_now", "instances", "why"]))


def plan_ladder(plan: "Plan") -> Table:
    """Return the degradation ladder, first rung first."""
    import pandas as pd

    columns = ["order", "feature", "service", "trigger", "owner", "value_lost_per_hour", "recovery"]
    return Table(pd.DataFrame(plan.document["degradation"], columns=columns))
