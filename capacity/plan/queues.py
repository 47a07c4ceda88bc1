"""How much of an asynchronous callee's peak has to be carried at once, given what may wait."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capacity.plan.backlog import largest_and_drain, rate_for_delay
from capacity.plan.network import Network, injection, reach
from capacity.plan.sizing import Bools, Floats
from capacity.plan.turned_away import spread_samples

if TYPE_CHECKING:
    from capacity.peaks import Peaks

STEP_S = 30.0
SAFE_QUANTILE = 0.95
_TOGETHER = 16  # callees
_LEAST_DELAY_S = 2 * STEP_S


@dataclass(frozen=True)
class Queue:
    """One callee behind a queue.

    Attributes
    ----------
    position : int
    max_delay_s : float
    smoothing : float
        Share of its worst second that has to be carried at once.
    backlog : float
        Requests waiting at most, and in how many seconds they are gone, at that rate and in the 95 % future.
    drain_s : float
    """

    position: int
    max_delay_s: float
    smoothing: float
    backlog: float
    drain_s: float


def read_queues(network: Network, peaks: "Peaks", peak_qps: Floats, *, max_delay_s: Floats) -> tuple[Queue, ...]:
    """Size every callee that gets work through a queue which may wait.

    Parameters
    ----------
    network : Network
    peaks : Peaks
        Gives arrivals over time.
    peak_qps : ndarray (sample, s)
        Worst second over all phases.
    max_delay_s : ndarray (edge,)
        How long a queued call may wait; 0 is at once.
    """
    waits = network.queued & (max_delay_s >= _LEAST_DELAY_S) & (network.calls > 0)
    callees = np.unique(network.callee[waits])
    if len(callees) == 0 or not peaks.entries:
        return ()
    chosen = spread_samples(np.asarray(peaks.peak_tps, dtype=float), 32)
    arrive, through_queue, in_all = _rates(network, peaks, chosen, waits, callees)
    out = []
    for column, (arrivals, most) in enumerate(_each(arrive, through_queue, in_all)):
        s = int(callees[column])
        delay = float(max_delay_s[waits & (network.callee == s)].min())
        queued_most = arrivals.max(axis=1)
        rate = rate_for_delay(arrivals, delay, step_s=STEP_S)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(most > 0, queued_most / most, 1.0)
            eased = np.where(queued_most > 0, rate / queued_most, 1.0)
        share = np.clip((1.0 - part) + part * eased, 0.0, 1.0)
        typical = float(np.quantile(share, SAFE_QUANTILE)) if peak_qps[:, s].max() > 0 else 1.0
        largest, drain = largest_and_drain(arrivals, rate, step_s=STEP_S)
        late = float(np.quantile(largest, SAFE_QUANTILE)), float(np.quantile(drain, SAFE_QUANTILE))
        out.append(Queue(s, delay, typical, *late))
    return tuple(out)


def _each(arrive: Floats, through_queue: Floats, in_all: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Give what comes through queues (sample, step), in requests/s, and the most in all (sample,), callee by callee.

    ``arrive`` is (entry, sample, step), the others (entry, callee): a few callees are multiplied out together.
    """
    flat = arrive.reshape(len(arrive), -1)
    for first in range(0, in_all.shape[1], _TOGETHER):
        some = slice(first, first + _TOGETHER)
        queued = (through_queue[:, some].T @ flat).reshape(-1, *arrive.shape[1:])
        most = (in_all[:, some].T @ flat).reshape(-1, *arrive.shape[1:]).max(axis=2)
        yield from zip(queued, most, strict=True)


def _rates(
    network: Network,
    peaks: "Peaks",
    chosen: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    waits: Bools,
    callees: "np.ndarray[tuple[int], np.dtype[np.int64]]",
) -> tuple[Floats, Floats, Floats]:
    """Rates at the entries (entry, sample, step); calls to each callee per request at them: through queues, in all."""
    phases = peaks.promotion.phases
    start = peaks.promotion.starts_at
    first = (phases[0].starts_at - start).total_seconds()
    last = (phases[-1].ends_at - start).total_seconds()
    rates = np.asarray(peaks.entry_rates(chosen, start_s=first, duration_s=last - first, step_s=STEP_S), dtype=float)
    position = {name: i for i, name in enumerate(peaks.services)}
    every = reach(injection([position[e] for e in peaks.entries], network.size), network.matrix())
    through = network.matrix(only=waits)
    return (
        np.ascontiguousarray(np.moveaxis(rates, 1, 0)),
        (every @ through)[:, callees].toarray(),
        every[:, callees].toarray(),
    )
