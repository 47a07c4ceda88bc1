"""Plausible parameters of fitted curves: refits to the curve with new noise, for many curves and rounds at once.

References
----------
.. [1] B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 9: residuals.
.. [2] H. D. Patterson, R. Thompson, "Recovery of inter-block information when block sizes are unequal", Biometrika 58
   (1971): the likelihood of residuals.
.. [3] K. P. Burnham, D. R. Anderson, "Model Selection and Multimodel Inference", 2nd ed. 2002: weights of noise models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation.families import Family
from capacity.saturation.leastsquares import at_bounds, best_starts, fit_batch, normal_equations, solve_held

Array = NDArray[np.float64]

_MOST_AT_ONCE = 1 << 18
"""Numbers in one array: what is drawn at once stays within tens of megabytes."""
_LEAST_NOISE = 1e-9
"""Relative to the largest throughput: nobody measures finer, and a search ends about there."""
_GROWTH = (0.0, 1.0)
"""Powers of throughput by which noise may grow: not at all, as rounding does, or in proportion, as a speed's does."""
_BEFOREHAND = (0.25, 0.75)
"""How likely either is before residuals are seen: what is measured is how fast a system ran."""
_SMOOTH = 2
"""Starts that a curve without kinks needs."""
_SAME = 0.01
"""Parameters nearer to one another than this share lie in one valley."""
_NEAR = 0.01
"""A second step below a tenth of a parameter's standard deviation is the last: its own error is smaller still."""
_SETTLED = 1e-3
"""A search in full ends when its next step promises to remove no more than this share of the sum of squares."""


def parameter_draws(family: Family, parameters: Array, load: Array, throughput: Array, *, n: int, seed: int) -> Array:
    """Refit every curve ``n`` times to itself with new noise.

    The noise has the size of the residuals, itself uncertain as it is with few points, and larger where the residuals
    follow one another, the sign of a curve of the wrong shape. Whether it is the same at every load or grows with
    throughput is weighed by the likelihood of each. Refits keep the bounds.

    Parameters
    ----------
    family
        The curves' family.
    parameters
        What was fitted, (B, P).
    load, throughput
        The points, (B, m), sorted by load.
    n, seed
        Rounds and their seed; the noise is the same for every curve, so that none depends on its neighbours.

    Returns
    -------
    numpy.ndarray
        Parameters (B, n, P); NaN where there are no more points than parameters.
    """
    count, m = load.shape
    free = m - parameters.shape[1]
    if free < 1:
        return np.full((count, n, parameters.shape[1]), np.nan)
    rng = np.random.default_rng(seed)
    unsure = np.sqrt(free / rng.chisquare(free, size=(n, 1)))
    noise, turn = unsure * rng.standard_normal((n, m)), rng.uniform(size=n)
    drawn = np.empty((count, n, parameters.shape[1]))
    block = max(1, _MOST_AT_ONCE // (n * m))
    for first in range(0, count, block):
        rows = slice(first, first + block)
        drawn[rows] = _refitted(family, parameters[rows], load[rows], throughput[rows], noise, turn)
    if family.searches > _SMOOTH:
        _other_valleys(family, drawn, parameters, load, throughput, noise, turn)
    return drawn


def _other_valleys(
    family: Family, drawn: Array, parameters: Array, load: Array, throughput: Array, noise: Array, turn: Array
) -> None:
    """Let draws follow other valleys of the sum of squares as often as those are as likely as the deepest.

    A curve with a kink may have it between other loads and miss the points hardly more.
    """
    unit = np.maximum(throughput.max(axis=1, keepdims=True), 1e-300)
    scale = unit ** np.array(family.scale_power, dtype=float)
    low, high = np.array(family.low), family.high(load)
    y, deepest = throughput / unit, np.clip(parameters / scale, low, high)
    found = _searched(family, load, y, low=low, high=high)
    every = np.concatenate([deepest[:, None, :], found], axis=1)
    miss = np.stack([y - family.rough(every[:, k], load) for k in range(every.shape[1])], axis=1)
    # By the likelihood of residuals of which the size is not known.
    depth = np.maximum(np.square(miss).sum(axis=2), load.shape[1] * _LEAST_NOISE**2)
    weight = (depth / depth.min(axis=1, keepdims=True)) ** (-0.5 * load.shape[1])
    for k in range(1, every.shape[1]):
        apart = np.abs(every[:, :k] - every[:, k : k + 1]) > _SAME * np.abs(every[:, k : k + 1])
        weight[:, k] *= apart.any(axis=2).all(axis=1)
    ends = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    place = np.random.default_rng(len(noise)).permutation((np.arange(len(noise)) + 0.5) / len(noise))
    which = (place[None, :, None] > ends[:, None, :]).sum(axis=2)
    for k in range(found.shape[1]):
        rows = np.flatnonzero((which == k + 1).any(axis=1))
        if len(rows):
            other = _refitted(family, found[rows, k] * scale[rows], load[rows], throughput[rows], noise, turn)
            mine = which[rows] == k + 1
            drawn[rows] = np.where(mine[:, :, None], other, drawn[rows])


def _searched(family: Family, load: Array, y: Array, *, low: Array, high: Array) -> Array:
    """Where a search from each of a family's best starts ends, (B, K, P)."""
    starts = np.clip(family.starts(load, y), low, high[:, None, :])
    begun = best_starts(family.rough, load, y, starts=starts, scale_power=family.scale_power, keep=family.searches)
    count, several, size = begun.shape
    ended = fit_batch(
        family.rough,
        np.repeat(load, several, axis=0),
        np.repeat(y, several, axis=0),
        start=begun.reshape(count * several, size),
        low=np.broadcast_to(low, (count * several, size)),
        high=np.repeat(high, several, axis=0),
        slopes=family.slopes,
        precision=_SETTLED,
    )
    return ended.parameters.reshape(count, several, size)


def misfit_inflation(residual: Array) -> Array:
    """How much the noise must grow because residuals (B, m) of neighbouring loads go together, (B,)."""
    total = np.einsum("bm,bm->b", residual, residual)
    if residual.shape[1] < 5:
        return np.ones(len(residual))
    lagged = np.einsum("bm,bm->b", residual[:, 1:], residual[:, :-1])
    r = np.clip(np.divide(lagged, total, out=np.zeros_like(total), where=total > 0), 0.0, 0.8)
    return np.asarray(np.sqrt((1 + r) / (1 - r)))


def _refitted(family: Family, parameters: Array, load: Array, throughput: Array, noise: Array, turn: Array) -> Array:
    unit = np.maximum(throughput.max(axis=1), 1e-300)
    scale = unit[:, None] ** np.array(family.scale_power, dtype=float)
    low, high = np.array(family.low), family.high(load)
    fitted = family.predict(parameters, load) / unit[:, None]
    start = np.clip(parameters / scale, low, high)
    # The noise is added to the table's own curve, for a refit without noise to find what was fitted.
    own = family.rough(start, load)
    sizes, share = _noise(fitted, throughput / unit[:, None] - fitted, family.slopes(start, load, own))
    kind = np.minimum((turn[None, :, None] > np.cumsum(share, axis=1)[:, None, :]).sum(axis=2), len(_GROWTH) - 1)
    sd = np.take_along_axis(sizes, kind[:, :, None], axis=1)
    y = own[:, None, :] + sd * noise
    draws = len(noise)
    typical = np.sqrt(np.mean(sd[:, 0] ** 2, axis=1))
    found = _Refit(family, start, load, y, low, high, typical).found().reshape(len(load) * draws, -1)
    settled = family.settle(found * np.repeat(scale, draws, axis=0), np.repeat(load, draws, axis=0))
    return settled.reshape(len(load), draws, -1)


def _noise(fitted: Array, residual: Array, slopes: Array) -> tuple[Array, Array]:
    """Size the noise of every kind, (B, K, m), and give each kind's share, (B, K).

    A fit takes up as much of the noise as it has parameters, and of noise that grows most of it where throughput is
    high. So residuals are judged by the likelihood of what no parameter could have taken up.
    """
    relative = np.maximum(np.abs(fitted), 0.02 * np.abs(fitted).max(axis=1, keepdims=True) + 1e-300)
    free = residual.shape[1] - len(slopes)
    basis = _span(slopes)
    shapes = np.stack([relative**power for power in _GROWTH], axis=1)
    found = [_restricted(residual, shapes[:, k], basis, free) for k in range(len(_GROWTH))]
    size, likely = (np.stack(values, axis=1) for values in zip(*found, strict=True))
    share = np.exp(likely - likely.max(axis=1, keepdims=True)) * np.array(_BEFOREHAND)
    inflated = misfit_inflation(residual)[:, None] * size
    return inflated[:, :, None] * shapes, share / share.sum(axis=1, keepdims=True)


def _span(slopes: Array) -> Array:
    """Orthonormal basis (B, m, P) of what the parameters can move, from slopes (P, B, m)."""
    columns = slopes.transpose(1, 2, 0)
    size = np.sqrt(np.einsum("bmp,bmp->bp", columns, columns))[:, None, :]
    left, strength, _ = np.linalg.svd(
        np.divide(columns, size, out=np.zeros_like(columns), where=size > 0), full_matrices=False
    )
    return np.asarray(left * (strength > 1e-7)[:, None, :])


def _restricted(residual: Array, shape: Array, basis: Array, free: int) -> tuple[Array, Array]:
    """Size of noise with standard deviations ``shape`` (B, m) times it, and the log restricted likelihood, (B,)."""
    whitened, spread = residual / shape, basis / shape[:, :, None]
    inner = np.einsum("bmp,bmq->bpq", spread, spread)
    # Directions that no parameter moves are left out of the basis, and of its determinant.
    none = np.einsum("bmp,bmp->bp", basis, basis) < 0.5
    inner = inner + np.einsum("bp,pq->bpq", none.astype(float), np.eye(basis.shape[2]))
    taken = np.einsum("bmp,bm->bp", spread, whitened)
    square = np.einsum("bm,bm->b", whitened, whitened) - np.einsum(
        "bp,bp->b", taken, np.linalg.solve(inner, taken[..., None])[..., 0]
    )
    size = np.maximum(np.sqrt(np.maximum(square, 0.0) / free), _LEAST_NOISE)
    volume = np.log(shape).sum(axis=1) + 0.5 * np.linalg.slogdet(inner)[1]
    return size, -free * np.log(size) - volume


@dataclass(frozen=True)
class _Refit:
    """Curves (B) with draws (B, n, m) of their points."""

    family: Family
    start: Array
    load: Array
    y: Array
    low: Array
    high: Array
    sd: Array

    def found(self) -> Array:
        """Best parameters (B · n, P): Gauss–Newton with each curve's own slopes, and in full where that is not enough.

        All refits of a curve lie near it: its slopes serve them all, which leaves one evaluation of the curve a step.
        """
        count, draws, m = self.y.shape
        jacobian = self.family.slopes(self.start, self.load, self.family.rough(self.start, self.load))
        normal = np.repeat(normal_equations(jacobian, jacobian, self.load)[0], draws, axis=2)
        load, y = np.repeat(self.load, draws, axis=0), self.y.reshape(count * draws, m)
        low = np.broadcast_to(self.low, (count * draws, len(jacobian)))
        high = np.repeat(self.high, draws, axis=0)
        theta, residual = (
            np.repeat(self.start, draws, axis=0),
            y - self.family.rough(self.start, self.load).repeat(draws, 0),
        )
        least = np.einsum("bm,bm->b", residual, residual)
        near = _NEAR * np.repeat(self.sd**2, draws) + 1e-20
        for last in (False, True):
            pull = np.matmul(residual.reshape(count, draws, m), jacobian.transpose(1, 2, 0))
            gradient = pull.reshape(count * draws, -1).T
            held = at_bounds(theta, gradient, low, high)
            move = solve_held(normal, gradient, held, damping=0.0)
            stepped = np.clip(theta + move.T, low, high)
            if not last:
                residual = y - self.family.rough(stepped, load)
                worse = np.einsum("bm,bm->b", residual, residual) > least
                theta = stepped
        promised = np.einsum("pb,pb->b", np.where(held, 0.0, gradient), move)
        open_ = np.flatnonzero(worse | (promised > near))
        if len(open_):
            begin = np.where(worse[open_, None], np.repeat(self.start, draws, axis=0)[open_], theta[open_])
            stepped[open_] = fit_batch(
                self.family.rough,
                load[open_],
                y[open_],
                start=begin,
                low=low[open_],
                high=high[open_],
                slopes=self.family.slopes,
                iterations=25,
                precision=_SETTLED,
            ).parameters
        return stepped
