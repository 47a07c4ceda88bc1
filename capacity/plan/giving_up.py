"""Which futures to give up: nested choices of cost levels, the lower the more rows may be lost, on plain arrays.

A row is a future, a column a pool of instances, a value what covering that row costs in that pool. Everything is
sorted once; a choice for any number of lost rows is then looked up. As each rule only ever goes down when more may be
lost, so does the cheaper of both: more risk never costs more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_NOISE = 1e-12  # of the cost of covering everything: less than that is rounding


@dataclass(frozen=True)
class CommonQuantile:
    """One common order statistic for all pools.

    Attributes
    ----------
    ordered : ndarray (depth, pool)
        Each pool's values, falling.
    lost : ndarray (depth,)
        Rows beyond some pool's value at that depth.
    """

    ordered: Floats
    lost: Ints

    @classmethod
    def of(cls, rows: Floats, most: int) -> "CommonQuantile":
        """Sort ``rows`` (row, pool) as deep as ``most`` lost rows can reach."""
        n, p = rows.shape
        depth = min(most, n - 1) + 1
        order = np.argsort(-rows.T, axis=1, kind="stable")[:, :depth]
        ordered = np.take_along_axis(rows.T, order, axis=1)
        # A row is lost at the first depth with a lower value than its own, in whichever pool that comes first.
        falls = np.ones((p, depth), dtype=bool)
        falls[:, :-1] = ordered[:, 1:] < ordered[:, :-1]
        falls[:, -1] = False
        place = np.where(falls, np.arange(depth) + 1, depth)
        lower = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
        first = np.full(n, depth)
        np.minimum.at(first, order.ravel(), lower.ravel())
        return cls(ordered.T, np.cumsum(np.bincount(first, minlength=depth + 1))[:depth])

    def levels(self, budget: int) -> Floats:
        """Lowest choice that loses at most ``budget`` rows, (pool,)."""
        return np.asarray(self.ordered[max(int(np.searchsorted(self.lost, budget, side="right")) - 1, 0)])


@dataclass(frozen=True)
class Descent:
    """Steps down from covering everything, in the order in which rows were given up.

    Attributes
    ----------
    top : ndarray (pool,)
        Levels that cover all rows.
    column, value, lost : ndarray (step,)
        The pool that falls, where to, and rows lost by then.
    """

    top: Floats
    column: Ints
    value: Floats
    lost: Ints

    @classmethod
    def of(cls, rows: Floats, most: int) -> "Descent":
        """Give up, one by one, the row that holds up most cost, while at most ``most`` rows are lost."""
        pools = np.ascontiguousarray(rows.T)
        n = len(rows)
        kept, lost = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
        top: Floats = pools.max(axis=1)
        holding, gain = _steps_down(pools, kept, top)
        weight = gain @ holding
        start, level = top, top.copy()
        steps: list[tuple[Ints, Floats, int]] = []
        least = _NOISE * max(float(top.sum()), 1e-300)
        for _ in range(n - 1):
            row = int(weight.argmax())
            if weight[row] <= least:
                break
            kept[row] = False
            moved = np.flatnonzero(holding[:, row])
            own = pools[moved]
            weight -= gain[moved] @ holding[moved]
            below = np.where(kept, own, -np.inf).max(axis=1)
            lost |= (own > below[:, None]).any(axis=0)
            if int(lost.sum()) > most:
                break
            fell = below < level[moved]
            steps.append((moved[fell], below[fell], int(lost.sum())))
            level[moved] = below
            holding[moved], gain[moved] = _steps_down(own, kept, below)
            weight += gain[moved] @ holding[moved]
        if not steps:
            return cls(start, np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
        counts = np.repeat([count for _, _, count in steps], [len(at) for at, _, _ in steps])
        return cls(start, np.concatenate([s[0] for s in steps]), np.concatenate([s[1] for s in steps]), counts)

    def levels(self, budget: int) -> Floats:
        """Lowest choice on the way down that loses at most ``budget`` rows, (pool,)."""
        done = int(np.searchsorted(self.lost, budget, side="right"))
        level = self.top.copy()
        level[self.column[:done]] = self.value[:done]  # of several steps of one pool the last counts
        return level


def _steps_down(pools: Floats, kept: Bools, top: Floats) -> tuple[Bools, Floats]:
    """Which kept rows hold each pool at its top, and what each of them holds up on the way to the next level."""
    open_rows = np.where(kept, pools, -np.inf)
    holding = open_rows == top[:, None]
    below = np.where(holding, -np.inf, open_rows).max(axis=1)
    gain = np.where(np.isfinite(below), top - np.where(np.isfinite(below), below, 0.0), 0.0)
    return holding, gain / np.maximum(holding.sum(axis=1), 1)


@dataclass(frozen=True)
class GivingUp:
    """The cheaper of both rules, for any number of lost rows up to ``most``.

    Examples
    --------
    >>> rows = np.array([[4.0, 1.0], [4.0, 1.0], [9.0, 1.0], [2.0, 7.0]])
    >>> found = GivingUp.of(rows, 2)
    >>> found.levels(0), found.levels(1), found.levels(2)
    (array([9., 7.]), array([9., 1.]), array([4., 1.]))
    """

    rules: tuple[CommonQuantile, Descent] | None
    columns: int

    @classmethod
    def of(cls, rows: Floats, most: int) -> "GivingUp":
        """Sort ``rows`` (row, pool) once."""
        if not rows.size:
            return cls(None, rows.shape[1])
        return cls((CommonQuantile.of(rows, most), Descent.of(rows, most)), rows.shape[1])

    def levels(self, budget: int) -> Floats:
        """Cost level of each pool that loses at most ``budget`` rows, (pool,)."""
        if self.rules is None:
            return np.zeros(self.columns)
        common, descent = (rule.levels(budget) for rule in self.rules)
        return common if common.sum() < descent.sum() else descent
