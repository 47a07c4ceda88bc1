"""What a fitted curve does not know of its own shape, among its points and past them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNTOLD = 0.5 * float(np.log(2.0))
"""Log error a doubling of load of a curve from which no point was hidden: load gives nothing more or as much again."""
LOST = 3.0
"""Log standard deviation, a factor of 20, from which on a curve says nothing whatever it says."""


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
    return np.asarray(np.minimum(np.hypot(misfit, held_out * doublings), LOST))


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
