"""Open tests: the arrival rate at which latency passes its limit, between steps, into overload, and past the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation import rules
from capacity.saturation.interpolation import crossing_share, first_above
from capacity.saturation.queueing import late_share, open_capacity
from capacity.saturation.steps import LATENCY_PARTS, Steps, mean_response_s, queue_memory, with_imputed_tails

Array = NDArray[np.float64]

_PEAKS = 16
_EVENING_S = 7200.0
"""How long a peak lasts: the two hours of an opening or of an evening's height."""
_MODEL_ERROR = 0.5
"""Log standard deviation by which an M/G/c queue may miss how many are late: it misses latency by about 12 %."""


@dataclass(frozen=True)
class OpenCapacity:
    """Arrival rate at the objective, (S,).

    Attributes
    ----------
    qps
        Samples; the heaviest load where nothing broke.
    first
        Index of the first step that broke the objective.
    most_qps
        Where nothing broke, a rate that latency cannot hold to if it bends upward; ``inf`` where it did not grow.
    knee
        Whether a step did not keep up with its arrivals.
    """

    qps: Array
    first: NDArray[np.int64]
    most_qps: Array
    knee: bool


def open_steps_capacity(
    steps: Steps,
    excess: Mapping[str, Array],
    raw: Mapping[str, Array],
    limits: Mapping[str, float],
    *,
    speed: Array,
    rng: np.random.Generator,
) -> OpenCapacity:
    """Read an open test.

    Parameters
    ----------
    steps
        Usable steps.
    excess
        How far each step is above each part of the objective, never falling with load, (S, n).
    raw
        The same of latencies as they were measured: what never falls would always seem to rise.
    limits
        The objective.
    speed
        Log of each step's speed relative to the usual, (S, n): a step that ran faster shows the usual instance at a
        lower rate.
    """
    late = np.flatnonzero(~steps.keeps_up)
    knee, end = bool(len(late)), int(late[0]) + 1 if len(late) else len(steps)
    x = steps.load if knee else np.minimum(steps.load, steps.answered_qps * 1.02)
    size = len(speed)
    bend = np.asarray(rng.uniform(size=size))
    places = np.maximum.accumulate(x[None, :end] * np.exp(-speed[:, :end]), axis=1)
    answer: Array = places[:, -1].copy()
    first = np.full(size, end, dtype=np.int64)
    most = np.full(size, np.inf)
    for part, values in excess.items():
        cut = values[:, :end].copy()
        if knee:
            cut[:, -1] = np.maximum(cut[:, -1], 1e-3)
        at = first_above(cut)
        crossed = _crossed(places, cut, at, bend=bend, is_latency=part in LATENCY_PARTS)
        answer, first = np.minimum(answer, crossed), np.minimum(first, at)
        if part in raw:
            most = np.minimum(most, _chord_end(places, raw[part][:, :end]))
    if knee:
        into_overload = (first == end - 1) & (first > 0)
        below = places[:, max(end - 2, 0)]
        found, peak = _in_gap(steps, limits, below, end - 1, speed=speed[:, end - 1], rng=rng)
        answer = np.where(into_overload, found, answer)
        answer = np.minimum(answer, peak * (1.0 - lost_to_collapse(steps, end - 1) * rng.uniform(size=size)))
    return OpenCapacity(answer, first, most, knee)


def _chord_end(places: Array, values: Array) -> Array:
    """Where a straight line on from the upper half of the steps passes the limit, (S,): latency that bends is earlier.

    The line goes through the last step with the slope of least squares, which no bend makes steeper than its end.
    """
    upper = max(places.shape[1] // 2, 2)
    x, y = places[:, -upper:], np.exp(np.minimum(values[:, -upper:], 5.0))
    if x.shape[1] < 2:
        return np.full(len(x), np.inf)
    centred = x - x.mean(axis=1, keepdims=True)
    slope = (centred * y).sum(axis=1) / np.maximum((centred**2).sum(axis=1), 1e-300)
    room = np.maximum(1.0 - y[:, -1], 0.0)
    return np.asarray(np.where(slope > 0, x[:, -1] + room / np.maximum(slope, 1e-300), np.inf))


def _crossed(places: Array, values: Array, at: NDArray[np.int64], *, bend: Array, is_latency: bool) -> Array:
    """Place of the crossing of each row; the last place where there is none, a share of the first where all break."""
    rows, n = np.arange(len(values)), values.shape[1]
    upper, lower = np.minimum(at, n - 1), np.clip(at - 1, 0, n - 1)
    inside = (at > 0) & (at < n)
    below = np.where(inside, values[rows, lower], -0.5)
    above = np.where(inside, np.maximum(values[rows, upper], 1e-9), 1.0)
    start, stop = places[rows, lower], places[rows, upper]
    if is_latency:
        share = crossing_share(below, above, bend=bend)
        # Latency bends upward: in a wide gap between steps it may pass its limit as late as the end of the gap.
        coarse = np.clip((stop / np.maximum(start, 1e-300) - 1.0) / 0.5, 0.2, 0.8)
        share = share + coarse * (1.0 - share) * np.roll(bend, 1) ** 2
    else:
        # Refusals hardly show before they soar, how suddenly is unknown: from proportional to all but the end.
        proportional = -below / (above - below)
        soaring = -np.log(np.maximum(1 + below, 0.05)) / np.log((1 + above) / np.maximum(1 + below, 0.05))
        share = proportional + bend * np.maximum(1.0 - 0.3 * (1.0 - soaring) - proportional, 0.0)
    between = start + np.clip(share, 0.0, 1.0) * (stop - start)
    # Nothing lighter was tried: all that is known is "less", and half of it is as good as any.
    return np.asarray(np.where(at >= n, places[rows, -1], np.where(at == 0, places[rows, 0] * 0.5, between)))


def _in_gap(
    steps: Steps, limits: Mapping[str, float], below: Array, late: int, *, speed: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Capacity between the last step that held and one that was overloaded, and the most that can be served, (S,).

    The overloaded step says two things: the end is not above what it was offered, and what it still served, which is
    the plateau unless the service falls apart. Which of the two is weighed by the queue that the steps below would have
    shown had the end been so near. A step that ran slower (``speed``) would have kept up at its usual speed. Half of
    the samples take the queue's own answer, half only that it lies between.
    """
    size = len(below)
    low, high = float(steps.load[late - 1]), float(steps.load[late])
    peaks = np.geomspace(low, max(high, low * 1.001), _PEAKS)
    served = float(steps.good_qps[late])
    weight = np.full(_PEAKS, 1.0 / _PEAKS)
    if served > low:
        near = np.exp(-0.5 * (np.log(peaks / served) / max(0.02, np.log(peaks[1] / peaks[0]))) ** 2)
        weight = 0.5 * weight + 0.5 * near / near.sum()
    queue = _Queue.of(steps, limits)
    if queue is not None:
        weight = weight * np.exp(queue.log_likelihood(steps, late, peaks))
    which = rng.choice(_PEAKS, size=size, p=weight / weight.sum())
    peak = peaks[which] * (peaks[1] / peaks[0]) ** rng.uniform(-0.5, 0.5, size)
    usual = np.exp(-speed)
    between = below + rng.uniform(size=size) * np.maximum(peak * usual - below, 0.0)
    most = np.maximum(peak * usual, below)
    if queue is None:
        return between, most
    told = np.clip(queue.capacity(peaks)[which] * peak / peaks[which] * usual, below, most)
    return np.where(rng.uniform(size=size) < 0.5, told, between), most


def _light(steps: Steps) -> NDArray[np.int64]:
    """Find the steps whose latency is that of the service without a queue, as far as it was recorded."""
    p50, p95 = steps.latency_ms["p50_ms"], with_imputed_tails(steps.latency_ms)[0]["p95_ms"]
    known = np.isfinite(p50) & np.isfinite(p95) & (steps.good_qps <= 0.6 * steps.good_qps.max())
    return np.flatnonzero(known)


def _log_spread(steps: Steps) -> float:
    """Measure the log standard deviation of a request's time without a queue; NaN where it was not recorded."""
    light = _light(steps)
    if not len(light):
        return float("nan")
    p50, p95 = steps.latency_ms["p50_ms"], with_imputed_tails(steps.latency_ms)[0]["p95_ms"]
    return float(np.clip(np.median(np.log(p95[light] / p50[light])) / 1.6449, 0.05, 2.0))


def lost_to_collapse(steps: Steps, late: int) -> float:
    """Share of its most that a service must be left if it is not to fall apart within hours; 0 where it does not fall.

    What serves less under overload (``late``) than a lighter step served has two states: queues must only wander
    far enough for it to go from one to the other by itself, which a short step hardly sees. From n₀ inside, where it
    held, to n₁ where it had fallen the rate is taken to fall along a line, from μ to μ₁. A load of μ(1 − δ) then has
    to wander δD with D = (n₁ − n₀) μ/(μ − μ₁), against a drift that shrinks on the way: once in exp(δ²D/(1 + cs²))
    attempts. The attempts of hours are as many as requests that a queue's memory parts.

    References
    ----------
    .. [1] N. Bronson et al., "Metastable failures in distributed systems", HotOS 2021.
    .. [2] J. F. C. Kingman, "The single server queue in heavy traffic", 1961: how far queues wander.

    Examples
    --------
    >>> load, none = np.array([500.0, 900.0, 1000.0]), np.full(3, np.nan)
    >>> latency = {"p50_ms": np.array([10.0, 12.0, 900.0]), "p95_ms": np.array([20.0, 25.0, 1000.0]), "p99_ms": none}
    >>> round(lost_to_collapse(Steps(True, load, np.array([500.0, 900.0, 600.0]), latency, none, none, none), 2), 2)
    0.1
    """
    if not late:
        return 0.0
    served, held = float(steps.good_qps[late]), float(steps.good_qps[late - 1])
    response = mean_response_s(steps)
    inside = served * response[late], held * response[late - 1]
    if served >= rules.STABLE_SHARE * held or not inside[0] > inside[1]:
        return 0.0
    far = (inside[0] - inside[1]) * held / (held - served)
    attempts = max(_EVENING_S * held / max(float(queue_memory(steps)[late - 1]), 1.0), 2.0)
    uneven = float(np.expm1(np.clip(np.nan_to_num(_log_spread(steps), nan=0.5), 0.0, 1.0) ** 2))
    return float(min(np.sqrt((1.0 + uneven) * np.log(attempts) / far), 0.5))


@dataclass(frozen=True)
class _Queue:
    """Workers in front of a line, as the light steps show them."""

    service_s: float
    sigma: float
    limits: Mapping[str, float]

    @staticmethod
    def of(steps: Steps, limits: Mapping[str, float]) -> _Queue | None:
        parts = {p: v for p, v in limits.items() if p in LATENCY_PARTS}
        sigma = _log_spread(steps)
        if not parts or np.isnan(sigma):
            return None
        middle = float(np.median(steps.latency_ms["p50_ms"][_light(steps)])) / 1e3
        return _Queue(middle * float(np.exp(sigma**2 / 2)), sigma, parts)

    def log_likelihood(self, steps: Steps, late: int, peaks: Array) -> Array:
        """How well each peak goes with latency below it, (k,): only a line that was not there speaks against it."""
        total = np.zeros(len(peaks))
        filled, _ = with_imputed_tails(steps.latency_ms)
        for part, probability in LATENCY_PARTS.items():
            measured = filled[part][late - 1]
            if not np.isfinite(measured):
                continue
            late_here = np.array(
                [
                    late_share(
                        float(steps.load[late - 1]),
                        servers=max(peak * self.service_s, 1.0),
                        service_s=max(self.service_s, 1.0 / peak),
                        sigma=self.sigma,
                        limit_s=measured / 1e3,
                    )
                    for peak in peaks
                ]
            )
            gap = np.log(np.maximum(late_here, 1e-9) / (1.0 - probability))
            total = np.minimum(total, -0.5 * (np.maximum(gap, 0.0) / _MODEL_ERROR) ** 2)
        return total

    def capacity(self, peaks: Array) -> Array:
        """Rate at the objective by each peak, (k,)."""
        return np.array(
            [
                min(
                    open_capacity(
                        peak_qps=float(peak),
                        service_s=self.service_s,
                        sigma=self.sigma,
                        limit_s=limit / 1e3,
                        probability=LATENCY_PARTS[part],
                        steps=10,
                    )
                    for part, limit in self.limits.items()
                )
                for peak in peaks
            ]
        )
