"""Intervals of a fitted curve: what noise, the choice of the family and the unknown shape leave open, as draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from capacity.errors import InputError, Problem
from capacity.saturation.families import FAMILIES, Family
from capacity.saturation.resample import parameter_draws
from capacity.saturation.stack import fit_stack
from capacity.saturation.uncertainty import LOST, UNTOLD, bend_past_end, misfit_of_shape, shape_error

if TYPE_CHECKING:
    import pandas as pd

    from capacity.saturation.fit import CurveFit

Array = NDArray[np.float64]

PEAK = ("peak_load", "peak_throughput")


def tails(level: float) -> list[float]:
    """Probabilities of the two ends of an interval."""
    if not 0.0 < level < 1.0:
        raise InputError(
            "the level of an interval is a share", problems=[Problem("level", repr(level), "between 0 and 1")]
        )
    return [(1 - level) / 2, (1 + level) / 2]


def interval_frame(drawn: Array, index: Sequence[object] | Array, *, name: str, level: float) -> pd.DataFrame:
    """Take the ends of the interval of each column of draws (n, k)."""
    import pandas as pd

    low, high = np.quantile(drawn, tails(level), axis=0, method="nearest")
    return pd.DataFrame({"low": low, "high": high}, index=pd.Index(list(index), name=name))


def predicted_draws(fit: CurveFit, at: Array, *, n: int, seed: int) -> Array:
    """Draw throughput at loads (k,), (n, k); from 0 to ``inf`` where nothing is known of the noise."""
    rng = np.random.default_rng(seed)
    drawn = []
    for name, point, theta in _by_family(fit, n, rng=rng):
        if np.isnan(theta).any():
            drawn.append(np.resize([[0.0], [np.inf]], (len(theta), 1)) * np.ones(len(at)))
            continue
        family = FAMILIES[name]
        values = family.rough(theta, np.tile(at, (len(theta), 1)))
        fitted = family.predict(point, fit.load[None])[0]
        shape = misfit_of_shape(fitted, fit.throughput - fitted)
        wrong = shape_error(at, fit.load, misfit=shape, held_out=fit.held_out_error.get(name, UNTOLD))
        bend = bend_past_end(at, fit.load, fit.throughput, rng=rng, n=len(theta))
        drawn.append(values * np.exp(bend + wrong * rng.standard_normal((len(theta), 1))))
    return np.concatenate(drawn)


def parameter_ends(family: Family, drawn: Array, point: Array, load: Array, *, level: float) -> tuple[Array, Array]:
    """Take the ends of the interval of each parameter of a stack of curves, (B, P).

    Parameters
    ----------
    family
        The curves' family.
    drawn, point
        Draws (B, n, P) and what was fitted, (B, P), which the interval holds.
    load
        The loads (B, m).
    level
        Coverage.
    """
    seen = family.high(load)
    low, high = np.quantile(drawn, tails(level), axis=1, method="nearest")
    unknown = np.asarray(np.isnan(drawn).any(axis=(1, 2)))[:, None]
    # What no load reached is at least as large as the loads could have shown.
    least = np.minimum(seen, load.max(axis=1, keepdims=True))
    low = np.where(unknown, np.array(family.low), np.where(np.isposinf(low), least, low))
    high = np.where(unknown, family.settle(seen, load), high)
    return np.minimum(low, point), np.maximum(high, point)


def peaks_of(family: Family, theta: Array, load: Array) -> Array:
    """Peaks (n, 2) of curves with parameters (n, P) fitted to loads (n, m).

    Where the loads never showed how many there are to serve, every other peak is the heaviest load: it may be that.
    """
    peaks = np.stack(family.peak(theta), axis=1)
    unseen = np.flatnonzero(np.isposinf(theta).any(axis=1))[::2]
    top = load[unseen].max(axis=1)
    peaks[unseen] = np.stack([top, family.rough(theta[unseen], top[:, None])[:, 0]], axis=1)
    return peaks


def peak_draws(fit: CurveFit, *, n: int, seed: int) -> Array:
    """Draw the load and the throughput of the peak, (n, 2)."""
    rng = np.random.default_rng(seed)
    drawn = []
    for name, _, theta in _by_family(fit, n, rng=rng):
        family, count = FAMILIES[name], len(theta)
        load = np.tile(fit.load, (count, 1))
        if np.isnan(theta).any() or name not in fit.held_out_error:
            # No point was hidden from this curve: nobody has seen it foretell anything.
            known = not np.isnan(theta).any()
            least = family.rough(theta, load).max(axis=1) if known else np.zeros(count)
            above = np.arange(count)[:, None] % 2 == 1
            drawn.append(np.where(above, np.inf, np.stack([np.full(count, fit.load[0]), least], axis=1)))
            continue
        peaks = peaks_of(family, theta, load)
        # What a curve says of the top it has shown at high points that were hidden from it.
        wrong = min(fit.held_out_error[name], LOST)
        peaks[:, 1] *= np.exp(wrong * rng.standard_normal(count))
        drawn.append(peaks)
    return np.concatenate(drawn)


def _by_family(fit: CurveFit, n: int, *, rng: np.random.Generator) -> Iterator[tuple[str, Array, Array]]:
    """Give every family that has a share of n draws, its parameters (1, P), and its draws."""
    x, y = fit.load[None], fit.throughput[None]
    shares = {name: round(n * w) for name, w in fit.weights.items()} if len(fit.weights) > 1 else {fit.family: n}
    for name, count in shares.items():
        if count == 0:
            continue
        own = name == fit.family
        values = [list(fit.parameters.values())] if own else fit_stack(x, y, family=name).parameters[name]
        point = np.array(values, dtype=float)
        yield name, point, parameter_draws(FAMILIES[name], point, x, y, n=count, seed=int(rng.integers(2**32)))[0]
