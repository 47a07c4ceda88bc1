"""What was left: peaks against limits and capacity, what limiters turned away, instances in money, SLO minutes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.retrospective.frames import number, rows_of
from capacity.retrospective.observed import MINUTE_S, Observed

if TYPE_CHECKING:
    from capacity.catalog import Catalog, Service, Slo

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Planned:
    """What the plan said of one service; NaN where it said nothing.

    Attributes
    ----------
    instances
        Before a loss of zones.
    limit_qps
        The cluster limit.
    capacity_q05, capacity_q50
        Of one instance at the SLO, requests/s.
    evidence
        What the capacity rests on.
    decision
        What was to be done.
    limited_by
        Whose capacity set the limit.
    """

    instances: float
    limit_qps: float
    capacity_q05: float
    capacity_q50: float
    evidence: str
    decision: str
    limited_by: tuple[str, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any], service: str, *, host: str) -> "Planned":
        """Read one service of a plan document; its instances are those of the pool that hosts it."""
        services = document.get("services", {})
        said = services.get(service) or {}
        capacity = said.get("instance_capacity_qps") or {}
        return cls(
            number((services.get(host) or said).get("instances")),
            number(said.get("cluster_limit_qps")),
            number(capacity.get("q05")),
            number(capacity.get("q50")),
            str(said.get("capacity_evidence") or "none"),
            str(said.get("decision") or ""),
            tuple(said.get("limited_by") or ()),
        )


def measure_headroom(
    observed: Observed, document: Mapping[str, Any], peaks: pd.DataFrame, catalog: "Catalog | None"
) -> pd.DataFrame:
    """Compare what each service bore with what it was given.

    Parameters
    ----------
    observed
        What came.
    document
        The plan.
    peaks
        The comparison by phase, for each service's largest peak.
    catalog
        Zones, cost, SLO, pools; without one these columns stay empty.

    Returns
    -------
    DataFrame
        One row a service, worst first. Columns: see ``UNITS``. ``wrongly_rejected`` counts requests turned away in
        intervals whose busiest second lay below what the service could safely take (instances serving × q05 of the
        capacity, and below the plan's limit where that protects others); where only the interval's mean is known they
        are ``possibly_wrongly_rejected``.
    """
    risk = document.get("risk") or {}
    columns = [str(name) for name in observed.services]
    by_service = {str(name): part for name, part in observed.rows.groupby("service", sort=False)}
    worst = {row["service"]: row for row in rows_of(peaks.sort_values("actual", na_position="first"))}
    rows = []
    for name in columns:
        service = catalog[name] if catalog is not None and name in catalog else None
        host = catalog.pool_of(name) if catalog is not None and service is not None else name
        part, planned = by_service[name], Planned.of(document, name, host=host)
        serving = _serving(part, by_service.get(host, part))
        peak = worst.get(name)
        row: dict[str, object] = {"service": name, "tier": service.tier if service is not None else ""}
        row |= {"decision": planned.decision, "capacity_evidence": planned.evidence}
        row |= _against(peak, planned, serving, part)
        row |= _turned_away(part, planned, serving, float(risk.get("utilization_ceiling") or 1.0))
        if host == name:
            members = [
                one for one in columns if one == name or (catalog and one in catalog and catalog.pool_of(one) == name)
            ]
            used = _instances_used(part, {one: by_service[one] for one in members}, document)
            row |= _instances(part, planned, service, serving, used, risk)
        row |= _slo(part, service.slo if service is not None else None)
        rows.append(row)
    frame = pd.DataFrame(rows).reindex(columns=["service", "tier", "decision", "capacity_evidence", *UNITS])
    return frame.sort_values("peak_of_limit", ascending=False, na_position="last", kind="stable").reset_index(drop=True)


UNITS: dict[str, str] = {
    "peak_qps": "requests/s",
    "limit_qps": "requests/s",
    "peak_of_limit": "fraction",
    "planned_capacity_qps": "requests/s",
    "peak_of_planned_capacity": "fraction",
    "used_capacity_qps": "requests/s",
    "peak_of_used_capacity": "fraction",
    "proven_instance_qps": "requests/s",
    "rejected": "requests",
    "rejected_fraction": "fraction",
    "limited_minutes": "min",
    "limited_seconds_at_most": "s",
    "wrongly_rejected": "requests",
    "possibly_wrongly_rejected": "requests",
    "instances_planned": "instances",
    "instances_used": "instances",
    "instances_needed": "instances",
    "wasted_instance_hours": "instance-hours",
    "wasted_cost": "currency",
    "idle_cost": "currency",
    "short_hours": "h",
    "slo_minutes_broken": "min",
    "slo_minutes_judged": "min",
}


def needed_instances(load: Floats, capacity_qps: float, *, zones: int, zone_losses: int, ceiling: float) -> Floats:
    """Return how many instances carry a load safely after the loss of zones.

    Parameters
    ----------
    load
        Requests/s.
    capacity_qps
        Of one instance.
    zones, zone_losses
        Instances are spread evenly; with no more zones than may be lost no reserve can be held.
    ceiling
        Share of the capacity that may be used.

    Examples
    --------
    >>> needed_instances(np.array([200.0, 0.0]), 10.0, zones=3, zone_losses=1, ceiling=1.0)
    array([30.,  0.])
    """
    kept = (zones - zone_losses) / zones if zones > zone_losses else 1.0
    return np.ceil(np.round(np.asarray(load, dtype=float) / (capacity_qps * kept * ceiling), 9))


def slo_broken(part: pd.DataFrame, slo: "Slo") -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each interval whether the SLO was broken, and whether that can be judged.

    Errors are judged against the requests that were not turned away.
    """
    checks = []
    for column in ("p99_ms", "p95_ms"):
        bound = getattr(slo, column)
        if bound is not None:
            checks.append((part[column].to_numpy(), bound))
    if slo.error_fraction is not None:
        admitted = (part["requests"] - part["rejected"].fillna(0.0)).to_numpy()
        share = np.divide(part["errors"].to_numpy(), admitted, out=np.full(len(part), np.nan), where=admitted > 0)
        checks.append((share, slo.error_fraction))
    broken, judged = np.zeros(len(part), dtype=bool), np.zeros(len(part), dtype=bool)
    for values, bound in checks:
        judged |= np.isfinite(values)
        broken |= values > bound
    return broken, judged


def _against(
    peak: Mapping[str, Any] | None, planned: Planned, serving: Floats, part: pd.DataFrame
) -> dict[str, object]:
    peak_qps = number(peak["actual"]) if peak is not None else np.nan
    at_peak = np.nan
    if peak is not None:
        here = (part["ts"] == peak["peak_at"]).to_numpy()
        at_peak = float(serving[here].max()) if here.any() else np.nan
    planned_capacity = planned.instances * planned.capacity_q50
    used_capacity = at_peak * planned.capacity_q50
    return {
        "peak_qps": peak_qps,
        "limit_qps": planned.limit_qps,
        "peak_of_limit": _ratio(peak_qps, planned.limit_qps),
        "planned_capacity_qps": planned_capacity,
        "peak_of_planned_capacity": _ratio(peak_qps, planned_capacity),
        "used_capacity_qps": used_capacity,
        "peak_of_used_capacity": _ratio(peak_qps, used_capacity),
    }


def _turned_away(part: pd.DataFrame, planned: Planned, serving: Floats, ceiling: float) -> dict[str, object]:
    rejected = part["rejected"].to_numpy()
    if not np.isfinite(rejected).any():
        return {}
    away = np.nan_to_num(rejected)
    requests = float(part["requests"].sum())
    limited = away > 0
    safe = serving * planned.capacity_q05 * ceiling
    protects_others = any(name != str(part["service"].iloc[0]) for name in planned.limited_by)
    if protects_others and np.isfinite(planned.limit_qps):
        safe = np.minimum(safe, planned.limit_qps)  # NaN, an unknown capacity, stays unknown
    second, rate = part["second_qps"].to_numpy(), part["rate_qps"].to_numpy()
    judged = limited & np.isfinite(safe) & np.isfinite(second)
    unsure = limited & np.isfinite(safe) & ~np.isfinite(second)
    seconds = part["interval_s"].to_numpy()
    return {
        "rejected": float(away.sum()),
        "rejected_fraction": _ratio(float(away.sum()), requests),
        "limited_minutes": float(np.ceil(seconds[limited] / MINUTE_S).sum()),
        "limited_seconds_at_most": float(seconds[limited].sum()),
        "wrongly_rejected": (
            float(away[judged & (second <= safe)].sum()) if judged.any() or not limited.any() else np.nan
        ),
        "possibly_wrongly_rejected": float(away[unsure & (rate <= safe)].sum()),
    }


def _instances_used(part: pd.DataFrame, members: Mapping[str, pd.DataFrame], document: Mapping[str, Any]) -> Floats:
    """Return how many instances' capacity the members of a pool used together at each of its intervals."""
    used = np.zeros(len(part))
    for name, rows in members.items():
        capacity = Planned.of(document, name, host=name).capacity_q05
        load = rows["second_qps"].fillna(rows["rate_qps"]).set_axis(rows["ts"])
        used += load.reindex(part["ts"]).fillna(0.0).to_numpy() / (capacity if capacity > 0 else np.nan)
    return used


def _instances(
    part: pd.DataFrame,
    planned: Planned,
    service: "Service | None",
    serving: Floats,
    used: Floats,
    risk: Mapping[str, Any],
) -> dict[str, object]:
    known = np.isfinite(serving)
    row: dict[str, object] = {
        "instances_planned": planned.instances,
        "instances_used": float(serving[known].max()) if known.any() else np.nan,
        "proven_instance_qps": _proven(part, serving, service.slo if service is not None else None),
    }
    if service is None or service.is_fixed or not np.isfinite(used).all():
        return row
    need = needed_instances(
        used,
        1.0,
        zones=service.zones,
        zone_losses=int(risk.get("zone_losses") or 0),
        ceiling=float(risk.get("utilization_ceiling") or 1.0),
    )
    row["instances_needed"] = float(need.max())
    if not known.any():
        return row
    hours = part["interval_s"].to_numpy()[known] / 3600.0
    hour = part["ts"].dt.floor("h").to_numpy()[known]
    hourly = pd.Series(need[known]).groupby(hour).transform("max").to_numpy()
    above_peak = np.maximum(serving[known] - need.max(), 0.0) * hours
    row["wasted_instance_hours"] = float(above_peak.sum())
    row["wasted_cost"] = float(above_peak.sum()) * service.instance_cost
    row["idle_cost"] = float((np.maximum(serving[known] - hourly, 0.0) * hours).sum()) * service.instance_cost
    row["short_hours"] = float(hours[serving[known] < need[known]].sum())
    return row


def _slo(part: pd.DataFrame, slo: "Slo | None") -> dict[str, object]:
    if slo is None:
        return {}
    broken, judged = slo_broken(part, slo)
    if not judged.any():
        return {}
    minutes = part["interval_s"].to_numpy() / MINUTE_S
    return {"slo_minutes_broken": float(minutes[broken].sum()), "slo_minutes_judged": float(minutes[judged].sum())}


def _proven(part: pd.DataFrame, serving: Floats, slo: "Slo | None") -> float:
    """Largest rate that one instance served within the SLO; a floor of its capacity."""
    if slo is None:
        return np.nan
    broken, judged = slo_broken(part, slo)
    with np.errstate(divide="ignore", invalid="ignore"):
        admitted = (
            (part["requests"] - part["rejected"].fillna(0.0)).to_numpy() / part["interval_s"].to_numpy() / serving
        )
    good = admitted[judged & ~broken & np.isfinite(admitted)]
    return float(good.max()) if len(good) else np.nan


def _serving(part: pd.DataFrame, pool: pd.DataFrame) -> Floats:
    """Instances serving in each interval; those of the pool where the service has none of its own."""
    own = part["instances"].to_numpy()
    if np.isfinite(own).any() or pool is part:
        return own
    return pool.set_index("ts")["instances"].reindex(part["ts"]).to_numpy()


def _ratio(value: float, of: float) -> float:
    return value / of if np.isfinite(of) and of > 0 else np.nan
