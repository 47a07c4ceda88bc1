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
from capacity.saturation.interpolation import first_above, monotone
from capacity.saturation.noise import speed_draws
from capacity.saturation.open_steps import open_steps_capacity
from capacity.saturation.steps import LATENCY_PARTS, Steps, percentile_log_sd, with_imputed_tails

Array = NDArray[np.float64]

_CLOSED_FUTURES = 256
_SETTLED = 0.03
_BURSTS = 4.0


@dataclass(frozen=True)
class Crossing:
    """What one run says about capacity at the objective, per instance.

    Attributes
    ----------
    qps
        Samples (S,). Where the end was not seen, the highest load that held.
    seen
        Whether the sample saw the objective broken, or throughput stand still, inside the tested range, (S,).
    reached_qps
        The highest load that was tried, (S,).
    most_qps
        Where the end was not seen, what it cannot be above, (S,); ``inf`` where nothing says so.
    highest_good_qps
        Throughput of the best step that held, as read; 0 where none did. Of a closed test, what open arrivals may be.
    lower_qps
        What holds in 19 of 20 samples: a step just within its limit may have been lucky.
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
    reached_qps: Array
    most_qps: Array
    highest_good_qps: float
    lower_qps: float
    knee_reached: bool
    first_step_broke: bool
    limited_by: str
    unmeasured: tuple[str, ...]
    is_open: bool
    limit_users: float
    limit_users_qps: float
    curve: CurveFit | None


def excess_draws(
    steps: Steps, limits: Mapping[str, float], *, speed: Array, rng: np.random.Generator
) -> tuple[dict[str, Array], dict[str, Array], tuple[str, ...]]:
    """How far each step is above each part of the objective, as samples.

    ``speed`` (S, n) is the log of how much faster a step ran than the usual instance does; its latency was lower.

    Returns
    -------
    tuple
        For each part an array (S, n), at or below 0 where the step holds: log of latency over limit, or errors over
        limit minus 1. The same of latencies as they were measured, which may fall. The parts that no step measured.
    """
    filled, extra = with_imputed_tails(steps.latency_ms)
    drawn: dict[str, Array] = {}
    raw: dict[str, Array] = {}
    unmeasured: list[str] = []
    for part in LATENCY_PARTS:
        if part not in limits:
            continue
        if np.isnan(filled[part]).all():
            unmeasured.append(part)
            continue
        sd = np.sqrt(percentile_log_sd(steps, part) ** 2 + extra[part] ** 2)
        centre = np.log(np.maximum(_filled_gaps(filled[part]), 1e-9) / limits[part])
        noisy = centre + speed + sd * rng.standard_normal(speed.shape)
        raw[part] = noisy
        drawn[part] = monotone(noisy, weight=1.0 / (sd**2 + speed.var()))
    drawn["error_fraction"] = _error_excess(
        steps, limits.get("error_fraction", rules.ERRORS_BREAK), rng=rng, n=len(speed)
    )
    return drawn, raw, tuple(unmeasured)


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
    # Errors come in bursts: those of a step are a handful of independent ones, not thousands.
    drawn = np.where(share > 0, drawn * np.exp(rng.standard_normal(drawn.shape) / np.sqrt(_BURSTS)), 0.0)
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
    run_sd: float = 0.0,
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
    run_sd
        Log standard deviation of the speed that all steps of a run share. Where latency grows slowly a little more
        speed moves the objective far, so it belongs in here and not on the answer.
    rng, n_samples
        Generator, number of samples.
    curves
        Throughput curves of a closed test, where they were fitted among many.
    """
    steps = steps.thinned()
    # Reading a closed test through a queue is costly; a few hundred futures of it tell as much, and are drawn from.
    inner = n_samples if steps.is_open else min(n_samples, _CLOSED_FUTURES)
    speed = speed_draws(steps, run_sd=run_sd, rng=rng, n=inner)
    excess, raw, unmeasured = excess_draws(steps, limits, speed=speed, rng=rng)
    held = _holding(steps, limits)
    highest = float(steps.good_qps[held].max()) if held.any() else 0.0
    stacked = np.stack([first_above(e) for e in excess.values()])
    broke = stacked.min(axis=0) < len(steps)
    limited = list(excess)[int(np.argmin(stacked.mean(axis=1)))] if broke.mean() >= 0.5 else "throughput"
    curve, limit_load, limit_qps = None, float("nan"), float("nan")
    if steps.is_open:
        found = open_steps_capacity(steps, excess, raw, limits, speed=speed, rng=rng)
        qps, first, knee, most = found.qps, found.first, found.knee, found.most_qps
        reached, seen, lower = qps, broke | knee, float(np.quantile(qps, 0.05))
    else:
        draws = throughput_draws(steps, speed=speed, rng=rng, curves=curves)
        answer = closed_capacity(steps, excess, limits, draws, rng=rng)
        curve, first, knee = draws.curve, answer.first, draws.knee_reached
        # What lies beyond the tested users must not matter for the answer; where it does, the end was not seen.
        seen = answer.qps <= (1.0 + _SETTLED) * answer.cautious_qps
        qps = np.where(seen, answer.qps, answer.cautious_qps)
        highest = lower = float(np.quantile(answer.cautious_qps, 0.05))
        reached, most = np.full(inner, float(steps.good_qps.max())), np.full(inner, np.inf)
        if broke.mean() >= 0.5:
            limit_load, limit_qps = float(np.median(answer.users[broke])), float(np.median(answer.users_qps[broke]))
    again = np.arange(n_samples) % inner
    return Crossing(
        qps=qps[again],
        seen=seen[again],
        reached_qps=reached[again],
        most_qps=most[again],
        highest_good_qps=highest,
        lower_qps=lower,
        knee_reached=knee,
        first_step_broke=bool((first == 0).mean() > 0.5),
        limited_by=limited,
        unmeasured=unmeasured,
        is_open=steps.is_open,
        limit_users=limit_load,
        limit_users_qps=limit_qps,
        curve=curve,
    )
