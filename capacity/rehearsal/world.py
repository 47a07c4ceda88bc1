"""The static side of a rehearsal: services by level, capacities, guards, calls."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from capacity.plan.network import Network
from capacity.plan.sharing import Sharing
from capacity.plan.sizing import Bools, Floats, Ints

Precision = type[np.floating[Any]]
"""Number type of a simulator's state."""

DEFAULT_TIMEOUT_S = 1.0
BURST_S = 0.1  # without a burst in the plan, a bucket holds so many seconds of its limit: short beside usual timeouts


@dataclass(frozen=True)
class Rung:
    """A feature that is switched off: in its planned window, or when a service gets too much.

    Attributes
    ----------
    name : str
    edges : ndarray
        The calls that stop.
    watch : int
        Service that is watched.
    above_qps, for_s, takes_s : float
        More than so much for so long pulls the switch, which works after so long; infinite: never.
    below_qps, calm_s : float
        Less than so much for so long puts it back, later rungs first.
    window_s : tuple of float or None
        Off from the first to the second moment, in seconds after the start, as planned; None where not planned.
    """

    name: str
    edges: Ints
    watch: int
    above_qps: float
    for_s: float
    takes_s: float
    below_qps: float = 0.0
    calm_s: float = 600.0
    window_s: tuple[float, float] | None = None

    @property
    def planned(self) -> bool:
        """Whether it is off by the calendar rather than by its trigger."""
        return self.window_s is not None


@dataclass(frozen=True)
class Guards:
    """Every limit that is enforced; infinite where there is none.

    Attributes
    ----------
    cluster_qps, cluster_burst : ndarray (s,)
        Rate and bucket of what a service admits as a whole.
    instance_qps, instance_burst : ndarray (s,)
        The same of a single instance; see `capacity.rehearsal.buckets` for how they bind under skew.
    key_qps, key_share : ndarray (s,)
        What one key may take, and the hottest key's share of the requests.
    edge_qps, edge_burst : ndarray (edge,)
        Of one caller's calls to one callee, retries included.
    budget_qps : ndarray (edge,)
        Retries that a caller may send a callee; NaN where the plan says none.
    frail : ndarray (s,)
        Services whose limiter fails when the script says that limiters do.
    skew : float
        The fullest third of the instances gets (1 + skew) times the mean, the emptiest third (1 − skew) times.
    wobble : bool
        Whether each instance's share of a second's requests also varies as a multinomial count does.
    """

    cluster_qps: Floats
    cluster_burst: Floats
    instance_qps: Floats
    instance_burst: Floats
    key_qps: Floats
    key_share: Floats
    edge_qps: Floats
    edge_burst: Floats
    budget_qps: Floats
    frail: Bools
    skew: float = 0.0
    wobble: bool = True

    @classmethod
    def none(cls, size: int, edges: int) -> "Guards":
        """Return guards that let everything through."""
        free, open_edges = np.full(size, np.inf), np.full(edges, np.inf)
        return cls(
            cluster_qps=free, cluster_burst=free, instance_qps=free, instance_burst=free, key_qps=free,
            key_share=np.zeros(size), edge_qps=open_edges, edge_burst=open_edges, budget_qps=np.full(edges, np.nan),
            frail=np.ones(size, dtype=bool),
        )  # fmt: skip

    def with_cluster(self, limit_qps: Floats, burst: Floats | None = None) -> "Guards":
        """Return the same with other cluster limits, their buckets `BURST_S` of them where not given."""
        return replace(self, cluster_qps=limit_qps, cluster_burst=limit_qps * BURST_S if burst is None else burst)


@dataclass(frozen=True)
class World:
    """Everything that does not change while a rehearsal runs; axis ``path`` is the sampled futures.

    Attributes
    ----------
    network : Network
        With the retries that callers make and the calls behind cold caches, as this rehearsal's faults have them.
    levels : tuple of ndarray
        Services that can be handled together, callers before callees.
    unit_qps : ndarray (path, s)
        Capacity of one instance; NaN where unknown or fixed.
    fixed_qps : ndarray (s,)
        Capacity that instances do not change, infinite where there is none.
    key_roof_qps : ndarray (s,)
        Rate at which the hottest key gets more than one key can take, infinite where there is none.
    pool : ndarray (s,)
    sharing : Sharing
        Of the pools whose instances share something, in these futures.
    entries : ndarray
        Services that get the external arrivals, in their order.
    guards : Guards
    timeout_s : ndarray (s,)
        The shortest timeout of the calls to each service.
    max_delay_s : ndarray (s,)
        Of the queued calls to it; infinite where there are none.
    core : ndarray (s,)
    rungs : tuple of Rung
        In the order in which they are used.
    """

    network: Network
    levels: tuple[Ints, ...]
    unit_qps: Floats
    fixed_qps: Floats
    key_roof_qps: Floats
    pool: Ints
    sharing: Sharing
    entries: Ints
    guards: Guards
    timeout_s: Floats
    max_delay_s: Floats
    core: Bools
    rungs: tuple[Rung, ...] = field(default=())

    def of_paths(self, rows: Ints) -> "World":
        """Keep some futures."""
        return replace(self, unit_qps=self.unit_qps[rows], sharing=self.sharing.of_samples(rows))


def sort_levels(network: Network) -> tuple[Ints, ...]:
    """Group services by their longest way from a service that nobody calls."""
    level = np.zeros(network.size, dtype=np.int64)
    for _ in range(network.size + 1):
        deeper = level.copy()
        np.maximum.at(deeper, network.callee, level[network.caller] + 1)
        if np.array_equal(deeper, level):
            break
        level = deeper
    return tuple(np.flatnonzero(level == k) for k in range(int(level.max(initial=0)) + 1))


def call_timeouts(network: Network) -> Floats:
    """Shortest timeout of the synchronous calls to each service."""
    out = np.full(network.size, np.inf)
    for edge, call in enumerate(network.call):
        if call.timeout_ms is not None and not network.queued[edge]:
            at = int(network.callee[edge])
            out[at] = min(out[at], call.timeout_ms / 1000.0)
    return np.where(np.isfinite(out), out, DEFAULT_TIMEOUT_S)


def queue_delays(network: Network) -> Floats:
    """Shortest delay that queued calls to each service allow; infinite where nothing is queued."""
    out = np.full(network.size, np.inf)
    for edge, call in enumerate(network.call):
        if network.queued[edge]:
            at = int(network.callee[edge])
            out[at] = min(out[at], max(call.max_delay_s, 1.0))
    return out
