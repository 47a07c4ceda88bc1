"""What one more unit of each capacity is worth: duals of a linear program."""

import numpy as np

from capacity.plan.linear import minimise
from capacity.plan.network import Matrix
from capacity.plan.sizing import Bools, Floats


def row_prices(take: Matrix, room: Floats, *, value: Floats, core: Bools) -> Floats:
    """Value per second that a whole further capacity of each row would let in at most, (row,).

    Parameters
    ----------
    take : sparse array (entry, row)
        Share of each row that one request per second at an entry takes.
    room : ndarray (row,)
        What the served demand leaves.
    value : ndarray (entry,)
        Worth of one request. Without any worth at all, requests at core entries are counted.
    core : ndarray (flow,)
        Whether a flow is core, entries first.

    Notes
    -----
    Duals of max Σ value · x over Σ take · x ≤ room, x ≥ 0. Of several rows that bind
    alike the right sides, nudged by up to 10⁻⁹, pick one, always the same.
    """
    entries = take.shape[0]
    worth = value if value.any() else core[:entries].astype(float)
    price = np.zeros(len(room))
    biggest = np.zeros(entries)
    held = np.diff(take.indptr) > 0
    if held.any():
        biggest[held] = np.maximum.reduceat(take.data, take.indptr[:-1][held])
    at = np.flatnonzero(held & (worth > 0) & (biggest > 0))
    if len(at) == 0:
        return price
    scale = 2.0 / biggest[at]  # twice what the tightest row could ever let through, so that only rows bind
    part = take[at]
    rows = np.flatnonzero(np.bincount(part.indices, minlength=len(room)))
    matrix = Matrix(Matrix(part.T)[rows].multiply(scale[None, :]))
    gain = worth[at] * scale
    found = minimise(-gain / gain.max(), matrix, room[rows] + 1e-9 * np.arange(len(rows)) / len(rows))
    if found is not None:
        price[rows] = found.duals * gain.max()
    return price
