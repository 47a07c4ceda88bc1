"""Sharing scarce capacity among flows: most value first, then evenly; and what is left, to all alike."""

import numpy as np
from scipy import sparse

from capacity.plan.linear import minimise
from capacity.plan.network import Matrix, Network, downwards_least, through
from capacity.plan.rows import Rows
from capacity.plan.sizing import Bools, Floats, Ints

_FINE, _COARSE, _FEW = 16, 5, 250  # pieces of a flow's utility, by how many flows share
_FULL = 1e-9
_ROUNDS = 200


def share(take: Matrix, room: Floats, *, wish: Floats, value: Floats) -> tuple[Floats, Floats]:
    """Admit flows within ``room``: the most value, and among equals even shares of what each wishes for.

    Parameters
    ----------
    take : sparse array (flow, row)
        Share of each row that one request per second of a flow takes.
    room : ndarray (row,)
    wish, value : ndarray (flow,)
        Most that each flow may get, above 0; worth of one of its requests.

    Returns
    -------
    flow : ndarray (flow,)
    price : ndarray (row,)
        Value per second that a whole further capacity of each row would let in at most; 0 without any value.

    Notes
    -----
    Where nothing has a value, max-min filling of the shares x / wish. Else two linear programs. The first maximises
    Σ value · x; its optimum never falls when a row has more room. The second keeps that optimum and maximises
    Σ u(x / wish), where each further piece of a wish counts half of the one before: close to max-min, for a flow gives
    up a piece only where that buys another one two of a later.
    """
    if not value.any():
        return _within(take, room, fill(take, room, weight=wish, most=wish)[0]), np.zeros(len(room))
    rows = np.flatnonzero(np.bincount(take.indices, minlength=len(room)))
    used = Matrix(Matrix(take.T)[rows] @ sparse.diags_array(wish))
    top = float((value * wish).max())
    worth, price = value * wish / top, np.zeros(len(room))
    best = minimise(-worth, used, room[rows])
    if best is None:
        return np.zeros(len(wish)), price
    price[rows] = best.duals * top
    n, pieces = len(wish), _FINE if len(wish) <= _FEW else _COARSE
    spread = sparse.kron(sparse.eye_array(n), np.full((1, pieces), 1.0 / pieces))
    matrix = sparse.vstack([used, sparse.csr_array(-worth[None, :])]) @ spread
    right = np.append(room[rows], best.value + 1e-9 * abs(best.value))
    even = minimise(-np.tile(0.5 ** np.arange(pieces), n), Matrix(matrix), right)
    part = best.x if even is None else even.x.reshape(n, pieces).mean(axis=1)
    return _within(take, room, part * wish), price


def _within(take: Matrix, room: Floats, flow: Floats) -> Floats:
    """Take solver noise off, so that no row holds more than its room."""
    full = Matrix(take[:, np.flatnonzero(room <= 0)])
    flow = np.where(np.diff(full.indptr) > 0, 0.0, flow)
    used = np.asarray(take.T @ flow).ravel()
    over = np.divide(used, room, out=np.ones_like(used), where=room > 0)
    return np.asarray(flow / max(float(over.max(initial=1.0)), 1.0), dtype=float)


def fill(take: Matrix, spare: Floats, *, weight: Floats, most: Floats) -> tuple[Floats, Ints]:
    """Fill flows in proportion to their weights until a row of each is full; take is (flow, row).

    Returns the flows, infinite where nothing ever stops them, and the row that stopped each (−1: none).
    """
    n = len(weight)
    down = Matrix(take.T)
    flow, stopped = np.zeros(n), np.full(n, -1)
    most = np.maximum(np.where(np.isnan(most), np.inf, most), 0.0)
    active = most > 0
    endless = active & (np.diff(take.indptr) == 0)
    flow[endless] = most[endless]
    active &= ~endless
    left = spare.astype(float).copy()
    full = left <= _FULL
    while True:
        hit = Matrix(take[:, np.flatnonzero(full)]) if full.any() else None
        if hit is not None:
            first = np.where(np.diff(hit.indptr) > 0, hit.indptr[:-1], -1)
            now = active & (first >= 0)
            stopped[now] = np.flatnonzero(full)[hit.indices[first[now]]]
            active &= ~now
        if not active.any():
            return flow, stopped
        grow = np.where(active, weight, 0.0)
        use = np.asarray(down @ grow).ravel()
        with np.errstate(divide="ignore", invalid="ignore"):
            until_row = np.where(use > 0, left / use, np.inf)
            until_top = np.where(active, (most - flow) / weight, np.inf)
        step = min(float(until_row.min(initial=np.inf)), float(until_top.min(initial=np.inf)))
        if not np.isfinite(step):
            flow[active] = np.inf
            return flow, stopped
        flow += grow * step
        left = np.maximum(left - use * step, 0.0)
        full = (until_row <= step * (1 + 1e-12)) | (left <= _FULL)
        left[full] = 0.0
        active &= ~(until_top <= step * (1 + 1e-12))


def raise_inside(network: Network, rows: Rows, rates: Floats, *, binding: Matrix) -> tuple[Floats, Ints]:
    """Raise the rates of all services by what nobody else can use, in proportion to what they have.

    Parameters
    ----------
    network : Network
    rows : Rows
    rates : ndarray (s,)
        Rates that fit; infinite where nothing bounds them.
    binding : sparse array (s, s)
        Calls, attempts included, that a caller cannot do without.

    Returns
    -------
    (ndarray, ndarray)
        What each service may take more (s,), and the row that stopped it, −1 where none did.

    Notes
    -----
    Water-filling in rounds: in each, every service grows by the smallest fair share that any row on its way
    leaves, which fills all locally tightest rows at once. A round costs a few passes along the edges, so
    that graphs of any size are raised.
    """
    finite = np.where(np.isfinite(rates), rates, 0.0)
    weight = np.maximum(finite, 1e-3 * max(float(finite.max(initial=0.0)), 1.0))
    active, stopped = np.ones(network.size, dtype=bool), np.full(network.size, -1)
    more, spare = np.zeros(network.size), rows.room(rates)
    active = _stop(network, rows, spare <= _FULL, active, stopped)
    for _ in range(_ROUNDS):
        need = np.asarray(rows.use @ through(np.where(active, weight, 0.0), binding)).ravel()
        ratio = np.divide(spare, need, out=np.full(len(spare), np.inf), where=need > 0)
        step = downwards_least(network, rows.tightest(ratio))
        endless = active & np.isinf(step)
        more[endless], active[endless] = np.inf, False
        if not active.any():
            break
        added = through(np.where(active, weight * np.where(active, step, 0.0), 0.0), binding)
        more += added
        spare = np.maximum(spare - np.asarray(rows.use @ added).ravel(), 0.0)
        active = _stop(network, rows, spare <= _FULL, active, stopped)
    return more, stopped


def _stop(network: Network, rows: Rows, full: Bools, active: Bools, stopped: Ints) -> Bools:
    """Freeze what has a full row on its way, and note which."""
    if not full.any():
        return active
    label = downwards_least(network, rows.tightest(np.where(full, np.arange(len(full)), np.inf)))
    now = active & np.isfinite(label)
    stopped[now] = label[now].astype(np.int64)
    return active & ~now
