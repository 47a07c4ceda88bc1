"""From cumulative numbers to what happened in every second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.cumulative import by_second, evenly_read, held_by_second
from capacity.loadtest.readers.locust.history import History
from capacity.loadtest.requests import Seconds

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

_WINDOW_S = 10.0


@dataclass(frozen=True)
class Differences:
    """A history by second, and when its counts were reset, (k,) seconds since 1970."""

    seconds: Seconds
    reset_s: Array


def resets(history: History) -> Bools:
    """Whether counts were reset before each row, (n,): what can only grow shrank.

    A count may have outgrown the one before within a row; the shortest latency then grew, or the longest shrank.
    """
    found = np.zeros(len(history.at_s), dtype=bool)
    answered = history.count[:-1] > 0
    less = (np.diff(history.count) < 0) | (np.diff(history.failures) < 0)
    less |= answered & (np.diff(history.most_ms) < -1e-9)
    less |= answered & (history.least_ms[:-1] > 0) & (np.diff(history.least_ms) > 1e-9)
    less |= np.diff(history.latency_s) < -1e-6 * np.abs(history.latency_s[:-1])
    found[1:] = less
    return found


def differences(history: History) -> Differences:
    """Spread what happened between two rows evenly over the seconds between them.

    Where counts were reset between them it is not known.
    """
    reset = resets(history)
    when = evenly_read(history.at_s)
    names = ("count", "failures", "latency_s")
    changes = {n: np.diff(getattr(history, n)) for n in names}
    # More failures than answers cannot be: one of the two is damaged.
    unknown = reset[1:] | (changes["failures"] > changes["count"])
    second, added = by_second(when, changes, unknown)
    users = held_by_second(when, history.users, second)
    # What was answered while users changed belongs to no step.
    ends = np.where(np.isnan(users) & np.isfinite(history.users).any(), np.nan, added["count"])
    # Latencies of those that ended in a second are, by Little's law, those under way in it.
    seconds = Seconds(
        second,
        ends,
        ends,
        ends - added["failures"],
        added["latency_s"],
        np.maximum(added["latency_s"], 0.0),
        users,
    )
    return Differences(seconds, history.at_s[reset])


class Tails:
    """Percentiles of a step out of those that the history has."""

    def __init__(self, history: History, reset_s: Array) -> None:
        self._history = history
        began = history.at_s[:1] - 1.0
        last = np.concatenate([began, reset_s]) if len(began) else reset_s
        place = np.searchsorted(last, history.at_s, side="right") - 1
        self._since_s = last[np.maximum(place, 0)] if len(last) else history.at_s
        self.cumulative = 0

    def __call__(self, begins_s: float, ends_s: float) -> dict[str, float]:
        """Give what is known of a step."""
        at = self._history.at_s
        inside = (at > begins_s) & (at <= ends_s)
        if self._history.windowed:
            since = np.maximum(at - _WINDOW_S, self._since_s)
            within = inside & (since >= begins_s)
            # A short step: what is left of the warm-up in the window does less harm than no percentile.
            chosen = within if within.any() else inside & (since >= begins_s - _WINDOW_S / 2.0)
            return self._mean(chosen)
        # Since the start or a reset: of this step alone only where it began there.
        if not inside.any():
            return {}
        last = np.flatnonzero(inside)[-1:]
        alone = self._since_s[last] >= begins_s - max(_WINDOW_S / 2.0, 0.25 * (ends_s - begins_s))
        if not alone.all():
            self.cumulative += 1
            return {}
        return self._mean(np.isin(np.arange(len(at)), last))

    def _mean(self, chosen: Bools) -> dict[str, float]:
        found = {}
        for name, values in self._history.percentiles_ms.items():
            known = values[chosen & np.isfinite(values)]
            if len(known):
                found[name] = float(known.mean())
        return found
