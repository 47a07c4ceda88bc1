"""The Universal Scalability Law."""

from __future__ import annotations

import numpy as np

from capacity.saturation.families.family import Array, Family, negligible, slope

_SHARES = (0.02, 0.2, 1.0, 5.0, 25.0)
"""Starts by how much the heaviest load would be slowed by contention."""


class USL(Family):
    """X(N) = γN / (1 + α(N − 1) + βN(N − 1)): contention and the cost of keeping everyone consistent.

    Parameters
    ----------
    alpha
        Contention: share of the work that waits for its turn, 0 to 1.
    beta
        Coherency: cost of each pair that must agree; above 0 throughput falls past its peak at √((1 − α)/β).
    gamma
        Throughput of one, requests/s.

    References
    ----------
    .. [1] N. J. Gunther, "Guerrilla Capacity Planning", 2007, chapters 4 to 6.
    .. [2] B. Schwartz, "Practical Scalability Analysis with the Universal Scalability Law", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> load, throughput = USL().peak(np.array([[0.0277285, 1.044e-4, 89.9952]]))
    >>> round(float(load[0]), 1)
    96.5
    """

    name = "usl"
    parameters = ("alpha", "beta", "gamma")
    low = (0.0, 0.0, 0.0)
    scale_power = (0, 0, 1)

    def predict(self, parameters: Array, load: Array) -> Array:
        """See `Family.predict`."""
        alpha, beta, gamma = parameters[:, :1], parameters[:, 1:2], parameters[:, 2:3]
        return gamma * load / (1.0 + alpha * (load - 1.0) + beta * load * (load - 1.0))

    def high(self, load: Array) -> Array:
        """See `Family.high`."""
        return np.tile([1.0, np.inf, np.inf], (load.shape[0], 1))

    def slopes(self, parameters: Array, load: Array, at: Array) -> Array:
        """See `Family.slopes`."""
        alpha, beta = parameters[:, :1], parameters[:, 1:2]
        others = load - 1.0
        pairs = load * others
        each = 1.0 / (1.0 + alpha * others + beta * pairs)
        slowed = -at * each
        return np.stack([slowed * others, slowed * pairs, load * each])

    def starts(self, load: Array, throughput: Array) -> Array:
        """See `Family.starts`."""
        first, top = slope(load, throughput), np.maximum(load.max(axis=1), 1.0)
        return np.stack(
            [
                np.stack([np.minimum(a / top, 1.0), b / top**2, first], axis=-1)
                for a in _SHARES
                for b in (0.0, 0.1, 1.0, 10.0)
            ],
            axis=1,
        )

    def peak(self, parameters: Array) -> tuple[Array, Array]:
        """See `Family.peak`."""
        alpha, beta, gamma = parameters[:, 0], parameters[:, 1], parameters[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            load = np.where(beta > 0, np.maximum(np.sqrt((1.0 - alpha) / beta), 1.0), np.inf)
            limit = np.where(alpha > 0, gamma / alpha, np.inf)
        at = self.predict(parameters, np.where(np.isfinite(load), load, 1.0)[:, None])[:, 0]
        return load, np.where(beta > 0, at, limit)

    def settle(self, parameters: Array, load: Array) -> Array:
        """See `Family.settle`."""
        settled, others = parameters.copy(), load.max(axis=1) - 1.0
        settled[negligible(settled[:, 0] * others, load), 0] = 0.0
        settled[negligible(settled[:, 1] * others * load.max(axis=1), load), 1] = 0.0
        return settled
