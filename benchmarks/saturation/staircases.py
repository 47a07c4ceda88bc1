"""Load tests of known services, as a tool would have measured them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.saturation.engine import Answers, simulate
from benchmarks.saturation.services import MOST_REFUSED, Known, grouped, stations
from capacity.catalog import Service
from capacity.loadtest import LoadTest
from capacity.loadtest.gates import check_run, check_steps
from capacity.loadtest.steps import to_frame

Array = NDArray[np.float64]

REQUESTS = 8000
"""Requests of a step at most, all instances together: one that would have more is shorter, and says so."""
_COUNTED = 0.9
"""Share of a step's requests that is left when its warm-up has been cut off."""


@dataclass(frozen=True)
class Staircase:
    """A test before it is run: offered load per instance, and how steady the world was.

    ``speed`` is how fast each step ran relative to the usual, ``night`` what of that all steps share.
    """

    known: Known
    is_open: bool
    load: Array
    seconds: float
    instances: int
    step_sd: float
    night_sd: float
    speed: Array
    night: float = 1.0


@dataclass(frozen=True)
class Simulated:
    """A load test, the catalogue's entry of its service, and the truth."""

    test: LoadTest
    service: Service
    staircase: Staircase

    @property
    def known(self) -> Known:
        """The service as it is."""
        return self.staircase.known

    @property
    def reached(self) -> float:
        """Highest throughput of the test over the true capacity."""
        return float(self.test.steps["achieved_qps"].max() / self.test.instances / self.known.capacity_qps)


def plan(rng: np.random.Generator, known: Known, *, is_open: bool, stop: float | None) -> Staircase:
    """Draw a staircase that goes past the capacity, or stops at that share of it."""
    steps = int(rng.integers(5, 17))
    top = (stop or rng.uniform(1.03, 1.3)) * known.capacity_qps
    if not is_open:
        top = _users(known, min(top, known.capacity_qps)) * (1.0 if stop else rng.uniform(1.1, 2.5))
        top = min(top, 0.8 * known.most)
    start = top * rng.uniform(0.06, 0.3)
    load = (np.linspace, np.geomspace, _uneven(rng))[int(rng.integers(3))](start, top, steps)
    if not is_open:
        load = np.unique(np.maximum(np.rint(load), 1.0))
        load = load if len(load) >= 5 else np.arange(1.0, max(top, 5.0) + 1.0)
    night, step = rng.uniform(0.0, 0.025), float(np.exp(rng.uniform(np.log(0.002), np.log(0.03))))
    tonight = float(np.exp(night * rng.standard_normal()))
    speed = tonight * np.exp(step * rng.standard_normal(len(load)))
    seconds, instances = float(rng.choice([20.0, 60.0, 120.0, 300.0])), int(rng.integers(1, 5))
    return Staircase(
        known, is_open, np.asarray(load, dtype=float), seconds, instances, step, float(night), speed, tonight
    )


def _uneven(rng: np.random.Generator):  # type: ignore[no-untyped-def]
    return lambda a, b, n: np.concatenate([[a], np.sort(rng.uniform(a, b, n - 2)), [b]])


def _users(known: Known, qps: float) -> float:
    """Users that keep about this rate going."""
    if len(known.rates) > 1:
        used = qps / known.peak_qps
        return float(max(qps * known.alone_s * (1.0 + 0.5 * used**4), 2.0))
    return float(max(np.argmax(known.rates[0] >= min(qps, 0.999 * known.peak_qps)), 2.0))


def run(plans: list[Staircase], *, seed: int) -> list[Simulated]:
    """Send the requests of every step and write down what a tool would have."""
    steps = [(i, k) for i, p in enumerate(plans) for k in range(len(p.load))]
    services = [plans[i].known for i, _ in steps]
    figures: list[dict[str, float]] = [{}] * len(steps)
    for rows in grouped(services):
        mine = [(plans[steps[r][0]], steps[r][1]) for r in rows]
        load = np.array([p.load[k] for p, k in mine])
        is_open = np.array([p.is_open for p, _ in mine])
        found = simulate(
            stations([p.known for p, _ in mine], speed=np.array([p.speed[k] for p, k in mine])),
            rate=np.where(is_open, load, 1.0),
            users=np.where(is_open, 0, load).astype(np.int64),
            most=np.array([p.known.most for p, _ in mine]),
            requests=REQUESTS,
            seeds=seed * 1_000_003 + rows,
        )
        for place, (r, (p, k)) in enumerate(zip(rows, mine, strict=True)):
            figures[r] = _figures(found, place, p, k, np.random.default_rng([seed, 5, int(r)]))
    made = []
    for i, p in enumerate(plans):
        frame = to_frame([figures[r] for r, (j, _) in enumerate(steps) if j == i])
        made.append(_finished(p, frame))
    return made


def steady_seconds(p: Staircase, served: float) -> float:
    """How long a step is counted: as long as was planned, or until so many requests as are simulated are answered."""
    return float(min(p.seconds, _COUNTED * REQUESTS / (served * p.instances)))


def _figures(found: Answers, row: int, p: Staircase, k: int, rng: np.random.Generator) -> dict[str, float]:
    n, served = float(p.instances), found.throughput[row]
    seconds = steady_seconds(p, served)
    count = served * seconds * n
    latency = found.latency_s[row]
    latency = latency[np.isfinite(latency)][: max(int(count), 20)] * 1e3
    if p.is_open and found.refused[row] == 0 and served > 0.97 * p.load[k]:
        served = p.load[k] * float(np.exp(rng.standard_normal() / np.sqrt(max(count, 1.0))))
    values = dict(zip(("p50_ms", "p95_ms", "p99_ms"), np.quantile(latency, [0.5, 0.95, 0.99]), strict=True))
    values |= {"achieved_qps": served * n, "error_fraction": 0.0, "seconds": seconds}
    values["offered_qps" if p.is_open else "concurrency"] = p.load[k] * n
    if p.is_open and found.refused[row] > 0:
        refused = float(found.refused[row])
        values |= {"error_fraction": refused, "achieved_qps": min(served, p.load[k]) * n}
    if p.known.family == "cpu":
        busy = 0.03 + 0.97 * min(served / (p.known.rates[1].max() * p.speed[k]), 1.0)
        values["cpu_fraction"] = float(min(busy * np.exp(0.01 * rng.standard_normal()), 1.0))
    return {name: float(v) for name, v in values.items()}


def _finished(p: Staircase, frame) -> Simulated:  # type: ignore[no-untyped-def]
    gates = (*check_run(environment="production", approach=None, mocked=(), dated=True), *check_steps(frame))
    slo = {p.known.part: p.known.limit_s * 1e3, "error_fraction": MOST_REFUSED}
    service = Service.model_validate({"name": "s", "tier": "core", "slo": slo})
    test = LoadTest(run="r", service="s", instances=p.instances, steps=frame, gates=gates, environment="production")
    return Simulated(test, service, p)


def make(n: int, *, seed: int, truth_requests: int = 80000) -> list[Simulated]:
    """Make so many tests: families in turn, half of them open, a third partial."""
    from benchmarks.saturation.services import FAMILIES, draw, with_capacity

    rng = np.random.default_rng([seed, 3])
    services = with_capacity(
        [draw(rng, FAMILIES[i % len(FAMILIES)]) for i in range(n)], seed=seed, requests=truth_requests
    )
    plans = []
    for i, known in enumerate(services):
        turn = i // len(FAMILIES)
        stop = (rng.uniform(0.3, 0.6) if turn % 2 else rng.uniform(0.6, 1.0)) if turn % 3 == 2 else None
        plans.append(plan(rng, known, is_open=bool(i % 2), stop=stop))
    return run(plans, seed=seed)
