"""A plan beside what a change makes of it: held as it is, and made anew."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display.numbers import format_qps
from capacity.errors import InputError
from capacity.plan.decide import Decided, choose_relief, find_overloads, worst_rejected
from capacity.plan.degradation import read_features, shed
from capacity.plan.document import signature
from capacity.plan.fleet import beyond_repair, most_pool_use
from capacity.plan.make import Prepared, compose, prepare
from capacity.plan.relief import Relief
from capacity.plan.result import Plan
from capacity.plan.sizing import Floats, survivors
from capacity.plan.what_if.changes import Changes, check_changes
from capacity.plan.what_if.result import Difference
from capacity.settings import Risk

if TYPE_CHECKING:
    from capacity.catalog import Catalog, Service
    from capacity.peaks import Peaks
    from capacity.saturation import Curves


def what_if(plan: Plan, changes: Mapping[str, float]) -> Difference:
    """Change demand, an instance count, a limit, a zone, and see the difference.

    Parameters
    ----------
    plan : Plan
        With its samples.
    changes : mapping of str to float
        ``demand`` multiplies the forecast's people and orders; the names of the risk settings
        (``overload_probability``, ``zone_losses``, …) replace them; ``SERVICE.instances``, ``SERVICE.zones``,
        ``SERVICE.limit_qps``, ``SERVICE.max_qps``, ``SERVICE.max_instances`` change one service;
        ``off.FEATURE`` = 1 switches a feature off.

    Returns
    -------
    Difference
        The plan; *held*: the same instances, limits and switches under the change; *anew*: planned again under it.

    Raises
    ------
    InputError
        With every change that is not understood, or where the plan was read without its samples.

    Notes
    -----
    The same futures are used in all three, so that a difference is the change and nothing else. Held, a limit set by
    hand is taken as it is, and the answer says which service it could push past what it safely takes.

    Examples
    --------
    >>> what_if(plan, {"demand": 1.2}).totals          # doctest: +SKIP
    """
    peaks, curves, services = _inputs(plan)
    risk = Risk(**plan.document["risk"])
    found = check_changes(changes, services=services, risk=risk)
    base = prepare(peaks, curves, services=services, risk=risk)
    anew = _anew(plan, base, found)
    held, warnings = _held(plan, base, found)
    return Difference(plan=plan, held=held, anew=anew, changes=found, warnings=warnings)


def _inputs(plan: Plan) -> "tuple[Peaks, Curves, Catalog]":
    if plan.peaks is None or plan.curves is None or plan.services is None:
        raise InputError(f"plan of {plan.promotion_id}: it was read without its samples", remedy="make the plan again")
    return plan.peaks, plan.curves, plan.services


def _anew(plan: Plan, base: Prepared, found: Changes) -> Plan:
    keys = {name: _pinned(values) for name, values in found.services.items()}
    prepared = _prepare(base, found, keys=keys)
    decided = prepared.decide()
    if found.limit_qps:
        cluster = _with_limits(decided, decided.limits.cluster_qps, found)
        decided = _limited(decided, cluster, decided.limits.edge_qps)
    return _written(plan, prepared, decided, found)


def _held(plan: Plan, base: Prepared, found: Changes) -> tuple[Plan, tuple[str, ...]]:
    """Evaluate the plan's own instances, limits and switches under the change."""
    document = plan.document
    keys = {}
    for name in base.services.pools:
        count = {"instances": document["services"][name]["instances"]}
        keys[name] = _pinned(count | dict(found.services.get(name, {})))
    for name, values in found.services.items():
        keys.setdefault(name, dict(values))
    prepared = _prepare(base, found, keys=keys)
    chosen = choose_relief(base.fleet, base.offered, read_features(base.fleet.network), risk=base.risk)
    off = {feature.name for feature in chosen.off}
    still = tuple(feature for feature in read_features(prepared.fleet.network) if feature.name in off)
    decided = prepared.decide(relief=replace(chosen, off=still))
    limits = [document["services"][name]["cluster_limit_qps"] for name in decided.fleet.names]
    own = np.array([np.inf if limit is None else limit for limit in limits])
    cluster = _with_limits(decided, own, found)
    edges = np.array([np.inf if e["limit_qps"] is None else e["limit_qps"] for e in document["edges"]])
    decided = _limited(_with_optimism(plan, base, decided, chosen), cluster, edges)
    return _written(plan, prepared, decided, found), _unsafe(decided, found)


def _with_optimism(plan: Plan, base: Prepared, decided: Decided, relief: Relief) -> Decided:
    """Add what the plan's probabilities hold beyond the bare count of its futures, its choice's optimism."""
    offered = relief.degrade(base.offered)
    instances = np.array([plan.document["services"][host]["instances"] for host in base.fleet.pools])
    used = most_pool_use(base.fleet, offered, ceiling=1.0)
    left = survivors(instances, base.fleet.zones, base.fleet.losses)
    found = find_overloads(base.fleet, used, left, beyond=beyond_repair(base.fleet, offered.most()))
    tier = base.fleet.tier
    promised = [plan.document.get(f"{name}_overload_probability") for name in ("core", "non_core", "total")]
    counted = [float(found[:, at].any(axis=1).mean()) for at in (tier == 0, tier == 1, tier >= 0)]
    extra = [max((p or 0.0) - c, 0.0) for p, c in zip(promised, counted, strict=True)]
    return replace(
        decided,
        core_probability=min(decided.core_probability + extra[0], 1.0),
        non_core_probability=min(decided.non_core_probability + extra[1], 1.0),
        total_probability=min(decided.total_probability + extra[2], 1.0),
    )


def _pinned(values: Mapping[str, float]) -> dict[str, float]:
    """Let an instance count set by hand be what runs and all that may run."""
    count = values.get("instances")
    return dict(values) if count is None else dict(values) | {"max_instances": count}


def _prepare(base: Prepared, found: Changes, *, keys: Mapping[str, Mapping[str, Any]]) -> Prepared:
    gone = [feature for feature in read_features(base.fleet.network) if feature.name in found.off]
    services = base.services
    changed = services.changed(
        {name: dict(keys.get(name, {})) | {"calls": _calls(service, found.off)} for name, service in services.items()}
    )
    scaled = base.peaks.scaled(found.demand) if found.demand != 1.0 else base.peaks
    fixed = {n: float(v["max_qps"]) for n, v in found.services.items() if "max_qps" in v and services[n].is_fixed}
    curves = replace(base.curves, fixed_qps={**base.curves.fixed_qps, **fixed}) if fixed else base.curves
    # More people make every queue longer in proportion; only a feature that is off changes its course over time.
    queues = None if gone else tuple(replace(q, backlog=q.backlog * found.demand) for q in base.queues)
    prepared = prepare(scaled, curves, services=changed, risk=found.risk, queues=queues)
    if gone:
        offered = replace(prepared.offered, peak_qps=shed(prepared.offered.peak_qps, gone))
        prepared = replace(prepared, offered=offered)
    return prepared


def _calls(service: "Service", off: tuple[str, ...]) -> tuple[Any, ...]:
    """Let calls of features that are off ask nothing and be no choice any more."""
    gone = {"per_request": 0.0, "degrade": None, "required": False}
    return tuple(
        call.model_copy(update=gone) if not call.is_required and call.degrade and call.degrade.feature in off else call
        for call in service.calls
    )


def _with_limits(decided: Decided, cluster: Floats, found: Changes) -> Floats:
    out = cluster.copy()
    for name, limit in found.limit_qps.items():
        out[decided.fleet.names.index(name)] = limit
    return out


def _limited(decided: Decided, cluster: Floats, edges: Floats) -> Decided:
    limits = replace(decided.limits, cluster_qps=cluster, edge_qps=edges)
    entries = np.flatnonzero(decided.entry)
    rejected = worst_rejected(decided.fleet, decided.offered, limits, entries, relief=decided.relief)
    return replace(decided, limits=limits, rejected=rejected)


def _unsafe(decided: Decided, found: Changes) -> tuple[str, ...]:
    """Services that the limits, as they are now, could push past what they safely take."""
    fleet, network = decided.fleet, decided.fleet.network
    limit = np.where(np.isfinite(decided.limits.cluster_qps), decided.limits.cluster_qps, 0.0)
    through = np.asarray(limit @ network.matrix(only=network.binding, with_attempts=True)).ravel()
    most = np.maximum(through, limit)
    over = np.flatnonzero(np.isfinite(decided.safe_qps) & (most > decided.safe_qps * (1 + 1e-6)))
    return tuple(
        f"under {found} the limits let through {format_qps(float(most[s]))} to {fleet.names[s]}, which safely takes "
        f"{format_qps(float(decided.safe_qps[s]))}: lower them, or they protect nothing there"
        for s in over[:10]
    )


def _written(plan: Plan, prepared: Prepared, decided: Decided, found: Changes) -> Plan:
    made = compose(prepared, decided, currency=str(plan.document["cost"]["currency"]))
    document = dict(made.document)
    if not document["demand"]:
        document["demand"] = _scaled(plan.document["demand"], found.demand)
    document["cost"] = {**document["cost"], "per_hour_now": plan.document["cost"]["per_hour_now"]}
    document["assumptions"] = [f"what if: {found}", *plan.document["assumptions"]]
    document["signature"] = signature(document)
    return replace(made, document=document)


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, dict):
        return {key: _scaled(inner, factor) for key, inner in value.items()}
    return value * factor if isinstance(value, int | float) else value
