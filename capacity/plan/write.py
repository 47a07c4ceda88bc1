"""From a plan's numbers to its document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from capacity.plan.decide import Decided
from capacity.plan.decisions import Context, judge
from capacity.plan.document import SCHEMA
from capacity.plan.instance_limits import instance_limits
from capacity.plan.schedule import Late, Span, changes, find_late, hold_within_freeze
from capacity.plan.service_facts import service_facts

if TYPE_CHECKING:
    from capacity.peaks import Peaks


def number(value: float | np.floating[Any] | None) -> float | None:
    """Give a number as JSON takes it: unknown and infinite are null, noise digits are cut."""
    if value is None or not np.isfinite(value):
        return None
    return float(f"{float(value):.9g}")


def spread(samples: ArrayLike, probabilities: Sequence[float] = (0.05, 0.5, 0.95, 0.99)) -> dict[str, float | None]:
    """Quantiles of samples by name; null when unknown."""
    values = np.asarray(samples, dtype=float)
    if values.size == 0 or not np.isfinite(values).all():
        return {f"q{round(100 * p):02d}": None for p in probabilities}
    found = np.quantile(values, probabilities)
    return {f"q{round(100 * p):02d}": number(q) for p, q in zip(probabilities, found, strict=True)}


@dataclass(frozen=True)
class Calendar:
    """The promotion's phases as spans, and its freeze."""

    spans: tuple[Span, ...]
    freeze: "tuple[Any, Any] | None"
    starts_at: Any
    ends_at: Any
    planned_at: Any

    @classmethod
    def of(cls, peaks: "Peaks") -> "Calendar":
        """Take the phases that the peaks were forecast for, in time order."""
        promotion = peaks.promotion
        known = {p.name: p for p in promotion.phases}
        spans = tuple(Span(n, known[n].starts_at, known[n].ends_at) for n in peaks.phases)
        freeze = (promotion.freeze.starts_at, promotion.freeze.ends_at) if promotion.freeze else None
        planned_at = datetime.combine(peaks.as_of, time.min, tzinfo=promotion.starts_at.tzinfo)
        return cls(spans, freeze, promotion.starts_at, promotion.ends_at, planned_at)

    def moment(self, seconds: float) -> str:
        """ISO time of so many seconds after the start."""
        return str((self.starts_at + timedelta(seconds=round(float(seconds)))).isoformat())


def write_services(decided: Decided, peaks: "Peaks", context: Context, calendar: Calendar) -> dict[str, Any]:
    """One entry a service, in the catalogue's order."""
    at = _peak_at_s(decided, peaks)
    return {name: _service(decided, context, calendar, s, peak_at_s=at) for s, name in enumerate(decided.fleet.names)}


def _named(values: np.ndarray[Any, Any], percents: Sequence[int]) -> dict[str, float | None]:
    return {f"q{percent:02d}": number(float(value)) for percent, value in zip(percents, values, strict=True)}


def _service(
    decided: Decided, context: Context, calendar: Calendar, s: int, *, peak_at_s: Mapping[str, float]
) -> dict[str, Any]:
    fleet = decided.fleet
    pool = int(fleet.pool[s])
    verdict = judge(decided, s, context)
    limit = float(decided.limits.cluster_qps[s])
    n = max(int(decided.instances[pool]), 1)
    per_instance = instance_limits(limit, n)
    left = max(int(decided.surviving[pool]), 1)
    needs = decided.needed_by_phase[:, pool].tolist()
    counts = hold_within_freeze(needs, calendar.spans, freeze=calendar.freeze)
    steps = changes(
        counts, calendar.spans,
        now=int(fleet.now[pool]), startup_s=float(fleet.startup_s[pool]), freeze=calendar.freeze, needs=needs,
    )  # fmt: skip
    late = find_late(steps, planned_at=calendar.planned_at, startup_s=float(fleet.startup_s[pool]))
    if late is not None:
        verdict.why.append(say_late(late))
    table = decided.digest
    known = bool(fleet.is_known[s])
    key = fleet.key_qps[s]
    return {
        "decision": verdict.decision,
        "peak_qps": _named(table.peak[:, s], (5, 50, 95, 99)),
        "peak_at": calendar.moment(peak_at_s.get(fleet.names[s], 0.0)),
        "instance_capacity_qps": _named(table.capacity[:, s], (5, 50, 95)),
        "capacity_evidence": context.evidence.get(fleet.names[s], "none"),
        "instances": int(decided.instances[pool]),
        "instances_now": int(fleet.now[pool]),
        "surviving_instances": int(decided.surviving[pool]),
        "carried_at_once_fraction": number(float(decided.offered.smoothing[s])),
        "safe_capacity_qps": number(decided.safe_qps[s]) if known else None,
        "instances_by_phase": {span.name: count for span, count in zip(calendar.spans, counts, strict=True)},
        "scale_schedule": [
            {"start_at": c.start_at.isoformat(), "ready_by": c.ready_by.isoformat(), "instances": c.instances}
            for c in steps
        ],
        "late": None if late is None else {"serves_at": late.serves_at.isoformat(), "in_time": late.in_time},
        **service_facts(decided, s, context),
        "cluster_limit_qps": number(limit),
        "instance_limit_qps": None if fleet.third_party[s] else number(per_instance.safe_qps),
        "instance_limit_no_false_reject_qps": None if fleet.third_party[s] else number(limit / left),
        "key_limit_qps": number(key),
        "limited_by": [fleet.names[i] for i in decided.limits.limited_by[s]],
        "rejected_fraction": _named(table.rejected[:, s], (50, 95)),
        "overload_probability": number(float(table.overloaded[s])) if known else None,
        "why": verdict.why,
        "rejected": verdict.rejected,
    }


def say_late(late: Late) -> str:
    """Say what had to begin before this plan was made, and what is left of it."""
    head = (
        f"the rise to {late.instances} instances had to begin at {late.start_at.isoformat()}, before this plan's as_of"
    )
    if late.in_time:
        return f"{head}: asked for at once they still serve at {late.serves_at.isoformat()}, with an exception"
    return f"{head}: asked for at once they serve at {late.serves_at.isoformat()} only, after they are needed"


def _peak_at_s(decided: Decided, peaks: "Peaks") -> dict[str, float]:
    """Typical time of each service's worst second, in the phase where its median is highest."""
    names = decided.fleet.names
    column = {name: i for i, name in enumerate(peaks.services)}
    known = [s for s, name in enumerate(names) if name in column]
    phase = decided.typical_qps.argmax(axis=0)[known]
    at = peaks.peak_at_s.values[:, phase, [column[names[s]] for s in known]]
    return {names[s]: float(when) for s, when in zip(known, np.median(at, axis=0), strict=True)}


def write_edges(decided: Decided) -> list[dict[str, Any]]:
    """Per-edge limits, in the catalogue's order."""
    network, names = decided.fleet.network, decided.fleet.names
    return [
        {"caller": names[i], "callee": names[j], "limit_qps": number(limit)}
        for i, j, limit in zip(network.caller, network.callee, decided.limits.edge_qps, strict=True)
    ]


def write_demand(peaks: "Peaks") -> dict[str, Any]:
    """DAU and DAT of the promotion's days; empty where the peaks came without their demand."""
    demand = peaks.demand
    if demand is None:
        return {}
    days = {d.isoformat() for d in peaks.promotion.dates}
    out: dict[str, Any] = {}
    for metric, table in (("dau", demand.total_dau), ("dat", demand.total_dat)):
        for i, day in enumerate(np.datetime_as_string(table["date"].values.astype("datetime64[D]"))):
            if str(day) in days:
                values = table.transpose("sample", "date").values[:, i]
                out.setdefault(str(day), {})[metric] = spread(values, (0.05, 0.5, 0.95))
    return out


def requests_per_order(transaction: np.ndarray[Any, Any], per_dat: Mapping[int, float]) -> np.ndarray[Any, Any]:
    """Give the requests to each counting service that make one order: what the catalogue says, 1 where it is silent.

    Orders, not requests, are what DAT and peak TPS count; a checkout of several steps is asked several times an order.
    """
    return np.array([per_dat.get(int(position), 0.0) or 1.0 for position in transaction])


def admitted_tps(decided: Decided, transaction: np.ndarray[Any, Any], per_dat: Mapping[int, float]) -> float | None:
    """Transactions per second that the limits let through."""
    limit = decided.limits.cluster_qps
    if len(transaction):
        return number(float((limit[transaction] / requests_per_order(transaction, per_dat)).sum()))
    through = [limit[s] / rate for s, rate in per_dat.items() if rate > 0]
    return number(min(through)) if through else None


def header(peaks: "Peaks", risk: Any) -> dict[str, Any]:
    """Say what the plan is of."""
    return {
        "schema": SCHEMA,
        "promotion": peaks.promotion.id,
        "as_of": peaks.as_of.isoformat(),
        "risk": dict(risk.model_dump()),
    }
