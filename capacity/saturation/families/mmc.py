"""The M/M/c queue, read as throughput against the mean number in the system."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from capacity.saturation.erlang import mean_in_system
from capacity.saturation.families.family import Array, Family, slope

_RHO = 1.0 - np.concatenate([np.linspace(1.0, 0.1, 30), np.geomspace(0.09, 1e-5, 50)])
_ROWS, _ROW_STEP = 320, 0.0505  # up to ten million servers
_SHARP = 0.02
_COLUMNS = np.linspace(-7.0, 7.0, 401)
_STEP = 1e-4
_UNSEEN = 2e-4
"""Share of time spent waiting that the table does not tell from none."""


class MMc(Family):
    """X(N) that solves N = L(X): L is the mean number waiting or served in an M/M/c queue with arrivals X.

    Parameters
    ----------
    c
        Servers, 1 or more, need not be whole; ``inf`` where half were idle, or nobody waited, at any load.
    service_s
        Mean service time, seconds. Throughput approaches c / service_s and never reaches it.

    References
    ----------
    .. [1] D. Gross et al., "Fundamentals of Queueing Theory", 4th ed., section 2.3.

    Examples
    --------
    One server at half its rate holds one request on average:

    >>> import numpy as np
    >>> MMc().predict(np.array([[1.0, 0.1]]), np.array([[1.0]])).round(3).tolist()
    [[5.0]]
    """

    name = "mmc"
    parameters = ("c", "service_s")
    low = (1.0, 1e-12)
    scale_power = (0, -1)

    def predict(self, parameters: Array, load: Array) -> Array:
        """See `Family.predict`."""
        c, service = np.where(np.isinf(parameters[:, :1]), 1.0, parameters[:, :1]), parameters[:, 1:2]
        number = mean_in_system(c, _RHO * c)
        used = _interpolate(load, number, np.broadcast_to(_RHO, number.shape))
        return np.where(np.isinf(parameters[:, :1]), load, used * c) / service

    def rough(self, parameters: Array, load: Array) -> Array:
        """See `Family.rough`: reads utilization from a table, to about one part in ten thousand."""
        unseen = np.isinf(parameters[:, :1])
        c = np.where(unseen, 1.0, np.maximum(parameters[:, :1], 1.0))
        return np.where(unseen, load, _used(np.log(c), load / c) * c) / parameters[:, 1:2]

    def slopes(self, parameters: Array, load: Array, at: Array) -> Array:
        """See `Family.slopes`; by the table, as `rough` is."""
        c, service = parameters[:, :1], parameters[:, 1:2]
        moved = np.concatenate([c * (1.0 + _STEP), service], axis=1)
        grown = (self.rough(moved, load) - at) / (_STEP * c)
        return np.stack([grown, -at / service])

    def high(self, load: Array) -> Array:
        """See `Family.high`."""
        top = np.maximum(load.max(axis=1), 1.0)
        return np.stack([2.0 * top, np.full_like(top, np.inf)], axis=-1)

    def starts(self, load: Array, throughput: Array) -> Array:
        """See `Family.starts`."""
        service = 1.0 / slope(load, throughput)
        top = np.maximum(load.max(axis=1), 1.0)
        servers = [(2.0 * top) ** share for share in np.linspace(0.0, 1.0, 13)]
        return np.stack([np.stack([c, service], axis=-1) for c in servers], axis=1)

    def peak(self, parameters: Array) -> tuple[Array, Array]:
        """See `Family.peak`."""
        return np.full(len(parameters), np.inf), parameters[:, 0] / parameters[:, 1]

    def settle(self, parameters: Array, load: Array) -> Array:
        """Say that servers of whom half were always idle were not counted, nor those at whom nobody ever waited."""
        settled, most = parameters.copy(), self.high(load)[:, 0]
        top = load.max(axis=1, keepdims=True)
        at_work = self.rough(np.stack([settled[:, 0], np.ones(len(settled))], axis=1), top)
        all_at_work = at_work >= top * (1 - _UNSEEN)
        settled[:, 0] = np.where((settled[:, 0] >= most * (1 - 1e-6)) | all_at_work[:, 0], np.inf, settled[:, 0])
        return settled


@cache
def _table() -> Array:
    """Utilization ρ by servers (rows) and by how many are inside per server (columns), as ρ(1 + ℓ)/ℓ."""
    c = np.exp(np.arange(_ROWS) * _ROW_STEP)[:, None]
    inside = np.exp(_SHARP * np.sinh(_COLUMNS))[None, :]
    number = mean_in_system(c, _RHO * c) / c
    used = _interpolate(np.broadcast_to(inside, (_ROWS, inside.shape[1])), number, np.broadcast_to(_RHO, number.shape))
    # Below the lightest load of the table nobody waits.
    used = np.where(inside < number[:, 1:2], inside, used)
    return used * (1.0 + inside) / inside


def _used(log_c: Array, inside: Array) -> Array:
    """Utilization (B, n) of log c (B, 1) servers with so many inside per server (B, n), between the table's places."""
    table = _table()
    row = np.minimum(log_c / _ROW_STEP, _ROWS - 1.001)
    # Utilization bends at one inside per server, the sharper the more servers: there the columns are close.
    column = (np.arcsinh(np.log(inside) / _SHARP) - _COLUMNS[0]) / (_COLUMNS[1] - _COLUMNS[0])
    column = np.clip(column, 0.0, len(_COLUMNS) - 1.001)
    top, left = row.astype(np.int64), column.astype(np.int64)
    down, right = row - top, column - left
    flat, at = table.ravel(), top * len(_COLUMNS) + left
    upper = flat[at] + right * (flat[at + 1] - flat[at])
    at += len(_COLUMNS)
    lower = flat[at] + right * (flat[at + 1] - flat[at])
    return np.asarray((upper + down * (lower - upper)) * inside / (1.0 + inside))


def _searched(table: Array, x: Array) -> NDArray[np.int64]:
    """How many entries of each table row are at or below each x, (B, n), by bisection."""
    rows = np.arange(len(x))[:, None]
    low = np.zeros(x.shape, dtype=np.int64)
    high = np.full(x.shape, table.shape[1], dtype=np.int64)
    for _ in range(int(table.shape[1]).bit_length()):
        mid = (low + high) // 2
        under = (mid < table.shape[1]) & (table[rows, np.minimum(mid, table.shape[1] - 1)] <= x)
        low, high = np.where(under, mid + 1, low), np.where(under, high, mid)
        high = np.maximum(low, high)
    return low


def _interpolate(x: Array, xp: Array, fp: Array) -> Array:
    """Row-wise cubic (Hermite) interpolation of increasing tables: x (B, n), xp and fp (B, m)."""
    at = np.clip(_searched(xp, x) - 1, 0, xp.shape[1] - 2)
    rows = np.arange(len(x))[:, None]
    x0, x1, f0, f1 = xp[rows, at], xp[rows, at + 1], fp[rows, at], fp[rows, at + 1]
    secant = np.diff(fp, axis=1) / np.diff(xp, axis=1)
    # Harmonic mean of neighbouring secants keeps the interpolant monotone (Fritsch and Butland 1984).
    inner = 2.0 * secant[:, :-1] * secant[:, 1:] / (secant[:, :-1] + secant[:, 1:])
    slopes = np.concatenate([secant[:, :1], inner, secant[:, -1:]], axis=1)
    width = x1 - x0
    t = np.clip((x - x0) / width, 0.0, 1.0)
    d0, d1 = slopes[rows, at] * width, slopes[rows, at + 1] * width
    return np.asarray(
        (1 + 2 * t) * (1 - t) ** 2 * f0 + t * (1 - t) ** 2 * d0 + t**2 * (3 - 2 * t) * f1 + t**2 * (t - 1) * d1
    )
