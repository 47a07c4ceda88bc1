"""The peak that is still to come, as the plan's futures see it once the first minutes are known.

Each future says a level of the minutes that have passed and a peak of those to come. What was seen moves every
future's peak by its gain times the future's surprise, on the log scale: the stochastic ensemble Kalman update. It
narrows the forecast as far as level and peak go together in the futures, and no further; beyond the futures it goes
on in a straight line.

References
----------
G. Burgers, P. J. van Leeuwen, G. Evensen (1998), Analysis Scheme in the Ensemble Kalman Filter, Monthly Weather
Review 126.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_LEAST = 1e-9


def settle_levels(level_qps: Floats, peak_qps: Floats, ratio: Floats, *, weight: float) -> Floats:
    """Move the futures' levels so that peak ÷ level is, on average, what past promotions had.

    The plan's shape of a few minutes is a mean of few promotions; how a peak stands to the minutes before it was seen
    in each of them.

    Parameters
    ----------
    level_qps, peak_qps : ndarray, shape (future, service)
        Of the minutes that were seen, and of those to come in the phase.
    ratio : ndarray, shape (service,)
        Mean log of peak ÷ level in past promotions; NaN: nothing moves.
    weight : float
        How far it is believed, 0 to 1.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        own = np.log(peak_qps / level_qps).mean(0)
        shift = weight * (ratio - own)
    return np.asarray(level_qps * np.exp(-np.where(np.isfinite(shift), shift, 0.0)))


def update_peaks(level_qps: Floats, peak_qps: Floats, seen_qps: Floats, *, misfit: float, seed: int) -> Floats:
    """Move the futures' peaks by what was seen.

    Parameters
    ----------
    level_qps : ndarray, shape (future, service)
        What each future said of the minutes that were seen.
    peak_qps : ndarray, shape (future, …, service)
        What it says of those to come; NaN stays NaN.
    seen_qps : ndarray, shape (service,)
        What was seen; NaN or zero: unknown, nothing moves.
    misfit : float
        Standard deviation of the log of peak ÷ level from one promotion to another, as history has it; where the
        futures doubt that ratio less, what was seen counts for less.
    seed : int

    Returns
    -------
    ndarray
        As `peak_qps`.

    Examples
    --------
    Everything runs 20 % above what any future said, and the futures' peaks follow their levels:

    >>> level = np.array([[90.0], [100.0], [110.0]])
    >>> moved = update_peaks(level, 2.0 * level, np.array([132.0]), misfit=1e-6, seed=0)
    >>> moved.ravel().round().tolist()
    [264.0, 264.0, 264.0]
    """
    known = np.isfinite(seen_qps) & (seen_qps > 0) & (level_qps > 0).all(0) & np.isfinite(level_qps).all(0)
    x = np.log(np.where(known, level_qps, 1.0))
    away = x - x.mean(0)
    surprise = np.log(np.where(known, seen_qps, 1.0)) - x
    noise = np.random.default_rng(seed).standard_normal(x.shape)
    noise -= noise.mean(0)
    out = np.array(peak_qps, dtype=float)
    flat = out.reshape(out.shape[0], -1, out.shape[-1])
    for target in range(flat.shape[1]):
        y = flat[:, target]
        use = known & np.isfinite(y).all(0) & (y > 0).all(0)
        log_peak = np.log(np.where(use, y, 1.0))
        own = log_peak - log_peak.mean(0)
        doubted = ((own - away) ** 2).mean(0)
        extra = np.maximum(misfit**2 - doubted, _LEAST)
        gain = (own * away).mean(0) / ((away**2).mean(0) + extra)
        moved = log_peak + gain * (surprise + noise * np.sqrt(extra))
        flat[:, target] = np.where(use, np.exp(moved), y)
    return out
