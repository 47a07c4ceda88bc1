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
from capacity.saturation.leastsquares import BatchFit, best_of_starts

Array = NDArray[np.float64]

_ERROR_FLOOR = 0.005
_MOST_EVIDENCE = 8


@dataclass(frozen=True)
class Contest:
    """Relative held-out error and weight of each family that could take part."""

    held_out_error: dict[str, float]
    weights: dict[str, float]

    @property
    def winner(self) -> str:
        """The family with the largest weight."""
        return max(self.weights, key=lambda name: self.weights[name])


def fit_family(
    family: Family, load: Array, throughput: Array, *, weight: Array | None = None, exact: bool = False
) -> BatchFit:
    """Least squares of one family on stacks (B, n), in units in which the numbers are near one."""
    unit = np.maximum(throughput.max(axis=1, keepdims=True), 1e-300)
    y = throughput / unit
    bounds = np.array(family.low), family.high(load)
    found = best_of_starts(
        family.predict if exact else family.rough,
        load,
        y,
        starts=family.starts(load, y),
        low=bounds[0],
        high=bounds[1],
        weight=weight,
    )
    scale = unit ** np.array(family.scale_power)
    jacobian = found.jacobian * unit[:, :, None] / scale[:, None, :]
    seen = load if weight is None else np.where(weight > 0, load, 0.0)
    return BatchFit(family.settle(found.parameters * scale, seen), found.sse * unit[:, 0] ** 2, jacobian)


def _left_out(load: Array) -> NDArray[np.bool_]:
    """Which points each trial does not show: every point of the upper half by itself, then the last two together."""
    order = np.argsort(load, kind="stable")
    upper = order[max(1, len(load) // 2) :]
    alone = np.zeros((len(upper), len(load)), dtype=bool)
    alone[np.arange(len(upper)), upper] = True
    if len(load) < 6:
        return alone
    together = np.zeros((1, len(load)), dtype=bool)
    together[0, order[-2:]] = True
    return np.concatenate([alone, together])


def contest(load: Array, throughput: Array, *, families: Sequence[str]) -> Contest:
    """Judge families on held-out high load.

    Parameters
    ----------
    load, throughput
        One test's points, arrays (n,).
    families
        Names of the families that may take part; one with as many parameters as distinct loads is left out.

    Examples
    --------
    >>> import numpy as np
    >>> n = np.array([1, 2, 4, 8, 12, 16, 24, 32, 48.0])
    >>> contest(n, np.minimum(n, 12) / 0.1, families=["linear", "usl", "pool"]).winner
    'pool'
    """
    distinct = len(np.unique(load))
    hidden = _left_out(load)
    errors: dict[str, float] = {}
    counted = min(int(hidden.sum()), _MOST_EVIDENCE)
    tile = np.tile(load, (len(hidden), 1)), np.tile(throughput, (len(hidden), 1))
    for name in families:
        family = FAMILIES[name]
        if distinct < len(family.parameters) + 2:
            continue
        fitted = fit_family(family, *tile, weight=(~hidden).astype(float))
        with np.errstate(divide="ignore", invalid="ignore"):
            miss = (family.rough(fitted.parameters, tile[0]) - tile[1]) / np.maximum(tile[1], 1e-9 * throughput.max())
        errors[name] = float(np.sqrt(np.mean(np.nan_to_num(miss[hidden], nan=1e3) ** 2)))
    if not set(errors) - {"linear"} and len(families) > 1:
        # Too few points to hide any from a curve that bends. The bend that two parameters allow includes the line.
        return Contest(errors, {"amdahl" if distinct >= 3 else "linear": 1.0})
    if not errors:
        return Contest({}, {"linear": 1.0})
    score = np.array([max(e, _ERROR_FLOOR) for e in errors.values()])
    # Of curves that predict alike the one with fewer parameters is preferred: they are often the same curve.
    size = np.array([len(FAMILIES[name].parameters) for name in errors])
    log_weight = -counted * np.log(score) - size
    share = np.exp(log_weight - log_weight.max())
    share /= share.sum()
    return Contest(errors, {name: float(w) for name, w in zip(errors, share, strict=True)})
