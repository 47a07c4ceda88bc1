"""How many seconds compete to be the worst: a spike has one minute, an evening has hours.

The busiest of n seconds grows with n. Around each instant looked at, a minute whose mean is lower by a relative
deficit d counts for ``exp(−z·d/σ)`` minutes, the ratio of the normal tails at the height in question: where a
service's seconds are noisy (few requests) many minutes compete, where they are steady only the very busiest.
"""

import numpy as np
from numpy.typing import NDArray

from capacity.peaks.burst import draw_largest_normal
from capacity.peaks.priors import Floats

_HEIGHT = 3.5  # standard deviations at which a plateau's worst second typically lies
_GRID = np.array([1.0, 2, 5, 12, 30, 80, 200, 600, 1500])


def competing_minutes(minute_rate: Floats, chosen: NDArray[np.int64], relative_spread: Floats) -> Floats:
    """Count the minutes that compete with each chosen one.

    Parameters
    ----------
    minute_rate : ndarray, shape (minute, service)
        Typical mean rates of a cell's minutes.
    chosen : ndarray of int, shape (instant,)
        Ascending positions of the minutes looked at; every minute belongs to the nearest of them.
    relative_spread : ndarray, shape (instant, service)
        Standard deviation of a second ÷ its mean.

    Returns
    -------
    ndarray, shape (instant, service)
        At least one.

    Examples
    --------
    A flat hour is sixty minutes, and a steep spike is one:

    >>> flat, steep = np.ones((60, 1)), np.r_[1.0, np.full(59, 0.3)][:, None]
    >>> [round(float(competing_minutes(rate, np.array([0]), np.array([[0.1]]))[0, 0]), 3) for rate in (flat, steep)]
    [60.0, 1.0]
    """
    owner = np.abs(np.arange(minute_rate.shape[0])[:, None] - chosen[None]).argmin(1)
    starts = np.searchsorted(owner, np.arange(chosen.size))
    top = minute_rate[chosen]
    deficit = 1.0 - minute_rate / np.where(top > 0, top, 1.0)[owner]
    weight = np.exp(-_HEIGHT * np.maximum(deficit, 0.0) / np.maximum(relative_spread, 1e-6)[owner])
    return np.asarray(np.maximum(np.add.reduceat(weight, starts, axis=0), 1.0))


def largest_of_minutes(uniform: Floats, minutes: Floats) -> Floats:
    """Maxima of standard normals over so many minutes' seconds, the same uniform for all services.

    Parameters
    ----------
    uniform : ndarray, shape (sample,)
    minutes : ndarray, shape (service,)

    Returns
    -------
    ndarray, shape (sample, service)
    """
    table = draw_largest_normal(uniform[:, None], 60.0 * _GRID)
    place = np.interp(np.log(minutes), np.log(_GRID), np.arange(_GRID.size))
    low = np.minimum(place.astype(np.int64), _GRID.size - 2)
    part = place - low
    return np.asarray(table[:, low] * (1.0 - part) + table[:, low + 1] * part)
