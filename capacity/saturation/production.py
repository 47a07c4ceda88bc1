"""Production as a load test: the busiest traffic served within the objective is a lower bound of capacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capacity.catalog import Service
from capacity.saturation import rules
from capacity.saturation.runs import limits_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Proven:
    """What production has shown of one instance.

    Attributes
    ----------
    qps
        Requests a second per instance that were served within the objective.
    upper_qps
        The utilization law's bound from the same intervals; ``inf`` where CPU is unknown.
    says
        The sentence with the numbers.
    objective_seen
        Whether the objective was seen to hold; False where nobody records latency: then it is no lower bound.
    """

    qps: float
    upper_qps: float
    says: str
    objective_seen: bool = True


def proven(frame: pd.DataFrame, service: Service) -> Proven | None:
    """Read the lower bound from a service's busiest intervals.

    Parameters
    ----------
    frame
        Rows of one service of ``Traffic.proven()``: ts, interval_s, qps_per_instance, instances, p95_ms, p99_ms,
        error_fraction, cpu_fraction.
    service
        The service, for its objective.

    Returns
    -------
    Proven or None
        None where no interval shows every part of the objective to hold: what was not recorded proves nothing.
    """
    limits = limits_of(service)
    held = np.isfinite(frame["qps_per_instance"].to_numpy(dtype=float)) & (frame["qps_per_instance"].to_numpy() > 0)
    judged = limits or {"error_fraction": rules.ERRORS_BREAK}
    for part, limit in judged.items():
        values = frame[part].to_numpy(dtype=float)
        # Errors that nobody counts are taken as none; latency that nobody measured is not.
        known = np.isfinite(values) if part != "error_fraction" else np.ones(len(values), dtype=bool)
        held &= known & (np.nan_to_num(values, nan=0.0) <= limit)
    rows = frame[held].sort_values(["qps_per_instance", "ts"], ascending=[False, True], kind="stable")
    if rows.empty:
        return None
    chosen = rows.iloc[min(rules.PRODUCTION_RANK, len(rows)) - 1]
    qps = float(chosen["qps_per_instance"])
    says = (
        f"production served {qps:.4g} requests/s per instance within the objective "
        f"({chosen['ts']:%Y-%m-%d %H:%M}, interval {float(chosen['interval_s']):g} s): capacity is not below"
    )
    return Proven(qps, _cpu_bound(rows), says)


def served(frame: pd.DataFrame, service: Service) -> Proven | None:
    """Read what a service was seen to serve with few errors in intervals of which nobody recorded the latency.

    A service that has no test either would otherwise be planned as it runs today, however many requests come. What each
    instance carried when people had raised their number is weaker than a proof, and better than nothing. Of intervals
    with no more instances than today nothing is taken: two instances that idle say nothing of where they end, and a
    capacity read from them would turn away an evening's traffic.

    Parameters
    ----------
    frame
        Rows of one service of ``Traffic.proven()`` without an objective.
    service
        The service, for its objective.

    Returns
    -------
    Proven or None
        None where every interval has a latency (then `proven` has the last word), or never more instances ran.
    """
    limits = limits_of(service)
    latency = [part for part in limits if part != "error_fraction"]
    most = limits.get("error_fraction", rules.ERRORS_BREAK)
    x = frame["qps_per_instance"].to_numpy(dtype=float)
    kept = np.isfinite(x) & (x > 0) & (np.nan_to_num(frame["error_fraction"].to_numpy(dtype=float)) <= most)
    kept &= frame[latency].isna().any(axis=1).to_numpy(dtype=bool)
    kept &= frame["instances"].to_numpy(dtype=float) > service.instances
    rows = frame[kept].sort_values(["qps_per_instance", "ts"], ascending=[False, True], kind="stable")
    if rows.empty or not latency:
        return None
    chosen = rows.iloc[min(rules.PRODUCTION_RANK, len(rows)) - 1]
    qps = float(chosen["qps_per_instance"])
    says = (
        f"{chosen['instances']:.0f} instances served {qps:.4g} requests/s each with few errors "
        f"({chosen['ts']:%Y-%m-%d %H:%M}, interval {float(chosen['interval_s']):g} s), but nobody recorded "
        f"{' and '.join(latency)}: whether the objective held is not known, and capacity may be lower"
    )
    return Proven(qps, _cpu_bound(rows), says, objective_seen=False)


def _cpu_bound(rows: pd.DataFrame) -> float:
    cpu, x = rows["cpu_fraction"].to_numpy(dtype=float), rows["qps_per_instance"].to_numpy(dtype=float)
    known = np.isfinite(cpu) & (cpu >= 0.1)
    if known.sum() < 10:
        return float("inf")
    # The busiest intervals are too alike for an idle share; leaving it out puts the bound too low, never too high.
    return float(np.median(x[known] / cpu[known]) * rules.CPU_CEILING)
