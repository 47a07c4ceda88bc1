"""Why a service broke: what lowered what it takes, what raised what it was asked, and what keeps it down."""

from dataclasses import dataclass

import numpy as np

from capacity.display.numbers import format_number, format_percent, format_qps, format_seconds
from capacity.plan.fleet import Fleet
from capacity.plan.network import Matrix, injection, reach
from capacity.plan.sizing import Bools, Floats, Ints
from capacity.rehearsal.faults import Fault, Faults
from capacity.rehearsal.script import while_on
from capacity.rehearsal.simulate import Script
from capacity.rehearsal.stage import Stage
from capacity.rehearsal.trace import NOTHING_LEFT, Trace
from capacity.rehearsal.world import World

_NOTABLE = 0.05  # of a service's load: what is less explains nothing
STUCK_S = 60  # broken for so long with demand back below capacity: longer than queues and attempts take to be gone


@dataclass(frozen=True)
class Scene:
    """A rehearsal that was played, with all that explains it."""

    world: World
    fleet: Fleet
    script: Script
    stage: Stage
    faults: Faults
    trace: Trace
    scheduled: Ints  # instances by the plan, (t, p)

    def rows(self, s: int) -> Bools:
        """Futures in which a service broke."""
        return np.asarray(self.trace.first_break_s[:, s] >= 0)

    def first(self, s: int) -> int:
        """Position at which it breaks in the middle future of those."""
        return int(np.median(self.trace.first_break_s[self.rows(s), s]))


def because(scene: Scene, s: int) -> str:
    """Say why a service broke, the causes in the order in which they act."""
    trace, rows = scene.trace, scene.rows(s)
    ratio = float(np.median(trace.demand_at_break[rows, s]))
    again = float(np.median(trace.retries_at_break[rows, s]))
    lowered, raised = _lowered(scene, s), _raised(scene, s)
    if ratio >= NOTHING_LEFT:
        return "; ".join([*lowered, "it could serve nothing"])
    parts = [*lowered, *raised]
    if ratio > 1.0:
        parts.append(f"fresh demand was {format_number(ratio)} times what it takes")
    if again > _NOTABLE:
        parts.append(f"{format_percent(again)} of its load were retries{_set_off(scene, s)}")
    if ratio <= 1.0 and again <= _NOTABLE:
        parts.append(f"fresh demand fits ({format_percent(ratio)} of what it takes); bursts and a backlog did it")
    elif ratio <= 1.0:
        parts.append(f"fresh demand alone would have fitted ({format_percent(ratio)} of what it takes)")
    return "; ".join(parts)


def _lowered(scene: Scene, s: int) -> list[str]:
    at, name = scene.first(s), scene.fleet.names[s]
    out = []
    left = float(scene.script.capacity_factor[at, s])
    if left < 1.0:
        out.append("it is down" if left == 0.0 else f"a fault leaves it {format_percent(left)} of its capacity")
    pool = int(scene.fleet.pool[s])
    serve, planned = int(scene.script.instances[at, pool]), int(scene.scheduled[at, pool])
    if serve < planned and not scene.fleet.is_fixed[s]:
        out.append(f"{serve} of {planned} instances serve")
    roof = float(scene.world.key_roof_qps[s])
    takes = float(np.median(scene.trace.capacity_at_break[scene.rows(s), s]))
    if np.isfinite(roof) and takes >= 0.999 * roof * max(left, 1e-9):
        share = format_percent(float(scene.world.guards.key_share[s]))
        out.append(f"the hottest key gets {share} of {name}'s requests, which is all one key takes")
    return out


def _raised(scene: Scene, s: int) -> list[str]:
    out = [
        f"demand is multiplied by {format_number(fault.factor)}"
        for fault in scene.faults.of("demand")
        if fault.factor > 1 and _is_on(scene, fault, s)
    ]
    warmth = float(scene.script.warmth[scene.first(s)])
    if warmth < 1.0:
        times = 1.0 + (1.0 - warmth) * (_cold_factor(scene, s) - 1.0)
        if times > 1.0 + _NOTABLE:
            out.append(f"misses of cold caches make {format_number(times)} times its usual demand")
    return out


def _is_on(scene: Scene, fault: Fault, s: int) -> bool:
    span = while_on(fault, scene.stage)
    return bool(span.start <= scene.first(s) < span.stop)


def _cold_factor(scene: Scene, s: int) -> float:
    """Demand behind cold caches ÷ demand behind warm ones."""
    network = scene.world.network
    start = injection(scene.world.entries, network.size)
    outside = scene.script.arrivals[:, :, scene.first(s)].mean(axis=0)
    cold, warm = (
        float(outside @ np.asarray(reach(start, network.matrix(cold=c)).toarray())[:, s]) for c in (True, False)
    )
    return cold / warm if warm > 0 else 1.0


def _set_off(scene: Scene, s: int) -> str:
    """Name the break that came before, if one did in most of the same futures."""
    trace, rows = scene.trace, scene.rows(s)
    when = np.where(trace.first_break_s >= 0, trace.first_break_s, np.iinfo(np.int32).max)[rows]
    earlier = (when < when[:, [s]]).mean(axis=0)
    earlier[s] = 0.0
    if not (earlier > 0.5).any():
        return ""
    order = np.where(earlier > 0.5, np.median(when, axis=0), np.inf)
    return f", set off when {scene.fleet.names[int(order.argmin())]} broke"


def spread(scene: Scene, s: int) -> tuple[tuple[str, int], ...]:
    """Services that cannot do without it and failed in most such futures, with the seconds until they did."""
    trace, rows, network = scene.trace, scene.rows(s), scene.world.network
    need = network.matrix(only=network.binding)
    leans = np.asarray(reach(Matrix(injection([s], network.size)), Matrix(need.T)).toarray()).ravel() > 0
    hit = (trace.affected[rows].mean(axis=0) >= 0.5) & leans
    hit[s] = False
    late = {int(i): _delay(trace, rows, s, int(i)) for i in np.flatnonzero(hit)}
    return tuple((scene.fleet.names[i], delay) for i, delay in sorted(late.items(), key=lambda item: item[1]))


def _delay(trace: Trace, rows: Bools, s: int, other: int) -> int:
    both = rows & (trace.first_affected_s[:, other] >= 0)
    after = trace.first_affected_s[both, other] - trace.first_break_s[both, s]
    return max(int(np.median(after)), 0)


def is_metastable(scene: Scene, s: int) -> bool:
    """Whether it mostly stays broken with demand back below capacity and no fault on it."""
    return float((scene.trace.stuck_s[scene.rows(s), s] >= STUCK_S).mean()) >= 0.5


def shed_to_qps(scene: Scene, s: int) -> float:
    """Fresh demand below which a service that is held down by retries recovers, requests/s.

    While it is stuck every request fails, and arrives as often as it is tried: amplification × demand. The queue
    drains only when that is below capacity.
    """
    trace = scene.trace
    rows = scene.rows(s) & (trace.stuck_s[:, s] > 0)
    takes = _calm_capacity(scene, s)
    if not rows.any() or not np.isfinite(takes):
        return float("nan")
    return takes / float(np.median(trace.stuck_load[rows, s]))


def _calm_capacity(scene: Scene, s: int) -> float:
    """Capacity when no fault holds it, in the middle future, at the end of the stretch in which it breaks."""
    values = scene.trace.timeline["capacity"][:, 1, s]
    return float(values.max())


def feedback(scene: Scene, s: int) -> str:
    """Name the loop that keeps a service down."""
    network, names = scene.world.network, scene.fleet.names
    into = np.flatnonzero((network.callee == s) & (network.retries > 0) & ~network.queued)
    carried = np.median(scene.trace.arrived[:, network.caller[into]], axis=0) * network.calls[into]
    strongest: Floats = carried * network.retries[into]
    who = [f"{names[int(network.caller[e])]}'s" for e in into[np.argsort(-strongest, kind="stable")][:3]]
    if scene.script.user_retries and s in scene.world.entries:
        who.append("users'")
    load = scene.trace.stuck_load[scene.rows(s) & (scene.trace.stuck_s[:, s] > 0), s]
    times = f"{format_number(float(np.median(load)))} times the demand" if load.size else "more than the demand"
    retries = f"{', '.join(who)} retries" if who else "retries further up"
    return f"its timeouts cause {retries}, which keep {times} coming, which cause its timeouts"


def recovery(scene: Scene, s: int) -> str:
    """Say whether it recovers, by itself or not."""
    trace, rows = scene.trace, scene.rows(s)
    lasted = format_seconds(float(np.median(trace.broken_s[rows, s])))
    if is_metastable(scene, s):
        shed = shed_to_qps(scene, s)
        to = f"; it recovers once demand there is held below {format_qps(shed)}" if np.isfinite(shed) else ""
        return (
            f"metastable overload: stays broken after the trigger is gone and demand is below capacity "
            f"({lasted} broken): {feedback(scene, s)}{to}"
        )
    end = scene.stage.end_of(scene.first(s))
    if float((trace.last_break_s[rows, s] >= end - 60).mean()) >= 0.5:
        return f"does not recover while the demand lasts ({lasted} broken)"
    return f"recovers by itself ({lasted} broken)"
