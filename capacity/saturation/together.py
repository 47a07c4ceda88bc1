"""What several runs say together: how far nights differ, how fast capacity moves, what a fleet shares.

Run i measured, on its date t and with n instances, log y = log c(t) + log e(n) + error: c moves as a random walk
from run to run, e is the fleet's efficiency. The night that is expected (`rules.RUN_SPREAD`) is in each run's error
already; how much nights differ beyond it (ω), how fast c moves (τ) and e are not known: all combinations on a grid are
weighed by how likely they make the runs. Newer runs then weigh more by as much as c moves, and what runs have in
common does not average out.

References
----------
.. [1] A. Gelman, "Prior distributions for variance parameters in hierarchical models", Bayesian Analysis 1 (2006): the
   half-Cauchy for spreads with few groups.
.. [2] R. DerSimonian, N. Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials 7 (1986): weights under
   differences between studies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation import rules
from capacity.saturation.scaling import Candidates

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_SPREADS = np.concatenate([[0.0], np.geomspace(0.005, 0.6, 11)])


@dataclass(frozen=True)
class Together:
    """Everything that runs may be together, with how likely it is.

    Attributes
    ----------
    nights, walk
        Extra log standard deviation between runs, and of a year's change, (G,).
    weights
        Weight of each run, (G, k); rows sum to 1.
    probability
        Of each pair of spreads with each candidate for the fleet's curve, (G, C).
    covariance
        Of the runs' errors as they are known beforehand, (k, k).
    years
        Time from each run to the newest that two runs have in common, (k, k).
    """

    nights: Array
    walk: Array
    weights: Array
    probability: Array
    covariance: Array
    years: Array

    def draw(self, n: int, *, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Draw pairs of spreads and candidates, (n,) each."""
        flat = rng.choice(self.probability.size, size=n, p=self.probability.ravel())
        pair, candidate = np.divmod(flat, self.probability.shape[1])
        return pair.astype(np.int64), candidate.astype(np.int64)

    def unforeseen(self, pair: Ints, *, rng: np.random.Generator) -> Array:
        """Draw what nights and time add to each run, (n, k)."""
        size = len(self.years)
        root = np.linalg.cholesky(self.years + 1e-12 * np.eye(size))
        nights, moved = rng.standard_normal((2, len(pair), size))
        return np.asarray(self.nights[pair, None] * nights + self.walk[pair, None] * (moved @ root.T))

    @property
    def mean_weights(self) -> Array:
        """Weight of each run on average, (k,)."""
        return np.asarray(self.probability.sum(axis=1) @ self.weights)


def weigh(log_qps: Array, covariance: Array, *, years: Array, instances: Array, curves: Candidates) -> Together:
    """Weigh all spreads and curves by how likely they make the runs.

    Parameters
    ----------
    log_qps
        Log capacity per instance by each run, (k,).
    covariance
        Of their errors, (k, k).
    years
        Time that passed since the later of two runs, (k, k); see `years_in_common`.
    instances
        Instances under test, (k,).
    curves
        Candidates for the fleet's curve.

    Examples
    --------
    A run of today beside one of a year ago, as sure as each other:

    >>> import numpy as np
    >>> from capacity.saturation.scaling import candidates
    >>> years = np.array([[1.0, 0.0], [0.0, 0.0]])
    >>> found = weigh(np.log([80.0, 100.0]), 4e-4 * np.eye(2), years=years, instances=np.ones(2), curves=candidates(1))
    >>> found.mean_weights.round(1).tolist()
    [0.2, 0.8]
    """
    nights, walk = (grid.ravel() for grid in np.meshgrid(_SPREADS, _SPREADS, indexing="ij"))
    prior = (_cauchy(rules.RUN_SPREAD)[:, None] * _cauchy(rules.AGE_SPREAD_PER_YEAR)[None, :]).ravel()
    size = len(log_qps)
    whole = covariance + nights[:, None, None] ** 2 * np.eye(size) + walk[:, None, None] ** 2 * years
    inverse = np.linalg.inv(whole)
    ones = inverse.sum(axis=2)
    total = ones.sum(axis=1)
    # The level is unknown: it is integrated out, which leaves what the runs differ by.
    residual = log_qps[None, :] - curves.log_efficiency(instances)
    square = np.einsum("ck,gkl,cl->gc", residual, inverse, residual, optimize=True)
    square -= (ones @ residual.T) ** 2 / total[:, None]
    log_likely = -0.5 * (square + (np.linalg.slogdet(whole)[1] + np.log(total))[:, None])
    log_likely += np.log(prior)[:, None] + np.log(curves.prior)[None, :]
    probability = np.exp(log_likely - log_likely.max())
    # A weight below zero would take one run's error off another's; it is not given.
    weights = np.maximum(ones, 0.0)
    return Together(
        nights=nights,
        walk=walk,
        weights=weights / weights.sum(axis=1, keepdims=True),
        probability=probability / probability.sum(),
        covariance=covariance,
        years=years,
    )


def _cauchy(scale: float) -> Array:
    """Half-Cauchy probability of each spread on the grid."""
    edges = np.concatenate([[0.0], (_SPREADS[1:] + _SPREADS[:-1]) / 2.0, [_SPREADS[-1] * 1.2]])
    share = np.diff(np.arctan(edges / scale))
    return np.asarray(share / share.sum())


def years_in_common(years_ago: Array) -> Array:
    """Time between the newest run and the later of two, (k, k), from each run's age against the newest, (k,).

    A run without a date may be of any age: a year is taken, shared with no other.
    """
    known = np.isfinite(years_ago)
    age = np.where(known, years_ago, 0.0)
    together = np.minimum(age[:, None], age[None, :])
    return np.asarray(together + np.diag(np.where(known, 0.0, 1.0)))
