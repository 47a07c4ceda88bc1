"""Bounded least squares for many small problems at once.

A curve has two or three parameters, a load test a dozen steps; what makes fitting slow is that there are thousands of
them: services, held-out steps, bootstrap rounds. So all problems take each Levenberg–Marquardt step together, as one
stack of small normal equations, and those that are done leave the stack.

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
Slopes = Callable[[Array, Array, Array], Array]
"""Takes parameters (B, P), loads (B, n) and the predictions there (B, n), gives their derivatives (P, B, n)."""

PRECISE = 1e-13
"""Share of the sum of squares that a step must still promise to remove, or the search is over."""


@dataclass(frozen=True)
class BatchFit:
    """What a stack of fits found: parameters (B, P) and weighted sums of squares (B,)."""

    parameters: Array
    sse: Array


def differences(model: Model) -> Slopes:
    """Derive a model by finite differences, for models that do not give their own."""

    def slopes(parameters: Array, load: Array, at: Array) -> Array:
        # A parameter may be zero at its bound; its step then needs a scale of its own.
        least = 1e-4 / np.maximum(load.max(axis=1), 1.0)
        columns = []
        for k in range(parameters.shape[1]):
            step = 1e-6 * np.maximum(np.abs(parameters[:, k]), least)
            moved = parameters.copy()
            moved[:, k] += step
            columns.append((model(moved, load) - at) / step[:, None])
        return np.stack(columns)

    return slopes


def normal_equations(jacobian: Array, weighted: Array, residual: Array) -> tuple[Array, Array]:
    """Return the normal matrix (P, P, B) and gradient (P, B); ``jacobian`` is (P, B, n)."""
    size = len(jacobian)
    normal = np.empty((size, size, jacobian.shape[1]))
    for p in range(size):
        for q in range(p + 1):
            normal[p, q] = normal[q, p] = np.einsum("bn,bn->b", weighted[p], jacobian[q])
    return normal, np.stack([np.einsum("bn,bn->b", one, residual) for one in weighted])


def solve_held(normal: Array, gradient: Array, held: NDArray[np.bool_], *, damping: Array | float) -> Array:
    """Solve stacks of small positive systems by Cholesky; parameters that are held at a bound do not move.

    Parameters
    ----------
    normal, gradient
        Arrays (P, P, B) and (P, B).
    held
        Which parameters may not move, (P, B).
    damping
        Share of its own diagonal that is added to each, (B,) or one number.

    Returns
    -------
    numpy.ndarray
        Moves (P, B).

    Examples
    --------
    >>> import numpy as np
    >>> two, right = np.array([[2.0, 1.0], [1.0, 3.0]])[:, :, None], np.array([[3.0], [5.0]])
    >>> solve_held(two, right, np.zeros((2, 1), dtype=bool), damping=0.0).ravel().round(6).tolist()
    [0.8, 1.4]
    """
    size = len(gradient)
    lower = np.zeros_like(normal)
    pivots = np.zeros_like(gradient)
    for p in range(size):
        own = normal[p, p]
        pivot = own * (1.0 + damping)
        for k in range(p):
            pivot = pivot - lower[p, k] * lower[p, k] * pivots[k]
        # A parameter the points say nothing of has no curvature of its own: it stays where it is.
        fine = ~held[p] & (own > 0) & (pivot > 1e-14 * own)
        pivots[p] = np.where(fine, pivot, np.inf)
        for q in range(p + 1, size):
            rest = normal[q, p]
            for k in range(p):
                rest = rest - lower[q, k] * lower[p, k] * pivots[k]
            lower[q, p] = np.where(fine, rest / np.where(fine, pivot, 1.0), 0.0)
        for k in range(p):
            lower[p, k] = np.where(fine, lower[p, k], 0.0)
        pivots[p] = np.where(fine, pivot, 0.0)
    move = np.where(held, 0.0, gradient)
    for p in range(size):
        for k in range(p):
            move[p] -= lower[p, k] * move[k]
    move = np.divide(move, pivots, out=np.zeros_like(move), where=pivots > 0)
    for p in range(size - 1, -1, -1):
        for q in range(p + 1, size):
            move[p] -= lower[q, p] * move[q]
    return np.where(held, 0.0, move)


def at_bounds(parameters: Array, gradient: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    """Which parameters are at a bound and pulled beyond it, (P, B), from parameters (B, P) and gradients (P, B)."""
    values = parameters.T
    return np.asarray(((values <= low.T) & (gradient < 0)) | ((values >= high.T) & (gradient > 0)))


def fit_batch(
    model: Model,
    load: Array,
    throughput: Array,
    *,
    start: Array,
    low: Array,
    high: Array,
    weight: Array | None = None,
    slopes: Slopes | None = None,
    iterations: int = 60,
    precision: float = PRECISE,
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
    slopes
        The model's derivatives; finite differences without it.
    iterations
        Upper limit of steps.
    precision
        A problem is done when its next step promises to remove less than this share of its sum of squares.

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
    derive = differences(model) if slopes is None else slopes
    low, high = np.broadcast_to(low, start.shape), np.broadcast_to(high, start.shape)
    weights = np.ones_like(throughput) if weight is None else weight
    found = np.clip(start, low, high).astype(float)
    predicted = model(found, load)
    sse = _sse(throughput, predicted, weights)
    # Sums of squares below this are rounding.
    nothing = 1e-28 * np.einsum("bn,bn->b", weights, throughput**2)
    work = _Work(found.copy(), predicted, sse.copy(), load, throughput, weights, low, high)
    rows, damping = np.arange(len(found)), np.full(len(found), 1e-3)
    for _ in range(iterations):
        jacobian = derive(work.theta, work.load, work.predicted)
        normal, gradient = normal_equations(jacobian, jacobian * work.weight, work.y - work.predicted)
        held = at_bounds(work.theta, gradient, work.low, work.high)
        move = solve_held(normal, gradient, held, damping=damping)
        promised = np.einsum("pb,pb->b", np.where(held, 0.0, gradient), move)
        trial = np.clip(work.theta + move.T, work.low, work.high)
        trial_predicted = model(trial, work.load)
        trial_sse = _sse(work.y, trial_predicted, work.weight)
        better = trial_sse < work.sse
        work.theta = np.where(better[:, None], trial, work.theta)
        work.predicted = np.where(better[:, None], trial_predicted, work.predicted)
        work.sse = np.where(better, trial_sse, work.sse)
        damping = np.clip(np.where(better, damping / 5.0, damping * 5.0), 1e-12, 1e20)
        going = (promised > precision * work.sse) & (work.sse > nothing[rows])
        if not going.all():
            found[rows], sse[rows] = work.theta, work.sse
            rows, damping, work = rows[going], damping[going], work.take(going)
        if not len(rows):
            break
    found[rows], sse[rows] = work.theta, work.sse
    return BatchFit(found, sse)


@dataclass
class _Work:
    """The problems that are still open."""

    theta: Array
    predicted: Array
    sse: Array
    load: Array
    y: Array
    weight: Array
    low: Array
    high: Array

    def take(self, rows: NDArray[np.bool_]) -> _Work:
        """Keep some problems."""
        return _Work(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def _sse(throughput: Array, predicted: Array, weight: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        miss = throughput - predicted
        total = np.einsum("bn,bn,bn->b", weight, miss, miss)
    return np.where(np.isfinite(total), total, np.inf)


def best_starts(
    model: Model,
    load: Array,
    throughput: Array,
    *,
    starts: Array,
    scale_power: tuple[int, ...],
    keep: int,
    weight: Array | None = None,
) -> Array:
    """Bring starts (B, K, P) to the size of the data and keep the few with the least sum of squares, (B, keep, P)."""
    b, k, p = starts.shape
    weighted = throughput if weight is None else throughput * weight
    sized, gains = np.empty_like(starts), np.empty((b, k))
    for i in range(k):
        shape = model(starts[:, i], load)
        power = np.einsum("bn,bn->b", shape if weight is None else shape * weight, shape)
        both = np.maximum(np.einsum("bn,bn->b", shape, weighted), 0.0)
        size = np.divide(both, power, out=np.zeros(b), where=power > 0)
        gains[:, i] = size * both
        sized[:, i] = starts[:, i] * np.where(size > 0, size, 1.0)[:, None] ** np.array(scale_power, dtype=float)
    if k <= keep:
        return sized
    best = np.argpartition(-gains, keep - 1, axis=1)[:, :keep]
    return np.take_along_axis(sized, np.broadcast_to(best[:, :, None], (b, keep, p)), axis=1)


def best_of_starts(
    model: Model,
    load: Array,
    throughput: Array,
    *,
    starts: Array,
    low: Array,
    high: Array,
    weight: Array | None = None,
    slopes: Slopes | None = None,
    precision: float = PRECISE,
) -> BatchFit:
    """Fit from several starts (B, K, P) and keep each problem's best; curves with a kink have local minima."""
    b, k, p = starts.shape
    repeat = [np.repeat(a, k, axis=0) for a in (load, throughput)]
    w = None if weight is None else np.repeat(weight, k, axis=0)
    bounds = [np.repeat(np.broadcast_to(a, (b, p)), k, axis=0) for a in (low, high)]
    fit = fit_batch(
        model,
        *repeat,
        start=starts.reshape(b * k, p),
        low=bounds[0],
        high=bounds[1],
        weight=w,
        slopes=slopes,
        precision=precision,
    )
    pick = np.arange(b) * k + np.argmin(fit.sse.reshape(b, k), axis=1)
    return BatchFit(fit.parameters[pick], fit.sse[pick])
