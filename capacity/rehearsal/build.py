"""From a plan and faults to the world that is played."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from capacity.errors import InputError, Problem
from capacity.plan import Plan
from capacity.plan.fleet import Fleet, read_fleet
from capacity.plan.network import Network
from capacity.plan.sizing import Bools, Floats, Ints
from capacity.rehearsal.faults import Faults
from capacity.rehearsal.retries import storm
from capacity.rehearsal.world import BURST_S, Guards, Rung, World, call_timeouts, queue_delays, sort_levels

if TYPE_CHECKING:
    from capacity.peaks import Peaks

LimitVariant = Literal["cluster", "instance", "instance-and-cluster", "none"]
VARIANTS: tuple[LimitVariant, ...] = ("cluster", "instance", "instance-and-cluster", "none")
STORM_RETRIES = 3
_BACK_SHARE = 0.7 / 0.9  # a rung is put back under 70 % of what its service takes, pulled at 90 %: as the plan says
_BACK_S = 600.0


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


def fleet_of(plan: Plan) -> Fleet:
    """Read the plan's fleet."""
    _, curves, services = need_inputs(plan)
    return read_fleet(services, curves, zone_losses=int(plan.document["risk"]["zone_losses"]))


def build_world(
    plan: Plan, fleet: Fleet, sample: Ints, faults: Faults, *, limits: LimitVariant = "cluster", skew: float = 0.0
) -> World:
    """Put together what does not change."""
    peaks, _, services = need_inputs(plan)
    network = _network(fleet, faults)
    share, key_roof = _hot_keys(fleet, services, faults)
    roof = np.array([_roof(services[name]) for name in fleet.names])
    place = {name: i for i, name in enumerate(fleet.names)}
    return World(
        network=network,
        levels=sort_levels(network),
        unit_qps=np.where(fleet.is_fixed, np.nan, fleet.capacity[sample]),
        fixed_qps=np.fmin(np.where(fleet.is_fixed, fleet.fixed_qps, np.inf), roof),
        key_roof_qps=key_roof,
        pool=fleet.pool,
        sharing=fleet.sharing.of_samples(sample),
        entries=np.array([place[e] for e in peaks.entries], dtype=np.int64),
        guards=_guards(plan, fleet, faults, key_share=share, limits=limits, skew=skew),
        timeout_s=call_timeouts(network),
        max_delay_s=queue_delays(network),
        core=fleet.tier == 0,
        rungs=tuple(_rung(fleet, peaks, rung) for rung in plan.document["degradation"]),
    )


def _network(fleet: Fleet, faults: Faults) -> Network:
    network = fleet.network
    if faults.has("retry-storm"):
        network = replace(network, retries=storm(network, least=STORM_RETRIES))
    cold = {fault.service for fault in faults.of("cold-cache")}
    if cold and None not in cold:
        mine = np.isin(network.callee, [fleet.names.index(name) for name in cold if name])
        network = replace(network, cold_calls=np.where(mine, network.cold_calls, network.calls))
    return network


def _roof(service: Any) -> float:
    """Roof of services that are scaled; a fixed one's ``max_qps`` is its capacity already."""
    return float(np.inf if service.is_fixed or service.max_qps is None else service.max_qps)


def _hot_keys(fleet: Fleet, services: Any, faults: Faults) -> tuple[Floats, Floats]:
    """Hottest key's share of each service's requests, and the rate at which it gets what one key can take."""
    hotter = {fault.service: fault.factor for fault in faults.of("hot-key")}
    share, roof = np.zeros(len(fleet.names)), np.full(len(fleet.names), np.inf)
    for s, name in enumerate(fleet.names):
        key = services[name].hot_key
        if key is not None:
            share[s] = min(key.top_share * hotter.get(name, hotter.get(None, 1.0)), 1.0)
            roof[s] = key.max_qps / share[s] if share[s] > 0 else np.inf
    return share, roof


def _guards(
    plan: Plan, fleet: Fleet, faults: Faults, *, key_share: Floats, limits: LimitVariant, skew: float
) -> Guards:
    guards = Guards.none(len(fleet.names), len(fleet.network.caller))
    if limits == "none":
        return guards
    entries = [plan.document["services"][name] for name in fleet.names]
    cluster = _numbers(entries, "cluster_limit_qps", np.inf)
    burst = _numbers(entries, "burst_requests", np.nan)
    burst = np.where(np.isnan(burst), cluster * BURST_S, burst)
    per_edge = {(e["caller"], e["callee"]): e for e in plan.document["edges"]}
    names = fleet.names
    calls = [
        per_edge.get((names[i], names[j]), {}) for i, j in zip(fleet.network.caller, fleet.network.callee, strict=True)
    ]
    edge = _numbers(calls, "limit_qps", np.inf)
    of_service = {
        "cluster": (cluster, burst, None),
        "instance": (np.full_like(cluster, np.inf), np.full_like(cluster, np.inf), "instance_limit_qps"),
        "instance-and-cluster": (cluster, burst, "instance_limit_no_false_reject_qps"),
    }[limits]
    instance = np.full_like(cluster, np.inf) if of_service[2] is None else _numbers(entries, of_service[2], np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(np.isfinite(cluster) & (cluster > 0), instance / cluster, np.nan)
    return replace(
        guards,
        cluster_qps=of_service[0],
        cluster_burst=of_service[1],
        instance_qps=instance,
        # An instance's bucket is the same part of the cluster's as its limit is, one request at least.
        instance_burst=np.where(np.isfinite(part), np.maximum(burst * part, 1.0), np.inf),
        key_qps=_numbers(entries, "key_limit_qps", np.inf),
        key_share=key_share,
        edge_qps=edge,
        edge_burst=np.maximum(edge * BURST_S, _burst_through(fleet, burst)),
        budget_qps=_numbers(calls, "retry_budget_qps", np.nan),
        frail=_frail(fleet, faults),
        skew=skew,
    )


def _burst_through(fleet: Fleet, burst: Floats) -> Floats:
    """Count the calls of the caller's own burst: an edge that stopped them would reject what its caller let in."""
    network = fleet.network
    through = burst[network.caller] * network.calls
    return np.where(np.isfinite(through), through, 0.0)


def _frail(fleet: Fleet, faults: Faults) -> Bools:
    """Services whose limiters fail when limiters do: those named, or all."""
    named = {fault.service for fault in faults.of("limiter-loss")}
    return np.array([not named or None in named or name in named for name in fleet.names], dtype=bool)


def _numbers(entries: list[dict[str, Any]], key: str, missing: float) -> Floats:
    values = [entry.get(key) for entry in entries]
    return np.array([missing if v is None else float(v) for v in values], dtype=float)


def _rung(fleet: Fleet, peaks: "Peaks", rung: Mapping[str, Any]) -> Rung:
    network = fleet.network
    at = [e for e, c in enumerate(network.call) if c.degrade is not None and c.degrade.feature == rung["feature"]]
    watch = rung.get("watch") or {}
    above = watch.get("above_qps")
    above = np.inf if above is None or watch.get("service") not in fleet.names else float(above)
    return Rung(
        name=str(rung["feature"]),
        edges=np.array(at, dtype=np.int64),
        watch=fleet.names.index(watch["service"]) if watch.get("service") in fleet.names else 0,
        above_qps=above,
        for_s=float(watch.get("for_s", 30)),
        takes_s=float(rung.get("takes_s") or 0.0),
        below_qps=_BACK_SHARE * above if np.isfinite(above) else 0.0,
        calm_s=_BACK_S,
        window_s=_window(peaks, rung) if rung.get("planned") else None,
    )


def _window(peaks: "Peaks", rung: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds after the start between which a planned rung is off: from its switch's effect to its end."""

    def after(key: str, missing: float) -> float:
        text = rung.get(key)
        if not text:
            return missing
        return float((datetime.fromisoformat(str(text)) - peaks.promotion.starts_at) / timedelta(seconds=1))

    return after("on_at", -np.inf) + float(rung.get("takes_s") or 0.0), after("off_at", np.inf)
