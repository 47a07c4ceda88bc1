"""Why a service that scales out does not keep its instances, get one fewer, or have something switched off instead."""

from typing import TYPE_CHECKING

from capacity.display.numbers import format_number, format_percent, format_qps
from capacity.plan.decide import Decided
from capacity.plan.fleet import TIERS
from capacity.plan.sizing import survivors

if TYPE_CHECKING:
    from capacity.settings import Risk

_WORTH_SAYING = 0.01  # of a service's worst second: what frees less is no alternative to instances


def not_taken(decided: Decided, s: int, *, risk: "Risk") -> list[tuple[str, str]]:
    """Options of one service that scales out, each with the numbers that speak against it."""
    pool = int(decided.fleet.pool[s])
    n, now = int(decided.instances[pool]), int(decided.fleet.now[pool])
    found = [("keep", _if_kept(decided, s, now, risk))]
    if n - 1 > now:
        found.append((f"{n - 1} instances", _one_fewer(decided, pool, risk)))
    return [*found, *_instead(decided, s)]


def _if_kept(decided: Decided, s: int, now: int, risk: "Risk") -> str:
    fleet = decided.fleet
    pool = int(fleet.pool[s])
    left = int(survivors(now, fleet.zones[pool], fleet.losses[pool]))
    mid = float(decided.digest.peak[1, s])
    takes = left * float(decided.digest.capacity[1, s])
    own = float(decided.options.kept.own[pool])
    return (
        f"{now} instances leave {left} after the loss, {format_qps(takes)}, against {format_qps(mid)} in the median "
        f"future: overloaded with probability {format_percent(own)}"
        f"{_jointly(decided, pool, float(decided.options.kept.joint[pool]), risk)}"
    )


def _jointly(decided: Decided, pool: int, joint: float, risk: "Risk") -> str:
    tier = int(decided.fleet.pool_tier[pool])
    if tier == len(TIERS) - 1:
        return ""
    promised = (risk.overload_probability, risk.non_core_overload_probability)[tier]
    name = TIERS[tier].replace("_", "-")
    return f", some {name} service with {format_percent(joint)}, {format_percent(promised)} promised"


def _one_fewer(decided: Decided, pool: int, risk: "Risk") -> str:
    option = decided.options.one_fewer
    saved = f"would save {format_number(float(decided.fleet.cost[pool]))} an hour"
    own = f"it would be overloaded with probability {format_percent(float(option.own[pool]))}"
    tier = int(decided.fleet.pool_tier[pool])
    if tier == len(TIERS) - 1:
        return f"{saved}, but {own}: fewer than its median future needs"
    told = (decided.core_probability, decided.non_core_probability)[tier]
    joint = float(option.joint[pool])
    promised = (risk.overload_probability, risk.non_core_overload_probability)[tier]
    slack = "; so near the promise the samples cannot tell" if told < joint <= promised else ""
    return f"{saved}, but {own}{_jointly(decided, pool, joint, risk)} and {format_percent(told)} as planned{slack}"


def _instead(decided: Decided, s: int) -> list[tuple[str, str]]:
    """Weigh switching a feature off against running more: what the one that frees most would spare."""
    fleet = decided.fleet
    pool = int(fleet.pool[s])
    typical = decided.typical_qps.max(axis=0)
    freed = decided.options.freed_qps[:, s]
    if not len(freed) or freed.max() <= _WORTH_SAYING * typical[s]:
        return []
    best = int(freed.argmax())
    feature = decided.options.waiting[best]
    share = min(freed[best] / float(typical[s]), 1.0)
    spared = int(share * int(decided.instances[pool]))
    lost = feature.value_per_hour(typical)
    because = (
        f"takes {format_percent(share)} off its worst second, about {spared} instances or "
        f"{format_number(spared * float(fleet.cost[pool]))} an hour, and loses {format_number(lost)} of value an hour"
    )
    return [(f"degrade instead: switch off {feature.name}", because)]
