"""Which features to plan off: a mixed-integer program for the least value lost such that core services fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.plan.degradation import Feature, shed, without
from capacity.plan.fleet import Offered
from capacity.plan.network import Network
from capacity.plan.search import Search
from capacity.plan.sizing import Bools, Floats
from capacity.plan.strain import Strain


@dataclass(frozen=True)
class Relief:
    """What is planned off and what that mends.

    Attributes
    ----------
    off : tuple of Feature
    phases : ndarray (phase,)
        Phases in which they are off: one stretch, no longer than the promise needs.
    value_per_hour, bound_per_hour : float
        Value lost at a typical peak; no choice that mends as much loses less than the bound.
    lost : tuple of float
        Share of futures in which core services do not fit: with everything on, as planned, with everything off.
    bottlenecks : tuple of int
        Services whose capacity is exceeded with everything on, the one of most futures first.
    """

    off: tuple[Feature, ...]
    phases: Bools
    value_per_hour: float
    bound_per_hour: float
    lost: tuple[float, float, float]
    bottlenecks: tuple[int, ...]

    @property
    def gap(self) -> float:
        """Certified distance from the least value lost, as a fraction of what is lost."""
        return 1.0 - self.bound_per_hour / self.value_per_hour if self.value_per_hour > 0 else 0.0

    def networks(self, network: Network) -> tuple[Network, ...]:
        """Return the call graph of every phase."""
        less = without(network, self.off)
        return tuple(less if off else network for off in self.phases)

    def degrade(self, offered: Offered) -> Offered:
        """Return the load with the planned features off in their phases."""
        if not self.off:
            return offered
        peak = offered.peak_qps.copy()
        peak[:, self.phases] = shed(peak[:, self.phases], self.off)
        return Offered(peak, offered.smoothing)


def plan_relief(strain: Strain, features: Sequence[Feature], *, typical: Floats, allowed: int) -> Relief:
    """Choose the features whose absence costs least and lets core services fit in all but ``allowed`` futures.

    Parameters
    ----------
    strain : Strain
        Futures in which core services do not fit with everything on.
    features : sequence of Feature
    typical : ndarray (s,)
        Load at which value is counted.
    allowed : int
        Futures that may be lost. Where even everything off loses more, as few are lost as can be.

    Notes
    -----
    Choose y_f ∈ {0, 1} (off) and z_i ∈ {0, 1} (future given up) with least Σ v_f y_f such that Σ_f g_if y_f + z_i ≥ 1
    for every capacity that future i exceeds, g_if being the part of the excess that f frees alone, and
    Σ z_i ≤ ``allowed``. Features that cause each other's calls free less together than the sum, and lose each
    other's value: what the program chooses is judged exactly, and where that fails, rows are added that hold for
    every choice: beyond what a set S frees, y frees at most the sum of what its other features free alone. Where it
    holds but loses more than its own features' value, the choices that contain it are left out. So the answer is
    exact when the loop ends; a search that is cut short leaves a gap, which is told.

    References
    ----------
    Nemhauser, Wolsey: Maximizing submodular set functions (1981), for the rows.
    """
    nothing = strain.fails(())
    lost = _any(nothing)
    every = _any(strain.fails(features)) if features else lost
    shares = tuple(float(v.sum()) / max(strain.n_samples, 1) for v in (lost, every))
    empty = np.zeros(nothing.shape[1], dtype=np.bool_)
    bottlenecks = _bottlenecks(strain)
    if int(lost.sum()) <= allowed or int(every.sum()) == int(lost.sum()):
        return Relief((), empty, 0.0, 0.0, (shares[0], shares[0], shares[1]), bottlenecks)
    budget = max(allowed - int(every.sum()), 0)
    off, value, bound = Search(strain, features, typical=typical, mendable=~every, budget=budget).run()
    phases, after = _when(nothing, strain.fails(off), allowed=max(allowed, int(every.sum())))
    planned = float(after.sum()) / strain.n_samples
    return Relief(off, phases, value, min(bound, value), (shares[0], planned, shares[1]), bottlenecks)


def _when(nothing: Bools, off: Bools, *, allowed: int) -> tuple[Bools, Bools]:
    """Phases in which the features are off, and the futures then lost (i,).

    From the first to the last phase that needs them, shortened at either end as long as no more futures are lost than
    may be.
    """
    needed = np.flatnonzero(nothing.any(axis=0))
    first, last = int(needed[0]), int(needed[-1])

    def lost(start: int, end: int) -> Bools:
        inside = np.isin(np.arange(nothing.shape[1]), np.arange(start, end + 1))
        return _any(np.where(inside, off, nothing))

    while first < last:
        shorter = [(first + 1, last), (first, last - 1)]
        start, end = min(shorter, key=lambda span: int(lost(*span).sum()))
        if int(lost(start, end).sum()) > allowed:
            break
        first, last = start, end
    place = np.arange(nothing.shape[1])
    return np.asarray((place >= first) & (place <= last), dtype=np.bool_), lost(first, last)


def _any(fails: Bools) -> Bools:
    return np.asarray(fails.any(axis=1), dtype=np.bool_)


def _bottlenecks(strain: Strain) -> tuple[int, ...]:
    if not strain.roofs:
        return ()
    often = (strain.stress(()) > 1.0).any(axis=1).sum(axis=0)
    return tuple(dict.fromkeys(strain.roofs[r].owner for r in np.argsort(-often, kind="stable")))
