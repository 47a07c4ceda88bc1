"""Connections: what the callers' instances open to a service, and instance counts that stay within what it takes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from capacity.plan.fleet import TIERS, Fleet
from capacity.plan.promise import Promise
from capacity.plan.sizing import Bools, Floats, Ints

_DEGRADABLE = len(TIERS) - 1


class Sized(NamedTuple):
    """Instances of every pool, what survives of them, futures kept and promises by tier."""

    surviving: Ints
    instances: Ints
    kept: list[Bools]
    promises: list[Promise | None]


@dataclass(frozen=True)
class Connections:
    """Connections that the callers' instances open to a service, against what it takes.

    Attributes
    ----------
    position : int
    opened, most : float
    least : float
        What would still be opened were degradable callers held to the instances of today.
    """

    position: int
    opened: float
    most: float
    least: float


def count_connections(fleet: Fleet, instances: Ints) -> tuple[Connections, ...]:
    """Count the connections opened by all callers' instances, for every service that says how many it takes."""
    opened, least = np.zeros(len(fleet.names)), np.zeros(len(fleet.names))
    few = np.where(fleet.pool_tier == _DEGRADABLE, np.minimum(fleet.now, instances), instances)
    for caller, callee, each in _opening(fleet):
        opened[callee] += each * instances[fleet.pool[caller]]
        least[callee] += each * few[fleet.pool[caller]]
    return tuple(
        Connections(s, float(opened[s]), float(most), float(least[s]))
        for s, most in enumerate(fleet.max_connections)
        if np.isfinite(most)
    )


def _opening(fleet: Fleet) -> list[tuple[int, int, float]]:
    network = fleet.network
    return [
        (int(caller), int(callee), float(call.connections_per_instance))
        for caller, callee, call in zip(network.caller, network.callee, network.call, strict=True)
        if call.connections_per_instance
    ]


def size_within_connections(fleet: Fleet, size: Callable[[Fleet], Sized]) -> Sized:
    """Size such that no service gets more connections than it takes, where the promises can hold all the same.

    Where scaling out the callers opens too many, degradable callers are held back first, whose limits turn the rest
    away, and then all of them in proportion to what they would add. Where a promise breaks by that, the sizing without
    it is taken: the plan then is infeasible for the connections, and says so.

    Parameters
    ----------
    fleet : Fleet
    size : callable
        Gives the sizing of a fleet; it is asked again with lower quotas.
    """
    found = size(fleet)
    for tiers in ((_DEGRADABLE,), tuple(range(len(TIERS)))):
        held = hold_callers(fleet, found.instances, tiers=tiers)
        if held is None:
            return found
        other = size(replace(fleet, quota=np.minimum(fleet.quota, held)))
        crowded = any(c.opened > c.most for c in count_connections(fleet, other.instances))
        if not crowded and _as_good(other, found):
            return other
    return found


def hold_callers(fleet: Fleet, instances: Ints, *, tiers: tuple[int, ...]) -> Ints | None:
    """Most instances of each pool with which every service's connections suffice, (p,); None where they do anyway.

    Pools of ``tiers`` give up the same share of what they would add to today's instances.
    """
    crowded = [c for c in count_connections(fleet, instances) if c.opened > c.most]
    if not crowded:
        return None
    held = instances.astype(float)
    extra = np.where(np.isin(fleet.pool_tier, tiers), np.maximum(instances - fleet.now, 0), 0)
    opening = _opening(fleet)
    for found in crowded:
        each: Floats = np.zeros(len(fleet.pools))
        for caller, callee, count in opening:
            if callee == found.position:
                each[fleet.pool[caller]] += count
        adds = float((each * extra).sum())
        share = min((found.opened - found.most) / adds, 1.0) if adds > 0 else 1.0
        held = np.minimum(held, np.where(each > 0, instances - np.ceil(share * extra), np.inf))
    return np.asarray(np.maximum(held, fleet.now), dtype=np.int64)


def _as_good(other: Sized, found: Sized) -> bool:
    """Whether every promise that held still holds."""
    return all(
        a is None or b is None or a.holds or not b.holds for a, b in zip(other.promises, found.promises, strict=True)
    )
