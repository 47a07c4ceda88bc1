"""What not knowing costs: the plan's own futures sized again with one thing at a time told as it truly is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.known_process.planners import Floats, Site, size_by_tier

EVIDENCE = ("measured", "bounded", "production")
PARTS = {
    "both": "demand and capacities as the plan believes",
    "demand": "demand believed, true capacities",
    "width": "… with the process's own medians",
    "capacity": "the process of demand, capacities believed",
    **{name: f"… only those that are {name}" for name in EVIDENCE},
}


def price_parts(
    plan: Any, site: Site, offered: Floats, names: tuple[str, ...], *, risk: Any, queued: Sequence[str]
) -> dict[str, float]:
    """Cost of each mixture of belief and truth, in currency per hour, what cannot be scaled left out.

    Parameters
    ----------
    plan
        With its samples of peaks and curves.
    site, offered, names, risk
        As in `size_knowing`.
    queued
        Services behind a queue: of their load the plan's spread is taken, at the process's median.
    """
    believed, capacity = _beliefs(plan, site)
    # As many futures as the knowing planner has, so that all keep as much in hand for what few futures cannot tell.
    count = min(len(believed), len(offered))
    believed, capacity = believed[:count], capacity[:count]
    process = offered[:count, [names.index(name) for name in site.names]]
    middle = np.median(process, axis=0) / np.maximum(np.median(believed, axis=0), 1e-9)
    behind = [site.names.index(name) for name in queued if name in site.names]
    believed[:, behind] *= middle[behind]
    evidence = np.array([plan.curves.evidence.get(name) for name in site.names])
    loads = {
        "both": believed / capacity,
        "demand": believed / site.capacity_qps,
        "width": believed * middle / site.capacity_qps,
        "capacity": process / capacity,
        **{name: process / np.where(evidence == name, capacity, site.capacity_qps) for name in EVIDENCE},
    }
    none = {tier: np.zeros(len(believed), dtype=bool) for tier in ("core", "non_core", "degradable")}
    return {part: site.cost_of(size_by_tier(site, load, none, risk=risk)) for part, load in loads.items()}


def _beliefs(plan: Any, site: Site) -> tuple[Floats, Floats]:
    """Worst seconds and capacities of the services that scale, as the plan's samples; an unknown capacity is true."""
    peaks = plan.peaks.peak_qps.sel(service=list(site.names)).transpose("sample", "phase", "service").to_numpy()
    known: NDArray[np.float64] = plan.curves.instance_capacity_qps.sel(service=list(site.names)).to_numpy()
    return peaks.max(axis=1).astype(np.float64), np.where(np.isfinite(known), known, site.capacity_qps)


def parts_table(results: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a mixture: cost ÷ that of the knowing planner over companies.

    Parameters
    ----------
    results
        By company what `judge_planners` returned.
    """
    rows = []
    for part, title in PARTS.items():
        ratio = np.array([one["parts"][part] / one["knowing"]["cost"] for one in results])
        low, mid, high = np.quantile(ratio, [0.25, 0.5, 0.75])
        rows.append({"cost ÷ knowing": title, "median": mid, "lower quartile": low, "upper quartile": high})
    return pd.DataFrame(rows)
