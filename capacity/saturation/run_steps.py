"""What a run's steps say per instance: usable steps, the points a curve is fitted to, the bound by CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest import LoadTest
from capacity.loadtest.gates import errors_in_throughput
from capacity.saturation.compete import fit_family
from capacity.saturation.families import FAMILIES
from capacity.saturation.steps import Steps

Array = NDArray[np.float64]

_GREW = ("unsteady_step", "littles_law")


def to_steps(test: LoadTest) -> Steps | None:
    """Usable steps of a run per instance, sorted by load, equal loads averaged; None where none is left."""
    whole = test.steps
    values = {name: whole[name].to_numpy(dtype=float) for name in whole.columns}
    usable = (values["achieved_qps"] > 0) & ~np.isin(whole.index, list(test.excluded_steps))
    if not usable.any():
        return None
    n = float(test.instances)
    kept = np.asarray(whole.index)[usable]
    counted = errors_in_throughput(whole, test.errors_counted)[usable]
    values = {name: v[usable] for name, v in values.items()}
    is_open = bool(np.isfinite(values["offered_qps"]).sum() >= np.isfinite(values["concurrency"]).sum())
    if is_open:
        # Where a queue grew through the step, its mean number under way belongs to no throughput.
        grew = [g.step for g in test.gates if g.name in _GREW and g.verdict == "flagged" and g.step is not None]
        values["concurrency"] = np.where(np.isin(kept, grew), np.nan, values["concurrency"])
    short = np.isin(kept, list(test.short_of_rate_steps))
    load = np.where(short, values["achieved_qps"], values["offered_qps"])
    load = (load if is_open else values["concurrency"]) / n
    keep = np.isfinite(load) & (load > 0)
    values = {name: v[keep] for name, v in values.items()}
    load = load[keep]
    errors = np.nan_to_num(values["error_fraction"]) * counted[keep]
    columns = np.stack(
        [
            values["achieved_qps"] / n * (1.0 - errors),
            *(values[p] for p in ("p50_ms", "p95_ms", "p99_ms", "error_fraction", "cpu_fraction")),
            values["achieved_qps"] * values["seconds"],
            values["concurrency"] / n,
        ]
    )
    places, group = np.unique(np.round(load, 9), return_inverse=True)
    merged = _means(columns, group, len(places))
    merged[6] *= np.bincount(group, minlength=len(places))
    latency = {p: merged[k] for k, p in enumerate(("p50_ms", "p95_ms", "p99_ms"), start=1)}
    return Steps(is_open, places, merged[0], latency, merged[4], merged[5], merged[6], merged[7])


def _means(columns: Array, group: NDArray[np.int64], size: int) -> Array:
    known = np.isfinite(columns)
    total = np.stack(
        [np.bincount(group, weights=np.where(k, c, 0.0), minlength=size) for c, k in zip(columns, known, strict=True)]
    )
    count = np.stack([np.bincount(group, weights=k.astype(float), minlength=size) for k in known])
    return np.asarray(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))


def curve_points(steps: Steps) -> tuple[Array, Array] | None:
    """Concurrency and throughput per instance, rising, for curves to be fitted to; None where they are too few.

    Of a closed test they are those its open reading rests on.
    """
    own = steps.thinned()
    x, y = own.load, np.maximum(own.good_qps, 1e-9 * own.good_qps.max())
    if steps.is_open:
        inside = own.concurrency if own.concurrency is not None else np.full(len(own), np.nan)
        known = np.isfinite(inside) & (inside > 0)
        order = np.argsort(inside[known], kind="stable")
        x, y = inside[known][order], y[known][order]
    return (x, y) if len(np.unique(x)) >= 4 else None


def cpu_bound(steps: Steps) -> float:
    """Throughput per instance with the whole CPU busy, by the utilization law; ``inf`` where CPU is hardly known."""
    known = np.isfinite(steps.cpu_fraction) & (steps.cpu_fraction > 0) & (steps.good_qps > 0)
    u, x = steps.cpu_fraction[known], steps.good_qps[known]
    if known.sum() < 2 or u.max() < 0.15 or np.ptp(u) < 0.05:
        return float("inf")
    demand, idle = fit_family(FAMILIES["utilization"], u[None, :], x[None, :]).parameters[0]
    return float((1.0 - idle) / demand)
