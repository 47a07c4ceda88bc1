"""Changes to a plan that might mend a break: instances, limits, features, retry budgets, time, negotiations."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from capacity.display.numbers import format_percent, format_qps
from capacity.plan import Plan
from capacity.plan.network import RETRY_BUDGET, Matrix, injection, reach
from capacity.plan.sizing import Bools, Floats, Ints, instances_for
from capacity.rehearsal.causes import Scene, is_metastable
from capacity.rehearsal.simulate import Script
from capacity.rehearsal.trace import NOTHING_LEFT
from capacity.rehearsal.world import World

_OFTEN = 0.05  # of the futures: what breaks less often is no reason to switch a feature off
_LIKELY = 0.95  # share of futures that a change is dimensioned for
_MOST_RUNGS = 3
_NOTABLE = 0.001  # share of retries in all that arrives: below it, leaving them out changes nothing
_ROOM = 0.98  # of a capacity: what a limit lets in beside the wobble of counts
_NOTICED_S, _SHED_S = 30, 120  # until somebody sees it; long enough for queues of seconds to drain


@dataclass(frozen=True)
class Change:
    """One change, as it would be played and what it costs.

    Attributes
    ----------
    what : str
    world, script
        With it.
    cost_per_hour : float or None
        Money of instances; None where it is to be negotiated.
    value_lost_per_hour : float
        Of features that are off.
    shed_requests : float
        Turned away before they are played, in the mean future.
    """

    what: str
    world: World
    script: Script
    cost_per_hour: float | None = 0.0
    value_lost_per_hour: float = 0.0
    shed_requests: float = 0.0


def changes(plan: Plan, scene: Scene, s: int, world: World, script: Script) -> Iterator[Change]:
    """Every change that might mend the break of a service, on the futures and seconds given."""
    yield from _retries(scene, world, script)
    yield from _scale(scene, world, script)
    yield from _negotiate(scene, s, world, script)
    yield from _rungs(plan, scene, s, world, script)
    yield from _limits(scene, s, world, script)
    yield from _shed(scene, s, world, script)


def _retries(scene: Scene, world: World, script: Script) -> Iterator[Change]:
    if np.isinf(script.budget):
        what = f"retry budgets of {format_percent(RETRY_BUDGET)} kept by every caller"
        yield Change(what, world, replace(script, budget=RETRY_BUDGET))
    elif scene.trace.retried.sum() > _NOTABLE * scene.trace.arrived.sum():
        yield Change("no retries while it lasts", world, replace(script, budget=0.0))


def _scale(scene: Scene, world: World, script: Script) -> Iterator[Change]:
    fleet = scene.fleet
    if scene.faults.has("late-scale-up"):
        span = np.searchsorted(scene.stage.seconds, script.moments)
        planned = np.maximum(scene.scheduled[span], script.instances)
        grown = (planned - script.instances).max(axis=0)
        hours = float((fleet.startup_s / 3600.0 * fleet.cost * grown).sum())
        what = "scale up as early as the plan says (money: for the lead time, once)"
        yield Change(what, world, replace(script, instances=planned), hours)
        return
    extra = extra_instances(scene)
    if extra.any():
        names = ", ".join(f"{fleet.pools[p]} +{int(extra[p])}" for p in np.flatnonzero(extra)[:6])
        more = replace(script, instances=script.instances + extra)
        yield Change(f"more instances: {names}", world, more, float((fleet.cost * extra).sum()))


def _at_roof(scene: Scene) -> Bools:
    """Services that broke at a capacity which no instance lifts: what they take at all, or what one key takes."""
    roof = np.minimum(scene.world.fixed_qps, scene.world.key_roof_qps)
    takes = np.where(scene.trace.broken, scene.trace.capacity_at_break, -np.inf).max(axis=0)
    return np.asarray(np.isfinite(roof) & (takes >= 0.99 * roof))


def extra_instances(scene: Scene) -> Ints:
    """Instances per pool that lift capacity to demand in 95 % of the futures."""
    fleet, trace = scene.fleet, scene.trace
    ratio = np.quantile(np.where(trace.worst_ratio < NOTHING_LEFT, trace.worst_ratio, 1.0), _LIKELY, axis=0)
    ratio[fleet.is_fixed] = 1.0
    ratio = np.where(trace.broken.any(axis=0) & ~_at_roof(scene), ratio, 1.0)
    worst = np.ones(len(fleet.pools))
    np.maximum.at(worst, fleet.pool, ratio)
    surviving = scene.script.instances.max(axis=0)
    need = np.ceil(surviving * worst - 1e-9).astype(np.int64)
    if not scene.faults.has("zone-loss"):
        return np.asarray(np.maximum(need - surviving, 0), dtype=np.int64)
    grown = instances_for(need, fleet.zones, fleet.losses)
    base = instances_for(surviving, fleet.zones, fleet.losses)
    return np.asarray(np.maximum(grown - base, 0), dtype=np.int64)


def _negotiate(scene: Scene, s: int, world: World, script: Script) -> Iterator[Change]:
    fixed, name = world.fixed_qps, scene.fleet.names[s]
    ratio = scene.trace.worst_ratio[:, s]
    need = float(np.quantile(ratio[ratio < NOTHING_LEFT], _LIKELY)) if (ratio < NOTHING_LEFT).any() else np.nan
    if np.isfinite(fixed[s]) and need > 1.0:
        raised = np.where(np.arange(len(fixed)) == s, fixed * need, fixed)
        what = f"negotiate: {name} takes {format_qps(float(raised[s]))} instead of {format_qps(float(fixed[s]))}"
        yield Change(what, replace(world, fixed_qps=raised), script, None)
    if scene.fleet.is_fixed[s] and (scene.script.capacity_factor[:, s] < 1.0).any():
        whole = np.where(np.arange(len(fixed)) == s, 1.0, script.capacity_factor)
        yield Change(f"a second way beside {name} that takes over", world, replace(script, capacity_factor=whole), None)


def _rungs(plan: Plan, scene: Scene, s: int, world: World, script: Script) -> Iterator[Change]:
    often = scene.trace.broken.mean(axis=0) > _OFTEN
    often[s] = True
    hit = {scene.fleet.names[i] for i in np.flatnonzero(often)}
    frees = {rung["feature"] for rung in plan.document["degradation"] if hit & set(rung["saves_qps"])}
    lost = {rung["feature"]: float(rung.get("value_lost_per_hour") or 0.0) for rung in plan.document["degradation"]}
    off = [k for k, rung in enumerate(world.rungs) if not rung.planned and len(rung.edges) and rung.name in frees]
    rungs = list(world.rungs)
    names: list[str] = []
    for k in off[:_MOST_RUNGS]:
        rungs[k] = replace(rungs[k], window_s=(-np.inf, np.inf))
        names.append(rungs[k].name)
        what = f"switch off beforehand: {', '.join(names)}"
        yield Change(what, replace(world, rungs=tuple(rungs)), script, 0.0, sum(lost.get(n, 0.0) for n in names))


def _limits(scene: Scene, s: int, world: World, script: Script) -> Iterator[Change]:
    """Limits back where they failed; and limits at the entries that hold the service's load below what it takes."""
    if script.limited is not None and not script.limited.all():
        on = replace(script, limited=np.ones_like(script.limited))
        yield Change("limits that each instance keeps when the limiter is gone", world, on)
    share = _held_back(scene, s)
    if not np.isfinite(share) or share >= 1.0:
        return
    network, guards = world.network, world.guards
    towards = np.asarray(reach(Matrix(injection([s], network.size)), Matrix(network.matrix().T)).toarray()).ravel() > 0
    asked: Floats = np.quantile(scene.script.arrivals.max(axis=2), _LIKELY, axis=0)
    limit = guards.cluster_qps.copy()
    at = [(e, q) for e, q in zip(world.entries, asked, strict=True) if towards[e]]
    for entry, qps in at:
        limit[entry] = min(limit[entry], share * qps)
    names = ", ".join(scene.fleet.names[e] for e, _ in at[:4])
    held = replace(world, guards=replace(guards.with_cluster(limit), frail=np.zeros_like(guards.frail)))
    what = f"hold {names} at {format_percent(share)} of their worst second, by limits that cannot fail"
    yield Change(what, held, script)


def _shed(scene: Scene, s: int, world: World, script: Script) -> Iterator[Change]:
    """Take load off for two minutes once the trigger is gone: what a metastable overload needs, and no more."""
    held = np.flatnonzero((script.capacity_factor < 1.0).any(axis=1))
    share = _held_back(scene, s)
    if not is_metastable(scene, s) or not len(held) or not np.isfinite(share):
        return
    begin = int(held[-1]) + 1 + _NOTICED_S
    window = slice(begin, begin + _SHED_S)
    arrivals = script.arrivals.copy()
    arrivals[:, :, window] *= share
    gone = float((script.arrivals - arrivals).sum(axis=(1, 2)).mean())
    gone_for = f"for {_SHED_S // 60} min, {_NOTICED_S} s after the trigger"
    what = f"turn away {format_percent(1 - share)} at the entries {gone_for}"
    yield Change(what, world, replace(script, arrivals=arrivals), shed_requests=gone)


def _held_back(scene: Scene, s: int) -> float:
    """Share of the entries' load at which the service can serve all it is asked, in 95 % of the futures."""
    trace = scene.trace
    mine = np.flatnonzero((np.arange(len(scene.world.core)) == s) | (scene.world.core & trace.broken.any(axis=0)))
    ratio = np.where(trace.worst_ratio < NOTHING_LEFT, trace.worst_ratio, 0.0)[:, mine].max(axis=1)
    if not ratio.any():
        return float("nan")
    load = trace.stuck_load[:, mine].max(axis=1)
    # Where retries hold a service down it recovers only when demand times what they make of it fits.
    amplified = float(np.median(load[load > 0])) if (load > 0).mean() >= 0.5 else 1.0
    return _ROOM / max(float(np.quantile(ratio, _LIKELY)), 1.0) / max(amplified, 1.0)
