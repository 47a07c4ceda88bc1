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
from capacity.saturation.closed import closed_capacity, throughput_draws
from capacity.saturation.fit import CurveFit, StackRow
from capacity.saturation.interpolation import crossing_share, first_above, monotone
from capacity.saturation.queueing import open_capacity
from capacity.saturation.steps import LATENCY_PARTS, Steps, percentile_log_sd, with_imputed_tails

Array = NDArray[np.float64]

_CLOSED_FUTURES = 256
_SETTLED = 0.03


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
        Throughput of the best step that held; 0 where none did. Of a closed test, what open arrivals may be instead.
    knee_reached
        Whether throughput stood still inside the range.
    first_step_broke
        Whether already the lightest step broke the objective.
    limited_by
        Part of the objective that broke first in most samples, or "throughput".
    unmeasured
        Parts of the objective the run says nothing about.
    is_open
        Whether arrivals were offered; a closed test was read through an open queue.
    limit_users, limit_users_qps
        Users per instance at which a closed test broke the objective, and the throughput there; NaN where it did not.
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
    is_open: bool
    limit_users: float
    limit_users_qps: float
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


def slo_crossing(
    steps: Steps,
    limits: Mapping[str, float],
    *,
    rng: np.random.Generator,
    n_samples: int,
    curves: StackRow | None = None,
) -> Crossing:
    """Capacity of one run at the objective.

    Parameters
    ----------
    steps
        The usable steps of a run.
    limits
        Parts of the objective: ``p95_ms``, ``p99_ms``, ``error_fraction``; any of them.
    rng, n_samples
        Generator, number of samples.
    curves
        Throughput curves of a closed test, where they were fitted among many.
    """
    steps = steps.thinned()
    # Reading a closed test through a queue is costly; a few hundred futures of it tell as much, and are drawn from.
    inner = n_samples if steps.is_open else min(n_samples, _CLOSED_FUTURES)
    excess, unmeasured = excess_draws(steps, limits, rng=rng, n=inner)
    held = _holding(steps, limits)
    highest = float(steps.good_qps[held].max()) if held.any() else 0.0
    stacked = np.stack([first_above(e) for e in excess.values()])
    broke = stacked.min(axis=0) < len(steps)
    limited = list(excess)[int(np.argmin(stacked.mean(axis=1)))] if broke.mean() >= 0.5 else "throughput"
    curve, limit_load, limit_qps = None, float("nan"), float("nan")
    if steps.is_open:
        qps, first, knee = _open(steps, excess, rng=rng)
        qps = _through_queue(steps, limits, qps, first, knee, rng=rng)
        seen = broke | knee
    else:
        draws = throughput_draws(steps, rng=rng, n=inner, curves=curves)
        answer = closed_capacity(steps, excess, limits, draws, rng=rng)
        curve, first, knee = draws.curve, answer.first, draws.knee_reached
        # What lies beyond the tested users must not matter for the answer; where it does, the end was not seen.
        seen = answer.qps <= (1.0 + _SETTLED) * answer.cautious_qps
        qps = np.where(seen, answer.qps, answer.cautious_qps)
        highest = float(np.quantile(answer.cautious_qps, 0.05))
        if broke.mean() >= 0.5:
            limit_load, limit_qps = float(np.median(answer.users[broke])), float(np.median(answer.users_qps[broke]))
    again = np.arange(n_samples) % inner
    return Crossing(
        qps=qps[again],
        seen=seen[again],
        highest_good_qps=highest,
        knee_reached=knee,
        first_step_broke=bool((first == 0).mean() > 0.5),
        limited_by=limited,
        unmeasured=unmeasured,
        is_open=steps.is_open,
        limit_users=limit_load,
        limit_users_qps=limit_qps,
        curve=curve,
    )


def _open(steps: Steps, excess: dict[str, Array], *, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64], bool]:
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
    bend = np.asarray(rng.uniform(size=size))
    noise = np.exp(rng.standard_normal((size, 1)) * _count_sd(steps)[None, :])
    places = x[None, :end] * noise[:, :end]
    places = np.maximum.accumulate(places, axis=1)
    answer: Array = places[:, -1].copy()
    first = np.full(size, end, dtype=np.int64)
    for part, values in excess.items():
        cut = values[:, :end].copy()
        if knee:
            cut[:, -1] = np.maximum(cut[:, -1], 1e-3)
        at = first_above(cut)
        crossed = _crossed(places, cut, at, bend=bend, is_latency=part in LATENCY_PARTS)
        answer, first = np.minimum(answer, crossed), np.minimum(first, at)
    return answer, first, knee


def _count_sd(steps: Steps) -> Array:
    count = steps.counted
    return np.asarray(np.minimum(1.0 / np.sqrt(count), 0.1))


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


def _through_queue(
    steps: Steps,
    limits: Mapping[str, float],
    qps: Array,
    first: NDArray[np.int64],
    knee: bool,
    *,
    rng: np.random.Generator,
) -> Array:
    """Inside a bracket that ends in overload, trust a queue's shape in half of the samples, where it can be known."""
    p50, p95 = steps.latency_ms["p50_ms"], with_imputed_tails(steps.latency_ms)[0]["p95_ms"]
    latency_limits = {p: v for p, v in limits.items() if p in LATENCY_PARTS}
    light = np.flatnonzero(np.isfinite(p50) & np.isfinite(p95) & (steps.good_qps <= 0.6 * steps.good_qps.max()))
    if not knee or not latency_limits or len(light) == 0:
        return qps
    sigma = float(np.clip(np.median(np.log(p95[light] / p50[light])) / 1.6449, 0.05, 2.0))
    service = float(np.median(p50[light])) / 1e3 * float(np.exp(sigma**2 / 2))
    peak = float(steps.good_qps.max())
    queue = min(
        open_capacity(peak_qps=peak, service_s=service, sigma=sigma, limit_s=v / 1e3, probability=LATENCY_PARTS[p])
        for p, v in latency_limits.items()
    )
    late = int(np.flatnonzero(~steps.keeps_up)[0])
    low = np.where(first > 0, steps.load[np.clip(first - 1, 0, len(steps) - 1)], 0.0)
    inside = (first > 0) & (first == late)
    return np.where(inside & (rng.uniform(size=len(qps)) < 0.5), np.clip(queue, low, np.maximum(peak, low)), qps)
