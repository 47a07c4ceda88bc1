"""What the limits turn away: by service in the worst second, and in transactions over the promotion."""

from typing import TYPE_CHECKING

import numpy as np

from capacity.plan.network import Matrix, Network, injection, reach
from capacity.plan.sizing import Floats, Ints

if TYPE_CHECKING:
    from capacity.peaks import Peaks

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
    with np.errstate(divide="ignore", invalid="ignore"):
        passes = np.where(load[:, tight] > limit[tight], limit[tight] / load[:, tight], 1.0)
    on_way = entry_rows[:, tight].toarray() != 0
    for column in range(len(tight)):
        at = np.flatnonzero(on_way[:, column])
        out[:, at] = np.minimum(out[:, at], passes[:, column, None])
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
    for start_s, duration_s, step_s in spans:
        rates = peaks.entry_rates(chosen, start_s=start_s, duration_s=duration_s, step_s=step_s)
        # A limit that the entries' largest rates do not reach turns nothing away: only the others are looked at.
        tight = np.flatnonzero(((np.max(rates, axis=2) @ every) > limit).any(axis=0))
        if len(tight) == 0:
            continue
        flat = np.moveaxis(np.asarray(rates, dtype=float), 1, 2).reshape(-1, len(at))
        load = np.asarray(flat @ every[:, tight])
        share = admitted_share(load, limit[tight], needs[:, tight])
        lost += ((flat * (1.0 - share)) @ worth).reshape(len(chosen), -1).sum(axis=1) * step_s
    return lost
