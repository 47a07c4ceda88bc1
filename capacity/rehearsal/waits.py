"""Waiting time in the queue of a service whose instances are servers."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from capacity.saturation.erlang import erlang_c


def mean_wait_s(rate: ArrayLike, *, servers: ArrayLike, server_rate: ArrayLike) -> NDArray[np.float64]:
    """Mean wait before service in M/M/c, in seconds; infinite where the load is not below the servers.

    A rehearsal moves fluid once a second and knows no single request: what is waited inside a second with no
    backlog is this formula, what a backlog adds is backlog ÷ capacity.

    Examples
    --------
    >>> round(float(mean_wait_s(1.0, servers=2, server_rate=1.0)), 6)
    0.333333
    """
    lam, c, mu = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (rate, servers, server_rate)))
    with np.errstate(divide="ignore", invalid="ignore"):
        wait = erlang_c(c, lam / mu) / (c * mu - lam)
    return np.asarray(np.where(lam >= c * mu, np.inf, np.where(lam <= 0, 0.0, wait)))
