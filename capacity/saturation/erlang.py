"""Erlang's formulas and the M/M/c queue, for whole arrays and for servers that need not be a whole number.

References
----------
.. [1] A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
   exchanges", 1917.
.. [2] D. L. Jagerman, "Some properties of the Erlang loss function", Bell System Technical Journal 53 (1974): the
   continuation to real numbers of servers.
.. [3] D. Gross et al., "Fundamentals of Queueing Theory", 4th ed., section 2.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]


def erlang_b(servers: ArrayLike, offered: ArrayLike) -> Array:
    """Probability that all servers are busy when nobody waits (the loss system M/M/c/c).

    Parameters
    ----------
    servers
        Number of servers, 0 or more; may be fractional.
    offered
        Offered load in erlangs: arrival rate × mean service time.

    Examples
    --------
    >>> round(float(erlang_b(5, 3.0)), 6)
    0.110054
    """
    c, a = np.asarray(servers, dtype=float), np.asarray(offered, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        log_top = special.xlogy(c, a) - a - special.gammaln(c + 1.0)
        blocked = np.exp(log_top) / special.gammaincc(c + 1.0, a)
    return np.asarray(np.where(a <= 0, np.where(c <= 0, 1.0, 0.0), np.clip(np.nan_to_num(blocked, nan=1.0), 0.0, 1.0)))


def erlang_c(servers: ArrayLike, offered: ArrayLike) -> Array:
    """Probability that an arrival must wait in an M/M/c queue; 1 where the load is not below the servers.

    Examples
    --------
    >>> round(float(erlang_c(2, 1.0)), 6)
    0.333333
    """
    c, a = np.asarray(servers, dtype=float), np.asarray(offered, dtype=float)
    b = erlang_b(c, a)
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = a / c
        wait = b / (1.0 - rho * (1.0 - b))
    return np.asarray(np.where(rho >= 1.0, 1.0, np.clip(wait, 0.0, 1.0)))


def mean_in_system(servers: ArrayLike, offered: ArrayLike) -> Array:
    """Mean number waiting or served in M/M/c; ``inf`` where the load is not below the servers.

    Examples
    --------
    >>> round(float(mean_in_system(1, 0.5)), 6)
    1.0
    """
    c, a = np.asarray(servers, dtype=float), np.asarray(offered, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        number = a + erlang_c(c, a) * a / (c - a)
    return np.asarray(np.where(a >= c, np.inf, number))


def tail_probability(rate: ArrayLike, *, servers: ArrayLike, service_s: ArrayLike, after_s: ArrayLike) -> Array:
    """Probability that a request of an M/M/c queue is not finished ``after_s`` seconds after it arrived.

    Parameters
    ----------
    rate
        Arrivals a second.
    servers, service_s
        Number of servers and mean service time in seconds.
    after_s
        Time in seconds.

    Examples
    --------
    One server: the time in the system is exponential with rate μ − λ.

    >>> import math
    >>> p = tail_probability(5.0, servers=1, service_s=0.1, after_s=0.3)
    >>> round(float(p), 6) == round(math.exp(-(10 - 5) * 0.3), 6)
    True
    """
    lam, c, s, t = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (rate, servers, service_s, after_s)))
    mu = 1.0 / s
    spare = c * mu - lam
    wait = erlang_c(c, lam * s)
    served = np.exp(-mu * t)
    gap = np.where(np.abs(spare - mu) < 1e-9 * mu, 1e-9 * mu, spare - mu)
    # Time in system = service + a wait that is 0 or exponential with the spare rate.
    with np.errstate(over="ignore", invalid="ignore"):
        waited = (spare * served - mu * np.exp(-spare * t)) / gap
    return np.asarray(np.where(spare <= 0, 1.0, np.clip((1.0 - wait) * served + wait * waited, 0.0, 1.0)))


def response_quantile(
    rate: ArrayLike, *, servers: ArrayLike, service_s: ArrayLike, probability: float, iterations: int = 60
) -> Array:
    """Quantile of the time in the system of M/M/c in seconds; ``inf`` where the queue is unstable.

    Examples
    --------
    >>> import math
    >>> q = response_quantile(5.0, servers=1, service_s=0.1, probability=0.95)
    >>> round(float(q), 6) == round(math.log(20) / 5, 6)
    True
    """
    lam, c, s = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (rate, servers, service_s)))
    spare = c / s - lam
    stable = spare > 0
    safe = np.where(stable, spare, 1.0)
    low = np.zeros_like(safe)
    high = -np.log1p(-probability) * (1.0 / safe + 2.0 * s) * 2.0
    rate_ok = np.where(stable, lam, 0.0)
    for _ in range(iterations):
        mid = 0.5 * (low + high)
        late = tail_probability(rate_ok, servers=c, service_s=s, after_s=mid) > 1.0 - probability
        low, high = np.where(late, mid, low), np.where(late, high, mid)
    return np.asarray(np.where(stable, 0.5 * (low + high), np.inf))
