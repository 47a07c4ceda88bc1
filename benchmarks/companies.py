"""Judge intervals, plans and costs on forty simulated companies.

Each company is planned as of 2026-10-20 for 2026-double11 and compared with what then happened to it.
Companies are the independent units: shares are means over companies, their intervals a bootstrap over
companies. The plan is replayed with a zone gone and no limits. The rule of thumb it is set beside:
last peak of the kind × growth of orders over the year × 1.2 ÷ measured maximum ÷ 0.75.
"""

import math
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

PROMOTION = "2026-double11"
BEFORE = "2025-double11"
AS_OF = "2026-10-20"


def judge(seed: int) -> dict[str, Any]:
    """Plan one company and compare it with its truth."""
    import warnings

    import capacity as cap

    warnings.simplefilter("ignore")
    company = cap.make_company(seed)
    with tempfile.TemporaryDirectory() as folder:
        cap.create_workspace(folder, sample=company)
        ws = cap.Workspace(folder, as_of=AS_OF)
        started = time.perf_counter()
        plan, _ = cap.plan_promotion(ws, PROMOTION)
        seconds = time.perf_counter() - started
        rule = _rule_of_thumb(ws, plan)
    truth = company.truth
    risk = plan.document["risk"]
    instances = {name: service["instances"] for name, service in plan.document["services"].items()}
    degraded = tuple(rung["feature"] for rung in plan.document["degradation"] if rung.get("planned"))
    replays = {
        "plan": truth.replay(
            instances=instances, promotion_id=PROMOTION, zone_losses=risk["zone_losses"], degraded_features=degraded
        ),
        "rule": truth.replay(instances=rule, promotion_id=PROMOTION, zone_losses=risk["zone_losses"]),
    }
    core = {kind: _core_overloads(replay) for kind, replay in replays.items()}
    costs = {name: plan.services[name].instance_cost or 0.0 for name in instances}
    return {
        "seed": seed,
        "seconds": seconds,
        "feasible": plan.feasible,
        "core_overloaded": core["plan"],
        "rule_core_overloaded": core["rule"],
        "promised": plan.document["core_overload_probability"],
        "cost": sum(costs[name] * count for name, count in instances.items()),
        "rule_cost": sum(costs[name] * count for name, count in rule.items()),
        "fixed": [*replays["plan"].query("overloaded and is_fixed")["service"]],
        "rows": [*_demand_rows(plan, truth), *_peak_rows(plan, truth)],
    }


def _core_overloads(replay: pd.DataFrame) -> list[str]:
    return replay.loc[replay["overloaded"] & (replay["tier"] == "core"), "service"].tolist()


def _row(metric: str, name: str, band: dict[str, float], actual: float) -> dict[str, Any]:
    return {
        "metric": metric,
        "name": name,
        "inside": band["q05"] <= actual <= band["q95"],
        "below": actual < band["q05"],
        "above": actual > band["q95"],
        "width": math.log(band["q95"] / band["q05"]) if band["q05"] > 0 else math.nan,
        "error": math.log(actual / band["q50"]) if band["q50"] > 0 and actual > 0 else math.nan,
    }


def _demand_rows(plan: Any, truth: Any) -> list[dict[str, Any]]:
    return [
        _row(metric, day, plan.document["demand"][day][metric], actual)
        for metric, days in (("dau", truth.dau[PROMOTION]), ("dat", truth.dat[PROMOTION]))
        for day, actual in days.items()
        if date.fromisoformat(day) in plan.peaks.promotion.dates
    ]


def _peak_rows(plan: Any, truth: Any) -> list[dict[str, Any]]:
    during = {
        name: max(qps for phase, qps in phases.items() if phase not in {"before", "after"})
        for name, phases in truth.offered_peak_qps[PROMOTION].items()
    }
    services = plan.document["services"]
    return [_row("peak_qps", name, services[name]["peak_qps"], actual) for name, actual in during.items()]


def _rule_of_thumb(ws: Any, plan: Any) -> dict[str, int]:
    before = ws.promotions[BEFORE]
    window = ws.traffic().window(before.starts_at, before.ends_at)
    last_peak = window.groupby("service")["peak_qps"].max()
    totals = ws.daily_activity().totals().set_index("date")["dat"].astype(float)
    growth = totals.iloc[-28:].mean() / totals.iloc[-28 - 364 : -364].mean()
    tests = ws.load_tests()
    counts = {}
    for name, service in plan.services.items():
        runs = tests.for_service(name)
        measured = max((float(run.steps["achieved_qps"].max()) / run.instances for run in runs), default=math.nan)
        needed = float(last_peak.get(name, math.nan)) * growth * 1.2 / measured / 0.75
        counts[name] = max(1, math.ceil(needed)) if math.isfinite(needed) else (service.instances or 1)
    return counts


def summarize(results: list[dict[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table of intervals and the table of replays and costs."""
    rows = pd.DataFrame([row | {"seed": result["seed"]} for result in results for row in result["rows"]])
    rng = np.random.default_rng(0)
    intervals = []
    for metric, group in rows.groupby("metric", sort=False):
        by_company = group.groupby("seed")[["inside", "below", "above", "width", "error"]].mean()
        shares = by_company["inside"].to_numpy()
        boot = shares[rng.integers(len(shares), size=(4000, len(shares)))].mean(axis=1)
        intervals.append(
            {
                "metric": metric,
                "companies": len(shares),
                "truths": len(group),
                "inside_90": shares.mean(),
                "inside_low": np.quantile(boot, 0.025),
                "inside_high": np.quantile(boot, 0.975),
                "below": by_company["below"].mean(),
                "above": by_company["above"].mean(),
                "mean_width_ratio": math.exp(group["width"].mean()),
                "median_abs_error": group["error"].abs().median(),
                "bias": group["error"].mean(),
            }
        )
    held = np.array([not result["core_overloaded"] for result in results])
    rule_held = np.array([not result["rule_core_overloaded"] for result in results])
    ratio = np.array([result["cost"] / result["rule_cost"] for result in results])
    promised = np.array([math.nan if result["promised"] is None else result["promised"] for result in results])
    plans = pd.DataFrame(
        {
            "figure": [
                "replays without core overload",
                "rule of thumb: replays without core overload",
                "promised probability of core overload, mean",
                "feasible plans",
                "cost ÷ rule of thumb, median",
                "cost ÷ rule of thumb, quartiles",
                "seconds a plan, median",
            ],
            "value": [
                _share(held),
                _share(rule_held),
                f"{np.nanmean(promised):.3f}",
                f"{np.mean([result['feasible'] for result in results]):.3f}",
                f"{np.median(ratio):.2f}",
                f"{np.quantile(ratio, 0.25):.2f} – {np.quantile(ratio, 0.75):.2f}",
                f"{np.median([result['seconds'] for result in results]):.1f}",
            ],
        }
    )
    return pd.DataFrame(intervals), plans


def _share(held: "np.ndarray[Any, Any]") -> str:
    low, high = proportion_confint(held.sum(), len(held), alpha=0.05, method="beta")
    return f"{held.mean():.3f} ({held.sum()} of {len(held)}; exact 95 % interval {low:.3f} – {high:.3f})"


def run(companies: int = 40, jobs: int = 2, first_seed: int = 1000) -> str:
    """Judge so many companies and return the tables as text."""
    seeds = range(first_seed, first_seed + companies)
    with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(judge, seeds))
    intervals, plans = summarize(results)
    misses = [
        f"seed {result['seed']}: {', '.join(result['core_overloaded'])}"
        for result in results
        if result["core_overloaded"]
    ]
    return "\n\n".join(
        [
            f"Simulated companies, seeds {seeds.start}–{seeds.stop - 1}, as of {AS_OF}, {PROMOTION}",
            intervals.to_string(index=False, float_format=lambda value: f"{value:.3f}"),
            plans.to_string(index=False),
            "Core overloads in the replay:\n" + ("\n".join(misses) or "none"),
        ]
    )


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--companies", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=1000)
    chosen = parser.parse_args()
    print(run(chosen.companies, chosen.jobs, chosen.first_seed))
