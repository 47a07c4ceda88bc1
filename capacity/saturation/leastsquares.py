"""Bounded least squares for many small problems at once.

A curve has two or three parameters, a load test a dozen steps; what makes fitting slow is that there are thousands of
them: services, held-out steps, bootstrap rounds. So all problems take each Levenberg–Marquardt step together, as one
stack of small normal equations.

References
----------
.. [1] J. J. Moré, "The Levenberg-Marquardt algorithm: implementation and theory", Numerical Analysis, 1978.
.. [2] C. Kanzow, N. Yamashita, M. Fukushima, "Levenberg–Marquardt methods with strong local convergence properties for
   solving nonlinear equations with convex constraints", J. Comput. Appl. Math. 172 (2004).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Model = Callable[[Array, Array], Array]
"""Takes parameters (B, P) and loads (B, n), gives predictions (B, n)."""


@dataclass(frozen=True)
class BatchFit:
    """What a stack of fits found: parameters (B, P), weighted sums of squares (B,), Jacobians (B, n, P)."""

    parameters: Array
    sse: Array
    jacobian: Array


def _jacobian(model: Model, parameters: Array, load: Array, at: Array, scale: Array) -> Array:
    step = 1e-6 * np.maximum(np.abs(parameters), scale)
    columns = []
    for k in range(parameters.shape[1]):
        moved = parameters.copy()
        moved[:, k] += step[:, k]
        columns.append((model(moved, load) - at) / step[:, k, None])
    return np.stack(columns, axis=-1)


def fit_batch(
    model: Model,
    load: Array,
    throughput: Array,
    *,
    start: Array,
    low: Array,
    high: Array,
    weight: Array | None = None,
    iterations: int = 60,
) -> BatchFit:
    """Fit one curve family to a stack of problems.

    Parameters
    ----------
    model
        Predictions (B, n) from parameters (B, P) and loads (B, n).
    load, throughput
        Arrays (B, n).
    start
        Starting parameters (B, P), inside the bounds.
    low, high
        Bounds, broadcast to (B, P); may be infinite.
    weight
        Weights (B, n); 0 leaves a point out.
    iterations
        Upper limit of steps.

    Returns
    -------
    BatchFit

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0, 4.0]])
    >>> one, bounds = np.ones((1, 1)), (np.zeros(1), np.full(1, np.inf))
    >>> fit = fit_batch(lambda p, n: p[:, :1] * n, x, 3 * x, start=one, low=bounds[0], high=bounds[1])
    >>> round(float(fit.parameters[0, 0]), 9)
    3.0
    """
    low, high = np.broadcast_to(low, start.shape), np.broadcast_to(high, start.shape)
    weights = np.ones_like(throughput) if weight is None else weight
    theta = np.clip(start, low, high).astype(float)
    # A parameter may be zero at its bound; the slope's step then needs a scale of its own.
    scale = np.maximum(np.abs(theta), 1e-4 / np.maximum(load.max(axis=1, keepdims=True), 1.0))
    predicted = model(theta, load)
    sse = _sse(throughput, predicted, weights)
    damping = np.full(len(theta), 1e-3)
    stalled = np.zeros(len(theta), dtype=np.int64)
    eye = np.eye(theta.shape[1])
    jacobian = _jacobian(model, theta, load, predicted, scale)
    for _ in range(iterations):
        gradient = np.einsum("bnp,bn->bp", jacobian, weights * (throughput - predicted))
        held = ((theta <= low) & (gradient < 0)) | ((theta >= high) & (gradient > 0))
        free = ~held
        normal = np.einsum("bnp,bn,bnq->bpq", jacobian, weights, jacobian)
        normal = normal * (free[:, :, None] & free[:, None, :])
        diagonal = np.einsum("bpp->bp", normal)
        damped = normal + (damping[:, None] * diagonal + np.where(diagonal > 0, 0.0, 1.0))[:, :, None] * eye
        move = np.linalg.solve(damped, (gradient * free)[:, :, None])[:, :, 0]
        trial = np.clip(theta + move, low, high)
        trial_predicted = model(trial, load)
        trial_sse = _sse(throughput, trial_predicted, weights)
        better = trial_sse < sse
        small = np.abs(sse - trial_sse) <= 1e-14 * sse + 1e-300
        stalled = np.where(small | (damping > 1e12), stalled + 1, 0)
        theta = np.where(better[:, None], trial, theta)
        predicted = np.where(better[:, None], trial_predicted, predicted)
        sse = np.where(better, trial_sse, sse)
        damping = np.clip(np.where(better, damping / 5.0, damping * 4.0), 1e-12, 1e13)
        jacobian = _jacobian(model, theta, load, predicted, scale)
        if np.all(stalled >= 2):
            break
    return BatchFit(theta, sse, jacobian)


def _sse(throughput: Array, predicted: Array, weight: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.einsum("bn,bn->b", weight, (throughput - predicted) ** 2)
    return np.where(np.isfinite(total), total, np.inf)


def best_of_starts(
    model: Model, load: Array, throughput: Array, *, starts: Array, low: Array, high: Array, weight: Array | None = None
) -> BatchFit:
    """Fit from several starts (B, K, P) and keep each problem's best; curves with a kink have local minima."""
    b, k, p = starts.shape
    repeat = [np.repeat(a, k, axis=0) for a in (load, throughput)]
    w = None if weight is None else np.repeat(weight, k, axis=0)
    low_b = np.repeat(np.broadcast_to(low, (b, p)), k, axis=0)
    high_b = np.repeat(np.broadcast_to(high, (b, p)), k, axis=0)
    fit = fit_batch(model, *repeat, start=starts.reshape(b * k, p), low=low_b, high=high_b, weight=w)
    pick = np.arange(b) * k + np.argmin(fit.sse.reshape(b, k), axis=1)
    return BatchFit(fit.parameters[pick], fit.sse[pick], fit.jacobian[pick])
