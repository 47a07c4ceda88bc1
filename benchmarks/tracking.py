"""The evening: how often the projected peak of what remains lies in its band at each phase's tenth minute."""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

PROMOTION, AS_OF = "2026-double11", "2026-10-20"
FIRST_SEED = 5000


def run(companies: int, jobs: int, first_seed: int | None = None) -> str:
    """Return the table over simulated companies.

    Parameters
    ----------
    companies
        How many.
    jobs
        Processes.
    first_seed
        Of the first company.
    """
    seeds = range(FIRST_SEED if first_seed is None else first_seed, 10**9)[:companies]
    with ProcessPoolExecutor(jobs) as pool:
        rows = pd.concat(pool.map(partial(judge), seeds), ignore_index=True)
    lines = [
        "| phase | said | in the 90 % band | above it | median error | width (q95 ÷ q05) |",
        "|---|---|---|---|---|---|",
    ]
    for (phase, said), group in rows.groupby(["phase", "said"], sort=False):
        inside = (group["true"] >= group["low"]) & (group["true"] <= group["high"])
        above = group["true"] > group["high"]
        error = np.median(np.abs(np.log(group["middle"] / group["true"])))
        width = np.median(group["high"] / group["low"])
        lines.append(f"| {phase} | {said} | {inside.mean():.1%} | {above.mean():.1%} | {error:.1%} | {width:.2f} |")
    return "\n".join(
        [f"{companies} companies from seed {seeds[0]}, {rows['service'].nunique()} services each\n", *lines]
    )


def judge(seed: int) -> pd.DataFrame:
    """Return one row a phase, service and forecast (the plan's, the evening's) of one company."""
    from capacity.demo import make_company
    from capacity.forecast import forecast_demand
    from capacity.peaks import forecast_peaks
    from capacity.tracking import learn_misfit
    from capacity.tracking.paths import follow_futures
    from capacity.tracking.update import settle_levels, update_peaks
    from capacity.workspace import Workspace, create_workspace

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "shop"
        create_workspace(folder, sample=make_company(seed))
        ws, after = Workspace(folder, as_of=AS_OF), Workspace(folder)
        promotion = ws.promotions[PROMOTION]
        demand = forecast_demand(ws.daily_activity(), promotion, promotions=ws.promotions, lessons=ws.lessons)
        peaks = forecast_peaks(demand, ws.traffic(), services=ws.services.for_promotion(promotion), lessons=ws.lessons)
        paths = follow_futures(peaks)
        misfit = learn_misfit(ws.traffic(), promotion, list(ws.promotions.before(promotion.starts_at).values()))
        rows = after.traffic().window(promotion.phases[0].starts_at, promotion.phases[-1].ends_at)
    rows["rate"] = rows["requests"] / rows["interval_s"]
    found = []
    for number, phase in enumerate(promotion.phases):
        now = phase.starts_at + timedelta(minutes=10)
        at_s = (now - promotion.starts_at).total_seconds()
        last = rows[(rows["ts"] >= phase.starts_at) & (rows["ts"] < now)].groupby("service")["rate"].mean()
        rest = rows[(rows["ts"] >= now) & (rows["ts"] < phase.ends_at)].groupby("service")["peak_qps"].max()
        seen, true = (part.reindex(list(paths.services)).to_numpy(float) for part in (last, rest))
        before = paths.remaining_peak(at_s)[:, number]
        ratio, weight = misfit.ratio_of(phase.name, paths.services)
        level = settle_levels(paths.level(at_s - 600, at_s), before, ratio, weight=weight)
        after_ = update_peaks(level, before, seen, misfit=misfit.spread[phase.name], seed=int(at_s) % 2**32)
        for said, futures in (("the plan", before), ("with the first minutes", after_)):
            low, middle, high = np.quantile(futures, [0.05, 0.5, 0.95], axis=0)
            table = pd.DataFrame({"service": paths.services, "true": true, "low": low, "middle": middle, "high": high})
            # A feature that was switched off gets nothing: no forecast of demand is judged by it.
            found.append(table[(table["true"] > 0) & (table["low"] > 0)].assign(phase=phase.name, said=said))
    return pd.concat(found, ignore_index=True)
