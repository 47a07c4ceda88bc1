"""Retries: calls that failed and are tried again in the next second, by how often they were tried already."""

import numpy as np
from numpy.typing import NDArray

from capacity.plan.network import RETRY_BUDGET, Network
from capacity.plan.sizing import Bools, Floats, Ints
from capacity.rehearsal.world import Precision

Array = NDArray[np.floating]

_TINY = 1e-9


class Retries:
    """Attempts that wait for the next second, (attempt, edge, path).

    A call is tried at most r + 1 times. Attempts are followed by their number, so that with a constant probability p
    of failure a call causes 1 + p + … + pʳ = (1 − p^{r+1}) / (1 − p) attempts, exactly. A budget cuts the attempts of
    every number alike. What a limit turned away is not tried again: the caller is told so. Users who try again are
    edges too, from outside to each entry, without a budget.

    Parameters
    ----------
    network : Network
    entries : ndarray
    budget_qps : ndarray (edge,)
        NaN where it is a share of the fresh calls.
    budget : float
        That share; infinite for none at all, which takes the given budgets away as well.
    user_retries : int
    """

    def __init__(
        self, network: Network, entries: Ints, *, budget_qps: Floats, budget: float, user_retries: int,
        paths: int, dtype: Precision = np.float64,
    ) -> None:  # fmt: skip
        inner = np.flatnonzero((network.retries > 0) & ~network.queued)
        users = entries if user_retries > 0 else entries[:0]
        self.edge = inner
        self.n_inner = len(inner)
        self.callee = np.concatenate([network.callee[inner], users])
        self.most = np.concatenate([network.retries[inner], np.full(len(users), user_retries, dtype=np.int64)])
        given = np.concatenate([budget_qps[inner], np.full(len(users), np.inf)])
        self.given: Array = np.where(np.isinf(budget), np.inf, given).astype(dtype)
        self.share: Array = np.where(np.isnan(self.given), RETRY_BUDGET if np.isinf(budget) else budget, 0).astype(
            dtype
        )
        self.free = np.isinf(self.given)
        self.place = np.full(len(network.caller), -1, dtype=np.int64)
        self.place[inner] = np.arange(len(inner))
        longest = int(self.most.max(initial=0))
        self.waiting = np.zeros((longest, len(self.callee), paths), dtype=dtype)
        self.granted = np.ones((len(self.callee), paths), dtype=dtype)
        self.total: Array | None = None
        order = np.argsort(self.callee, kind="stable")
        self._by_callee = order
        self._rows, self._first = np.unique(self.callee[order], return_index=True)

    def clear(self) -> None:
        """Forget what waits."""
        self.waiting[:] = 0.0
        self.granted[:] = 1.0
        self.total = None

    def add_to(self, arriving: Array) -> None:
        """Add this second's retries to what arrives at the services."""
        if self.total is not None:
            arriving[self._rows] += np.add.reduceat(self.total[self._by_callee], self._first, axis=0)

    def again(self, fresh: Array, failing: Array, passes: Array | None) -> None:
        """Decide what is tried again in the next second.

        Parameters
        ----------
        fresh : ndarray (edge with retries, path)
            First attempts of this second, users' last.
        failing : ndarray (s, path)
            Share of the attempts at each service that failed and may be tried again.
        passes : ndarray (edge with retries, path), optional
            Share that the caller's own limit let through.
        """
        if not len(self.callee):
            return
        share = failing[self.callee]
        if passes is not None:
            share = share * passes
        following = np.empty_like(self.waiting)
        tried = fresh
        for k in range(len(self.waiting)):
            np.multiply(tried, share, out=following[k])
            following[k][self.most <= k] = 0.0
            tried = self.waiting[k]
        total = following.sum(axis=0)
        if total.max(initial=0.0) <= 0.0:
            if self.total is not None:
                self.clear()
            return
        self._grant(fresh, total)
        following *= self.granted
        total *= self.granted
        self.waiting, self.total = following, total

    def _grant(self, fresh: Array, total: Array) -> None:
        bound = np.flatnonzero(~self.free)
        if not len(bound):
            return
        share, given = self.share[bound, None], self.given[bound, None]
        allowed = np.where(np.isnan(given), share * fresh[bound], given)
        asked = total[bound]
        self.granted[bound] = np.minimum(allowed, asked) / np.maximum(asked, _TINY)
        self.granted[bound] = np.where(asked > _TINY, self.granted[bound], 1.0)

    def call_failure(self, at: Ints, failing: Array, refused: Array) -> Array:
        """Probability that a call fails with all its attempts.

        Parameters
        ----------
        at : ndarray
            Places among the edges with retries.
        failing, refused : ndarray (len(at), path)
            Chance that an attempt fails and may be tried again; that it is turned away for good.
        """
        lost = failing + refused
        granted, most = self.granted[at], self.most[at]
        for k in range(len(self.waiting)):
            deeper = refused + failing * (1.0 - granted + granted * lost)
            lost = np.where((most > k)[:, None], deeper, lost)
        return np.asarray(lost)


def storm(network: Network, *, least: int) -> Ints:
    """Retries of every synchronous call, at least so many."""
    asked: Bools = ~network.queued
    return np.asarray(np.where(asked, np.maximum(network.retries, least), network.retries), dtype=np.int64)
