"""Linear programs over a box, solved with HiGHS."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_INFEASIBLE = 2  # scipy's status


@dataclass(frozen=True)
class Optimum:
    """Solution of a linear program.

    Attributes
    ----------
    value : float
        Objective.
    x : ndarray
        Variables.
    duals : ndarray
        What one more unit of each row's right-hand side is worth; not negative.
    """

    value: float
    x: Floats
    duals: Floats


def minimise(objective: Floats, matrix: Any, right: Floats) -> Optimum | None:
    """Minimise ``objective · x`` over ``matrix · x ≤ right``, 0 ≤ x ≤ 1; None when the solver gives up.

    Examples
    --------
    >>> minimise(np.array([-1.0, -2.0]), np.array([[1.0, 1.0]]), np.array([1.5])).x
    array([0.5, 1. ])
    """
    from scipy.optimize import linprog

    answer: Any = linprog(objective, A_ub=matrix, b_ub=right, bounds=(0.0, 1.0), method="highs")
    if not answer.success:
        return None
    return Optimum(float(answer.fun), np.clip(answer.x, 0.0, 1.0), np.abs(answer.ineqlin.marginals))


@dataclass(frozen=True)
class Choice:
    """Answer of a program over zeros and ones.

    Attributes
    ----------
    x : ndarray or None
        None where nothing was found.
    bound : float
        No choice comes below it; infinite where there is none.
    proven : bool
        Whether the search was finished.
    """

    x: Floats | None
    bound: float
    proven: bool


def choose(price: Floats, matrix: Any, least: Floats, others: int, *, nodes: int, relax: bool = False) -> "Choice":
    """Choose y ∈ {0, 1} with least ``price · y`` such that ``matrix · (y, z) ≥ least`` for some z ∈ {0, 1}.

    Parameters
    ----------
    price : ndarray (y,)
    matrix : sparse array (row, y + z)
    least : ndarray (row,)
    others : int
        Number of the z.
    nodes : int
        Of the search, after which the best so far is taken: the same everywhere, unlike a time.
    relax : bool
        Whether the z may be fractions, which gives a weaker bound sooner.

    Returns
    -------
    Choice

    Examples
    --------
    >>> choose(np.array([3.0, 1.0]), np.array([[1.0, 0.5]]), np.array([0.9]), 0, nodes=10)
    Choice(x=array([1., 0.]), bound=3.0, proven=True)
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    answer: Any = milp(
        np.concatenate([price, np.zeros(others)]),
        constraints=LinearConstraint(matrix, least, np.inf),
        integrality=np.repeat([1, 0 if relax else 1], [len(price), others]),
        bounds=Bounds(0.0, 1.0),
        options={"node_limit": nodes, "mip_rel_gap": 1e-7},
    )
    if answer.status == _INFEASIBLE:
        return Choice(None, np.inf, True)
    bound = 0.0 if answer.mip_dual_bound is None else float(answer.mip_dual_bound)
    return Choice(None if answer.x is None else np.round(answer.x[: len(price)]), bound, answer.status == 0)
