"""Closed tests: throughput against users, with the curves that could have made it, and the users at the objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from capacity.saturation import rules
from capacity.saturation.families import FAMILIES
from capacity.saturation.fit import CurveFit, StackRow
from capacity.saturation.flow_equivalent import inside_grid, open_rate, queue_sharpness
from capacity.saturation.interpolation import first_above, interpolate_rows
from capacity.saturation.stack import fit_stack
from capacity.saturation.steps import LATENCY_PARTS, Steps, with_imputed_tails
from capacity.saturation.uncertainty import bend_past_end

Array = NDArray[np.float64]

_DRAWS = 120
_LEAST_WEIGHT = 0.02
_DECLINE = 0.5


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
        base = load.astype(float)
        for i, name in enumerate(self.names):
            rows = self.family == i
            if rows.any():
                base[rows] = FAMILIES[name].rough(self.parameters[i], load[rows])
        return np.asarray(
            np.maximum(base, 1e-9) * np.exp(interpolate_rows(np.log(load), np.log(self.knots), self.correction))
        )


def throughput_draws(
    steps: Steps, *, speed: Array, rng: np.random.Generator, curves: StackRow | None = None
) -> ThroughputDraws:
    """Sample curves of throughput against users.

    A curve shapes what lies between the steps; at a step the measurement has the word, as far as the curve misses it
    by more than noise: the step's own speed (``speed``, log, (S, n)) and counting. ``curves`` are the test's, where
    they were fitted among many.
    """
    n = len(speed)
    load = steps.load
    x = np.maximum(steps.good_qps, 1e-9 * steps.good_qps.max())
    count = steps.counted
    sd = np.minimum(1.0 / np.sqrt(count), 0.1)
    noise = sd * rng.standard_normal((n, len(load))) - speed
    sd = np.sqrt(sd**2 + speed.var())
    if len(np.unique(load)) < 4:
        rough = np.full(n, -1, dtype=np.int64)
        return ThroughputDraws((), rough, (), np.log(x / load) + noise, load, None, _stands_still(load, x, None))
    stacked = curves if curves is not None else StackRow(fit_stack(load[None], x[None], family=None), 0)
    judged = stacked.judged
    names = tuple(name for name, w in judged.weights.items() if w >= _LEAST_WEIGHT)
    share = np.array([judged.weights[name] for name in names])
    family = rng.choice(len(names), size=n, p=share / share.sum()).astype(np.int64)
    fits = [stacked.curve(name) for name in names]
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


@dataclass(frozen=True)
class ClosedCapacity:
    """Open arrivals at which the objective breaks, by a closed test, (S,).

    Attributes
    ----------
    cautious_qps
        Taking throughput beyond the tested users to stand still.
    qps
        Taking it to follow the curve, within the stated rule.
    first
        Index of the first step that broke the objective with its users waiting for answers.
    users, users_qps
        Users per instance at which it broke then, and the throughput there; the heaviest step's where it did not.
    """

    cautious_qps: Array
    qps: Array
    first: NDArray[np.int64]
    users: Array
    users_qps: Array


def closed_capacity(
    steps: Steps,
    excess: Mapping[str, Array],
    limits: Mapping[str, float],
    draws: ThroughputDraws,
    *,
    rng: np.random.Generator,
) -> ClosedCapacity:
    """Turn a closed test's users into open arrivals and find the rate at which the objective breaks.

    By the flow-equivalent server (see `flow_equivalent`): with n inside a request takes R = n/X(n) on average and the
    measured percentile; between them its time is taken as lognormal. What throughput does beyond the tested users
    no curve knows: it may stand still, as a pool in front of a line does, or go on as the curve does, and each sample
    takes a share of that way; in half of them it bends as no step shows (`uncertainty.bend_past_end`). It falls by no
    more than 40 %, drawn anew: a curve that falls without end would make every open queue collapse in the long run.
    """
    load, n = steps.load, len(steps)
    size = next(iter(excess.values())).shape[0]
    users = np.min([_users_at_limit(load, values) for values in excess.values()], axis=0)
    slowest = max((limits[part] / 1e3 for part in excess if part in LATENCY_PARTS), default=0.0)
    broken = 2.0 * slowest * float(steps.good_qps.max())
    grid, width = inside_grid(max(load[-1], broken, 16.0))
    places = np.tile(grid, (size, 1))
    curve = draws.at(places)
    top = draws.at(np.full((size, 1), load[-1]))
    at_steps = np.log(load / draws.at(np.tile(load, (size, 1))))
    variability = _service_variability(steps)
    belief = np.asarray(np.sqrt(rng.uniform(size=size)))  # service times are seldom as uneven as exponential ones
    damping = rng.uniform(size=(size, 1))
    bend = np.exp(bend_past_end(grid, load, steps.good_qps, rng=rng, n=size))
    lasting = rng.uniform(size=(size, 1))
    answers = []
    floor = np.exp(-_DECLINE * rng.uniform(size=(size, 1)))
    for growth in (1.0, rules.MOST_BEYOND):
        share = (np.clip(curve, top * floor, top * growth) / top) ** damping * bend
        followed = top * np.clip(share, floor, growth)
        rates = np.where(places > load[-1], followed, curve)
        response = np.log(places / rates)
        log_rates = np.log(rates)
        sharp = queue_sharpness(log_rates, grid, variability=variability, belief=belief)
        least = np.full(size, np.inf)
        for part, values in excess.items():
            late, allowed = _late_share(part, values, limits, places, load, response, at_steps)
            rate = open_rate(
                log_rates=log_rates, width=width, late=late, allowed=allowed, sharpness=sharp, persistence=lasting
            )
            least = np.minimum(least, rate)
        # Where already one request alone breaks the objective, next to nothing can be promised.
        answers.append(np.maximum(least, 0.02 * rates[:, 0]))
    first = np.min([first_above(values) for values in excess.values()], axis=0)
    return ClosedCapacity(answers[0], np.maximum(*answers), np.minimum(first, n), users, draws.at(users[:, None])[:, 0])


def _users_at_limit(load: Array, values: Array) -> Array:
    """Users at which a part of the objective breaks in the closed test, between steps in proportion."""
    at, rows, n = first_above(values), np.arange(len(values)), len(load)
    upper, lower = np.minimum(at, n - 1), np.clip(at - 1, 0, n - 1)
    inside = (at > 0) & (at < n)
    a, b = np.exp(np.minimum(values[rows, lower], 0.0)), np.exp(np.minimum(values[rows, upper], 50.0))
    share = np.where(inside, (1.0 - a) / np.where(inside & (b > a), b - a, 1.0), 0.0)
    between = load[lower] + np.clip(share, 0.0, 1.0) * (load[upper] - load[lower])
    return np.asarray(np.where(at >= n, load[-1], np.where(at == 0, load[0], between)))


def _service_variability(steps: Steps) -> float:
    """Squared coefficient of variation of the service time, from the lightest steps; 1 where it cannot be told.

    The widest lognormal that its p95 allows has 14: what is more uneven a p95 over the mean does not show.
    """
    tail = with_imputed_tails(steps.latency_ms)[0]["p95_ms"]
    light = np.isfinite(tail) & (steps.good_qps <= 0.6 * steps.good_qps.max()) & (steps.good_qps > 0)
    if not light.any():
        return 1.0
    ratio = float(np.median(np.log(tail[light] / 1e3 * steps.good_qps[light] / steps.load[light])))
    z = float(special.ndtri(0.95))
    sigma = z - np.sqrt(max(z * z - 2.0 * np.clip(ratio, 0.0, z * z / 2.0), 0.0))
    return float(np.expm1(sigma**2))


def _late_share(
    part: str, values: Array, limits: Mapping[str, float], places: Array, load: Array, response: Array, at_steps: Array
) -> tuple[Array, float]:
    """Probability to break a part of the objective with so many inside (S, k), and how much of that is allowed."""
    if part not in LATENCY_PARTS:
        allowed = limits.get(part, rules.ERRORS_BREAK)
        return np.clip((interpolate_rows(places, load, values) + 1.0) * allowed, 0.0, 1.0), allowed
    over = response + interpolate_rows(np.log(places), np.log(load), values - at_steps)
    ratio = over - response + np.log(limits[part] / 1e3)
    return _late(over, ratio, probability=LATENCY_PARTS[part]), 1.0 - LATENCY_PARTS[part]


def _late(over: Array, log_ratio: Array, *, probability: float) -> Array:
    """Probability to break the limit with n inside, from how far the percentile is above it and from the mean.

    ``over`` is log percentile over limit, ``log_ratio`` log percentile over mean, from which a lognormal's spread
    follows: z·σ − σ²/2 = log ratio.
    """
    z = float(special.ndtri(probability))
    sigma = z - np.sqrt(np.maximum(z * z - 2.0 * np.clip(log_ratio, 0.0, z * z / 2.0), 0.0))
    return np.asarray(special.ndtr(over / np.clip(sigma, 0.05, 2.0) - z))
