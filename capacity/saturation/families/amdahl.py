"""Contention only."""

from __future__ import annotations

import numpy as np

from capacity.saturation.families.family import Array, Family, negligible, slope

_SHARES = (0.02, 0.2, 1.0, 5.0, 25.0, 1e3)
"""Starts by how much the heaviest load would be slowed by contention."""


class Amdahl(Family):
    """X(N) = γN / (1 + α(N − 1)): a share of the work can be done by one at a time.

    Parameters
    ----------
    alpha
        Serial share of the work, 0 to 1; throughput approaches γ/α.
    gamma
        Throughput of one, requests/s.

    References
    ----------
    .. [1] G. M. Amdahl, "Validity of the single processor approach to achieving large scale computing capabilities",
       AFIPS 1967.

    Examples
    --------
    >>> import numpy as np
    >>> Amdahl().peak(np.array([[0.05, 10.0]]))[1].tolist()
    [200.0]
    """

    name = "amdahl"
    parameters = ("alpha", "gamma")
    low = (0.0, 0.0)
    scale_power = (0, 1)

    def predict(self, parameters: Array, load: Array) -> Array:
        """See `Family.predict`."""
        alpha, gamma = parameters[:, :1], parameters[:, 1:2]
        return gamma * load / (1.0 + alpha * (load - 1.0))

    def high(self, load: Array) -> Array:
        """See `Family.high`."""
        return np.tile([1.0, np.inf], (load.shape[0], 1))

    def slopes(self, parameters: Array, load: Array, at: Array) -> Array:
        """See `Family.slopes`."""
        alpha = parameters[:, :1]
        each = 1.0 / (1.0 + alpha * (load - 1.0))
        return np.stack([-at * (load - 1.0) * each, load * each])

    def starts(self, load: Array, throughput: Array) -> Array:
        """See `Family.starts`."""
        first, top = slope(load, throughput), np.maximum(load.max(axis=1), 1.0)
        waiting = [np.minimum(share / top, 1.0) for share in _SHARES]
        return np.stack([np.stack([a, first], axis=-1) for a in waiting], axis=1)

    def peak(self, parameters: Array) -> tuple[Array, Array]:
        """See `Family.peak`."""
        alpha, gamma = parameters[:, 0], parameters[:, 1]
        limit = np.divide(gamma, alpha, out=np.full(len(parameters), np.inf), where=alpha > 0)
        return np.full(len(parameters), np.inf), limit

    def settle(self, parameters: Array, load: Array) -> Array:
        """See `Family.settle`."""
        settled = parameters.copy()
        settled[negligible(settled[:, 0] * (load.max(axis=1) - 1.0), load), 0] = 0.0
        return settled
