"""Sizes chosen by who knows the process, and by who knows the evening."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.plan.promise import keep_promise
from capacity.plan.sizing import effective_losses, instances_for, needed_survivors, survivors

Floats = NDArray[np.float64]
_TYPICAL = 0.5  # degradable services are sized for their typical future by every planner, as the plan does


@dataclass(frozen=True)
class Site:
    """What all planners agree on: the services, what runs today, quotas, zones, prices, and true capacities.

    Parameters
    ----------
    names
        Services that scale.
    tier
        ``core``, ``non_core`` or ``degradable``, by service that scales.
    now, quota, zones, losses, cost
        By service that scales; a planner takes no running instance away.
    capacity_qps
        True capacity of an instance at the SLO.
    fixed_qps, fixed_tier
        True capacity and tier of what cannot be scaled, by name.
    """

    names: tuple[str, ...]
    tier: NDArray[np.str_]
    now: NDArray[np.int64]
    quota: NDArray[np.int64]
    zones: NDArray[np.int64]
    losses: NDArray[np.int64]
    cost: Floats
    capacity_qps: Floats
    fixed_qps: Mapping[str, float]
    fixed_tier: Mapping[str, str]

    @classmethod
    def of(cls, catalog: Any, truth: Any, *, zone_losses: int) -> "Site":
        """Read the catalogue, and the truth of its capacities."""
        names = tuple(name for name in catalog.names if name in truth.instance_capacity_qps)
        services = [catalog[name] for name in names]
        now = np.array([s.instances for s in services], dtype=np.int64)
        quota = np.array([s.max_instances or 10**12 for s in services], dtype=np.int64)
        zones = np.array([s.zones for s in services], dtype=np.int64)
        return cls(
            names=names,
            tier=np.array([s.tier for s in services]),
            now=now,
            quota=np.maximum(quota, now),
            zones=zones,
            losses=effective_losses(zones, zone_losses),
            cost=np.array([s.instance_cost for s in services], dtype=float),
            capacity_qps=np.array([truth.instance_capacity_qps[name] for name in names], dtype=float),
            fixed_qps=truth.fixed_capacity_qps,
            fixed_tier={name: truth.tiers[name] for name in truth.fixed_capacity_qps},
        )

    def fewest(self, load: Floats) -> NDArray[np.int64]:
        """Fewest instances of each service that carry `load` (in instances) after the loss, within the quota."""
        wanted = instances_for(needed_survivors(load), self.zones, self.losses)
        return np.asarray(np.minimum(np.maximum(wanted, self.now), self.quota), dtype=np.int64)

    def cost_of(self, instances: Mapping[str, int]) -> float:
        """Currency per hour."""
        return float(sum(cost * instances[name] for name, cost in zip(self.names, self.cost, strict=True)))


def size_seeing(site: Site, actual: Mapping[str, float]) -> dict[str, int]:
    """Fewest instances for the largest seconds that really came, after the zone loss.

    Parameters
    ----------
    site
        The services.
    actual
        By service: the load of the replay.
    """
    load = np.array([actual[name] for name in site.names]) / site.capacity_qps
    return dict(zip(site.names, site.fewest(load).tolist(), strict=True))


def size_knowing(site: Site, offered: Floats, names: tuple[str, ...], *, risk: Any) -> dict[str, int]:
    """Least cost that keeps the same promise over futures of the true process, with true capacities.

    Chosen by the plan's own joint sizing, core services first, so that what differs is what is known alone.

    Parameters
    ----------
    site
        The services.
    offered
        Largest second, shape (futures, services), as `names` has them.
    names
        Services of `offered`.
    risk
        `overload_probability` and `non_core_overload_probability`.
    """
    place = {name: k for k, name in enumerate(names)}
    load = offered[:, [place[name] for name in site.names]] / site.capacity_qps
    beyond = {tier: np.zeros(len(offered), dtype=bool) for tier in ("core", "non_core", "degradable")}
    for name, most in site.fixed_qps.items():
        beyond[site.fixed_tier[name]] |= offered[:, place[name]] > most
    return size_by_tier(site, load, beyond, risk=risk)


def size_by_tier(site: Site, load: Floats, beyond: Mapping[str, NDArray[np.bool_]], *, risk: Any) -> dict[str, int]:
    """Least cost by tier over joint futures.

    Parameters
    ----------
    site
        The services.
    load
        In instances that survive, shape (futures, services that scale).
    beyond
        By tier: futures that are lost to what no instance mends.
    risk
        As in `size_knowing`.
    """
    instances = site.fewest(np.quantile(load, _TYPICAL, axis=0))
    for tier, probability in (("core", risk.overload_probability), ("non_core", risk.non_core_overload_probability)):
        at = np.flatnonzero(site.tier == tier)
        if len(at):
            promise = keep_promise(
                load[:, at], site.cost[at], probability=probability, zones=site.zones[at], losses=site.losses[at],
                floor=site.now[at], quota=site.quota[at], lost_anyway=beyond[tier],
            )  # fmt: skip
            instances[at] = promise.sizing.instances
    return dict(zip(site.names, instances.tolist(), strict=True))


def chance_of_overload(site: Site, offered: Floats, names: tuple[str, ...], instances: Mapping[str, int]) -> float:
    """Share of the process's futures in which these instances leave a core service overloaded that instances mend.

    Parameters
    ----------
    site, offered, names
        As in `size_knowing`.
    instances
        By service, before the loss; what is not named runs as today.
    """
    place = {name: k for k, name in enumerate(names)}
    counts = np.array([instances.get(name, now) for name, now in zip(site.names, site.now, strict=True)])
    most = survivors(counts, site.zones, site.losses) * site.capacity_qps
    over = offered[:, [place[name] for name in site.names]] > most
    return float(over[:, site.tier == "core"].any(axis=1).mean())
