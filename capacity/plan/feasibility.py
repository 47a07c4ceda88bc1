"""Whether a plan keeps its promise, and the least change that would let it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display.numbers import format_number, format_percent, format_qps
from capacity.plan.connections import Connections, count_connections
from capacity.plan.decide import Decided
from capacity.plan.fleet import TIERS, most_pool_load
from capacity.plan.sizing import Floats, allowed_samples, instances_for, survivors

if TYPE_CHECKING:
    from capacity.settings import Risk


_NAMED = 10


@dataclass(frozen=True)
class Mend:
    """What one service would need so that its tier's promise holds."""

    position: int
    kind: str  # 'capacity' (max_qps), 'hot key', 'quota', or 'proof' of what instances do not add to
    has: float
    needs: float


def find_mends(decided: Decided, tier: int, *, risk: "Risk") -> tuple[tuple[Mend, ...], float]:
    """Least capacities that mend a tier's broken promise, and the share of demand that fits without them.

    All offenders are raised to one common quantile of what they need, the lowest at which their joint
    failures stay within the promise.
    """
    fleet = decided.fleet
    probability = (risk.overload_probability, risk.non_core_overload_probability)[tier]
    allowed = int(0.9 * allowed_samples(probability, len(decided.overloaded)))
    columns, names = _offenders(decided, tier, ceiling=risk.utilization_ceiling)
    if not names:
        return (), 1.0
    ratio = np.column_stack([load / roof for load, roof in columns])
    worst = np.sort(ratio.max(axis=1))[::-1]
    fits = 1.0 / float(worst[min(allowed, len(worst) - 1)])
    needs = _common_level(np.column_stack([load for load, _ in columns]), allowed)
    mends = []
    for (kind, s), (_, roof), need in zip(names, columns, needs, strict=True):
        if need <= roof:
            continue
        pool = int(fleet.pool[s])
        if kind == "proof":
            each = float(np.median(fleet.capacity[:, s]))
            mends.append(Mend(s, kind, roof * each, float(need) * each))
        elif kind == "quota":
            more = instances_for(int(np.ceil(need)), fleet.zones[pool], fleet.losses[pool])
            mends.append(Mend(s, kind, float(fleet.quota[pool]), float(more)))
        else:
            mends.append(Mend(s, kind, roof, float(need)))
    return tuple(mends), min(fits, 1.0)


def _offenders(
    decided: Decided, tier: int, *, ceiling: float
) -> tuple[list[tuple[Floats, float]], list[tuple[str, int]]]:
    fleet, most = decided.fleet, decided.offered.most()
    columns: list[tuple[Floats, float]] = []
    names: list[tuple[str, int]] = []
    for s in np.flatnonzero(fleet.tier == tier):
        for kind, roof in (("capacity", fleet.fixed_qps[s]), ("hot key", fleet.roof_qps[s])):
            if np.isfinite(roof) and (most[:, s] > roof).any():
                columns.append((most[:, s], float(roof)))
                names.append((kind, int(s)))
    load = most_pool_load(fleet, decided.offered, ceiling=ceiling)
    top = survivors(np.minimum(fleet.quota, 10**15), fleet.zones, fleet.losses)
    for p in np.flatnonzero((fleet.pool_tier == tier) & fleet.sized):
        if (load[:, p] > top[p]).any():
            columns.append((load[:, p], float(max(int(top[p]), 1e-9))))
            kind = "sharing" if fleet.is_held_by_sharing[p] else "quota" if fleet.scalable[p] else "proof"
            names.append((kind, fleet.names.index(fleet.pools[p])))
    return columns, names


def _common_level(load: Floats, allowed: int) -> Floats:
    """Lowest common order statistic of the columns above which at most ``allowed`` rows lie in any of them."""
    ordered = -np.sort(-load, axis=0)
    low, high = 0, min(allowed, len(load) - 1)
    while low < high:
        middle = (low + high + 1) // 2
        if int((load > ordered[middle]).any(axis=1).sum()) <= allowed:
            low = middle
        else:
            high = middle - 1
    return np.asarray(ordered[low], dtype=float)


def unproven(decided: Decided) -> list[int]:
    """Core and non-core services with load of which no capacity is known."""
    fleet = decided.fleet
    return [int(s) for s in np.flatnonzero(~fleet.is_known & (fleet.tier < 2))]


def infeasible_because(decided: Decided, *, risk: "Risk") -> list[str]:
    """Every reason why the promise does not hold, each with the least change that mends it."""
    names, third = decided.fleet.names, decided.fleet.third_party
    promised = (risk.overload_probability, risk.non_core_overload_probability)
    reached = (decided.core_probability, decided.non_core_probability)
    unknown = [
        f"no capacity of {names[s]} ({_tier(decided, s)}) is known, so no probability that includes it "
        f"can be promised: {'name its max_qps' if third[s] else 'load test it, or name its max_qps'}"
        for s in unproven(decided)
    ]
    broken = [
        _broken(decided, tier, promised[tier], reached[tier], risk=risk)
        for tier in (0, 1)
        if reached[tier] > promised[tier]
    ]
    crowded = [_crowded(names[c.position], c) for c in _worst_crowded(decided)]
    return [*unknown, *broken, *crowded]


def _worst_crowded(decided: Decided) -> list[Connections]:
    """Find services that get too many connections though degradable callers are held back; else all that do."""
    full = [c for c in count_connections(decided.fleet, decided.instances) if c.opened > c.most]
    return [c for c in full if c.least > c.most] or [replace(c, least=c.opened) for c in full]


def _crowded(name: str, found: Connections) -> str:
    return (
        f"{name} takes {format_number(found.most)} connections and its callers' instances open "
        f"{format_number(found.opened)}: raise max_connections to {found.least:.0f}, "
        f"or cut connections_per_instance by {format_percent(1 - found.most / found.least)}"
    )


def _broken(decided: Decided, tier: int, promised: float, reached: float, *, risk: "Risk") -> str:
    name = TIERS[tier].replace("_", "-")
    head = (
        f"some {name} service is overloaded with probability {format_percent(reached)}, "
        f"promised {format_percent(promised)}"
    )
    mends, fits = find_mends(decided, tier, risk=risk)
    head += _beyond_the_ladder(decided, tier, promised)
    if not mends:
        return f"{head}: more samples, or accept overload_probability {format_percent(_up_to_tenths(reached))}"
    changes = " and ".join(say_mend(decided, mend) for mend in mends)
    cut = f"; or hold back {format_percent(_up_to_tenths(1 - fits))} of the demand" if fits < 1 else ""
    return f"{head}; the least change that mends it: {changes}{cut}"


def _beyond_the_ladder(decided: Decided, tier: int, promised: float) -> str:
    """Say that switching off all that can be is not enough, where core services do not fit even so."""
    left = decided.relief.lost[2]
    if tier != 0 or not decided.features or left <= promised:
        return ""
    return f", and would not fit in {format_percent(left)} of futures with all {len(decided.features)} features off"


def say_mend(decided: Decided, mend: Mend) -> str:
    """One change in words."""
    name = decided.fleet.names[mend.position]
    if mend.kind == "proof":
        how = "name its max_qps" if decided.fleet.third_party[mend.position] else "load test it, or name its max_qps"
        return (
            f"show that {name} takes {format_qps(_up(mend.needs))}, {format_qps(mend.has)} is all that was seen ({how})"
        )
    if mend.kind == "sharing":
        return (
            f"find what the instances of {name} share: beyond {mend.has:.0f} serving another takes more than it brings"
        )
    if mend.kind == "quota":
        return f"raise the quota of {name} from {mend.has:.0f} to {mend.needs:.0f} instances"
    what = "what the hottest key or max_qps leaves" if mend.kind == "hot key" else "capacity"
    return f"raise {what} of {name} from {format_qps(mend.has)} to {format_qps(_up(mend.needs))}"


def _up(qps: float) -> float:
    """Round up to the three digits that are written, so that what is named is enough."""
    if not np.isfinite(qps) or qps <= 0:
        return qps
    step = 10.0 ** (np.floor(np.log10(qps)) - 2)
    return float(np.ceil(qps / step - 1e-9) * step)


def _up_to_tenths(fraction: float) -> float:
    """Round up to the tenths of a percent that are written."""
    return float(np.ceil(1000.0 * fraction - 1e-9) / 1000.0)


def _tier(decided: Decided, s: int) -> str:
    return TIERS[int(decided.fleet.tier[s])]


def too_late(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Services whose instances cannot serve when they are needed, asked for at the plan's as_of."""
    names = [name for name, entry in services.items() if entry["late"] is not None and not entry["late"]["in_time"]]
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    said = (
        f"the instances of {', '.join(names[:_NAMED])}{more} cannot serve in time, even asked for at the plan's as_of: "
        "have them running before, or plan earlier"
    )
    return [said]
