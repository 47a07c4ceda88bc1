"""Where a run leaves the objective: capacity per instance as samples.

The load is what was offered: users of a closed test, arrivals of an open one. Latency is a function of that load and
never of throughput, which has two latencies once it has passed its peak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.saturation import rules
from capacity.saturation.closed import ThroughputDraws, closed_capacity, throughput_draws
from capacity.saturation.fit import CurveFit
from capacity.saturation.interpolation import crossing_share, first_above, monotone
from capacity.saturation.queueing import open_capacity
from capacity.saturation.steps import LATENCY_PARTS, Steps, percentile_log_sd, with_imputed_tails

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Crossing:
    """What one run says about capacity at the objective, per instance.

    Attributes
    ----------
    qps
        Samples (S,). Where the end was not seen, the highest load that held.
    seen
        Whether the sample saw the objective broken, or throughput stand still, inside the tested range, (S,).
    highest_good_qps
        Throughput of the best step that held; 0 where none did.
    knee_reached
        Whether throughput stood still inside the range.
    first_step_broke
        Whether already the lightest step broke the objective.
    limited_by
        Part of the objective that broke first in most samples, or "throughput".
    unmeasured
        Parts of the objective the run says nothing about.
    open_share
        Capacity of the open queue as a share of this answer; NaN where it cannot be said.
    curve
        The winning throughput curve of a closed test.
    """

    qps: Array
    seen: NDArray[np.bool_]
    highest_good_qps: float
    knee_reached: bool
    first_step_broke: bool
    limited_by: str
    unmeasured: tuple[str, ...]
    open_share: float
    curve: CurveFit | None


def excess_draws(
    steps: Steps, limits: Mapping[str, float], *, rng: np.random.Generator, n: int
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """How far each step is above each part of the objective, as samples.

    Returns
    -------
    tuple
        For each part an array (S, n), at or below 0 where the step holds: log of latency over limit, or errors over
        limit minus 1. And the parts that no step measured.
    """
    filled, extra = with_imputed_tails(steps.latency_ms)
    drawn: dict[str, Array] = {}
    unmeasured: list[str] = []
    for part in LATENCY_PARTS:
        if part not in limits:
            continue
        if np.isnan(filled[part]).all():
            unmeasured.append(part)
            continue
        sd = np.sqrt(percentile_log_sd(steps, part) ** 2 + extra[part] ** 2 + 0.01**2)
        centre = np.log(np.maximum(_filled_gaps(filled[part]), 1e-9) / limits[part])
        noisy = centre + sd * rng.standard_normal((n, len(steps)))
        drawn[part] = monotone(noisy, weight=1.0 / sd**2)
    drawn["error_fraction"] = _error_excess(steps, limits.get("error_fraction", rules.ERRORS_BREAK), rng=rng, n=n)
    return drawn, tuple(unmeasured)


def _filled_gaps(values: Array) -> Array:
    """Fill a step's missing percentile with the next heavier one's, which cannot be lower; else the lighter one's."""
    known = np.flatnonzero(np.isfinite(values))
    at = np.minimum(np.searchsorted(known, np.arange(len(values))), len(known) - 1)
    return np.asarray(values[known[at]])


def _error_excess(steps: Steps, limit: float, *, rng: np.random.Generator, n: int) -> Array:
    share = np.nan_to_num(steps.error_fraction)
    count = steps.counted
    failed = share * count
    drawn = rng.beta(np.maximum(failed, 1e-3), np.maximum(count - failed, 1e-3), size=(n, len(steps)))
    drawn = np.where(share > 0, drawn, 0.0)
    return np.minimum(monotone(drawn / max(limit, 1e-6) - 1.0, weight=np.ones(len(steps))), 1e3)


def _holding(steps: Steps, limits: Mapping[str, float]) -> NDArray[np.bool_]:
    """Which steps held every part of the objective that was measured, by the figures as read."""
    filled, _ = with_imputed_tails(steps.latency_ms)
    held = steps.keeps_up & (np.nan_to_num(steps.error_fraction) <= limits.get("error_fraction", rules.ERRORS_BREAK))
    for part in LATENCY_PARTS:
        if part in limits:
            held &= np.nan_to_num(filled[part], nan=0.0) <= limits[part]
    # A step that holds after a lighter one broke is luck, not capacity.
    return np.asarray(np.logical_and.accumulate(held))


def slo_crossing(steps: Steps, limits: Mapping[str, float], *, rng: np.random.Generator, n_samples: int) -> Crossing:
    """Capacity of one run at the objective.

    Parameters
    ----------
    steps
        The usable steps of a run.
    limits
        Parts of the objective: ``p95_ms``, ``p99_ms``, ``error_fraction``; any of them.
    rng, n_samples
        Generator, number of samples.
    """
    steps = steps.thinned()
    excess, unmeasured = excess_draws(steps, limits, rng=rng, n=n_samples)
    held = _holding(steps, limits)
    highest = float(steps.good_qps[held].max()) if held.any() else 0.0
    answer = _open(steps, excess, rng=rng) if steps.is_open else _closed(steps, excess, rng=rng, n=n_samples)
    qps, first, knee, draws = answer
    stacked = np.stack([first_above(e) for e in excess.values()])
    broke = stacked.min(axis=0) < len(steps)
    limited = list(excess)[int(np.argmin(stacked.mean(axis=1)))] if broke.mean() >= 0.5 else "throughput"
    share = _open_share(steps, limits, float(np.median(qps)), knee)
    qps = _through_open_queue(steps, qps, first, share, knee, rng=rng)
    return Crossing(
        qps=qps,
        seen=broke | knee,
        highest_good_qps=highest,
        knee_reached=knee,
        first_step_broke=bool((first == 0).mean() > 0.5),
        limited_by=limited,
        unmeasured=unmeasured,
        open_share=share,
        curve=draws.curve if draws is not None else None,
    )


_Answer = tuple[Array, NDArray[np.int64], bool, ThroughputDraws | None]


def _closed(steps: Steps, excess: dict[str, Array], *, rng: np.random.Generator, n: int) -> _Answer:
    draws = throughput_draws(steps, rng=rng, n=n)
    qps, first = closed_capacity(steps, excess, draws, rng=rng)
    return qps, first, draws.knee_reached, draws


def _open(steps: Steps, excess: dict[str, Array], *, rng: np.random.Generator) -> _Answer:
    """Interpolate between the last offered rate that held and the first that did not."""
    late = np.flatnonzero(~steps.keeps_up)
    end = int(late[0]) + 1 if len(late) else len(steps)
    x = steps.load.copy()
    knee = bool(len(late))
    if knee:
        # What an overloaded step still served is the plateau, unless it collapsed below what held before.
        served = steps.good_qps[late[0]]
        below = x[late[0] - 1] if late[0] > 0 else 0.0
        x[late[0]] = served if served > below else x[late[0]]
    x = np.minimum(x, steps.good_qps * 1.02) if not knee else x
    size = next(iter(excess.values())).shape[0]
    bend = rng.uniform(size=size)
    noise = np.exp(rng.standard_normal((size, 1)) * _count_sd(steps)[None, :])
    places = x[None, :end] * noise[:, :end]
    places = np.maximum.accumulate(places, axis=1)
    answer, first = places[:, -1].copy(), np.full(size, end, dtype=np.int64)
    for part, values in excess.items():
        cut = values[:, :end].copy()
        if knee:
            cut[:, -1] = np.maximum(cut[:, -1], 1e-3)
        at = first_above(cut)
        crossed = _crossed(places, cut, at, bend if part != "error_fraction" else None)
        answer, first = np.minimum(answer, crossed), np.minimum(first, at)
    return answer, first, knee, None


def _count_sd(steps: Steps) -> Array:
    count = steps.counted
    return np.asarray(np.minimum(1.0 / np.sqrt(count), 0.1))


def _crossed(places: Array, values: Array, at: NDArray[np.int64], bend: Array | None) -> Array:
    """Place of the crossing of each row; the last place where there is none, a share of the first where all break."""
    rows, n = np.arange(len(values)), values.shape[1]
    upper, lower = np.minimum(at, n - 1), np.clip(at - 1, 0, n - 1)
    below, above = values[rows, lower], values[rows, upper]
    inside = (at > 0) & (at < n)
    below, above = np.where(inside, below, -1.0), np.where(inside, np.maximum(above, 1e-9), 1.0)
    share = -below / (above - below) if bend is None else crossing_share(below, above, bend=bend)
    between = places[rows, lower] + share * (places[rows, upper] - places[rows, lower])
    # Nothing lighter was tried: all that is known is "less", and half of it is as good as any.
    none = places[rows, 0] * 0.5
    return np.asarray(np.where(at >= n, places[rows, -1], np.where(at == 0, none, between)))


def _open_share(steps: Steps, limits: Mapping[str, float], answer: float, knee: bool) -> float:
    """Capacity of the open queue over this answer, from what the lightest steps say of the service time."""
    latency_limits = {p: v for p, v in limits.items() if p in LATENCY_PARTS}
    p50, p95 = steps.latency_ms["p50_ms"], with_imputed_tails(steps.latency_ms)[0]["p95_ms"]
    light = np.flatnonzero(np.isfinite(p50) & np.isfinite(p95) & (steps.good_qps <= 0.6 * steps.good_qps.max()))
    if not knee or not latency_limits or len(light) == 0 or answer <= 0:
        return float("nan")
    sigma = float(np.clip(np.median(np.log(p95[light] / p50[light])) / 1.6449, 0.05, 2.0))
    service = float(np.median(p50[light])) / 1e3 * float(np.exp(sigma**2 / 2))
    peak = float(steps.good_qps.max())
    rates = [
        open_capacity(peak_qps=peak, service_s=service, sigma=sigma, limit_s=v / 1e3, probability=LATENCY_PARTS[p])
        for p, v in latency_limits.items()
    ]
    return float(min(rates) / answer)


def _through_open_queue(
    steps: Steps, qps: Array, first: NDArray[np.int64], share: float, knee: bool, *, rng: np.random.Generator
) -> Array:
    """In some samples, read the run through the open queue that production is."""
    if not np.isfinite(share):
        return qps
    if not steps.is_open:
        # Stated rule: production does not wait for answers, so part of the weight goes to the open reading.
        return np.where(rng.uniform(size=len(qps)) < rules.OPEN_MODEL_SHARE, qps * min(share, 1.0), qps)
    # An open test saw the bracket; inside it the queue's shape is as good a guess as the interpolation.
    late = np.flatnonzero(~steps.keeps_up)
    low = np.where(first > 0, steps.load[np.clip(first - 1, 0, len(steps) - 1)], 0.0)
    inside = (first > 0) & (first == (late[0] if knee else -1))
    queue = np.clip(np.median(qps) * share, low, np.maximum(steps.good_qps.max(), low))
    return np.where(inside & (rng.uniform(size=len(qps)) < 0.5), queue, qps)
