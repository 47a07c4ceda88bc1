"""The degradation ladder as it is written down: triggers, what each rung frees, how it is taken back and checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display.numbers import format_percent, format_qps
from capacity.plan.decide import Decided
from capacity.plan.degradation import Feature, ladder, saved_at, value_lost_per_hour
from capacity.plan.feasibility import find_mends, say_mend
from capacity.plan.sizing import Floats
from capacity.plan.write import Calendar, number

if TYPE_CHECKING:
    from capacity.settings import Risk

TRIGGER_SHARE = 0.9  # of what the bottleneck takes: where a rung is switched on
TRIGGER_S = 30
RESTORE_SHARE, RESTORE_S = 0.7, 600  # back only well below, and for ten minutes: a switch must not flap
CHECK_FRACTION, CHECK_S = 0.9, 300
_LEAD_S = 300  # a planned rung is off that much before its phase, beside what the switch takes
_SHOWN = 1e-3  # of a capacity: what frees less there is not listed


@dataclass(frozen=True)
class Rung:
    """One rung on top of those before it.

    Attributes
    ----------
    feature : Feature
    place : int
        From 1 on.
    freed : ndarray (s,)
        Requests per second that it frees at the typical peak, those before it being off.
    lost : float
        Value per hour lost with it and all before it.
    bottleneck : int
        Service that it is watched at.
    after_s : float
        How long the trigger has to hold: the rungs before it at the same service come first and take effect.
    """

    feature: Feature
    place: int
    freed: Floats
    lost: float
    bottleneck: int
    after_s: float


def write_degradation(decided: Decided, calendar: Calendar) -> list[dict[str, Any]]:
    """Write the ladder: planned rungs first, then those that wait for their trigger."""
    load = np.median(decided.undegraded.peak_qps, axis=0)
    typical = load[int(load.sum(axis=1).argmax())]
    order = ladder(decided.features, decided.planned, typical=typical, capacity=decided.safe_qps)
    rungs = _rungs(decided, order, typical)
    return [_written(decided, calendar, rung, len(rungs), typical) for rung in rungs]


def write_reach(decided: Decided, *, risk: "Risk") -> dict[str, Any]:
    """Say what the ladder mends, whether all of it would be enough, and what would be where it is not."""
    nothing, planned, everything = decided.relief.lost
    suffices = everything <= risk.overload_probability
    mends = find_mends(decided, 0, risk=risk)[0] if decided.core_probability > risk.overload_probability else ()
    return {
        "core_does_not_fit": {
            "nothing_off": number(nothing), "as_planned": number(planned), "everything_off": number(everything)
        },
        "suffices": suffices,
        "would_suffice": [say_mend(decided, mend) for mend in mends],
        "bottlenecks": [decided.fleet.names[s] for s in decided.relief.bottlenecks],
        "value_lost_per_hour": number(decided.relief.value_per_hour),
        "value_gap_fraction": number(decided.relief.gap),
    }  # fmt: skip


def _rungs(decided: Decided, order: Sequence[Feature], typical: Floats) -> list[Rung]:
    out: list[Rung] = []
    before = np.zeros(len(typical))
    waited: dict[int, float] = {}
    for place, feature in enumerate(order, start=1):
        together = saved_at(typical, order[:place])
        at = _bottleneck(decided, feature, saved_at(typical, [feature]), typical)
        out.append(
            Rung(
                feature=feature,
                place=place,
                freed=np.maximum(together - before, 0.0),
                lost=value_lost_per_hour(order[:place], decided.features, typical=typical),
                bottleneck=at,
                after_s=TRIGGER_S + waited.get(at, 0.0),
            )
        )
        waited[at] = waited.get(at, 0.0) + TRIGGER_S + feature.takes_s
        before = together
    return out


def _shares(decided: Decided, freed: Floats) -> Floats:
    """Return what is freed of each service's safe capacity; 0 where that is not known."""
    safe = decided.safe_qps
    return np.divide(freed, safe, out=np.zeros(len(safe)), where=np.isfinite(safe) & (safe > 0))


def _bottleneck(decided: Decided, feature: Feature, freed: Floats, typical: Floats) -> int:
    """Where the rung matters: what is exceeded in most futures, else the core service with most use that it eases."""
    share = _shares(decided, freed)
    if feature in decided.planned:
        for s in decided.relief.bottlenecks:
            if share[s] > 0:
                return s
    weighed = share * _shares(decided, typical)
    core = np.where(decided.fleet.tier == 0, weighed, 0.0)
    return int((core if core.any() else share).argmax())


def _written(decided: Decided, calendar: Calendar, rung: Rung, rungs: int, typical: Floats) -> dict[str, Any]:
    fleet, feature, s = decided.fleet, rung.feature, rung.bottleneck
    planned = feature in decided.planned
    name, takes = fleet.names[s], float(decided.safe_qps[s])
    known = np.isfinite(takes)
    trigger = (
        f"more than {format_qps(TRIGGER_SHARE * takes)} at {name} for {rung.after_s:.0f} s"
        if known
        else f"errors at {name}"
    )
    on_at, off_at = _times(decided, calendar, feature) if planned else (None, None)
    saved = saved_at(typical, [feature])
    share = _shares(decided, rung.freed)
    caller = feature.callers[0]
    # The caller's rate can be seen while the feature is off; all on, the bottleneck moves with it.
    below = float(typical[caller] * RESTORE_SHARE * takes / typical[s]) if known and typical[s] > 0 else None
    return {
        "order": rung.place,
        "feature": feature.name,
        "service": fleet.names[feature.callers[0]],
        "trigger": f"planned: core services do not fit without it; else {trigger}"
        if planned
        else f"not planned: only on {trigger}",
        "on_at": on_at,
        "off_at": off_at,
        "owner": feature.owner or None,
        "saves_qps": {fleet.names[i]: number(saved[i]) for i in np.flatnonzero(saved > 0)},
        "frees": [
            {"service": fleet.names[i], "qps": number(rung.freed[i]), "share": number(share[i])}
            for i in np.argsort(-share, kind="stable")
            if share[i] > _SHOWN
        ],
        "value_lost_per_hour": number(feature.value_per_hour(typical)),
        "value_lost_so_far_per_hour": number(rung.lost),
        "recovery": _recovery(rung, name, fleet.names[caller], below),
        "recovery_order": rungs - rung.place + 1,
        "recover": {"service": fleet.names[caller], "below_qps": number(below), "for_s": RESTORE_S} if below else None,
        "check": _checks(decided, feature),
        "planned": planned,
        "watch": {"service": name, "above_qps": number(TRIGGER_SHARE * takes), "for_s": rung.after_s},
        "switch": feature.switch or None,
        "takes_s": feature.takes_s,
        "effective_after_s": number(rung.after_s + feature.takes_s),
    }


def _times(decided: Decided, calendar: Calendar, feature: Feature) -> tuple[str, str]:
    """From before the first phase in which the planned features are needed to the end of the last."""
    at = np.flatnonzero(decided.relief.phases)
    first, last = calendar.spans[int(at[0])], calendar.spans[int(at[-1])]
    return (first.starts_at - timedelta(seconds=feature.takes_s + _LEAD_S)).isoformat(), last.ends_at.isoformat()


def _recovery(rung: Rung, name: str, caller: str, below: float | None) -> str:
    switch = rung.feature.switch or rung.feature.name
    when = (
        f"when {caller} has been under {format_qps(below)} for {RESTORE_S // 60} min, where {name} takes it all at "
        f"{format_percent(RESTORE_SHARE)} of what it can"
        if below
        else "when the promotion is over"
    )
    return (
        f"switch {switch} back {when}, later rungs first; restored when its calls are back at "
        f"{format_percent(CHECK_FRACTION)} of their rate for {CHECK_S // 60} min"
    )


def _checks(decided: Decided, feature: Feature) -> list[dict[str, Any]]:
    """Say what to measure to know that the feature is back: calls that arrive per request to the caller."""
    network, names = decided.fleet.network, decided.fleet.names
    return [
        {
            "caller": names[network.caller[e]],
            "callee": names[network.callee[e]],
            "calls_per_request": number(network.calls[e]),
            "at_least_fraction": CHECK_FRACTION,
            "for_s": CHECK_S,
        }
        for e in feature.edges
    ]
