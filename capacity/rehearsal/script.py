"""From a plan and faults to the arrays that the simulator plays."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.errors import InputError, Problem
from capacity.plan import Plan
from capacity.plan.fleet import Fleet, read_fleet
from capacity.plan.network import RETRY_BUDGET
from capacity.plan.sizing import Floats, Ints, survivors
from capacity.rehearsal.faults import Faults
from capacity.rehearsal.simulate import Script
from capacity.rehearsal.world import Rung, World, call_timeouts, mean_retries, queue_delays, sort_levels

if TYPE_CHECKING:
    from capacity.peaks import Peaks

BEFORE_S, AFTER_S = 600, 1200  # around the worst second of all
ELSEWHERE_S = 300  # on either side of the second-worst phase's worst second
FAULT_LEAD_S, FAULT_S = 60, 360
SLOW_FACTOR, STORM_FACTOR, STORM_S = 0.3, 0.33, 30
WARMING_S = 300.0
HOTTER = 3.0


@dataclass(frozen=True)
class Stage:
    """The seconds played: two stretches after another, each with its offset from the promotion's start."""

    seconds: Ints
    worst_s: int

    @property
    def length(self) -> int:
        """Seconds in all."""
        return len(self.seconds)

    @property
    def starts(self) -> Ints:
        """Positions at which a stretch begins."""
        return np.flatnonzero(np.diff(self.seconds, prepend=self.seconds[0] - 2) != 1)

    def place(self, second: int) -> int:
        """Position of a second after the start, or the nearest."""
        return int(np.abs(self.seconds - second).argmin())


def need_inputs(plan: Plan) -> "tuple[Peaks, Any, Any]":
    """Return the plan's peaks, curves and services.

    Raises
    ------
    InputError
        If the plan was read without them, or the catalogue names other services than the plan.
    """
    if plan.peaks is None or plan.curves is None or plan.services is None:
        raise InputError(f"plan of {plan.promotion_id}: it was read without its samples", remedy="make the plan again")
    planned, named = set(plan.document["services"]), set(plan.services.names)
    changed = [Problem(f"services.yaml {name}", "a service that the plan has not", "none") for name in named - planned]
    changed += [Problem(f"services.yaml {name}", "nothing", "the service that was planned") for name in planned - named]
    if changed:
        raise InputError(
            f"the catalogue has changed since the plan of {plan.promotion_id} was made",
            problems=sorted(changed, key=lambda problem: problem.where),
            remedy=f"make the plan again: capacity plan {plan.promotion_id}",
        )
    return plan.peaks, plan.curves, plan.services


def set_stage(peaks: "Peaks") -> Stage:
    """Ten minutes before to twenty after the worst second, and ten minutes around the next phase's."""
    load = np.median(peaks.peak_qps.values, axis=0).sum(axis=1)
    entries = [peaks.services.index(e) for e in peaks.entries if e in peaks.services]
    at = np.median(peaks.peak_at_s.values, axis=0)
    moments = [int(np.median(at[p, entries] if entries else at[p])) for p in range(len(load))]
    order = np.argsort(-load, kind="stable")
    worst = moments[int(order[0])]
    seconds = list(range(worst - BEFORE_S, worst + AFTER_S))
    for p in order[1:]:
        start = moments[int(p)] - ELSEWHERE_S
        if start > seconds[-1] or start + 2 * ELSEWHERE_S < seconds[0]:
            seconds += range(start, start + 2 * ELSEWHERE_S)
            break
    return Stage(np.array(seconds, dtype=np.int64), worst)


def build_world(plan: Plan, fleet: Fleet, sample: Ints, faults: Faults) -> World:
    """Put together what does not change."""
    peaks, _, services = need_inputs(plan)
    entries = plan.document["services"]
    limit = np.array([_limit(entries.get(n, {}).get("cluster_limit_qps")) for n in fleet.names])
    network = fleet.network
    roof = fleet.roof_qps
    if faults.hot_key:
        roof = np.array([_hotter(services[n], r) for n, r in zip(fleet.names, roof, strict=True)])
    fixed = np.fmin(np.where(fleet.is_fixed, fleet.fixed_qps, np.inf), roof)
    unit = np.where(fleet.is_fixed, np.nan, fleet.capacity[sample])
    place = {n: i for i, n in enumerate(fleet.names)}
    return World(
        network=network,
        levels=sort_levels(network),
        unit_qps=unit,
        fixed_qps=fixed,
        pool=fleet.pool,
        sharing=fleet.sharing.of_samples(sample),
        entries=np.array([place[e] for e in peaks.entries], dtype=np.int64),
        limit_qps=limit,
        timeout_s=call_timeouts(network),
        retries=mean_retries(network, least=3 if faults.retry_storm else 0),
        max_delay_s=queue_delays(network),
        core=fleet.tier == 0,
        rungs=tuple(_rung(fleet, rung) for rung in plan.document["degradation"]),
    )


def _limit(value: float | None) -> float:
    return np.inf if value is None else float(value)


def _hotter(service: Any, roof: float) -> float:
    key = service.hot_key
    return roof if key is None else min(roof, float(key.max_qps / min(key.top_share * HOTTER, 1.0)))


def _rung(fleet: Fleet, rung: dict[str, Any]) -> Rung:
    network = fleet.network
    at = [e for e, c in enumerate(network.call) if c.degrade is not None and c.degrade.feature == rung["feature"]]
    watch = rung.get("watch") or {}
    return Rung(
        name=str(rung["feature"]),
        caller=network.caller[at],
        callee=network.callee[at],
        calls=network.calls[at],
        watch=fleet.names.index(watch["service"]) if watch.get("service") in fleet.names else 0,
        above_qps=_limit(watch.get("above_qps")),
        for_s=float(watch.get("for_s", 30)),
        takes_s=float(rung.get("takes_s") or 0.0),
        planned=bool(rung.get("planned")),
    )


def build_script(
    plan: Plan, fleet: Fleet, stage: Stage, sample: Ints, faults: Faults, *, limits: bool, noise: bool, seed: int
) -> Script:
    """Put together what changes from second to second."""
    peaks, _, _ = need_inputs(plan)
    factor: Floats = np.broadcast_to(np.ones(len(fleet.names)), (stage.length, len(fleet.names)))
    if faults.slow or faults.down or faults.retry_storm:
        factor = factor.copy()
    strike = slice(stage.place(stage.worst_s - FAULT_LEAD_S), stage.place(stage.worst_s - FAULT_LEAD_S + FAULT_S))
    for names, level in ((faults.slow, SLOW_FACTOR), (faults.down, 0.0)):
        for name in names:
            factor[strike, fleet.names.index(name)] = level
    if faults.retry_storm:
        spark = slice(stage.place(stage.worst_s), stage.place(stage.worst_s + STORM_S))
        factor[spark, _tightest(plan, fleet)] = STORM_FACTOR
    warmth = np.ones(stage.length)
    if faults.cold_cache:
        since = stage.seconds - (stage.worst_s - FAULT_LEAD_S)
        warmth = np.where(since >= 0, 1.0 - np.exp(-np.maximum(since, 0) / WARMING_S), 1.0)
    return Script(
        arrivals=_arrivals(peaks, stage, sample, factor=faults.demand, noise=noise, seed=seed),
        instances=_instances(plan, fleet, stage, faults),
        capacity_factor=factor,
        warmth=warmth,
        limited=limits and not faults.limiter_loss,
        budget=np.inf if faults.retry_storm else RETRY_BUDGET,
        user_retries=2.0 if faults.retry_storm else 0.0,
    )


def _tightest(plan: Plan, fleet: Fleet) -> int:
    """Core service with the least room between its median worst second and what it safely takes."""
    entries = plan.document["services"]
    room = []
    for s, name in enumerate(fleet.names):
        entry = entries[name]
        peak, limit = entry["peak_qps"]["q50"] or 0.0, entry["cluster_limit_qps"]
        room.append(limit / peak if fleet.tier[s] == 0 and limit and peak > 0 else np.inf)
    return int(np.argmin(room))


def _arrivals(peaks: "Peaks", stage: Stage, sample: Ints, *, factor: float, noise: bool, seed: int) -> Floats:
    """Arrivals with the wobble of counts; a phase's worst second is a count already and is not exceeded."""
    bounds = [*stage.starts.tolist(), stage.length]
    rng = np.random.default_rng(seed)
    arrivals = np.empty((len(sample), len(peaks.entries), stage.length))
    for first, last in pairwise(bounds):
        rate = np.asarray(
            peaks.entry_rates(sample, start_s=float(stage.seconds[first]), duration_s=float(last - first), step_s=1.0)
        )
        if noise:
            top = rate.max(axis=2, keepdims=True, initial=0.0)
            rate = np.minimum(rng.poisson(np.minimum(rate, 1e15)).astype(float), top)
        np.multiply(rate, factor, out=arrivals[:, :, first:last])
    return arrivals


def _instances(plan: Plan, fleet: Fleet, stage: Stage, faults: Faults) -> Ints:
    """Instances serving in each second: by the plan's schedule, late, and after the zone loss as told."""
    peaks, _, _ = need_inputs(plan)
    origin = peaks.promotion.starts_at
    entries = plan.document["services"]
    out = np.empty((stage.length, len(fleet.pools)), dtype=np.int64)
    for p, host in enumerate(fleet.pools):
        column = np.full(stage.length, entries[host]["instances_now"])
        for change in entries[host]["scale_schedule"]:
            ready = (datetime.fromisoformat(change["ready_by"]) - origin) / timedelta(seconds=1)
            if faults.late_scale_up and change["instances"] > entries[host]["instances_now"]:
                ready = max(ready, float(fleet.startup_s[p]))
            column[stage.seconds >= ready] = change["instances"]
        out[:, p] = survivors(column, fleet.zones[p], fleet.losses[p]) if faults.zone_loss else column
    return out


def fleet_of(plan: Plan) -> Fleet:
    """Read the plan's fleet."""
    _, curves, services = need_inputs(plan)
    return read_fleet(services, curves, zone_losses=int(plan.document["risk"]["zone_losses"]))


def stronger(script: Script, extra: Ints) -> Script:
    """Return the script with instances added to every pool in every second."""
    return replace(script, instances=script.instances + extra)
