"""The shape of days, as of every day: a pooled daily shape, each weekday's deviation, both shrunk by frequency.

Means over past days are taken slot by slot (what is unknown counts for nothing) and are then shrunk in the spectrum of
the day: in a band of frequencies where days of one kind differ by σ² and kinds by τ², a mean of n days is believed to
``τ² / (τ² + σ²/n)`` (empirical Bayes; Wiener's filter). So a smooth day is learnt in days and noise is never drawn as
shape, while a job that fires at the same minute every day keeps its edge.

References
----------
B. Efron and C. Morris (1975), Data analysis using Stein's estimator and its generalizations, JASA 70.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HALF_LIFE_DAYS = 56.0  # of the slow shape: two months; what moves faster is for the course's memories
_LEVEL_HALF_LIFE = 7.0
_HALF_WORTH = 7.0  # repeated days that the first, even split is worth: a week of them
_POOL_DAYS = 10.0  # days that the other series' variances are worth
_ODD = 2.5  # misfits so many times the usual one weigh less (Huber)
_HUBER = 1.345  # spreads: 95 % efficient for normal noise, near the median for heavy tails
_SLOT_WORTH = 2.0  # days that all slots' misfits are worth to one
_FEW_SLOTS = 0.25  # of a day known: with less it teaches no shape


@dataclass(frozen=True)
class Bands:
    """Variances of the spectrum, shape (series, band): of a day around its kind, of kinds, of the daily shape."""

    index: Ints
    noise: Floats
    weekday: Floats
    daily: Floats


@dataclass(frozen=True)
class Shapes:
    """Shapes as of the start of every day.

    Attributes
    ----------
    slow : ndarray, shape (series, day + 1, 7, slot)
        Course of each weekday around the level, known at the start of each day and after the last.
    weight : ndarray, shape (series, day)
        How much each day counted: 0 to 1, less for odd ones.
    """

    slow: Floats
    weight: Floats


def band_index(n_slots: int) -> Ints:
    """Band of each frequency of a real spectrum: 0, 1, 2, 3–4, 5–8, ….

    Examples
    --------
    >>> band_index(24).tolist()
    [0, 1, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5]
    """
    frequency = np.arange(n_slots // 2 + 1)
    return np.where(frequency < 1, 0, np.ceil(np.log2(np.maximum(frequency, 1))).astype(np.int64) + 1)


def learn_bands(values: Floats, weekday: Ints, ordinary: NDArray[np.bool_]) -> Bands:
    """Learn the variances from days as they were.

    Parameters
    ----------
    values : ndarray, shape (series, day, slot)
        On the even scale; NaN where unknown.
    weekday : ndarray of int, shape (day,)
    ordinary : ndarray of bool, shape (day,)
        Days of no holiday.
    """
    index = band_index(values.shape[2])
    known = np.isfinite(values) & ordinary[None, :, None]
    known &= np.asarray(known.mean(2) >= _FEW_SLOTS)[:, :, None]
    centred = values - _week_level(values, known)[:, :, None]
    clipped = _clip(centred, known)
    daily, _ = _mean(clipped, known)
    left, repeats, deviation, days = _around_weekdays(clipped - daily[:, None], known, weekday)
    alone = np.maximum(days.sum(1) - 1.0, 1.0)
    noise = _power(left, index) / np.where(repeats > 0, repeats, alone)[:, None]
    between = _power(deviation, index) / np.maximum((days > 0).sum(1), 1)[:, None]
    inverse = np.where(days > 0, 1.0 / np.maximum(days, 1), 0.0).sum(1) / np.maximum((days > 0).sum(1), 1)
    kinds = np.maximum(between - noise * inverse[:, None], 0.0)
    kinds[repeats <= 0] = 0.0
    noise, kinds = _even_at_first(noise, kinds, repeats)
    total = np.maximum(days.sum(1), 1)
    whole = np.maximum(_power(daily[:, None], index) - noise / total[:, None], 0.0)
    noise, kinds, whole = _borrow(noise, kinds, whole, total)
    return Bands(index, noise, kinds, whole)


def _week_level(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Level of the seven days around each day, (series, day): it follows growth and leaves weekdays their own."""
    slots, _ = _mean(values, known)
    count = known.sum(2)
    own = np.where(known, values - slots[:, None], 0.0).sum(2)
    return np.asarray(_week_sum(own) / np.maximum(_week_sum(count.astype(float)), 1.0))


def _week_sum(days: Floats) -> Floats:
    """Sum over the seven days around each day, fewer at the ends."""
    padded = np.pad(days, ((0, 0), (3, 3)))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 7, axis=1).sum(2))


def _mean(values: Floats, known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    count = known.sum(1)
    mean = np.where(known, values, 0.0).sum(1) / np.maximum(count, 1)
    return fill_slots(mean, count > 0), count.astype(float)


def fill_slots(shape: Floats, known: NDArray[np.bool_]) -> Floats:
    """Fill unknown slots of shapes (…, slot) with the mean of the known ones."""
    if known.all():
        return shape
    mean = np.where(known, shape, 0.0).sum(-1, keepdims=True) / np.maximum(known.sum(-1, keepdims=True), 1)
    return np.where(known, shape, mean)


def _clip(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Pull days' slots to within four robust spreads of their slot's median, so that an odd day is one of many."""
    held = np.where(known, values, np.nan)
    held = np.where(np.any(known, axis=1, keepdims=True), held, 0.0)
    middle = np.nanmedian(held, axis=1, keepdims=True)
    spread = 1.4826 * np.nanmedian(np.abs(held - middle), axis=(1, 2), keepdims=True)
    return np.where(known, np.clip(values, middle - 4 * spread, middle + 4 * spread), 0.0)


def _around_weekdays(values: Floats, known: NDArray[np.bool_], weekday: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """Days around their weekday's mean, how many days are repeats, weekdays' means, and days of each."""
    n_series, _, n_slots = values.shape
    left = np.zeros_like(values)
    deviation, days = np.zeros((n_series, 7, n_slots)), np.zeros((n_series, 7))
    freedom = np.zeros(n_series)
    for w in range(7):
        rows = np.flatnonzero(weekday == w)
        here = known[:, rows]
        mean, _ = _mean(values[:, rows], here)
        n = here.any(2).sum(1)
        days[:, w] = n
        deviation[:, w] = np.where((n > 0)[:, None], mean, 0.0)
        several = n > 1
        left[:, rows] = np.where(here & several[:, None, None], values[:, rows] - mean[:, None], 0.0)
        freedom += np.where(several, (n - 1) * here.mean(2).sum(1) / np.maximum(n, 1), 0.0)
    # In the first week no weekday is repeated: then days around the daily shape stand in for days around weekdays.
    alone = freedom <= 0
    left[alone] = np.where(known, values, 0.0)[alone]
    return left, freedom, deviation, days


def _even_at_first(noise: Floats, kinds: Floats, repeats: Floats) -> tuple[Floats, Floats]:
    """Until weekdays have come again, half of what days differ by is taken to be their weekday's: neither is known."""
    half = (noise + kinds) / 2.0
    weight = (repeats / (repeats + _HALF_WORTH))[:, None]
    return weight * noise + (1 - weight) * half, weight * kinds + (1 - weight) * half


def _power(values: Floats, index: Ints) -> Floats:
    """(series, band) power a frequency, summed over days: values (series, day, slot)."""
    spectrum = np.abs(np.fft.rfft(values, axis=2) / values.shape[2]) ** 2
    total = spectrum.sum(1)
    bands = np.zeros((len(values), int(index[-1]) + 1))
    np.add.at(bands.T, index, total.T)
    return bands / np.bincount(index)


def _borrow(noise: Floats, kinds: Floats, whole: Floats, days: Floats) -> tuple[Floats, Floats, Floats]:
    """Blend each series' variances, relative to its own size, with those of all series."""
    size = np.maximum(noise.sum(1, keepdims=True), 1e-12)
    weight = (days / (days + _POOL_DAYS))[:, None]
    blended = [weight * part / size + (1 - weight) * (part / size).mean(0) for part in (noise, kinds, whole)]
    noise, kinds, whole = (part * size for part in blended)
    return np.maximum(noise, 1e-12), kinds, whole


def follow_shapes(values: Floats, weekday: Ints, ordinary: NDArray[np.bool_], bands: Bands) -> Shapes:
    """Shapes as of every day, each from the days before it alone.

    Parameters
    ----------
    values : ndarray, shape (series, day, slot)
    weekday : ndarray of int, shape (day,)
    ordinary : ndarray of bool, shape (day,)
        Days that may teach shapes.
    bands : Bands
    """
    n_series, n_days, n_slots = values.shape
    slow = np.zeros((n_series, n_days + 1, 7, n_slots))
    weights = np.zeros((n_series, n_days))
    total, count = np.zeros((n_series, 8, n_slots)), np.zeros((n_series, 8, n_slots))
    level, usual, seen = np.zeros(n_series), np.zeros(n_series), np.zeros(n_series)
    size, times = np.zeros((n_series, n_slots)), np.zeros((n_series, n_slots))
    decay, keep = 0.5 ** (1 / HALF_LIFE_DAYS), 0.5 ** (1 / _LEVEL_HALF_LIFE)
    for day in range(n_days + 1):
        slow[:, day] = _shrunk(total, count, bands, slow[:, day - 1].mean(1) if day else np.zeros((n_series, n_slots)))
        if day == n_days:
            break
        here = np.isfinite(values[:, day])
        expected = slow[:, day, weekday[day]]
        own, around = _level_of(np.where(here, values[:, day] - expected, 0.0), here)
        teaches = here.mean(1) >= _FEW_SLOTS
        misfit = np.sqrt((around**2).sum(1) / np.maximum(here.sum(1), 1))
        weights[:, day] = np.where(teaches, _huber(misfit, usual, seen), 0.0)
        usual += np.where(teaches, (misfit * weights[:, day] - usual) / np.minimum(seen + 1, 14), 0.0)
        level += np.where(teaches, np.maximum(1.0 / (seen + 1), 1.0 - keep), 0.0) * (own - level)
        seen = seen + teaches
        limit = _slot_limit(size, times)
        size += np.abs(around)
        times += here
        if not ordinary[day]:
            continue
        step = np.where(here, weights[:, day, None], 0.0)
        held = expected + (own - level)[:, None] + np.clip(around, -limit, limit)
        total *= decay
        count *= decay
        for row in (7, weekday[day]):
            total[:, row] += step * held
            count[:, row] += step
    return Shapes(slow, weights)


def _level_of(residual: Floats, here: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Level of a day (series,) and what its slots leave around it (series, slot), 0 where unknown."""
    own = residual.sum(1) / np.maximum(here.sum(1), 1)
    return own, np.where(here, residual - own[:, None], 0.0)


def _slot_limit(size: Floats, times: Floats) -> Floats:
    """How far a slot may lie off before it counts as that far: by its own past misfits, so that edges are learnt."""
    overall = size.sum(1, keepdims=True) / np.maximum(times.sum(1, keepdims=True), 1)
    mean = (size + _SLOT_WORTH * overall) / (times + _SLOT_WORTH)
    return np.where(times.sum(1, keepdims=True) > 0, _HUBER * 1.2533 * mean, np.inf)


def _huber(misfit: Floats, usual: Floats, seen: Floats) -> Floats:
    limit = np.where(seen >= 3, _ODD * usual, np.inf)
    return np.asarray(np.where(misfit > limit, limit / np.maximum(misfit, 1e-12), 1.0))


def _shrunk(total: Floats, count: Floats, bands: Bands, before: Floats) -> Floats:
    """(series, 7, slot) shapes from sums and counts of weekdays (rows 0–6) and all days (row 7).

    A slot that is known less often than the others is made up to their number with the shape as it was believed
    ``before`` (series, slot): else the gaps themselves would be taken for shape.
    """
    n = count.mean(2, keepdims=True)
    lacking = np.maximum(n - count, 0.0)
    all_days = lacking[:, 7:]
    daily = (total[:, 7:] + all_days * before[:, None]) / np.maximum(count[:, 7:] + all_days, 1e-9)
    gap = (total[:, :7] - count[:, :7] * daily) / np.maximum(count[:, :7] + lacking[:, :7], 1e-9)
    of_daily = bands.daily / (bands.daily + bands.noise / np.maximum(n[:, 7], 1e-9))
    unsure = bands.noise[:, None] / np.maximum(n[:, :7], 1e-9)
    of_kinds = bands.weekday[:, None] / (bands.weekday[:, None] + unsure)
    spectrum = np.fft.rfft(daily) * of_daily[:, None, bands.index] + np.fft.rfft(gap) * of_kinds[..., bands.index]
    return np.fft.irfft(spectrum, n=total.shape[2])
