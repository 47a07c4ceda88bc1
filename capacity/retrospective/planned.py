"""What the plan gave each service, as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capacity.retrospective.frames import number

if TYPE_CHECKING:
    from capacity.catalog import Catalog

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Planned:
    """A plan's numbers in the order of ``services``, all of shape ``(service,)``; NaN where it said nothing.

    Attributes
    ----------
    services
        Names.
    host
        Position of the pool that serves each; its own where it shares none.
    instances
        Of the pool, before a loss of zones.
    limit_qps
        The cluster limit.
    capacity_q05, capacity_q50, capacity_q95
        Of one instance at the SLO, requests/s.
    protects_others
        Whether another service's capacity set the limit.
    decision, evidence
        What was to be done, and what the capacity rests on.
    may_wait_s
        How long what reaches it through queues alone may wait; 0 for what is answered at once.
    zones, instance_cost, counts
        From the catalogue: zones, currency per instance-hour, and whether there are instances to count at all.
    zone_losses, ceiling
        The plan's risk.
    """

    services: tuple[str, ...]
    host: NDArray[np.int64]
    instances: Floats
    limit_qps: Floats
    capacity_q05: Floats
    capacity_q50: Floats
    capacity_q95: Floats
    protects_others: NDArray[np.bool_]
    decision: tuple[str, ...]
    evidence: tuple[str, ...]
    may_wait_s: Floats
    zones: NDArray[np.int64]
    instance_cost: Floats
    counts: NDArray[np.bool_]
    zone_losses: int
    ceiling: float


def read_planned(document: Mapping[str, Any], services: Sequence[str], catalog: "Catalog | None") -> Planned:
    """Read a plan document for the services that had traffic."""
    place = {name: position for position, name in enumerate(services)}
    entries = [catalog[name] if catalog is not None and name in catalog else None for name in services]
    # A pool without traffic of its own cannot say how many instances served: its APIs stand for themselves.
    hosts = [
        place.get(entry.runs_on or "", place[n]) if entry else place[n]
        for n, entry in zip(services, entries, strict=True)
    ]
    said = [document.get("services", {}).get(name) or {} for name in services]
    pools = [said[host] or one for host, one in zip(hosts, said, strict=True)]
    capacity = [one.get("instance_capacity_qps") or {} for one in said]
    risk = document.get("risk") or {}
    return Planned(
        services=tuple(services),
        host=np.array(hosts, dtype=np.int64),
        instances=np.array([number(one.get("instances")) for one in pools]),
        limit_qps=np.array([number(one.get("cluster_limit_qps")) for one in said]),
        capacity_q05=np.array([_positive(one.get("q05")) for one in capacity]),
        capacity_q50=np.array([_positive(one.get("q50")) for one in capacity]),
        capacity_q95=np.array([_positive(one.get("q95")) for one in capacity]),
        protects_others=np.array(
            [any(by != name for by in one.get("limited_by") or ()) for name, one in zip(services, said, strict=True)]
        ),
        decision=tuple(str(one.get("decision") or "") for one in said),
        evidence=tuple(str(one.get("capacity_evidence") or "none") for one in said),
        may_wait_s=_waits(services, catalog),
        zones=np.array([entry.zones if entry else 1 for entry in entries], dtype=np.int64),
        instance_cost=np.array([entry.instance_cost if entry else np.nan for entry in entries]),
        counts=np.array([entry is not None and not entry.is_fixed for entry in entries]),
        zone_losses=int(risk.get("zone_losses") or 0),
        ceiling=float(risk.get("utilization_ceiling") or 1.0),
    )


def _waits(services: Sequence[str], catalog: "Catalog | None") -> Floats:
    """Return the shortest delay that callers allow, where all of them call through a queue and nobody from outside."""
    waits: dict[str, float] = {}
    for service in catalog.values() if catalog is not None else ():
        for call in service.calls:
            allowed = call.max_delay_s if call.is_async else 0.0
            waits[call.to] = min(waits.get(call.to, allowed), allowed)
    entries = set(catalog.entries) if catalog is not None else set()
    return np.array([0.0 if name in entries else waits.get(name, 0.0) for name in services])


def _positive(value: object) -> float:
    found = number(value)
    return found if found > 0 else float("nan")
