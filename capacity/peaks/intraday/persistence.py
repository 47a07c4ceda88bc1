"""What the last hours say of the next ones: residuals around the day's course, and how much of them stays, by horizon.

Origins are interval starts; what is known there are the intervals before. Means of the residuals over several memories
(the last interval to half a day) each persist to a share that fades with the horizon; the shares are regressed on all
past origins at a ladder of horizons and taken in between by the logarithm.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from capacity.peaks.intraday.shape import Floats, Ints

_LONGEST_H = 12.0
_N_MEMORIES = 4
_PRIOR_SD = 0.5
_LEAST_KNOWN = 0.25  # of a memory's weight: with less known it fades to nothing
_CLIP = 4.0
_MOST_ORIGINS = 6000


@dataclass(frozen=True)
class PersistenceRule:
    """Shares (knot, memory) that persist at the horizons `knots`, memories as half-lives in intervals."""

    knots: Ints
    weights: Floats
    half_lives: Floats
    clip: Floats

    def shares(self, horizon: Ints) -> Floats:
        """Shares at any horizons, shape (horizon, memory)."""
        at, known = np.log2(1.0 + horizon), np.log2(1.0 + self.knots)
        return np.stack([np.interp(at, known, column) for column in self.weights.T], axis=1)


def horizon_knots(longest: int) -> Ints:
    """Horizons 0, 1, 2, 4, … and the longest (0 is the interval that starts at the origin).

    Examples
    --------
    >>> horizon_knots(20).tolist()
    [0, 1, 2, 4, 8, 16, 19]
    """
    powers = [0, *(2**k for k in range(longest.bit_length()) if 2**k < longest)]
    return np.unique(np.array([*powers, max(longest - 1, 0)], dtype=np.int64))


def memory_half_lives(n_slots: int) -> Floats:
    """Half-lives in intervals, geometric from half an interval to half a day."""
    return np.geomspace(0.5, _LONGEST_H * n_slots / 24.0, _N_MEMORIES)


def recent_means(residual: Floats, half_lives: Floats, clip: Floats) -> Floats:
    """Means of the residuals before each origin, shape (series, interval + 1, memory).

    Parameters
    ----------
    residual : ndarray, shape (series, interval)
        NaN where unknown.
    half_lives : ndarray, shape (memory,)
    clip : ndarray, shape (series,)
        Larger residuals count as this.
    """
    known = np.isfinite(residual)
    held = np.where(known, np.clip(residual, -clip[:, None], clip[:, None]), 0.0)
    out = np.zeros((residual.shape[0], residual.shape[1] + 1, half_lives.size))
    for k, half_life in enumerate(half_lives):
        keep = 0.5 ** (1.0 / half_life)
        top = lfilter([1.0], [1.0, -keep], held, axis=1)
        bottom = lfilter([1.0], [1.0, -keep], known.astype(float), axis=1)
        out[:, 1:, k] = top / np.maximum(bottom, _LEAST_KNOWN / (1.0 - keep))
    return out


def errors_of_course(values: Floats, ahead: Floats, horizon: int) -> Floats:
    """Return what came at a horizon minus the course as of the origin's day, (series, interval); NaN past the end.

    Parameters
    ----------
    values : ndarray, shape (series, day, slot)
    ahead : ndarray, shape (series, day + 1, lead, slot)
    horizon : int
        Intervals after the origin; 0 is the one that starts there.
    """
    n_series, n_slots = len(values), values.shape[2]
    flat = values.reshape(n_series, -1)
    n = flat.shape[1]
    target = np.full((n_series, n), np.nan)
    if horizon < n:
        target[:, : n - horizon] = flat[:, horizon:]
    return target - course_at(ahead, np.arange(n), horizon, n_slots)


def course_at(ahead: Floats, origin: Ints, horizon: int | Ints, n_slots: int) -> Floats:
    """Course of the interval `horizon` after each origin as of the origin's day."""
    day, slot = origin // n_slots, origin % n_slots + horizon
    return np.asarray(ahead[:, day, slot // n_slots, slot % n_slots])


def learn_persistence(values: Floats, ahead: Floats, scale: Floats, *, longest: int) -> PersistenceRule:
    """Learn how much persists.

    Parameters
    ----------
    values, ahead
        As of `errors_of_course`.
    scale : ndarray, shape (series,)
        Spread of the residuals, so that quiet series count as much.
    longest : int
        Horizon.
    """
    n_slots = values.shape[2]
    knots, half_lives = horizon_knots(longest), memory_half_lives(n_slots)
    clip = _CLIP * scale
    terms = recent_means(errors_of_course(values, ahead, 0), half_lives, clip)[:, :-1] / scale[:, None, None]
    stride = max(1, terms.shape[1] // _MOST_ORIGINS)
    weights = np.zeros((knots.size, half_lives.size))
    first = min(7 * n_slots, terms.shape[1] // 2)
    # Beyond a day the course's own memories have said it: what is left there is zero.
    for k, horizon in enumerate(knots[knots <= n_slots]):
        error = errors_of_course(values, ahead, int(horizon)) / scale[:, None]
        rows = slice(first, None, stride)
        x, y = terms[:, rows], np.clip(error[:, rows], -_CLIP, _CLIP)
        known = np.isfinite(y)
        # Errors of origins nearer than the horizon are much the same error.
        worth = known * min(1.0, stride / (1.0 + horizon))
        gram = np.einsum("stk,stl,st->kl", x, x, worth, optimize=True)
        right = np.einsum("stk,st->k", x, np.where(known, y, 0.0) * worth)
        weights[k] = np.linalg.solve(gram + np.eye(half_lives.size) / _PRIOR_SD**2, right)
    return PersistenceRule(knots, weights, half_lives, clip)
