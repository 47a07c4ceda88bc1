"""Services with a known curve and a known capacity at their objective."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.saturation.engine import Stations, simulate

Array = NDArray[np.float64]

FAMILIES = ("hard_end", "amdahl", "usl", "pool", "mmc", "cpu", "pool_coherency", "usl_pool", "series")
"""The last three are mixtures no curve of the package describes; ``cpu`` is a delay in front of cores."""

MOST_REFUSED = 0.01
"""Share of requests that may fail by every service's objective."""

PROBABILITY = {"p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(frozen=True)
class Known:
    """One instance of a service.

    Attributes
    ----------
    family
        One of `FAMILIES`.
    rates, slots, sigma
        One entry a station, as `engine.Stations` has them for one replica.
    most
        Requests inside beyond which an arrival is refused.
    alone_s
        Mean time of a request that is alone.
    part, limit_s
        The objective.
    capacity_qps
        Poisson arrivals a second at which the objective breaks: the truth.
    """

    family: str
    rates: tuple[Array, ...]
    slots: tuple[int, ...]
    sigma: tuple[float, ...]
    most: int
    alone_s: float
    part: str
    limit_s: float = float("nan")
    capacity_qps: float = float("nan")

    @property
    def peak_qps(self) -> float:
        """Most completions a second that it can hold up."""
        return float(min(r.max() for r in self.rates))


def _usl(n: Array, contention: float, coherence: float) -> Array:
    return n / (1.0 + contention * (n - 1.0) + coherence * n * (n - 1.0))


def draw(rng: np.random.Generator, family: str) -> Known:
    """Draw a service of a family: 4 to 120 requests at work, 10 to 50,000 requests/s."""
    size = int(np.exp(rng.uniform(np.log(4), np.log(120))))
    alone = float(np.clip(size / np.exp(rng.uniform(np.log(20), np.log(30000))), 0.0008, 0.4))
    cv = rng.uniform(0.2, 1.0)
    sigma = float(np.sqrt(np.log1p(cv**2)))
    part = str(rng.choice(["p95_ms", "p99_ms"]))
    # Where requests wait in line the line must be longer than any objective; sharing servers refuse earlier.
    most = (6 if family in ("amdahl", "usl", "cpu") else 15) * size + 20
    n = np.maximum(np.arange(most + 1.0), 1e-9)
    busy = np.minimum(n, size)
    if family in ("cpu", "series"):
        return _two(rng, family, size=size, alone=alone, sigma=sigma, part=part, n=n)
    contention, coherence = rng.uniform(0.0, 0.5) / size, 1.0 / (size * rng.uniform(0.8, 2.0)) ** 2
    slots = size
    if family == "hard_end":
        rates = busy / alone
    elif family == "mmc":
        rates, sigma = busy / alone, float("nan")
    elif family == "pool":
        rates = busy / (1.0 + rng.uniform(0.0, 0.3) / size * np.maximum(n - 1.0, 0.0)) / alone
    elif family == "pool_coherency":
        rates = busy / (1.0 + contention * np.maximum(n - 1, 0) + 0.3 * coherence * n * np.maximum(n - 1, 0)) / alone
    elif family == "usl_pool":
        rates = _usl(busy, contention, coherence) / alone
    elif family == "amdahl":
        rates, slots = _usl(n, rng.uniform(0.5, 2.0) / size, 0.0) / alone, most
    elif family == "usl":
        rates, slots = _usl(n, contention, coherence) / alone, most
    else:
        raise ValueError(family)
    most = _bounded(rates, most, kept=rng.uniform(0.3, 0.9))
    return Known(family, (rates[: most + 1],), (min(slots, most),), (sigma,), most, alone, part)


def _bounded(rates: Array, most: int, *, kept: float) -> int:
    """Let a service refuse before it keeps less than this share of its best: else any overload is its end for ever."""
    fallen = np.flatnonzero((rates < kept * rates.max()) & (np.arange(len(rates)) > rates.argmax()))
    return int(min(most, max(fallen[0], 1.5 * rates.argmax()))) if len(fallen) else most


def _two(rng: np.random.Generator, family: str, *, size: int, alone: float, sigma: float, part: str, n: Array) -> Known:
    most = len(n) - 1
    if family == "series":
        first = alone * rng.uniform(0.2, 0.8)
        second = alone - first
        c1 = max(round(size * first / alone), 1)
        c2 = max(round(c1 / first * second * rng.uniform(0.8, 1.25)), 1)
        rates = np.minimum(n, c1) / first, np.minimum(n, c2) / second
        return Known(family, rates, (c1, c2), (sigma, sigma), most, alone, part)
    cores = max(round(size * rng.uniform(0.15, 0.7)), 1)
    demand = alone * cores / size
    rates = n / max(alone - demand, 1e-9), np.minimum(n, cores) / demand
    return Known(family, rates, (most, most), (sigma, sigma), most, alone, part)


def stations(services: list[Known], *, speed: Array) -> list[Stations]:
    """Put services beside one another, each as fast as ``speed`` (B,) times its usual."""
    width = max(s.most for s in services) + 1
    line = []
    for k in range(len(services[0].rates)):
        rates = np.stack([np.pad(s.rates[k], (0, width - len(s.rates[k])), mode="edge") for s in services])
        slots = np.array([s.slots[k] for s in services])
        line.append(Stations(rates * speed[:, None], slots, np.array([s.sigma[k] for s in services])))
    return line


def grouped(services: list[Known]) -> list[NDArray[np.int64]]:
    """Rows that can be simulated together without waste: as many stations, and about as many slots."""
    kind = [(len(s.rates), int(np.digitize(max(s.slots), (24, 64, 200)))) for s in services]
    return [np.flatnonzero([k == one for k in kind]) for one in sorted(set(kind))]


def with_capacity(services: list[Known], *, seed: int, requests: int) -> list[Known]:
    """Give services an objective and find by simulation the arrivals at which it breaks."""
    rng = np.random.default_rng([seed, 7])
    done = list(services)
    for rows in grouped(services):
        some = [services[i] for i in rows]
        limits = _light(some, rows) * rng.uniform(1.3, 3.0, len(some))
        allowed = np.array([1.0 - PROBABILITY[s.part] for s in some])
        peak = np.array([s.peak_qps for s in some])
        coarse = np.tile(np.linspace(0.1, 1.1, 16), (len(some), 1)) * peak[:, None]
        guess = _capacity(some, coarse, limits, allowed, rows, requests=max(requests // 20, 2000))
        # Few late requests come alone: a rate is told by the long run only, from which the last search reads it.
        for width, run in ((0.08, requests // 4), (0.05, requests)):
            near = guess[:, None] * np.linspace(1.0 - width, 1.0 + width, 5)[None, :]
            guess = _capacity(some, near, limits, allowed, rows, requests=run)
        capacity = guess
        for i, s, limit, qps in zip(rows, some, limits, capacity, strict=True):
            done[i] = replace(s, limit_s=float(limit), capacity_qps=float(qps))
    return done


def capacity_near(
    services: list[Known], usual: list[Known], *, seeds: NDArray[np.int64], requests: int = 12000
) -> Array:
    """Capacity (B,) of services that differ little from others whose capacity is known; one seed, one luck."""
    found = np.empty(len(services))
    for rows in grouped(services):
        some = [services[i] for i in rows]
        near = np.array([usual[i].capacity_qps for i in rows])[:, None] * np.linspace(0.9, 1.1, 9)[None, :]
        limits, allowed = np.array([s.limit_s for s in some]), np.array([1.0 - PROBABILITY[s.part] for s in some])
        found[rows] = _capacity(some, near, limits, allowed, seeds[rows], requests=requests)
    return found


def _light(services: list[Known], seeds: NDArray[np.int64]) -> Array:
    size = len(services)
    found = simulate(
        stations(services, speed=np.ones(size)),
        rate=np.ones(size),
        users=np.ones(size, dtype=np.int64),
        most=np.array([s.most for s in services]),
        requests=4000,
        seeds=seeds,
    )
    at = [PROBABILITY[s.part] for s in services]
    return np.array([np.nanquantile(row, p) for row, p in zip(found.latency_s, at, strict=True)])


def _capacity(
    services: list[Known], rates: Array, limits: Array, allowed: Array, seeds: NDArray[np.int64], *, requests: int
) -> Array:
    """Least of the rates at which too many are late and at which too many are refused, (B,)."""
    k = rates.shape[1]
    many = [s for s in services for _ in range(k)]
    found = simulate(
        stations(many, speed=np.ones(len(many))),
        rate=rates.ravel(),
        users=np.zeros(len(many), dtype=np.int64),
        most=np.array([s.most for s in many]),
        requests=requests,
        seeds=np.repeat(seeds, k),
        limit_s=np.repeat(limits, k),
    )
    late, refused = found.late.reshape(rates.shape), found.refused.reshape(rates.shape)
    return np.minimum(_crossing(rates, late, allowed), _crossing(rates, refused, np.full(len(rates), MOST_REFUSED)))


def _crossing(rates: Array, share: Array, allowed: Array) -> Array:
    """Rate at which the share passes what is allowed, its logarithm taken as linear between neighbours."""
    rising = np.log(np.maximum(np.maximum.accumulate(share, axis=1), 1e-5)) - np.log(allowed)[:, None]
    at = np.clip((rising > 0).argmax(axis=1), 1, rates.shape[1] - 1)
    at = np.where((rising > 0).any(axis=1), at, rates.shape[1] - 1)
    rows = np.arange(len(rates))
    low, high = rising[rows, at - 1], rising[rows, at]
    step = np.clip(-low / np.maximum(high - low, 1e-9), 0.0, 1.0)
    return np.asarray(rates[rows, at - 1] + step * (rates[rows, at] - rates[rows, at - 1]))
