"""How long a rehearsal takes: one hour, 200 services, 1,000 calls, 100 futures, in one process with one thread.

The world is made: services on eight levels, a fifth of them entries, random calls with retries, callers' limits and
cluster limits at what holds 95 % of the futures, instances that take different amounts in different futures. Three
evenings are played: one within its limits, one in which half the futures run into them, and one without any limit or
retry budget, in which everything breaks and nothing is calm: the most there is to compute.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from capacity.plan.network import Network, injection, reach
from capacity.plan.sharing import nothing_shared
from capacity.rehearsal.simulate import Script, simulate
from capacity.rehearsal.world import BURST_S, Guards, World, sort_levels

SERVICES, CALLS, PATHS, SECONDS, LEVELS = 200, 1000, 100, 3600, 8
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Evening:
    """One of the cases.

    Attributes
    ----------
    covered : float
        Share of the futures whose worst second the capacities and limits hold.
    guarded : bool
        Whether there are limits and retry budgets.
    """

    covered: float
    guarded: bool = True


EVENINGS: Mapping[str, Evening] = {
    "within limits": Evening(0.95),
    "limits reached": Evening(0.5),
    "all broken": Evening(0.5, guarded=False),
}


def make_network(rng: np.random.Generator, *, services: int, calls: int) -> tuple[Network, np.ndarray[Any, Any]]:
    """Return a random acyclic graph, and the depth of every service."""
    depth = np.sort(rng.integers(0, LEVELS, services))
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < calls:
        a, b = (int(v) for v in rng.integers(0, services, 2))
        if depth[a] < depth[b]:
            pairs.add((a, b))
    ends = np.array(sorted(pairs))
    rate = 0.3 * rng.choice([0.2, 0.5, 1.0, 2.0], calls)
    return Network(
        services, ends[:, 0], ends[:, 1], rate, 1.5 * rate, rng.integers(0, 3, calls), rng.random(calls) < 0.7,
        np.zeros(calls, dtype=bool),
    ), depth  # fmt: skip


def make_evening(
    evening: Evening, *, services: int = SERVICES, calls: int = CALLS, paths: int = PATHS, seconds: int = SECONDS,
    seed: int = 0,
) -> tuple[World, Script]:  # fmt: skip
    """Return a world and what is played in it."""
    rng = np.random.default_rng(seed)
    network, depth = make_network(rng, services=services, calls=calls)
    entries = np.flatnonzero(depth == 0)[: services // 5]
    level = 1000.0 * rng.lognormal(0, 0.15, (paths, 1)) * rng.lognormal(0, 0.05, (paths, len(entries)))
    shape = 0.3 + 0.7 * np.exp(-np.abs(np.arange(seconds) - seconds / 4) / 600)
    peak = level @ reach(injection(entries, services), network.matrix()).toarray()
    takes = 1.02 * np.quantile(peak, evening.covered, axis=0) + 1.0
    guards = Guards.none(services, calls)
    if evening.guarded:
        edge = takes[network.caller] * network.calls * 1.1
        guards = replace(guards.with_cluster(takes), edge_qps=edge, edge_burst=edge * BURST_S)
    world = World(
        network=network,
        levels=sort_levels(network),
        unit_qps=np.broadcast_to(takes / 10, (paths, services)) * rng.lognormal(0, 0.05, (paths, services)),
        fixed_qps=np.full(services, np.inf),
        key_roof_qps=np.full(services, np.inf),
        pool=np.arange(services),
        sharing=nothing_shared(paths),
        entries=entries,
        guards=guards,
        timeout_s=rng.choice([0.05, 0.2, 1.0], services),
        max_delay_s=np.full(services, np.inf),
        core=np.ones(services, dtype=bool),
    )
    script = Script(
        arrivals=rng.poisson(level[:, :, None] * shape).astype(float),
        instances=np.full((seconds, services), 10),
        capacity_factor=np.ones((seconds, services)),
        warmth=np.ones(seconds),
        budget=0.1 if evening.guarded else np.inf,
    )
    return world, script


def time_evening(name: str) -> dict[str, Any]:
    """Play one evening and return what it took and what happened."""
    world, script = make_evening(EVENINGS[name])
    simulate(world, replace(script, arrivals=script.arrivals[:, :, :20]))  # loads what is loaded late
    began, cpu = time.perf_counter(), time.process_time()
    trace = simulate(world, script)
    return {
        "evening": name,
        "wall_s": round(time.perf_counter() - began, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        # Linux counts it in KiB.
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "futures_with_a_break": float(trace.broken.any(axis=1).mean()),
        "turned_away": round(float(trace.rejected.sum() / trace.arrived.sum()), 4),
    }


def run() -> str:
    """Play every evening in a process of its own, so that memory is told of it alone."""
    lines = [f"one hour, {SERVICES} services, {CALLS} calls, {PATHS} futures"]
    for name in EVENINGS:
        command = [sys.executable, "-m", "benchmarks.rehearsals", name]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        lines.append(", ".join(f"{key} {value}" for key, value in found.items()))
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(time_evening(sys.argv[1])))
