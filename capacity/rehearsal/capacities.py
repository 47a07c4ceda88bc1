"""What every service can serve in a second, as instances, faults and neighbours in its pool leave it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.plan.sizing import Bools, Floats, Ints
from capacity.rehearsal.world import Precision, World

Array = NDArray[np.floating]

ENDLESS = 1e15  # requests/s of a service whose capacity is unknown: never reached, and still arithmetic


class Capacities:
    """Requests/s that each service can serve, (s, path); computed anew only where something changed.

    Services that share a pool get of its instances what they need; when they do not fit together, each gets its share
    of the need.
    """

    def __init__(self, world: World, *, paths: int, dtype: Precision = np.float64) -> None:
        self.world, self.dtype = world, dtype
        unit = world.unit_qps.T
        self.unit = np.broadcast_to(unit, (len(world.pool), paths))
        members = np.bincount(world.pool, minlength=int(world.pool.max(initial=0)) + 1)
        shared = np.flatnonzero((members[world.pool] > 1) & np.isfinite(unit).all(axis=1))
        self.rows = shared[np.argsort(world.pool[shared], kind="stable")]
        self.pools, self.first, self.back = np.unique(world.pool[self.rows], return_index=True, return_inverse=True)
        self.alone = np.ones((len(self.rows), 1), dtype=dtype)
        if len(self.rows):
            self.alone /= np.bincount(self.back)[self.back, None]
        self._instances: Ints | None = None
        self._factor: Floats | None = None
        self.serving = np.zeros((0, 0))
        self.bare: Array = np.zeros((0, 0), dtype=dtype)  # as if no key were hot
        self.now: Array = self.bare
        self.roof = world.key_roof_qps[:, None]
        self.has_roof = bool(np.isfinite(self.roof).any())
        guards = world.guards
        self.keyed = np.isfinite(guards.key_qps) & (guards.key_share > 0)
        self.changed = True

    def at(self, instances: Ints, factor: Floats, demand: Array, limit: Array) -> Array:
        """Return this second's capacities.

        Parameters
        ----------
        instances : ndarray (p,)
        factor : ndarray (s,)
        demand : ndarray (s, path)
            Of which a pool's services get their part.
        limit : ndarray (s, 1)
            No service needs instances for more than its limit.
        """
        same = self._instances is not None and np.array_equal(instances, self._instances)
        self.changed = not (same and self._factor is not None and np.array_equal(factor, self._factor))
        if self.changed:
            self._instances, self._factor = instances, factor
            self.serving = np.broadcast_to(self.world.sharing.worth(instances).T, (len(instances), self.unit.shape[1]))
            own = self.unit * self.serving[self.world.pool]
            own = np.where(np.isnan(own), np.inf, own)
            own = np.minimum(np.minimum(own, self.world.fixed_qps[:, None]), ENDLESS) * factor[:, None]
            self.bare = own.astype(self.dtype)
            self.now = self._below_roof(self.bare, slice(None)) if self.has_roof else self.bare
        if len(self.rows):
            self._share(demand, limit)
        return self.now

    def behind(self, on: Bools) -> Array:
        """Return what services serve behind their limiters: one whose hot key is limited is not held by that key."""
        held = self.keyed & on
        return np.where(held[:, None], self.bare, self.now) if self.has_roof and held.any() else self.now

    def _below_roof(self, own: Array, rows: Any) -> Array:
        assert self._factor is not None  # noqa: S101 - set by the caller
        roof = np.minimum(self.roof[rows], ENDLESS) * self._factor[rows, None]
        return np.asarray(np.minimum(own, roof), dtype=self.dtype)

    def _share(self, demand: Array, limit: Array) -> None:
        rows = self.rows
        unit = self.unit[rows]
        need = np.minimum(demand[rows], limit[rows]) / unit
        total = np.add.reduceat(need, self.first, axis=0)[self.back]
        part = np.divide(need, total, out=np.broadcast_to(self.alone, need.shape).copy(), where=total > 0)
        n = self.serving[self.world.pool[rows]]
        assert self._factor is not None  # noqa: S101 - set by the caller
        worth = np.maximum(n - (total - need), n * part) * unit
        own = np.minimum(np.minimum(worth, self.world.fixed_qps[rows, None]), ENDLESS)
        self.bare[rows] = own * self._factor[rows, None]
        if self.has_roof:
            self.now[rows] = self._below_roof(self.bare[rows], rows)
