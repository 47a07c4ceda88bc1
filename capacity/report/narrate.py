"""Pieces of a report's page that are not results of their own: sentences, short tables, runs of figures."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capacity.display import escape, format_number, format_percent, to_html, to_text

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart
    from capacity.forecast import Backtest, Demand
    from capacity.loadtest import LoadTests
    from capacity.peaks import Peaks
    from capacity.plan import Plan
    from capacity.retrospective import Review

MOST_ROWS = 10
MOST_FIGURES = 60


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
    left_out: int = 0

    def __repr__(self) -> str:
        return "\n".join([*map(repr, self.charts), *([self._more] if self.left_out else [])])

    def _repr_html_(self) -> str:
        more = f"<p>{self._more}</p>" if self.left_out else ""
        return "".join(chart._repr_html_() for chart in self.charts) + more

    @property
    def _more(self) -> str:
        return f"{self.left_out} more are not drawn here."


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


def show_each(charts: "Iterable[Chart]", *, most: int = MOST_FIGURES) -> Charts:
    """Return figures to show one below the other, so many that a page still opens at once; the others are counted."""
    drawn = tuple(charts)
    return Charts(drawn[:most], max(len(drawn) - most, 0))


def promotion_days(demand: "Demand") -> Table:
    """Return DAU and DAT of the promotion's days and the days beside them."""
    import pandas as pd

    day = pd.Timedelta(days=1)
    frame = demand.to_frame()
    first, last = (pd.Timestamp(demand.promotion.dates[place]) for place in (0, -1))
    return Table(frame[frame["date"].between(first - day, last + day)], demand.units)


def past_forecasts(result: "Backtest", *, kind: str = "") -> Table:
    """Return past promotions beside what was forecast before them: misses first, then those of a kind."""
    import pandas as pd

    events = result.events
    order = events.assign(other=events["kind"] != kind).sort_values(
        ["inside_90", "other", "as_of"], ascending=[True, True, False], kind="stable"
    )
    rows = [
        {
            "promotion": row["promotion"],
            "metric": row["metric"],
            "past_known": row["known_of_kind"],
            "actual": row["actual"],
            "forecast": row["q50"],
            "90_%_interval": f"{format_number(row['q05'])} – {format_number(row['q95'])}",
            "inside": row["inside_90"],
            "error": format_percent(row["error"]),
            "history_alone": row["history_alone"],
            "business": row["business"],
            "last_year_×_growth": row["last_year_times_growth"],
        }
        for row in order.head(MOST_ROWS + 2).to_dict(orient="records")
    ]
    return Table(pd.DataFrame(rows))


def backtest_scores(result: "Backtest") -> Table:
    """Return error, coverage, width and scores over all days ahead, the forecast beside history alone and the rules."""
    frame = result.to_frame()
    chosen = frame[frame["days_ahead"] == "all"]
    return _scores(chosen, ["metric", "days", "method"], ["pinball", "error_ratio", "interval_score_ratio"])


def backtest_by_horizon(result: "Backtest") -> Table:
    """Return the forecast's error, coverage and width by days ahead."""
    frame = result.to_frame()
    chosen = frame[(frame["method"] == "forecast") & (frame["days_ahead"] != "all")]
    return _scores(chosen, ["metric", "days", "days_ahead", "clusters"], ["interval_score_90", "pinball"])


def _scores(frame: "pd.DataFrame", names: list[str], more: list[str]) -> Table:
    """Show scores that are shares as percentages, the three coverages in one column."""
    # Rounded down: what held 99.6 % must not read as having held always.
    held = [
        " · ".join(_whole_percent(row[f"coverage_{percent}"]) for percent in (80, 90, 95))
        for row in frame.to_dict(orient="records")
    ]
    error, bias, width = ([format_percent(value) for value in frame[name]] for name in ("wape", "bias", "width_90"))
    shown = frame[[*names, "n"]].assign(error=error, bias=bias, held=held, width=width)
    shown = shown.assign(**{name: frame[name] for name in more})
    if "method" in shown:
        shown["method"] = shown["method"].str.replace("_", " ")
    short = {"interval_score_ratio": "score_ratio", "interval_score_90": "score", "days_ahead": "ahead"}
    shown = shown.rename(columns=short)
    return Table(
        shown, {"held": "80 · 90 · 95 %", "width": "90 %, of actual", "error": "of actual", "bias": "of actual"}
    )


def _whole_percent(share: float) -> str:
    return "–" if math.isnan(share) else str(math.floor(100 * share + 1e-9))


def leant_on(demand: "Demand") -> Table:
    """Return the past promotions that a forecast leans on, those of its kind first, with their weights."""
    frame = demand.evidence
    order = frame.assign(other=frame["kind"] != demand.promotion.kind).sort_values(
        ["metric", "other", "promotion"], kind="stable"
    )
    shares = {name: [format_percent(value) for value in order[name]] for name in ("weight", "left_out_error")}
    return Table(order.drop(columns=["other", "left_out_sd"]).assign(**shares))


def where_doubt_comes_from(demand: "Demand") -> Table:
    """Return the parts of the variance of the day of most orders."""
    import pandas as pd

    from capacity.forecast.doubt import SOURCES

    if demand.doubt is None:
        return Table(pd.DataFrame())
    wide = demand.doubt.sources.pivot_table(index="source", columns="metric", values="share", sort=False)
    wide = wide.reindex(list(SOURCES)).dropna()
    shares = {f"share_of_{name}": [format_percent(value) for value in wide[name]] for name in ("dau", "dat")}
    return Table(pd.DataFrame({"doubt": [SOURCES[name] for name in wide.index], **shares}))


def what_narrows(demand: "Demand") -> Table:
    """Return what would narrow the 90 % interval of the day of most orders, as measured."""
    import pandas as pd

    return Table(pd.DataFrame() if demand.doubt is None else demand.doubt.options, {"ends_apart_now": "times"})


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
    return Table(plan.to_frame().drop(columns=["why", "capacity_evidence", "instance_limit"]), plan.units)


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
