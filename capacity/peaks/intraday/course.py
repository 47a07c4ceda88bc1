"""The course of the days ahead: slow shapes, plus what of several memories persists, band by band.

Around its slow shape a day leaves a residual. Means of it over several memories (yesterday to two months, and the same
weekday) say in each band of the day's spectrum how much of it stays: in the lowest band that is the level with its
memories, in the others how fast shapes change. How much persists, by lead, is regressed on all past origins at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.peaks.intraday import shape
from capacity.peaks.intraday.shape import Bands, Floats, Ints, Shapes

HALF_LIVES = (0.7, 2.0, 7.0, 28.0)  # days: last day, last days, last week, last month
_N_TERMS = 5
LEADS = 7  # days ahead whose persistence is learnt; farther ones keep the last one's
_PRIOR_SD = 0.5  # of a share that persists, around none: shares lie between 0 and 1, nothing is taken over unseen
_LEAST = 0.05  # of a day known: with less it says nothing; with more it counts by how much is known
_CLIP = 2.5  # spreads of a day's level beyond which it is odd (Huber)
_HOLIDAY_PRIOR = (0.5, 0.35)  # how far a holiday is like a rest day: half way, anything between not and wholly likely
_REST_DAY = 6


@dataclass(frozen=True)
class CourseRule:
    """What `learn_rule` learnt: coefficients (band, term, 2), bands, and the holidays' likeness to a rest day."""

    bands: Bands
    weights: Floats
    clip: Floats
    holiday: float


@dataclass(frozen=True)
class Course:
    """Expected courses as of the start of every day.

    Attributes
    ----------
    ahead : ndarray, shape (series, day + 1, lead, slot)
        On the even scale: of the day itself (lead 0) and those after it.
    weight : ndarray, shape (series, day)
        How ordinary each day was.
    """

    ahead: Floats
    weight: Floats


def learn_course(values: Floats, weekday: Ints, holiday: NDArray[np.bool_]) -> CourseRule:
    """Learn bands, persistence and holidays from whole days.

    Parameters
    ----------
    values : ndarray, shape (series, day, slot)
        NaN where unknown.
    weekday, holiday : ndarray, shape (day + lead,)
    """
    n_days = values.shape[1]
    ordinary = ~holiday[:n_days]
    bands = shape.learn_bands(values, weekday[:n_days], ordinary)
    shapes = shape.follow_shapes(values, weekday[:n_days], ordinary, bands)
    likeness = _holiday_likeness(values, shapes, weekday, holiday[:n_days])
    clip = _CLIP * np.sqrt(bands.noise[:, 0])
    spectrum, known = _residuals(values, shapes, weekday, holiday, likeness)
    memories = _memories(spectrum, known, clip)
    weights = _regress(spectrum, known, memories, bands)
    return CourseRule(bands, weights, clip, likeness)


def follow_course(values: Floats, weekday: Ints, holiday: NDArray[np.bool_], rule: CourseRule, *, leads: int) -> Course:
    """Courses of the days ahead as of each day, from the days before it alone.

    Parameters
    ----------
    values : ndarray, shape (series, day, slot)
    weekday, holiday : ndarray, shape (day + leads,)
    rule : CourseRule
    leads : int
        Days, the day of the origin included.
    """
    n_series, n_days, n_slots = values.shape
    shapes = shape.follow_shapes(values, weekday[:n_days], ~holiday[:n_days], rule.bands)
    spectrum, known = _residuals(values, shapes, weekday, holiday, rule.holiday)
    memories = _memories(spectrum, known, rule.clip)
    ahead = np.empty((n_series, n_days + 1, leads, n_slots))
    index = rule.bands.index
    for lead in range(leads):
        days = np.arange(n_days + 1)
        kinds = weekday[days + lead]
        terms, base = _terms(memories, lead)
        share = rule.weights @ _ramp(min(lead, LEADS - 1))
        moved = base + np.einsum("sdkf,fk->sdf", terms, share[index])
        expected = _expected(shapes.slow, days, kinds, holiday[days + lead], rule.holiday)
        ahead[:, :, lead] = expected + np.fft.irfft(moved * n_slots, n=n_slots)
    return Course(ahead, shapes.weight)


def _ramp(lead: int) -> Floats:
    """Return a constant and a ramp from 0 to 1 with the root of the lead: differences fade so."""
    return np.array([1.0, (np.sqrt(lead + 1) - 1) / (np.sqrt(LEADS) - 1)])


def _expected(slow: Floats, days: Ints, kinds: Ints, holiday: NDArray[np.bool_], likeness: float) -> Floats:
    usual = slow[:, days, kinds]
    if not holiday.any():
        return usual
    return np.asarray(usual + np.where(holiday, likeness, 0.0)[:, None] * (slow[:, days, _REST_DAY] - usual))


def _holiday_likeness(values: Floats, shapes: Shapes, weekday: Ints, holiday: NDArray[np.bool_]) -> float:
    """How far past holidays moved from their weekday to a rest day; the prior is worth its own variance."""
    days = np.flatnonzero(holiday & (weekday[: len(holiday)] != _REST_DAY))
    mean, sd = _HOLIDAY_PRIOR
    if not days.size:
        return mean
    usual = shapes.slow[:, days, weekday[days]]
    toward = shapes.slow[:, days, _REST_DAY] - usual
    residual = values[:, days] - usual
    residual = residual - np.nanmean(np.where(np.isfinite(residual), residual, 0.0), axis=2, keepdims=True)
    toward = toward - toward.mean(2, keepdims=True)
    known = np.isfinite(residual)
    top = np.where(known, residual * toward, 0.0).sum(2)
    bottom = np.where(known, toward**2, 0.0).sum(2)
    left = np.where(known, (residual - toward) ** 2, 0.0).sum() / max(int(known.sum()), 1)
    # A day is one witness, however many slots it has: its slots err together.
    worth = bottom.sum() / max(left, 1e-12) / values.shape[2] * 2.0
    seen = top.sum() / max(bottom.sum(), 1e-12)
    return float((worth * seen + mean / sd**2) / (worth + 1 / sd**2))


def _residuals(
    values: Floats, shapes: Shapes, weekday: Ints, holiday: NDArray[np.bool_], likeness: float
) -> tuple[NDArray[np.complex128], Floats]:
    """Spectrum of each day around its slow shape (series, day, frequency), and how much of the day is known."""
    n_days, n_slots = values.shape[1:]
    days = np.arange(n_days)
    residual = values - _expected(shapes.slow, days, weekday[:n_days], holiday[:n_days], likeness)
    known = np.isfinite(residual)
    count = known.sum(2, keepdims=True)
    mean = np.where(known, residual, 0.0).sum(2, keepdims=True) / np.maximum(count, 1)
    filled = np.where(known, residual, mean)
    # A holiday says nothing of the days after it, nor is it what they are judged by.
    share = np.where(holiday[:n_days], 0.0, count[:, :, 0] / n_slots)
    return np.fft.rfft(filled) / n_slots, np.where(share >= _LEAST, share, 0.0)


@dataclass(frozen=True)
class _Memories:
    """Means of past residuals: (series, day + 1, memory, frequency), and of each weekday (series, day + 1, 7, …)."""

    means: NDArray[np.complex128]
    weekdays: NDArray[np.complex128]


def _memories(spectrum: NDArray[np.complex128], known: Floats, clip: Floats) -> _Memories:
    n_series, n_days, n_frequencies = spectrum.shape
    keep = 0.5 ** (1 / np.array(HALF_LIVES))
    total = np.zeros((n_series, keep.size, n_frequencies), dtype=complex)
    weight = np.zeros((n_series, keep.size))
    recent = np.zeros((n_series, 7, n_frequencies), dtype=complex)
    means = np.zeros((n_series, n_days + 1, keep.size, n_frequencies), dtype=complex)
    weekdays = np.zeros((n_series, n_days + 1, 7, n_frequencies), dtype=complex)
    run = np.zeros(n_series)
    for day in range(n_days):
        middle = means[:, day, 1, 0].real
        here = known[:, day]
        value, run = _held(spectrum[:, day], here > 0, middle, clip, run, first=weight[:, 1] <= 0)
        total = total * keep[:, None] + (here[:, None] * value)[:, None]
        weight = weight * keep + here[:, None]
        means[:, day + 1] = total / np.maximum(weight, 1e-12)[..., None]
        recent = np.roll(recent, -1, axis=1)
        # Row r is the residual of seven − r days ago: the next same weekday's, around the last week's mean.
        recent[:, -1] = np.where(here[:, None] > 0, value - means[:, day + 1, 2], 0.0)
        weekdays[:, day + 1] = recent
    return _Memories(means, weekdays)


def _held(
    value: NDArray[np.complex128],
    known: NDArray[np.bool_],
    middle: Floats,
    clip: Floats,
    run: Floats,
    *,
    first: NDArray[np.bool_],
) -> tuple[NDArray[np.complex128], Floats]:
    """Hold an odd day's level within the clip, unless three in a row lie on one side: that is a new level."""
    gap = value[:, 0].real - middle
    out = known & ~first & (np.abs(gap) > clip)
    side = np.sign(gap)
    run = np.where(out, np.where(np.sign(run) == side, run + side, side), np.where(known, 0.0, run))
    held = out & (np.abs(run) < 3)
    value = value.copy()
    value[:, 0] = np.where(held, middle + side * clip, value[:, 0].real)
    value[:, 1:] *= np.where(held, clip / np.maximum(np.abs(gap), 1e-12), 1.0)[:, None]
    return value, run


def _terms(memories: _Memories, lead: int) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Terms (series, day, term, frequency) whose shares are learnt, and the base that is taken whole: the level."""
    day, week, month = (memories.means[:, :, k] for k in (0, 2, 3))
    days = memories.means[:, :, 1]
    lasting = month.copy()
    lasting[..., 0] = 0.0
    same = memories.weekdays[:, :, lead % 7]
    return np.stack([day - days, days - week, week - month, lasting, same], axis=2), _level_only(week)


def _level_only(mean: NDArray[np.complex128]) -> NDArray[np.complex128]:
    base = np.zeros_like(mean)
    base[..., 0] = mean[..., 0]
    return base


def _regress(
    spectrum: NDArray[np.complex128],
    known: Floats,
    memories: _Memories,
    bands: Bands,
) -> Floats:
    """(band, term, 2) shares that persist, ridge around none; every series counts by its own noise.

    Origins of the first week are left out: there the shapes themselves are still being learnt, and what is missing of
    them would be taken for what persists. Where days differ by more than their noise they are worth less evidence.
    """
    n_days = spectrum.shape[1]
    n_bands = int(bands.index[-1]) + 1
    gram, right = np.zeros((n_bands, _N_TERMS * 2, _N_TERMS * 2)), np.zeros((n_bands, _N_TERMS * 2))
    square, count = np.zeros(n_bands), np.zeros(n_bands)
    scale = 1.0 / np.sqrt(bands.noise)[:, None, bands.index]
    for lead in range(min(LEADS, max(n_days - LEADS, 0))):
        origins = np.arange(LEADS, n_days - lead)
        terms, base = _terms(memories, lead)
        target = (spectrum[:, origins + lead] - base[:, origins]) * scale
        size = np.abs(target)
        target = target * np.where(size > _CLIP, _CLIP / np.maximum(size, 1e-12), 1.0)
        use = np.broadcast_to(known[:, origins + lead, None] / LEADS * 2.0, target.shape)
        x = terms[:, origins] * scale[:, :, None]
        full = np.einsum("sdkf,j->sdkjf", x, _ramp(lead)).reshape(*x.shape[:2], -1, x.shape[3])
        np.add.at(gram, bands.index, np.einsum("sdif,sdjf,sdf->fij", full, full.conj(), use, optimize=True).real)
        np.add.at(right, bands.index, np.einsum("sdif,sdf,sdf->fi", full, target.conj(), use, optimize=True).real)
        np.add.at(square, bands.index, (use * np.abs(target) ** 2).sum((0, 1)))
        np.add.at(count, bands.index, use.sum((0, 1)))
    variance = np.maximum(square / np.maximum(count, 1e-9), 1.0)
    ridge = np.eye(_N_TERMS * 2)[None] / _PRIOR_SD**2 * variance[:, None, None]
    return np.asarray(np.linalg.solve(gram + ridge, right[..., None])).reshape(n_bands, _N_TERMS, 2)
