"""Requests through one or two stations, event by event, for many replicas at once.

A station serves up to ``slots`` requests together, each at the same speed μ(n)/min(n, slots) with n at the station;
the others wait in order of arrival. This alone makes what is called truth: no formula of a fitted curve, no
approximation of a queue. A loop runs over events, numpy over replicas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Stations:
    """One station of every replica.

    Attributes
    ----------
    rates
        Completions a second μ(n) with n at the station, (B, M + 1); the first column is not used.
    slots
        Requests served together, (B,).
    sigma
        Standard deviation of the logarithm of the work of a request, whose mean is 1, (B,); NaN for exponential.
    """

    rates: Array
    slots: Rows
    sigma: Array


@dataclass(frozen=True)
class Answers:
    """What came out, the first tenth left out as warm-up.

    ``latency_s`` (B, R) has NaN where there were fewer, and no column where only late ones were counted.
    """

    latency_s: Array
    throughput: Array
    refused: Array
    late: Array


class _Station:
    """The state of a station, every replica in one row."""

    def __init__(self, given: Stations, work: Array, most: int) -> None:
        size, width = len(given.slots), int(given.slots.max())
        served = np.minimum(np.arange(given.rates.shape[1])[None, :], given.slots[:, None])
        self.speeds = np.where(served > 0, given.rates / np.maximum(served, 1), 0.0)
        self.slots, self.work = given.slots, work
        self.finish, self.stamp = np.full((size, width), np.inf), np.zeros((size, width))
        self.queue, self.head = np.zeros((size, most + 1)), np.zeros(size, dtype=np.int64)
        self.n, self.started = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        self.clock, self.all = np.zeros(size), np.arange(size)

    def speed(self) -> Array:
        return self.speeds[self.all, self.n]

    def next(self) -> tuple[Rows, Array]:
        slot = self.finish.argmin(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            wait = (self.finish[self.all, slot] - self.clock) / self.speed()
        return slot, np.where(self.n > 0, wait, np.inf)

    def enter(self, rows: Rows, stamp: Array) -> None:
        served = self.n[rows] < self.slots[rows]
        now, later = rows[served], rows[~served]
        self._start(now, np.isinf(self.finish[now]).argmax(axis=1), stamp[served])
        waiting = self.n[later] - self.slots[later]
        self.queue[later, (self.head[later] + waiting) % self.queue.shape[1]] = stamp[~served]
        self.n[rows] += 1

    def leave(self, rows: Rows, slot: Rows) -> Array:
        stamp = self.stamp[rows, slot]
        self.n[rows] -= 1
        more = self.n[rows] >= self.slots[rows]
        again, empty = rows[more], rows[~more]
        self._start(again, slot[more], self.queue[again, self.head[again]])
        self.head[again] = (self.head[again] + 1) % self.queue.shape[1]
        self.finish[empty, slot[~more]] = np.inf
        return np.asarray(stamp)

    def _start(self, rows: Rows, slot: Rows, stamp: Array) -> None:
        drawn = self.work[rows, self.started[rows] % self.work.shape[1]]
        self.finish[rows, slot] = self.clock[rows] + drawn
        self.stamp[rows, slot] = stamp
        self.started[rows] += 1


def simulate(
    stations: list[Stations],
    *,
    rate: Array,
    users: Rows,
    most: Rows,
    requests: int,
    seeds: Rows,
    limit_s: Array | None = None,
) -> Answers:
    """Send requests through stations in series.

    Parameters
    ----------
    stations
        One or two stations of B replicas.
    rate
        Poisson arrivals a second (B,), where ``users`` is 0.
    users
        Requests that are always inside (B,): each answered one is followed by another at once.
    most
        Requests inside beyond which an arrival is refused (B,).
    requests
        How many are sent in each replica.
    seeds
        Replicas of one seed share their random numbers (B,), so that they differ by what they are.
    limit_s
        Count requests later than this (B,) instead of keeping every latency.
    """
    size, rows = len(rate), np.arange(len(rate))
    kinds, which = np.unique(seeds, return_inverse=True)
    gaps = np.stack([np.random.default_rng([s, 0]).exponential(size=requests) for s in kinds])[which]
    line = [_Station(s, _work(s.sigma, kinds, which, k, requests), int(most.max())) for k, s in enumerate(stations)]
    open_, t = users == 0, np.zeros(size)
    with np.errstate(divide="ignore"):
        arrives = np.where(open_, gaps[:, 0] / rate, np.inf)
    for k in range(int(users.max(initial=0))):
        line[0].enter(rows[users > k], np.zeros(int((users > k).sum())))
    sent, refused = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    book = _Book(size, requests, limit_s)
    for _ in range(requests * (1 + len(line))):
        ahead = [station.next() for station in line]
        waits = np.stack([arrives - t, *(wait for _, wait in ahead)])
        event, dt = waits.argmin(axis=0), waits.min(axis=0)
        t = t + dt
        for station in line:
            station.clock += dt * station.speed()
        come = rows[event == 0]
        full = sum(station.n[come] for station in line) >= most[come]
        refused[come[full]] += 1
        line[0].enter(come[~full], t[come[~full]])
        sent[come] += 1
        arrives[come] = t[come] + gaps[come, sent[come] % requests] / rate[come]
        for k, station in enumerate(line):
            gone = rows[event == k + 1]
            stamp = station.leave(gone, ahead[k][0][gone])
            if k + 1 < len(line):
                line[k + 1].enter(gone, stamp)
                continue
            book.write(gone, stamp, t[gone])
            back = gone[~open_[gone]]
            line[0].enter(back, t[back])
    return book.answers(refused / np.maximum(sent, 1))


def _work(sigma: Array, kinds: Rows, which: Rows, station: int, requests: int) -> Array:
    z = np.stack([np.random.default_rng([s, 1 + station]).standard_normal(requests) for s in kinds])
    e = np.stack([np.random.default_rng([s, 11 + station]).exponential(size=requests) for s in kinds])
    spread = np.nan_to_num(sigma)[:, None]
    return np.where(np.isnan(sigma)[:, None], e[which], np.exp(spread * z[which] - spread**2 / 2))


class _Book:
    """What is written down of answered requests: every latency, or only how many were late."""

    def __init__(self, size: int, requests: int, limit_s: Array | None) -> None:
        self.limit, self.first, self.most = limit_s, requests // 10, requests
        self.latency = np.full((size, 0 if limit_s is not None else requests), np.nan, dtype=np.float32)
        self.done, self.late = np.zeros(size, dtype=np.int64), np.zeros(size)
        self.begun, self.ended = np.full(size, np.nan), np.full(size, np.nan)

    def write(self, rows: Rows, stamp: Array, now: Array) -> None:
        fits = self.done[rows] < self.most
        rows, stamp, now = rows[fits], stamp[fits], now[fits]
        if self.limit is None:
            self.latency[rows, self.done[rows]] = now - stamp
        else:
            self.late[rows] += (now - stamp > self.limit[rows]) & (self.done[rows] >= self.first)
        start = rows[self.done[rows] == self.first]
        self.begun[start] = now[self.done[rows] == self.first]
        self.ended[rows] = now
        self.done[rows] += 1

    def answers(self, refused: Array) -> Answers:
        counted = np.maximum(self.done - 1 - self.first, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            throughput = np.where(counted > 0, counted / (self.ended - self.begun), np.nan)
        return Answers(self.latency[:, self.first :], throughput, refused, self.late / np.maximum(counted, 1))
