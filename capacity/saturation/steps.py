"""The steps of one run as plain arrays per instance, ready for the capacity at the objective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation import rules

Array = NDArray[np.float64]

LATENCY_PARTS = {"p95_ms": 0.95, "p99_ms": 0.99}
"""Parts of an objective that are latencies, with their probabilities."""

_TYPICAL_HAZARD = 4.0
_MOST_STEPS = 48
_USUAL_COUNT = 500.0
_STEEPEST = 4.0
_MOST_SD = 0.7
"""A percentile is known within a factor of three by whatever was measured."""


@dataclass(frozen=True)
class Steps:
    """Steady steps of one run, per instance, sorted by load.

    Attributes
    ----------
    is_open
        Whether ``load`` is an offered rate; else it is a concurrency.
    load, good_qps
        Arrays (n,): load per instance, and requests answered without error per instance and second.
    latency_ms
        ``p50_ms``, ``p95_ms``, ``p99_ms``: arrays (n,), NaN where unknown.
    error_fraction, cpu_fraction
        Arrays (n,), NaN where unknown.
    requests
        Requests behind each step's figures, all instances together, (n,); NaN where unknown.
    concurrency
        Requests inside per instance, (n,), NaN where unknown; None where no step says.
    """

    is_open: bool
    load: Array
    good_qps: Array
    latency_ms: dict[str, Array]
    error_fraction: Array
    cpu_fraction: Array
    requests: Array
    concurrency: Array | None = None

    def __len__(self) -> int:
        return len(self.load)

    @property
    def answered_qps(self) -> Array:
        """Requests answered, well or not, (n,)."""
        return np.asarray(self.good_qps / np.maximum(1.0 - np.nan_to_num(self.error_fraction), 1e-9))

    @property
    def keeps_up(self) -> NDArray[np.bool_]:
        """Steps whose arrivals were all served in time; every step of a closed test is.

        What serves less than a lighter step did is overloaded, even if it answers all others by refusing them.
        """
        if not self.is_open:
            return np.ones(len(self), dtype=bool)
        # A short step's count differs from what was meant by chance alone.
        chance = 3.0 / np.sqrt(np.maximum(self.counted, 1.0))
        share = rules.STABLE_SHARE - np.minimum(chance, 0.2)
        most = np.maximum.accumulate(self.good_qps)
        return np.asarray((self.answered_qps >= share * self.load) & (self.good_qps >= share * most))

    @property
    def counted(self) -> Array:
        """Requests behind each step, with a modest guess where the file does not say."""
        return np.asarray(np.where(np.isfinite(self.requests) & (self.requests > 0), self.requests, _USUAL_COUNT))

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Steps:
        """Keep some steps."""
        return Steps(
            self.is_open,
            self.load[rows],
            self.good_qps[rows],
            {k: v[rows] for k, v in self.latency_ms.items()},
            self.error_fraction[rows],
            self.cpu_fraction[rows],
            self.requests[rows],
            None if self.concurrency is None else self.concurrency[rows],
        )

    def thinned(self) -> Steps:
        """At most a few dozen steps: what costs the square of their number stays cheap."""
        if len(self) <= _MOST_STEPS:
            return self
        return self.take(np.unique(np.linspace(0, len(self) - 1, _MOST_STEPS).round().astype(np.int64)))


def with_imputed_tails(latency: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Fill a tail percentile that was not recorded from its neighbours, and say how unsure that is.

    Between p50 and another percentile the logarithm of latency is taken as normal; the filled value then carries a
    log standard deviation of 8 % between known percentiles and 20 % beyond them.

    Returns
    -------
    tuple
        The percentiles, and for each the extra log standard deviation (0 where it was recorded).

    Examples
    --------
    >>> import numpy as np
    >>> row = {"p50_ms": np.array([200.0]), "p95_ms": np.array([np.nan]), "p99_ms": np.array([400.0])}
    >>> filled, extra = with_imputed_tails(row)
    >>> float(filled["p95_ms"][0].round()), extra["p95_ms"].tolist()
    (327.0, [0.08])
    """
    z = {"p50_ms": 0.0, "p95_ms": 1.6449, "p99_ms": 2.3263}
    filled = {k: v.copy() for k, v in latency.items()}
    extra = {k: np.zeros_like(v) for k, v in latency.items()}
    for part, other, spread in (("p95_ms", "p99_ms", 0.08), ("p99_ms", "p95_ms", 0.2)):
        with np.errstate(divide="ignore", invalid="ignore"):
            grown = np.log(latency[other] / latency["p50_ms"]) * z[part] / z[other]
            guess = latency["p50_ms"] * np.exp(np.maximum(grown, 0.0))
        missing = np.isnan(latency[part]) & np.isfinite(guess)
        filled[part] = np.where(missing, guess, latency[part])
        extra[part] = np.where(missing, spread, 0.0)
    return filled, extra


def percentile_log_sd(steps: Steps, part: str) -> Array:
    """Compute the sampling error of a latency percentile, as standard deviation of its logarithm, (n,).

    Two things make a step's percentile differ from that of an endless one. Requests are counted: the density that the
    distance between p95 and p99 implies gives the error of a quantile. And a queue wanders: what latency has grown by
    since the lightest step is only as sure as the queue came and went often during the step, see `queue_memory`.

    References
    ----------
    .. [1] A. Stuart, J. K. Ord, "Kendall's Advanced Theory of Statistics", vol. 1, section 10.10: variance of a
       quantile, q(1 − q) / (n f²).
    .. [2] W. Whitt, "Planning queueing simulations", Management Science 35 (1989): how long a queue must be watched.
    """
    tail = 1.0 - LATENCY_PARTS[part]
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.log(5.0) / np.log(steps.latency_ms["p99_ms"] / steps.latency_ms["p95_ms"])
    hazard = np.where(np.isfinite(hazard) & (hazard > 0), np.clip(hazard, 1.0, 20.0), _TYPICAL_HAZARD)
    # With users who wait for answers neighbours share a queue whose length they themselves hold steady.
    counted = steps.counted if steps.is_open else steps.counted / 2.0
    chance = np.sqrt((1 - tail) / (tail * np.maximum(counted, 1.0))) / hazard
    wander = np.sqrt(np.minimum(queue_memory(steps) / steps.counted, 1.0)) * _grown(steps, part)
    return np.asarray(np.minimum(np.hypot(chance, wander), _MOST_SD))


def _grown(steps: Steps, part: str) -> Array:
    """Share of a percentile by which it is above the lightest step's, (n,)."""
    values = with_imputed_tails(steps.latency_ms)[0][part]
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return np.zeros(len(steps))
    rising = np.maximum.accumulate(np.where(np.isfinite(values), values, 0.0))
    return np.asarray(1.0 - values[known[0]] / np.maximum(rising, values[known[0]]))


def queue_memory(steps: Steps) -> Array:
    """For how many requests a queue remembers how long it was, (n,); 0 in a closed test, which holds it steady.

    A queue fluctuates about its mean and forgets in the time by which its mean length L grows per growth of the arrival
    rate λ: 1/(μ(1 − ρ)²) of a single server, as dL/dλ is. What all requests would be inside anyway is no queue. The
    heavier step of two is steeper than the line between them, in proportion to what latency has grown by.

    Examples
    --------
    A single server, 1 ms a request, at half its rate and at nine tenths: 2λ/(μ(1 − ρ)²) is 4 and 180.

    >>> import numpy as np
    >>> rho, none = np.array([0.01, 0.45, 0.5, 0.85, 0.9]), np.full(5, np.nan)
    >>> mean = 1.0 / (1.0 - rho)
    >>> latency = {"p50_ms": np.log(2) * mean, "p95_ms": 3.0 * mean, "p99_ms": 4.6 * mean}
    >>> queue_memory(Steps(True, 1e3 * rho, 1e3 * rho, latency, none, none, none))[[2, 4]].round().tolist()
    [3.0, 194.0]
    """
    mean = mean_response_s(steps)
    known = np.flatnonzero(np.isfinite(mean))
    memory = np.zeros(len(steps))
    if not steps.is_open or len(known) < 2:
        return memory
    rate, response = steps.load[known], np.maximum.accumulate(mean[known])
    alone = response[0]
    grown = np.maximum(response - alone, 0.01 * alone)
    slope = np.diff(rate * response) / np.maximum(np.diff(rate), 1e-300) - alone
    steeper = np.clip(grown[1:] / grown[:-1], 1.0, _STEEPEST)
    memory[known[1:]] = 2.0 * rate[1:] * np.maximum(slope, 0.0) * steeper
    return memory


def mean_response_s(steps: Steps) -> Array:
    """Mean time of a request by its percentiles, taken as lognormal, (n,); NaN where none was recorded."""
    middle, tail = steps.latency_ms["p50_ms"], with_imputed_tails(steps.latency_ms)[0]["p95_ms"]
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.log(tail / middle) / 1.6449
    mean = middle * np.exp(np.clip(np.nan_to_num(sigma, nan=0.5), 0.0, 1.5) ** 2 / 2.0)
    return np.asarray(np.where(np.isfinite(mean), mean, 0.5 * tail) / 1e3)
