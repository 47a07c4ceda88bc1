"""Which futures to give up: nested choices of cost levels, the lower the more rows may be lost, on plain arrays.

A row is a future, a column a pool of instances, a value what covering that row costs in that pool. Everything is
sorted once; a choice for any number of lost rows is then looked up. As each rule only ever goes down when more may be
lost, so does the cheaper of both: more risk never costs more.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

POWERS = (0.0, 0.5, 1.0)  # γ of `Quantiles`
_MANY_POOLS = 1_000  # above, single futures hold up a few pools each: giving them up one by one saves little there
_CELLS = 100_000_000  # of the matrix, looked at over all futures given up one by one: half a second
_GIVEN_UP = 4  # at most every so-manieth row is given up for its own sake; beyond, quantiles do as well
_TAIL = 0.1  # of all rows: what lies beyond is a pool's tail
_LEAST_WEIGHT = 1e-6
_ROUNDING = 1e-12
_NOISE = 1e-12  # of the cost of covering everything: less than that is rounding


@dataclass(frozen=True)
class Quantiles:
    """An order statistic of each pool: all equally deep, or the deeper the more a pool's tail costs.

    Attributes
    ----------
    ordered : ndarray (pool, depth)
        Each pool's values, falling.
    weight : ndarray (pool,)
        How deep each goes, relative to the others.
    when_lost : ndarray (row,)
        Depths, as a multiple of ``weight``, at which rows are lost, rising.

    Notes
    -----
    Were tails exponential with means b_p and pools to fail one by one, the cheapest way of sharing out a probability
    would be in proportion to b_p: hence weights b_p^γ. With γ = 1 the risk goes to the dear pools alone, which pays
    where they fail apart; with γ = 0 it is one common quantile, which chooses least and so flatters itself least.
    """

    ordered: Floats
    weight: Floats
    when_lost: Floats

    @classmethod
    def of(cls, pools: Floats, most: int, powers: tuple[float, ...]) -> "list[Quantiles]":
        """Sort ``pools`` (pool, row) as deep as ``most`` lost rows can reach; one rule a power γ."""
        p, n = pools.shape
        depth = min(most, n - 1) + 1
        order = np.argsort(-pools, axis=1, kind="stable")[:, : max(depth, int(_TAIL * n) + 1)]
        ordered = np.take_along_axis(pools, order, axis=1)
        # The tail is taken at a depth of its own, so that every budget is shared out by the same weights.
        tail = ordered[:, : int(_TAIL * n) + 1]
        excess = np.maximum(tail.mean(axis=1) - tail[:, -1], 0.0)
        relative = np.maximum(excess / max(float(excess.max(initial=0.0)), 1e-300), _LEAST_WEIGHT)
        ordered, order = ordered[:, :depth], order[:, :depth]
        # A row is lost at the first depth with a lower value than its own, in whichever pool that comes first.
        falls = np.zeros((p, depth), dtype=bool)
        falls[:, :-1] = ordered[:, 1:] < ordered[:, :-1]
        place = np.where(falls, np.arange(1.0, depth + 1.0), np.inf)
        lower = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
        rules = []
        for power in powers:
            weight = relative**power
            when = np.full(n, np.inf)
            np.minimum.at(when, order.ravel(), (lower / weight[:, None]).ravel())
            rules.append(cls(ordered, weight, np.sort(when)))
        return rules

    def levels(self, budget: int) -> Floats:
        """Lowest choice that loses at most ``budget`` rows, (pool,)."""
        deepest = self.ordered.shape[1] - 1
        stop = self.when_lost[budget] if budget < len(self.when_lost) else np.inf
        # Just before the depth at which one row too many would be lost.
        at = np.ceil(np.minimum(stop * self.weight, deepest + 1.0) * (1.0 - _ROUNDING)) - 1.0
        return np.asarray(self.ordered[np.arange(len(at)), np.clip(at, 0, deepest).astype(np.int64)])


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
    def of(cls, pools: Floats, most: int) -> "Descent":
        """Give up, one by one, the row of ``pools`` (pool, row) that holds up most cost, at most ``most`` in all."""
        n = pools.shape[1]
        rest = pools.copy()  # of rows that were not given up
        given, lost = np.zeros(0, dtype=np.int64), np.zeros(n, dtype=bool)
        start: Floats = pools.max(axis=1)
        level = start.copy()
        holding, gain = _steps_down(rest, level)
        weight = gain @ holding
        steps: list[tuple[Ints, Floats, int]] = []
        least = _NOISE * max(float(start.sum()), 1e-300)
        # Set by the size of the matrix alone: with a tighter promise the way down is the same.
        for _ in range(min(n // _GIVEN_UP, _CELLS // pools.size)):
            row = int(weight.argmax())
            if weight[row] <= least:
                break
            given = np.append(given, row)
            rest[:, row] = -np.inf
            moved = np.flatnonzero(holding[:, row])
            weight -= gain[moved] @ holding[moved]
            own = rest[moved]
            below = own.max(axis=1)
            lost[given] |= (pools[np.ix_(moved, given)] > below[:, None]).any(axis=0)
            count = int(lost.sum())
            if count > most:
                break
            fell = below < level[moved]
            steps.append((moved[fell], below[fell], count))
            level[moved] = below
            holding[moved], gain[moved] = _steps_down(own, below)
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


def _steps_down(rest: Floats, top: Floats) -> tuple[Bools, Floats]:
    """Which rows hold each pool at its top, and what each of them holds up on the way to the next level."""
    holding = rest == top[:, None]
    below = np.where(holding, -np.inf, rest).max(axis=1)
    gain = np.where(np.isfinite(below), top - np.where(np.isfinite(below), below, 0.0), 0.0)
    return holding, gain / np.maximum(holding.sum(axis=1), 1)


@dataclass(frozen=True)
class GivingUp:
    """Every rule's choices for any number of lost rows up to ``most``.

    Examples
    --------
    >>> rows = np.array([[4.0, 1.0], [4.0, 1.0], [9.0, 1.0], [2.0, 7.0]])
    >>> found = GivingUp.of(rows, 2)
    >>> found.levels(0), found.levels(1), found.levels(2)
    (array([9., 7.]), array([9., 1.]), array([4., 1.]))
    """

    pools: Floats
    most: int
    quantiles: tuple[Quantiles, ...]

    @classmethod
    def of(cls, rows: Floats, most: int) -> "GivingUp":
        """Sort ``rows`` (row, pool) once."""
        pools = np.ascontiguousarray(rows.T)
        return cls(pools, most, tuple(Quantiles.of(pools, most, POWERS)) if rows.size else ())

    @cached_property
    def descent(self) -> Descent:
        """One future after the other; the dearest rule to find."""
        return Descent.of(self.pools, self.most)

    def levels(self, budget: int, rule: int | None = None) -> Floats:
        """Cost level of each pool that loses at most ``budget`` rows, by one rule or the cheapest, (pool,)."""
        if not self.quantiles:
            return np.zeros(len(self.pools))
        if rule is None:
            every = (self.levels(budget, one) for one in range(rules_of(len(self.pools))))
            return min(every, key=lambda level: float(level.sum()))
        return self.quantiles[rule].levels(budget) if rule < len(POWERS) else self.descent.levels(budget)


def rules_of(pools: int) -> int:
    """How many rules there are for so many pools."""
    return len(POWERS) + (pools <= _MANY_POOLS)
