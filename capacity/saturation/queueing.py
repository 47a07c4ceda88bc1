"""The open queue behind a pool of workers: what arrivals that do not wait for answers do to the tail of latency.

A closed test (so many users, each waiting for its answer) never builds the queue that independent arrivals build.

References
----------
.. [1] A. O. Allen, "Probability, Statistics, and Queueing Theory", 2nd ed. 1990, section 5.3: the Allen–Cunneen
   approximation of the G/G/c queue, used here for the rate of the waiting time's exponential tail.
.. [2] B. Schroeder, A. Wierman, M. Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from capacity.saturation.erlang import erlang_c

_SERVICE_GRID = special.ndtri((np.arange(128) + 0.5) / 128)


def late_share(rate: float, *, servers: float, service_s: float, sigma: float, limit_s: float) -> float:
    """Share of requests of an M/G/c queue that take longer than a limit.

    Parameters
    ----------
    rate
        Arrivals a second, as a Poisson process.
    servers, service_s
        Workers and mean service time in seconds.
    sigma
        Standard deviation of the logarithm of the service time, taken as lognormal.
    limit_s
        The limit in seconds.

    Examples
    --------
    >>> round(late_share(1.0, servers=16, service_s=0.1, sigma=0.4, limit_s=0.1), 2)
    0.42
    >>> late_share(161.0, servers=16, service_s=0.1, sigma=0.4, limit_s=0.3)
    1.0
    """
    spare = servers / service_s - rate
    if spare <= 0:
        return 1.0
    service = service_s * np.exp(sigma * _SERVICE_GRID - sigma**2 / 2)
    variability = (1.0 + math.expm1(sigma**2)) / 2.0
    wait = float(erlang_c(servers, rate * service_s))
    left = np.maximum(limit_s - service, 0.0)
    return float(np.mean(np.where(service > limit_s, 1.0, wait * np.exp(-spare / variability * left))))


def open_capacity(
    *, peak_qps: float, service_s: float, sigma: float, limit_s: float, probability: float, steps: int = 50
) -> float:
    """Largest Poisson arrival rate at which a quantile of latency keeps a limit.

    Parameters
    ----------
    peak_qps
        Rate at which all workers are busy; workers = ``peak_qps · service_s``.
    service_s, sigma
        Mean service time and the standard deviation of its logarithm.
    limit_s, probability
        The objective: this quantile of latency stays within this limit.

    Returns
    -------
    float
        Requests a second; 0 where service alone breaks the limit.

    Examples
    --------
    >>> rate = open_capacity(peak_qps=160, service_s=0.1, sigma=0.4, limit_s=0.3, probability=0.95)
    >>> 145 < rate < 160
    True
    """
    servers = max(peak_qps * service_s, 1.0)
    service = servers / peak_qps
    low, high = 0.0, peak_qps
    for _ in range(steps):
        mid = 0.5 * (low + high)
        late = late_share(mid, servers=servers, service_s=service, sigma=sigma, limit_s=limit_s)
        low, high = (low, mid) if late > 1.0 - probability else (mid, high)
    return low
