"""What one more nine costs, and what a thousand more orders a second do: the plan's cost against both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display.numbers import format_number, format_percent
from capacity.plan.cost import cost_per_hour
from capacity.plan.decide import Decided
from capacity.plan.orders import Orders, carried_tps, read_orders
from capacity.plan.promise import Promise
from capacity.plan.sizing import Floats, allowed_samples
from capacity.plan.write import number
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart
    from capacity.settings import Risk

PROBABILITIES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_SHARES = (0.5, 0.75, 1.0)  # of the middle future's peak, below what the plan is for
_BEYOND = (1.0, 1.25, 1.5, 2.0)  # times the peak of 1 in 100 futures


@dataclass(frozen=True, repr=False, eq=False)
class Frontier(Result):
    """Cost per hour against the probability of an overload, and against the orders a second that fit.

    Attributes
    ----------
    by_risk : tuple of dict
        ``overload_probability`` (core, jointly), ``cost_per_hour`` and ``price_per_nine``, what a tenth of the
        probability costs from the row before; the likeliest first.
    by_admitted_tps : tuple of dict
        ``admitted_tps``, ``cost_per_hour`` and ``price_per_1000_tps`` from the row before.
    why : tuple of str
        Where either ends, and why.
    currency : str
    planned_risk, planned_cost : float
        The plan's own.
    carried_tps : float or None
        Orders a second that the plan's instances carry with the promised probability.
    """

    by_risk: tuple[dict[str, Any], ...]
    by_admitted_tps: tuple[dict[str, Any], ...]
    why: tuple[str, ...]
    currency: str
    planned_risk: float
    planned_cost: float
    carried_tps: float | None

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Frontier":
        """Take up the frontier of a plan's document; empty where a plan was written without one."""
        part = document.get("frontier", {})
        return cls(
            tuple(part.get("by_risk", ())),
            tuple(part.get("by_admitted_tps", ())),
            tuple(part.get("why", ("this plan was written without a frontier: make it again",))),
            str(document["cost"]["currency"]),
            float(document["risk"]["overload_probability"]),
            float(document["cost"]["per_hour_peak"]),
            part.get("carried_tps"),
        )

    def summary(self) -> str:
        """Return one line: what the next nine and the next thousand orders a second cost."""
        parts = [_next(self.by_risk, "price_per_nine", self.planned_cost, f"{self.currency} an hour more a nine")]
        each = f"{self.currency} an hour for 1,000 orders/s more"
        parts.append(_next(self.by_admitted_tps, "price_per_1000_tps", self.planned_cost, each))
        known = ", ".join(part for part in parts if part)
        return known or (self.why[0] if self.why else "the plan's own point is all there is")

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a point: ``against`` says of what, ``at`` where."""
        import pandas as pd

        rows = [
            {"against": "risk", "at": r["overload_probability"], "cost_per_hour": r["cost_per_hour"],
             "marginal_price": r["price_per_nine"]}
            for r in self.by_risk
        ] + [
            {"against": "admitted_tps", "at": r["admitted_tps"], "cost_per_hour": r["cost_per_hour"],
             "marginal_price": r["price_per_1000_tps"]}
            for r in self.by_admitted_tps
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["against", "at", "cost_per_hour", "marginal_price"])

    def plot(self) -> "Chart":
        """Draw both curves with the plan's own point."""
        from capacity.plan.frontier_figure import draw_frontier

        return draw_frontier(self)


def _next(rows: Sequence[dict[str, Any]], price: str, cost: float, words: str) -> str:
    """Price of the first step that costs more than the plan."""
    for row in rows:
        if row["cost_per_hour"] > cost * (1 + 1e-9) and row[price] is not None:
            return f"{format_number(row[price])} {words}"
    return ""


def write_frontier(decided: Decided, peak_tps: Floats, *, risk: "Risk") -> dict[str, Any]:
    """Write both curves; neither ever falls where the promise is tighter or more is carried."""
    _, peak = cost_per_hour(decided)
    by_risk, missing = _by_risk(decided, peak, planned=risk.overload_probability)
    orders, why = read_orders(decided, peak_tps, risk=risk)
    by_tps: list[dict[str, Any]] = []
    carried = None
    if orders is not None:
        carried = carried_tps(decided, orders, risk=risk)
        by_tps = _by_tps(orders, peak, carried=carried)
        why = [*why, *orders.ends_because]
    return {
        "by_risk": by_risk,
        "by_admitted_tps": by_tps,
        "carried_tps": number(carried),
        "ends_at_tps": number(orders.end_tps) if orders is not None else None,
        "why": [*missing, *why],
    }


def _by_risk(decided: Decided, peak: float, *, planned: float) -> tuple[list[dict[str, Any]], list[str]]:
    """Points whose promise holds, and why the others are missing."""
    rows: list[dict[str, Any]] = []
    missing: list[str] = []
    core = decided.core
    if core is None:
        return rows, ["no core service runs on instances of ours: its risk has no price"]
    rest = peak - core.sizing.cost
    for probability in sorted({*PROBABILITIES, planned}, reverse=True):
        promise = core if probability == planned else core.trials.keep(probability)
        if not promise.holds:
            missing.append(_why_not(promise, probability))
            continue
        cost = max(rest + promise.sizing.cost, rows[-1]["cost_per_hour"] if rows else 0.0)
        price = None
        if rows:
            nines = np.log10(rows[-1]["overload_probability"] / probability)
            price = number((cost - rows[-1]["cost_per_hour"]) / nines)
        rows.append({"overload_probability": probability, "cost_per_hour": number(cost), "price_per_nine": price})
    return rows, missing[:1]


def _why_not(promise: Promise, probability: float) -> str:
    trials = promise.trials
    n = len(trials.whole.lost)
    lost = float(trials.whole.lost.mean())
    name = format_percent(probability)
    if lost > probability:
        return (
            f"no instances bring the core overload probability to {name}: in {format_percent(lost)} of futures a "
            "capacity or quota is exceeded whatever is run"
        )
    if allowed_samples(probability, n) == 0:
        return f"{n} futures cannot show a core overload probability of {name} or less: make more samples"
    told = format_percent(promise.overload_probability)
    return (
        f"{n} futures cannot show a core overload probability of {name} or less: instances for all of them may still "
        f"fail with {told} outside them; make more samples"
    )


def _by_tps(orders: Orders, peak: float, *, carried: float) -> list[dict[str, Any]]:
    mid, high = np.quantile(orders.peak_tps, [0.5, 0.99])
    at = {float(number(t) or 0.0) for t in [*(s * mid for s in _SHARES), *(b * high for b in _BEYOND), carried]}
    if orders.end_tps is not None:
        at = {t for t in at if t < orders.end_tps} | {float(number(orders.end_tps) or 0.0)}
    rows: list[dict[str, Any]] = []
    for tps in sorted(t for t in at if t > 0):
        cost = orders.cost(tps)
        if tps <= carried * (1 + 1e-8):  # as written, with nine digits
            cost = min(cost, peak)  # the plan itself carries that much
        if rows:
            cost = max(cost, rows[-1]["cost_per_hour"])
        price = None
        if rows:
            price = number(1000.0 * (cost - rows[-1]["cost_per_hour"]) / (tps - rows[-1]["admitted_tps"]))
        rows.append({"admitted_tps": tps, "cost_per_hour": number(cost), "price_per_1000_tps": price})
    return rows
