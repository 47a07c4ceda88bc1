"""A first-in-first-out queue of fluid, over one second, in closed form."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

QUEUE_TIMEOUTS = 2.0  # a queue holds so many timeouts of work: accept queues are bounded, what is beyond is refused
_TINY = 1e-9


def serve(queue: Floats, inflow: Floats, *, capacity: Floats, timeout_s: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Serve a queue for one second; return what was served, what waits then, and how much of the inflow is in time.

    The inflow comes evenly over the second and the rate of service is constant, so that the queue is a straight line
    and the moment at which a new request's wait, queue ÷ capacity, crosses the timeout is known exactly. Requests that
    wait longer are served all the same, for nobody; what exceeds `QUEUE_TIMEOUTS` timeouts of work is refused.

    Parameters
    ----------
    queue, inflow : ndarray
        Requests that wait at the beginning; requests that arrive.
    capacity : ndarray
        Requests/s, finite.
    timeout_s : array
        What the callers wait.

    Examples
    --------
    150/s into 100/s: the queue reaches one timeout of work after 0.4 s, and what comes later is too late.

    >>> serve(np.array([0.0]), np.array([150.0]), capacity=np.array([100.0]), timeout_s=np.array([0.2]))
    (array([100.]), array([40.]), array([60.]))
    """
    work = queue + inflow
    done = np.minimum(work, capacity)
    left = work - done
    if not left.any() and not queue.any():
        return done, left, inflow
    most = capacity * np.asarray(timeout_s, dtype=capacity.dtype)
    growth = inflow - capacity
    np.copyto(growth, -_TINY, where=growth == 0)
    crossing = (most - queue) / growth
    np.clip(crossing, 0.0, 1.0, out=crossing)
    in_time = np.where(growth > 0, crossing, 1.0 - crossing)
    most *= QUEUE_TIMEOUTS
    return done, np.minimum(left, most, out=left), inflow * in_time
