"""The plan as a result: its document, its inputs, a table and a figure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capacity.display.numbers import format_number, format_percent
from capacity.errors import InputError
from capacity.plan.document import check_plan_document, signature
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from capacity.catalog import Catalog
    from capacity.display.figures import Chart
    from capacity.peaks import Peaks
    from capacity.plan.frontier import Frontier
    from capacity.saturation import Curves


@dataclass(frozen=True, repr=False, eq=False)
class Plan(Result):
    """What to run, limit, switch off and negotiate for one promotion, and how likely that is enough.

    Attributes
    ----------
    document : dict
        Exactly the content of ``plan.json``, signed.
    peaks, curves, services
        What the plan was made from; None where it was read without its samples.
    """

    document: dict[str, Any]
    peaks: "Peaks | None" = None
    curves: "Curves | None" = None
    services: "Catalog | None" = None

    units: ClassVar[dict[str, str]] = {
        "peak_q50": "requests/s", "peak_q95": "requests/s",
        "cluster_limit": "requests/s", "instance_limit": "requests/s",
    }  # fmt: skip

    @property
    def promotion_id(self) -> str:
        """Id of the promotion."""
        return str(self.document["promotion"])

    @property
    def as_of(self) -> date:
        """First day that was not known."""
        return date.fromisoformat(self.document["as_of"])

    @property
    def infeasible_because(self) -> tuple[str, ...]:
        """Why the promise does not hold, each with the least change that mends it; empty when it holds."""
        return tuple(self.document.get("infeasible_because", ()))

    @property
    def feasible(self) -> bool:
        """Whether the promised probabilities hold."""
        return not self.infeasible_because

    @property
    def why(self) -> dict[str, tuple[str, ...]]:
        """Reasons of each service's decision, in numbers."""
        return {name: tuple(entry["why"]) for name, entry in self.document["services"].items()}

    @property
    def frontier(self) -> "Frontier":
        """Cost against the core overload probability, and against the orders a second that fit."""
        from capacity.plan.frontier import Frontier

        return Frontier.from_document(self.document)

    def summary(self) -> str:
        """Return one line: what is to be done, at what cost, and how likely it is not enough."""
        d = self.document
        grow = sum(entry["decision"] == "scale_out" for entry in d["services"].values())
        cost = d["cost"]
        head = (
            f"{self.promotion_id} as of {d['as_of']}: {grow} of {len(d['services'])} services scale out, "
            f"{format_number(cost['per_hour_now'])} → {format_number(cost['per_hour_peak'])} {cost['currency']} "
            f"an hour, "
            f"core overload probability {_chance(d['core_overload_probability'])}"
        )
        return head if self.feasible else f"{head}; the promise does NOT hold: {self.infeasible_because[0]}"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a service."""
        import pandas as pd

        rows = [
            {
                "service": name,
                "decision": e["decision"],
                "peak_q50": e["peak_qps"]["q50"],
                "peak_q95": e["peak_qps"]["q95"],
                "capacity_evidence": e["capacity_evidence"],
                "instances_now": e["instances_now"],
                "instances": e["instances"],
                "cluster_limit": e["cluster_limit_qps"],
                "instance_limit": e["instance_limit_qps"],
                "overload_probability": e["overload_probability"],
                "why": e["why"][0] if e["why"] else "",
            }
            for name, e in self.document["services"].items()
        ]
        return pd.DataFrame(rows)

    def plot(self) -> "Chart":
        """Draw each service's worst second against what it safely takes and its limit."""
        from capacity.plan.figure import draw_plan

        return draw_plan(self)

    def to_json(self) -> str:
        """Return the document as text; the same inputs give the same bytes."""
        return json.dumps(self.document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def with_inputs(self, inputs: Sequence[Mapping[str, Any]]) -> "Plan":
        """Return the plan with the files it rests on, signed anew."""
        document = {**self.document, "inputs": [dict(item) for item in inputs]}
        document["signature"] = signature(document)
        return replace(self, document=document)

    def to_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the samples behind the plan as plain arrays, for a file without pickle.

        Raises
        ------
        InputError
            If the plan was read without its samples.
        """
        if self.peaks is None or self.curves is None:
            raise InputError(
                f"plan of {self.promotion_id}: it was read without its samples", remedy="make the plan again"
            )
        parts = {"peaks": self.peaks.to_arrays(), "curves": self.curves.to_arrays()}
        return {f"{part}.{key}": value for part, arrays in parts.items() for key, value in arrays.items()}

    @classmethod
    def from_document(
        cls,
        document: dict[str, Any],
        *,
        peaks: "Peaks | None" = None,
        curves: "Curves | None" = None,
        services: "Catalog | None" = None,
    ) -> "Plan":
        """Take up a plan from its document.

        Raises
        ------
        InputError
            If the document is not a plan, or was changed after it was signed.
        """
        check_plan_document(document)
        return cls(document, peaks, curves, services)

    @classmethod
    def from_arrays(
        cls,
        document: dict[str, Any],
        arrays: Mapping[str, np.ndarray[Any, Any]],
        *,
        promotion: Any,
        services: "Catalog",
    ) -> "Plan":
        """Take up a plan with the samples that `to_arrays` gave.

        Raises
        ------
        InputError
            If document or arrays are not a plan's.
        """
        from capacity.peaks import Peaks
        from capacity.saturation import Curves

        def part(name: str) -> dict[str, np.ndarray[Any, Any]]:
            return {key.removeprefix(f"{name}."): value for key, value in arrays.items() if key.startswith(f"{name}.")}

        return cls.from_document(
            document,
            peaks=Peaks.from_arrays(part("peaks"), promotion=promotion),
            curves=Curves.from_arrays(part("curves")),
            services=services,
        )


def _chance(probability: float | None) -> str:
    return "unknown" if probability is None else format_percent(probability)
