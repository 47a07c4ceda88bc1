"""What a fitted curve does not know: draws of its parameters, and how far it may be trusted past its points.

References
----------
.. [1] B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 9: residuals.
.. [2] K. P. Burnham, D. R. Anderson, "Model Selection and Multimodel Inference", 2nd ed. 2002: weights of noise models.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capacity.saturation.families import Family
from capacity.saturation.leastsquares import fit_batch

Array = NDArray[np.float64]

_LEAST_NOISE = 1e-9
"""Relative to the largest throughput: nobody measures finer, and a search ends about there."""

_LOST = 3.0
"""Log standard deviation, a factor of 20, from which on a curve says nothing whatever it says."""


def parameter_draws(family: Family, theta: Array, load: Array, throughput: Array, *, n: int, seed: int) -> Array:
    """Refit the curve to itself with new noise, (n, P); NaN where as many parameters as points leave no noise to see.

    The noise has the size of the residuals, itself uncertain as it is with few points, and larger where the residuals
    follow one another, the sign of a curve of the wrong shape. Whether it is the same at every load or grows with
    throughput is weighed by the likelihood of either. Refits keep the bounds.

    Parameters
    ----------
    family, theta
        The curve and its parameters (1, P).
    load, throughput
        The points, sorted by load.
    """
    free = len(load) - theta.shape[1]
    if free < 1:
        return np.full((n, theta.shape[1]), np.nan)
    rng = np.random.default_rng(seed)
    fitted = family.predict(theta, load[None, :])[0]
    unit = max(float(throughput.max()), 1e-300)
    sd = _noise(fitted / unit, (throughput - fitted) / unit, free, rng=rng, n=n)
    scale = unit ** np.array(family.scale_power, dtype=float)
    many = np.tile(load, (n + 1, 1))
    low, high = np.array(family.low), family.high(many)
    start = np.clip(np.tile(theta / scale, (n + 1, 1)), low, high)
    noise = sd * rng.standard_normal((n, len(load)))
    y = fitted / unit + np.concatenate([np.zeros((1, len(load))), noise])
    found = fit_batch(family.rough, many, y, start=start, low=low, high=high, iterations=15).parameters
    # What refitting alone changes, without any noise, is the search's own error and none of the data's.
    own = np.where(found[:1] > 0, start[:1] / np.where(found[:1] > 0, found[:1], 1.0), 1.0)
    drawn = np.clip(found[1:] * own, low, high[1:])
    return family.settle(drawn * scale, many[1:])


def _noise(fitted: Array, residual: Array, free: int, *, rng: np.random.Generator, n: int) -> Array:
    """Draw the standard deviation of the noise at every load, (n, points)."""
    inflation = misfit_inflation(residual)
    relative = np.maximum(np.abs(fitted), 0.02 * np.abs(fitted).max() + 1e-300)
    even = max(float(np.sqrt(residual @ residual / free)), _LEAST_NOISE)
    growing = max(float(np.sqrt(np.sum((residual / relative) ** 2) / free)), _LEAST_NOISE)
    against = len(residual) * np.log(growing / even) + np.sum(np.log(relative))
    share = 1.0 / (1.0 + np.exp(np.clip(against, -50.0, 50.0)))
    grows = rng.uniform(size=(n, 1)) < share
    unsure = np.sqrt(free / rng.chisquare(free, size=(n, 1)))
    return np.asarray(inflation * unsure * np.where(grows, growing * relative, even))


def misfit_inflation(residual: Array) -> float:
    """How much the noise must grow because residuals of neighbouring loads go together."""
    r = min(_togetherness(residual), 0.8)
    return float(np.sqrt((1 + r) / (1 - r)))


def _togetherness(residual: Array) -> float:
    """Correlation of residuals of neighbouring loads, at least 0; 0 where they are too few to tell."""
    total = float(residual @ residual)
    if len(residual) < 5 or total <= 0:
        return 0.0
    return float(np.clip(residual[1:] @ residual[:-1] / total, 0.0, 1.0))


def misfit_of_shape(fitted: Array, residual: Array) -> float:
    """How wrong the curve's shape is, relative to throughput: that part of the residuals that neighbours share.

    Examples
    --------
    >>> fitted = np.full(8, 10.0)
    >>> misfit_of_shape(fitted, np.array([1, -1, 1, -1, 1, -1, 1, -1.0]))
    0.0
    >>> round(misfit_of_shape(fitted, np.array([1, 1, 1, 1, -1, -1, -1, -1.0])), 3)
    0.079
    """
    size = float(fitted @ fitted)
    return float(np.sqrt(_togetherness(residual) * (residual @ residual) / size)) if size > 0 else 0.0


def shape_error(at: Array, load: Array, *, misfit: float, held_out: float) -> Array:
    """Log standard deviation of a curve for what its shape may be wrong by, at loads (k,).

    Among the points it is the misfit of shape. Past the last one each doubling of load adds the error the curve made on
    high points it was not shown, which were about that far away; errors of all doublings go the same way and add up.

    Examples
    --------
    >>> shape_error(np.array([5.0, 20.0]), np.array([1.0, 10.0]), misfit=0.01, held_out=0.05).round(3).tolist()
    [0.01, 0.051]
    """
    doublings = np.maximum(np.log2(np.maximum(at, 1e-300) / load[-1]), 0.0)
    return np.asarray(np.minimum(np.hypot(misfit, held_out * doublings), _LOST))


def bend_past_end(at: Array, load: Array, throughput: Array, *, rng: np.random.Generator, n: int) -> Array:
    """Log by which a curve may bend past the last point although none shows it, (n, k), at most 0.

    Half of the draws follow the curve; the others lose elasticity, any amount up to 1 as likely as another: what grew
    in proportion may stand still, what stood still may fall as a service does whose parts must agree. A bend that has
    not come by twice the load that first gave 95 % of the most comes later and is gentler, in proportion.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> bend = bend_past_end(np.array([4.0, 16.0]), np.array([1.0, 8.0]), np.array([10.0, 80.0]), rng=rng, n=400)
    >>> bend[:, 0].any(), bool(bend.min() >= -np.log(2)), round(float((bend[:, 1] < 0).mean()), 1)
    (np.False_, True, 0.5)
    """
    knee = load[np.argmax(throughput >= 0.95 * throughput.max())]
    lost = (knee / load[-1]) * rng.uniform(size=(n, 1)) * (rng.uniform(size=(n, 1)) < 0.5)
    return np.asarray(-lost * np.maximum(np.log(np.maximum(at, 1e-300) / load[-1]), 0.0))
