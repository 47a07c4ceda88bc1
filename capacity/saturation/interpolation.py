"""Monotone regression and crossings for many samples at once.

References
----------
.. [1] R. E. Barlow et al., "Statistical Inference under Order Restrictions", 1972, section 1.4: the min–max formula.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def monotone(values: Array, *, weight: Array) -> Array:
    """Isotonic regression of each row: the nearest sequence that never falls.

    Parameters
    ----------
    values
        Array (S, n), one row a sample.
    weight
        Positive weights (n,).

    Examples
    --------
    >>> import numpy as np
    >>> monotone(np.array([[1.0, 3.0, 2.0, 5.0]]), weight=np.ones(4)).tolist()
    [[1.0, 2.5, 2.5, 5.0]]
    """
    falls = (np.diff(values, axis=1) < 0).any(axis=1)
    if not falls.any():
        return values
    out = values.copy()
    # Steps by samples: what is taken over neighbouring steps then runs through memory in order.
    own = np.ascontiguousarray(values[falls].T)
    n = len(own)
    total = np.zeros((n + 1, own.shape[1]))
    np.cumsum(own * weight[:, None], axis=0, out=total[1:])
    weights = np.concatenate([[0.0], np.cumsum(weight)])
    best = np.full_like(own, -np.inf)
    for j in range(n):  # over steps, a few dozen; samples go together
        means = (total[j + 1 :] - total[j]) / (weights[j + 1 :] - weights[j])[:, None]
        for k in range(len(means) - 2, -1, -1):
            np.minimum(means[k], means[k + 1], out=means[k])
        np.maximum(best[j:], means, out=best[j:])
    out[falls] = best.T
    return out


def first_above(values: Array) -> NDArray[np.int64]:
    """Index of the first positive entry of each row; the row's length where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> first_above(np.array([[-1.0, 0.5, 2.0], [-1.0, -1.0, -1.0]])).tolist()
    [1, 3]
    """
    above = values > 0
    return np.asarray(np.where(above.any(axis=1), above.argmax(axis=1), values.shape[1]), dtype=np.int64)


def crossing_share(below: Array, above: Array, *, bend: Array) -> Array:
    """Where between two steps the logarithm of a latency passes its limit, as a share of the way, (S,).

    Latency bends upward with load, how sharply is unknown between two steps. ``bend`` 0 takes the logarithm as
    linear, 1 the reciprocal, which is the shape of a queue near its end.

    Parameters
    ----------
    below, above
        Log of latency over limit at the two steps: ``below`` <= 0 < ``above``.
    bend
        Shape of each sample, 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> crossing_share(np.log([0.5]), np.log([2.0]), bend=np.array([0.0])).tolist()
    [0.5]
    """
    logarithmic = -below / (above - below)
    reciprocal = np.expm1(-below) / (np.exp(-below) - np.exp(-np.minimum(above, 50.0)))
    return np.asarray(np.clip((1 - bend) * logarithmic + bend * reciprocal, 0.0, 1.0))


def interpolate_rows(x: Array, knots: Array, values: Array) -> Array:
    """Linear interpolation with one row of values a sample.

    Parameters
    ----------
    x
        Places (S, k).
    knots
        Increasing places (n,) of the values.
    values
        Values (S, n).

    Examples
    --------
    >>> import numpy as np
    >>> interpolate_rows(np.array([[0.5, 5.0]]), np.array([0.0, 1.0]), np.array([[10.0, 20.0]])).tolist()
    [[15.0, 20.0]]
    """
    if len(knots) == 1:
        return np.broadcast_to(values[:, :1], x.shape).copy()
    left = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    share = np.clip((x - knots[left]) / (knots[left + 1] - knots[left]), 0.0, 1.0)
    low = np.take_along_axis(values, left, axis=1)
    return np.asarray(low + share * (np.take_along_axis(values, left + 1, axis=1) - low))
