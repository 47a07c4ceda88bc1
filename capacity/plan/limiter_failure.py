"""What is lost when a limiter itself fails, open or closed, and which of the two to choose."""

from dataclasses import dataclass

import numpy as np

from capacity.plan.guard import Guard
from capacity.plan.network import Network, injection, reach
from capacity.plan.sizing import Bools, Floats


@dataclass(frozen=True)
class LimiterFailure:
    """Orders per second at stake while one service's limiter is out in the worst second; arrays (s,).

    Attributes
    ----------
    closed_loses : ndarray
        Nothing is let through: all orders that need the service are lost, for certain.
    open_probability : ndarray
        Share of futures in which the service or anything it needs is then overloaded.
    open_loses : ndarray
        Orders that need the dearest of what is overloaded, on average over all futures.
    """

    closed_loses: Floats
    open_probability: Floats
    open_loses: Floats

    @property
    def opens(self) -> Bools:
        """Where letting all through is expected to lose less than letting nothing through."""
        return self.open_loses <= self.closed_loses


def read_limiter_failure(network: Network, guard: Guard, overloaded: Bools, *, typical_qps: Floats) -> LimiterFailure:
    """Weigh open against closed for every service.

    Parameters
    ----------
    network : Network
    guard : Guard
        Entries and the orders behind their requests; where no order is known, core requests are counted.
    overloaded : ndarray (sample, s)
        At the offered load, before any limit.
    typical_qps : ndarray (s,)
        Rate from outside at the entries in the worst second.
    """
    entries = np.flatnonzero(guard.entry)
    worth = guard.value if guard.value.any() else guard.core.astype(float)
    needs = reach(injection(entries, network.size), network.matrix(only=network.binding & (network.calls > 0)))
    needs.data[:] = 1.0
    stake = np.asarray(needs.T @ (worth * typical_qps)[entries]).ravel()
    # A little stake everywhere, so that an overload that costs no order is an overload all the same.
    tiny = 1e-9 * max(float(stake.max(initial=0.0)), 1.0)
    at_risk = _upwards_most(network, np.where(overloaded, stake + tiny, 0.0).astype(np.float32))
    return LimiterFailure(
        closed_loses=stake,
        open_probability=np.asarray((at_risk > 0).mean(axis=0), dtype=float),
        open_loses=np.asarray(np.where(at_risk > 2 * tiny, at_risk, 0.0).mean(axis=0), dtype=float),
    )


def _upwards_most(
    network: Network, values: "np.ndarray[tuple[int, int], np.dtype[np.float32]]"
) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Return the largest value at each service and all that it needs, (sample, s)."""
    use = np.flatnonzero(network.binding & (network.calls > 0))
    use = use[np.argsort(network.caller[use], kind="stable")]
    moved: Bools = np.asarray(values.any(axis=0), dtype=bool)
    for _ in range(network.size):
        at = use[moved[network.callee[use]]]
        if len(at) == 0:
            break
        callers, first = np.unique(network.caller[at], return_index=True)
        most = np.maximum.reduceat(values[:, network.callee[at]], first, axis=1)
        grown = (most > values[:, callers]).any(axis=0)
        values[:, callers] = np.maximum(values[:, callers], most)
        moved = np.zeros(network.size, dtype=bool)
        moved[callers[grown]] = True
    return values
