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


def rate_for_delay(arrivals: Floats, max_delay_s: float, *, step_s: float, rounds: int = 60) -> Floats:
    """Least constant rate at which nothing waits longer than ``max_delay_s``, per sample.

    First in, first out: the last of a backlog W waits W / rate, so what arrives in any stretch of d seconds has to be
    served in d + ``max_delay_s``: the rate is the largest such quotient. It is found from below by Newton's method: the
    stretch that is worst at one rate gives the next (Dinkelbach), which ends after a handful of rounds.

    References
    ----------
    Dinkelbach: On nonlinear fractional programming. Management Science 13 (1967).

    Examples
    --------
    >>> rate_for_delay(np.array([[10.0] + [0.0] * 9]), 4.0, step_s=1.0).round(3)
    array([2.])
    """
    came = np.cumsum(np.asarray(arrivals, dtype=float) * step_s, axis=1)
    seconds = step_s * np.arange(1, came.shape[1] + 1)
    rate = (came / (seconds + max_delay_s)).max(axis=1)
    # The worst stretch begins and ends where more comes than is served, and no less is served than that.
    busy = np.flatnonzero((arrivals > rate[:, None]).any(axis=0))
    if not len(busy):
        return np.asarray(rate, dtype=float)
    came = np.cumsum(np.asarray(arrivals[:, busy[0] : busy[-1] + 1], dtype=float) * step_s, axis=1)
    seconds = seconds[: came.shape[1]]
    row = np.arange(len(came))
    for _ in range(rounds):
        ahead = came - rate[:, None] * seconds
        lowest = np.minimum.accumulate(np.minimum(ahead, 0.0), axis=1)
        end = (ahead - lowest).argmax(axis=1)
        low = lowest[row, end]
        start = np.where(low < 0.0, (ahead <= low[:, None]).argmax(axis=1), -1)
        before = np.where(start >= 0, came[row, start], 0.0)
        following = (came[row, end] - before) / (step_s * (end - start) + max_delay_s)
        if (following <= rate * (1.0 + 1e-9)).all():
            break
        rate = np.maximum(rate, following)
    return np.asarray(rate, dtype=float)


def drain_time_s(arrivals: Floats, rate: Floats, *, step_s: float) -> Floats:
    """Seconds from the first waiting request to the end of the longest stretch with a backlog, per sample."""
    return largest_and_drain(arrivals, rate, step_s=step_s)[1]


def largest_and_drain(arrivals: Floats, rate: Floats, *, step_s: float) -> tuple[Floats, Floats]:
    """Largest `backlog` and `drain_time_s`, both per sample."""
    busy = np.flatnonzero((arrivals > np.asarray(rate)[:, None]).any(axis=0))
    if not len(busy):
        return np.zeros(len(arrivals)), np.zeros(len(arrivals))
    requests = backlog(arrivals[:, busy[0] :], rate, step_s=step_s)  # before that nothing waits
    waiting = requests > 1e-9 * np.maximum(rate, 1.0)[:, None]
    step = np.arange(waiting.shape[1])
    last_idle = np.maximum.accumulate(np.where(waiting, -1, step), axis=1)
    drain = step_s * (step - last_idle).max(axis=1, initial=0)
    return np.asarray(requests.max(axis=1), dtype=float), np.asarray(drain, dtype=float)
