"""How far off forecasts are: by slot of the day and horizon, with the shape that past errors had, newest first.

Errors are scaled by the slot's own spread (shrunk to the day's) and the horizon's; what is left over is tabulated as
quantiles from errors made before (split conformal on rolling origins). Old errors fade, so the table follows what the
last weeks covered; where errors are few, Student's t stands in.

References
----------
J. Lei et al. (2018), Distribution-free predictive inference for regression, JASA 113.
I. Gibbs and E. Candès (2021), Adaptive conformal inference under distribution shift, NeurIPS.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr
from scipy.stats import t as student

from capacity.peaks.intraday.shape import Floats, Ints

SCORES = np.linspace(-4.0, 4.0, 161)  # normal scores at which quantiles are tabulated
_EDGES = np.sinh(np.linspace(-np.arcsinh(40.0), np.arcsinh(40.0), 801))  # bins of scaled errors, fine in the middle
_HALF_LIFE_DAYS = 56.0  # as the shapes
_STEER = 0.5  # scales a day moves a quantile for a whole day's misses
_TAIL_DF = 5.0
_PRIOR_WORTH = 30.0  # independent errors that weigh as much as that prior
_SLOT_DAYS = 10.0  # days that the mean over slots is worth to one slot
_CLIP = 4.0


@dataclass(frozen=True)
class Spread:
    """Location (series, knot) and scale of errors: (series, slot) times (series, knot), at horizons `knots`."""

    knots: Ints
    location: Floats
    slot: Floats
    horizon: Floats

    def at(self, origin: Ints, horizon: Ints) -> tuple[Floats, Floats]:
        """Location and scale, shape (series, …), of intervals `horizon` after origins counted from a day's start."""
        n_slots = self.slot.shape[1]
        at, known = np.log2(1.0 + horizon), np.log2(1.0 + self.knots)
        factor = np.stack([np.interp(at, known, row) for row in self.horizon])
        location = np.stack([np.interp(at, known, row) for row in self.location])
        return location, factor * self.slot[:, (origin + horizon) % n_slots]


def learn_spread(errors: Floats, knots: Ints, n_slots: int) -> Spread:
    """Learn the scale of errors.

    Parameters
    ----------
    errors : ndarray, shape (knot, series, interval)
        By origin, NaN where unknown.
    knots : ndarray of int, shape (knot,)
    n_slots : int
        Intervals a day.
    """
    size = np.stack([_robust_size(e) for e in errors], axis=1)
    overall = size[:, 0]
    first = np.clip(errors[0] / overall[:, None], -_CLIP, _CLIP).reshape(len(overall), -1, n_slots) ** 2
    count = np.isfinite(first).sum(1)
    own = np.nansum(first, axis=1)
    mean = own.sum(1, keepdims=True) / np.maximum(count.sum(1, keepdims=True), 1)
    slot = np.sqrt((own + _SLOT_DAYS * mean) / (count + _SLOT_DAYS) / np.maximum(mean, 1e-12))
    location = np.zeros_like(size)
    for k, e in enumerate(errors):
        known = np.isfinite(e)
        # Errors of one day share much: a day is about two witnesses of a bias, and bias is rare.
        worth = 2.0 * known.sum(1) / n_slots / (1.0 + knots[k] / n_slots)
        middle = np.array([np.median(row[here]) if here.any() else 0.0 for row, here in zip(e, known, strict=True)])
        location[:, k] = middle * worth / (worth + _PRIOR_WORTH)
    return Spread(knots, location, slot, size)


def _robust_size(errors: Floats) -> Floats:
    """Scale at which a normal's 80 % interval would hold 80 % of the errors."""
    out = np.full(len(errors), np.nan)
    for i, row in enumerate(errors):
        known = row[np.isfinite(row)]
        if known.size >= 8:
            out[i] = np.quantile(np.abs(known), 0.8) / 1.2816
    typical = float(np.nanmedian(out)) if np.isfinite(out).any() else 0.5
    return np.where(np.isfinite(out), np.maximum(out, 1e-6), typical)


def tabulate(scaled: Floats, n_slots: int, *, rate: float = 1.0) -> Floats:
    """Quantiles of scaled errors at `SCORES` as of each day, shape (day + 1, score).

    Parameters
    ----------
    scaled : ndarray, shape (…, interval)
        Of targets in these intervals, over whole days; NaN where unknown. A day's table rests on the days before it.
    n_slots : int
        Intervals a day.
    rate : float
        Independent errors that an interval's are worth, at most 1.
    """
    rows = scaled.reshape(-1, scaled.shape[-1] // n_slots, n_slots)
    n_days = rows.shape[1]
    counts = np.zeros((n_days, _EDGES.size - 1))
    for day in range(n_days):
        known = rows[:, day][np.isfinite(rows[:, day])]
        counts[day] = np.histogram(np.clip(known, _EDGES[0], _EDGES[-1]), bins=_EDGES)[0]
    keep = 0.5 ** (1.0 / _HALF_LIFE_DAYS)
    faded = lfilter([1.0], [1.0, -keep], counts, axis=0)
    faded = np.concatenate([np.zeros((1, faded.shape[1])), faded])
    return _steered(np.stack([_table(row, rate) for row in faded]), counts)


def _steered(tables: Floats, counts: Floats) -> Floats:
    """Move each quantile by what each day missed of it: too often missed, out; held too well, in."""
    probability, shift = ndtr(SCORES), np.zeros(SCORES.size)
    out = np.empty_like(tables)
    for day, table in enumerate(tables):
        out[day] = np.maximum.accumulate(table + shift)
        if day < len(counts) and (n := counts[day].sum()) > 0:
            below = np.interp(out[day], _EDGES, np.concatenate([[0.0], np.cumsum(counts[day])])) / n
            shift += _STEER * (probability - below)
    return out


def _table(counts: Floats, rate: float) -> Floats:
    probability = ndtr(SCORES)
    prior = student.ppf(probability, _TAIL_DF) / student.ppf(0.9, _TAIL_DF) * 1.2816
    n = counts.sum()
    if n <= 0:
        return np.asarray(prior)
    worth = n * rate
    cumulative = np.concatenate([[0.0], np.cumsum(counts)]) / n
    rising = np.concatenate([[True], np.diff(cumulative) > 0])
    own = np.interp(probability, cumulative[rising], _EDGES[rising])
    body = np.interp(0.9, cumulative[rising], _EDGES[rising]) - np.interp(0.1, cumulative[rising], _EDGES[rising])
    body = max(body / 2.0 / 1.2816, 0.1) * float(student.ppf(0.9, max(worth, 3.0))) / 1.2816
    # Beyond the last few independent errors only the t's tail is known.
    trust = worth / (worth + _PRIOR_WORTH) * np.clip(np.minimum(probability, 1 - probability) * worth / 2.0, 0.0, 1.0)
    return np.asarray(np.maximum.accumulate(trust * own + (1.0 - trust) * body * prior))


def at_probability(table: Floats, probability: float) -> Floats:
    """Quantile of each table (…, score) at a probability."""
    from scipy.special import ndtri

    place = np.clip((float(ndtri(probability)) - SCORES[0]) / (SCORES[1] - SCORES[0]), 0, SCORES.size - 1)
    low = min(int(place), SCORES.size - 2)
    return np.asarray(table[..., low] + (place - low) * (table[..., low + 1] - table[..., low]))


def normal_score(table: Floats, scaled: Floats) -> Floats:
    """Normal score of scaled errors under one table, by interpolation."""
    rising = table + 1e-9 * np.arange(table.size)
    return np.asarray(np.interp(scaled, rising, SCORES))
