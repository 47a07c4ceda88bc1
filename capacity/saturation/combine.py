"""Several runs of a service, and production beside them, as one distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation import rules
from capacity.saturation.drift import Drift, find_drift
from capacity.saturation.runs import RunCapacity
from capacity.saturation.scaling import Candidates, FleetScaling, candidates, efficiency
from capacity.saturation.together import Together, weigh, years_in_common

Array = NDArray[np.float64]

_YEAR_S = 365.25 * 86400


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


class Common:
    """Draws of what several runs of a service have in common: one a cause, the same for each of them."""

    def __init__(self, ratio: EnvironmentRatio, *, n: int, rng: np.random.Generator) -> None:
        self.ratio, self.rng, self._n = ratio, rng, n
        self._drawn: dict[str, Array] = {}

    def normal(self, cause: str) -> Array:
        """Draw from the standard normal, (S,)."""
        if cause not in self._drawn:
            self._drawn[cause] = self.rng.standard_normal(self._n)
        return self._drawn[cause]

    def environment(self) -> Array:
        """Log factors from outside production to inside, (S,)."""
        if "environment" not in self._drawn:
            self._drawn["environment"] = self.ratio.draw(self._n, rng=self.rng)
        return self._drawn["environment"]

    def in_production(self, run: RunCapacity) -> Array:
        """Log capacity in production by one run, (S,): its samples with what the run cannot know."""
        drawn = np.log(np.maximum(run.qps, 1e-12)) + run.spread * self.rng.standard_normal(self._n)
        for cause, spread in run.shared.items():
            drawn = drawn + spread * self.normal(cause)
        for cause, loss in run.losses.items():
            drawn = drawn - loss * np.abs(self.normal(cause))
        return np.asarray(drawn if run.production else drawn + self.environment())

    def covariance(self, runs: Sequence[RunCapacity]) -> Array:
        """Of the logarithms that `in_production` draws, (k, k)."""
        own = [float(np.var(np.log(np.maximum(r.qps, 1e-12)))) + r.spread**2 for r in runs]
        found = np.diag(np.maximum(own, 1e-8))
        half = 1.0 - 2.0 / np.pi
        causes = sorted({c for r in runs for c in (*r.shared, *r.losses)})
        for cause in causes:
            scale = np.array(
                [np.hypot(r.shared.get(cause, 0.0), np.sqrt(half) * r.losses.get(cause, 0.0)) for r in runs]
            )
            found = found + np.outer(scale, scale)
        outside = np.array([not r.production for r in runs], dtype=float)
        spread = self.ratio.spread * (np.sqrt(half) if self.ratio.services == 0 else 1.0)
        return np.asarray(found + spread**2 * np.outer(outside, outside))


@dataclass(frozen=True)
class Combined:
    """What several runs say together.

    Attributes
    ----------
    qps
        Capacity of each instance of a fleet of the given size, samples (S,).
    why
        Sentences with the weights, the drift and the fleet's curve.
    drift
        Between the runs; None for a single one.
    scaling
        The fleet's curve; None where the fleets tested are too alike.
    """

    qps: Array
    why: tuple[str, ...]
    drift: Drift | None = None
    scaling: FleetScaling | None = None


def combine(service: str, runs: Sequence[RunCapacity], *, fleet: int, common: Common) -> Combined:
    """Weigh runs by how sure they are, newer and production ones more, and bring them to one fleet size.

    Parameters
    ----------
    service
        Name, for what is said.
    runs
        In time order.
    fleet
        Instances of the fleet whose instances' capacity is wanted.
    common
        What the runs share with one another.
    """
    rng = common.rng
    drawn = np.stack([common.in_production(run) for run in runs], axis=1)
    if len(runs) == 1:
        return Combined(np.exp(drawn[:, 0]), ())
    sizes = np.array([r.instances for r in runs], dtype=float)
    several = bool(sizes.max() >= rules.FLEET_SPAN * sizes.min())
    curves = candidates(int(sizes.max()) if several else 1)
    centre, covariance, ago = np.median(drawn, axis=0), common.covariance(runs), _years_ago(runs)
    together = weigh(centre, covariance, years=years_in_common(ago), instances=sizes, curves=curves)
    pair, curve = together.draw(len(drawn), rng=rng)
    # What each sample's curve says that the run's fleet lost is given back before runs are weighed together.
    given_back = drawn + together.unforeseen(pair, rng=rng) - curves.log_efficiency(sizes)[curve]
    lone = np.exp(np.einsum("sk,sk->s", together.weights[pair], given_back))
    scaling = _scaling(service, runs, centre, lone, together, curves, curve, fleet) if several else None
    likely = together.probability.sum(axis=0)
    lost = curves.log_efficiency(sizes)
    expected = likely @ lost
    doubt = (likely[:, None] * (lost - expected)).T @ (lost - expected)
    names = [r.run for r in runs]
    drift = find_drift(names, centre - expected, covariance + doubt, years_ago=ago, versions=[r.version for r in runs])
    each = efficiency(fleet, curves.alpha[curve], curves.beta[curve])
    weights = ", ".join(f"{name} {w:.0%}" for name, w in zip(names, together.mean_weights, strict=True))
    said = [f"several runs, newer and production ones weigh more: {weights}", drift.says]
    if scaling is not None:
        said.append(scaling.says)
        said.append(f"an instance's capacity is that of one among {fleet}, as many as run today")
    return Combined(lone * each, tuple(said), drift, scaling)


def _scaling(
    service: str,
    runs: Sequence[RunCapacity],
    centre: Array,
    lone: Array,
    together: Together,
    curves: Candidates,
    curve: NDArray[np.int64],
    fleet: int,
) -> FleetScaling:
    likely = np.bincount(curves.family, weights=together.probability.sum(axis=0), minlength=3)
    return FleetScaling(
        service=service,
        alpha=curves.alpha[curve],
        beta=curves.beta[curve],
        lone_qps=lone,
        among=fleet,
        tested=tuple(sorted({r.instances for r in runs})),
        measured_qps={r.run: (r.instances, float(r.instances * np.exp(c))) for r, c in zip(runs, centre, strict=True)},
        weights={name: float(w) for name, w in zip(curves.names, likely, strict=True)},
    )


def _years_ago(runs: Sequence[RunCapacity]) -> Array:
    when = np.array([r.started_s for r in runs])
    return np.asarray((np.nanmax(when) - when) / _YEAR_S if np.isfinite(when).any() else when)
