"""Work behind a queue: the rate that keeps its delay, its largest backlog and how long it takes to drain."""

import numpy as np

from capacity.plan.sizing import Floats


def backlog(arrivals: Floats, rate: Floats, *, step_s: float) -> Floats:
    """Count the requests waiting at the end of every step, of a queue served at ``rate``.

    Parameters
    ----------
    arrivals : ndarray (sample, step)
        Requests per second.
    rate : ndarray (sample,)
        Requests per second that are served.
    step_s : float
        Length of a step.

    Examples
    --------
    >>> backlog(np.array([[3.0, 3.0, 0.0, 0.0]]), np.array([2.0]), step_s=1.0)
    array([[1., 2., 0., 0.]])
    """
    net = np.cumsum((arrivals - np.asarray(rate)[:, None]) * step_s, axis=1)
    lowest = np.minimum.accumulate(np.minimum(net, 0.0), axis=1)
    return np.asarray(net - lowest, dtype=float)


def rate_for_delay(arrivals: Floats, max_delay_s: float, *, step_s: float, rounds: int = 40) -> Floats:
    """Least constant rate at which nothing waits longer than ``max_delay_s``, per sample.

    First in, first out: the last of a backlog W waits W / rate. Bisection between the mean rate over the
    whole time plus the delay, and the largest rate.

    Examples
    --------
    >>> rate_for_delay(np.array([[10.0] + [0.0] * 9]), 4.0, step_s=1.0).round(3)
    array([2.])
    """
    high = arrivals.max(axis=1)
    low = arrivals.sum(axis=1) * step_s / (arrivals.shape[1] * step_s + max_delay_s)
    low = np.minimum(low, high) * 0.5
    for _ in range(rounds):
        middle = 0.5 * (low + high)
        holds = backlog(arrivals, middle, step_s=step_s).max(axis=1) <= middle * max_delay_s
        high, low = np.where(holds, middle, high), np.where(holds, low, middle)
    return np.asarray(high, dtype=float)


def drain_time_s(arrivals: Floats, rate: Floats, *, step_s: float) -> Floats:
    """Seconds from the first waiting request to the end of the longest stretch with a backlog, per sample."""
    waiting = backlog(arrivals, rate, step_s=step_s) > 1e-9 * np.maximum(rate, 1.0)[:, None]
    run = np.zeros(len(arrivals))
    longest = np.zeros(len(arrivals))
    for step in range(arrivals.shape[1]):
        run = np.where(waiting[:, step], run + step_s, 0.0)
        np.maximum(longest, run, out=longest)
    return longest
