"""A plan played against each fault by itself, as one table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capacity.report.narrate import Sentences, sentences

if TYPE_CHECKING:
    import pandas as pd

    from capacity.plan import Plan
    from capacity.rehearsal import Rehearsal


@dataclass(frozen=True, eq=False)
class FaultsPlayed:
    """One rehearsal a set of faults.

    Attributes
    ----------
    played : tuple of Rehearsal
    """

    played: "tuple[Rehearsal, ...]"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a rehearsal: what went wrong, and what broke first, how often, and whether it recovered."""
        import pandas as pd

        return pd.DataFrame([_row(one) for one in self.played])

    @property
    def why(self) -> tuple[str, ...]:
        """What each showed, in words."""
        return tuple(f"{', '.join(one.faults)}: {line}" for one in self.played for line in one.why[1:3])

    def sentences(self) -> Sentences:
        """Return the words as a list."""
        return sentences(self.why)


def play_faults(plan: "Plan", *, n_paths: int = 30, sets: Sequence[Sequence[str]] | None = None) -> FaultsPlayed:
    """Rehearse a plan against the faults that most evenings bring, each by itself.

    Parameters
    ----------
    plan
        With its samples.
    n_paths
        Futures to play of each.
    sets
        Faults to play together; when left out a third more people, cold caches, limiters gone, retries without budget,
        late instances, a hotter item, and each third party down.
    """
    from capacity.rehearsal import rehearse

    third = [] if plan.services is None else [name for name, s in plan.services.items() if s.third_party]
    usual = [["demand=1.33"], ["cold-cache"], ["limiter-loss"], ["retry-storm"], ["late-scale-up"], ["hot-key"]]
    chosen = sets if sets is not None else [*usual, *([f"third-party-down={name}"] for name in third[:3])]
    return FaultsPlayed(tuple(rehearse(plan, faults=list(faults), n_paths=n_paths) for faults in chosen))


def _row(one: "Rehearsal") -> dict[str, Any]:
    row = {"faults": ", ".join(one.faults), "core_overload": one.overload_fraction, "first_to_break": one.first_break}
    if len(one.breaks):
        first = one.breaks.iloc[0]
        row |= {"in_futures": first["share"], "recovers": first["recovers"], "mend": first["mend"]}
    return row
