"""The plan's numbers: degradation, instances, limits and probabilities, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from capacity.plan.connections import Sized, size_within_connections
from capacity.plan.degradation import Feature, read_features
from capacity.plan.digest import Digest, digest
from capacity.plan.fleet import (
    Fleet,
    Offered,
    beyond_repair,
    low_capacity,
    most_pool_use,
    pool_load,
    pool_overloaded,
)
from capacity.plan.guard import SAFE_QUANTILE, Guard, read_guard
from capacity.plan.limits import Limits
from capacity.plan.options import Options, weigh
from capacity.plan.promise import Promise, keep_promise
from capacity.plan.relief import Relief, plan_relief
from capacity.plan.sizing import (
    Bools,
    Floats,
    Ints,
    Sizing,
    allowed_samples,
    instances_for,
    needed_survivors,
    survivors,
)
from capacity.plan.strain import read_strain
from capacity.plan.turned_away import rejected_fraction

if TYPE_CHECKING:
    from capacity.settings import Risk

DEGRADABLE_QUANTILE = 0.5  # degradable services are sized for their typical future; limits cut the rest
FRONTIER_PROBABILITY = 0.5  # largest at which the price of the core promise is told
RELIEF_PART = 0.9  # of the futures that may be lost: what degradation may use up


@dataclass(frozen=True)
class Decided:
    """All numbers of a plan.

    Attributes
    ----------
    fleet : Fleet
    offered, undegraded : Offered
        Load with the planned features off, and as it would be.
    features, planned : tuple of Feature
        All that could be switched off; those that are planned off.
    relief : Relief
        When they are off, and what that mends.
    instances, surviving : ndarray (p,)
    needed_by_phase : ndarray (phase, p)
        Instances of each phase that keep the same futures; never fewer than run today.
    used : ndarray (sample, p)
        Most work over the phases, in instances' worth at the policy's ceiling.
    most_qps : ndarray (sample, s)
        Most load over the phases that has to be carried at once.
    bare_need : ndarray (p,)
        Instances that would do, were those of today not there.
    core, non_core : Promise or None
        None where there is no such pool.
    overloaded : ndarray (sample, s)
        At the capacity at the SLO, without the policy's ceiling; False where nothing is known.
    core_probability, non_core_probability, total_probability : float
    guard : Guard
        What the limits protect and whom they serve.
    limits : Limits
    safe_qps : ndarray (s,)
        What each service could take alone, at the low quantile of its capacity after the loss.
    rejected : ndarray (sample, s)
    entry : ndarray (s,)
    ceiling : float
        Share of the capacity at the SLO that the plan may use.
    """

    fleet: Fleet
    offered: Offered
    undegraded: Offered
    features: tuple[Feature, ...]
    planned: tuple[Feature, ...]
    relief: Relief
    instances: Ints
    surviving: Ints
    needed_by_phase: Ints
    used: Floats
    most_qps: Floats
    bare_need: Ints
    core: Promise | None
    non_core: Promise | None
    overloaded: Bools
    core_probability: float
    non_core_probability: float
    total_probability: float
    guard: Guard
    limits: Limits
    safe_qps: Floats
    rejected: Floats
    entry: Bools
    ceiling: float

    @cached_property
    def options(self) -> Options:
        """What would be with other instance counts."""
        return weigh(self)

    @cached_property
    def typical_qps(self) -> Floats:
        """Median worst second of each phase, (phase, s)."""
        return np.asarray(np.median(self.offered.peak_qps, axis=0))

    @cached_property
    def digest(self) -> Digest:
        """Quantiles and shares of all services."""
        return digest(self)


def decide(
    fleet: Fleet,
    offered: Offered,
    *,
    risk: "Risk",
    entries: Sequence[int],
    transaction: Ints,
    per_order: Floats | None = None,
    relief: Relief | None = None,
) -> Decided:
    """Decide everything of a plan that is a number.

    Parameters
    ----------
    fleet : Fleet
    offered : Offered
        Load without degradation.
    risk : Risk
    entries : sequence of int
        Services with traffic from outside.
    transaction : ndarray
        Services that count transactions.
    per_order : ndarray, optional
        Requests to each of them that make one order; 1 when left out.
    relief : Relief, optional
        What is planned off; chosen when left out.
    """
    undegraded = offered
    features = read_features(fleet.network)
    relief = choose_relief(fleet, offered, features, risk=risk) if relief is None else relief
    offered = relief.degrade(offered)
    most = offered.most()
    beyond = beyond_repair(fleet, most)
    used = most_pool_use(fleet, offered, ceiling=risk.utilization_ceiling)
    load = fleet.sharing.needed(used)
    sized = size_within_connections(fleet, partial(_size, load=load, beyond=beyond, risk=risk))
    surviving, instances, kept, promises = sized
    bare = _by_phase(fleet, offered, kept, instances, ceiling=risk.utilization_ceiling)
    needed = np.maximum(bare, fleet.now)
    overloaded = find_overloads(fleet, used * risk.utilization_ceiling, surviving, beyond=beyond)
    probability = [_honest(overloaded[:, fleet.tier == t], promises[t], kept[t]) for t in (0, 1)]
    total = min(float(overloaded.any(axis=1).mean()) + sum(p - c for p, c in probability), 1.0)
    safe = safe_capacity(fleet, surviving, ceiling=risk.utilization_ceiling)
    entry = _entries(fleet, entries)
    orders = np.ones(len(transaction)) if per_order is None else per_order
    guard = read_guard(
        fleet, offered, safe, _serving(surviving), networks=relief.networks(fleet.network),
        entry=entry, transaction=transaction, per_order=orders, ceiling=risk.utilization_ceiling,
    )  # fmt: skip
    limits = guard.limits(fleet.network)
    return Decided(
        fleet=fleet,
        offered=offered,
        undegraded=undegraded,
        features=features,
        planned=relief.off,
        relief=relief,
        instances=instances,
        surviving=surviving,
        needed_by_phase=needed,
        used=used,
        most_qps=most,
        bare_need=bare.max(axis=0),
        core=promises[0],
        non_core=promises[1],
        overloaded=overloaded,
        core_probability=probability[0][0],
        non_core_probability=probability[1][0],
        total_probability=max(total, probability[0][0], probability[1][0]),
        guard=guard,
        limits=limits,
        safe_qps=safe,
        rejected=worst_rejected(fleet, offered, limits, np.flatnonzero(entry), relief=relief),
        entry=entry,
        ceiling=risk.utilization_ceiling,
    )


def choose_relief(fleet: Fleet, offered: Offered, features: tuple[Feature, ...], *, risk: "Risk") -> Relief:
    """Choose the features to switch off because core services exceed what no instance mends."""
    # Room is left for what the choice of instances may lose, as where a capacity is asked for.
    allowed = int(RELIEF_PART * allowed_samples(risk.overload_probability, len(offered.peak_qps)))
    typical = np.median(offered.peak_qps, axis=0).max(axis=0)
    return plan_relief(read_strain(fleet, offered), features, typical=typical, allowed=allowed)


def _size(fleet: Fleet, *, load: Floats, beyond: Bools, risk: "Risk") -> Sized:
    """Whole instances of every pool; the futures each tier's promise covers; the promises themselves."""
    surviving = survivors(fleet.now, fleet.zones, fleet.losses)
    instances = fleet.now.copy()
    promises: list[Promise | None] = []
    kept: list[Bools] = []
    for tier, probability in ((0, risk.overload_probability), (1, risk.non_core_overload_probability)):
        anyway = np.asarray(beyond[:, fleet.tier == tier].any(axis=1), dtype=bool)
        at = np.flatnonzero((fleet.pool_tier == tier) & fleet.sized)
        promise = None
        if len(at):
            promise = keep_promise(
                load[:, at],
                fleet.cost[at],
                probability=probability,
                zones=fleet.zones[at],
                losses=fleet.losses[at],
                floor=fleet.now[at],
                quota=fleet.quota[at],
                lost_anyway=anyway,
                largest_probability=FRONTIER_PROBABILITY if tier == 0 else 0.0,
            )
            surviving[at], instances[at] = promise.sizing.surviving, promise.sizing.instances
        promises.append(promise)
        kept.append(promise.sizing.kept if promise else ~anyway)
    at = np.flatnonzero((fleet.pool_tier == 2) & fleet.sized)
    wanted = needed_survivors(np.quantile(load[:, at], DEGRADABLE_QUANTILE, axis=0))
    grown = np.minimum(instances_for(wanted, fleet.zones[at], fleet.losses[at]), fleet.quota[at])
    instances[at] = np.maximum(grown, instances[at])
    surviving[at] = survivors(instances[at], fleet.zones[at], fleet.losses[at])
    surviving = np.maximum(surviving, survivors(instances, fleet.zones, fleet.losses))
    return Sized(surviving, instances, kept, promises)


def _by_phase(fleet: Fleet, offered: Offered, kept: list[Bools], instances: Ints, *, ceiling: float) -> Ints:
    """Instances that each phase needs so that the same futures stay covered, (phase, p)."""
    out = []
    for load in offered.phases():
        need = pool_load(fleet, load, ceiling=ceiling)
        level = np.zeros(len(fleet.pools), dtype=np.int64)
        for tier in (0, 1):
            at = fleet.pool_tier == tier
            if kept[tier].any():
                level[at] = needed_survivors(need[np.ix_(kept[tier], at)]).max(axis=0, initial=0)
            else:
                level[at] = survivors(instances, fleet.zones, fleet.losses)[at]
        at = fleet.pool_tier == 2
        level[at] = needed_survivors(np.quantile(need[:, at], DEGRADABLE_QUANTILE, axis=0))
        out.append(np.minimum(instances_for(level, fleet.zones, fleet.losses), instances))
    return np.array(out, dtype=np.int64)


def find_overloads(fleet: Fleet, used: Floats, surviving: Ints, *, beyond: Bools) -> Bools:
    """Futures in which a service is overloaded: its pool's work (sample, p) is too much, or it is beyond repair."""
    pools = pool_overloaded(fleet, used, surviving)
    return np.where(fleet.is_fixed | ~fleet.is_known, False, pools[:, fleet.pool]) | beyond


def _honest(overloaded: Bools, promise: Promise | None, kept: Bools) -> tuple[float, float]:
    """Share of futures with an overload, with the optimism of the choice added; and the bare count."""
    counted = float(overloaded.any(axis=1).mean()) if overloaded.size else 0.0
    optimism = max(promise.overload_probability - float((~kept).mean()), 0.0) if promise else 0.0
    return min(counted + optimism, 1.0), counted


def safe_capacity(fleet: Fleet, surviving: Ints, *, ceiling: float) -> Floats:
    """Compute what each service takes alone, in requests/s, with 95 % probability after the loss; infinite unknown."""
    low = low_capacity(fleet, _serving(surviving), quantile=SAFE_QUANTILE) if len(fleet.capacity) else fleet.fixed_qps
    scaled = np.where(np.isfinite(low), low, np.inf)
    own = np.where(fleet.is_fixed, fleet.fixed_qps, scaled)
    return np.asarray(np.fmin(own, fleet.roof_qps) * ceiling, dtype=float)


def _serving(surviving: Ints) -> Ints:
    """Surviving instances; a limit of nothing would turn away what one instance can take."""
    return np.maximum(surviving, 1)


def _entries(fleet: Fleet, entries: Sequence[int]) -> Bools:
    """Entries as forecast, and whatever nobody calls."""
    entry = np.ones(len(fleet.names), dtype=bool)
    entry[fleet.network.callee] = False
    entry[list(entries)] = True
    return entry


def worst_rejected(
    fleet: Fleet, offered: Offered, limits: Limits, entries: Ints, *, relief: Relief | None = None
) -> Floats:
    """Largest share turned away in the worst second of any phase, (sample, s)."""
    worst = np.zeros((len(offered.peak_qps), len(fleet.names)))
    networks = (fleet.network,) * offered.peak_qps.shape[1] if relief is None else relief.networks(fleet.network)
    for network, load in zip(networks, offered.phases(), strict=True):
        np.maximum(worst, rejected_fraction(network, load, limits.cluster_qps, entries), out=worst)
    return worst


def sizing_of(decided: Decided, pool: int) -> Sizing | None:
    """Return the joint sizing that a pool is part of."""
    tier = int(decided.fleet.pool_tier[pool])
    promise = (decided.core, decided.non_core, None)[tier]
    return promise.sizing if promise else None
