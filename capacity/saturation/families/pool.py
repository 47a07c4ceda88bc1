"""A bounded pool of workers in front of something shared."""

from __future__ import annotations

import numpy as np

from capacity.saturation.families.family import Array, Family, slope


class Pool(Family):
    """X(N) = min(N, c) / (S + κ(N − 1)): c slots, each held for S, and a little more for everyone in the system.

    Parameters
    ----------
    c
        Slots (threads, connections, cores); throughput bends sharply where N reaches c. ``inf`` when the loads tried
        never reached it.
    service_s
        Time S a slot is held by a request that is alone, seconds.
    kappa_s
        Time κ added per other request in the system, seconds.

    References
    ----------
    .. [1] E. D. Lazowska et al., "Quantitative System Performance", 1984, chapter 5: asymptotic bounds of closed
       systems, X ≤ min(N/D, 1/D_max), of which this is the tight form.

    Examples
    --------
    >>> import numpy as np
    >>> Pool().predict(np.array([[16.0, 0.1, 0.0]]), np.array([[1.0, 8.0, 16.0, 64.0]])).round(6).tolist()
    [[10.0, 80.0, 160.0, 160.0]]
    """

    name = "pool"
    parameters = ("c", "service_s", "kappa_s")
    low = (1.0, 1e-12, 0.0)
    scale_power = (0, -1, -1)

    def predict(self, parameters: Array, load: Array) -> Array:
        """See `Family.predict`."""
        c, service, kappa = parameters[:, :1], parameters[:, 1:2], parameters[:, 2:3]
        return np.minimum(load, c) / (service + kappa * np.maximum(load - 1.0, 0.0))

    def high(self, load: Array) -> Array:
        """See `Family.high`."""
        top = np.maximum(load.max(axis=1), 1.0)
        return np.stack([top, np.full_like(top, np.inf), np.full_like(top, np.inf)], axis=-1)

    def starts(self, load: Array, throughput: Array) -> Array:
        """See `Family.starts`."""
        service = 1.0 / slope(load, throughput)
        top, largest = np.maximum(load.max(axis=1), 1.0), throughput.max(axis=1)
        knee = np.clip(largest * service, 1.0, top)
        knees = [knee, 0.8 * knee, np.minimum(1.25 * knee, top), np.sqrt(top), top]
        kappas = [0.0, 0.2]
        return np.stack(
            [np.stack([np.maximum(k, 1.0), service, f * service / top], axis=-1) for k in knees for f in kappas], axis=1
        )

    def peak(self, parameters: Array) -> tuple[Array, Array]:
        """See `Family.peak`."""
        c, kappa = parameters[:, 0], parameters[:, 2]
        with np.errstate(divide="ignore"):
            limit = np.where(kappa > 0, 1.0 / kappa, np.inf)
        at = self.predict(parameters, np.where(np.isfinite(c), c, 1.0)[:, None])[:, 0]
        return c, np.where(np.isfinite(c), at, limit)

    def settle(self, parameters: Array, load: Array) -> Array:
        """Say that a pool as large as the largest load was never seen to be full: its size is unknown."""
        settled = parameters.copy()
        settled[:, 0] = np.where(settled[:, 0] >= load.max(axis=1) * (1 - 1e-6), np.inf, settled[:, 0])
        return settled
