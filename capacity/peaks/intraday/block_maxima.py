"""An interval's peak second from its mean, where too few peak seconds are known to follow them on their own.

The largest of n one-second counts with mean rate λ and over-dispersion φ is ``λ (1 + z √(1/λ + φ))``, z the largest of
n standard normals; an interval longer than a minute adds how unevenly its minutes are filled. φ and that concentration
are learnt from what is known, and are the published figures where nothing is.

References
----------
H. A. David and H. N. Nagaraja (2003), Order Statistics, 3rd ed., Wiley, ch. 4.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from capacity.peaks import priors
from capacity.peaks.burst import noise_ratio
from capacity.peaks.concentration import Concentration
from capacity.peaks.intraday.shape import Floats
from capacity.peaks.intraday.uncertainty import SCORES

_PRIOR_INTERVALS = 20.0  # known intervals that the prior is worth; neighbours are much alike


@dataclass(frozen=True)
class PeakRatio:
    """log(peak second ÷ mean rate) beyond noise: φ and location and scale, (series,); seconds an interval."""

    dispersion: Floats
    loc: Floats
    scale: Floats
    interval_s: int

    def peaks(self, counts: Floats) -> Floats:
        """Quantiles (…, score) of the peak second from those of the interval's counts; series first."""
        rate = np.maximum(counts / self.interval_s, 1.0 / self.interval_s)
        middle = np.log(rate[..., SCORES.size // 2])[..., None]
        wide = (-1,) + (1,) * (counts.ndim - 1)
        noise = np.log(noise_ratio(np.exp(middle), self.dispersion.reshape(wide), largest_normal(self.interval_s)))
        own = self.scale.reshape(wide) * SCORES
        gap = np.sign(SCORES) * np.hypot(np.log(rate) - middle, own)
        # No second holds less than the mean, nor more than the interval.
        peak = np.exp(middle + noise + self.loc.reshape(wide) + gap)
        return np.asarray(np.minimum(np.maximum(peak, np.exp(middle + np.minimum(gap, 0.0))), np.maximum(counts, 1.0)))


def largest_normal(n: int) -> float:
    """Median of the largest of n standard normals.

    Examples
    --------
    >>> round(largest_normal(60), 2), round(largest_normal(3600), 2)
    (2.27, 3.55)
    """
    return float(ndtri(0.5 ** (1.0 / n)))


def learn_ratio(values: Floats, peaks: Floats, interval_s: int) -> PeakRatio:
    """Learn from intervals whose peak second is known.

    Parameters
    ----------
    values, peaks : ndarray, shape (series, interval)
        Counts of the interval and its largest one-second count; NaN where unknown.
    interval_s : int
    """
    known = np.isfinite(values) & np.isfinite(peaks) & (values > 0) & (peaks > 0)
    rate = np.where(known, values, 1.0) / interval_s
    ratio = np.where(known, np.maximum(peaks / rate, 1.0), np.nan)
    z = largest_normal(interval_s)
    prior = Concentration.prior(1).of_width(np.array([float(interval_s)]), opening=False)
    prior_loc, prior_scale = (float(part[0]) for part in prior)
    count = known.sum(1)
    trust = count / (count + _PRIOR_INTERVALS)
    # In a minute all that noise leaves is wobble; in longer intervals wobble and concentration cannot be told apart,
    # and the prior's φ stands while the rest is called concentration.
    log_phi = np.full(len(values), priors.DISPERSION_LOC)
    if interval_s <= 60:
        own = _median((np.maximum(ratio / np.exp(prior_loc) - 1.0, 0.0) / z) ** 2 - 1.0 / rate)
        log_phi = trust * np.log(np.maximum(own, 1e-6)) + (1 - trust) * priors.DISPERSION_LOC
    phi = np.exp(log_phi)
    left = np.log(ratio) - np.log(noise_ratio(rate, phi[:, None], z))
    middle = _median(left)
    spread = 1.4826 * _median(np.abs(left - middle[:, None]))
    base = np.hypot(prior_scale, 0.5 * priors.DISPERSION_SCALE * z * np.sqrt(phi) / (1 + z * np.sqrt(phi)))
    return PeakRatio(
        phi, trust * middle + (1 - trust) * prior_loc, np.hypot(trust * spread, (1 - trust) * base), interval_s
    )


def _median(values: Floats) -> Floats:
    """Median by series of what is known, 0 where nothing is."""
    return np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in values])
