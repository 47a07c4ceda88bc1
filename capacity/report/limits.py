"""Tables of a plan's page about limits and degradation."""

from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.display import format_number, format_percent
from capacity.report.narrate import Sentences, Table

if TYPE_CHECKING:
    from capacity.plan import Plan

_FREED = 3  # capacities listed by rung


def plan_limits(plan: "Plan") -> Table:
    """Return what to type into limiters, services whose limit is used most first; unknown limits last."""
    import pandas as pd

    rows = [_limit_row(name, entry) for name, entry in plan.document["services"].items()]
    frame = pd.DataFrame(rows).sort_values("used", ascending=False, kind="stable")
    frame["used"] = ["" if np.isnan(used) else format_percent(used) for used in frame["used"]]
    rate = dict.fromkeys(["cluster_limit", "instance_limit"], "requests/s")
    return Table(frame, rate | {"burst": "requests"})


def _limit_row(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    limit, price, failure = entry["cluster_limit_qps"], entry.get("price"), entry.get("limiter_failure")
    high = entry["peak_qps"]["q95"]
    return {
        "service": name,
        "cluster_limit": limit,
        "used": high / limit if limit else np.nan,
        "burst": entry.get("burst_requests"),
        "instance_limit": entry["instance_limit_qps"],
        "held_down_by": ", ".join(entry["limited_by"][:_FREED]),
        "one_more_there_admits": f"{price['per_qps']:.2g} {price['of']}" if price else "",
        "if_its_limiter_fails": failure["choose"] if failure else "",
    }


def limit_warnings(plan: "Plan") -> Sentences:
    """Return every trap of the limits, services that share one together."""
    by_text: dict[str, list[str]] = {}
    for name, entry in plan.document["services"].items():
        for text in entry.get("limit_warnings", ()):
            by_text.setdefault(text, []).append(name)
    return Sentences(tuple(f"{_names(names)}: {text}" for text, names in by_text.items()))


def _names(names: list[str]) -> str:
    return ", ".join(names[:_FREED]) + (f" and {len(names) - _FREED} more" if len(names) > _FREED else "")


def plan_ladder(plan: "Plan") -> Table:
    """Return the degradation ladder, first rung first."""
    import pandas as pd

    rows = [rung | {"frees": _freed(rung)} for rung in plan.document["degradation"]]
    columns = [
        "order", "feature", "service", "trigger", "owner", "effective_after_s", "frees", "value_lost_per_hour",
        "recovery",
    ]  # fmt: skip
    return Table(pd.DataFrame(rows, columns=columns))


def _freed(rung: dict[str, Any]) -> str:
    return ", ".join(
        f"{format_percent(freed['share'])} of {freed['service']} ({format_number(freed['qps'])}/s)"
        for freed in rung.get("frees", ())[:_FREED]
    )


def ladder_reach(plan: "Plan") -> Sentences:
    """Return whether the ladder is enough, and what would be where it is not."""
    reach = plan.document.get("degradation_reach")
    if reach is None:
        return Sentences(())
    none, planned, every = (reach["core_does_not_fit"][k] for k in ("nothing_off", "as_planned", "everything_off"))
    lines = [
        (
            f"core services exceed what no instance mends in {format_percent(none)} of futures with everything on, "
            f"{format_percent(planned)} as planned, {format_percent(every)} with everything off"
        )
    ]
    if not reach["suffices"]:
        lines.append("even the whole ladder does not suffice")
    return Sentences((*lines, *reach["would_suffice"]))
