"""Everything the plan's cores need of a catalogue, its peaks and its curves, as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from capacity.plan.network import Network, read_network
from capacity.plan.sharing import Sharing, read_sharing
from capacity.plan.sizing import Bools, Floats, Ints, effective_losses, needed_survivors

if TYPE_CHECKING:
    from capacity.catalog import Catalog, Service
    from capacity.saturation import Curves

TIERS = ("core", "non_core", "degradable")
NO_QUOTA = 10**12


@dataclass(frozen=True)
class Fleet:
    """Services (axis ``s``) and the pools of instances they run on (axis ``p``).

    Attributes
    ----------
    names, pools : tuple of str
        Services in the catalogue's order; names of the pools' hosts.
    tier, pool : ndarray (s,)
        0 core, 1 non-core, 2 degradable; position of the service's pool.
    pool_tier : ndarray (p,)
        The strictest tier among the services of the pool.
    fixed_qps : ndarray (s,)
        Total capacity of what cannot be scaled; NaN where instances decide.
    roof_qps : ndarray (s,)
        Rate that no number of instances lifts: the catalogue's ``max_qps``, and where the hottest key
        reaches what one key can take; infinite where there is none.
    key_qps : ndarray (s,)
        What one key can take; NaN unknown.
    third_party : ndarray (s,)
    max_connections : ndarray (s,)
        Infinite where not given.
    now, zones, losses, quota, cost, startup_s : ndarray (p,)
        As in the catalogue, defaults filled in.
    capacity : ndarray (sample, s)
        Requests per second of one instance at its SLO; NaN unknown.
    network : Network
    sharing : Sharing
        Curves of the fleets that were tested at several sizes.
    """

    names: tuple[str, ...]
    pools: tuple[str, ...]
    tier: Ints
    pool: Ints
    pool_tier: Ints
    fixed_qps: Floats
    roof_qps: Floats
    key_qps: Floats
    third_party: Bools
    scalable: Bools
    now: Ints
    zones: Ints
    losses: Ints
    quota: Ints
    cost: Floats
    startup_s: Floats
    max_connections: Floats
    capacity: Floats
    network: Network
    sharing: Sharing

    @cached_property
    def is_fixed(self) -> Bools:
        """Services whose capacity no instance changes."""
        return np.isfinite(self.fixed_qps)

    @cached_property
    def is_known(self) -> Bools:
        """Services of which a capacity is known at all."""
        return self.is_fixed | np.isfinite(self.capacity).all(axis=0)

    @cached_property
    def is_held_by_sharing(self) -> Bools:
        """Pools of which no more may run because what they share would cost more than they bring."""
        held = np.zeros(len(self.pools), dtype=bool)
        held[self.sharing.pool] = self.quota[self.sharing.pool] <= np.maximum(
            self.sharing.most, self.now[self.sharing.pool]
        )
        return held

    @cached_property
    def sized(self) -> Bools:
        """Pools whose instances carry at least one service that is not fixed."""
        sized = np.zeros(len(self.pools), dtype=bool)
        sized[self.pool[~self.is_fixed]] = True
        return sized


def read_fleet(catalog: "Catalog", curves: "Curves", *, zone_losses: int) -> Fleet:
    """Bring curves into the catalogue's order."""
    names = tuple(catalog.names)
    services = [catalog[name] for name in names]
    hosts = [catalog.pool_of(name) for name in names]
    pools = tuple(dict.fromkeys(hosts))
    place = {host: i for i, host in enumerate(pools)}
    pool = np.array([place[h] for h in hosts], dtype=np.int64)
    tier = np.array([TIERS.index(s.tier) for s in services], dtype=np.int64)
    pool_tier = np.full(len(pools), len(TIERS) - 1, dtype=np.int64)
    np.minimum.at(pool_tier, pool, tier)
    owners = [catalog[host] for host in pools]
    now = np.array([o.instances for o in owners], dtype=np.int64)
    zones = np.array([o.zones for o in owners], dtype=np.int64)
    scalable = np.array([not o.is_fixed for o in owners])
    quota = np.array([NO_QUOTA if o.max_instances is None else o.max_instances for o in owners], dtype=np.int64)
    quota = np.where(scalable, np.maximum(quota, now), now)
    sharing = read_sharing(catalog, curves, pools=place)
    # More instances than that would take less: they are no way to more capacity.
    quota[sharing.pool] = np.maximum(np.minimum(quota[sharing.pool], sharing.most), now[sharing.pool])
    return Fleet(
        names=names,
        pools=pools,
        tier=tier,
        pool=pool,
        pool_tier=pool_tier,
        fixed_qps=_fixed(services, curves),
        roof_qps=np.array([_roof(s) for s in services], dtype=float),
        key_qps=np.array([s.hot_key.max_qps if s.hot_key else np.nan for s in services], dtype=float),
        third_party=np.array([s.third_party for s in services]),
        scalable=scalable,
        now=now,
        zones=zones,
        losses=effective_losses(zones, zone_losses),
        quota=quota,
        cost=np.array([o.instance_cost for o in owners], dtype=float),
        startup_s=np.array([o.startup_s for o in owners], dtype=float),
        max_connections=np.array([np.inf if s.max_connections is None else s.max_connections for s in services]),
        capacity=_capacity(curves, names),
        network=read_network(catalog),
        sharing=sharing,
    )


def _fixed(services: "list[Service]", curves: "Curves") -> Floats:
    known = dict(curves.fixed_qps)
    values = [known.get(s.name, s.max_qps if s.is_fixed else None) for s in services]
    return np.array([np.nan if v is None else float(v) for v in values], dtype=float)


def _roof(service: "Service") -> float:
    """Roof of services that are scaled; a fixed one's ``max_qps`` is its capacity already."""
    key = service.hot_key
    roof = key.max_qps / key.top_share if key is not None else np.inf
    return min(roof, np.inf if service.is_fixed or service.max_qps is None else service.max_qps)


def _capacity(curves: "Curves", names: tuple[str, ...]) -> Floats:
    """Positive and finite, or NaN: an infinite or negative capacity is not a known one."""
    column = {name: i for i, name in enumerate(curves.services)}
    values = np.asarray(curves.instance_capacity_qps.values, dtype=float)
    out = np.full((len(values), len(names)), np.nan)
    at = [(i, column[name]) for i, name in enumerate(names) if name in column]
    if at:
        here, there = np.array(at).T
        out[:, here] = values[:, there]
    return np.where(np.isfinite(out) & (out > 0), out, np.nan)


@dataclass(frozen=True)
class Offered:
    """Offered load, after planned degradation and before any limit.

    Attributes
    ----------
    peak_qps : ndarray (sample, phase, s)
        Rate of the worst second.
    smoothing : ndarray (s,)
        Share of it that has to be carried at once: below 1 where work may wait in a queue.
    """

    peak_qps: Floats
    smoothing: Floats

    def phases(self) -> Iterator[Floats]:
        """Load of each phase that has to be carried at once, (sample, s)."""
        for phase in range(self.peak_qps.shape[1]):
            yield self.peak_qps[:, phase, :] * self.smoothing

    def most(self) -> Floats:
        """Largest over the phases, (sample, s)."""
        most = None
        for load in self.phases():
            most = load if most is None else np.maximum(most, load)
        assert most is not None  # noqa: S101 - a promotion has at least one phase
        return most


def pool_use(fleet: Fleet, load: Floats, *, ceiling: float) -> Floats:
    """Instances' worth of work that ``load`` (sample, s) is to each pool; 0 where nothing is known.

    Services of one pool are counted together at the same instant: Σ λ / q.
    """
    scaled = ~fleet.is_fixed & fleet.is_known
    out = np.zeros((len(load), len(fleet.pools)))
    alone = np.bincount(fleet.pool[scaled], minlength=len(fleet.pools))
    at = np.flatnonzero(scaled)
    need = load[:, at] / (fleet.capacity[:, at] * ceiling)
    single = alone[fleet.pool[at]] == 1
    out[:, fleet.pool[at[single]]] = need[:, single]
    for column in np.flatnonzero(~single):
        out[:, fleet.pool[at[column]]] += need[:, column]
    return out


def pool_load(fleet: Fleet, load: Floats, *, ceiling: float) -> Floats:
    """Instances that each pool needs for ``load`` (sample, s), after the loss; more than its work where they share."""
    return fleet.sharing.needed(pool_use(fleet, load, ceiling=ceiling))


def most_pool_use(fleet: Fleet, offered: Offered, *, ceiling: float) -> Floats:
    """Most work over the phases, (sample, p)."""
    most = np.zeros((len(offered.peak_qps), len(fleet.pools)))
    for load in offered.phases():
        np.maximum(most, pool_use(fleet, load, ceiling=ceiling), out=most)
    return most


def most_pool_load(fleet: Fleet, offered: Offered, *, ceiling: float) -> Floats:
    """Largest need over the phases, (sample, p)."""
    return fleet.sharing.needed(most_pool_use(fleet, offered, ceiling=ceiling))


def pool_overloaded(fleet: Fleet, used: Floats, surviving: Ints) -> Bools:
    """Futures in which the work (sample, p) is more than the surviving instances (p,) are worth."""
    over = needed_survivors(used) > surviving
    at = fleet.sharing.pool
    over[:, at] = used[:, at] > fleet.sharing.worth(surviving)[:, at] * (1.0 + 1e-9)
    return over


def low_capacity(fleet: Fleet, serving: Ints, *, quantile: float) -> Floats:
    """Low quantile of what each service takes alone on its pool's serving instances (p,), (s,); NaN unknown."""
    low = np.quantile(fleet.capacity, quantile, axis=0) * serving[fleet.pool]
    at = np.flatnonzero(np.isin(fleet.pool, fleet.sharing.pool))
    if len(at):
        worth = fleet.sharing.worth(serving)[:, fleet.pool[at]]
        low[at] = np.quantile(fleet.capacity[:, at] * worth, quantile, axis=0)
    return np.asarray(low)


def beyond_repair(fleet: Fleet, most_qps: Floats) -> Bools:
    """Futures in which a service exceeds what no instance mends: its SLA, fixed capacity or hot key, (sample, s)."""
    roof = np.fmin(np.where(fleet.is_fixed, fleet.fixed_qps, np.inf), fleet.roof_qps)
    return np.asarray(most_qps > roof)
