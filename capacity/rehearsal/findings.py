"""What a rehearsal showed, in words: what breaks first, when, why, how far, whether it recovers, what mends it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.display.numbers import format_number, format_percent, format_qps, format_seconds
from capacity.plan.fleet import Fleet
from capacity.plan.network import Matrix, injection, reach
from capacity.plan.sizing import Ints, instances_for
from capacity.rehearsal.faults import Faults
from capacity.rehearsal.script import Stage
from capacity.rehearsal.simulate import NOTHING_LEFT, Trace
from capacity.rehearsal.world import World

_SETTLED_S = 60  # broken in the last minute of the first stretch: did not recover
_STUCK_S = 30


@dataclass(frozen=True)
class Break:
    """How one service broke, over the futures played."""

    service: str
    share: float
    at_s: int | None
    because: str
    recovers: str
    spread: tuple[str, ...]
    mend: str


def find_breaks(world: World, fleet: Fleet, trace: Trace, stage: Stage, *, faults: Faults) -> tuple[Break, ...]:
    """Every service that broke in some future, those which break most often first."""
    broken = trace.first_break_s >= 0
    share = broken.mean(axis=0)
    order = [int(s) for s in np.argsort(-share, kind="stable") if share[s] > 0]
    return tuple(_break(world, fleet, trace, stage, s, faults=faults) for s in order)


def _break(world: World, fleet: Fleet, trace: Trace, stage: Stage, s: int, *, faults: Faults) -> Break:
    rows = trace.first_break_s[:, s] >= 0
    first = int(np.median(trace.first_break_s[rows, s]))
    ratio = float(np.median(trace.worst_ratio[rows, s]))
    own = trace.first_overload_s[rows, s] >= 0
    if own.mean() >= 0.5:
        because = f"demand was {ratio:.2f} times what it takes" if ratio < NOTHING_LEFT else "it could serve nothing"
    else:
        because = "retries and a backlog raised its load above what it takes, though fresh demand fitted"
    return Break(
        service=fleet.names[s],
        share=float(rows.mean()),
        at_s=int(stage.seconds[first]),
        because=because,
        recovers=_recovery(trace, stage, s, rows),
        spread=_spread(world, fleet, trace, s, rows),
        mend=_mend(world, fleet, trace, s, faults=faults),
    )


def _recovery(trace: Trace, stage: Stage, s: int, rows: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> str:
    end = int(stage.starts[1]) if len(stage.starts) > 1 else stage.length
    stuck = float((trace.stuck_s[rows, s] >= _STUCK_S).mean())
    late = float((trace.last_break_s[rows, s] >= end - _SETTLED_S).mean())
    lasted = format_seconds(float(np.median(trace.broken_s[rows, s])))
    if stuck >= 0.5:
        return (
            f"metastable: stays broken after demand is back below capacity ({lasted} broken); it needs load taken off"
        )
    if late >= 0.5:
        return f"does not recover while the demand lasts ({lasted} broken)"
    return f"recovers by itself ({lasted} broken)"


def _spread(
    world: World, fleet: Fleet, trace: Trace, s: int, rows: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> tuple[str, ...]:
    """Services that cannot do without it, and failed more than 5 % of a second's requests in most such futures."""
    network = world.network
    need = network.matrix(only=network.binding)
    leans = np.asarray(reach(Matrix(injection([s], network.size)), Matrix(need.T)).toarray()).ravel() > 0
    hit = (trace.affected[rows].mean(axis=0) >= 0.5) & leans
    return tuple(fleet.names[i] for i in np.flatnonzero(hit) if i != s)


def _mend(world: World, fleet: Fleet, trace: Trace, s: int, *, faults: Faults) -> str:
    ratio = float(np.quantile(trace.worst_ratio[:, s], 0.95))
    name = fleet.names[s]
    if faults.late_scale_up and not fleet.is_fixed[s]:
        takes = format_seconds(float(fleet.startup_s[fleet.pool[s]]))
        return f"have its instances serving before the start: they take {takes}"
    if np.isfinite(world.fixed_qps[s]):
        has = float(world.fixed_qps[s])
        if ratio >= NOTHING_LEFT:
            return f"{name} has to come back; until then turn its callers' requests away early with a limit"
        cut = f" or hold {format_percent(1 - 1 / ratio)} of its demand back" if ratio > 1 else ""
        return f"raise what {name} takes from {format_qps(has)} to {format_qps(has * max(ratio, 1.0))}{cut}"
    if ratio >= NOTHING_LEFT:
        return f"{name} has to come back; until then turn its callers' requests away early with a limit"
    more = extra_instances(world, fleet, trace, zone_loss=faults.zone_loss)[int(fleet.pool[s])]
    if more > 0:
        cost = float(fleet.cost[fleet.pool[s]]) * int(more)
        return f"{int(more)} more instances of {fleet.pools[int(fleet.pool[s])]} ({format_number(cost)} an hour)"
    return f"a retry budget and a limit for the callers of {name}: its own capacity suffices for fresh demand"


def extra_instances(world: World, fleet: Fleet, trace: Trace, *, zone_loss: bool) -> Ints:
    """Instances per pool that lift capacity to demand in 95 % of the futures."""
    del world
    ratio = np.quantile(np.where(trace.worst_ratio < NOTHING_LEFT, trace.worst_ratio, 1.0), 0.95, axis=0)
    ratio[fleet.is_fixed] = 1.0
    worst = np.ones(len(fleet.pools))
    np.maximum.at(worst, fleet.pool, ratio)
    surviving = trace.most_instances
    need = np.ceil(surviving * worst - 1e-9).astype(np.int64)
    grown = instances_for(need, fleet.zones, fleet.losses) if zone_loss else need
    base = instances_for(surviving, fleet.zones, fleet.losses) if zone_loss else surviving
    return np.asarray(np.maximum(grown - base, 0), dtype=np.int64)


def say_turned_away(fleet: Fleet, trace: Trace) -> str:
    """Which limits turn away how much of what arrives at them; empty when nothing is."""
    share = trace.rejected.sum(axis=0) / np.maximum(trace.arrived.sum(axis=0), 1e-9)
    at = [int(s) for s in np.argsort(-share, kind="stable")[:4] if share[s] > 1e-4]
    return (
        "limits turn away " + ", ".join(f"{format_percent(float(share[s]))} at {fleet.names[s]}" for s in at)
        if at
        else ""
    )


def explain(
    breaks: Sequence[Break],
    *,
    overload: float | None,
    promised: float | None,
    unknown: Sequence[str],
    paths: int,
    turned_away: str,
    proof: str,
) -> tuple[str, ...]:
    """Say the findings as sentences, the verdict first."""
    verdict = (
        f"demand exceeds what a core service takes in {format_percent(overload)} of {paths} futures "
        f"(the plan says {format_percent(promised)} with its zone loss and without this rehearsal's other faults)"
    )
    if unknown:
        names = ", ".join(unknown[:6]) + (f" and {len(unknown) - 6} more" if len(unknown) > 6 else "")
        verdict = f"how often a core service is asked too much is unknown: nothing says what {names} can take"
    lines = [verdict]
    if turned_away:
        lines.append(turned_away)
    if not breaks:
        of_known = " of what has a known capacity" if unknown else ""
        lines.append(f"nothing{of_known} breaks: limits turn away what would be too much")
        return tuple(lines)
    for b in breaks[:5]:
        when = format_seconds(abs(b.at_s)) if b.at_s is not None else "?"
        side = "before" if (b.at_s or 0) < 0 else "after"
        reach = f"; it reaches {', '.join(b.spread[:6])}" if b.spread else "; it stays there"
        lines.append(
            f"{b.service} breaks in {format_percent(b.share)} of the futures, {when} {side} the start: "
            f"{b.because}{reach}; "
            f"{b.recovers}; mend: {b.mend}"
        )
    if proof:
        lines.append(proof)
    return tuple(lines)
