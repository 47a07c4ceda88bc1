"""The rehearsal as a result."""

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
        One row a service that broke: share of futures, seconds after the start, why, recovery, spread, mend.
    timeline : DataFrame
        Ten-second bins: service, seconds after the start, demand, served, capacity, backlog and wait quantiles.
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
    timeline: "pd.DataFrame"
    overload_fraction: float | None
    turned_away_fraction: float
    why: tuple[str, ...]
    n_paths: int
    seed: int = 0

    units: ClassVar[dict[str, str]] = {"at_s": "s after the start"}

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
        """Draw demand against capacity of the services that come closest to it."""
        from capacity.rehearsal.figure import draw_rehearsal

        return draw_rehearsal(self)

    def to_document(self) -> dict[str, Any]:
        """Return the findings as a JSON-ready object; the timeline stays out."""
        rows = self.breaks.to_dict(orient="records")
        return {
            "schema": SCHEMA,
            "promotion": self.promotion,
            "faults": list(self.faults),
            "n_paths": self.n_paths,
            "seed": self.seed,
            "overload_fraction": self.overload_fraction,
            "turned_away_fraction": self.turned_away_fraction,
            "first_break": self.first_break,
            "breaks": [{str(k): v for k, v in row.items()} for row in rows],
            "why": list(self.why),
        }
