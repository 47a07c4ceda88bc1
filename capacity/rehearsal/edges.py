"""Single calls: the limits that callers keep to, and what they try again."""

import numpy as np
from numpy.typing import NDArray

from capacity.plan.sizing import Bools, Ints
from capacity.rehearsal.bucket import admit
from capacity.rehearsal.retries import Retries
from capacity.rehearsal.world import Precision, World

Array = NDArray[np.floating]

_FULL = 0.999
_TINY = 1e-9


class Edges:
    """State of the calls between services: buckets of those that are limited, attempts of those that are retried.

    Only calls whose caller works more than its limited calls allow, or whose bucket is not full, are looked at.

    Attributes
    ----------
    threshold : ndarray (s,)
        Work of a caller below which none of its limited calls is near its limit; infinite where none is limited.
    calls : ndarray (edge,)
        Calls per request in this second.
    stopped : ndarray (edge,)
        Whether the caller's own limit stopped some of them in this second.
    passes : ndarray (edge, path)
        Share that it let through; meaningful where it stopped some.
    """

    def __init__(
        self, world: World, bounds: Ints, *, budget: float, user_retries: int, paths: int, dtype: Precision
    ) -> None:
        network, guards = world.network, world.guards
        self.network, self.bounds = network, bounds
        self.rate, self.burst = guards.edge_qps.astype(dtype), guards.edge_burst.astype(dtype)
        self.frail = guards.frail
        limited = np.isfinite(guards.edge_qps) & ~network.queued  # a queue takes what comes, and waits
        self.limited = limited
        self.tokens = np.broadcast_to(self.burst[:, None], (len(self.rate), paths)).copy() if limited.any() else None
        self.low = np.zeros(len(self.rate), dtype=bool)
        self.threshold = np.full(network.size, np.inf)
        most = np.maximum(network.calls, network.cold_calls)
        rate = np.divide(guards.edge_qps, most, out=np.full(len(most), np.inf), where=limited & (most > 0))
        np.minimum.at(self.threshold, network.caller, rate)
        self.retries = Retries(
            network, world.entries, budget_qps=guards.budget_qps, budget=budget, user_retries=user_retries,
            paths=paths, dtype=dtype,
        )  # fmt: skip
        self.entries = world.entries
        self.calls: Array = network.calls.astype(dtype)
        self.stopped = np.zeros(len(self.rate), dtype=bool)
        self.passes = np.ones((len(self.rate) if self.tokens is not None else 0, paths), dtype=dtype)
        self._again: Array | None = None  # most retries of an edge in any future
        self._refused: list[tuple[Ints, Array]] = []
        self._off: dict[int, Array] = {}  # calls of a feature that is off, and the share of each future's

    @property
    def busy(self) -> bool:
        """Whether something is to be remembered in the next second."""
        return self.retries.total is not None or bool(self.low.any())

    def clear(self) -> None:
        """Fill the buckets and forget what was to be tried again."""
        self.retries.clear()
        self.low[:] = False
        if self.tokens is not None:
            np.copyto(self.tokens, self.burst[:, None])

    def begin(self, calls: Array) -> None:
        """Begin a second."""
        self.calls = calls
        self.stopped[:] = False
        self._refused, self._off = [], {}
        total = self.retries.total
        self._again = None if total is None else np.append(total.max(axis=1), 0.0)

    def switch_off(self, edge: int, share: Bools) -> None:
        """Note that a feature's calls are not made in this second, by future: they are neither limited nor retried."""
        self._off[edge] = share.astype(self.rate.dtype)

    def _made(self, flow: Array, edges: Ints) -> Array:
        """Leave out of fresh calls (edge, path) those of features that are off, in place."""
        for edge, share in self._off.items():
            flow[edges == edge] *= 1.0 - share
        return flow

    def retries_arriving(self, shape: tuple[int, int]) -> Array | None:
        """Retries at every service; None when there are none."""
        if self.retries.total is None:
            return None
        out = np.zeros(shape, dtype=self.retries.total.dtype)
        self.retries.add_to(out)
        return out

    def limit(self, level: int, at: slice, done: Array, arriving: Array, on: Bools) -> None:
        """Hold a level's calls back at their own limits; what they stop does not arrive."""
        low, high = int(self.bounds[level]), int(self.bounds[level + 1])
        if self.tokens is None or low == high:
            return
        here = slice(low, high)
        most = done.max(axis=1)[self.network.caller[here] - at.start] * self.calls[here]
        if self._again is not None:
            place = self.retries.place[here]
            most = most + np.where(place >= 0, self._again[place], 0.0)
        hot = ((most > self.rate[here]) | self.low[here]) & self.limited[here]
        hot &= (on | ~self.frail)[self.network.callee[here]]
        edges = np.flatnonzero(hot) + low
        if len(edges):
            self._limit(edges, done[self.network.caller[edges] - at.start], arriving)

    def _limit(self, edges: Ints, done: Array, arriving: Array) -> None:
        assert self.tokens is not None  # noqa: S101 - the caller looked
        flow = self._made(done * self.calls[edges, None], edges)
        if self.retries.total is not None:
            place = self.retries.place[edges]
            rows = np.flatnonzero(place >= 0)
            flow[rows] += self.retries.total[place[rows]]
        burst = self.burst[edges, None]
        passed, tokens = admit(self.tokens[edges], flow, rate=self.rate[edges, None], burst=burst)
        self.tokens[edges] = tokens
        self.low[edges] = (tokens < _FULL * burst).any(axis=1)
        refused = flow - passed
        stopped = np.flatnonzero(refused.max(axis=1) > _TINY)
        if not len(stopped):
            return
        edges, refused, flow = edges[stopped], refused[stopped], flow[stopped]
        self.stopped[edges] = True
        self.passes[edges] = 1.0 - refused / np.maximum(flow, _TINY)
        by = np.argsort(self.network.callee[edges], kind="stable")
        callee, first = np.unique(self.network.callee[edges[by]], return_index=True)
        gone = np.add.reduceat(refused[by], first, axis=0)
        arriving[callee] = np.maximum(arriving[callee] - gone, 0.0)
        self._refused.append((callee, gone))

    def add_refused(self, rejected: Array, arrived: Array) -> None:
        """Count what callers' limits stopped as asked for and turned away, in place."""
        for callee, gone in self._refused:
            rejected[callee] += gone
            arrived[callee] += gone

    def again(self, served: Array, external: Array, success: Array, refused: Array) -> None:
        """Decide what is tried again in the next second."""
        retries = self.retries
        if not len(retries.callee):
            return
        failing = np.maximum(1.0 - success - refused, 0.0)
        if retries.total is None and not (failing[retries.callee] > _TINY).any():
            return
        inner = self._made(served[self.network.caller[retries.edge]] * self.calls[retries.edge, None], retries.edge)
        fresh = np.concatenate([inner, external]) if len(retries.callee) > retries.n_inner else inner
        retries.again(fresh, failing, self._retried_passes())

    def _retried_passes(self) -> Array | None:
        if not self.stopped.any():
            return None
        out = np.ones((len(self.retries.callee), self.passes.shape[1]), dtype=self.passes.dtype)
        rows = np.flatnonzero(self.stopped[self.retries.edge])
        out[rows] = self.passes[self.retries.edge[rows]]
        return out
