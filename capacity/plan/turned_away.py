"""What the limits turn away: by service in the worst second, and in transactions over the promotion."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from capacity.plan.network import Matrix, Network, injection, reach
from capacity.plan.sizing import Floats, Ints

if TYPE_CHECKING:
    from capacity.peaks import Peaks

_CELLS = 2_000_000  # of (step, service) looked at together: memory stays small whatever the promotion's length
_BLOCKS = (64, 8, 1)  # steps
_LEAST_LIMIT_QPS = 1e-9

SUBSET = 64  # futures in which the seconds of the promotion are looked at one by one


def external_qps(network: Network, load: Floats) -> Floats:
    """Rate that does not come from a known caller; load and answer are (…, s)."""
    flat = load.reshape(-1, load.shape[-1])
    inner = np.asarray(flat @ network.matrix())
    return np.asarray(np.maximum(flat - inner, 0.0), dtype=float).reshape(load.shape)


def admitted_share(load: Floats, limit: Floats, entry_rows: Matrix) -> Floats:
    """Share of each entry's requests that no limit on their way turns away.

    Parameters
    ----------
    load : ndarray (sample, s)
        Offered requests per second.
    limit : ndarray (s,)
        Cluster limits, infinite where there is none.
    entry_rows : sparse array (entry, s)
        Requests caused at every service by one at the entry through calls it cannot do without.

    Returns
    -------
    ndarray (sample, entry)
    """
    out = np.ones((len(load), entry_rows.shape[0]))
    tight = np.flatnonzero((load > limit).any(axis=0))
    if len(tight) == 0:
        return out
    # Services on the way of the same entries are one to them: the tightest of each such group is looked for first.
    on_way = entry_rows[:, tight].toarray() != 0
    groups, group = np.unique(on_way.T, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    tight = tight[order]
    through = np.ascontiguousarray(load[:, tight].T)
    with np.errstate(divide="ignore", invalid="ignore"):
        passes = np.where(through > limit[tight, None], limit[tight, None] / through, 1.0)
    tightest = np.minimum.reduceat(passes, np.searchsorted(group.ravel()[order], np.arange(len(groups))), axis=0)
    for entry in range(groups.shape[1]):
        out[:, entry] = tightest[groups[:, entry]].min(axis=0, initial=1.0)
    return out


def rejected_fraction(network: Network, load: Floats, limit: Floats, entries: Ints) -> Floats:
    """Share of each service's worst-second requests that do not come or are turned away, (sample, s)."""
    tight = (load > limit).any(axis=0)
    if not tight.any() or len(entries) == 0:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(load > limit, 1.0 - limit / load, 0.0)
    start = injection(entries, network.size)
    share = admitted_share(load, limit, reach(start, network.matrix(only=network.binding)))
    outside = external_qps(network, load)[:, entries]
    every = reach(start, network.matrix())
    offered = np.asarray(outside @ every)
    admitted = np.asarray((outside * share) @ every)
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = np.where(offered > 0, 1.0 - admitted / offered, 0.0)
        own = np.where(load > limit, 1.0 - limit / load, 0.0)
    return np.clip(np.maximum(cut, own), 0.0, 1.0)


def spread_samples(order_by: Floats, count: int = SUBSET) -> Ints:
    """Futures at even ranks of ``order_by``: few that stand for all.

    Examples
    --------
    >>> spread_samples(np.array([5.0, 1.0, 3.0, 2.0]), 2)
    array([3, 0])
    """
    rank = np.argsort(order_by, kind="stable")
    take = np.minimum(count, len(rank))
    return np.asarray(rank[((np.arange(take) + 0.5) / take * len(rank)).astype(np.int64)], dtype=np.int64)


def transactions_turned_away(
    network: Network,
    peaks: "Peaks",
    limit: Floats,
    *,
    transaction: Ints,
    per_order: Floats,
    spans: list[tuple[float, float, float]],
) -> Floats:
    """Transactions that the limits turn away, in each of the spread futures.

    Parameters
    ----------
    network : Network
    peaks : Peaks
        Gives the arrivals of single futures.
    limit : ndarray (s,)
        Cluster limits.
    transaction : ndarray
        Positions of the services that count transactions.
    per_order : ndarray
        Requests to each of them that make one order.
    spans : list of (start_s, duration_s, step_s)
        Seconds after the promotion's start to look at.
    """
    position = {name: i for i, name in enumerate(peaks.services)}
    at = [position[name] for name in peaks.entries]
    chosen = spread_samples(np.asarray(peaks.peak_tps, dtype=float))
    start = injection(at, network.size)
    every = reach(start, network.matrix())
    needs = reach(start, network.matrix(only=network.binding))
    worth = np.asarray(every[:, transaction] @ (1.0 / per_order)).ravel()
    lost = np.zeros(len(chosen))
    bounded = np.flatnonzero(np.isfinite(limit))
    per_limit = every[:, bounded].toarray() / np.maximum(limit[bounded], _LEAST_LIMIT_QPS)
    for start_s, duration_s, step_s in spans:
        rates = np.asarray(
            peaks.entry_rates(chosen, start_s=start_s, duration_s=duration_s, step_s=step_s), dtype=float
        )
        sample, step, reached = _where_a_limit_is_reached(rates, per_limit)
        cut = np.zeros(len(sample))
        use, tight = per_limit[:, reached], bounded[reached]
        for part in _parts(len(sample), len(tight)):
            flat = rates[sample[part], :, step[part]]
            share = admitted_share(flat @ use, np.ones(len(tight)), needs[:, tight])
            cut[part] = (flat * (1.0 - share)) @ worth
        lost += np.bincount(sample, cut, minlength=len(chosen)) * step_s
    return lost


def _where_a_limit_is_reached(rates: Floats, per_limit: Floats) -> tuple[Ints, Ints, Ints]:
    """Futures and steps, and columns of ``per_limit``, at which a load of more than 1 is possible.

    A block of steps whose largest rates together stay within every limit holds no such step; what is left is looked at
    in smaller blocks. ``rates`` is (sample, entry, step), ``per_limit`` (entry, limit).
    """
    steps = rates.shape[2]
    whole = np.zeros((*rates.shape[:2], -(-steps // _BLOCKS[0]) * _BLOCKS[0]))
    whole[:, :, :steps] = rates
    sample, first = (a.ravel() for a in np.mgrid[0 : len(rates), 0 : whole.shape[2] // _BLOCKS[0]])
    columns = np.arange(per_limit.shape[1])
    for i, width in enumerate(_BLOCKS):
        most = whole.reshape(*rates.shape[:2], -1, width).max(axis=3)
        over, reached = np.zeros(len(sample), dtype=bool), np.zeros(len(columns), dtype=bool)
        for part in _parts(len(sample), len(columns)):
            beyond = most[sample[part], :, first[part]] @ per_limit[:, columns] > 1.0
            over[part], reached = beyond.any(axis=1), reached | beyond.any(axis=0)
        sample, first, columns = sample[over], first[over], columns[reached]
        if i + 1 < len(_BLOCKS):
            ratio = width // _BLOCKS[i + 1]
            sample = np.repeat(sample, ratio)
            first = (first[:, None] * ratio + np.arange(ratio)).ravel()
    return sample, first, columns


def _parts(rows: int, columns: int) -> Iterator[slice]:
    """Cut so many rows into parts of at most `_CELLS` cells."""
    size = max(_CELLS // max(columns, 1), 1)
    return (slice(at, at + size) for at in range(0, rows, size))
