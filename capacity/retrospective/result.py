"""What a review is: tables in the reader's order, lessons and actions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from capacity.lessons import Action, Lessons
from capacity.promotion import Promotion
from capacity.result import Result
from capacity.retrospective.attribution import ALL_ENTRIES
from capacity.retrospective.comparison import coverage, signed_bias
from capacity.retrospective.frames import json_rows, json_value, rows_of

if TYPE_CHECKING:
    from capacity.display.figures import Chart

SCHEMA = "capacity.retrospective/1"


@dataclass(frozen=True, repr=False, eq=False)
class Review(Result):
    """A promotion's plan against what happened, in the order a reader wants it.

    Attributes
    ----------
    promotion
        Which.
    as_of
        When the plan was made.
    verdict
        Three sentences: was the forecast right, did it hold, what is left.
    demand
        One row a date and metric; see :func:`capacity.retrospective.comparison.compare_demand`.
    services
        One row a phase and service; see :func:`capacity.retrospective.comparison.compare_peaks`.
    bias
        Error by metric, phase and service with the n behind it.
    estimates
        The business's own estimate of the largest day, beside the forecast and what came.
    decomposition
        Why the entries' peaks missed; the terms of an entry add up exactly.
    capacity
        One row a service: limits, capacity, rejections, instances, SLO.
    incidents, mean_times
        One row an incident; MTTD, MTTA, MTTM and MTTR with n.
    findings
        What the journal shows that somebody must look at.
    lessons
        Corrections for the next forecast and plan.
    actions, worklist
        What has to be done, and the same as a frame with its source.
    series
        Traffic of the promotion on minutes, for figures.
    missing
        What cannot be judged, and why.
    provenance
        What the review rests on.
    currency
        Of all costs.
    """

    promotion: Promotion
    as_of: str
    verdict: tuple[str, str, str]
    demand: pd.DataFrame
    services: pd.DataFrame
    bias: pd.DataFrame
    estimates: pd.DataFrame
    decomposition: pd.DataFrame
    capacity: pd.DataFrame
    incidents: pd.DataFrame
    mean_times: pd.DataFrame
    findings: pd.DataFrame
    lessons: Lessons
    actions: tuple[Action, ...]
    worklist: pd.DataFrame
    series: pd.DataFrame
    missing: tuple[str, ...]
    provenance: pd.DataFrame
    currency: str = ""

    units: ClassVar[dict[str, str]] = {
        "forecast_q05": "requests/s",
        "forecast_q50": "requests/s",
        "forecast_q95": "requests/s",
        "forecast_q99": "requests/s",
        "actual": "requests/s",
        "shift_s": "s",
        "rejected": "requests",
    }

    def summary(self) -> str:
        """Return the verdict's first sentence."""
        return f"{self.promotion.id}: {self.verdict[0]}"

    def to_frame(self) -> pd.DataFrame:
        """Return the comparison by phase and service."""
        return self.services.copy()

    def metrics(self) -> list[dict[str, object]]:
        """Return the review's numbers for programs, ``{"name", "value", "unit"}`` each; ``None`` is unknown.

        Log errors are signed: above zero, more came than forecast. Values of one promotion are one observation.
        """
        inside, judged = coverage(self.services)
        days_inside, days_judged = coverage(self.demand)
        found: list[tuple[str, object, str]] = [
            ("peaks_inside_90", inside, "peaks"),
            ("peaks_judged", judged, "peaks"),
            ("peak_bias", signed_bias(self.services), "log ratio"),
            ("days_inside_90", days_inside, "days × metrics"),
            ("days_judged", days_judged, "days × metrics"),
        ]
        for metric in ("dau", "dat"):
            part = self.demand[(self.demand["metric"] == metric) & self.demand["in_promotion"]]
            found.append((f"{metric}_bias", signed_bias(part), "log ratio"))
        found += [(f"business_{row['metric']}_error", row["log_error"], "log ratio") for row in rows_of(self.estimates)]
        together = self.decomposition[self.decomposition["entry"] == ALL_ENTRIES]
        found += [(f"miss_{row['factor']}", row["log_term"], "log ratio") for row in rows_of(together)]
        found += [
            (name, _sum(self.capacity[name]), unit)
            for name, unit in (
                ("rejected", "requests"),
                ("wrongly_rejected", "requests"),
                ("slo_minutes_broken", "min"),
                ("wasted_instance_hours", "instance-hours"),
                ("wasted_cost", self.currency or "currency"),
            )
        ]
        found.append(("largest_peak_of_limit", _largest(self.capacity["peak_of_limit"]), "fraction"))
        found.append(("largest_peak_of_used_capacity", _largest(self.capacity["peak_of_used_capacity"]), "fraction"))
        for row in rows_of(self.mean_times):
            found += [(row["measure"], row["minutes"], "min"), (f"{row['measure']}_n", row["n"], "incidents")]
        kinds = [str(kind) for kind in self.findings["kind"]]
        found += [(kind, kinds.count(kind), "findings") for kind in dict.fromkeys(kinds)]
        found.append(("actions_open", sum(action.status == "open" for action in self.actions), "actions"))
        return [{"name": name, "value": json_value(value), "unit": unit} for name, value, unit in found]

    def to_document(self) -> dict[str, object]:
        """Return the review as one JSON object of schema ``capacity.retrospective/1``; ``None`` is unknown."""
        tables = (
            "demand",
            "services",
            "bias",
            "estimates",
            "decomposition",
            "capacity",
            "incidents",
            "mean_times",
            "findings",
        )
        document: dict[str, object] = {
            "schema": SCHEMA,
            "promotion": self.promotion.id,
            "as_of": self.as_of,
            "verdict": list(self.verdict),
            "metrics": self.metrics(),
        }
        document |= {name: json_rows(getattr(self, name)) for name in (*tables, "findings")}
        document["actions"] = json_rows(self.worklist)
        document["lessons"] = [lesson.model_dump(mode="json") for lesson in self.lessons]
        return document | {"missing": list(self.missing), "provenance": json_rows(self.provenance)}

    def plot(self, what: str = "peaks", *, service: str | None = None) -> "Chart":
        """Draw one of the review's figures.

        Parameters
        ----------
        what
            ``peaks`` (forecast, actual and limit of every service), ``service`` (one service over time), ``miss``
            (waterfall of why the peak missed), ``demand`` (DAU and DAT against their band) or ``incidents`` (timeline).
        service
            Which service, or for ``miss`` which entry.

        Raises
        ------
        UsageError
            If there is no such figure or service.
        """
        from capacity.retrospective.figure import draw_review

        return draw_review(self, what, service=service)


def _sum(column: "pd.Series[Any]") -> float | None:
    return float(column.sum()) if column.notna().any() else None


def _largest(column: "pd.Series[Any]") -> float | None:
    return float(column.max()) if column.notna().any() else None
