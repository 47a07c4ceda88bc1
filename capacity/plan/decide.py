"""The plan's numbers: degradation, instances, limits and probabilities, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from capacity.plan.connections import Sized, size_within_connections
from capacity.plan.degradation import Feature, choose_planned, read_features, shed
from capacity.plan.digest import Digest, digest
from capacity.plan.fleet import (
    Fleet,
    Offered,
    beyond_repair,
    low_capacity,
    most_pool_load,
    most_pool_use,
    pool_load,
    pool_overloaded,
)
from capacity.plan.limits import Limits, Rows, allocate
from capacity.plan.network import Matrix, injection, reach
from capacity.plan.options import Options, weigh
from capacity.plan.promise import Promise, keep_promise
from capacity.plan.sizing import (
    Bools,
    Floats,
    Ints,
    Sizing,
    instances_for,
    needed_survivors,
    survivors,
)
from capacity.plan.turned_away import external_qps, rejected_fraction

if TYPE_CHECKING:
    from capacity.settings import Risk

SAFE_QUANTILE = 0.05  # limits protect what a service can take with 95 % probability
DEGRADABLE_QUANTILE = 0.5  # degradable services are sized for their typical future; limits cut the rest
FRONTIER_PROBABILITY = 0.5  # largest at which the price of the core promise is told
LIMIT_DEMAND_QUANTILE = 0.95  # demand that limits try to admit before they share what is left


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


def decide(fleet: Fleet, offered: Offered, *, risk: "Risk", entries: Sequence[int], transaction: Ints) -> Decided:
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
        Services one request to which is one transaction.
    """
    undegraded = offered
    features = read_features(fleet.network)
    planned = _plan_degradation(fleet, offered, features, allowed=risk.overload_probability)
    if planned:
        offered = replace(offered, peak_qps=shed(offered.peak_qps, planned))
    most = offered.most()
    beyond = beyond_repair(fleet, most)
    used = most_pool_use(fleet, offered, ceiling=risk.utilization_ceiling)
    load = fleet.sharing.needed(used)
    sized = size_within_connections(fleet, partial(_size, load=load, beyond=beyond, risk=risk))
    surviving, instances, kept, promises = sized
    bare = _by_phase(fleet, offered, kept, instances, ceiling=risk.utilization_ceiling)
    needed = np.maximum(bare, fleet.now)
    pool_over = pool_overloaded(fleet, used * risk.utilization_ceiling, surviving)
    overloaded = np.where(fleet.is_fixed | ~fleet.is_known, False, pool_over[:, fleet.pool]) | beyond
    probability = [_honest(overloaded[:, fleet.tier == t], promises[t], kept[t]) for t in (0, 1)]
    total = min(float(overloaded.any(axis=1).mean()) + sum(p - c for p, c in probability), 1.0)
    safe = safe_capacity(fleet, surviving, ceiling=risk.utilization_ceiling)
    entry = _entries(fleet, entries)
    limits = _limits(fleet, offered, safe, surviving, entry=entry, transaction=transaction, risk=risk)
    return Decided(
        fleet=fleet,
        offered=offered,
        undegraded=undegraded,
        features=features,
        planned=planned,
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
        limits=limits,
        safe_qps=safe,
        rejected=_rejected(fleet, offered, limits, np.flatnonzero(entry)),
        entry=entry,
        ceiling=risk.utilization_ceiling,
    )


def _plan_degradation(
    fleet: Fleet, offered: Offered, features: tuple[Feature, ...], *, allowed: float
) -> tuple[Feature, ...]:
    """Features to switch off because core services exceed what no instance mends."""
    most = survivors(np.minimum(fleet.quota, 10**15), fleet.zones, fleet.losses)
    core = fleet.tier == 0
    mine = (fleet.pool_tier == 0) & fleet.sized

    def distress(off: Sequence[Feature]) -> tuple[float, float]:
        load = replace(offered, peak_qps=shed(offered.peak_qps, off)) if off else offered
        roof = np.fmin(np.where(fleet.is_fixed, fleet.fixed_qps, np.inf), fleet.roof_qps)
        over = load.most()[:, core] / roof[core]
        pools = most_pool_load(fleet, load, ceiling=1.0)[:, mine] / np.maximum(most[mine], 1e-9)
        worst = np.maximum(over.max(axis=1, initial=0.0), pools.max(axis=1, initial=0.0))
        return float((worst > 1.0).mean()), float(np.minimum(np.maximum(worst - 1.0, 0.0), 1e3).mean())

    if not features:
        return ()
    typical = np.median(offered.peak_qps, axis=0).max(axis=0)
    return choose_planned(features, typical=typical, distress=distress, allowed=allowed)


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


def _limits(
    fleet: Fleet, offered: Offered, safe: Floats, surviving: Ints, *, entry: Bools, transaction: Ints, risk: "Risk"
) -> Limits:
    whole = low_capacity(fleet, _serving(surviving), quantile=SAFE_QUANTILE) * risk.utilization_ceiling
    pooled = np.where(np.isfinite(whole) & ~fleet.is_fixed, whole, np.inf)
    single = np.where(fleet.is_fixed | np.isfinite(fleet.roof_qps), safe, np.inf)
    rows = Rows.build(single, pool=fleet.pool, pooled=pooled)
    outside = np.zeros(offered.peak_qps[:, 0].shape)
    for phase in range(offered.peak_qps.shape[1]):
        np.maximum(outside, external_qps(fleet.network, offered.peak_qps[:, phase]), out=outside)
    demand: Floats = np.asarray(np.quantile(outside, LIMIT_DEMAND_QUANTILE, axis=0), dtype=float)
    worth = np.zeros(len(fleet.names))
    if len(transaction):
        backwards = reach(injection(transaction, fleet.network.size), Matrix(fleet.network.matrix().T))
        worth = 10.0 * np.asarray(backwards.sum(axis=0), dtype=float).ravel()
    return allocate(
        fleet.network, rows, demand_qps=demand, entry=entry, core=fleet.tier == 0, value=np.minimum(worth, 100.0)
    )


def _rejected(fleet: Fleet, offered: Offered, limits: Limits, entries: Ints) -> Floats:
    """Largest share turned away in the worst second of any phase, (sample, s)."""
    worst = np.zeros((len(offered.peak_qps), len(fleet.names)))
    for load in offered.phases():
        np.maximum(worst, rejected_fraction(fleet.network, load, limits.cluster_qps, entries), out=worst)
    return worst


def sizing_of(decided: Decided, pool: int) -> Sizing | None:
    """Return the joint sizing that a pool is part of."""
    tier = int(decided.fleet.pool_tier[pool])
    promise = (decided.core, decided.non_core, None)[tier]
    return promise.sizing if promise else None
