"""Instances for a given number of orders a second: every future's load, brought to as many orders as are asked for."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from capacity.display.numbers import format_number, format_percent, format_qps
from capacity.plan.connections import count_connections
from capacity.plan.cost import is_ours
from capacity.plan.decide import DEGRADABLE_QUANTILE, Decided
from capacity.plan.promise import Promise, keep_promise
from capacity.plan.sizing import Bools, Floats, Ints, instances_for, needed_survivors, survivors

if TYPE_CHECKING:
    from capacity.settings import Risk

_ENDLESS = 10**15
_NAMED = 3
_FARTHEST = 2.0  # times the orders a second of 1 in 100 futures: as far as the curve is drawn
_HALVINGS = 40


@dataclass(frozen=True)
class Orders:
    """What each order a second asks of every pool, and in which futures it fits.

    Attributes
    ----------
    decided : Decided
    peak_tps : ndarray (sample,)
        Orders in the worst second, as forecast.
    work : ndarray (sample, p)
        Instances' worth of work per order a second.
    kept : tuple of ndarray (sample,)
        Futures that are covered, of the core and of the non-core tier.
    roof_tps : ndarray (sample,)
        Orders a second beyond which a core service exceeds what no instance mends, or its quota.
    end_tps : float or None
        Most orders a second for which the core promise can hold; None where nothing ends it.
    ends_because : tuple of str
    """

    decided: Decided
    peak_tps: Floats
    work: Floats
    kept: tuple[Bools, Bools]
    roof_tps: Floats
    end_tps: float | None
    ends_because: tuple[str, ...]

    @cached_property
    def _worst(self) -> Floats:
        """Work per order a second that has to be carried, of pools whose instances share nothing, (p,)."""
        fleet = self.decided.fleet
        worst = np.quantile(self.work, DEGRADABLE_QUANTILE, axis=0)
        for tier, kept in enumerate(self.kept):
            at = fleet.pool_tier == tier
            worst[at] = self.work[np.ix_(kept, at)].max(axis=0, initial=0.0)
        return np.asarray(worst, dtype=float)

    def instances(self, tps: float) -> Ints:
        """Instances for so many orders a second, (p,): never fewer than run today, never more than the quota."""
        fleet = self.decided.fleet
        load = self._worst * tps
        for p in fleet.sharing.pool:
            load[p] = self._shared(int(p), tps)
        wanted = instances_for(needed_survivors(load), fleet.zones, fleet.losses)
        return np.where(fleet.sized, np.maximum(np.minimum(wanted, fleet.quota), fleet.now), fleet.now)

    def _shared(self, pool: int, tps: float) -> float:
        fleet = self.decided.fleet
        used = np.zeros_like(self.work)
        used[:, pool] = self.work[:, pool] * tps
        need = fleet.sharing.needed(used)[:, pool]
        tier = int(fleet.pool_tier[pool])
        if tier == len(self.kept):
            return float(np.quantile(need, DEGRADABLE_QUANTILE))
        return float(need[self.kept[tier]].max(initial=0.0))

    def cost(self, tps: float) -> float:
        """Currency per hour of `instances`."""
        ours = is_ours(self.decided)
        return float((self.decided.fleet.cost * self.instances(tps))[ours].sum())


def read_orders(decided: Decided, peak_tps: Floats, *, risk: "Risk") -> tuple[Orders | None, list[str]]:
    """Bring every future to one order a second; None, and why, where that cannot be.

    Each future keeps its own mix, its own capacities and its own ratio of every service's worst second to orders; what
    is taken out is only how many orders come. Which futures are given up is chosen once, so more orders never need
    fewer instances.
    """
    tps = np.asarray(peak_tps, dtype=float)
    if tps.shape != (len(decided.used),) or not (np.isfinite(tps) & (tps > 0)).all():
        return None, ["peak orders a second are not known in every future: what more of them cost cannot be said"]
    fleet = decided.fleet
    work = decided.used / tps[:, None]
    reference = float(np.quantile(tps, 0.99))
    promises: list[Promise | None] = []
    for tier, probability in enumerate((risk.overload_probability, risk.non_core_overload_probability)):
        at = np.flatnonzero((fleet.pool_tier == tier) & fleet.sized)
        promise = None
        if len(at):
            promise = keep_promise(
                work[:, at] * reference, fleet.cost[at],
                probability=probability, zones=fleet.zones[at], losses=fleet.losses[at], thorough=False,
            )  # fmt: skip
        promises.append(promise)
    everything = np.ones(len(tps), dtype=bool)
    kept = tuple(everything if p is None else p.sizing.kept for p in promises)
    roof, named = _roofs(decided, tps, work)
    end, because = _end(roof, named, kept[0], promises[0], probability=risk.overload_probability)
    orders = Orders(decided, tps, work, (kept[0], kept[1]), roof, end, because)
    return _until_connections_end(orders, _FARTHEST * reference if end is None else end), []


def _until_connections_end(orders: Orders, farthest: float) -> Orders:
    """End where the instances open more connections than a service takes, if that comes before anything else."""
    fleet = orders.decided.fleet

    def crowded(tps: float) -> list[str]:
        found = count_connections(fleet, orders.instances(tps))
        return [
            f"{fleet.names[c.position]} takes {format_number(c.most)} connections" for c in found if c.opened > c.most
        ]

    if not crowded(farthest) or crowded(0.0):
        return orders
    low, high = 0.0, farthest
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if crowded(middle) else (middle, high)
    because = (
        f"beyond {format_number(low)} orders a second the callers' instances open too many connections: "
        f"{', '.join(crowded(high)[:_NAMED])}"
    )
    return replace(orders, end_tps=low, ends_because=(because,))


def _roofs(decided: Decided, tps: Floats, work: Floats) -> tuple[Floats, dict[str, Floats]]:
    """Orders a second that core services take whatever is run, in each future; and of each that ends below infinity."""
    fleet = decided.fleet
    core = np.flatnonzero(fleet.tier == 0)
    roof = np.fmin(np.where(fleet.is_fixed, fleet.fixed_qps, np.inf), fleet.roof_qps)
    named: dict[str, Floats] = {}
    lowest = np.full(len(tps), np.inf)
    ends = core[np.isfinite(roof[core])]
    load = decided.most_qps[:, ends]
    for column, s in enumerate(ends):
        named[f"{fleet.names[s]} takes {format_qps(float(roof[s]))}"] = _per_load(roof[s] * tps, load[:, column])
    top = survivors(np.minimum(fleet.quota, _ENDLESS), fleet.zones, fleet.losses)
    worth = fleet.sharing.worth(top)
    for p in np.flatnonzero((fleet.pool_tier == 0) & fleet.sized & (fleet.quota < _ENDLESS // 1000)):
        whose = "the quota of" if fleet.scalable[p] else "what runs of"
        served = np.broadcast_to(worth[:, p], len(tps))
        named[f"{whose} {fleet.pools[p]} is {int(fleet.quota[p])}"] = _per_load(served, work[:, p])
    for limit in named.values():
        np.minimum(lowest, limit, out=lowest)
    return lowest, named


def _per_load(served: Floats, load: Floats) -> Floats:
    """Divide; what gets nothing holds nothing down, even where nothing is there to serve it."""
    return np.asarray(np.divide(served, load, out=np.full(len(load), np.inf), where=load > 0))


def _end(
    roof: Floats,
    named: dict[str, Floats],
    kept: Bools,
    promise: Promise | None,
    *,
    probability: float,
) -> tuple[float | None, tuple[str, ...]]:
    """Largest rate at which as few futures are lost as the promise allows, and what holds it there."""
    optimism = promise.overload_probability - float((~kept).mean()) if promise is not None else 0.0
    allowed = int(np.floor(len(roof) * (probability - max(optimism, 0.0)) + 1e-9))
    spare = allowed - int((~kept).sum())
    open_roofs = np.sort(roof[kept])
    if spare < 0 or spare >= len(open_roofs) or not np.isfinite(open_roofs[spare]):
        return None, ()
    end = float(open_roofs[spare]) * (1.0 - 1e-9)
    share = {name: float((limit[kept] <= end * (1.0 + 1e-6)).mean()) for name, limit in named.items()}
    first = [name for name in sorted(share, key=lambda n: (-share[n], n)) if share[name] > 0][:_NAMED]
    because = (
        f"beyond {format_number(end)} orders a second core services hold in fewer than "
        f"{format_percent(1.0 - probability)} of futures whatever is run: {', '.join(first)}"
    )
    return end, (because,)


def carried_tps(decided: Decided, orders: Orders, *, risk: "Risk") -> float:
    """Most orders a second that the plan's own instances carry in as many futures as the core promise asks for."""
    fleet = decided.fleet
    at = np.flatnonzero((fleet.pool_tier == 0) & fleet.sized)
    worth = fleet.sharing.worth(decided.surviving)[:, at]
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(orders.work[:, at] > 0, worth / orders.work[:, at], np.inf).min(axis=1, initial=np.inf)
    fits = np.sort(np.minimum(own, orders.roof_tps))
    allowed = decided.core.allowed if decided.core is not None else int(risk.overload_probability * len(fits))
    return float(fits[min(allowed, len(fits) - 1)])
