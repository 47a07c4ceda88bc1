"""The minutes of a promotion at which a service may be busiest: all that has to be played."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAR = 0.6  # of a service's largest mean; what is lower does not win by chance: seconds scatter by 5 to 20 %
MOST = 120  # minutes a service: a plateau of hours is as high as its best two, but for the slowest tail of the noise


def busy_minutes(means: Floats) -> NDArray[np.intp]:
    """Choose the minutes at which some service's mean is near its largest, in order of time.

    Parameters
    ----------
    means
        Mean rates, shape (draws, minutes, services).

    Examples
    --------
    >>> busy_minutes(np.array([[[1.0], [9.0], [10.0], [2.0]]])).tolist()
    [1, 2]
    """
    chosen = np.zeros(means.shape[1], dtype=bool)
    most = MOST // len(means) + 1
    for draw in means:
        limit = np.maximum(NEAR * draw.max(axis=0), -np.sort(-draw, axis=0)[min(most, len(draw)) - 1])
        chosen |= ((draw >= limit) & (draw > 0)).any(axis=1)
    return np.flatnonzero(chosen)


def seconds_of(minutes: Floats) -> Floats:
    """Give the sixty seconds of each minute, the minutes told by their first second."""
    return np.asarray((minutes[:, None] + np.arange(60.0)).reshape(-1))
