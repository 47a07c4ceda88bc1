"""Linear programs over a box, solved with HiGHS."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
