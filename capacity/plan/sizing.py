"""How many instances: a joint chance-constrained program over samples, on plain arrays.

Row ``i`` of every array is one future, the same in all of them; column ``p`` is one pool of
instances. Nothing here knows a catalogue, a file or a clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from capacity.plan.linear import minimise

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_MANY_POOLS = 150  # above, the common quantile alone: giving up single futures saves little there
_TIE = 1e-9  # a load of 3.0000000001 instances is three instances and rounding noise


def effective_losses(zones: ArrayLike, losses: int) -> Ints:
    """Zones that a pool can lose and still exist; 0 where it has no more zones than would be lost.

    Examples
    --------
    >>> effective_losses([1, 2, 3], 1)
    array([0, 1, 1])
    """
    z = np.asarray(zones, dtype=np.int64)
    return np.where(z > losses, losses, 0)


def survivors(instances: ArrayLike, zones: ArrayLike, losses: ArrayLike) -> Ints:
    """Instances left when the ``losses`` fullest zones of an even spread are gone.

    Examples
    --------
    >>> survivors([3, 7, 8], 3, 1)
    array([2, 4, 5])
    """
    n, z, k = (np.asarray(a, dtype=np.int64) for a in (instances, zones, losses))
    lost: Ints = k * (n // z) + np.minimum(k, n % z)
    return n - lost


def instances_for(surviving: ArrayLike, zones: ArrayLike, losses: ArrayLike) -> Ints:
    """Fewest instances of which ``surviving`` remain after the loss: the inverse of `survivors`.

    Examples
    --------
    >>> instances_for([2, 4, 5], 3, 1)
    array([3, 6, 8])
    """
    t, z, k = (np.asarray(a, dtype=np.int64) for a in (surviving, zones, losses))
    full: Ints = -(-t // (z - k))
    return t + k * full


def needed_survivors(load: Floats) -> Ints:
    """Whole instances that carry ``load`` (in instances), counting rounding noise as nothing."""
    return np.ceil(np.maximum(load - _TIE * np.maximum(load, 1.0), 0.0)).astype(np.int64)


def allowed_samples(probability: float, n_samples: int) -> int:
    """How many of ``n_samples`` futures a plan may lose so that ``probability`` also holds outside them.

    The share counted in samples is an estimate; a plan chosen on those same samples is flattered by
    them. One binomial standard error is kept in hand.

    Examples
    --------
    >>> allowed_samples(0.05, 2000), allowed_samples(0.05, 50), allowed_samples(0.0, 2000)
    (90, 0, 0)
    """
    margin = np.sqrt(probability * (1.0 - probability) / n_samples)
    return max(int(np.floor(n_samples * (probability - margin) + _TIE)), 0)


@dataclass(frozen=True)
class Sizing:
    """The answer of `size_jointly`.

    Attributes
    ----------
    surviving : ndarray (pool,)
        Whole instances each pool needs after the loss.
    instances : ndarray (pool,)
        Instances before the loss.
    cost : float
        Currency per hour of ``instances``.
    cost_bound : float
        No choice that keeps the promise in these samples is cheaper (linear relaxation).
    kept : ndarray (sample,)
        Futures that the plan covers.
    """

    surviving: Ints
    instances: Ints
    cost: float
    cost_bound: float
    kept: Bools

    @property
    def gap(self) -> float:
        """Certified distance to the cheapest choice, as a fraction of the bound."""
        return self.cost / self.cost_bound - 1.0 if self.cost_bound > 0 else 0.0


def size_jointly(
    load: Floats,
    cost: ArrayLike,
    *,
    zones: ArrayLike,
    losses: ArrayLike,
    floor: ArrayLike = 0,
    quota: ArrayLike | None = None,
    allowed: int = 0,
    lost_anyway: Bools | None = None,
    bound: bool = True,
) -> Sizing:
    """Cheapest whole instances such that at most ``allowed`` futures see any pool overloaded.

    Parameters
    ----------
    load : ndarray (sample, pool)
        Instances each future needs after the loss, not rounded; finite.
    cost : array (pool,)
        Currency per instance-hour.
    zones, losses : array (pool,)
        Zones the instances are spread over, and how many of them are gone.
    floor : array (pool,)
        Instances that are there anyway; never fewer.
    quota : array (pool,), optional
        Most instances that may run; futures which need more are lost whatever is done.
    allowed : int
        Futures that may be lost, jointly over all pools.
    lost_anyway : ndarray (sample,), optional
        Futures lost to something that no instance mends. They count against ``allowed``. Where they
        use it up, the pools add nothing to them, and still hold ``allowed`` on their own, so that a
        tighter promise never comes cheaper.
    bound : bool
        Whether to solve the linear relaxation that certifies the gap.

    Returns
    -------
    Sizing

    Notes
    -----
    With finite samples the program is: choose levels t_p minimising Σ c_p(t_p) such that
    #{i : ∃p load_ip > t_p} ≤ m. Two nested heuristics give candidates and the cheaper is taken: one
    common quantile for all pools, and giving up, one by one, the future that holds up most cost.
    Both only fall when m grows, so more risk never costs more. The relaxation is the extended
    formulation of the mixing set, solved with HiGHS; on lognormal joint demands the gap found is
    about one percent.

    References
    ----------
    Luedtke, Ahmed, Nemhauser: An integer programming approach for linear programs with probabilistic
    constraints. Mathematical Programming 122 (2010).

    Examples
    --------
    >>> loads = np.array([[4.0, 1.0], [4.0, 1.0], [9.0, 1.0]])
    >>> size_jointly(loads, [1.0, 1.0], zones=[3, 3], losses=[1, 1], allowed=1).instances
    array([6, 2])
    """
    n, p = load.shape
    prices = np.broadcast_to(np.asarray(cost, dtype=float), (p,))
    zones, losses, floor = (np.broadcast_to(np.asarray(a, dtype=np.int64), (p,)) for a in (zones, losses, floor))
    roof = np.full(p, np.iinfo(np.int64).max) if quota is None else np.maximum(np.asarray(quota, np.int64), floor)
    lost = np.zeros(n, dtype=bool) if lost_anyway is None else lost_anyway.copy()
    levels = np.maximum(needed_survivors(load), survivors(floor, zones, losses))
    most = survivors(np.minimum(roof, 10**15), zones, losses)
    lost |= (levels > most).any(axis=1)
    levels = np.minimum(levels, most)
    # A free instance still has to be chosen, and few are better than many: hence the tiny price.
    price = np.maximum(prices, _TIE)
    covering = price * np.maximum(instances_for(levels, zones, losses), floor)
    spare = allowed - int(lost.sum())
    chosen = _cheapest(covering, start=~lost, budget=max(spare, 0))
    if spare < 0:
        chosen = np.maximum(chosen, _cheapest(covering, start=np.ones(n, dtype=bool), budget=allowed))
    kept = (covering <= chosen).all(axis=1) & ~lost
    surviving = np.maximum(levels[_argcover(covering, chosen), np.arange(p)], survivors(floor, zones, losses))
    instances = np.minimum(np.maximum(instances_for(surviving, zones, losses), floor), roof)
    total = float((prices * instances).sum())
    least = min(_relaxation(covering[~lost], max(spare, 0)), total) if bound and spare >= 0 else total
    return Sizing(surviving, instances, total, least, kept)


def _argcover(covering: Floats, chosen: Floats) -> Ints:
    """For each pool one future whose cost is exactly the chosen one."""
    return np.asarray(np.abs(covering - chosen).argmin(axis=0), dtype=np.int64)


def _cheapest(covering: Floats, *, start: Bools, budget: int) -> Floats:
    """Cost level per pool; the cheaper of both nested heuristics."""
    if not start.any():
        return np.asarray(covering.min(axis=0, initial=np.inf), dtype=float)
    rows = covering[start]
    by_quantile = _common_quantile(rows, budget)
    if budget <= 0 or rows.shape[1] > _MANY_POOLS:
        return by_quantile
    by_giving_up = _give_up(rows, budget)
    return by_quantile if by_quantile.sum() < by_giving_up.sum() else by_giving_up


def _common_quantile(rows: Floats, budget: int) -> Floats:
    """Highest common order statistic of all pools that loses at most ``budget`` rows."""
    deepest = min(budget, len(rows) - 1)
    ordered = -np.sort(-rows, axis=0)[: deepest + 1] if deepest else rows.max(axis=0)[None]
    low, high = 0, deepest
    while low < high:
        middle = (low + high + 1) // 2
        if int((rows > ordered[middle]).any(axis=1).sum()) <= budget:
            low = middle
        else:
            high = middle - 1
    return np.asarray(ordered[low], dtype=float)


def _give_up(rows: Floats, budget: int) -> Floats:
    """Give up, one by one, the row that holds up most cost, while no more than ``budget`` rows are lost."""
    kept = np.ones(len(rows), dtype=bool)
    lost = np.zeros(len(rows), dtype=bool)
    top: Floats = np.asarray(rows.max(axis=0), dtype=float)
    holding, gain = _steps_down(rows, kept, top)
    while kept.sum() > 1:
        weight = holding @ gain
        row = int(weight.argmax())
        if weight[row] <= 0.0:
            return top
        kept[row] = False
        moved = np.flatnonzero(holding[row])
        following = top.copy()
        following[moved] = rows[np.ix_(kept, moved)].max(axis=0)
        lost |= (rows[:, moved] > following[moved]).any(axis=1)
        if int(lost.sum()) > budget:
            return top
        top = following
        holding[:, moved], gain[moved] = _steps_down(rows[:, moved], kept, top[moved])
    return top


def _steps_down(rows: Floats, kept: Bools, top: Floats) -> tuple[Bools, Floats]:
    """Which kept rows hold each pool at its top, and what each of them holds up on the way to the next level."""
    open_rows = np.where(kept[:, None], rows, -np.inf)
    holding = open_rows == top
    below = np.where(holding, -np.inf, open_rows).max(axis=0)
    gain = np.where(np.isfinite(below), top - np.where(np.isfinite(below), below, 0.0), 0.0)
    return holding, gain / np.maximum(holding.sum(axis=0), 1)


def _relaxation(rows: Floats, budget: int, *, largest: int = 30_000) -> float:
    """Lower bound of the cost by linear relaxation of the extended formulation; trivial bound when too large."""
    n, p = rows.shape
    depth = min(budget, n - 1) if n else 0
    if depth <= 0:
        return float(rows.max(axis=0).sum()) if n else 0.0
    order = np.argsort(-rows, axis=0, kind="stable")[: depth + 1]
    ordered = np.take_along_axis(rows, order, axis=0)
    if p * depth > largest:
        return float(ordered[depth].sum())
    fall = ordered[:-1] - ordered[1:]
    return float(ordered[0].sum()) + _most_saved(fall, order[:-1], n=n, budget=budget)


def _most_saved(fall: Floats, order: Ints, *, n: int, budget: int) -> float:
    """Minus the most that giving up ``budget`` rows can save, rows being divisible."""
    from scipy.sparse import coo_matrix

    depth, p = fall.shape
    y = n + np.arange(p * depth).reshape(p, depth)
    steps = np.arange(p * depth).reshape(p, depth)
    chain = p * depth + np.arange(p * (depth - 1)).reshape(p, depth - 1)
    last = p * depth + p * (depth - 1)
    parts: Sequence[tuple[Any, Any, float]] = [
        (steps.ravel(), y.ravel(), 1.0),  # a step falls only when its row is given up
        (steps.ravel(), order.T.ravel(), -1.0),
        (chain.ravel(), y[:, 1:].ravel(), 1.0),  # and only after the step above it
        (chain.ravel(), y[:, :-1].ravel(), -1.0),
        (np.full(n, last), np.arange(n), 1.0),
    ]
    i = np.concatenate([r for r, _, _ in parts])
    j = np.concatenate([c for _, c, _ in parts])
    v = np.concatenate([np.full(len(r), x) for r, _, x in parts])
    matrix = coo_matrix((v, (i, j)), shape=(last + 1, n + p * depth)).tocsr()
    right = np.zeros(last + 1)
    right[last] = budget
    objective = np.concatenate([np.zeros(n), -fall.T.ravel()])
    found = minimise(objective, matrix, right)
    return found.value if found is not None else float(-fall.sum())


def honest_share(
    load: Floats,
    chosen: Sizing,
    cost: ArrayLike,
    *,
    zones: ArrayLike,
    losses: ArrayLike,
    floor: ArrayLike = 0,
    quota: ArrayLike | None = None,
    allowed: int = 0,
    lost_anyway: Bools | None = None,
) -> float:
    """Probability that some pool is overloaded, without the flattery of the samples it was chosen on.

    The sizing is repeated on each half of the futures and judged on the other; the mean difference
    between both counts is the optimism that is added to the count of ``chosen``. It is never
    subtracted.
    """
    n = len(load)
    counted = float((~chosen.kept).mean())
    halves = [np.arange(n) % 2 == 0, np.arange(n) % 2 == 1]
    if n < 20:
        return counted
    flattery = []
    anyway = np.zeros(n, dtype=bool) if lost_anyway is None else lost_anyway
    for own, other in (halves, halves[::-1]):
        part = size_jointly(
            load[own], cost, zones=zones, losses=losses, floor=floor, quota=quota,
            allowed=allowed // 2, lost_anyway=anyway[own], bound=False,
        )  # fmt: skip
        outside = (needed_survivors(load[other]) > part.surviving).any(axis=1) | anyway[other]
        flattery.append(float(outside.mean()) - float((~part.kept).mean()))
    # Halves overfit more than the whole: measured on lognormal companies of 12 to 60 pools, the whole's optimism is
    # 0.6 to 0.9 of theirs. What is too much stays in hand for the choice among several sizings.
    return min(counted + max(float(np.mean(flattery)), 0.0), 1.0)


@dataclass(frozen=True)
class Promise:
    """A sizing and the honest probability that it fails."""

    sizing: Sizing
    overload_probability: float


def keep_promise(
    load: Floats,
    cost: ArrayLike,
    *,
    probability: float,
    zones: ArrayLike,
    losses: ArrayLike,
    floor: ArrayLike = 0,
    quota: ArrayLike | None = None,
    lost_anyway: Bools | None = None,
) -> Promise:
    """`size_jointly` for a probability that also holds outside the samples.

    The largest number of futures on a fixed ladder is given up whose `honest_share` stays within
    ``probability``; a ladder, so that a larger probability never costs more.
    """
    n, p = load.shape
    most = allowed_samples(probability, n)
    least = 0 if lost_anyway is None else int(lost_anyway.sum())
    for allowed in _ladder(most, coarse=p):
        sizing = size_jointly(
            load, cost, zones=zones, losses=losses, floor=floor, quota=quota,
            allowed=allowed, lost_anyway=lost_anyway, bound=p <= _MANY_POOLS,
        )  # fmt: skip
        share = honest_share(
            load, sizing, cost, zones=zones, losses=losses, floor=floor, quota=quota,
            allowed=allowed, lost_anyway=lost_anyway,
        )  # fmt: skip
        if share <= probability or allowed <= least:
            break
    return Promise(sizing, share)


def _ladder(most: int, *, coarse: int) -> list[int]:
    """List fixed numbers of futures, falling from ``most``; wider apart where a try is dear."""
    ratio = 1.05 if coarse <= 64 else 1.15 if coarse <= 1500 else 1.5
    steps, value = [0], 1.0
    while value <= most:
        steps.append(int(value))
        value = max(value * ratio, value + 1.0)
    return sorted(set(steps), reverse=True)
