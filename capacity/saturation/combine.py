"""Several runs of a service, and production beside them, as one distribution.

References
----------
.. [1] R. DerSimonian, N. Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials 7 (1986): weights under
   differences between studies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation import rules
from capacity.saturation.runs import RunCapacity

Array = NDArray[np.float64]

_YEAR_S = 365.25 * 86400
_DRIFT_SAID = 0.10


@dataclass(frozen=True)
class EnvironmentRatio:
    """Log of capacity in production over capacity outside it, from services that were tested in both."""

    mean: float
    spread: float
    services: int

    def draw(self, n: int, *, rng: np.random.Generator) -> Array:
        """Log factors for tests outside production; without any pair they only lower."""
        if self.services == 0:
            return -np.abs(rng.normal(0.0, rules.NOT_PRODUCTION_LOSS, n))
        return rng.normal(self.mean, self.spread, n)


def environment_ratio(pairs: Sequence[float]) -> EnvironmentRatio:
    """Learn the ratio from pairs of log capacities, shrunk toward none.

    Examples
    --------
    >>> environment_ratio([]).services
    0
    >>> ratio = environment_ratio([-0.2, -0.1, -0.15])
    >>> -0.15 < ratio.mean < 0
    True
    """
    if not pairs:
        return EnvironmentRatio(0.0, rules.NOT_PRODUCTION_LOSS, 0)
    values = np.asarray(pairs, dtype=float)
    k, prior = len(values), rules.NOT_PRODUCTION_LOSS
    # The spread is pooled with the prior as if that had been seen twice.
    spread = float(np.sqrt((2 * prior**2 + np.sum((values - values.mean()) ** 2)) / (2 + max(k - 1, 0))))
    mean = float(values.mean() * k / (k + spread**2 / prior**2))
    return EnvironmentRatio(mean, float(spread * np.sqrt(1 + 1 / k)), k)


def in_production(run: RunCapacity, ratio: EnvironmentRatio, *, rng: np.random.Generator) -> Array:
    """Log capacity in production by one run, (S,): its samples with what the run cannot know."""
    n = len(run.qps)
    drawn = np.log(np.maximum(run.qps, 1e-12)) + run.spread * rng.standard_normal(n)
    if run.loss > 0:
        drawn = drawn - np.abs(rng.normal(0.0, run.loss, n))
    return drawn if run.production else drawn + ratio.draw(n, rng=rng)


def combine(
    runs: Sequence[RunCapacity], *, ratio: EnvironmentRatio, rng: np.random.Generator
) -> tuple[Array, tuple[str, ...]]:
    """Weigh runs by how sure they are, newer and production ones more.

    Returns
    -------
    tuple
        Samples of capacity per instance (S,), and sentences on drift between the runs.
    """
    drawn = np.stack([in_production(run, ratio, rng=rng) for run in runs])
    if len(runs) == 1:
        return np.exp(drawn[0]), ()
    centre, variance = np.median(drawn, axis=1), drawn.var(axis=1) + _age_variance(runs)
    between = _between(centre, variance)
    weight = 1.0 / (variance + between)
    weight /= weight.sum()
    extra = np.sqrt(_age_variance(runs) + between)[:, None] * rng.standard_normal(drawn.shape)
    samples = np.exp(weight @ (drawn + extra))
    said: list[str] = []
    apart = float(np.exp(centre.max() - centre.min()) - 1.0)
    if apart > _DRIFT_SAID:
        each = ", ".join(f"{r.run} {np.exp(c):.4g}" for r, c in zip(runs, centre, strict=True))
        said.append(f"runs differ by {apart:.0%}: {each}")
    said.append("weights: " + ", ".join(f"{r.run} {w:.0%}" for r, w in zip(runs, weight, strict=True)))
    return samples, tuple(said)


def _age_variance(runs: Sequence[RunCapacity]) -> Array:
    when = np.array([r.started_s for r in runs])
    if not np.isfinite(when).any():
        return np.zeros(len(runs))
    newest = np.nanmax(when)
    # A run without a date may be of any age; a year is taken.
    years = np.where(np.isfinite(when), (newest - when) / _YEAR_S, 1.0)
    return np.asarray(rules.AGE_SPREAD_PER_YEAR**2 * years)


def _between(centre: Array, variance: Array) -> float:
    weight = 1.0 / variance
    mean = weight @ centre / weight.sum()
    heterogeneity = weight @ (centre - mean) ** 2
    scale = weight.sum() - weight @ weight / weight.sum()
    return float(max(0.0, (heterogeneity - (len(centre) - 1)) / max(scale, 1e-12)))


def raise_to(samples: Array, lower_qps: float, *, upper_qps: float, rng: np.random.Generator) -> tuple[Array, float]:
    """Condition samples on a load that production has proven.

    Returns
    -------
    tuple
        Samples at or above the bound, and the share that was below it. What survives is drawn again in place of what
        did not; where hardly anything survives, the bound itself and the stated rule beyond it take over.
    """
    below = samples < lower_qps
    share = float(below.mean())
    if share == 0.0:
        return samples, share
    if share > 0.9:
        from capacity.saturation.runs import beyond

        return beyond(np.full_like(samples, lower_qps), upper_qps=upper_qps, rng=rng), share
    kept = samples[~below]
    raised = samples.copy()
    raised[below] = rng.choice(kept, size=int(below.sum()))
    return raised, share
