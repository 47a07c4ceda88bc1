"""The simulator: fluid requests through the call graph, second by second, over many futures at once."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from capacity.plan.network import RETRY_BUDGET, Matrix, injection, reach
from capacity.plan.sizing import Bools, Floats, Ints
from capacity.rehearsal.bucket import admit
from capacity.rehearsal.world import World

BURST_S = 0.1  # a bucket holds so many seconds of its limit: short beside the timeouts of those who wait
BREAK_SHARE = 0.01  # of a second's requests lost to overload: from here a service counts as broken
BREAK_S = 3  # for so many seconds
_CALM = 0.9  # of capacity: a service that is still broken with less fresh demand does not recover by itself
_BIN_S = 10
_TINY = 1e-9
_DENSE_UP_TO = 500  # services
_SERIES = ("demand", "served", "capacity", "backlog")
NOTHING_LEFT = 1e6  # demand ÷ capacity of a service that is gone


@dataclass(frozen=True)
class Script:
    """What changes while the rehearsal runs; axis ``t`` is seconds.

    Attributes
    ----------
    arrivals : ndarray (path, entry, t)
        Requests/s from outside.
    instances : ndarray (t, p)
        Instances that serve.
    capacity_factor : ndarray (t, s)
    warmth : ndarray (t,)
        1 warm caches, 0 cold.
    limited : bool
        Whether limits are enforced.
    budget : float
        Retries allowed as a share of fresh calls.
    user_retries : float
    """

    arrivals: Floats
    instances: Ints
    capacity_factor: Floats
    warmth: Floats
    limited: bool = True
    budget: float = RETRY_BUDGET
    user_retries: float = 0.0


@dataclass
class Trace:
    """What happened.

    Attributes
    ----------
    overloaded : ndarray (path, s)
        Fresh demand above capacity in some second, before any limit.
    first_overload_s, first_break_s : ndarray (path, s)
        Second, or −1.
    broken_s, last_break_s, stuck_s : ndarray (path, s)
        Seconds broken; the last of them; seconds broken although demand was calm.
    affected : ndarray (path, s)
        Requests failed because of it or of something behind it.
    rejected, arrived : ndarray (path, s)
        Totals.
    worst_ratio : ndarray (path, s)
        Largest demand ÷ capacity.
    most_instances : ndarray (p,)
        That served.
    switched_on_s : dict
        Rung to ndarray (path,), second or −1.
    bins : dict of str to ndarray (bin, path, s)
        Largest in ten seconds of: demand, served, capacity; and backlog.
    """

    overloaded: Bools
    first_overload_s: Ints
    first_break_s: Ints
    broken_s: Ints
    last_break_s: Ints
    stuck_s: Ints
    affected: Bools
    rejected: Floats
    arrived: Floats
    worst_ratio: Floats
    most_instances: Ints
    switched_on_s: dict[str, Ints] = field(default_factory=dict)
    bins: dict[str, Floats] = field(default_factory=dict)


def simulate(world: World, script: Script) -> Trace:
    """Play a script.

    Notes
    -----
    Every second, callers before callees: limits admit from a token bucket that holds `BURST_S` of them; what is
    admitted joins a first-in-first-out queue that holds twice the callers' timeout and is served at capacity;
    requests that waited longer than the timeout are served for nobody; the rest of the capacity works off the
    broker of queued calls. A request succeeds if its own service and all it requires did. Failed calls come back in
    the next second, r/(r + 1) of them for r retries, as far as the retry budget goes. Instances are capacity, not
    single servers: see `waits` for what that leaves out.
    """
    return _Run(world, script).play()


@dataclass(frozen=True)
class _Needs:
    """What the callers of one level cannot do without; edges sorted by caller."""

    callers: Ints
    first: Ints
    callee: Ints
    calls: Floats

    @classmethod
    def of(cls, need: Matrix, level: Ints) -> "_Needs":
        rows = need[level]
        edges = np.diff(rows.indptr)
        at = np.flatnonzero(edges)
        return cls(level[at], rows.indptr[:-1][at].astype(np.int64), rows.indices.astype(np.int64), rows.data)

    def met(self, success: Floats) -> Floats:
        """Chance that all calls of a request are answered, shape (path, caller)."""
        passed = success[:, self.callee]
        fewer = 1.0 - self.calls * (1.0 - passed)
        answered = np.where(self.calls >= 1.0, passed**self.calls, fewer)
        return np.asarray(np.multiply.reduceat(answered, self.first, axis=1))


def _handy(matrix: Matrix) -> Any:
    """Small graphs are fastest as dense arrays; a large one as such would not fit."""
    return matrix.toarray() if matrix.shape[1] <= _DENSE_UP_TO else matrix


class _Run:
    """State of one `simulate` call; arrays are (path, s) unless said otherwise."""

    def __init__(self, world: World, script: Script) -> None:
        self.world, self.script = world, script
        network = world.network
        paths, size = len(script.arrivals), network.size
        self.shape = (paths, size)
        sync, queued = ~network.queued, network.queued
        self.sync = [_handy(network.matrix(only=sync, cold=cold)) for cold in (False, True)]
        self.warm_sync = [self.sync[0][level] for level in world.levels]
        self.queued = [_handy(network.matrix(only=queued))[level] for level in world.levels]
        self.binding = [_Needs.of(network.matrix(only=network.binding), level) for level in world.levels]
        start = injection(world.entries, size)
        keep = self._without_planned()
        self.through = [_handy(reach(start, network.matrix(only=keep, cold=c))) for c in (False, True)]
        self.has_queue = bool(queued.any())
        self.limit = world.limit_qps if script.limited else np.full(size, np.inf)
        self.burst = self.limit * BURST_S
        self.tokens = np.broadcast_to(self.burst, self.shape).copy()
        self.queue = np.zeros(self.shape)
        self.broker = np.zeros(self.shape)
        self.wasted = np.zeros(self.shape)  # dropped, or served too late, in this second
        self.retry = np.zeros(self.shape)
        self.streak = np.zeros(self.shape, dtype=np.int64)
        self.back = world.retries / (world.retries + 1.0)
        self.shared = np.bincount(world.pool, minlength=int(world.pool.max(initial=0)) + 1)[world.pool] > 1
        self.rung_since = [np.zeros(paths, dtype=np.int64) for _ in world.rungs]
        self.rung_on = [np.full(paths, 0 if r.planned else -1, dtype=np.int64) for r in world.rungs]
        self.trace = self._blank()

    def _without_planned(self) -> Bools:
        network = self.world.network
        keep = np.ones(len(network.caller), dtype=bool)
        for rung in self.world.rungs:
            if rung.planned:
                for i, j in zip(rung.caller, rung.callee, strict=True):
                    keep &= ~((network.caller == i) & (network.callee == j))
        return keep

    def _blank(self) -> Trace:
        def none() -> Ints:
            return np.full(self.shape, -1, dtype=np.int64)

        def zero() -> Floats:
            return np.zeros(self.shape)

        bins = -(-self.script.arrivals.shape[2] // _BIN_S)
        return Trace(
            overloaded=np.zeros(self.shape, dtype=bool),
            first_overload_s=none(), first_break_s=none(), broken_s=none() * 0, last_break_s=none(), stuck_s=none() * 0,
            affected=np.zeros(self.shape, dtype=bool), rejected=zero(), arrived=zero(), worst_ratio=zero(),
            most_instances=self.script.instances.max(axis=0),
            bins={k: np.zeros((bins, *self.shape), dtype=np.float32) for k in _SERIES},
        )  # fmt: skip

    def play(self) -> Trace:
        for t in range(self.script.arrivals.shape[2]):
            self._second(t)
        for rung, on in zip(self.world.rungs, self.rung_on, strict=True):
            self.trace.switched_on_s[rung.name] = on
        return self.trace

    def _second(self, t: int) -> None:
        world, script = self.world, self.script
        external = script.arrivals[:, :, t]
        warm = float(script.warmth[t])
        demand = external @ (self.through[0] if warm >= 1 else warm * self.through[0] + (1 - warm) * self.through[1])
        capacity = self._capacity(t, demand)
        arriving = self.retry.copy()
        arriving[:, world.entries] += external
        queued = np.zeros(self.shape)
        served, good, rejected, arrived = (np.zeros(self.shape) for _ in range(4))
        mixed = None if warm >= 1 else warm * self.sync[0] + (1 - warm) * self.sync[1]
        for k, level in enumerate(world.levels):
            self._level(level, arriving, queued, capacity, served, good, rejected, arrived)
            done = served[:, level]
            arriving += done @ (self.warm_sync[k] if mixed is None else mixed[level])
            if self.has_queue:
                queued += done @ self.queued[k]
            self._switch_off(t, level, done, arriving)
        success = self._success(good, arrived)
        self._come_back(success, arrived, rejected)
        self._watch(t, demand)
        self._note(t, demand, capacity, served, rejected, arrived, success)

    def _capacity(self, t: int, demand: Floats) -> Floats:
        """Requests/s each service can serve in this second, instances of a pool shared by need."""
        world = self.world
        serving = world.sharing.worth(self.script.instances[t])
        own = world.unit_qps * serving[:, world.pool]
        if self.shared.any():
            with np.errstate(divide="ignore", invalid="ignore"):
                need = np.where(np.isfinite(world.unit_qps), np.minimum(demand, self.limit) / world.unit_qps, 0.0)
            for p in np.unique(world.pool[self.shared]):
                at = np.flatnonzero(world.pool == p)
                total = need[:, at].sum(axis=1, keepdims=True)
                n = serving[:, p : p + 1]
                part = np.divide(need[:, at], total, out=np.full((len(need), len(at)), 1.0 / len(at)), where=total > 0)
                own[:, at] = world.unit_qps[:, at] * np.maximum(n - (total - need[:, at]), n * part)
        own = np.where(np.isnan(own), np.inf, own)
        return np.asarray(np.minimum(own, world.fixed_qps) * self.script.capacity_factor[t], dtype=float)

    def _level(
        self, level: Ints, arriving: Floats, queued: Floats, capacity: Floats,
        served: Floats, good: Floats, rejected: Floats, arrived: Floats,
    ) -> None:  # fmt: skip
        offered, cap = arriving[:, level], capacity[:, level]
        limit = self.limit[level]
        passed, self.tokens[:, level] = admit(self.tokens[:, level], offered, rate=limit, burst=self.burst[level])
        timeout = self.world.timeout_s[level]
        before = self.queue[:, level]
        work = before + passed
        done = np.minimum(work, cap)
        left = work - done
        with np.errstate(invalid="ignore"):
            room = np.where(np.isinf(cap), 0.0, cap * timeout * 2.0)
            fresh = before <= np.where(np.isinf(cap), np.inf, cap * timeout) + _TINY
        self.queue[:, level] = np.minimum(left, room)
        self.wasted[:, level] = left - self.queue[:, level] + np.where(fresh, 0.0, done)
        good[:, level] = np.where(fresh, np.minimum(done, offered), 0.0)
        if self.has_queue:
            waiting = self.broker[:, level] + queued[:, level]
            drained = np.minimum(waiting, cap - done)
            self.broker[:, level] = waiting - drained
            done = done + drained
        served[:, level] = done
        rejected[:, level] = offered - passed
        arrived[:, level] = offered

    def _switch_off(self, t: int, level: Ints, done: Floats, arriving: Floats) -> None:
        for rung, on in zip(self.world.rungs, self.rung_on, strict=True):
            active = (on >= 0) & (t >= on)
            if not active.any():
                continue
            for i, j, calls in zip(rung.caller, rung.callee, rung.calls, strict=True):
                place = np.flatnonzero(level == i)
                if len(place):
                    arriving[active, j] = np.maximum(arriving[active, j] - done[active, place[0]] * calls, 0.0)

    def _success(self, good: Floats, arrived: Floats) -> Floats:
        """Share of each service's requests that succeed, with all they require."""
        success = np.where(arrived > _TINY, np.minimum(good / np.maximum(arrived, _TINY), 1.0), 1.0)
        if success.min(initial=1.0) >= 1.0:
            return success
        for needs in reversed(self.binding):
            if len(needs.callers):
                success[:, needs.callers] *= needs.met(success)
        return success

    def _come_back(self, success: Floats, arrived: Floats, rejected: Floats) -> None:
        """Failed calls are tried again; what a limit turned away is not: the caller is told so."""
        failed = np.maximum(arrived * (1.0 - success) - rejected, 0.0)
        fresh = np.maximum(arrived - self.retry, 0.0)
        again = failed * self.back
        if np.isfinite(self.script.budget):
            again = np.minimum(again, self.script.budget * fresh)
        if self.script.user_retries > 0:
            r = self.script.user_retries
            entries = self.world.entries
            again[:, entries] += failed[:, entries] * r / (r + 1.0)
        self.retry = again

    def _watch(self, t: int, demand: Floats) -> None:
        for k, rung in enumerate(self.world.rungs):
            if rung.planned or not np.isfinite(rung.above_qps):
                continue
            hot = demand[:, rung.watch] > rung.above_qps
            self.rung_since[k] = np.where(hot, self.rung_since[k] + 1, 0)
            pull = (self.rung_on[k] < 0) & (self.rung_since[k] >= rung.for_s)
            self.rung_on[k][pull] = t + int(np.ceil(rung.takes_s))

    def _note(
        self, t: int, demand: Floats, capacity: Floats, served: Floats, rejected: Floats,
        arrived: Floats, success: Floats,
    ) -> None:  # fmt: skip
        trace, world = self.trace, self.world
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(demand > 0, np.minimum(demand / capacity, NOTHING_LEFT), 0.0)
        waits = np.flatnonzero(np.isfinite(world.max_delay_s))
        if len(waits):
            # What may wait is too much only when it waits too long.
            room = np.maximum(capacity[:, waits] * world.max_delay_s[waits], _TINY)
            ratio[:, waits] = self.broker[:, waits] / room
        over = ratio > 1.0 + 1e-9
        np.maximum(trace.worst_ratio, ratio, out=trace.worst_ratio)
        trace.first_overload_s[over & (trace.first_overload_s < 0)] = t
        trace.overloaded |= over
        failing = (self.wasted > BREAK_SHARE * arrived) & (self.wasted > _TINY)
        self.streak = np.where(failing, self.streak + 1, 0)
        broken = self.streak >= BREAK_S
        new = broken & (trace.first_break_s < 0)
        trace.first_break_s[new] = t - BREAK_S + 1
        trace.broken_s += broken
        trace.last_break_s[broken] = t
        trace.stuck_s += broken & (ratio < _CALM) & (self.script.capacity_factor[t] >= 1.0)
        trace.affected |= (success < 0.95) & (arrived > _TINY)
        trace.rejected += rejected
        trace.arrived += arrived
        at = t // _BIN_S
        for name, value in (("demand", demand), ("served", served), ("capacity", capacity)):
            np.maximum(trace.bins[name][at], value, out=trace.bins[name][at], casting="same_kind")
        trace.bins["backlog"][at] = self.queue + self.broker
