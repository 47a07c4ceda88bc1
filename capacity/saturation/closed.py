"""Closed tests: throughput against users, with the curves that could have made it, and the users at the objective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation import rules
from capacity.saturation.compete import contest
from capacity.saturation.families import COMPETING, FAMILIES
from capacity.saturation.fit import CurveFit, fit_curve
from capacity.saturation.interpolation import first_above, interpolate_rows
from capacity.saturation.steps import Steps

Array = NDArray[np.float64]

_DRAWS = 200
_GRID = 24
_LEAST_WEIGHT = 0.02


@dataclass(frozen=True)
class ThroughputDraws:
    """Throughput against users as samples: curves by weight, corrected toward what was measured at the steps.

    Attributes
    ----------
    family
        Index of each sample's family in ``names``, (S,); −1 where too few steps leave only interpolation.
    parameters
        For each family, parameters (S_f, P) of its samples, in order.
    correction
        Log of measured over fitted throughput at the steps as far as it is more than noise, (S, n).
    """

    names: tuple[str, ...]
    family: NDArray[np.int64]
    parameters: tuple[Array, ...]
    correction: Array
    knots: Array
    curve: CurveFit | None
    knee_reached: bool

    def at(self, load: Array) -> Array:
        """Throughput (S, k) at loads (S, k)."""
        base = np.ones_like(load)
        for i, name in enumerate(self.names):
            rows = self.family == i
            if rows.any():
                base[rows] = FAMILIES[name].rough(self.parameters[i], load[rows])
        return np.asarray(base * np.exp(interpolate_rows(np.log(load), np.log(self.knots), self.correction)))


def throughput_draws(steps: Steps, *, rng: np.random.Generator, n: int) -> ThroughputDraws:
    """Sample curves of throughput against users.

    A curve shapes what lies between the steps; at a step the measurement has the word, as far as the curve misses it
    by more than counting noise.
    """
    load, x = steps.load, np.maximum(steps.good_qps, 1e-12)
    count = steps.counted
    sd = np.maximum(np.minimum(1.0 / np.sqrt(count), 0.1), 0.003)
    noise = sd * rng.standard_normal((n, len(load)))
    if len(np.unique(load)) < 4:
        rough = np.full(n, -1, dtype=np.int64)
        return ThroughputDraws((), rough, (), np.log(x) + noise, load, None, _stands_still(load, x, None))
    judged = contest(load, x, families=COMPETING)
    names = tuple(name for name, w in judged.weights.items() if w >= _LEAST_WEIGHT)
    share = np.array([judged.weights[name] for name in names])
    family = rng.choice(len(names), size=n, p=share / share.sum()).astype(np.int64)
    fits = [fit_curve(load, x, family=name) for name in names]
    correction = np.zeros((n, len(load)))
    drawn: list[Array] = []
    for i, fit in enumerate(fits):
        rows = np.flatnonzero(family == i)
        some = fit.draws(_DRAWS, seed=int(rng.integers(2**32)))
        fine = np.isfinite(some).all(axis=1) | np.isposinf(some).any(axis=1)
        some = some[fine] if fine.any() else np.array([list(fit.parameters.values())])
        parameters = some[rng.integers(len(some), size=len(rows))]
        drawn.append(parameters)
        miss = np.log(x / np.maximum(fit.predict(load), 1e-12))
        trust = float(np.clip(1.0 - np.mean(sd**2) / max(np.mean(miss**2), 1e-300), 0.0, 1.0))
        if len(rows):
            own = np.log(x / np.maximum(FAMILIES[names[i]].rough(parameters, np.tile(load, (len(rows), 1))), 1e-12))
            correction[rows] = trust * (own + noise[rows])
    winner = fits[names.index(judged.winner)] if judged.winner in names else fits[0]
    winner = CurveFit(
        winner.family,
        winner.parameters,
        winner.load,
        winner.throughput,
        winner.misfit,
        judged.weights,
        judged.held_out_error,
    )
    return ThroughputDraws(names, family, tuple(drawn), correction, load, winner, _stands_still(load, x, winner))


def _stands_still(load: Array, x: Array, curve: CurveFit | None) -> bool:
    """Whether throughput had stopped growing at the top of the range, by the measurements and by the curve."""
    if len(load) < 3:
        return False
    top = load >= load[-1] / 2.0
    if top.sum() < 2:
        top = np.zeros(len(load), dtype=bool)
        top[-2:] = True
    slope = np.polyfit(np.log(load[top]), np.log(x[top]), 1)[0]
    if np.ptp(load[top]) <= 0 or slope > rules.FLAT_ELASTICITY:
        return False
    if curve is None:
        return True
    ends = curve.predict(np.array([load[-1] * 0.98, load[-1]]))
    return bool(np.log(ends[1] / ends[0]) / -np.log(0.98) <= rules.FLAT_ELASTICITY)


def closed_capacity(
    steps: Steps, excess: dict[str, Array], draws: ThroughputDraws, *, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int64]]:
    """Largest throughput up to the users at which the objective breaks, (S,), and the first step that broke.

    Between two steps latency follows R = N/X(N) of the sample's curve, times the ratio of the percentile to the mean,
    which changes slowly.
    """
    load, n = steps.load, len(steps)
    size = next(iter(excess.values())).shape[0]
    at_steps = draws.at(np.tile(load, (size, 1)))
    users = np.full(size, load[-1])
    first = np.full(size, n, dtype=np.int64)
    for part, values in excess.items():
        at = first_above(values)
        bends = part != "error_fraction"
        here = _users_at(load, values, at, at_steps, draws) if bends else _linear_users(load, values, at)
        users, first = np.minimum(users, here), np.minimum(first, at)
    best_before = np.where(load[None, :] <= users[:, None], at_steps, 0.0).max(axis=1)
    qps = np.maximum(best_before, draws.at(users[:, None])[:, 0])
    # Nothing lighter than the first step was tried: all that is known is "less".
    return np.where(first == 0, qps * 0.5, qps), first


def _linear_users(load: Array, values: Array, at: NDArray[np.int64]) -> Array:
    rows, n = np.arange(len(values)), len(load)
    upper, lower = np.minimum(at, n - 1), np.clip(at - 1, 0, n - 1)
    inside = (at > 0) & (at < n)
    gap = np.where(inside, values[rows, upper] - values[rows, lower], 1.0)
    share = np.where(inside, -values[rows, lower] / np.maximum(gap, 1e-12), 0.0)
    between = load[lower] + np.clip(share, 0, 1) * (load[upper] - load[lower])
    return np.asarray(np.where(at >= n, load[-1], np.where(at == 0, load[0], between)))


def _users_at(load: Array, values: Array, at: NDArray[np.int64], at_steps: Array, draws: ThroughputDraws) -> Array:
    rows, n = np.arange(len(values)), len(load)
    upper, lower = np.minimum(at, n - 1), np.clip(at - 1, 0, n - 1)
    share = np.linspace(0.0, 1.0, _GRID)[None, :]
    grid = load[lower][:, None] + share * (load[upper] - load[lower])[:, None]
    response = np.log(grid / np.maximum(draws.at(grid), 1e-12))
    # The ratio of percentile to mean at the two ends; its logarithm is linear in between.
    ends = np.log(load / np.maximum(at_steps, 1e-12))
    ratio_low = values[rows, lower] - ends[rows, lower]
    ratio_high = values[rows, upper] - ends[rows, upper]
    over = response + ratio_low[:, None] + share * (ratio_high - ratio_low)[:, None]
    hit = np.clip((over > 0).argmax(axis=1), 1, _GRID - 1)
    a, b = over[rows, hit - 1], over[rows, hit]
    inner = np.clip(np.where(b > a, -a / np.where(b > a, b - a, 1.0), 0.0), 0.0, 1.0)
    between = grid[rows, hit - 1] + inner * (grid[rows, hit] - grid[rows, hit - 1])
    return np.asarray(np.where(at >= n, load[-1], np.where(at == 0, load[0], between)))
