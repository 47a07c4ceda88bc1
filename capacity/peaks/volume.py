"""Requests of a day from people and orders: coefficients per DAU and DAT, and what days really showed.

``V[e](day) = per_dau·DAU + per_dat·DAT + 86400·extra_qps``, with the catalogue's coefficients or
non-negative ones fitted to history, times a learnt correction: the level of recent ordinary days, and
how past promotion days lay above the ordinary days before them.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from capacity.peaks.priors import Floats
from capacity.peaks.timeline import Ints

DAY_S = 86_400.0
LEVEL_DAYS = 28
_LEAST_LEVEL_DAYS = 3


def fit_rates(volume: Floats, dau: Floats, dat: Floats, *, weight: Floats | None = None) -> Floats:
    """Fit non-negative requests per active user, per transaction, and per day apart from both.

    Relative errors are squared, so that a promotion's days do not outvote all others; the three
    coefficients' seven possible supports are solved for all series at once and the best feasible one is taken.

    Parameters
    ----------
    volume : ndarray, shape (day, entry)
        Requests a day; NaN where unknown.
    dau, dat : ndarray, shape (day,)
    weight : ndarray, shape (day,), optional

    Returns
    -------
    ndarray, shape (entry, 3)
        Per DAU, per DAT, per day; NaN where fewer than three days are known.

    Examples
    --------
    >>> dau, dat = np.array([100., 120, 150, 300]), np.array([10., 11, 16, 90])
    >>> np.round(fit_rates((2 * dau + 3 * dat)[:, None], dau, dat), 6).tolist()
    [[2.0, 3.0, 0.0]]
    """
    feature = np.stack([dau, dat, np.full_like(dau, np.nanmean(dau) if np.isfinite(dau).any() else 1.0)], -1)
    known = np.isfinite(volume) & (volume > 0) & np.asarray(np.isfinite(feature).all(-1))[:, None]
    mass = np.where(known, 1.0, 0.0) * (1.0 if weight is None else weight[:, None])
    scaled = np.where(known[..., None], feature[:, None, :] / np.where(known, volume, 1.0)[..., None], 0.0)
    gram = np.einsum("dek,del,de->ekl", scaled, scaled, mass)
    right = np.einsum("dek,de->ek", scaled, mass)
    best, least = np.zeros((volume.shape[1], 3)), np.zeros(volume.shape[1])
    for size in (1, 2, 3):
        for support in combinations(range(3), size):
            solution = _solve(gram, right, support)
            loss = np.einsum("ek,ekl,el->e", solution, gram, solution) - 2.0 * (solution * right).sum(1)
            better = (solution >= 0).all(1) & (loss < least - 1e-9 * mass.sum(0))
            best[better], least[better] = solution[better], loss[better]
    best[:, 2] *= feature[0, 2]
    best[known.sum(0) < 3] = np.nan
    return best


def _solve(gram: Floats, right: Floats, support: tuple[int, ...]) -> Floats:
    rows = np.array(support)
    part = gram[:, rows[:, None], rows]
    ridge = 1e-10 * np.einsum("eii->e", part)[:, None, None] * np.eye(rows.size) + 1e-300 * np.eye(rows.size)
    out = np.zeros(right.shape)
    out[:, rows] = np.linalg.solve(part + ridge, right[:, rows, None])[..., 0]
    return out


def modelled(rates: Floats, dau: Floats, dat: Floats) -> Floats:
    """Return requests a day, shape (…, entry), of DAU and DAT of shape (…,)."""
    return np.asarray(dau[..., None] * rates[:, 0] + dat[..., None] * rates[:, 1] + rates[:, 2])


def level_before(
    log_ratio: Floats, day: Ints, ordinary: NDArray[np.bool_], *, before: int, span: int = LEVEL_DAYS
) -> Floats:
    """Median log ratio of the last ordinary days before a day.

    Parameters
    ----------
    log_ratio : ndarray, shape (day, series)
        log(observed ÷ modelled); NaN where unknown.
    day : ndarray of int, shape (day,)
        Ordinal of each row.
    ordinary : ndarray of bool, shape (day,)
        Days of no promotion.
    before : int
        Ordinal; rows at or after it are not looked at.
    span : int
        Days looked back.

    Returns
    -------
    ndarray, shape (series,)
        NaN where fewer than three days are known.
    """
    rows = log_ratio[(day < before) & (day >= before - span) & ordinary]
    out = np.full(log_ratio.shape[1], np.nan)
    enough = np.asarray(np.isfinite(rows).sum(0) >= _LEAST_LEVEL_DAYS)
    if enough.any():
        out[enough] = np.nanmedian(rows[:, enough], axis=0)
    return out


def latest_level(log_ratio: Floats, day: Ints, ordinary: NDArray[np.bool_], *, before: int) -> Floats:
    """Level of the last days before `before`, looking further back where the last days say nothing."""
    level = level_before(log_ratio, day, ordinary, before=before)
    for span in (90, 400):
        missing = ~np.isfinite(level)
        if not missing.any():
            break
        level[missing] = level_before(log_ratio, day, ordinary, before=before, span=span)[missing]
    return level


def log_ratio(observed: Floats, expected: Floats) -> Floats:
    """log(observed ÷ expected), NaN where either is unknown or not positive."""
    good = np.isfinite(observed) & np.isfinite(expected) & (observed > 0) & (expected > 0)
    safe = np.where(good, observed, 1.0) / np.where(good, expected, 1.0)
    return np.where(good, np.log(safe), np.nan)
