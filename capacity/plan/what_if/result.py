"""The difference that a change makes, as a result."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from capacity.display.numbers import format_number, format_percent
from capacity.plan.result import Plan
from capacity.plan.what_if.changes import Changes
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart

SCHEMA = "capacity.what-if/1"


@dataclass(frozen=True, repr=False, eq=False)
class Difference(Result):
    """A plan, the same plan held under a change, and a plan made anew under it.

    Attributes
    ----------
    plan, held, anew : Plan
    changes : Changes
    warnings : tuple of str
        Services that the held limits could push past what they safely take.
    """

    plan: Plan
    held: Plan
    anew: Plan
    changes: Changes
    warnings: tuple[str, ...] = ()

    units: ClassVar[dict[str, str]] = {"peak_q95": "requests/s", "limit": "requests/s", "limit_anew": "requests/s"}

    def summary(self) -> str:
        """Return one line: what the change does to the plan as it is, and what planning anew costs."""
        before, after, anew = (p.document for p in (self.plan, self.held, self.anew))
        currency = before["cost"]["currency"]
        head = (
            f"what if {self.changes}: with the plan as it is a core service is overloaded with probability "
            f"{_chance(after['core_overload_probability'])} instead of {_chance(before['core_overload_probability'])}; "
            f"planned anew it costs {format_number(anew['cost']['per_hour_peak'])} instead of "
            f"{format_number(before['cost']['per_hour_peak'])} {currency} an hour"
        )
        return head if self.anew.feasible else f"{head}; even so the promise does NOT hold"

    @property
    def totals(self) -> "pd.DataFrame":
        """What counts for the whole company: one row a measure, columns plan, held and anew."""
        import pandas as pd

        plans = {"plan": self.plan.document, "held": self.held.document, "anew": self.anew.document}
        currency = self.plan.document["cost"]["currency"]
        rows = [
            {"measure": name, "unit": unit.format(currency=currency)} | {k: read(d) for k, d in plans.items()}
            for name, unit, read in _MEASURES
        ]
        return pd.DataFrame(rows)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a service that the change touches."""
        import pandas as pd

        columns = [
            "service", "peak_q95", "instances", "instances_anew", "overload", "overload_held", "overload_anew",
            "limit", "limit_anew", "decision_anew",
        ]  # fmt: skip
        rows = [self._row(name) for name in self.plan.document["services"] if name in self.anew.document["services"]]
        frame = pd.DataFrame([row for row in rows if row is not None], columns=columns)
        return frame.sort_values("overload_held", ascending=False, kind="stable").reset_index(drop=True)

    def _row(self, name: str) -> dict[str, Any] | None:
        before, held, anew = (p.document["services"][name] for p in (self.plan, self.held, self.anew))
        row = {
            "service": name,
            "peak_q95": anew["peak_qps"]["q95"],
            "instances": before["instances"],
            "instances_anew": anew["instances"],
            "overload": before["overload_probability"],
            "overload_held": held["overload_probability"],
            "overload_anew": anew["overload_probability"],
            "limit": before["cluster_limit_qps"],
            "limit_anew": anew["cluster_limit_qps"],
            "decision_anew": anew["decision"],
        }
        same = (
            before["instances"] == anew["instances"]
            and before["overload_probability"] == held["overload_probability"]
            and before["cluster_limit_qps"] == anew["cluster_limit_qps"]
        )
        return None if same else row

    def plot(self) -> "Chart":
        """Draw how each touched service's overload probability moves."""
        from capacity.plan.what_if.figure import draw_difference

        return draw_difference(self)

    def to_document(self) -> dict[str, Any]:
        """Return the difference as a JSON-ready object."""
        return {
            "schema": SCHEMA,
            "changes": dict(self.changes.given),
            "summary": self.summary(),
            "totals": self.totals.to_dict(orient="records"),
            "services": self.to_frame().to_dict(orient="records"),
            "warnings": list(self.warnings),
            "plan": self.anew.document,
        }


_MEASURES: tuple[tuple[str, str, Any], ...] = (
    ("cost at the peak", "{currency} an hour", lambda d: d["cost"]["per_hour_peak"]),
    ("core overload probability", "fraction", lambda d: d["core_overload_probability"]),
    ("non-core overload probability", "fraction", lambda d: d.get("non_core_overload_probability")),
    ("peak TPS, 1 in 20", "orders/s", lambda d: d["peak_tps"]["q95"]),
    ("admitted TPS", "orders/s", lambda d: d["admitted_tps"]),
    ("turned away, median", "orders", lambda d: d["transactions_turned_away"]["q50"]),
    ("turned away, 1 in 20", "orders", lambda d: d["transactions_turned_away"]["q95"]),
    ("instances", "", lambda d: sum(s["instances"] for s in d["services"].values())),
)


def _chance(probability: float | None) -> str:
    return "unknown probability" if probability is None else format_percent(probability)
