"""From a closed test to the open queue that production is.

A closed test with n users shows how fast the instance works with n requests inside, μ(n) = X(n), and how long they take
then. Open arrivals move n up and down: a birth–death chain with those rates. Its latency is the mixture of what the
test measured at each n, and its capacity is the arrival rate at which the mixture breaks the objective.

References
----------
.. [1] K. M. Chandy, U. Herzog, L. Woo, "Parametric analysis of queuing networks", IBM J. Res. Dev. 19 (1975): the
   flow-equivalent server; exact for product-form networks.
.. [2] B. Schroeder, A. Wierman, M. Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FINEST = 96


def inside_grid(top: float) -> tuple[Array, Array]:
    """Numbers inside (k,) at which the chain is evaluated, and how many whole numbers each stands for.

    Examples
    --------
    >>> inside_grid(3.0)
    (array([1., 2., 3.]), array([1., 1., 1.]))
    """
    last = max(int(np.ceil(top)), 1)
    if last <= _FINEST:
        return np.arange(1.0, last + 1.0), np.ones(last)
    edges = np.unique(np.round(np.geomspace(1.0, last + 1.0, _FINEST + 1)))
    edges = np.unique(np.concatenate([np.arange(1.0, 33.0), edges[edges > 32]]))
    width = np.diff(edges)
    return edges[:-1] + (width - 1.0) / 2.0, width


def late_share(
    rate: Array,
    *,
    log_rates: Array,
    width: Array,
    late: Array,
    sharpness: Array | float = 1.0,
    persistence: Array | float = 1.0,
) -> Array:
    """Share of arrivals that break a limit.

    Parameters
    ----------
    rate
        Arrivals a second (S,).
    log_rates
        Logarithm of the completion rate μ(n) on the grid (S, k).
    width
        Whole numbers each grid place stands for (k,).
    late
        Probability that a request with n inside, itself included, breaks the limit (S, k).
    sharpness
        How much faster than with exponential service times a queue of n drains away, (S, k) or one number.
    persistence
        What becomes of a service whose rate has fallen below the arrivals, (S, 1) or one number: 1 where it is left
        like that for ever, as a chain in equilibrium is; 0 where it is as likely to recover as to fall further,
        because peaks end, callers give up and requests are refused.

    Returns
    -------
    numpy.ndarray
        (S,); an arrival that finds n − 1 inside makes it n.

    Examples
    --------
    M/M/1 at half its rate: an arrival makes the number inside n with probability 2⁻ⁿ.

    >>> import numpy as np
    >>> late = (np.arange(1, 61) > 1).astype(float)[None, :]
    >>> share = late_share(np.array([5.0]), log_rates=np.full((1, 60), np.log(10.0)), width=np.ones(60), late=late)
    >>> round(float(share[0]), 6)
    0.5
    """
    # Weight of n − 1 inside, for n on the grid: the product of λ/μ below n.
    step = np.maximum((np.log(np.maximum(rate, 1e-300))[:, None] - log_rates) * width * sharpness, -1e6)
    # Past the best rate arrivals may outrun what is served: from there on a queue feeds itself.
    lost = (step > 0) & (np.arange(step.shape[1])[None, :] > log_rates.argmax(axis=1)[:, None])
    step = np.where(lost, step * persistence, step)
    before = np.concatenate([np.zeros((len(step), 1)), np.cumsum(step, axis=1)[:, :-1]], axis=1)
    # A grid place that stands for several numbers is taken at its middle.
    middle = before + step * (width - 1.0) / (2.0 * width)
    weight = np.exp(middle - middle.max(axis=1, keepdims=True)) * width
    return np.asarray((weight * late).sum(axis=1) / weight.sum(axis=1))


def queue_sharpness(log_rates: Array, grid: Array, *, variability: float, belief: Array) -> Array:
    """How much faster queues drain away than the chain's exponential service times would have it, (S, k).

    While workers are free the variability of service does not matter (M/G/∞ and processor sharing are insensitive to
    it). Where requests wait their turn, a queue's tail falls 2/(1 + cs²) times as fast (Allen–Cunneen), slower where a
    few requests take most of the time.
    Whether they wait their turn or share the server cannot be seen from outside: ``belief`` from 0 to 1 is drawn.

    Parameters
    ----------
    log_rates
        Logarithm of μ(n) (S, k); its flatness tells how many wait.
    grid
        Numbers inside (k,).
    variability
        Squared coefficient of variation cs² of the service time.
    belief
        Share of the effect each sample takes (S,).

    References
    ----------
    .. [1] A. O. Allen, "Probability, Statistics, and Queueing Theory", 2nd ed. 1990, section 5.3.

    Examples
    --------
    >>> import numpy as np
    >>> flat = np.zeros((1, 3))
    >>> queue_sharpness(flat, np.array([1.0, 2.0, 3.0]), variability=0.25, belief=np.ones(1)).tolist()
    [[1.6, 1.6, 1.6]]
    """
    if len(grid) < 2:
        return np.ones_like(log_rates)
    growth = np.clip(np.gradient(log_rates, np.log(grid), axis=1), 0.0, 1.0)
    return np.asarray(1.0 + (2.0 / (1.0 + variability) - 1.0) * belief[:, None] * (1.0 - growth))


def open_rate(
    *,
    log_rates: Array,
    width: Array,
    late: Array,
    allowed: float,
    sharpness: Array | float = 1.0,
    persistence: Array | float = 1.0,
    iterations: int = 18,
) -> Array:
    """Largest arrival rate at which no more than the allowed share of requests breaks the limit, (S,).

    Examples
    --------
    >>> import numpy as np
    >>> late = (np.arange(1, 61) > 1).astype(float)[None, :]
    >>> rate = open_rate(log_rates=np.full((1, 60), np.log(10.0)), width=np.ones(60), late=late, allowed=0.5)
    >>> round(float(rate[0]), 3)
    5.0
    """
    low = np.zeros(len(log_rates))
    high = np.exp(log_rates.max(axis=1))
    for _ in range(iterations):
        mid = 0.5 * (low + high)
        share = late_share(
            mid, log_rates=log_rates, width=width, late=late, sharpness=sharpness, persistence=persistence
        )
        fine = share <= allowed
        low, high = np.where(fine, mid, low), np.where(fine, high, mid)
    return low
