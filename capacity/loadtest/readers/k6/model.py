"""Whether k6's executors kept a number of users or a rate of arrivals: not written, so told from the samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.readers.k6.run import K6Run
from capacity.loadtest.requests import Seconds
from capacity.loadtest.segments import plateaus
from capacity.loadtest.steady import Model

Array = NDArray[np.float64]

_LEAST_CHANGES = 8
_REVERSALS = 0.25
_ALL_IN_SERVICE = 0.9
# Gaps between starts of independent users differ by their own size, gaps of a clock by its jitter.
_BY_THE_CLOCK = 0.3
_ANOTHER_RATE = 1.2


class Told(NamedTuple):
    """The model, and what told it."""

    model: Model | None
    because: str


def model_of(run: K6Run, seconds: Seconds) -> Told:
    """Tell open from closed.

    Iterations that never began and users whose number goes up and down by itself are of an arrival rate; users that
    are all in service wait for answers; starts by the clock are of a rate; so are rates that change while users do not.
    """
    when, count = users_by_second(run)
    at, _ = dropped_by_second(run)
    if len(at) > 1:
        return Told("open", "iterations were dropped, which only an arrival-rate executor does")
    if _goes_up_and_down(count):
        return Told("open", "the number of users goes up and down by itself, as under an arrival-rate executor")
    if len(when) and _in_service(seconds, when, count) >= _ALL_IN_SERVICE:
        return Told("closed", "all users are in service")
    if run.evenness and _evenness(run) < _BY_THE_CLOCK:
        return Told("open", "iterations begin by the clock, as under an arrival-rate executor")
    if len(when) and _rate_changes_alone(seconds, count):
        return Told("open", "the rate changes while the number of users does not")
    if len(when):
        return Told("closed", "users are more than requests under way: they think, or wait for an arrival rate")
    return Told(None, "")


def users_by_second(run: K6Run) -> tuple[Array, Array]:
    """Seconds in which k6 wrote its number of users, and that number, (U,) each; of several generators the sum."""
    parts = [_by_second([part for part in run.users if part[0] == source], mean=True) for source in _sources(run)]
    return _by_second([(0, when, count) for when, count in parts], mean=False)


def dropped_by_second(run: K6Run) -> tuple[Array, Array]:
    """Seconds in which iterations did not begin for want of a user, and how many, (D,) each."""
    when, count = _by_second(run.dropped, mean=False)
    return when[count > 0], count[count > 0]


def _sources(run: K6Run) -> list[int]:
    return sorted({source for source, _, _ in run.users})


def _by_second(parts: list[tuple[int, Array, Array]], *, mean: bool) -> tuple[Array, Array]:
    if not parts:
        return np.zeros(0), np.zeros(0)
    second, group = np.unique(np.floor(np.concatenate([at for _, at, _ in parts])), return_inverse=True)
    total = np.bincount(group, weights=np.concatenate([value for _, _, value in parts]), minlength=len(second))
    return second, np.asarray(total / np.bincount(group, minlength=len(second)) if mean else total, dtype=np.float64)


def _evenness(run: K6Run) -> float:
    value, weight = np.array(run.evenness).T
    return float(np.average(value, weights=weight))


def _goes_up_and_down(count: Array) -> bool:
    change = np.diff(count)
    change = change[change != 0]
    if len(change) < _LEAST_CHANGES:
        return False
    return bool(np.mean(change[1:] * change[:-1] < 0) > _REVERSALS)


def _in_service(seconds: Seconds, when: Array, count: Array) -> float:
    """Compare requests under way with users, in the usual second."""
    here = np.isin(seconds.second, when.astype(np.int64))
    there = np.isin(when.astype(np.int64), seconds.second)
    under_way, users = seconds.in_flight[here], count[there]
    busy = (under_way > 0) & (users > 0)
    return float(np.median(under_way[busy] / users[busy])) if busy.any() else 0.0


def _rate_changes_alone(seconds: Seconds, count: Array) -> bool:
    if np.ptp(count) > 0.02 * np.max(count):
        return False
    levels = [s.level for s in plateaus(seconds.second, seconds.starts, counts=True, shortest_s=10)]
    return len(levels) > 1 and max(levels) > _ANOTHER_RATE * min(levels)
