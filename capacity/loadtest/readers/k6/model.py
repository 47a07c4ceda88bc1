"""Whether k6's executors kept a number of users or a rate of arrivals: not written, so told from the samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.readers.k6.run import K6Run
from capacity.loadtest.requests import Seconds
from capacity.loadtest.segments import plateaus
from capacity.loadtest.steady import Model
from capacity.loadtest.users import model_of as users_model_of

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

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
    when, count = run.users.by_second()
    at, _ = dropped_by_second(run)
    if len(at) > 1:
        return Told("open", "iterations were dropped, which only an arrival-rate executor does")
    if users_model_of(count) == "open":
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


def dropped_by_second(run: K6Run) -> tuple[Array, Array]:
    """Seconds in which iterations did not begin for want of a user, and how many, (D,) each."""
    at, count = (np.concatenate([part[k] for part in run.dropped] or [np.zeros(0)]) for k in (0, 1))
    second, group = np.unique(np.floor(at), return_inverse=True)
    total = np.bincount(group, weights=count, minlength=len(second)).astype(np.float64)
    return second[total > 0], total[total > 0]


def _evenness(run: K6Run) -> float:
    value, weight = np.array(run.evenness).T
    return float(np.average(value, weights=weight))


def _in_service(seconds: Seconds, when: Ints, count: Array) -> float:
    """Compare requests under way with users, in the usual second."""
    here, there = np.isin(seconds.second, when), np.isin(when, seconds.second)
    under_way, users = seconds.in_flight[here], count[there]
    busy = (under_way > 0) & (users > 0)
    return float(np.median(under_way[busy] / users[busy])) if busy.any() else 0.0


def _rate_changes_alone(seconds: Seconds, count: Array) -> bool:
    if np.ptp(count) > 0.02 * np.max(count):
        return False
    levels = [s.level for s in plateaus(seconds.second, seconds.starts, counts=True, shortest_s=10)]
    return len(levels) > 1 and max(levels) > _ANOTHER_RATE * min(levels)
