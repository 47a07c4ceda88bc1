"""Which curve tells best what the high load did, judged on points it was not shown.

A curve that fits every point it saw may still be wrong where it matters, at the top. So each family is fitted without
a high-load point, predicts it, and is judged by the relative error; then once more without the last two together.
Weights follow from those errors; nothing is decided by the fit to points already seen.

References
----------
.. [1] M. Stone, "Cross-validatory choice and assessment of statistical predictions", J. Royal Stat. Soc. B 36 (1974).
.. [2] Y. Yao et al., "Using stacking to average Bayesian predictive distributions", Bayesian Analysis 13 (2018): why
   weights and not one winner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation.families import FAMILIES, Family
from capacity.saturation.leastsquares import PRECISE, BatchFit, best_of_starts, best_starts, fit_batch

Array = NDArray[np.float64]

_ERROR_FLOOR = 0.005
_MOST_EVIDENCE = 8
_TRIAL_PRECISION = 1e-6
"""A held-out error is told to three digits: a trial's search may end earlier than a fit's."""
_TABLE_PRECISION = 1e-8
"""A curve read from a table has kinks too small to matter, at which a finer search would never end."""


@dataclass(frozen=True)
class Contest:
    """Relative held-out error and weight of each family that could take part."""

    held_out_error: dict[str, float]
    weights: dict[str, float]

    @property
    def winner(self) -> str:
        """The family with the largest weight."""
        return max(self.weights, key=lambda name: self.weights[name])


@dataclass(frozen=True)
class Contests:
    """The same for a stack of tests.

    Attributes
    ----------
    families
        Names of the families, the columns of the rest.
    held_out_error
        Relative errors (B, F); NaN where a family could not take part.
    weights
        Weights (B, F) that sum to 1; 0 everywhere where no family could take part.
    """

    families: tuple[str, ...]
    held_out_error: Array
    weights: Array

    def of(self, row: int) -> Contest:
        """Say one test's."""
        judged = np.flatnonzero(~np.isnan(self.held_out_error[row]))
        errors = {self.families[f]: float(self.held_out_error[row, f]) for f in judged}
        weighed = [f for f in range(len(self.families)) if self.weights[row, f] > 0 or f in judged]
        if not weighed:
            return Contest({}, {"linear": 1.0})
        return Contest(errors, {self.families[f]: float(self.weights[row, f]) for f in weighed})

    @property
    def winner(self) -> NDArray[np.int64]:
        """Index of the family with the largest weight, (B,); −1 where none could be judged."""
        return np.where(self.weights.sum(axis=1) > 0, self.weights.argmax(axis=1), -1)


def fit_family(
    family: Family,
    load: Array,
    throughput: Array,
    *,
    weight: Array | None = None,
    exact: bool = False,
    precision: float = PRECISE,
) -> BatchFit:
    """Least squares of one family on stacks (B, n), in units in which the numbers are near one.

    Parameters
    ----------
    family
        The curve.
    load, throughput
        Arrays (B, n).
    weight
        Weights (B, n); 0 leaves a point out.
    exact
        Whether to end with the family's exact formula where it has a faster one.
    precision
        See `fit_batch`.
    """
    unit = np.maximum(throughput.max(axis=1, keepdims=True), 1e-300)
    y = throughput / unit
    low, high = np.array(family.low), family.high(load)
    starts = np.clip(family.starts(*_seen(load, y, weight)), low, high[:, None, :])
    has_table = type(family).rough is not Family.rough
    best = best_starts(
        family.rough, load, y, starts=starts, scale_power=family.scale_power, keep=family.searches, weight=weight
    )
    found = best_of_starts(
        family.rough,
        load,
        y,
        starts=best,
        low=low,
        high=high,
        weight=weight,
        slopes=family.slopes,
        precision=max(precision, _TABLE_PRECISION) if has_table else precision,
    )
    if exact and has_table:
        found = fit_batch(
            family.predict, load, y, start=found.parameters, low=low, high=high, weight=weight, precision=precision
        )
    scale = unit ** np.array(family.scale_power)
    seen = load if weight is None else np.where(weight > 0, load, 0.0)
    return BatchFit(family.settle(found.parameters * scale, seen), found.sse * unit[:, 0] ** 2)


def _seen(load: Array, y: Array, weight: Array | None) -> tuple[Array, Array]:
    """Points from which a search may start: in place of one that is left out, the one before it."""
    if weight is None:
        return load, y
    before = np.maximum.accumulate(np.where(weight > 0, np.arange(load.shape[1]), 0), axis=1)
    return np.take_along_axis(load, before, axis=1), np.take_along_axis(y, before, axis=1)


def _left_out(size: int) -> NDArray[np.bool_]:
    """Which of the points, sorted by load, each trial does not show: every one of the upper half, then the last two."""
    upper = np.arange(max(1, size // 2), size)
    alone = np.zeros((len(upper), size), dtype=bool)
    alone[np.arange(len(upper)), upper] = True
    if size < 6:
        return alone
    together = np.zeros((1, size), dtype=bool)
    together[0, -2:] = True
    return np.concatenate([alone, together])


def contests(load: Array, throughput: Array, *, families: Sequence[str]) -> Contests:
    """Judge families on held-out high load, many tests of as many points at once.

    Parameters
    ----------
    load, throughput
        Arrays (B, n), each row sorted by load.
    families
        Names of the families that may take part; one with as many parameters as distinct loads is left out.

    Examples
    --------
    >>> import numpy as np
    >>> n = np.array([[1, 2, 4, 8, 12, 16, 24, 32, 48.0]])
    >>> contests(n, np.minimum(n, 12) / 0.1, families=["linear", "usl", "pool"]).of(0).winner
    'pool'
    """
    size = load.shape[1]
    distinct = 1 + (np.diff(load, axis=1) > 0).sum(axis=1)
    hidden = _left_out(size)
    errors = np.full((len(load), len(families)), np.nan)
    for k, name in enumerate(families):
        rows = np.flatnonzero(distinct >= len(FAMILIES[name].parameters) + 2)
        if len(rows):
            errors[rows, k] = _held_out(FAMILIES[name], load[rows], throughput[rows], hidden)
    with np.errstate(invalid="ignore"):
        score = np.maximum(errors, _ERROR_FLOOR)
    # Of curves that predict alike the one with fewer parameters is preferred: they are often the same curve.
    sizes = np.array([len(FAMILIES[name].parameters) for name in families])
    log_weight = -min(int(hidden.sum()), _MOST_EVIDENCE) * np.log(score) - sizes
    log_weight = np.where(np.isnan(errors), -np.inf, log_weight)
    log_weight = np.where(_untold(errors, families)[:, None], _simplest(distinct, families), log_weight)
    best = log_weight.max(axis=1, keepdims=True, initial=-np.inf)
    share = np.exp(log_weight - np.where(np.isfinite(best), best, 0.0))
    total = share.sum(axis=1, keepdims=True)
    return Contests(tuple(families), errors, np.divide(share, total, out=np.zeros_like(share), where=total > 0))


def _untold(errors: Array, families: Sequence[str]) -> NDArray[np.bool_]:
    """Find tests with too few points to hide any from a curve that bends, where several families compete, (B,)."""
    bent = [k for k, name in enumerate(families) if name != "linear"]
    return np.asarray(np.isnan(errors[:, bent]).all(axis=1) & (len(families) > 1))


def _simplest(distinct: NDArray[np.int64], families: Sequence[str]) -> Array:
    """Log weights where nothing is told: the bend that two parameters allow includes the line."""
    line, bend = (families.index(n) if n in families else -1 for n in ("linear", "amdahl"))
    choice = np.where(distinct >= 3, bend, line)
    return np.where(np.arange(len(families))[None, :] == choice[:, None], 0.0, -np.inf)


def _held_out(family: Family, load: Array, throughput: Array, hidden: NDArray[np.bool_]) -> Array:
    """Root mean square of the relative errors at points that the fit was not shown, (B,)."""
    trials, size = hidden.shape
    x, y = np.repeat(load, trials, axis=0), np.repeat(throughput, trials, axis=0)
    out = np.tile(hidden, (len(load), 1))
    fitted = fit_family(family, x, y, weight=(~out).astype(float), precision=_TRIAL_PRECISION)
    least = 1e-9 * throughput.max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        miss = (family.rough(fitted.parameters, x) - y) / np.maximum(y, np.repeat(least, trials)[:, None])
        square = np.where(out, np.nan_to_num(miss, nan=1e3) ** 2, 0.0)
        return np.asarray(np.sqrt(square.reshape(len(load), trials * size).sum(axis=1) / hidden.sum()))
