"""Rows of a chance-constrained covering program that others imply."""

import numpy as np

from capacity.plan.sizing import Bools, Floats, Ints

_MOST = 4_000  # rows that are compared with each other


def unimplied(sample: Ints, gain: Floats, *, budget: int) -> Bools:
    """Rows that are needed: the others hold whenever these do, whichever ``budget`` futures are given up.

    Parameters
    ----------
    sample : ndarray (row,)
        Future that each row is of.
    gain : ndarray (row, feature)
        What each feature adds to the row, which has to reach 1.
    budget : int
        Futures that may be given up.

    Notes
    -----
    A row is harder than another if no feature adds more to it. A row with a harder one in its own future is
    implied. So is one with harder rows in more than ``budget`` other futures: one of those is not given up. Both stay
    true when the harder rows are themselves left out, for those have harder ones in turn.

    Examples
    --------
    >>> unimplied(np.array([0, 1, 2]), np.array([[0.2], [0.5], [0.9]]), budget=1)
    array([ True,  True, False])
    """
    keep = _alone(sample, gain)
    at = np.flatnonzero(keep)
    if len(at) > _MOST or len(np.unique(sample[at])) <= budget + 1:
        return keep
    at = at[np.argsort(sample[at], kind="stable")]
    rows, own = gain[at], sample[at]
    # Equal rows are in the order of their futures, so that they do not leave each other out.
    harder = np.ones((len(at), len(at)), dtype=bool)
    equal = harder.copy()
    for column in rows.T:
        harder &= column[:, None] <= column[None, :]
        equal &= column[:, None] == column[None, :]
    harder &= ~equal | (own[:, None] < own[None, :])
    harder &= own[:, None] != own[None, :]
    first = np.flatnonzero(np.r_[True, own[1:] != own[:-1]])
    keep[at] = np.logical_or.reduceat(harder, first, axis=0).sum(axis=0) <= budget
    return keep


def _alone(sample: Ints, gain: Floats) -> Bools:
    """Rows that the hardest row of their own future, in which the features help least, does not imply."""
    order = np.lexsort((gain.sum(axis=1), sample))
    first = np.r_[True, sample[order][1:] != sample[order][:-1]]
    hardest = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
    keep = np.ones(len(sample), dtype=bool)
    keep[order] = first | (gain[order] < gain[hardest] - 1e-12).any(axis=1)
    return keep
