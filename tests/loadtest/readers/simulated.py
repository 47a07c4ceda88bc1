"""A pool of slots under load, request by request, so that readers can be held against a known truth."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BEGAN_S = 1_700_000_000.0


@dataclass(frozen=True)
class Requests:
    """When each began, how long it took, and the users at its step, (n,)."""

    start_s: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    users: NDArray[np.float64]

    @property
    def end_s(self) -> NDArray[np.float64]:
        """When each ended."""
        return self.start_s + self.latency_s


def closed(
    users: tuple[int, ...], *, step_s: float, slots: int = 4, service_s: float = 0.05, seed: int = 1
) -> Requests:
    """Give users without pause, so many in each step, at a pool of slots: X = min(N, slots) / service."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, float, float]] = []
    for k, count in enumerate(users):
        begins, ends = BEGAN_S + k * step_s, BEGAN_S + (k + 1) * step_s
        free = [begins] * slots
        ready = [begins] * count
        while ready:
            asked = heapq.heappop(ready)
            begun = max(asked, heapq.heappop(free))
            done = begun + service_s * rng.uniform(0.5, 1.5)
            heapq.heappush(free, done)
            if done < ends:
                rows.append((asked, done - asked, count))
                heapq.heappush(ready, done)
    return _requests(rows)


def by_the_clock(rates: tuple[float, ...], *, step_s: float, service_s: float = 0.05, seed: int = 1) -> Requests:
    """Give requests at even distances, so many a second in each step; how long each takes does not depend on load."""
    rng = np.random.default_rng(seed)
    rows = []
    for k, rate in enumerate(rates):
        start = BEGAN_S + k * step_s + np.arange(round(rate * step_s)) / rate
        rows += [(t, service_s * rng.uniform(0.5, 1.5), np.nan) for t in start]
    return _requests(rows)


def _requests(rows: list[tuple[float, float, float]]) -> Requests:
    start, latency, users = np.array(sorted(rows, key=lambda row: row[0] + row[1])).T
    return Requests(start, latency, users)
