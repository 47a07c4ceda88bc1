"""A bounded pool of workers in front of something shared."""

from __future__ import annotations

import numpy as np

from capacity.saturation.families.family import Array, Family, negligible


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
    searches = 4  # each load is a kink with a valley on either side

    def predict(self, parameters: Array, load: Array) -> Array:
        """See `Family.predict`."""
        c, service, kappa = parameters[:, :1], parameters[:, 1:2], parameters[:, 2:3]
        return np.minimum(load, c) / (service + kappa * np.maximum(load - 1.0, 0.0))

    def high(self, load: Array) -> Array:
        """See `Family.high`."""
        top = np.maximum(load.max(axis=1), 1.0)
        return np.stack([top, np.full_like(top, np.inf), np.full_like(top, np.inf)], axis=-1)

    def slopes(self, parameters: Array, load: Array, at: Array) -> Array:
        """See `Family.slopes`."""
        c, service, kappa = parameters[:, :1], parameters[:, 1:2], parameters[:, 2:3]
        others = np.maximum(load - 1.0, 0.0)
        each = 1.0 / (service + kappa * others)
        slowed = -at * each
        return np.stack([np.where(load > c, each, 0.0), slowed, slowed * others])

    def starts(self, load: Array, throughput: Array) -> Array:
        """See `Family.starts`."""
        top = np.maximum(load.max(axis=1), 1.0)
        # At a load the curve has a kink that a search does not pass: it begins between them.
        between = [load[:, :-1] ** (1 - share) * load[:, 1:] ** share for share in (0.3, 0.7)]
        knees = np.maximum(np.concatenate([*between, top[:, None]], axis=1), 1.0)
        return np.stack([_held(load, throughput, knees[:, k]) for k in range(knees.shape[1])], axis=1)

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
        slowed = settled[:, 2] * (load.max(axis=1) - 1.0)
        settled[negligible(slowed, load, of=settled[:, 1]), 2] = 0.0
        settled[:, 0] = np.where(settled[:, 0] >= load.max(axis=1) * (1 - 1e-6), np.inf, settled[:, 0])
        return settled


def _held(load: Array, throughput: Array, c: Array) -> Array:
    """Parameters (B, 3) for a given size of the pool: a slot is then held for min(N, c)/X = S + κ(N − 1), a line."""
    inside = np.minimum(load, c[:, None])
    others = np.maximum(load - 1.0, 0.0)
    held = inside / np.maximum(throughput, 1e-9 * np.maximum(throughput.max(axis=1, keepdims=True), 1e-3))
    # Errors of throughput are alike; an error of the time held is worse by the square of throughput.
    weight = (throughput**2 / inside) ** 2 + 1e-30
    total = weight.sum(axis=1)
    x, y = (weight * others).sum(axis=1) / total, (weight * held).sum(axis=1) / total
    wide = (weight * (others - x[:, None]) ** 2).sum(axis=1)
    steep = (weight * (others - x[:, None]) * held).sum(axis=1)
    kappa = np.maximum(np.divide(steep, wide, out=np.zeros_like(x), where=wide > 0), 0.0)
    return np.stack([c, np.maximum(y - kappa * x, 1e-3 * y), kappa], axis=-1)
