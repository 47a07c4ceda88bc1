"""The worst second inside a minute: over-dispersed counts and the maximum of sixty of them.

Counts of a second with mean rate λ vary as ``Var = λ + φ λ²``: Poisson noise, which shrinks relative to
the rate, and the wobble of the rate itself, which does not. The busiest of `n` seconds is
``λ + z·sqrt(λ + φ λ²)`` with z the maximum of n standard normals.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from capacity.peaks.priors import Floats

MEDIAN_OF_60 = float(ndtri(0.5 ** (1.0 / 60.0)))


def draw_largest_normal(uniform: ArrayLike, seconds: ArrayLike) -> Floats:
    """Turn uniforms into maxima of `seconds` standard normals.

    Examples
    --------
    >>> round(float(draw_largest_normal(np.array([0.5]), 60)[0]), 2)
    2.27
    """
    n = np.maximum(np.asarray(seconds, dtype=float), 1.0)
    # exp(log u / n) loses nothing for n up to a day's seconds; the floor keeps the maximum above the mean.
    return np.asarray(np.maximum(ndtri(np.exp(np.log(np.clip(uniform, 1e-12, 1 - 1e-12)) / n)), 0.0))


def estimate_dispersion(rate: Floats, ratio: Floats, weight_axis: int = -1) -> Floats:
    """Estimate φ from peak-second ratios of many minutes.

    Parameters
    ----------
    rate : ndarray
        Mean rate of each minute in requests/s.
    ratio : ndarray
        Busiest second ÷ mean of the minute, same shape, NaN where unknown.
    weight_axis : int
        Axis that holds the minutes.

    Returns
    -------
    ndarray
        φ, without that axis; NaN where no minute is known.

    Notes
    -----
    The median of the maximum of 60 normals is 2.27, so ``φ = median(((b − 1)/2.27)² − 1/λ)``, not below zero.

    References
    ----------
    H. A. David and H. N. Nagaraja (2003), Order Statistics, 3rd ed., Wiley, ch. 4.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        phi = (np.maximum(ratio - 1.0, 0.0) / MEDIAN_OF_60) ** 2 - 1.0 / rate
    known = np.isfinite(phi)
    filled = np.where(known, phi, np.nan)
    out = np.full(np.delete(phi.shape, weight_axis), np.nan)
    has = known.any(weight_axis)
    if has.any():
        moved = np.moveaxis(filled, weight_axis, -1)
        out[has] = np.maximum(np.nanmedian(moved[has], axis=-1), 0.0)
    return out


def noise_ratio(rate: Floats, dispersion: Floats | float, largest: Floats | float = MEDIAN_OF_60) -> Floats:
    """Busiest second ÷ mean of the minute that noise alone gives.

    Examples
    --------
    At 10⁴ requests/s Poisson noise is nothing and the wobble everything:

    >>> [round(float(noise_ratio(np.array(1e4), phi)), 3) for phi in (0.0, 0.004)]
    [1.023, 1.146]
    """
    safe = np.maximum(rate, 1e-9)
    return np.asarray(1.0 + largest * np.sqrt(1.0 / safe + dispersion))
