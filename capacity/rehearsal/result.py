"""The rehearsal as a result."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from capacity.display.numbers import format_percent
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart

SCHEMA = "capacity.rehearsal/1"


@dataclass(frozen=True, repr=False, eq=False)
class Rehearsal(Result):
    """What happened when sampled futures were played against a plan.

    Attributes
    ----------
    promotion : str
    faults, services : tuple of str
    first_break : str or None
        The service that breaks first in most futures with a break.
    breaks : DataFrame
        One row a service that broke: share of futures, seconds after the start, why, recovery, whether it is
        metastable and the demand to which it must be shed then, spread; and what mends the first of them.
    tried : DataFrame
        One row a change that was played again to mend the first break, the cheapest that mends first: the share of the
        futures tried in which it or a core service breaks then and before, money and value lost an hour (money None:
        to be negotiated), and how many more requests are turned away at the entries than before.
    timeline : DataFrame
        Ten-second bins: service, seconds after the start, quantiles of demand, served (for nobody
        as well), answered in time, capacity and backlog; wait; and the share of the futures in which it was broken.
    overload_fraction : float or None
        Share of futures in which a core service's demand exceeded its capacity, before any limit.
        None where the capacity of a core service is unknown.
    turned_away_fraction : float
        Share of the core requests played that limits turned away.
    why : tuple of str
        The findings in words, verdict first.
    n_paths : int
    """

    promotion: str
    faults: tuple[str, ...]
    services: tuple[str, ...]
    first_break: str | None
    breaks: "pd.DataFrame"
    tried: "pd.DataFrame"
    timeline: "pd.DataFrame"
    overload_fraction: float | None
    turned_away_fraction: float
    why: tuple[str, ...]
    n_paths: int
    seed: int = 0

    units: ClassVar[dict[str, str]] = {"at_s": "s after the start", "shed_to_qps": "requests/s"}

    def summary(self) -> str:
        """Return one line: faults, overload, what breaks first."""
        faults = ", ".join(self.faults) or "no fault"
        first = f"{self.first_break} breaks first" if self.first_break else "nothing breaks"
        head = f"{self.promotion}, {faults}, {self.n_paths} futures"
        if self.overload_fraction is None:
            return f"{head}: a core service's capacity is unknown, so how often demand exceeds it is; else {first}"
        return f"{head}: core demand exceeds capacity in {format_percent(self.overload_fraction)}; {first}"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a service that broke."""
        return self.breaks

    def plot(self) -> "Chart":
        """Draw demand against capacity of the services that come closest to it, and what breaks when."""
        from capacity.rehearsal.figure import draw_rehearsal

        return draw_rehearsal(self)

    def to_document(self) -> dict[str, Any]:
        """Return the findings as a JSON-ready object; the timeline stays out."""
        rows, tried = (frame.to_dict(orient="records") for frame in (self.breaks, self.tried))
        return {
            "schema": SCHEMA,
            "promotion": self.promotion,
            "faults": list(self.faults),
            "n_paths": self.n_paths,
            "seed": self.seed,
            "overload_fraction": self.overload_fraction,
            "turned_away_fraction": self.turned_away_fraction,
            "first_break": self.first_break,
            "breaks": [_known(row) for row in rows],
            "tried": [_known(row) for row in tried],
            "why": list(self.why),
        }


def _known(row: dict[Hashable, Any]) -> dict[str, Any]:
    """Take a row as JSON has it: what is not known is null."""
    return {str(k): None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
