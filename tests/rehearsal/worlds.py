"""Worlds of a few services, small enough to know what has to happen in them."""

from typing import ClassVar

import numpy as np

from capacity.plan.network import Network
from capacity.plan.sharing import nothing_shared
from capacity.rehearsal.simulate import Script, simulate
from capacity.rehearsal.trace import Recorder
from capacity.rehearsal.world import Guards, World, sort_levels


def world(edges, capacity, *, size, limit=None, timeout=1.0, retries=None, queued=(), delay=None, paths=1):
    caller = np.array([e[0] for e in edges], dtype=np.int64)
    calls = np.array([e[2] for e in edges], dtype=float)
    is_queued = np.array([i in queued for i in range(len(edges))], dtype=bool)
    tries = np.zeros(len(edges), dtype=np.int64) if retries is None else np.array(retries, dtype=np.int64)
    network = Network(
        size, caller, np.array([e[1] for e in edges], dtype=np.int64), calls, calls, tries, ~is_queued, is_queued
    )
    guards = Guards.none(size, len(edges))
    return World(
        network=network,
        levels=sort_levels(network),
        unit_qps=np.broadcast_to(np.array(capacity, dtype=float), (paths, size)).copy(),
        fixed_qps=np.full(size, np.inf),
        key_roof_qps=np.full(size, np.inf),
        pool=np.arange(size),
        sharing=nothing_shared(paths),
        entries=np.array([0]),
        guards=guards if limit is None else guards.with_cluster(np.array(limit, dtype=float)),
        timeout_s=np.full(size, float(timeout)),
        max_delay_s=np.full(size, np.inf) if delay is None else np.array(delay, dtype=float),
        core=np.ones(size, dtype=bool),
    )


def script(rate, *, size, instances=1, **more):
    rate = np.asarray(rate, dtype=float)
    return Script(
        arrivals=rate[None, None, :],
        instances=np.full((len(rate), size), instances),
        capacity_factor=more.pop("factor", np.ones((len(rate), size))),
        warmth=np.ones(len(rate)),
        **more,
    )


class EverySecond(Recorder):
    """Keeps what arrived and what was answered in time, by second; the first future."""

    kept: ClassVar[list["EverySecond"]] = []

    def __init__(self, size, paths, seconds, **more):
        super().__init__(size, paths, seconds, **more)
        self.arrived_by_s, self.good_by_s = np.zeros((2, seconds, size))
        self.kept[:] = [self]

    def busy(self, t, **seen):
        good = seen["arrived"] - seen["rejected"] - seen["wasted"]
        self.arrived_by_s[t], self.good_by_s[t] = seen["arrived"][:, 0], good[:, 0]
        super().busy(t, **seen)

    def calm(self, t, demand, capacity):
        self.arrived_by_s[t] = self.good_by_s[t] = demand[:, 0]
        super().calm(t, demand, capacity)


def by_second(world, script):
    """What arrives and what is answered in time at the last service, second by second."""
    simulate(world, script, dtype=np.float64, recorder=EverySecond)
    kept = EverySecond.kept[0]
    return kept.arrived_by_s[:, -1], kept.good_by_s[:, -1]
