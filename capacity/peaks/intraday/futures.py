"""Joint futures: how errors of one path hang together, and paths drawn with that.

An error of the next hours is partly this interval's own, partly lasts an hour, a few, a day or the week. The shares are
fitted to the autocorrelation of past paths' normal scores; a path is the sum of such memories.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.signal import lfilter

from capacity.peaks.intraday.shape import Floats

_HALF_LIVES_H = (0.0, 1.0, 4.0, 24.0, 168.0)
_PRIOR_DAYS = 7.0  # paths that even shares of all memories are worth


@dataclass(frozen=True)
class Dependence:
    """Shares of an error's variance by memory, and the memories' decay per interval."""

    shares: Floats
    keep: Floats

    def draw(self, rng: np.random.Generator, *, n_samples: int, n_series: int, horizon: int) -> Floats:
        """Paths of normal scores, shape (sample, series, horizon)."""
        paths = np.zeros((n_samples, n_series, horizon))
        for share, keep in zip(self.shares, self.keep, strict=True):
            noise = rng.standard_normal(paths.shape)
            start = rng.standard_normal((*paths.shape[:2], 1))
            moved, _ = lfilter([np.sqrt(1 - keep**2)], [1.0, -keep], noise, axis=2, zi=keep * start)
            paths += np.sqrt(share) * moved
        return paths


def decay(n_slots: int) -> Floats:
    """Decay per interval of each memory; 0 for none."""
    step_h = 24.0 / n_slots
    return np.array([0.5 ** (step_h / h) if h > 0 else 0.0 for h in _HALF_LIVES_H])


def learn_dependence(scores: Floats, n_slots: int) -> Dependence:
    """Learn shares from past paths.

    Parameters
    ----------
    scores : ndarray, shape (path, horizon)
        Normal scores of what came, each path from one origin; NaN where unknown.
    n_slots : int
        Intervals a day.
    """
    keep = decay(n_slots)
    even = np.full(keep.size, 1.0 / keep.size)
    if scores.shape[0] < 2:
        return Dependence(even, keep)
    known = np.isfinite(scores)
    filled = np.where(known, np.clip(scores, -3.0, 3.0), 0.0)
    lags = np.unique(np.concatenate([[1, 2, 3], np.geomspace(4, max(scores.shape[1] // 2, 5), 12)]).astype(int))
    lags = lags[lags < scores.shape[1]]
    together = np.array([(filled[:, lag:] * filled[:, :-lag]).sum() for lag in lags])
    pairs = np.array([(known[:, lag:] & known[:, :-lag]).sum() for lag in lags])
    variance = max(float((filled**2).sum() / max(int(known.sum()), 1)), 1e-6)
    correlation = together / np.maximum(pairs, 1) / variance
    weight = float(scores.shape[0]) / (scores.shape[0] + _PRIOR_DAYS)
    # What no lasting memory explains is the interval's own.
    lasting, _ = nnls(keep[None, 1:] ** lags[:, None], correlation)
    lasting = lasting / max(1.0, float(lasting.sum()))
    fitted = np.concatenate([[1.0 - lasting.sum()], lasting])
    return Dependence(weight * fitted + (1 - weight) * even, keep)
