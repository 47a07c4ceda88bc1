"""What the plan's document says about limits beside their rates: bursts, skew, prices, warnings, failing limiters."""

from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display.numbers import format_number, format_percent
from capacity.plan.bursts import DEFAULT_WAIT_S, burst_seconds, waiting_room
from capacity.plan.decide import Decided
from capacity.plan.limit_warnings import Facts, limit_warnings
from capacity.plan.limiter_failure import LimiterFailure, read_limiter_failure
from capacity.plan.network import RETRY_BUDGET
from capacity.plan.sizing import Bools, Floats
from capacity.plan.skew import Skew, read_skew

if TYPE_CHECKING:
    from capacity.catalog import Catalog

_CHEAP = 1e-6


def _plain(value: Any) -> float | None:
    return float(f"{float(value):.9g}") if np.isfinite(value) else None


def write_protection(document: dict[str, Any], decided: Decided, services: "Catalog") -> list[str]:
    """Add to each service and edge of a document what its limit needs beside its rate; return what was assumed."""
    fleet, limits = decided.fleet, decided.limits
    catalogued = [services[name] for name in fleet.names]
    slo = np.array([np.nan if (ms := s.slo.p99_ms or s.slo.p95_ms) is None else ms / 1000.0 for s in catalogued])
    wait, assumed = waiting_room(fleet.network, slo)
    seconds = burst_seconds(fleet.network, decided.guard.rows, limits.cluster_qps, wait_s=wait)
    count = np.maximum(decided.instances, 1).astype(float)[fleet.pool]
    left = np.maximum(decided.surviving, 1).astype(float)[fleet.pool]
    skew = read_skew(limits.cluster_qps, count, left, demand_qps=decided.digest.peak[2])
    failure = read_limiter_failure(
        fleet.network, decided.guard, decided.overloaded, typical_qps=decided.guard.typical_qps
    )
    burst = np.where(np.isfinite(limits.cluster_qps), limits.cluster_qps, np.inf) * seconds
    typical = decided.digest.peak[1]
    facts = Facts(
        instance_qps=limits.cluster_qps / count,
        burst_s=seconds,
        instance_burst=burst / count,
        orders_per_request=_orders_per_request(decided, failure, typical),
        guessed=~fleet.is_fixed
        & np.array([services[services.pool_of(n)].assumed("instances") for n in fleet.names], dtype=bool),
    )
    warnings = limit_warnings(decided, facts)
    cold = decided.guard.cold_limits(fleet.network)
    top_share = np.array([s.hot_key.top_share if s.hot_key else np.nan for s in catalogued])
    for s, name in enumerate(fleet.names):
        document["services"][name].update(
            burst_requests=_plain(max(burst[s], 1.0)),
            burst_s=_plain(seconds[s]),
            instance_burst_requests=None if fleet.third_party[s] else _plain(burst[s] / count[s]),
            cold_cluster_limit_qps=_cold(limits.cluster_qps[s], None if cold is None else cold.cluster_qps[s]),
            price=_price(decided, s),
            instance_skew=None if fleet.third_party[s] else _skew(skew, s),
            limiter_failure=_failure(decided, failure, s),
            **_key(decided, s, count=count[s], top_share=float(top_share[s])),
            limit_warnings=warnings[s],
        )
        if failure_of := document["services"][name]["limiter_failure"]:
            document["services"][name]["why"].append(_say_limiter(burst[s], failure_of))
    _write_edges(document, decided, seconds)
    return _assumptions(decided, assumed)


def _say_limiter(burst: float, failure: dict[str, Any]) -> str:
    at_once = (
        f"its bucket lets {format_number(max(burst, 1.0))} requests through at once; " if np.isfinite(burst) else ""
    )
    return f"{at_once}should its limiter fail, let it fail {failure['choose']}"


def _orders_per_request(decided: Decided, failure: LimiterFailure, typical: Floats) -> Floats:
    if not decided.guard.value.any():
        return np.zeros(len(typical))
    return np.divide(failure.closed_loses, typical, out=np.zeros(len(typical)), where=typical > 0)


def _cold(warm: float, cold: float | None) -> float | None:
    return None if cold is None or not cold < 0.999 * warm else _plain(cold)


def _price(decided: Decided, s: int) -> dict[str, Any] | None:
    price = float(decided.limits.price[s])
    if price < _CHEAP:
        return None
    fleet = decided.fleet
    pool = int(fleet.pool[s])
    each = price * decided.safe_qps[s] / max(int(decided.surviving[pool]), 1)
    return {
        "per_qps": _plain(price),
        "per_instance": None if fleet.is_fixed[s] else _plain(each),
        "of": "orders/s" if decided.guard.value.any() else "core requests/s",
    }


def _skew(skew: Skew, s: int) -> dict[str, Any] | None:
    if np.isnan(skew.busiest_factor[s]):
        return None
    return {
        "busiest_factor": _plain(skew.busiest_factor[s]),
        "safe_rejects_wrongly": {
            "at_limit": _plain(skew.safe_at_limit[s]),
            "at_q95": _plain(skew.safe_at_q95[s]),
            "zone_lost_at_limit": _plain(skew.safe_zone_lost[s]),
        },
        "no_false_reject_qps": _plain(skew.no_false_reject_qps[s]),
        "no_false_reject_admits_alone": _plain(skew.admits_alone[s]),
    }


def _failure(decided: Decided, failure: LimiterFailure, s: int) -> dict[str, Any] | None:
    if not np.isfinite(decided.limits.cluster_qps[s]):
        return None
    what = "orders/s" if decided.guard.value.any() else "core requests/s"
    chance, lost, sure = (float(v[s]) for v in (failure.open_probability, failure.open_loses, failure.closed_loses))
    opens = bool(failure.opens[s])
    return {
        "choose": "open" if opens else "closed",
        "open_overload_probability": _plain(chance),
        "open_loses_per_s": _plain(lost),
        "closed_loses_per_s": _plain(sure),
        "because": f"open, it or what it needs is overloaded with probability {format_percent(chance)} and "
        f"{format_number(lost)} {what} are at stake on average; closed, {format_number(sure)} {what} "
        "are lost for certain",
    }


def _key(decided: Decided, s: int, *, count: float, top_share: float) -> dict[str, Any]:
    key, limit = float(decided.fleet.key_qps[s]), float(decided.limits.cluster_qps[s])
    if np.isnan(key):
        return {}
    return {
        "key_limit_instance_qps": _plain(key / count),
        "key_limit_share": _plain(min(key / limit, 1.0)) if limit > 0 else None,
        "key_at_limit_qps": _plain(top_share * limit),
    }


def _write_edges(document: dict[str, Any], decided: Decided, seconds: Floats) -> None:
    """Retries, bursts and the hottest key's part of every edge, beside its limit."""
    network, edge = decided.fleet.network, decided.limits.edge_qps
    budget = np.where(network.retries > 0, edge * RETRY_BUDGET / (1.0 + RETRY_BUDGET), 0.0)
    least = np.where(network.binding, seconds[network.caller], seconds[network.callee])
    burst = np.multiply(edge, least, out=np.full(len(edge), np.inf), where=edge > 0)
    burst[edge == 0] = 0.0
    finite = np.where(np.isfinite(edge), edge, 0.0)
    total = np.bincount(network.callee, finite, minlength=network.size)[network.callee]
    key = decided.fleet.key_qps[network.callee] * np.divide(finite, total, out=np.zeros(len(total)), where=total > 0)
    key[~np.isfinite(edge)] = np.nan
    for e, entry in enumerate(document["edges"]):
        entry["retry_budget_qps"] = _plain(budget[e])
        entry["burst_requests"] = _plain(burst[e])
        if np.isfinite(key[e]):
            entry["key_limit_qps"] = _plain(key[e])


def _assumptions(decided: Decided, assumed: Bools) -> list[str]:
    own = []
    limited = np.isfinite(decided.limits.cluster_qps)
    bare = np.flatnonzero(assumed & limited)
    if len(bare):
        names = ", ".join(decided.fleet.names[s] for s in bare[:3]) + (", …" if len(bare) > 3 else "")
        own.append(
            f"no SLO or timeout says how long requests may wait at {names}: {DEFAULT_WAIT_S * 1000:.0f} ms assumed for "
            "the bursts of limits"
        )
    if not np.array_equal(decided.fleet.network.calls, decided.fleet.network.cold_calls):
        own.append(
            "limits hold behind warm caches; while caches are cold cold_cluster_limit_qps is what no callee falls over"
        )
    return own
