"""The true process inside one instance: a birth–death chain, from which load tests, latency and capacity follow."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

_LOADS = np.concatenate([np.linspace(0.02, 0.7, 24), np.linspace(0.72, 1.3, 117)])
_TIMES = 400


@dataclass(frozen=True)
class Instance:
    r"""One instance of a service: with n requests in it, it completes μ(n) a second.

    Two families, after Gunther (2007) and the bounded pool:

    .. math:: \mu_{pool}(n) = \frac{\min(n, c)}{S + \kappa (n - 1)}, \qquad
              \mu_{usl}(n) = \frac{\gamma n}{1 + \alpha (n - 1) + \beta n (n - 1)}

    At most `most` requests fit in; more are refused. With Poisson arrivals at rate λ the number inside is a
    birth–death chain, π(n) ∝ ∏ λ/μ(i). A request that finds n − 1 others takes a time of mean n/μ(n), which for the
    pool is its service and the wait behind n − c others, lognormal with the variance of the parts.

    Parameters
    ----------
    family
        ``"pool"`` or ``"usl"``.
    service_s
        S, or 1/γ: seconds one request takes alone.
    slots
        c of the pool; only the scale of the chain for USL.
    contention
        κ in seconds (pool), or α.
    coherence
        β (USL); 0 for the pool.
    variation
        Coefficient of variation of the service time.
    base_errors
        Share of requests that fail however light the load.
    cpu_idle, cpu_at_peak
        CPU use without traffic, and at the largest throughput; between them it is linear in throughput.
    """

    family: str
    service_s: float
    slots: int
    contention: float
    coherence: float
    variation: float
    base_errors: float
    cpu_idle: float
    cpu_at_peak: float

    @property
    def most(self) -> int:
        """Largest number of requests inside."""
        return max(4 * self.slots, self.slots + 24)

    def throughput(self, inside: Array) -> Array:
        """Completions per second with so many requests inside (not necessarily a whole number)."""
        if self.family == "pool":
            return np.asarray(np.minimum(inside, self.slots) / (self.service_s + self.contention * (inside - 1)))
        return np.asarray(
            inside / self.service_s / (1 + self.contention * (inside - 1) + self.coherence * inside * (inside - 1))
        )

    @cached_property
    def peak_throughput(self) -> float:
        """Largest throughput at a whole number inside."""
        return float(self.throughput(np.arange(1.0, self.most + 1)).max())

    def moments(self, inside: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, in seconds, of a request's time with so many inside, itself included."""
        total = inside / self.throughput(inside)
        if self.family != "pool":
            return total, self.variation * total
        waiting = np.maximum(inside - self.slots, 0.0)
        service = np.minimum(inside, self.slots) * total / inside
        wait = total - service
        variance = (self.variation * service) ** 2 + np.where(waiting > 0, wait**2 / np.maximum(waiting, 1), 0.0)
        return total, np.sqrt(variance)

    def inside(self, rate: Array) -> Array:
        """Stationary distribution of the number inside: shape (len(rate), most + 1)."""
        log_mu = np.log(self.throughput(np.arange(1.0, self.most + 1)))
        steps = np.log(rate)[:, None] - log_mu[None, :]
        log_weight = np.concatenate([np.zeros((len(rate), 1)), np.cumsum(steps, axis=1)], axis=1)
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        return np.asarray(weight / weight.sum(axis=1, keepdims=True))

    def quantiles_at(self, inside: Array, probabilities: tuple[float, ...] = (0.50, 0.95, 0.99)) -> Array:
        """Latency quantiles in ms with a constant number inside (a closed test): shape (len(inside), 3)."""
        from scipy.special import ndtri

        mean, deviation = self.moments(inside)
        sigma = np.sqrt(np.log1p((deviation / mean) ** 2))
        centre = np.log(mean) - sigma**2 / 2
        return np.asarray(1000 * np.exp(centre[:, None] + sigma[:, None] * ndtri(np.asarray(probabilities))[None, :]))

    @cached_property
    def table(self) -> "Table":
        """What clients see at arrival rates from nothing to 1.3 times the largest throughput."""
        rate = _LOADS * self.peak_throughput
        distribution = self.inside(rate)
        states = np.arange(1.0, self.most + 1)
        mean, deviation = self.moments(states)
        sigma = np.sqrt(np.log1p((deviation / mean) ** 2))
        centre = np.log(mean) - sigma**2 / 2
        times = np.geomspace(mean.min() / 8, mean.max() * 8, _TIMES)
        below = ndtr((np.log(times)[None, :] - centre[:, None]) / sigma[:, None])
        arrivals = distribution[:, :-1] / distribution[:, :-1].sum(axis=1, keepdims=True)
        cumulative = arrivals @ below
        quantiles = np.array(
            [[np.interp(p, row, np.log(times)) for p in (0.50, 0.95, 0.99)] for row in cumulative], dtype=np.float64
        )
        refused = distribution[:, -1]
        numbers = distribution @ np.arange(0.0, self.most + 1)
        return Table(rate, 1000 * np.exp(quantiles), refused, numbers, self.base_errors)

    def cpu(self, throughput: Array) -> Array:
        """CPU use as a fraction at that throughput per instance (utilization law)."""
        return np.asarray(self.cpu_idle + (self.cpu_at_peak - self.cpu_idle) * throughput / self.peak_throughput)

    def capacity(self, *, p95_ms: float | None, p99_ms: float | None, error_fraction: float | None) -> dict[str, float]:
        """Arrivals per second up to which each given part of the objective holds in the open model.

        Examples
        --------
        >>> pool = Instance("pool", 0.1, 16, 0.00015, 0.0, 0.5, 1e-4, 0.03, 0.8)
        >>> pool.capacity(p95_ms=300, p99_ms=None, error_fraction=None)["p95_ms"] < pool.peak_throughput
        True
        """
        table = self.table
        parts = {}
        for name, limit, column in (("p95_ms", p95_ms, 1), ("p99_ms", p99_ms, 2)):
            if limit is not None:
                parts[name] = _crossing(table.rate, np.maximum.accumulate(table.latency_ms[:, column]), limit)
        if error_fraction is not None:
            parts["error_fraction"] = _crossing(table.rate, np.maximum.accumulate(table.errors), error_fraction)
        return parts


@dataclass(frozen=True)
class Table:
    """Open-model behaviour of one instance by arrival rate: latency (p50, p95, p99), refusals, number inside."""

    rate: Array
    latency_ms: Array
    refused: Array
    numbers: Array
    base_errors: float

    @property
    def errors(self) -> Array:
        """Share of arrivals that fail: refused, or failing anyway."""
        return np.asarray(self.refused + (1 - self.refused) * self.base_errors)

    def at(self, rate: Array) -> tuple[Array, Array, Array]:
        """Latency in ms (n, 3), share failing (n,) and mean number inside (n,) at these arrival rates."""
        latency = np.stack([np.interp(rate, self.rate, self.latency_ms[:, k]) for k in range(3)], axis=-1)
        return latency, np.interp(rate, self.rate, self.errors), np.interp(rate, self.rate, self.numbers)


def _crossing(rate: Array, value: Array, limit: float) -> float:
    """Rate at which an increasing value passes its limit."""
    above = np.nonzero(value > limit)[0]
    if not len(above):
        return float(rate[-1])
    k = int(above[0])
    if k == 0:
        return 0.0
    part = (limit - value[k - 1]) / (value[k] - value[k - 1])
    return float(rate[k - 1] + part * (rate[k] - rate[k - 1]))
