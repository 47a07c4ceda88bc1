"""Simulated services with a known capacity, and load tests of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from capacity.catalog import Service
from capacity.loadtest import LoadTest
from capacity.loadtest.gates import check_run, check_steps
from capacity.loadtest.steps import to_frame

Array = NDArray[np.float64]
PARTS = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(frozen=True)
class KnownInstance:
    """With n inside it completes μ(n) a second; a request that makes it n takes n/μ(n), lognormal.

    Poisson arrivals give a birth–death chain; its latency is the mixture over n. κ, α, β as in the curves.
    """

    family: str
    slots: int
    service_s: float
    contention: float
    coherence: float
    variation: float

    def throughput(self, n: Array) -> Array:
        if self.family == "usl":
            return n / self.service_s / (1 + self.contention * (n - 1) + self.coherence * n * (n - 1))
        return np.minimum(n, self.slots) / (self.service_s * (1 + self.contention * (n - 1)))

    @property
    def states(self) -> Array:
        return np.arange(1.0, 6.0 * self.slots + 1)

    @property
    def peak_qps(self) -> float:
        return float(self.throughput(self.states).max())

    def spread(self, n: Array) -> tuple[Array, Array]:
        mean = n / self.throughput(n)
        waiting = np.maximum(n - self.slots, 0.0) if self.family != "usl" else np.zeros_like(n)
        share = waiting / n
        variance = (self.variation * mean * (1 - share)) ** 2 + (mean * share) ** 2 / np.maximum(waiting, 1.0)
        sigma = np.sqrt(np.log1p(variance / mean**2))
        return np.log(mean) - sigma**2 / 2, sigma

    def closed_ms(self, n: Array) -> dict[str, Array]:
        centre, sigma = self.spread(n)
        z = {"p50_ms": 0.0, "p95_ms": 1.6449, "p99_ms": 2.3263}
        return {name: 1e3 * np.exp(centre + sigma * z[name]) for name in PARTS}

    def open_table(self, rates: Array) -> tuple[Array, Array]:
        """Share of arrivals later than a time (rates, times), and the times in seconds."""
        log_mu = np.log(self.throughput(self.states))
        log_weight = np.cumsum(np.log(rates)[:, None] - log_mu, axis=1) - (np.log(rates)[:, None] - log_mu)
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        centre, sigma = self.spread(self.states)
        times = np.geomspace(np.exp(centre).min() / 6, np.exp(centre).max() * 8, 300)
        return weight @ (1 - ndtr((np.log(times) - centre[:, None]) / sigma[:, None])), times

    def open_ms(self, rates: Array) -> dict[str, Array]:
        late, times = self.open_table(rates)
        return {name: 1e3 * np.array([np.interp(-(1 - p), -row, times) for row in late]) for name, p in PARTS.items()}

    def capacity(self, part: str, limit_ms: float) -> float:
        rates = np.linspace(0.02, 0.9999, 600) * self.peak_qps
        above = self.open_ms(rates)[part] > limit_ms
        return float(rates[max(int(np.argmax(above)) - 1, 0)] if above.any() else rates[-1])


@dataclass(frozen=True)
class SimulatedTest:
    """A load test, the service it was of, and the truth."""

    test: LoadTest
    service: Service
    truth_qps: float


def simulate(rng: np.random.Generator, *, closed: bool, family: str, stop: float | None = None) -> SimulatedTest:
    """Draw a service, an objective, and a staircase of it; ``stop`` ends it at that share of its capacity."""
    slots = int(rng.integers(6, 40))
    service_s = float(np.exp(rng.uniform(np.log(0.01), np.log(0.2))))
    contention = rng.uniform(0.01, 0.03) if family == "usl" else rng.uniform(0.0, 0.002)
    coherence = (1 - contention) / (slots * rng.uniform(1.4, 2.5)) ** 2 if family == "usl" else 0.0
    known = KnownInstance(family, slots, service_s, contention, coherence, rng.uniform(0.3, 0.7))
    lightest = known.closed_ms(np.array([1.0]))["p95_ms"][0]
    limit = float(lightest * rng.uniform(1.6, 3.0))
    truth = known.capacity("p95_ms", limit)
    instances = int(rng.integers(1, 5))
    nights = float(np.exp(rng.normal(0, np.hypot(0.015, 0.015 / np.sqrt(instances)))))
    seconds = float(rng.choice([60.0, 120.0, 180.0]))
    share = np.concatenate([np.linspace(0.15, 0.75, 5), np.arange(0.8, 1.12, 0.05)])
    share = np.linspace(0.1, stop, 6) * truth / known.peak_qps if stop else share
    if closed:
        curve = known.throughput(known.states)
        top = int(curve.argmax())
        rising = np.interp(np.minimum(share, 0.97) * curve[top], curve[: top + 1], known.states[: top + 1])
        load = np.unique(np.maximum(np.rint((rising + np.maximum(share - 0.97, 0) * 8 * top) * instances), 1))
        each, latency = known.throughput(load / instances), known.closed_ms(load / instances)
    else:
        load = share * known.peak_qps * instances
        each = np.minimum(share * known.peak_qps, known.peak_qps)
        latency = known.open_ms(np.minimum(share, 1.05) * known.peak_qps)
    count = each * nights * instances * seconds
    achieved = each * nights * instances * np.exp(rng.normal(size=len(load)) * np.hypot(0.003, 1 / np.sqrt(count)))
    noise = {"p50_ms": 0.01, "p95_ms": 0.02, "p99_ms": 0.035}
    measured = np.sort([latency[p] / nights * np.exp(rng.normal(size=len(load)) * s) for p, s in noise.items()], axis=0)
    rows = [
        {
            ("concurrency" if closed else "offered_qps"): float(load[i] if closed else load[i] * nights),
            "achieved_qps": float(achieved[i]),
            "p50_ms": float(measured[0, i]),
            "p95_ms": float(measured[1, i]),
            "p99_ms": float(measured[2, i]),
            "error_fraction": 0.0,
            "seconds": seconds,
        }
        for i in range(len(load))
    ]
    steps = to_frame(rows)
    gates = (*check_run(environment="production", approach=None, mocked=(), dated=True), *check_steps(steps))
    service = Service.model_validate({"name": "s", "tier": "core", "slo": {"p95_ms": limit}})
    test = LoadTest(run="r", service="s", instances=instances, steps=steps, gates=gates, environment="production")
    return SimulatedTest(test, service, truth)


@pytest.fixture(scope="session")
def simulated_test() -> Callable[..., SimulatedTest]:
    """Draws a load test with a known truth."""
    return simulate
