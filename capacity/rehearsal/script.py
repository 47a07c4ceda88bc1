"""From a plan and faults to what changes from second to second."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.plan import Plan
from capacity.plan.fleet import Fleet
from capacity.plan.network import RETRY_BUDGET
from capacity.plan.sizing import Floats, Ints, effective_losses, survivors
from capacity.rehearsal.build import need_inputs
from capacity.rehearsal.faults import Fault, Faults
from capacity.rehearsal.simulate import Script
from capacity.rehearsal.stage import Stage

if TYPE_CHECKING:
    from capacity.peaks import Peaks

WARMING_S = 300.0  # a cache fills with this time constant: minutes, as popular keys are asked for first
USER_RETRIES = 2


def build_script(
    plan: Plan, fleet: Fleet, stage: Stage, sample: Ints, faults: Faults, *, noise: bool, seed: int
) -> Script:
    """Put together what changes from second to second."""
    peaks, _, _ = need_inputs(plan)
    is_storm = faults.has("retry-storm")
    return Script(
        arrivals=_arrivals(peaks, stage, sample, faults, noise=noise, seed=seed),
        instances=_instances(plan, fleet, stage, faults),
        capacity_factor=_factor(plan, fleet, stage, faults),
        warmth=_warmth(stage, faults),
        seconds=stage.seconds,
        limited=_limited(stage, faults),
        budget=np.inf if is_storm else RETRY_BUDGET,
        user_retries=USER_RETRIES if is_storm else 0,
    )


def while_on(fault: Fault, stage: Stage) -> slice:
    """Positions of the stage at which a fault is there."""
    if fault.at is None:
        return slice(0, stage.length)
    begins = fault.at.second(stage.worst_s)
    first = int(np.searchsorted(stage.seconds, begins))
    if fault.for_s is None:
        return slice(first, stage.length)
    return slice(first, int(np.searchsorted(stage.seconds, begins + fault.for_s)))


def _factor(plan: Plan, fleet: Fleet, stage: Stage, faults: Faults) -> Floats:
    """Share of its capacity that the faults leave each service."""
    factor: Floats = np.ones((stage.length, len(fleet.names)))
    for fault in faults.of("slow-downstream"):
        factor[while_on(fault, stage), fleet.names.index(str(fault.service))] *= fault.factor
    for fault in faults.of("third-party-down"):
        factor[while_on(fault, stage), fleet.names.index(str(fault.service))] = 0.0
    for fault in faults.of("retry-storm"):
        at = fleet.names.index(fault.service) if fault.service else tightest(plan, fleet)
        factor[while_on(fault, stage), at] *= fault.factor
    return factor


def _warmth(stage: Stage, faults: Faults) -> Floats:
    warmth = np.ones(stage.length)
    for fault in faults.of("cold-cache"):
        begins = fault.at.second(stage.worst_s) if fault.at else int(stage.seconds[0])
        since = stage.seconds - begins
        cold = np.where(since >= 0, np.exp(-np.maximum(since, 0) / WARMING_S), 0.0)
        warmth = np.minimum(warmth, 1.0 - np.where(cold < 1e-3, 0.0, cold))
    return warmth


def _limited(stage: Stage, faults: Faults) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    limited = np.ones(stage.length, dtype=bool)
    for fault in faults.of("limiter-loss"):
        limited[while_on(fault, stage)] = False
    return limited


def tightest(plan: Plan, fleet: Fleet) -> int:
    """Core service with the least room between its median worst second and what it safely takes."""
    entries = plan.document["services"]
    room = []
    for s, name in enumerate(fleet.names):
        entry = entries[name]
        peak, limit = entry["peak_qps"]["q50"] or 0.0, entry["cluster_limit_qps"]
        room.append(limit / peak if fleet.tier[s] == 0 and limit and peak > 0 else np.inf)
    return int(np.argmin(room))


def _arrivals(peaks: "Peaks", stage: Stage, sample: Ints, faults: Faults, *, noise: bool, seed: int) -> Floats:
    """Arrivals with the wobble of counts; a phase's worst second is a count already and is not exceeded."""
    bounds = [*stage.starts.tolist(), stage.length]
    rng = np.random.default_rng(seed)
    arrivals = np.empty((len(sample), len(peaks.entries), stage.length))
    for first, last in pairwise(bounds):
        rate = np.asarray(
            peaks.entry_rates(sample, start_s=float(stage.seconds[first]), duration_s=float(last - first), step_s=1.0)
        )
        if noise:
            top = np.maximum(_worst(peaks, sample, stage.seconds[first:last]), rate)
            rate = np.minimum(rng.poisson(np.minimum(rate, 1e15)).astype(float), top)
        arrivals[:, :, first:last] = rate
    for fault in faults.of("demand"):
        arrivals[:, :, while_on(fault, stage)] *= fault.factor
    return arrivals


def _worst(peaks: "Peaks", sample: Ints, seconds: Ints) -> Floats:
    """Worst second of the phase that each second lies in, (path, entry, second): no count of it is higher.

    A bound by what is played alone would cut the upper half of every wobble where the rate is level.
    """
    phases = {phase.name: phase.starts_at for phase in peaks.promotion.phases}
    begins = [(phases[name] - peaks.promotion.starts_at).total_seconds() for name in peaks.phases]
    phase = np.clip(np.searchsorted(begins, seconds, side="right") - 1, 0, None)
    entries = [peaks.services.index(name) for name in peaks.entries]
    worst = peaks.peak_qps.transpose("sample", "phase", "service").to_numpy()[sample]
    return np.asarray(worst[:, :, entries].transpose(0, 2, 1)[:, :, phase], dtype=float)


def _instances(plan: Plan, fleet: Fleet, stage: Stage, faults: Faults) -> Ints:
    """Instances serving in each second: by the plan's schedule, late, and after the zone loss as told."""
    peaks, _, _ = need_inputs(plan)
    late = {fault.service for fault in faults.of("late-scale-up")}
    out = np.empty((stage.length, len(fleet.pools)), dtype=np.int64)
    for p, host in enumerate(fleet.pools):
        startup_s = float(fleet.startup_s[p]) if (late & {None, host}) else None
        out[:, p] = serving(plan.document["services"][host], stage, peaks.promotion.starts_at, late_s=startup_s)
    for fault in faults.of("zone-loss"):
        losses = effective_losses(fleet.zones, zones_lost(plan, fault))
        at = while_on(fault, stage)
        for p in range(len(fleet.pools)):
            out[at, p] = survivors(out[at, p], fleet.zones[p], losses[p])
    return out


def zones_lost(plan: Plan, fault: Fault) -> int:
    """Zones that a fault takes: as it says, else as the plan's risk does, one at least."""
    return int(fault.factor) or max(int(plan.document["risk"]["zone_losses"]), 1)


def serving(entry: Mapping[str, Any], stage: Stage, origin: datetime, *, late_s: float | None = None) -> Ints:
    """Instances of one pool by its schedule; asked for at the start only, and ready so much later, where it is late."""
    column = np.full(stage.length, entry["instances_now"])
    for change in entry["scale_schedule"]:
        ready = (datetime.fromisoformat(change["ready_by"]) - origin) / timedelta(seconds=1)
        if late_s is not None and change["instances"] > entry["instances_now"]:
            ready = max(ready, late_s)
        column[stage.seconds >= ready] = change["instances"]
    return column


def stronger(script: Script, extra: Ints) -> Script:
    """Return the script with instances added to every pool in every second."""
    return replace(script, instances=script.instances + extra)
