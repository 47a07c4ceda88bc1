"""What the company runs: instances, fixed capacities, quotas, limits that turned orders away."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.second_family.events import Event
from benchmarks.second_family.instances import TrueService
from benchmarks.second_family.setting import rng_of
from benchmarks.second_family.world import World
from capacity.demo.randomness import nice_up


@dataclass(frozen=True)
class Fleet:
    """Standing decisions of the company.

    Parameters
    ----------
    zones
        Two or three.
    instances_now, quota
        By service that scales.
    fixed_qps
        Total capacity of stores and partners.
    limit_share
        By promotion: what the orders' limit let through, as a share of the largest second that was asked for.
    """

    zones: int
    instances_now: dict[str, int]
    quota: dict[str, int]
    fixed_qps: dict[str, float]
    limit_share: dict[str, float]


def make_fleet(
    world: World, services: Mapping[str, TrueService], *, ordinary: Mapping[str, float], last: Mapping[str, float]
) -> Fleet:
    """Size the fleet from what its people saw.

    Standing instances take 1.4 … 3 times an ordinary busy hour, quotas five times the last large peak; stores hold
    1.5 … 4 times that peak, partners granted 1 … 3 times. One in seven past promotions met a limit of 55 … 85 % of what
    was asked; the one to plan meets one of 90 … 150 % in half of the companies.

    Parameters
    ----------
    world, services
        The company.
    ordinary
        Requests a second of a busy ordinary hour, by service.
    last
        Largest second of the last promotion of the kind before the planning day, by service.
    """
    rng = rng_of(world.setting, "fleet")
    zones = int(rng.choice([2, 3, 3]))
    now, quota = {}, {}
    for name, service in services.items():
        now[name] = in_zones(rng.uniform(1.4, 3.0) * ordinary[name] / service.capacity_qps, zones)
        quota[name] = max(int(nice_up(5 * last[name] / service.capacity_qps)), 20, 3 * now[name])
    fixed = {}
    for name in world.graph.of_role("store", "partner"):
        low, high = (1.0, 3.0) if name in world.graph.of_role("partner") else (1.5, 4.0)
        fixed[name] = nice_up(max(rng.uniform(low, high) * last[name], 1.0))
    shares = {}
    for event in world.played:
        if event.id == world.target.id:
            shares[event.id] = rng.uniform(0.9, 1.5) if rng.random() < 0.5 else np.inf
        elif rng.random() < 1 / 7:
            shares[event.id] = rng.uniform(0.55, 0.85)
    return Fleet(zones, now, quota, fixed, shares)


def promotion_instances(
    world: World, services: Mapping[str, TrueService], fleet: Fleet, event: Event, peaks: Mapping[str, float]
) -> dict[str, int]:
    """Size one promotion's fleet: 1.1 … 2 times what was needed, never fewer than on ordinary days."""
    rng = rng_of(world.setting, "promotion fleet", event.id)
    return {
        name: max(
            in_zones(rng.uniform(1.1, 2.0) * peaks[name] / s.capacity_qps, fleet.zones), fleet.instances_now[name]
        )
        for name, s in services.items()
    }


def in_zones(instances: float, zones: int) -> int:
    """So many instances, rounded up to the same number in each zone.

    Examples
    --------
    >>> in_zones(0.2, 3), in_zones(7.1, 2)
    (3, 8)
    """
    return max(zones * int(np.ceil(instances / zones)), zones)
