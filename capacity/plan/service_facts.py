"""What a plan says of some services only: those behind queues or caches, and those without a zone to spare."""

from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.plan.decide import Decided
from capacity.plan.sizing import instances_for

if TYPE_CHECKING:
    from capacity.plan.decisions import Context

_COLD = 1.001  # times the warm load: below that no cache matters


def service_facts(decided: Decided, s: int, context: "Context") -> dict[str, Any]:
    """``queue``, ``cold_caches`` and ``zone_gap`` of one service; null where it has none."""
    return {
        "queue": queue_fact(s, context),
        "cold_caches": cold_fact(decided, s, context),
        "zone_gap": zone_fact(decided, int(decided.fleet.pool[s]), zone_losses=context.risk.zone_losses),
    }


def queue_fact(s: int, context: "Context") -> dict[str, float] | None:
    """Largest backlog and how long it takes to drain, in 19 of 20 futures."""
    queue = context.queues.get(s)
    if queue is None:
        return None
    return {
        "max_delay_s": queue.max_delay_s,
        "largest_backlog": float(f"{queue.backlog:.9g}"),
        "drain_s": float(f"{queue.drain_s:.9g}"),
    }


def cold_fact(decided: Decided, s: int, context: "Context") -> dict[str, float | None] | None:
    """Median worst second behind cold caches, and how likely that is too much for the instances planned."""
    fleet = decided.fleet
    warm, cold = float(decided.typical_qps[:, s].max(initial=0.0)), float(context.cold_qps[s])
    if warm <= 0 or cold <= _COLD * warm:
        return None
    probability: float | None = None
    most = decided.most_qps[:, s] * (cold / warm)
    if fleet.is_fixed[s]:
        probability = float((most > np.fmin(fleet.fixed_qps[s], fleet.roof_qps[s])).mean())
    elif fleet.is_known[s]:
        pool = int(fleet.pool[s])
        more = (most - decided.most_qps[:, s]) / fleet.capacity[:, s]
        takes = fleet.sharing.worth(decided.surviving)[:, pool]
        used = decided.used[:, pool] * decided.ceiling + more
        probability = float((used > takes * (1.0 + 1e-9)).mean())
    return {"peak_qps": float(f"{cold:.9g}"), "overload_probability": probability}


def zone_fact(decided: Decided, pool: int, *, zone_losses: int) -> dict[str, float] | None:
    """Say what the loss that was asked for does to a pool with no zone to spare, and what surviving it takes."""
    fleet = decided.fleet
    zones = int(fleet.zones[pool])
    if zones > zone_losses or not fleet.sized[pool]:
        return None
    spread = int(instances_for(decided.surviving[pool], zone_losses + 1, zone_losses))
    return {
        "zones": zones,
        "zone_losses": zone_losses,
        "overload_probability": float((decided.used[:, pool] > 0).mean()),
        "instances_if_spread": spread,
        "more_per_hour_if_spread": float(f"{(spread - int(decided.instances[pool])) * fleet.cost[pool]:.9g}"),
    }
