"""Whether a burst is due: a Gaussian process on what is known of the slot and of the last bursts.

References
----------
C. E. Rasmussen and C. K. I. Williams (2006), Gaussian Processes for Machine Learning, ch. 3 (Laplace's approximation).
G. King and L. Zeng (2001), Logistic regression in rare events data, Political Analysis 9 (sampling quiet intervals).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import expit

from capacity.peaks.intraday.shape import HALF_LIFE_DAYS, Floats, Ints

KNOTS = (0, 1, 2, 4)  # horizons that the last bursts speak for; beyond, the slot's frequency does
_FAST_DAYS = 2.0
_PRIOR_DAYS = 0.5  # what the overall frequency is worth to a slot: half a day, Jeffreys' prior
_LONGEST_AGE = 24.0  # hours
_MOST_POINTS = 250  # of bursts and of quiet intervals each that a fit rests on
_ROUNDS = 6
_PRIOR_VARIANCE = 3.0  # of the log odds around the overall frequency: a factor of six either way
_LINEAR = 0.3  # of it along straight lines, the rest local


@dataclass(frozen=True)
class DueRule:
    """Fitted processes, one a horizon of `KNOTS` and one for all beyond."""

    centre: tuple[Floats, ...]
    size: tuple[Floats, ...]
    points: tuple[Floats, ...]
    pull: tuple[Floats, ...]
    base: tuple[Floats, ...]


@dataclass(frozen=True)
class Past:
    """What is known of slots as of every day, and of the last bursts as of every origin.

    Attributes
    ----------
    slots : ndarray, shape (series, day + 1, slot, feature)
    last : ndarray, shape (series, interval + 1, feature)
    """

    slots: Floats
    last: Floats

    def features(self, origin: Ints, horizon: int | Ints, *, far: bool) -> Floats:
        """Features of the intervals `horizon` after origins, (series, …, feature)."""
        n_slots = self.slots.shape[2]
        of_slot = self.slots[:, origin // n_slots, (origin + horizon) % n_slots]
        if far:
            return np.asarray(of_slot)
        return np.concatenate([of_slot, np.broadcast_to(self.last[:, origin], (*of_slot.shape[:-1], 6))], axis=-1)


def look_back(burst: Floats) -> Past:
    """Gather features of bursts (series, day, slot): 1, 0, NaN unknown."""
    n_series, n_days, n_slots = burst.shape
    slow, fast = (_log_odds(burst, half_life) for half_life in (HALF_LIFE_DAYS, _FAST_DAYS))
    slots = np.stack([slow, fast, np.roll(slow, 1, axis=2), np.roll(slow, -1, axis=2)], axis=-1)
    flat = burst.reshape(n_series, n_days * n_slots)
    gap = np.nan_to_num(flat - expit(slow[:, :-1].reshape(n_series, -1)))
    gap = np.concatenate([np.zeros((n_series, 3)), gap], axis=1)
    recent = [gap[:, 3 - back : gap.shape[1] + 1 - back] for back in (1, 2, 3)]
    return Past(slots, np.stack([*_ages(flat, n_slots), *recent], axis=-1))


def _log_odds(burst: Floats, half_life: float) -> Floats:
    """(series, day + 1, slot) log odds of a burst in each slot as of each day's start."""
    known = np.isfinite(burst)
    keep = 0.5 ** (1.0 / half_life)
    hits = lfilter([1.0], [1.0, -keep], np.where(known, burst, 0.0), axis=1)
    seen = lfilter([1.0], [1.0, -keep], known.astype(float), axis=1)
    hits, seen = (np.concatenate([np.zeros_like(a[:, :1]), a], axis=1) for a in (hits, seen))
    overall = (hits.sum(2, keepdims=True) + 0.5) / (seen.sum(2, keepdims=True) + 1.0)
    odds = (hits + _PRIOR_DAYS * overall) / (seen - hits + _PRIOR_DAYS * (1 - overall))
    return np.asarray(np.log(odds))


def _ages(flat: Floats, n_slots: int) -> list[Floats]:
    """Log hours since the last burst, the one before and the one before that, as of each origin and the end."""
    n_series, n = flat.shape
    none = -(10**9)
    place = np.arange(n + 1)
    last = np.concatenate([np.full((n_series, 1), none), np.where(flat == 1, place[:-1], none)], axis=1)
    newest = np.maximum.accumulate(last, axis=1)
    before, out = newest, []
    for _ in range(3):
        age = np.minimum((place - before) * 24.0 / n_slots, _LONGEST_AGE)
        out.append(np.log(age))
        known = before >= 0
        before = np.where(known, np.take_along_axis(newest, np.where(known, before, 0), axis=1), before)
    return out


def learn_due(burst: Floats) -> DueRule:
    """Learn when bursts are due from past intervals, shape (series, day, slot)."""
    flat = burst.reshape(len(burst), -1)
    past, skip = look_back(burst), burst.shape[2]
    fitted = []
    for horizon, far in [*((h, False) for h in KNOTS), (2 * KNOTS[-1], True)]:
        origin = np.arange(flat.shape[1] - horizon)
        fitted.append(_fit(past.features(origin, horizon, far=far), flat[:, horizon:], skip=skip))
    return DueRule(*(tuple(part) for part in zip(*fitted, strict=True)))


def probability(rule: DueRule, past: Past, origin: Ints, horizon: int) -> Floats:
    """Probability of a burst `horizon` after each origin, shape (series, origin)."""
    far = horizon > KNOTS[-1]
    k = len(KNOTS) if far else int(np.abs(np.array(KNOTS) - horizon).argmin())
    return _apply(rule, k, past.features(origin, horizon, far=far))


def path(rule: DueRule, past: Past, origin: int, horizon: Ints) -> Floats:
    """Probability of a burst at each horizon after one origin, shape (series, horizon)."""
    n_slots = past.slots.shape[2]
    at = np.array([origin])
    slots = _apply(rule, len(KNOTS), past.slots[:, origin // n_slots])
    out = slots[:, (origin + horizon) % n_slots]
    for place in np.flatnonzero(horizon <= KNOTS[-1]):
        out[:, place] = probability(rule, past, at, int(horizon[place]))[:, 0]
    return np.asarray(out)


def _apply(rule: DueRule, k: int, features: Floats) -> Floats:
    scaled = (features - rule.centre[k]) / rule.size[k]
    kernel = _kernel(scaled, rule.points[k])
    return np.asarray(expit(rule.base[k][:, None] + (kernel @ rule.pull[k][..., None])[..., 0]))


def _kernel(left: Floats, right: Floats) -> Floats:
    """Covariance of log odds, (series, left, right): local and linear parts over standardized features."""
    dim = left.shape[2]
    inner = left @ right.transpose(0, 2, 1)
    distance = (left**2).sum(2)[:, :, None] + (right**2).sum(2)[:, None] - 2.0 * inner
    # Standardized points are √(2 dim) apart; a third of that sees neighbours and little else.
    width = 2.0 * dim / 9.0
    return np.asarray(_PRIOR_VARIANCE * (np.exp(-0.5 * np.maximum(distance, 0.0) / width) + _LINEAR * inner / dim))


def _fit(features: Floats, label: Floats, *, skip: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    rows, used, shift = _sample(label, skip)
    points = np.take_along_axis(features, rows[..., None], axis=1)
    y = np.where(used, np.take_along_axis(np.nan_to_num(label), rows, axis=1), 0.0)
    count = np.maximum(used.sum(1), 1)[:, None]
    centre = np.where(used[..., None], points, 0.0).sum(1) / count
    size = np.sqrt(np.where(used[..., None], (points - centre[:, None]) ** 2, 0.0).sum(1) / count)
    centre, size = centre[:, None], np.maximum(size, 0.1)[:, None]
    points = (points - centre) / size
    kernel = _kernel(points, points)
    mean = (y.sum(1) + 0.5) / (count[:, 0] + 1.0)
    base = np.log(mean / (1 - mean))
    value, pull = np.zeros_like(y), np.zeros_like(y)
    eye = np.eye(y.shape[1])
    for _ in range(_ROUNDS):
        p = expit(base[:, None] + value)
        weight = np.where(used, np.maximum(p * (1 - p), 1e-6), 0.0)
        root = np.sqrt(weight)
        right = weight * value + np.where(used, y - p, 0.0)
        inner = eye + root[:, :, None] * kernel * root[:, None]
        solved = np.linalg.solve(inner, (root * (kernel @ right[..., None])[..., 0])[..., None])[..., 0]
        pull = right - root * solved
        value = (kernel @ pull[..., None])[..., 0]
    return centre, size, points, pull, base - shift


def _sample(label: Floats, skip: int) -> tuple[Ints, NDArray[np.bool_], Floats]:
    """Rows of the newest bursts and of evenly spread quiet intervals, and what that adds to the log odds."""
    n_series = len(label)
    rows = np.zeros((n_series, 2 * _MOST_POINTS), dtype=np.int64)
    used = np.zeros(rows.shape, dtype=bool)
    shift = np.zeros(n_series)
    for s, row in enumerate(label):
        hits, rest = (np.flatnonzero(row == v) for v in (1.0, 0.0))
        hits, rest = hits[hits >= skip], rest[rest >= skip]
        kept, chosen = (
            hits[-_MOST_POINTS:],
            rest[np.linspace(0, rest.size - 1, min(rest.size, _MOST_POINTS)).astype(int)],
        )
        some = np.concatenate([kept, chosen])
        rows[s, : some.size], used[s, : some.size] = some, True
        shift[s] = np.log(max(kept.size, 1) / max(hits.size, 1)) - np.log(max(chosen.size, 1) / max(rest.size, 1))
    return rows, used, shift
