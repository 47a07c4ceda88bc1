"""Pools whose instances share something, so that n of them take less than n times one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capacity.plan.sizing import Floats, Ints

if TYPE_CHECKING:
    from capacity.catalog import Catalog
    from capacity.saturation import Curves


@dataclass(frozen=True)
class Sharing:
    """Fleets' own curves, for the pools that were tested with fleets of several sizes (axis ``c``).

    Attributes
    ----------
    pool : ndarray (c,)
        Their places among the pools.
    alpha, beta : ndarray (sample, c)
        Contention and coherence of the fleet, see `capacity.saturation.scaling`.
    among : ndarray (c,)
        Instances among which an instance takes its ``instance_capacity_qps``.
    tested : ndarray (c,)
        Largest fleet that was tested.
    """

    pool: Ints
    alpha: Floats
    beta: Floats
    among: Ints
    tested: Ints

    def needed(self, used: Floats) -> Floats:
        """Instances that carry what so many among `among` would, both (sample, pool)."""
        from capacity.saturation.scaling import efficiency, instances_that_carry

        if not len(self.pool):
            return used
        lone = used[:, self.pool] * efficiency(self.among, self.alpha, self.beta)
        out = used.copy()
        out[:, self.pool] = instances_that_carry(lone, self.alpha, self.beta)
        return out

    def worth(self, serving: Ints) -> Floats:
        """Return how many among `among` the serving instances (pool,) are worth, (sample, pool) or (1, pool)."""
        from capacity.saturation.scaling import efficiency

        n = serving.astype(float)
        if not len(self.pool):
            return n[None, :]
        out = np.tile(n, (len(self.alpha), 1))
        own = n[self.pool]
        here, there = (efficiency(size, self.alpha, self.beta) for size in (np.maximum(own, 1.0), self.among))
        out[:, self.pool] = own * here / there
        return out

    @property
    def most(self) -> Ints:
        """Instances beyond which another one takes more than it brings, in half of the futures, (c,)."""
        endless = np.full(self.beta.shape, np.inf)
        top = np.sqrt(np.divide(1.0 - self.alpha, self.beta, out=endless, where=self.beta > 0))
        middle = np.asarray(np.quantile(top, 0.5, axis=0, method="lower"))
        return np.asarray(np.clip(middle, 1.0, 1e12).astype(np.int64))

    def of_samples(self, sample: Ints) -> "Sharing":
        """Keep some futures."""
        return Sharing(self.pool, self.alpha[sample], self.beta[sample], self.among, self.tested)


def nothing_shared(samples: int = 0) -> Sharing:
    """No pool has a curve of its own."""
    none = np.zeros(0, dtype=np.int64)
    return Sharing(none, np.zeros((samples, 0)), np.zeros((samples, 0)), none, none)


def read_sharing(catalog: "Catalog", curves: "Curves", *, pools: Mapping[str, int]) -> Sharing:
    """Read the curves of the pools that have one: the host's, else that of the first of its services."""
    found = {}
    for name, curve in getattr(curves, "fleet_scaling", {}).items():
        if name in catalog and (name in pools or pools[catalog.pool_of(name)] not in found):
            found[pools[catalog.pool_of(name)]] = curve
    if not found:
        return nothing_shared(curves.instance_capacity_qps.sizes["sample"])
    at = sorted(found)
    return Sharing(
        pool=np.array(at, dtype=np.int64),
        alpha=np.stack([found[p].alpha for p in at], axis=1),
        beta=np.stack([found[p].beta for p in at], axis=1),
        among=np.array([found[p].among for p in at], dtype=np.int64),
        tested=np.array([found[p].tested[-1] for p in at], dtype=np.int64),
    )
