"""Judge intervals, plans and costs on simulated companies of two families.

Each company is planned as it was some weeks before a promotion and compared with what then happened to it. Companies
are the independent units: `judgement` says how intervals are tested and scored. The plan is replayed with a zone gone
and no limits, beside three other planners: a rule of thumb (last peak of the kind × growth of orders over the year
× 1.2 ÷ measured maximum ÷ 0.75), one who knows the process but not the draw, and one who knows the draw
(`known_process`).

Families: ``first`` is `capacity.demo.make_company`, planned as of 2026-10-20 for 2026-double11; ``second`` is
`benchmarks.second_family`, other processes, each company with its own promotion and planning day.
"""

import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from multiprocessing import get_context
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from benchmarks.judgement import OURS, duels_table, intervals_table, judged, row
from benchmarks.known_process import FUTURES, judge_planners, parts_table, planners_table
from benchmarks.naive_peaks import naive_rows, recorded_peaks
from benchmarks.panels import DailyPanel, collect_panel, daily_panels, peer_rows

Peers = Callable[[Sequence[DailyPanel]], pd.DataFrame]


@dataclass(frozen=True)
class Case:
    """A simulated company, and what is to be planned for it.

    Parameters
    ----------
    company
        With tables, texts and truth, as `create_workspace` takes it.
    promotion, before, as_of
        The promotion to plan, the one of its kind before (None without), and the planning day.
    """

    company: Any
    promotion: str
    before: str | None
    as_of: str


def _first(seed: int) -> Case:
    import capacity as cap

    return Case(cap.make_company(seed), "2026-double11", "2025-double11", "2026-10-20")


def _second(seed: int) -> Case:
    from benchmarks.second_family import make_second_company

    company = make_second_company(seed)
    return Case(company, company.promotion, company.before, company.as_of.isoformat())


# By family: how a company is made, and the seed of the first that is judged.
FAMILIES: dict[str, tuple[Callable[[int], Case], int]] = {"first": (_first, 1000), "second": (_second, 0)}


def judge(seed: int, family: str = "first", *, futures: int = FUTURES) -> dict[str, Any]:
    """Plan one company and compare it with its truth, the knowing planner over so many futures."""
    import warnings

    import capacity as cap

    warnings.simplefilter("ignore")
    case, name = FAMILIES[family][0](seed), f"{family}-{seed}"
    truth, promotion = case.company.truth, case.promotion
    actual = _largest_seconds(truth, promotion)
    with tempfile.TemporaryDirectory() as folder:
        cap.create_workspace(folder, sample=case.company)
        ws = cap.Workspace(folder, as_of=case.as_of)
        started = time.perf_counter()
        planned: tuple[Any, Any] = cap.plan_promotion(ws, promotion)
        plan = planned[0]
        seconds = time.perf_counter() - started
        rule = _rule_of_thumb(ws, plan, case.before)
        naive = naive_rows(ws, promotion, actual, company=name)
        panel = collect_panel(ws, promotion, truth, company=name)
    services = plan.document["services"]
    peaks = [
        row(name, OURS, "peak_qps", service, services[service]["peak_qps"], value) for service, value in actual.items()
    ]
    return {
        "seed": seed,
        "family": family,
        "seconds": seconds,
        "feasible": plan.feasible,
        "promised": plan.document["core_overload_probability"],
        "planners": judge_planners(case, family, plan, rule, futures=futures),
        "rows": [*_demand_rows(plan, truth, promotion, name), *peaks, *naive],
        "panel": panel,
    }


def _largest_seconds(truth: Any, promotion: str) -> dict[str, float]:
    return {
        name: max(qps for phase, qps in phases.items() if phase not in {"before", "after"})
        for name, phases in truth.offered_peak_qps[promotion].items()
    }


def _demand_rows(plan: Any, truth: Any, promotion: str, company: str) -> list[dict[str, Any]]:
    return [
        row(company, OURS, metric, day, plan.document["demand"][day][metric], actual)
        for metric, days in (("dau", truth.dau[promotion]), ("dat", truth.dat[promotion]))
        for day, actual in days.items()
        if date.fromisoformat(day) in plan.peaks.promotion.dates
    ]


def _rule_of_thumb(ws: Any, plan: Any, before: str | None) -> dict[str, int]:
    last_peak = recorded_peaks(ws).get(before, {}) if before is not None else {}
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


def summarize(results: list[dict[str, Any]], peers: Peers | None = None) -> dict[str, pd.DataFrame]:
    """Return the tables by title: intervals, scores against peers, replays and costs.

    Parameters
    ----------
    results
        Of `judge`.
    peers
        Forecasts the collected panels: columns peer, company, series, date, q05, q50, q95.
    """
    rows = [one for result in results for one in result["rows"]]
    if peers is not None:
        panels = daily_panels(results)
        rows += peer_rows(panels, peers(panels))
    frame = judged(rows)
    return {
        "90 % intervals": intervals_table(frame),
        "Interval score, ours ÷ peer's (below 1 is better)": duels_table(frame),
        "Plans": _plans_table(results),
        "Planners": planners_table([result["planners"] for result in results]),
        "Price of not knowing": parts_table([result["planners"] for result in results]),
    }


def _plans_table(results: list[dict[str, Any]]) -> pd.DataFrame:
    plans = [result["planners"]["plan"] for result in results]
    held = np.array([not plan["core"] and not plan["fixed"] for plan in plans])
    promised = np.array([math.nan if result["promised"] is None else result["promised"] for result in results])
    known, feasible = promised[np.isfinite(promised)], np.array([bool(result["feasible"]) for result in results])
    figures = {
        "replays without any core overload": _share(held),
        "of plans called feasible": _share(held[feasible]) if feasible.any() else "none",
        "promised probability of core overload, mean": f"{known.mean():.3f}" if len(known) else "unknown",
        "plans that promise a probability": f"{len(known)} of {len(results)}",
        "feasible plans": f"{feasible.mean():.3f}",
        "seconds a plan, median": f"{np.median([result['seconds'] for result in results]):.1f}",
    }
    return pd.DataFrame({"figure": list(figures), "value": list(figures.values())})


def _share(held: "np.ndarray[Any, Any]") -> str:
    low, high = proportion_confint(held.sum(), len(held), alpha=0.05, method="beta")
    return f"{held.mean():.3f} ({held.sum()} of {len(held)}; exact 95 % interval {low:.3f} – {high:.3f})"


def run(
    companies: int = 40,
    jobs: int = 2,
    first_seed: int | None = None,
    *,
    family: str = "first",
    peers: Peers | None = None,
    futures: int = FUTURES,
) -> str:
    """Judge so many companies of a family and return the tables as text."""
    start = FAMILIES[family][1] if first_seed is None else first_seed
    seeds = range(start, start + companies)
    work = partial(judge, family=family, futures=futures)
    if jobs == 1:
        results = [work(seed) for seed in seeds]
    else:
        with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(work, seeds))
    misses = [
        f"seed {result['seed']}: {', '.join([*plan['core'], *(f'{name} (fixed)' for name in plan['fixed'])])}"
        for result in results
        if (plan := result["planners"]["plan"])["core"] or plan["fixed"]
    ]
    parts = [f"Simulated companies of the {family} family, seeds {seeds.start}–{seeds.stop - 1}"]
    for title, table in summarize(results, peers).items():
        parts.append(f"{title}\n{table.to_string(index=False, float_format=lambda value: f'{value:.3f}')}")
    return "\n\n".join([*parts, "Core overloads in the replay:\n" + ("\n".join(misses) or "none")])
