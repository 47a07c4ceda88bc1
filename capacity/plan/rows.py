"""Capacities that limits may not exceed, as rows of a matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from capacity.plan.network import Matrix
from capacity.plan.sizing import Floats, Ints


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
        hosts, first, row = np.unique(pool[members], return_index=True, return_inverse=True)
        i = np.concatenate([np.arange(len(own)), len(own) + row])
        j = np.concatenate([own, members])
        with np.errstate(divide="ignore"):
            v = 1.0 / np.maximum(np.concatenate([single[own], pooled[members]]), 1e-12)
        shape = (len(own) + len(hosts), len(single))
        return cls(Matrix(sparse.coo_array((v, (i, j)), shape=shape)), np.concatenate([own, members[first]]))

    def room(self, rates: Floats) -> Floats:
        """Share of each row's capacity that ``rates`` (s,) leave; endless rates meet no row."""
        return np.maximum(1.0 - np.asarray(self.use @ np.where(np.isfinite(rates), rates, 0.0)).ravel(), 0.0)

    def tightest(self, ratio: Floats) -> Floats:
        """Smallest of the rows' ratios (row,) at each service itself, (s,); infinite where it has no row."""
        out = np.full(self.use.shape[1], np.inf)
        at = self.use.tocoo()
        np.minimum.at(out, at.col, ratio[at.row])
        return out
