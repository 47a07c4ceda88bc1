"""Cluster and edge limits which no downstream can fall over, on plain arrays.

A vector of limits L is safe when every service can take all that its callers' limits let through:
Σ_c L_c · calls(c → d) · attempts ≤ L_d ≤ capacity_d. That is the same as L being the rates of some
admitted external flow x ≥ 0 through the graph, so the limits are found as flows: then no sum of limits
can push any service past its capacity, whatever the mix of requests.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from capacity.plan.filling import fill, raise_inside, share
from capacity.plan.network import Matrix, Network, injection, reach, through
from capacity.plan.prices import row_prices
from capacity.plan.rows import Rows
from capacity.plan.sizing import Bools, Floats, Ints


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
    price : ndarray (s,)
        Value per second that can be admitted at most if the service took one more request per second: of core
        demand where that is cut, else on top of all demand that is served; 0 where it holds nothing up.
    served_qps : ndarray (s,)
        Part of each entry's demand that is admitted; 0 elsewhere.
    """

    cluster_qps: Floats
    edge_qps: Floats
    limited_by: tuple[tuple[int, ...], ...]
    price: Floats
    served_qps: Floats


def allocate(
    network: Network,
    rows: Rows,
    *,
    demand_qps: Floats,
    entry: Bools,
    core: Bools,
    value: Floats,
    largest_qps: Floats | None = None,
) -> Limits:
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
        Worth of one request at an entry, such as transactions per request.
    largest_qps : ndarray (s,), optional
        The most that may come, served in the same order after all demand.

    Returns
    -------
    Limits

    Notes
    -----
    Linear programs in order (core entries up to their demand, other entries, then optional and queued
    calls; the same up to ``largest_qps``): each admits the most value, then spreads what is scarce. What is
    left is shared by max-min filling: first among entries, then optional calls, then inside the graph, so
    that a limit is as high as it can be without endangering anyone. The core value admitted of the demand
    never falls when a capacity rises; the others' never falls unless core admits more. A limit above all
    demand may fall, as what is left over is shared anew.
    """
    most = demand_qps if largest_qps is None else np.maximum(largest_qps, demand_qps)
    return _Allocation(network, rows, wished=(demand_qps, most), entry=entry, core=core, value=value).limits()


class _Allocation:
    """State of one `allocate` call: admitted flows x, at entries first and optional edges behind them."""

    def __init__(
        self,
        network: Network,
        rows: Rows,
        *,
        wished: tuple[Floats, Floats],
        entry: Bools,
        core: Bools,
        value: Floats,
    ) -> None:
        self.network, self.rows = network, rows
        self.entries = np.flatnonzero(entry)
        self.optional = np.flatnonzero(~network.binding)
        self.binding = network.matrix(only=network.binding, with_attempts=True)
        at = np.concatenate([self.entries, network.callee[self.optional]])
        self.through = reach(injection(at, network.size), self.binding)
        self.take = Matrix(self.through @ rows.use.T)
        self.rate = (network.calls * network.attempts)[self.optional]
        self.wishes = [self._wish(np.asarray(w, dtype=float)) for w in wished]
        n = len(self.entries)
        self.is_entry = np.arange(len(at)) < n
        self.is_core = self.is_entry & np.concatenate([core[self.entries], np.zeros(len(at) - n, bool)])
        self.value = np.concatenate([np.asarray(value, dtype=float)[self.entries], np.zeros(len(at) - n)])
        self.flow = np.zeros(len(at))
        self.stopped = np.full(len(at), -1)

    def _wish(self, outside: Floats) -> Floats:
        """Demand of every flow when ``outside`` (s,) arrives at the entries."""
        injected = np.zeros(self.network.size)
        injected[self.entries] = outside[self.entries]
        total = through(injected, self.network.matrix(with_attempts=True))
        return np.concatenate([outside[self.entries], self.rate * total[self.network.caller[self.optional]]])

    def limits(self) -> Limits:
        groups = (self.is_core, self.is_entry & ~self.is_core, ~self.is_entry)
        scarce = self._serve(self.is_core, self.wishes[0])
        for group in groups[1:]:
            self._serve(group, self.wishes[0])
        served = np.zeros(self.network.size)
        served[self.entries] = self.flow[self.is_entry]
        price = scarce if scarce is not None and scarce.any() else self._prices()
        for group in groups:
            self._serve(group, self.wishes[1])
        self._fill(self.is_entry)
        self._fill(~self.is_entry)
        return self._read(price, served)

    def _prices(self) -> Floats:
        take, value = Matrix(self.take[: len(self.entries)]), self.value[self.is_entry]
        return row_prices(take, self._room(), value=value, core=self.is_core)

    def _room(self) -> Floats:
        endless = np.isfinite(self.flow)
        return np.maximum(1.0 - np.asarray(self.take.T @ np.where(endless, self.flow, 0.0)).ravel(), 0.0)

    def _serve(self, group: Bools, wish: Floats) -> Floats | None:
        """Admit as much of the group's wish as fits beside what was admitted before; prices where it did not fit."""
        more = np.minimum(wish, self._ceiling()) - self.flow
        at = np.flatnonzero(group & (more > 0))
        if len(at) == 0:
            return None
        room, part = self._room(), Matrix(self.take[at])
        fits = (np.asarray(part.T @ more[at]).ravel() <= room).all()
        added, price = (more[at], None) if fits else share(part, room, wish=more[at], value=self.value[at])
        self.flow[at] += added
        return price

    def _ceiling(self) -> Floats:
        """Most that each flow may be: entries what they like, an optional call what its caller's limit causes."""
        admitted = self._rates()[self.network.caller[self.optional]]
        return np.concatenate([np.full(len(self.entries), np.inf), _times(admitted, self.rate)])

    def _rates(self) -> Floats:
        finite = np.where(np.isfinite(self.flow), self.flow, 0.0)
        rates = np.asarray(self.through.T @ finite).ravel()
        endless = np.asarray(self.through.T @ (~np.isfinite(self.flow)).astype(float)).ravel() > 0
        return np.where(endless, np.inf, rates)

    def _fill(self, group: Bools) -> None:
        at = np.flatnonzero(group)
        if len(at) == 0:
            return
        top, wish = self._ceiling()[at], self.wishes[0]
        floor = 1e-3 * max(float(wish.max(initial=0.0)), 1.0)
        more, stopped = fill(
            Matrix(self.take[at]), self._room(), weight=np.maximum(wish[at], floor), most=top - self.flow[at]
        )
        self.flow[at] += more
        self.stopped[at] = stopped

    def _read(self, price: Floats, served: Floats) -> Limits:
        rates = self._rates()
        more, inside = raise_inside(self.network, self.rows, rates, binding=self.binding)
        rates = rates + more
        network = self.network
        edge = _times(rates[network.caller], network.calls * network.attempts)
        edge[self.optional] = np.minimum(self.flow[len(self.entries) :], edge[self.optional])
        priced, at = np.zeros(network.size), self.rows.use.tocoo()
        np.maximum.at(priced, at.col, at.data * price[at.row])
        return Limits(rates, edge, self._limited_by(inside, price), priced, served)

    def _limited_by(self, inside: Ints, price: Floats) -> tuple[tuple[int, ...], ...]:
        """For each service the rows that stopped the flows through it and lie on its own way, the dearest first."""
        n, stops = self.network.size, np.unique(np.concatenate([self.stopped, inside]))
        stops = stops[stops >= 0]
        if len(stops) == 0:
            return ((),) * n
        # Backwards from the rows that stop anything: never all services against all services.
        touches = reach(Matrix(self.rows.use[stops]), Matrix(self.binding.T))
        own = _marks(np.arange(n), inside, stops, n)
        passing = _pattern(Matrix(self.through.T)) @ _marks(
            np.arange(len(self.stopped)), self.stopped, stops, len(self.stopped)
        )
        both = Matrix((own + passing).multiply(_pattern(Matrix(touches.T)))).tocoo()
        row = stops[both.col]
        order = np.lexsort((row, -price[row], both.row))
        owners = np.split(self.rows.owner[row[order]], np.searchsorted(both.row[order], np.arange(1, n)))
        return tuple(tuple(dict.fromkeys(found.tolist())) for found in owners)


def _pattern(matrix: Matrix) -> Matrix:
    """Ones where the matrix has entries."""
    return Matrix((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)


def _marks(place: Ints, row: Ints, stops: Ints, size: int) -> Matrix:
    """Ones where ``place`` was stopped by a row."""
    at = row >= 0
    column = np.searchsorted(stops, row[at])
    return Matrix(sparse.coo_array((np.ones(len(column)), (place[at], column)), shape=(size, len(stops))))


def _times(rates: Floats, calls: Floats) -> Floats:
    """Rates times calls; what is never called gets nothing, however endless its caller."""
    return np.multiply(rates, calls, out=np.zeros(len(calls)), where=calls > 0)
