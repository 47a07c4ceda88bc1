"""What a plan costs, and how far from the cheapest one that can be."""

from typing import Any

import numpy as np

from capacity.plan.decide import Decided
from capacity.plan.sizing import Bools
from capacity.plan.write import number


def is_ours(decided: Decided) -> Bools:
    """Pools that we pay for, (p,)."""
    fleet = decided.fleet
    return np.array([not fleet.third_party[fleet.names.index(host)] for host in fleet.pools])


def cost_per_hour(decided: Decided) -> tuple[float, float]:
    """Currency per hour of the instances today and at the peak; what is not ours is not counted."""
    fleet, ours = decided.fleet, is_ours(decided)
    return float((fleet.cost * fleet.now)[ours].sum()), float((fleet.cost * decided.instances)[ours].sum())


def write_cost(decided: Decided, *, currency: str) -> dict[str, Any]:
    """Write the cost, its certified lower bound, and what a plan that only holds in these samples would cost.

    The bound is null where a promise does not hold: then there is no plan to be cheaper than.
    """
    now, peak = cost_per_hour(decided)
    promises = [promise for promise in (decided.core, decided.non_core) if promise is not None]
    bound = alone = None
    if all(promise.holds for promise in promises):
        bound = peak - sum(promise.sizing.cost - promise.sizing.cost_bound for promise in promises)
        alone = peak - sum(promise.sizing.cost - promise.cost_on_samples for promise in promises)
    gap = None if bound is None or bound <= 0 else peak / bound - 1.0
    return {
        "per_hour_now": number(now),
        "per_hour_peak": number(peak),
        "per_hour_bound": number(bound),
        "gap_fraction": number(gap),
        "per_hour_on_samples_alone": number(alone),
        "currency": currency,
    }
