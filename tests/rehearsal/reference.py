"""An event-driven simulation of single requests, written apart from the program: what its fluid is judged by.

Services have c servers and a first-in-first-out queue of bounded length; a request of one calls another and waits for
the answer without holding a server; callers give up after a timeout, but the work is done all the same; failures
are tried again a second later, up to r times, within a budget; limits are token buckets that act on single requests.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count

import numpy as np


@dataclass
class Station:
    """One service."""

    servers: int
    mean_s: float
    law: str = "exponential"  # or deterministic
    timeout_s: float = 1.0
    queue_s: float = 2.0  # timeouts of work that the queue holds
    rate: float = np.inf  # of its token bucket
    burst: float = np.inf
    slow: list[tuple[float, float, float]] = field(default_factory=list)  # from, to, share of speed that is left
    waiting: deque = field(default_factory=deque)
    busy: int = 0
    tokens: float = 0.0
    filled_at: float = 0.0

    def speed(self, now: float) -> float:
        return next((share for begin, end, share in self.slow if begin <= now < end), 1.0)

    def capacity(self, now: float) -> float:
        return self.servers / self.mean_s * self.speed(now)

    def admits(self, now: float) -> bool:
        if np.isinf(self.rate):
            return True
        self.tokens = min(self.tokens + (now - self.filled_at) * self.rate, self.burst)
        self.filled_at = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


@dataclass
class Seen:
    """Counts by second of arrival, and waits."""

    arrived: np.ndarray
    good: np.ndarray
    rejected: np.ndarray
    waits: list[float] = field(default_factory=list)


class Reference:
    """A front without limits of its own that calls a back once a request, with retries."""

    def __init__(self, back: Station, *, retries: int = 0, budget: float = np.inf, seed: int = 0) -> None:
        self.back, self.retries, self.budget = back, retries, budget
        self.rng = np.random.default_rng(seed)
        back.tokens = back.burst if np.isfinite(back.burst) else 0.0
        self.events: list = []
        self.order = count()

    def at(self, when: float, what, *args) -> None:
        heapq.heappush(self.events, (when, next(self.order), what, args))

    def play(self, arrivals: np.ndarray) -> Seen:
        """Play arrivals a second, Poisson within."""
        seconds = len(arrivals)
        self.seen = Seen(*(np.zeros(seconds) for _ in range(3)))
        self.fresh = np.zeros(seconds + 10)
        self.tried = np.zeros(seconds + 10)
        for second, rate in enumerate(arrivals):
            for when in second + self.rng.random(self.rng.poisson(rate)):
                self.at(when, self.arrive, 0)
        while self.events:
            now, _, what, args = heapq.heappop(self.events)
            if now >= seconds:
                break
            what(now, *args)
        return self.seen

    def arrive(self, now: float, attempt: int) -> None:
        back, second = self.back, int(now)
        self.seen.arrived[second] += 1
        if attempt == 0:
            self.fresh[second] += 1
        if not back.admits(now):
            self.seen.rejected[second] += 1
            return
        room = back.queue_s * back.timeout_s * back.capacity(now)
        if back.busy >= back.servers and len(back.waiting) >= room:
            self.fail(now, attempt, after=1.0)
            return
        request = [now, attempt, False]
        back.waiting.append(request)
        self.start(now)
        if not request[2]:
            self.at(now + back.timeout_s, self.give_up, request)

    def give_up(self, now: float, request: list) -> None:
        if not request[2]:
            self.fail(now, request[1], after=0.0)

    def start(self, now: float) -> None:
        back = self.back
        while back.waiting and back.busy < back.servers and back.speed(now) > 0:
            request = back.waiting.popleft()
            request[2] = True
            back.busy += 1
            mean = back.mean_s / back.speed(now)
            takes = mean if back.law == "deterministic" else self.rng.exponential(mean)
            self.seen.waits.append(now - request[0])
            if now - request[0] <= back.timeout_s:
                self.seen.good[int(request[0])] += 1
            self.at(now + takes, self.finish)

    def finish(self, now: float) -> None:
        self.back.busy -= 1
        self.start(now)

    def fail(self, now: float, attempt: int, *, after: float) -> None:
        if attempt >= self.retries:
            return
        when = now + after
        second = min(int(when), len(self.tried) - 1)
        if np.isfinite(self.budget):
            if self.tried[second] + 1 > self.budget * self.fresh[max(second - 1, 0)]:
                return
            self.tried[second] += 1
        self.at(when, self.arrive, attempt + 1)


def many(make, arrivals: np.ndarray, *, runs: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Mean arrivals and good answers a second over several runs."""
    seen = [make(seed).play(arrivals) for seed in range(runs)]
    return np.mean([s.arrived for s in seen], axis=0), np.mean([s.good for s in seen], axis=0)
