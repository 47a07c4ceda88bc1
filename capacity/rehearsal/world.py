"""The static side of a rehearsal: services by level, capacities, limits, calls."""

from dataclasses import dataclass

import numpy as np

from capacity.plan.network import Network
from capacity.plan.sharing import Sharing
from capacity.plan.sizing import Bools, Floats, Ints

DEFAULT_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Rung:
    """A feature that is switched off when a service gets too much.

    Attributes
    ----------
    caller, callee, calls : ndarray
        The calls that stop.
    watch : int
        Service that is watched.
    above_qps, for_s, takes_s : float
    planned : bool
        Off from the beginning.
    """

    name: str
    caller: Ints
    callee: Ints
    calls: Floats
    watch: int
    above_qps: float
    for_s: float
    takes_s: float
    planned: bool


@dataclass(frozen=True)
class World:
    """Everything that does not change while a rehearsal runs; axis ``path`` is the sampled futures.

    Attributes
    ----------
    network : Network
    order : ndarray (s,)
        Services so that callers come before callees.
    levels : tuple of ndarray
        Services that can be handled together, in that order.
    unit_qps : ndarray (path, s)
        Capacity of one instance; NaN where unknown or fixed.
    fixed_qps : ndarray (s,)
        Capacity that instances do not change, infinite where there is none; hot keys included.
    pool : ndarray (s,)
    sharing : Sharing
        Of the pools whose instances share something, in these futures.
    entries : ndarray
        Services that get the external arrivals, in their order.
    limit_qps : ndarray (s,)
    timeout_s, retries : ndarray (s,)
        Of the calls to each service: the shortest timeout, and mean retries by rate.
    max_delay_s : ndarray (s,)
        Of the queued calls to it; infinite where there are none.
    core : ndarray (s,)
    rungs : tuple of Rung
    """

    network: Network
    levels: tuple[Ints, ...]
    unit_qps: Floats
    fixed_qps: Floats
    pool: Ints
    sharing: Sharing
    entries: Ints
    limit_qps: Floats
    timeout_s: Floats
    retries: Floats
    max_delay_s: Floats
    core: Bools
    rungs: tuple[Rung, ...] = ()


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


def mean_retries(network: Network, *, least: int = 0) -> Floats:
    """Retries of the synchronous calls to each service, weighted by calls."""
    sync = ~network.queued
    weight = np.bincount(network.callee[sync], network.calls[sync], minlength=network.size)
    retries = np.maximum(network.retries, least)[sync] * network.calls[sync]
    total = np.bincount(network.callee[sync], retries, minlength=network.size)
    return np.divide(total, weight, out=np.zeros(network.size), where=weight > 0)


def queue_delays(network: Network) -> Floats:
    """Shortest delay that queued calls to each service allow; infinite where nothing is queued."""
    out = np.full(network.size, np.inf)
    for edge, call in enumerate(network.call):
        if network.queued[edge]:
            at = int(network.callee[edge])
            out[at] = min(out[at], max(call.max_delay_s, 1.0))
    return out
