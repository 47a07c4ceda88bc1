"""Cluster, edge and instance limits which no downstream can fall over, on plain arrays.

A vector of limits L is safe when every service can take all that its callers' limits let through:
Σ_c L_c · calls(c → d) · attempts ≤ L_d ≤ capacity_d. That is the same as L being the rates of some
admitted external flow x ≥ 0 through the graph, so the limits are found as flows: then no sum of limits
can push any service past its capacity, whatever the mix of requests.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from capacity.plan.linear import minimise
from capacity.plan.network import Matrix, Network, injection, reach
from capacity.plan.sizing import Bools, Floats, Ints

_SEGMENTS = 4  # pieces of a flow's utility: each further quarter of its demand is worth a little less
_FULL = 1e-9
_LARGEST = 2_000  # services up to which leftovers go inside the graph and every limit names what binds it


@dataclass(frozen=True)
class Rows:
    """Capacities that limits may not exceed: Σ_s use[r, s] · λ_s ≤ 1 for every row.

    Attributes
    ----------
    use : sparse array (row, s)
        Share of the row's capacity that one request per second takes.
    owner : ndarray (row,)
        The service that the row is named after.
    """

    use: Matrix
    owner: Ints

    @classmethod
    def build(cls, single_qps: ArrayLike, *, pool: Ints, pooled: Floats) -> "Rows":
        """Rows of services with a capacity of their own and of pools.

        Parameters
        ----------
        single_qps : array (s,)
            Total capacity of the service itself; infinite where it has no such bound.
        pool : ndarray (s,)
            Position of the service's pool.
        pooled : ndarray (s,)
            What the pool could serve if all its requests were this service's; infinite if unknown.
        """
        single = np.asarray(single_qps, dtype=float)
        own = np.flatnonzero(np.isfinite(single))
        members = np.flatnonzero(np.isfinite(pooled))
        hosts, row = np.unique(pool[members], return_inverse=True)
        i = np.concatenate([np.arange(len(own)), len(own) + row])
        j = np.concatenate([own, members])
        with np.errstate(divide="ignore"):
            v = 1.0 / np.maximum(np.concatenate([single[own], pooled[members]]), 1e-12)
        first = np.array([members[row == k][0] for k in range(len(hosts))], dtype=np.int64)
        shape = (len(own) + len(hosts), len(single))
        return cls(Matrix(sparse.coo_array((v, (i, j)), shape=shape)), np.concatenate([own, first]))


@dataclass(frozen=True)
class Limits:
    """What may be let through.

    Attributes
    ----------
    cluster_qps : ndarray (s,)
        All requests that a service may admit; infinite where no capacity is known that it could break.
    edge_qps : ndarray (edge,)
        Requests, retries included, that a caller may send a callee.
    limited_by : tuple of tuple of int
        Services whose capacity holds each limit down, the dearest first.
    """

    cluster_qps: Floats
    edge_qps: Floats
    limited_by: tuple[tuple[int, ...], ...]


def allocate(network: Network, rows: Rows, *, demand_qps: Floats, entry: Bools, core: Bools, value: Floats) -> Limits:
    """Share the capacities among the flows that enter the graph: core first, then value, then fairness.

    Parameters
    ----------
    network : Network
    rows : Rows
        The safe capacities.
    demand_qps : ndarray (s,)
        External rate wished for at each service; meaningful at entries.
    entry, core : ndarray (s,)
        Whether requests come from outside; whether they are core.
    value : ndarray (s,)
        Worth of one request at an entry relative to others, such as transactions per request.

    Returns
    -------
    Limits

    Notes
    -----
    Three linear programs in order (core entries up to their demand, other entries, then optional and
    queued calls), each with a concave utility so that scarce capacity is spread. What is left is shared by
    max-min filling: first among entries, then optional calls, then inside the graph, so that a limit is as
    high as it can be without endangering anyone. The utility of an optimum never falls when a capacity rises.
    """
    return _Allocation(network, rows, demand_qps=demand_qps, entry=entry, core=core, value=value).limits()


class _Allocation:
    """State of one `allocate` call: admitted flows x, at entries first and optional edges behind them."""

    def __init__(
        self, network: Network, rows: Rows, *, demand_qps: Floats, entry: Bools, core: Bools, value: Floats
    ) -> None:
        self.network, self.rows = network, rows
        self.entries = np.flatnonzero(entry)
        self.optional = np.flatnonzero(~network.binding)
        self.binding = network.matrix(only=network.binding, with_attempts=True)
        at = np.concatenate([self.entries, network.callee[self.optional]])
        self.through = reach(injection(at, network.size), self.binding)
        self.take = Matrix(self.through @ rows.use.T)
        self.rate = (network.calls * network.attempts)[self.optional]
        served = reach(injection(self.entries, network.size), network.matrix(with_attempts=True))
        wished = np.asarray(demand_qps, dtype=float)[self.entries]
        total = np.asarray(served.T @ wished).ravel()
        self.demand = np.concatenate([wished, self.rate * total[network.caller[self.optional]]])
        n = len(self.entries)
        self.is_entry = np.arange(len(at)) < n
        self.is_core = self.is_entry & np.concatenate([core[self.entries], np.zeros(len(at) - n, bool)])
        worth = np.ones(len(at))
        worth[:n] = 1.0 + np.asarray(value, dtype=float)[self.entries]
        self.worth = worth
        self.flow = np.zeros(len(at))
        self.dual = np.zeros(len(rows.owner))
        self.stopped = np.full(len(at), -1)

    @cached_property
    def inner(self) -> Matrix:
        """What one request at each service asks of all others."""
        return reach(injection(range(self.network.size), self.network.size), self.binding)

    def limits(self) -> Limits:
        for group in (self.is_core, self.is_entry & ~self.is_core, ~self.is_entry):
            self._serve(group)
        self._fill(self.is_entry)
        self._fill(~self.is_entry)
        return self._read()

    def _serve(self, group: Bools) -> None:
        """Admit as much of the group's demand as fits beside what was admitted before, by linear program."""
        group = group & (self.demand > 0)
        at = np.flatnonzero(group)
        if len(at) == 0:
            return
        wish = np.minimum(self.demand, self._ceiling())[at]
        room = np.maximum(1.0 - np.asarray(self.take.T @ self.flow).ravel(), 0.0)
        part = self.take[at]
        if (np.asarray(part.T @ wish).ravel() <= room).all():
            self.flow[at] = wish
            return
        self.flow[at], dual = _share(Matrix(part.T), room, wish=wish, worth=self.worth[at])
        self.dual = np.maximum(self.dual, dual)

    def _ceiling(self) -> Floats:
        """Most that each flow may be: entries what they like, an optional call what its caller's limit causes."""
        admitted = self._rates()[self.network.caller[self.optional]]
        return np.concatenate([np.full(len(self.entries), np.inf), self.rate * admitted])

    def _rates(self) -> Floats:
        finite = np.where(np.isfinite(self.flow), self.flow, 0.0)
        rates = np.asarray(self.through.T @ finite).ravel()
        endless = np.asarray(self.through.T @ (~np.isfinite(self.flow)).astype(float)).ravel() > 0
        return np.where(endless, np.inf, rates)

    def _fill(self, group: Bools) -> None:
        top = self._ceiling()
        spare = np.maximum(1.0 - np.asarray(self.take.T @ np.where(np.isfinite(self.flow), self.flow, 0.0)).ravel(), 0)
        at = np.flatnonzero(group)
        if len(at) == 0:
            return
        floor = 1e-3 * max(float(self.demand.max(initial=0.0)), 1.0)
        more, stopped = _max_min(
            Matrix(self.take[at]), spare, weight=np.maximum(self.demand[at], floor), most=top[at] - self.flow[at]
        )
        self.flow[at] += more
        self.stopped[at] = stopped

    def _read(self) -> Limits:
        rates = self._rates()
        slack, slack_row = self._inner_slack(rates)
        rates = rates + slack
        network = self.network
        edge = rates[network.caller] * network.calls * network.attempts
        edge[network.calls == 0] = 0.0
        edge[self.optional] = np.minimum(self.flow[len(self.entries) :], edge[self.optional])
        return Limits(rates, edge, self._limited_by(slack_row))

    def _inner_slack(self, rates: Floats) -> tuple[Floats, Ints]:
        """Raise limits inside the graph by what nobody else can use, so that they cut no wobble for nothing."""
        n = self.network.size
        if n > _LARGEST:
            return np.zeros(n), np.full(n, -1)
        through = self.inner
        take = Matrix(through @ self.rows.use.T)
        finite = np.where(np.isfinite(rates), rates, 0.0)
        spare = np.maximum(1.0 - np.asarray(self.rows.use @ finite).ravel(), 0.0)
        weight = np.maximum(finite, 1e-3 * max(float(finite.max(initial=0.0)), 1.0))
        more, stopped = _max_min(take, spare, weight=weight, most=np.full(n, np.inf))
        return np.asarray(through.T @ np.where(np.isfinite(more), more, 0.0)).ravel() + np.where(
            np.isfinite(more), 0.0, np.inf
        ), stopped

    def _limited_by(self, slack_row: Ints) -> tuple[tuple[int, ...], ...]:
        """For each service the rows that stopped the flows through it and lie on its own way."""
        if self.network.size > _LARGEST:
            return ((),) * self.network.size
        touches = Matrix(self.inner @ self.rows.use.T)
        through = Matrix(self.through.T)
        found: list[tuple[int, ...]] = []
        for s in range(self.network.size):
            flows = through.indices[through.indptr[s] : through.indptr[s + 1]]
            own = set(touches.indices[touches.indptr[s] : touches.indptr[s + 1]].tolist())
            stops = {int(r) for r in self.stopped[flows] if r >= 0} | (
                {int(slack_row[s])} if slack_row[s] >= 0 else set()
            )
            ranked = sorted(stops & own, key=lambda r: (-float(self.dual[r]), r))
            found.append(tuple(dict.fromkeys(int(self.rows.owner[r]) for r in ranked)))
        return tuple(found)


def _share(take: Matrix, room: Floats, *, wish: Floats, worth: Floats) -> tuple[Floats, Floats]:
    """Largest concave utility within ``room``: take (row, flow) · x ≤ room, 0 ≤ x ≤ wish."""
    n = len(wish)
    rows = np.flatnonzero(np.diff(take.indptr) > 0)
    slope = 1.0 - 0.05 * np.arange(_SEGMENTS)
    gain = (worth[:, None] * slope).ravel()  # per demanded share, so that a small flow weighs as a large one
    scaled = take[rows] @ sparse.diags_array(wish / _SEGMENTS)
    spread = sparse.kron(sparse.eye_array(n), np.ones((1, _SEGMENTS)))
    found = minimise(-gain, Matrix(scaled @ spread), room[rows])
    dual = np.zeros(len(room))
    if found is None:
        return np.zeros(n), dual
    dual[rows] = found.duals
    share = found.x.reshape(n, _SEGMENTS).mean(axis=1)
    flow = share * wish
    used = np.asarray(take @ flow).ravel()
    with np.errstate(divide="ignore", invalid="ignore"):
        over = np.where(used > room, np.where(room > 0, used / np.maximum(room, 1e-300), np.inf), 1.0)
    return flow / max(float(over.max(initial=1.0)), 1.0) if np.isfinite(over).all() else _zeroed(take, room, flow), dual


def _zeroed(take: Matrix, room: Floats, flow: Floats) -> Floats:
    """Solver noise on a row without room: what uses it gets nothing."""
    full = (room <= 0).astype(float)
    return np.where(np.asarray(take.T @ full).ravel() > 0, 0.0, flow) * (1.0 - 1e-9)


def _max_min(take: Matrix, spare: Floats, *, weight: Floats, most: Floats) -> tuple[Floats, Ints]:
    """Fill flows in proportion to their weights until a row of each is full; take is (flow, row).

    Returns the flows, infinite where nothing ever stops them, and the row that stopped each (−1: none).
    """
    n = len(weight)
    down = Matrix(take.T)
    flow, stopped = np.zeros(n), np.full(n, -1)
    most = np.maximum(np.where(np.isnan(most), np.inf, most), 0.0)
    active = most > 0
    endless = active & (np.diff(take.indptr) == 0)
    flow[endless] = most[endless]
    active &= ~endless
    left = spare.astype(float).copy()
    full = left <= _FULL
    while True:
        hit = Matrix(take[:, np.flatnonzero(full)]) if full.any() else None
        if hit is not None:
            first = np.where(np.diff(hit.indptr) > 0, hit.indptr[:-1], -1)
            now = active & (first >= 0)
            stopped[now] = np.flatnonzero(full)[hit.indices[first[now]]]
            active &= ~now
        if not active.any():
            return flow, stopped
        grow = np.where(active, weight, 0.0)
        use = np.asarray(down @ grow).ravel()
        with np.errstate(divide="ignore", invalid="ignore"):
            until_row = np.where(use > 0, left / use, np.inf)
            until_top = np.where(active, (most - flow) / weight, np.inf)
        step = min(float(until_row.min(initial=np.inf)), float(until_top.min(initial=np.inf)))
        if not np.isfinite(step):
            flow[active] = np.inf
            return flow, stopped
        flow += grow * step
        left = np.maximum(left - use * step, 0.0)
        full = (until_row <= step * (1 + 1e-12)) | (left <= _FULL)
        left[full] = 0.0
        active &= ~(until_top <= step * (1 + 1e-12))
