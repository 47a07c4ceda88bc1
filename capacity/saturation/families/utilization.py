"""The utilization law."""

from __future__ import annotations

import numpy as np

from capacity.saturation.families.family import Array, Family, slope


class Utilization(Family):
    """U = U₀ + D·X, read as X(U) = (U − U₀) / D: what a request costs of the CPU bounds how many there can be.

    The load of this curve is the CPU fraction, 0 to 1. Its peak, throughput at a CPU that is always busy, is an upper
    bound: latency breaks earlier, and another resource may fill first.

    Parameters
    ----------
    demand_s
        Service demand D: CPU seconds per request, over the instance's whole CPU.
    idle
        Share U₀ of the CPU that is busy without requests.

    References
    ----------
    .. [1] P. J. Denning, J. P. Buzen, "The Operational Analysis of Queueing Network Models", ACM Computing Surveys 10
       (1978).

    Examples
    --------
    >>> import numpy as np
    >>> Utilization().peak(np.array([[0.005, 0.0]]))[1].tolist()
    [200.0]
    """

    name = "utilization"
    parameters = ("demand_s", "idle")
    low = (1e-15, 0.0)
    scale_power = (-1, 0)

    def predict(self, parameters: Array, load: Array) -> Array:
        """See `Family.predict`."""
        return (load - parameters[:, 1:2]) / parameters[:, :1]

    def high(self, load: Array) -> Array:
        """See `Family.high`."""
        return np.stack([np.full(len(load), np.inf), np.maximum(load.min(axis=1), 0.0)], axis=-1)

    def slopes(self, parameters: Array, load: Array, at: Array) -> Array:
        """See `Family.slopes`."""
        each = np.broadcast_to(1.0 / parameters[:, :1], load.shape)
        return np.stack([-at * each, -each])

    def starts(self, load: Array, throughput: Array) -> Array:
        """See `Family.starts`."""
        demand = 1.0 / slope(load, throughput)
        return np.stack([demand, np.zeros_like(demand)], axis=-1)[:, None, :]

    def peak(self, parameters: Array) -> tuple[Array, Array]:
        """See `Family.peak`."""
        return np.ones(len(parameters)), (1.0 - parameters[:, 1]) / parameters[:, 0]
