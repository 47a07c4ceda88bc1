"""Recurring bursts: jobs and refreshes that lift some intervals' peak second far above the others.

Where peaks fall into two clearly separate heights, each is forecast as its own and the question becomes whether the
next interval holds a burst. That depends on how often its slot of the day did, on how long ago the last ones were (a
job every two hours is not due again at once), and on whether recent ones came off schedule.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from capacity.peaks.intraday.shape import Floats

_HARMONICS = 3
_SEPARATION = 2.0  # distance of the heights in spreads: Ashman's D, from which two heights leave a dip between them
_LEAST_BURSTS = 12
_ROUNDS = 30
_FIRST_SPLITS = (0.5, 0.75, 0.9, 0.97)
_PRIOR_ERROR = 0.02  # two intervals a tenth off


@dataclass(frozen=True)
class Heights:
    """Two heights of peaks over the day, fitted as a mixture of two regressions on the hour of the day.

    Attributes
    ----------
    present : ndarray of bool, shape (series,)
        Whether there are two.
    mean : ndarray, shape (series, 2, slot)
        Of quiet intervals and of bursts.
    variance, share : ndarray, shape (series, 2)
    """

    present: NDArray[np.bool_]
    mean: Floats
    variance: Floats
    share: Floats

    def bursts(self, peaks: Floats) -> Floats:
        """Say of each interval, (series, day, slot), whether it held a burst: 1 or 0, NaN where unknown."""
        log_odds = self.log_odds(peaks)
        label = np.where(self.present[:, None, None], log_odds > 0, False).astype(float)
        return np.where(np.isfinite(peaks), label, np.nan)

    def log_odds(self, peaks: Floats) -> Floats:
        """Log odds of a burst in each interval."""
        mean, variance = self.mean[:, :, None], self.variance[:, :, None, None]
        density = np.log(self.share)[:, :, None, None] - 0.5 * np.log(variance)
        filled = np.where(np.isfinite(peaks), peaks, 0.0)[:, None]
        # Between the two means the nearer wins; outside of them a wide component must not take over the far side.
        bounded = np.clip(filled, mean[:, :1], mean[:, 1:])
        density = density - 0.5 * (bounded - mean) ** 2 / variance
        return np.asarray(density[:, 1] - density[:, 0])

    def likelihood(self, peaks: Floats) -> Floats:
        """Log likelihood of each series, (series,)."""
        mean, variance = self.mean[:, :, None], self.variance[:, :, None, None]
        gap = np.nan_to_num(peaks)[:, None] - mean
        density = np.log(self.share)[:, :, None, None] - 0.5 * np.log(variance) - 0.5 * gap**2 / variance
        return np.asarray(np.where(np.isfinite(peaks), np.logaddexp(density[:, 0], density[:, 1]), 0.0).sum((1, 2)))


def learn_heights(peaks: Floats) -> Heights:
    """Fit the two heights by expectation maximization from several first splits; the likeliest is taken.

    Parameters
    ----------
    peaks : ndarray, shape (series, day, slot)
        On the even scale; NaN where unknown.

    References
    ----------
    K. M. Ashman, C. M. Bird and S. E. Zepf (1994), Detecting bimodality in astronomical datasets, AJ 108.
    """
    n_series = len(peaks)
    peaks = np.where(peaks > 0, peaks, np.nan)  # an interval without a request has no height at all
    fits = [_fit(peaks, _split(peaks, q)) for q in _FIRST_SPLITS]
    likelihood = np.stack([fit.likelihood(peaks) for fit in fits])
    best, rows = likelihood.argmax(0), np.arange(n_series)
    mean, variance, share = (
        np.stack([getattr(fit, name) for fit in fits])[best, rows] for name in ("mean", "variance", "share")
    )
    apart = (mean[:, 1] - mean[:, 0]).mean(1) / np.sqrt(variance.mean(1))
    count = share.min(1) * np.isfinite(peaks).sum((1, 2))
    return Heights((apart > _SEPARATION) & (count >= _LEAST_BURSTS), mean, variance, share)


def _fit(peaks: Floats, posterior: Floats) -> Heights:
    n_series, _, n_slots = peaks.shape
    angle = 2 * np.pi * np.arange(n_slots) / n_slots
    waves = [f(k * angle) for k in range(1, _HARMONICS + 1) for f in (np.cos, np.sin)]
    basis = np.stack([np.ones(n_slots), *waves], axis=1)
    known = np.isfinite(peaks)
    filled = np.where(known, peaks, 0.0)
    total = np.maximum(known.sum((1, 2)), 1)
    heights = Heights(
        np.ones(n_series, dtype=bool), np.zeros((n_series, 2, n_slots)), np.ones((n_series, 2)), np.ones((n_series, 2))
    )
    for _ in range(_ROUNDS):
        for part, weight in enumerate((np.where(known, 1 - posterior, 0.0), np.where(known, posterior, 0.0))):
            heights.mean[:, part] = _regress(filled, weight, basis)
            worth = weight.sum((1, 2))
            error = (weight * (filled - heights.mean[:, part, None]) ** 2).sum((1, 2))
            # A few intervals do not tell a height's own spread: the prior keeps it from collapsing.
            heights.variance[:, part] = (error + _PRIOR_ERROR) / (worth + 2.0)
            heights.share[:, part] = np.clip(worth / total, 1e-6, 1.0)
        posterior = expit(heights.log_odds(peaks))
    return heights


def _split(peaks: Floats, quantile: float) -> Floats:
    """First guess: what lies above a quantile of the series is a burst."""
    bound = np.array([np.quantile(p[np.isfinite(p)], quantile) if np.isfinite(p).any() else 0.0 for p in peaks])
    return np.where(np.nan_to_num(peaks, nan=-np.inf) > bound[:, None, None], 0.99, 0.01)


def _regress(filled: Floats, weight: Floats, basis: Floats) -> Floats:
    """(series, slot) weighted regression on the basis, its waves shrunk to none."""
    slot_weight, slot_sum = weight.sum(1), (weight * filled).sum(1)
    gram = np.einsum("sn,nk,nl->skl", slot_weight, basis, basis)
    right = np.einsum("sn,nk->sk", slot_sum, basis)
    ridge = np.diag([1e-6, *[2.0] * (basis.shape[1] - 1)])
    return np.asarray(np.linalg.solve(gram + ridge, right[..., None])[..., 0] @ basis.T)
