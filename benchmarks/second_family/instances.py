"""What one instance is: a queue with c servers and general service times, or shared processors with a knee."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from benchmarks.second_family.graph import Graph
from benchmarks.second_family.setting import Setting, rng_of
from capacity.demo.randomness import log_uniform, nice_up

Array = NDArray[np.float64]
_LOADS = np.concatenate([np.linspace(0.02, 0.6, 16), np.linspace(0.62, 0.995, 76)])
_PARTS = np.array([0.5, 0.95, 0.99])
_GRID = 260


@dataclass(frozen=True)
class Instance:
    r"""One instance.

    ``queue``: M/G/c, first come first served. A request waits with the probability of Erlang's C, then for an
    exponential time of mean :math:`\frac{1 + v^2}{2} \frac{1}{c\mu - \lambda}` (Allen and Cunneen's two moments;
    exponential as in heavy traffic, Kingman 1962), then is served in a lognormal time of variation v. One that waits
    longer than 25 service times fails.

    ``sharing``: processor sharing with a knee: with n inside, everybody is slowed by
    :math:`\max(1, n/c) (1 + (n/k)^2 / 2)`, k the number at which memory and collectors give in; n has the birth–death
    distribution that sharing keeps whatever the service times (insensitivity, Kelly 1979). At most 1.5k fit in.

    Parameters
    ----------
    form
        ``queue`` or ``sharing``.
    service_s
        Mean time of a request alone.
    servers
        c.
    variation
        v.
    knee
        k.
    base_errors
        Share that fails however light the load.
    cpu_idle, cpu_busy, cpu_power
        CPU use = idle + busy × (throughput ÷ largest) ** power.
    """

    form: str
    service_s: float
    servers: int
    variation: float
    knee: float
    base_errors: float
    cpu_idle: float
    cpu_busy: float
    cpu_power: float

    def throughput(self, inside: Array) -> Array:
        """Completions a second with so many inside."""
        served = np.minimum(inside, self.servers) / self.service_s
        return served if self.form == "queue" else np.asarray(served / (1 + (inside / self.knee) ** 2 / 2))

    @property
    def most(self) -> int:
        """Largest number inside."""
        return int(np.ceil(1.5 * self.knee))

    @cached_property
    def largest(self) -> float:
        """Largest throughput."""
        return float(self.throughput(np.linspace(1, self.most, 400)).max())

    @cached_property
    def table(self) -> "Table":
        """What clients see at loads up to the largest throughput."""
        rate = _LOADS * self.largest
        return self._queue(rate) if self.form == "queue" else self._sharing(rate)

    def cpu(self, throughput: Array) -> Array:
        """CPU use at so many completions a second."""
        use = np.minimum(throughput / self.largest, 1.0) ** self.cpu_power
        return np.asarray(np.minimum(self.cpu_idle + self.cpu_busy * use, 1.0))

    def _lognormal(self) -> tuple[float, float]:
        sigma = float(np.sqrt(np.log1p(self.variation**2)))
        return float(np.log(self.service_s)) - sigma**2 / 2, sigma

    def _queue(self, rate: Array) -> "Table":
        erlangs = rate * self.service_s
        blocked = np.ones_like(rate)
        for servers in range(1, self.servers + 1):
            blocked = erlangs * blocked / (servers + erlangs * blocked)
        waiting = blocked / (1 - erlangs / self.servers * (1 - blocked))
        mean_wait = (1 + self.variation**2) / 2 / (self.servers / self.service_s - rate)
        failing = waiting * np.exp(-25 * self.service_s / mean_wait)
        centre, sigma = self._lognormal()
        served = np.exp(centre + sigma * ndtri((np.arange(60) + 0.5) / 60))
        times = np.geomspace(served[0] / 2, served[-1] * 3 + 8 * mean_wait[-1], _GRID)
        left = (times[:, None] - served[None, :]).clip(0)
        late = np.array([np.exp(-left / wait).mean(axis=1) for wait in mean_wait])
        here = ndtr((np.log(times) - centre) / sigma)
        below = (1 - waiting)[:, None] * here + waiting[:, None] * (1 - late).clip(0)
        inside = erlangs + rate * waiting * mean_wait
        return _table(rate, times, below, failing, inside, self.base_errors)

    def _sharing(self, rate: Array) -> "Table":
        states = np.arange(1.0, self.most + 1)
        log_weight = np.cumsum(np.log(rate)[:, None] - np.log(self.throughput(states)), axis=1)
        log_weight = np.concatenate([np.zeros((len(rate), 1)), log_weight], axis=1)
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        slowed = states / self.throughput(states) / self.service_s
        centre, sigma = self._lognormal()
        times = np.geomspace(np.exp(centre - 3 * sigma), self.service_s * slowed[-1] * np.exp(3 * sigma), _GRID)
        each = ndtr((np.log(times)[:, None] - centre - np.log(slowed)) / sigma)
        seen = weight[:, :-1] / weight[:, :-1].sum(axis=1, keepdims=True)
        inside = weight @ np.arange(len(states) + 1.0)
        return _table(rate, times, seen @ each.T, weight[:, -1], inside, self.base_errors)


@dataclass(frozen=True)
class Table:
    """Open-model behaviour by arrival rate: latency (p50, p95, p99), share failing, mean number inside."""

    rate: Array
    latency_ms: Array
    failing: Array
    inside: Array

    def at(self, rate: Array) -> tuple[Array, Array, Array]:
        """Latency (n, 3), share failing (n,) and number inside (n,) at these rates."""
        latency = np.stack([np.interp(rate, self.rate, self.latency_ms[:, k]) for k in range(3)], axis=-1)
        return latency, np.interp(rate, self.rate, self.failing), np.interp(rate, self.rate, self.inside)

    def capacity(self, slo: Mapping[str, float]) -> dict[str, float]:
        """Rate up to which each part of the objective holds."""
        columns = {"p95_ms": self.latency_ms[:, 1], "p99_ms": self.latency_ms[:, 2], "error_fraction": self.failing}
        return {
            part: float(np.interp(limit, np.maximum.accumulate(columns[part]) + 1e-12 * self.rate, self.rate))
            for part, limit in slo.items()
        }


def _table(rate: Array, times: Array, below: Array, failing: Array, inside: Array, errors: float) -> Table:
    rising = np.maximum.accumulate(below, axis=1) + 1e-12 * np.arange(len(times))
    latency = np.array([np.interp(_PARTS, row, np.log(times)) for row in rising])
    return Table(rate, 1000 * np.exp(latency), failing + (1 - failing) * errors, inside)


@dataclass(frozen=True)
class TrueService:
    """A service that scales: its instance, its objective, and what follows."""

    name: str
    instance: Instance
    slo: dict[str, float]
    by_part: dict[str, float]

    @property
    def capacity_qps(self) -> float:
        """Arrivals a second and instance up to which every part of the objective holds."""
        return min(self.by_part.values())


def draw_services(setting: Setting, graph: Graph, usual_dau: float) -> dict[str, TrueService]:
    """Draw every service that scales: all but stores and partners.

    Half are queues, half share processors. Service times 2 … 200 ms (log-uniform), variation 0.4 … 2, 4 … 16 servers
    times (users / 10⁶) ** 0.3; the objective is what latency is at 70 … 92 % (sharing: 45 … 65 %) of the largest
    throughput, rounded up.

    Examples
    --------
    >>> from benchmarks.second_family.graph import draw_graph
    >>> from benchmarks.second_family.setting import draw_setting
    >>> setting = draw_setting(0)
    >>> services = draw_services(setting, draw_graph(setting), 1e6)
    >>> all(0 < s.capacity_qps < s.instance.largest for s in services.values())
    True
    """
    return {
        name: _draw_service(rng_of(setting, "service", name), name, usual_dau)
        for name in graph.of_role("entry", "middle", "worker")
    }


def _draw_service(rng: np.random.Generator, name: str, usual_dau: float) -> TrueService:
    servers = max(round(float(np.exp(rng.uniform(np.log(4), np.log(16)))) * (usual_dau / 1e6) ** 0.3), 2)
    instance = Instance(
        form=str(rng.choice(["queue", "sharing"])),
        service_s=log_uniform(rng, 0.002, 0.2),
        servers=servers,
        variation=rng.uniform(0.4, 2.0),
        knee=servers * rng.uniform(2.0, 5.0),
        base_errors=log_uniform(rng, 1e-5, 3e-4),
        cpu_idle=rng.uniform(0.01, 0.08),
        cpu_busy=rng.uniform(0.5, 0.85),
        cpu_power=rng.uniform(1.0, 1.2),
    )
    # Shared processors give in earlier: nobody promises what holds only past the knee.
    busy = rng.uniform(0.70, 0.92) if instance.form == "queue" else rng.uniform(0.45, 0.65)
    latency, _, _ = instance.table.at(np.array([busy * instance.largest]))
    part = str(rng.choice(["p99_ms", "p95_ms", "both"]))
    slo = {"p95_ms": nice_up(float(latency[0, 1])), "p99_ms": nice_up(float(latency[0, 2]))}
    slo = slo if part == "both" else {part: slo[part]}
    if rng.random() < 0.4:
        slo["error_fraction"] = float(rng.choice([0.001, 0.005, 0.01]))
    return TrueService(name, instance, slo, instance.table.capacity(slo))
