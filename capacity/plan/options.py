"""How likely an overload would be with other instance counts: the numbers behind the options that were not taken."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capacity.plan.fleet import pool_overloaded
from capacity.plan.sizing import Floats, Ints, survivors

if TYPE_CHECKING:
    from capacity.plan.decide import Decided
    from capacity.plan.degradation import Feature


@dataclass(frozen=True)
class Option:
    """One other count of each pool's instances, the other pools as planned.

    Attributes
    ----------
    instances : ndarray (p,)
    own : ndarray (p,)
        Probability that the pool is overloaded.
    joint : ndarray (p,)
        That some service of its tier is, the optimism of the choice added; NaN of degradable pools.
    """

    instances: Ints
    own: Floats
    joint: Floats


@dataclass(frozen=True)
class Options:
    """What would be if a pool kept today's instances, or got one fewer than planned, or something were switched off.

    Attributes
    ----------
    kept, one_fewer : Option
    waiting : tuple of Feature
        Features that are not planned off.
    freed_qps : ndarray (feature, s)
        What switching each of them off takes from the typical worst second.
    """

    kept: Option
    one_fewer: Option
    waiting: "tuple[Feature, ...]"
    freed_qps: Floats


def weigh(decided: "Decided") -> Options:
    """Count every option for all pools at once."""
    typical = decided.typical_qps.max(axis=0)
    waiting = tuple(feature for feature in decided.features if feature not in decided.planned)
    freed = np.array([feature.saved_qps(typical) for feature in waiting]).reshape(len(waiting), len(typical))
    return Options(
        waiting=waiting,
        freed_qps=freed,
        kept=_count(decided, np.minimum(decided.fleet.now, decided.instances)),
        one_fewer=_count(decided, np.maximum(decided.instances - 1, 0)),
    )


def _count(decided: "Decided", instances: Ints) -> Option:
    fleet = decided.fleet
    left = survivors(instances, fleet.zones, fleet.losses)
    over = pool_overloaded(fleet, decided.used * decided.ceiling, left)
    joint = np.full(len(fleet.pools), np.nan)
    for tier, told in ((0, decided.core_probability), (1, decided.non_core_probability)):
        at = np.flatnonzero(fleet.pool_tier == tier)
        mine = decided.overloaded[:, fleet.tier == tier]
        already = mine.any(axis=1) if mine.size else np.zeros(len(over), dtype=bool)
        joint[at] = np.minimum(told + over[np.ix_(~already, at)].sum(axis=0) / len(over), 1.0)
    return Option(instances, over.mean(axis=0), joint)
