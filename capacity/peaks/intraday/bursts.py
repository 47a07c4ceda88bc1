"""Recurring bursts: jobs and refreshes that lift some intervals' peak second far above the others.

Where peaks fall into two clearly separate heights, each is forecast as its own and the question becomes whether the
next interval holds a burst. That depends on how often its slot of the day did, on how long ago the last ones were (a
job every two hours is not due again at once), and on whether recent ones came off schedule.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from capacity.peaks.intraday.shape import Floats, Ints

_HARMONICS = 3
_SEPARATION = 3.0  # distance of the heights in spreads; two (Ashman's D) leaves no dip between them, three a clear one
_LEAST_BURSTS = 12
_ROUNDS = 60


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
        log_odds = self._log_odds(peaks)
        label = np.where(self.present[:, None, None], log_odds > 0, False).astype(float)
        return np.where(np.isfinite(peaks), label, np.nan)

    def _log_odds(self, peaks: Floats) -> Floats:
        mean, variance = self.mean[:, :, None], self.variance[:, :, None, None]
        density = np.log(self.share)[:, :, None, None] - 0.5 * np.log(variance)
        filled = np.where(np.isfinite(peaks), peaks, 0.0)[:, None]
        # Between the two means the nearer wins; outside of them a wide component must not take over the far side.
        bounded = np.clip(filled, mean[:, :1], mean[:, 1:])
        density = density - 0.5 * (bounded - mean) ** 2 / variance
        return np.asarray(density[:, 1] - density[:, 0])


def learn_heights(peaks: Floats) -> Heights:
    """Fit the two heights by expectation maximization.

    Parameters
    ----------
    peaks : ndarray, shape (series, day, slot)
        On the even scale; NaN where unknown.

    References
    ----------
    K. M. Ashman, C. M. Bird and S. E. Zepf (1994), Detecting bimodality in astronomical datasets, AJ 108.
    """
    n_series, n_days, n_slots = peaks.shape
    angle = 2 * np.pi * np.arange(n_slots) / n_slots
    waves = [f(k * angle) for k in range(1, _HARMONICS + 1) for f in (np.cos, np.sin)]
    basis = np.stack([np.ones(n_slots), *waves], axis=1)
    known = np.isfinite(peaks)
    filled = np.where(known, peaks, 0.0)
    posterior = _first_guess(filled, known)
    total = np.maximum(known.sum((1, 2)), 1)
    mean, variance = np.zeros((n_series, 2, n_slots)), np.ones((n_series, 2))
    share = np.full((n_series, 2), 0.5)
    for _ in range(_ROUNDS):
        for part, weight in enumerate((np.where(known, 1 - posterior, 0.0), np.where(known, posterior, 0.0))):
            mean[:, part] = _regress(filled, weight, basis)
            worth = weight.sum((1, 2))
            error = (weight * (filled - mean[:, part, None]) ** 2).sum((1, 2))
            variance[:, part] = np.maximum(error / np.maximum(worth, 1e-9), 1e-6)
            share[:, part] = np.clip(worth / total, 1e-6, 1.0)
        heights = Heights(np.ones(n_series, dtype=bool), mean, variance, share)
        posterior = expit(heights._log_odds(peaks))
    apart = (mean[:, 1] - mean[:, 0]).mean(1) / np.sqrt(variance.mean(1))
    count = share.min(1) * total
    present = (apart > _SEPARATION) & (count >= _LEAST_BURSTS)
    return Heights(present, mean, variance, share)


def _first_guess(filled: Floats, known: NDArray[np.bool_]) -> Floats:
    """Above the middle between the tenth and the ninetieth per cent."""
    out = np.zeros_like(filled)
    for row, (values, here) in enumerate(zip(filled, known, strict=True)):
        if here.any():
            low, high = np.quantile(values[here], [0.1, 0.9])
            out[row] = np.clip((values - low) / max(high - low, 1e-9), 0.05, 0.95)
    return out


def _regress(filled: Floats, weight: Floats, basis: Floats) -> Floats:
    """(series, slot) weighted regression on the basis, its waves shrunk to none."""
    slot_weight, slot_sum = weight.sum(1), (weight * filled).sum(1)
    gram = np.einsum("sn,nk,nl->skl", slot_weight, basis, basis)
    right = np.einsum("sn,nk->sk", slot_sum, basis)
    ridge = np.diag([1e-6, *[2.0] * (basis.shape[1] - 1)])
    return np.asarray(np.linalg.solve(gram + ridge, right[..., None])[..., 0] @ basis.T)
