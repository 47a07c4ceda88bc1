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
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from capacity.peaks.intraday.shape import Floats, Ints

SCORES = np.linspace(-4.0, 4.0, 161)  # normal scores at which quantiles are tabulated
_EDGES = np.sinh(np.linspace(-np.arcsinh(40.0), np.arcsinh(40.0), 801))  # bins of scaled errors, fine in the middle
_HALF_LIFE_DAYS = 56.0  # as the shapes
_STEER, _MOST_STEER = 0.05, 0.5  # scales that an independent error, and a whole day, may move a quantile
_MOST_TAIL = 3.0  # times Student's t that a shape's tails may reach
_TAIL_DF = 5.0
_PRIOR_WORTH = 30.0  # independent errors that weigh as much as that prior
_SCALE_WORTH = 5.0  # and as that scales are right as they were learnt
_SHORTER_WORTH = 10.0  # errors that the next shorter horizon's scale is worth
_FARTHER = 1.1  # by which a horizon twice as far is taken to be less sure until it is seen
_UNSEEN = 0.5  # scale without any error: a factor of 1.6 either way
_SLOT_DAYS = 10.0  # days that the mean over slots is worth to one slot
_CLIP = 4.0


@dataclass(frozen=True)
class Spread:
    """Location (series, knot) and scale of errors: (series, knot, slot) times (series, knot), at horizons `knots`."""

    knots: Ints
    location: Floats
    slot: Floats
    horizon: Floats

    def at(self, origin: Ints, horizon: Ints) -> tuple[Floats, Floats]:
        """Location and scale, shape (series, …), of intervals `horizon` after origins counted from a day's start."""
        n_slots = self.slot.shape[2]
        at, known = np.log2(1.0 + horizon), np.log2(1.0 + self.knots)
        factor = np.stack([np.interp(at, known, row) for row in self.horizon])
        location = np.stack([np.interp(at, known, row) for row in self.location])
        nearest = np.abs(np.asarray(at)[..., None] - known).argmin(-1)
        return location, factor * self.slot[:, nearest, (origin + horizon) % n_slots]


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
    size = _sizes(errors, knots)
    slot = np.stack(
        [_slots(e / size[:, k, None], int(h), n_slots) for k, (e, h) in enumerate(zip(errors, knots, strict=True))],
        axis=1,
    )
    location = np.zeros_like(size)
    for k, e in enumerate(errors):
        known = np.isfinite(e)
        # Errors of one day share much: a day is about two witnesses of a bias, and bias is rare.
        worth = 2.0 * known.sum(1) / n_slots / (1.0 + knots[k] / n_slots)
        middle = np.array([np.median(row[here]) if here.any() else 0.0 for row, here in zip(e, known, strict=True)])
        location[:, k] = middle * worth / (worth + _PRIOR_WORTH)
    return Spread(knots, location, slot, size)


def _slots(scaled: Floats, horizon: int, n_slots: int) -> Floats:
    """(series, slot) scale of errors by the target's slot, shrunk to the day's."""
    target = np.full_like(scaled, np.nan)
    if horizon < scaled.shape[1]:
        target[:, horizon:] = scaled[:, : scaled.shape[1] - horizon]
    square = np.clip(target, -_CLIP, _CLIP).reshape(len(scaled), -1, n_slots) ** 2
    count = np.isfinite(square).sum(1)
    total = np.nansum(square, axis=1)
    mean = total.sum(1, keepdims=True) / np.maximum(count.sum(1, keepdims=True), 1)
    shrunk = (total + _SLOT_DAYS * mean) / (count + _SLOT_DAYS)
    return np.asarray(np.sqrt(np.where(mean > 0, shrunk / np.maximum(mean, 1e-12), 1.0)))


def _sizes(errors: Floats, knots: Ints) -> Floats:
    """(series, knot) scale at which a normal's 80 % interval would hold 80 % of the errors.

    A horizon that few errors are known of leans on the next shorter one: farther is no surer.
    """
    out = np.empty((errors.shape[1], knots.size))
    shorter = np.full(errors.shape[1], np.nan)
    for k, (e, horizon) in enumerate(zip(errors, knots, strict=True)):
        known = np.isfinite(e)
        own = np.array([_reach(row[here]) for row, here in zip(e, known, strict=True)])
        if k == 0:
            typical = float(np.nanmedian(own)) if np.isfinite(own).any() else _UNSEEN
            out[:, 0] = np.where(np.isfinite(own), own, typical)
        else:
            worth = known.sum(1) * (1.0 + horizon) ** -0.5
            trust = np.where(np.isfinite(own), worth / (worth + _SHORTER_WORTH), 0.0)
            logs = np.log(np.where(np.isfinite(own), own, shorter))
            out[:, k] = np.exp(trust * logs + (1 - trust) * np.log(shorter * _FARTHER))
        shorter = out[:, k]
    return out


def _reach(known: Floats) -> float:
    return max(float(np.quantile(np.abs(known), 0.8)) / 1.2816, 1e-6) if known.size >= 8 else np.nan


def student_shape() -> Floats:
    """Quantiles at `SCORES` of the shape that stands in where nothing is known: Student's t, as wide as a normal."""
    return np.asarray(student.ppf(ndtr(SCORES), _TAIL_DF) / student.ppf(0.9, _TAIL_DF) * 1.2816)


def shape_of(scaled: Floats) -> Floats:
    """Quantiles at `SCORES` of scaled errors, as wide as a normal: a first idea of their shape, e.g. in sample."""
    known = scaled[np.isfinite(scaled)]
    counts = np.histogram(np.clip(known, _EDGES[0], _EDGES[-1]), bins=_EDGES)[0]
    return _unit(_table(counts.astype(float), 1.0, student_shape()))


def _unit(table: Floats) -> Floats:
    ninth = (SCORES.size - 1) / 2 + 1.2816 / (SCORES[1] - SCORES[0])
    low, high = (np.interp(place, np.arange(SCORES.size), table) for place in (SCORES.size - 1 - ninth, ninth))
    middle = table[SCORES.size // 2]
    shape = (table - middle) / max(float(high - low) / 2.5632, 1e-6)
    # A few errors crowded together must not hand on tails without bound.
    bound = 1.0 + _MOST_TAIL * np.abs(student_shape())
    return np.asarray(np.clip(shape, -bound, bound))


def tabulate(scaled: Floats, n_slots: int, *, prior: Floats, rate: float = 1.0) -> Floats:
    """Quantiles of scaled errors at `SCORES` as of each day, shape (day + 1, score).

    Parameters
    ----------
    scaled : ndarray, shape (…, interval)
        Of targets in these intervals, over whole days; NaN where unknown. A day's table rests on the days before it.
    n_slots : int
        Intervals a day.
    prior : ndarray, shape (score,) or (day + 1, score)
        Shape that stands in where errors are few.
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
    priors = np.broadcast_to(prior, (n_days + 1, SCORES.size))
    tables = np.stack([_table(row, rate, shape) for row, shape in zip(faded, priors, strict=True)])
    return _steered(tables, counts, rate)


def tabulate_ladder(scaled: Floats, knots: Ints, n_slots: int, *, first: Floats) -> Floats:
    """Tables of each horizon, (knot, day + 1, score); a farther one has the nearer one's shape until it has its own.

    ``scaled`` (knot, series, interval); ``first`` (score,) is the nearest horizon's prior.
    """
    tables, prior = [], first
    for errors, horizon in zip(scaled, knots, strict=True):
        # Errors of origins nearer than their horizon are much the same error; the root is between that and none.
        tables.append(tabulate(errors, n_slots, prior=prior, rate=float((1.0 + horizon) ** -0.5)))
        prior = np.stack([_unit(table) for table in tables[-1]])
    return np.stack(tables)


def _steered(tables: Floats, counts: Floats, rate: float) -> Floats:
    """Move each quantile by what each day missed of it: too often missed, out; held too well, in."""
    probability, shift = ndtr(SCORES), np.zeros(SCORES.size)
    out = np.empty_like(tables)
    for day, table in enumerate(tables):
        out[day] = np.maximum.accumulate(table + shift)
        if day < len(counts) and (n := counts[day].sum()) > 0:
            below = np.interp(out[day], _EDGES, np.concatenate([[0.0], np.cumsum(counts[day])])) / n
            shift += min(_STEER * n * rate, _MOST_STEER) * (probability - below)
    return out


def _table(counts: Floats, rate: float, prior: Floats) -> Floats:
    n = counts.sum()
    if n <= 0:
        return prior
    probability = ndtr(SCORES)
    worth = n * rate
    cumulative = np.concatenate([[0.0], np.cumsum(counts)]) / n
    rising = np.concatenate([[True], np.diff(cumulative) > 0])
    own = np.interp(probability, cumulative[rising], _EDGES[rising])
    low, high = (np.interp(p, cumulative[rising], _EDGES[rising]) for p in (0.1, 0.9))
    # Few errors say little of the scale either: it is 1 to begin with, and they are no surer than Student's t.
    body = max((high - low) / 2.5632, 0.1) ** (worth / (worth + _SCALE_WORTH))
    body *= float(student.ppf(0.9, max(worth, 3.0))) / 1.2816
    # Beyond the last few independent errors only the prior's tail is known.
    trust = worth / (worth + _PRIOR_WORTH) * np.clip(np.minimum(probability, 1 - probability) * worth / 2.0, 0.0, 1.0)
    return np.asarray(np.maximum.accumulate(trust * own + (1.0 - trust) * body * prior))


def at_probability(table: Floats, probability: float) -> Floats:
    """Quantile at a probability of quantiles (…, score) at `SCORES`."""
    place = np.clip((float(ndtri(probability)) - SCORES[0]) / (SCORES[1] - SCORES[0]), 0, SCORES.size - 1)
    low = min(int(place), SCORES.size - 2)
    return np.asarray(table[..., low] + (place - low) * (table[..., low + 1] - table[..., low]))


def score_under(quantiles: Floats, value: Floats) -> Floats:
    """Return normal scores of values (…) under quantiles (…, score); NaN where the value is unknown."""
    below = np.clip((quantiles < value[..., None]).sum(-1), 1, SCORES.size - 1)[..., None]
    low = np.take_along_axis(quantiles, below - 1, -1)[..., 0]
    high = np.take_along_axis(quantiles, below, -1)[..., 0]
    part = np.clip((value - low) / np.maximum(high - low, 1e-12), 0.0, 1.0)
    return np.asarray(SCORES[below[..., 0] - 1] + part * (SCORES[1] - SCORES[0]))


def value_at_score(quantiles: Floats, score: Floats) -> Floats:
    """Values of normal scores (sample, …) under quantiles (…, score)."""
    place = np.clip((score - SCORES[0]) / (SCORES[1] - SCORES[0]), 0.0, SCORES.size - 1.001)
    low = place.astype(np.int64)
    flat = quantiles.reshape(-1)
    start = np.arange(flat.size // SCORES.size).reshape(quantiles.shape[:-1]) * SCORES.size
    at = start + low
    return np.asarray(flat[at] + (place - low) * (flat[at + 1] - flat[at]))
