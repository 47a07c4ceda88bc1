"""Who calls a service and whom it calls, with the load on each call."""

from typing import TYPE_CHECKING

from capacity.graph import downstream, upstream

if TYPE_CHECKING:
    import pandas as pd

    from capacity.catalog import Catalog
    from capacity.plan.result import Plan

_COLUMNS = [
    "direction", "service", "tier", "steps", "per_request", "peak_q50", "share_of_callee", "limit", "required", "mode",
    "timeout_ms", "retries",
]  # fmt: skip


def find_neighbours(services: "Catalog", name: str, *, plan: "Plan | None" = None) -> "pd.DataFrame":
    """List everything that reaches a service and everything that it reaches.

    Returns
    -------
    DataFrame
        One row a direct call, and one a service further away, without the call's columns. ``peak_q50`` is the
        requests/s that the call carries in the caller's typical worst second, ``share_of_callee`` its part of the
        callee's, which may come in another second.
    """
    import pandas as pd

    rows = []
    for caller in services.callers_of(name):
        rows += _calls(services, caller, name, "upstream", caller, plan)
    for callee in dict.fromkeys(call.to for call in services[name].calls):
        rows += _calls(services, name, callee, "downstream", callee, plan)
    for direction, names, step in (
        ("upstream", upstream(services, name), _steps(services, name, up=True)),
        ("downstream", downstream(services, name), _steps(services, name, up=False)),
    ):
        rows += [
            {"direction": direction, "service": other, "tier": services[other].tier, "steps": step[other]}
            for other in names
            if step[other] > 1
        ]
    frame = pd.DataFrame(rows).reindex(columns=_COLUMNS)
    return frame.sort_values(["direction", "steps"], ascending=[False, True], kind="stable").reset_index(drop=True)


def _calls(
    services: "Catalog", caller: str, callee: str, direction: str, other: str, plan: "Plan | None"
) -> list[dict[str, object]]:
    limits = {} if plan is None else {(e["caller"], e["callee"]): e["limit_qps"] for e in plan.document["edges"]}
    rows = []
    for call in services[caller].calls:
        if call.to != callee:
            continue
        load = share = None
        if plan is not None:
            entries = plan.document["services"]
            load = entries[caller]["peak_qps"]["q50"] * call.calls_reaching()
            whole = entries[callee]["peak_qps"]["q50"]
            share = load / whole if whole else None
        rows.append(
            {
                "direction": direction, "service": other, "tier": services[other].tier, "steps": 1,
                "per_request": call.calls_reaching(), "peak_q50": load, "share_of_callee": share,
                "limit": limits.get((caller, callee)), "required": call.is_required, "mode": call.mode,
                "timeout_ms": call.timeout_ms, "retries": call.retries,
            }
        )  # fmt: skip
    return rows


def _steps(services: "Catalog", name: str, *, up: bool) -> dict[str, int]:
    """Fewest calls between a service and every other on its way."""
    near: dict[str, list[str]] = {other: [] for other in services.names}
    for caller, service in services.items():
        for call in service.calls:
            tail, head = (call.to, caller) if up else (caller, call.to)
            near[tail].append(head)
    away, front = {name: 0}, [name]
    for here in front:
        for other in near[here]:
            if other not in away:
                away[other] = away[here] + 1
                front.append(other)
    return away
