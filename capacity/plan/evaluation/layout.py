"""Places of a call graph's services on a page: callers left of callees, few crossings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_SWEEPS = 12


def place_services(n: int, calls: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Return (x, y) of every service: x its longest way from a service that nobody calls, y its place there.

    Layers are ordered by the mean place of their neighbours, forth and back, as in the second step of Sugiyama's
    method; the order with the fewest crossings is kept.

    References
    ----------
    Sugiyama, Tagawa, Toda: Methods for visual understanding of hierarchical system structures. IEEE Transactions on
    Systems, Man and Cybernetics 11 (1981).

    Examples
    --------
    >>> place_services(3, [(0, 1), (0, 2)])[:, 0]
    array([0., 1., 1.])
    """
    layer = np.zeros(n, dtype=np.int64)
    for _ in range(n):
        deeper = layer.copy()
        for caller, callee in calls:
            deeper[callee] = max(deeper[callee], layer[caller] + 1)
        if np.array_equal(deeper, layer):
            break
        layer = deeper
    y = np.zeros(n)
    for k in range(int(layer.max(initial=0)) + 1):
        y[layer == k] = _spread(int((layer == k).sum()))
    best, fewest = y.copy(), _crossings(layer, y, calls)
    for sweep in range(_SWEEPS):
        y = _sweep(layer, y, calls, forth=sweep % 2 == 0)
        crossed = _crossings(layer, y, calls)
        if crossed < fewest:
            best, fewest = y.copy(), crossed
    return np.column_stack([layer.astype(float), best])


def _spread(count: int) -> NDArray[np.float64]:
    return np.asarray((count - 1) / 2.0 - np.arange(count), dtype=float)


def _sweep(
    layer: Ints, y: NDArray[np.float64], calls: Sequence[tuple[int, int]], *, forth: bool
) -> NDArray[np.float64]:
    out = y.copy()
    order = range(int(layer.max(initial=0)) + 1)
    for k in order if forth else reversed(order):
        at = np.flatnonzero(layer == k)
        wish = []
        for s in at:
            near = [out[i] for i, j in calls if j == s] if forth else [out[j] for i, j in calls if i == s]
            wish.append(float(np.mean(near)) if near else float(out[s]))
        out[at[np.argsort(-np.array(wish), kind="stable")]] = _spread(len(at))
    return out


def _crossings(layer: Ints, y: NDArray[np.float64], calls: Sequence[tuple[int, int]]) -> int:
    if len(calls) < 2:
        return 0
    edge = np.array([(layer[i], layer[j], y[i], y[j]) for i, j in calls])
    a, b = np.triu_indices(len(edge), k=1)
    first, second = edge[a], edge[b]
    beside = (first[:, 0] == second[:, 0]) & (first[:, 1] == second[:, 1])
    return int((beside & ((first[:, 2] - second[:, 2]) * (first[:, 3] - second[:, 3]) < 0)).sum())
