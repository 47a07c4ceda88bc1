"""What core services cannot exceed whatever instances run, and in which futures they would."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from capacity.plan.degradation import Feature, saved_by
from capacity.plan.fleet import NO_QUOTA, Fleet, Offered, most_pool_use
from capacity.plan.network import Matrix
from capacity.plan.sizing import Bools, Floats, Ints, survivors

TIE = 1e-9  # rounding noise is no overload


@dataclass(frozen=True)
class Roof:
    """One capacity that cannot be lifted: a fixed one, a hot key's, or a pool's at its quota after the loss.

    Attributes
    ----------
    owner : int
        The service that it is named after.
    members : ndarray (m,)
        Services that use it.
    weight : ndarray (sample, m) or (1, m)
        Share of it that one request per second of each takes.
    """

    owner: int
    members: Ints
    weight: Floats


@dataclass(frozen=True)
class Strain:
    """Futures in which some roof is exceeded with everything on; axis ``i`` counts these alone.

    Attributes
    ----------
    sample : ndarray (i,)
    load : ndarray (i, phase, s)
        Load with everything on.
    roofs : tuple of Roof
        Those that are exceeded in any future, with the weights of these futures.
    n_samples : int
    """

    sample: Ints
    load: Floats
    roofs: tuple[Roof, ...]
    n_samples: int

    def stress(self, off: Sequence[Feature]) -> Floats:
        """Use of every roof with the features off, as a share of it, (i, phase, roof)."""
        saves = saved_by(off) if off else None
        out = np.empty((*self.load.shape[:2], len(self.roofs)))
        for place, roof in enumerate(self.roofs):
            at = self.load[:, :, roof.members]
            left = at if saves is None else np.maximum(at - self._saved(saves, roof.members), 0.0)
            out[:, :, place] = np.einsum("ikm,im->ik", left, np.broadcast_to(roof.weight, (len(at), at.shape[2])))
        return out

    def freed_by(self, features: Sequence[Feature]) -> dict[int, tuple[Ints, Floats]]:
        """For every member of a roof: the callers that matter, and what a request to each saves by feature alone."""
        members = np.unique(np.concatenate([r.members for r in self.roofs])) if self.roofs else np.zeros(0, np.int64)
        parts = [f.saves[:, members].tocsc() for f in features]
        found = {}
        for column, member in enumerate(members):
            stacked = Matrix(sparse.hstack([part[:, [column]] for part in parts]))
            callers = np.flatnonzero(np.diff(stacked.indptr))
            found[int(member)] = (callers, np.asarray(stacked[callers].toarray(), dtype=float))
        return found

    def _saved(self, saves: Matrix, members: Ints) -> Floats:
        part = Matrix(saves[:, members])
        callers = np.flatnonzero(np.diff(part.indptr))
        return np.asarray(self.load[:, :, callers] @ part[callers].toarray(), dtype=float)

    def fails(self, off: Sequence[Feature]) -> Bools:
        """Whether any roof is exceeded with the features off, (i, phase)."""
        if not self.roofs:
            return np.zeros(self.load.shape[:2], dtype=bool)
        return np.asarray((self.stress(off) > 1.0 + TIE).any(axis=2), dtype=bool)


def read_strain(fleet: Fleet, offered: Offered) -> Strain:
    """Find the roofs of core services that are exceeded in some future with everything on."""
    roofs = [*_of_services(fleet, offered), *_of_pools(fleet, offered)]
    n, phases = offered.peak_qps.shape[:2]
    whole = Strain(np.arange(n), offered.peak_qps, tuple(roofs), n)
    if not roofs:
        none = np.zeros(0, dtype=np.int64)
        return Strain(none, np.zeros((0, phases, len(fleet.names))), (), n)
    at = np.flatnonzero(whole.fails(()).any(axis=1))
    kept = tuple(Roof(r.owner, r.members, r.weight if len(r.weight) == 1 else r.weight[at]) for r in roofs)
    return Strain(at, offered.peak_qps[at], kept, n)


def _of_services(fleet: Fleet, offered: Offered) -> list[Roof]:
    roof = np.fmin(np.where(fleet.is_fixed, fleet.fixed_qps, np.inf), fleet.roof_qps)
    over = (offered.most() > roof).any(axis=0) & (fleet.tier == 0)
    return [
        Roof(int(s), np.array([s]), np.array([[offered.smoothing[s] / max(float(roof[s]), 1e-12)]]))
        for s in np.flatnonzero(over)
    ]


def _of_pools(fleet: Fleet, offered: Offered) -> list[Roof]:
    bounded = (fleet.pool_tier == 0) & fleet.sized & (fleet.quota < NO_QUOTA)
    if not bounded.any():
        return []
    most = survivors(np.minimum(fleet.quota, 10**15), fleet.zones, fleet.losses)
    worth = np.maximum(fleet.sharing.worth(most), 1e-12)
    used = most_pool_use(fleet, offered, ceiling=1.0)
    over = (used > worth * (1.0 + TIE)).any(axis=0) & bounded
    found = []
    for p in np.flatnonzero(over):
        members = np.flatnonzero((fleet.pool == p) & ~fleet.is_fixed & fleet.is_known)
        weight = offered.smoothing[members] / (fleet.capacity[:, members] * worth[:, [p]])
        found.append(Roof(fleet.names.index(fleet.pools[p]), members, weight))
    return found
