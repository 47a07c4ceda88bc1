"""Pieces of a report's page that are not results of their own: sentences, short tables, runs of figures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capacity.display import escape, format_percent, to_html, to_text

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart
    from capacity.forecast import Demand
    from capacity.loadtest import LoadTests
    from capacity.peaks import Peaks
    from capacity.plan import Plan
    from capacity.retrospective import Review

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


def promotion_days(demand: "Demand") -> Table:
    """Return DAU and DAT of the promotion's days and the days beside them."""
    import pandas as pd

    day = pd.Timedelta(days=1)
    frame = demand.to_frame()
    first, last = (pd.Timestamp(demand.promotion.dates[place]) for place in (0, -1))
    return Table(frame[frame["date"].between(first - day, last + day)], demand.units)


def largest_peaks(peaks: "Peaks") -> Table:
    """Return each service's worst second over the whole promotion, largest first, and in which phase it comes."""
    import numpy as np
    import pandas as pd

    largest = peaks.max_qps.to_numpy()
    phase = np.median(peaks.peak_qps.to_numpy(), axis=0).argmax(axis=0)
    frame = pd.DataFrame(np.quantile(largest, (0.05, 0.5, 0.95, 0.99), axis=0).T, columns=["q05", "q50", "q95", "q99"])
    frame.insert(0, "service", list(peaks.services))
    frame["phase"] = [peaks.phases[place] for place in phase]
    return Table(frame.sort_values("q50", ascending=False, kind="stable"), peaks.units)


def plan_services(plan: "Plan") -> Table:
    """Return what the plan decides for each service; its reasons stand elsewhere."""
    return Table(plan.to_frame().drop(columns="why"), plan.units)


def worst_peaks(review: "Review") -> Table:
    """Return the peaks that missed their forecast most, worst first."""
    judged = review.services.dropna(subset=["log_error", "inside_band"])
    worst = judged.reindex(judged["log_error"].abs().sort_values(ascending=False, kind="stable").index)
    columns = ["phase", "service", "forecast_q05", "forecast_q50", "forecast_q95", "actual", "error", "inside_band"]
    frame = worst[columns].head(MOST_ROWS).assign(error=[format_percent(error) for error in worst["error"][:MOST_ROWS]])
    return Table(frame, dict.fromkeys(columns[2:6], "requests/s"))


def headroom(review: "Review") -> Table:
    """Return how near each service came to its limit and capacity, nearest first, and what its instances cost."""
    columns = [
        "service", "judged_by", "peak_qps", "limit_qps", "peak_of_limit", "peak_of_used_capacity", "rejected",
        "instances_planned", "instances_used", "instances_needed", "wasted_cost", "slo_minutes_broken",
    ]  # fmt: skip
    frame = review.capacity[columns].sort_values("peak_of_limit", ascending=False, kind="stable")
    shares = {name: [format_percent(share) for share in frame[name]] for name in columns[4:6]}
    units = {"peak_qps": "requests/s", "limit_qps": "requests/s", "wasted_cost": review.currency}
    return Table(frame.assign(**shares), units)


def gate_exceptions(tests: "LoadTests") -> Table:
    """Return the gates that load tests did not pass, one row a run and gate, and what to do about each."""
    import pandas as pd

    rows: dict[tuple[str, str], dict[str, object]] = {}
    for test in tests:
        for gate in test.gates:
            if gate.verdict in {"ok", "unknown"}:
                continue
            row = rows.setdefault((test.run, gate.name), {"run": test.run, "gate": gate.name, "steps": 0})
            row["steps"] = int(str(row["steps"])) + (gate.step is not None)
            for key, value in (("verdict", gate.verdict), ("says", gate.says), ("remedy", gate.remedy)):
                row.setdefault(key, value)
    return Table(pd.DataFrame(list(rows.values()), columns=["run", "gate", "verdict", "steps", "says", "remedy"]))


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
