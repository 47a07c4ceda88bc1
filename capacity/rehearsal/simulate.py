"""The simulator: fluid requests through the call graph, second by second, over many futures at once."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from capacity.plan.network import RETRY_BUDGET
from capacity.plan.sizing import Bools, Floats, Ints
from capacity.rehearsal.arrange import arrange
from capacity.rehearsal.buckets import Buckets
from capacity.rehearsal.capacities import ENDLESS, Capacities
from capacity.rehearsal.edges import Edges
from capacity.rehearsal.flows import Flows
from capacity.rehearsal.fluid import serve
from capacity.rehearsal.ladder import Ladder, calendar
from capacity.rehearsal.success import Success
from capacity.rehearsal.trace import Recorder, Trace
from capacity.rehearsal.world import Precision, World

Array = NDArray[np.floating]

_TINY = 1e-9


@dataclass(frozen=True)
class Script:
    """What changes while the rehearsal runs; axis ``t`` is the seconds played.

    Attributes
    ----------
    arrivals : ndarray (path, entry, t)
        Requests/s from outside.
    instances : ndarray (t, p)
        Instances that serve.
    capacity_factor : ndarray (t, s)
        Share of its capacity that a fault leaves a service.
    warmth : ndarray (t,)
        1 warm caches, 0 cold.
    seconds : ndarray (t,), optional
        Seconds after the promotion's start; where they jump, time was skipped. 0, 1, 2 … when left out.
    limited : ndarray (t,), optional
        Whether the limiters of `Guards.frail` work; always when left out.
    budget : float
        Retries allowed as a share of fresh calls where no budget is given; infinite: nobody keeps to any.
    user_retries : int
        How often users try again.
    """

    arrivals: Floats
    instances: Ints
    capacity_factor: Floats
    warmth: Floats
    seconds: Ints | None = None
    limited: Bools | None = None
    budget: float = RETRY_BUDGET
    user_retries: int = 0

    @property
    def length(self) -> int:
        """Seconds in all."""
        return int(self.arrivals.shape[2])

    @property
    def moments(self) -> Ints:
        """Seconds after the start."""
        return np.arange(self.length) if self.seconds is None else self.seconds

    def of_paths(self, rows: Ints) -> "Script":
        """Keep some futures."""
        return replace(self, arrivals=self.arrivals[rows])


def simulate(
    world: World, script: Script, *, dtype: Precision = np.float32, recorder: type[Recorder] = Recorder
) -> Trace:
    """Play a script.

    Parameters
    ----------
    world : World
    script : Script
    dtype : type
        Of the state; single precision is seven digits, of which the findings use three.
    recorder : type
        Takes the notes; one that keeps more of every second may be given.

    Notes
    -----
    Every second, callers before callees: token buckets of cluster, instance, hot key and caller let requests in
    (`buckets`, `edges`); what is let in joins a first-in-first-out queue served at capacity, solved in closed form with
    the timeout of those who wait (`fluid`); the rest of the capacity works off the broker of queued calls. A request
    succeeds if its own service did and all it requires (`success`). Failed calls come back in the next second as
    attempts of the next number (`retries`). A second in which nothing waits, nothing is retried and every demand is
    below capacity, limits and triggers changes no state and is played as one matrix product.

    Instances are capacity, not single servers: see `waits` for what that leaves out. Where time was skipped, queues and
    retries are gone, and brokers have drained as far as the capacity to spare allowed.
    """
    return _Run(world, script, dtype, recorder).play()


class _Run:
    """State of one `simulate` call; arrays are (s, path) in the order of `arrange`."""

    def __init__(self, world: World, script: Script, dtype: Precision, recorder: type[Recorder]) -> None:
        self.arranged = arranged = arrange(world)
        self.world, self.script, self.dtype = arranged.world, script, dtype
        self.paths = paths = len(script.arrivals)
        size = world.network.size
        self.shape = (size, paths)
        self.levels = [slice(int(a), int(b)) for a, b in zip(arranged.bounds[:-1], arranged.bounds[1:], strict=True)]
        self.external = np.ascontiguousarray(script.arrivals.transpose(2, 1, 0)).astype(dtype)
        self.factor = script.capacity_factor[:, arranged.order]
        self.moments = script.moments
        self.jump = np.diff(self.moments, prepend=self.moments[0] - 1) != 1
        self.guards = self.world.guards
        self.buckets = Buckets(self.guards, paths, dtype=dtype)
        self.capacities = Capacities(self.world, paths=paths, dtype=dtype)
        self.sets, self.which = calendar(self.world.rungs, self.moments)
        self.flows: list[Flows | None] = [None] * len(self.sets)
        self.ladder = Ladder(self.world.rungs, paths)
        self.edges = Edges(
            self.world, arranged.edge_bounds, budget=script.budget, user_retries=script.user_retries, paths=paths,
            dtype=dtype,
        )  # fmt: skip
        self.success = Success(self.world.network, arranged.edge_bounds)
        self.recorder = recorder(size, paths, script.length, max_delay_s=self.world.max_delay_s, dtype=dtype)
        self.timeout = self.world.timeout_s.astype(dtype)[:, None]
        self.queue, self.broker = np.zeros(self.shape, dtype), np.zeros(self.shape, dtype)
        self.quiet = True  # nothing waits, every bucket is full, no switch is pulled
        self.all_on = np.ones(size, dtype=bool)
        self.has_queued = bool(self.world.network.queued.any())
        self.least = self._lowest()
        self.top = np.zeros(self.shape, dtype=dtype)

    def play(self) -> Trace:
        with np.errstate(over="ignore"):
            for t in range(self.script.length):
                self._second(t)
        trace = self.recorder.trace(self.arranged.order, most_instances=self.script.instances.max(axis=0))
        for k, rung in enumerate(self.ladder.rungs):
            trace.switched_on_s[rung.name] = self.ladder.first_on[k]
            trace.switched_back_s[rung.name] = self.ladder.first_off[k]
        return trace

    def _second(self, t: int) -> None:
        script = self.script
        flows = self._flows(int(self.which[t]))
        warmth = float(script.warmth[t])
        external = self.external[t]
        demand = flows.demand(external, warmth)
        limited = script.limited is None or bool(script.limited[t])
        capacity = self._capacity(t, demand, limited)
        if self.jump[t] and t > 0:
            self._skip(t, demand, capacity)
        if self.quiet and (demand <= self.top).all():
            self.recorder.calm(t, demand, capacity)
            return
        self._busy(t, flows, warmth, demand, capacity, on=self.all_on if limited else ~self.guards.frail)

    def _flows(self, which: int) -> Flows:
        found = self.flows[which]
        if found is None:
            keep = np.ones(len(self.world.network.caller), dtype=bool)
            for k in np.flatnonzero(self.sets[which]):
                keep[self.world.rungs[k].edges] = False
            found = self.flows[which] = Flows(self.arranged, keep, paths=self.paths, dtype=self.dtype)
        return found

    def _capacity(self, t: int, demand: Array, limited: bool) -> Array:
        limit = self.buckets.rate if limited else np.full_like(self.buckets.rate, np.inf)
        capacity = self.capacities.at(self.script.instances[t], self.factor[t], demand, limit)
        if self.capacities.changed:
            self.recorder.set_capacity(capacity)
            # Below this nothing has to be decided; the ladder's triggers and every limit count as well.
            self.top = np.minimum(capacity, self.least)
        else:
            rows = self.capacities.rows
            self.recorder.set_capacity(capacity, rows)
            self.top[rows] = np.minimum(capacity[rows], self.least[rows])
        return capacity

    def _lowest(self) -> Array:
        """Load below which nothing but a capacity decides: no limit, no caller's limit, no trigger."""
        guards = self.guards
        lowest = np.minimum(guards.cluster_qps, self.edges.threshold)
        if self.buckets.per_instance:
            # A single instance may get too much long before all do: such seconds are always looked at.
            lowest = np.where(np.isfinite(guards.instance_qps), -1.0, lowest)
        np.minimum.at(lowest, self.ladder.watched, self.ladder.above)
        return np.asarray(np.minimum(lowest, ENDLESS)[:, None], dtype=self.dtype)

    def _skip(self, t: int, demand: Array, capacity: Array) -> None:
        """Let the time pass that is not played."""
        gap = float(self.moments[t] - self.moments[t - 1])
        self.queue[:] = 0.0
        self.broker = np.maximum(self.broker - np.maximum(capacity - demand, 0.0) * gap, 0.0).astype(self.dtype)
        self.buckets.refill()
        self.edges.clear()
        self.ladder.skip(gap)
        self.quiet = not self.broker.any() and self.ladder.idle

    def _busy(self, t: int, flows: Flows, warmth: float, demand: Array, capacity: Array, *, on: Bools) -> None:
        shape, dtype = self.shape, self.dtype
        arriving, queued = np.zeros(shape, dtype), np.zeros(shape, dtype) if self.has_queued else None
        arriving[self.world.entries] += self.external[t]
        retried = self.edges.retries_arriving(shape)
        if retried is not None:
            arriving += retried
        served, good, passed, answered = (np.empty(shape, dtype) for _ in range(4))
        calls = flows.calls_now(warmth)
        active = self.ladder.active(t)
        instances = self.script.instances[t][self.world.pool]
        able = self.capacities.behind(on)
        self.edges.begin(calls)
        for k, at in enumerate(self.levels):
            offered = arriving[at]
            let = passed[at]
            let[:] = self.buckets.admit(at, offered, on=on[at], instances=instances[at])
            done, left, good[at] = serve(self.queue[at], let, capacity=able[at], timeout_s=self.timeout[at])
            self.queue[at] = left
            answered[at] = good[at]
            if queued is not None:
                in_time = done
                done = self._drain(at, done, queued, able)
                answered[at] += done - in_time
            served[at] = done
            self._call(k, at, flows, warmth, done, arriving, queued, active, on)
        seconds = _Second(arriving, queued, passed, served, good, answered, retried)
        self._finish(t, demand, capacity, seconds)

    def _drain(self, at: slice, done: Array, queued: Array, capacity: Array) -> Array:
        """Work off queued calls with what the second leaves."""
        waiting = self.broker[at] + queued[at]
        drained = np.minimum(waiting, capacity[at] - done)
        self.broker[at] = waiting - drained
        return np.asarray(done + drained)

    def _call(
        self, k: int, at: slice, flows: Flows, warmth: float, done: Array, arriving: Array, queued: Array | None,
        active: Bools | None, on: Bools,
    ) -> None:  # fmt: skip
        """Send a level's calls on."""
        sent = flows.down(k, done, warmth)
        if sent is not None:
            arriving[at.stop :] += sent
        if queued is not None:
            waits = flows.queued(k, done, warmth)
            if waits is not None:
                queued[at.stop :] += waits
        if active is not None:
            self._switch_off(k, active, done, at, arriving, queued)
        self.edges.limit(k, at, done, arriving, on)

    def _switch_off(self, k: int, active: Bools, done: Array, at: slice, arriving: Array, queued: Array | None) -> None:
        network = self.world.network
        low, high = int(self.arranged.edge_bounds[k]), int(self.arranged.edge_bounds[k + 1])
        for rung, edges in self.ladder.cut(low, high):
            for edge in edges:
                flow = done[network.caller[edge] - at.start] * self.edges.calls[edge] * active[rung]
                into = queued if network.queued[edge] and queued is not None else arriving
                into[network.callee[edge]] = np.maximum(into[network.callee[edge]] - flow, 0.0)
                self.edges.switch_off(int(edge), active[rung])

    def _finish(self, t: int, demand: Array, capacity: Array, seen: "_Second") -> None:
        arriving, passed = seen.arriving, seen.passed
        safe = np.maximum(arriving, _TINY)
        success = np.where(arriving > _TINY, np.minimum(seen.good / safe, 1.0), 1.0)
        rejected = np.maximum(arriving - passed, 0.0)
        refused = rejected / safe
        self.success.spread(success, refused, self.edges)
        self.edges.again(seen.served, self.external[t], success, refused)
        self.edges.add_refused(rejected, arriving)
        self.ladder.watch(t, arriving)
        self.recorder.busy(
            t, demand=demand, capacity=capacity, served=seen.served, answered=seen.answered, rejected=rejected,
            arrived=arriving if seen.queued is None else arriving + seen.queued, retried=seen.retried,
            wasted=passed - seen.good, success=success, backlog=self.queue + self.broker, broker=self.broker,
            whole=self.factor[t] >= 1.0,
        )  # fmt: skip
        self.quiet = not (
            self.queue.any() or self.broker.any() or self.buckets.low.any() or self.edges.busy or not self.ladder.idle
        )


@dataclass(frozen=True)
class _Second:
    """Requests of one second, (s, path)."""

    arriving: Array
    queued: Array | None
    passed: Array
    served: Array
    good: Array
    answered: Array
    retried: Array | None
