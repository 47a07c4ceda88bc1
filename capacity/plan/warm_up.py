"""What a warming-up limiter turns away at an opening: it begins at a part of its limit."""

import numpy as np

from capacity.plan.sizing import Floats

COLD_FACTOR = 3.0  # Sentinel's and Guava's default: a cold limiter admits a third of its limit
WARM_UP_S = 10.0  # Sentinel's default


def lost_while_warming(
    offered_qps: Floats, limit_qps: Floats, *, seconds: float = WARM_UP_S, cold_factor: float = COLD_FACTOR
) -> Floats:
    """Count the requests that a cold limiter turns away although the warm one would admit them.

    Parameters
    ----------
    offered_qps, limit_qps : ndarray
        Constant rate from the opening on; the limit when warm.
    seconds, cold_factor : float
        Of the limiter.

    Notes
    -----
    The time between two permits falls linearly with the permits given out, from ``cold_factor``/L to 1/L, so its square
    falls linearly with time: r(t) = L / √(c² − (c² − 1) t / W). The loss is the area between the offered rate and r.

    References
    ----------
    Guava, SmoothRateLimiter.SmoothWarmingUp; Sentinel, WarmUpController, which follows it.

    Examples
    --------
    >>> lost_while_warming(np.array([90.0, 30.0]), np.array([90.0, 90.0])).round()
    array([450.,   0.])
    """
    c = cold_factor
    rate = np.minimum(offered_qps, limit_qps)
    interval = np.divide(limit_qps, rate, out=np.full(len(rate), c), where=rate > 0)
    until = seconds * np.maximum(c**2 - interval**2, 0.0) / (c**2 - 1.0)
    admitted = 2.0 * limit_qps * seconds / (c**2 - 1.0) * (c - np.minimum(interval, c))
    return np.asarray(np.maximum(rate * until - admitted, 0.0), dtype=float)
