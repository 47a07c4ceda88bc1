"""The plan beside the rule of thumb, the knowing planner and the seer: their costs, and what the evening overloads."""

import math
from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from benchmarks.known_process.first import FirstProcess
from benchmarks.known_process.parts import price_parts
from benchmarks.known_process.planners import Site, chance_of_overload, size_knowing, size_seeing
from benchmarks.known_process.second import SecondProcess

PLANNERS = {"plan": "plan", "rule": "rule of thumb", "knowing": "knowing planner", "seer": "seer"}
PROMISED = 0.05
FUTURES = 900  # of which two thirds size the knowing planner and one third judges all
_BOOT = 4000


def judge_planners(
    case: Any, family: str, plan: Any, rule: Mapping[str, int], *, futures: int = FUTURES
) -> dict[str, dict[str, Any]]:
    """Let every planner size the company, and replay the evening with the zone loss.

    Parameters
    ----------
    case
        `benchmarks.companies.Case`.
    family
        ``first`` or ``second``.
    plan
        Of the company.
    rule
        Instances by the rule of thumb; it switches nothing off.
    futures
        How many the process is drawn anew.

    Returns
    -------
    dict
        By planner: cost (currency per hour), core (overloaded core services that instances mend), chance (of such an
        overload, over futures of the true process), fixed (overloaded core services that none mend). Under ``parts``
        what `price_parts` returned.
    """
    document, truth = plan.document, case.company.truth
    risk = SimpleNamespace(**document["risk"])
    off = tuple(rung["feature"] for rung in document["degradation"] if rung.get("planned"))
    site = Site.of(plan.services, truth, zone_losses=risk.zone_losses)
    process = _process(case, family)
    offered = process.offered(futures, np.random.default_rng([case.company.seed, futures]), off=off)
    sizing, judging = np.split(offered, [2 * futures // 3])

    def replay(instances: Mapping[str, int], features: Collection[str]) -> pd.DataFrame:
        frame: pd.DataFrame = truth.replay(
            instances=instances, promotion_id=case.promotion, zone_losses=risk.zone_losses, degraded_features=features
        )
        return frame

    ours = {name: item["instances"] for name, item in document["services"].items()}
    evening = replay(ours, off)
    actual = dict(zip(evening["service"], evening["offered_qps"], strict=True))
    sizes = {
        "plan": ours, "rule": dict(rule), "seer": size_seeing(site, actual),
        "knowing": size_knowing(site, sizing, process.names, risk=risk),
    }  # fmt: skip
    queued = list(truth.queued_qps[case.promotion])
    parts = price_parts(plan, site, sizing, process.names, risk=risk, queued=queued)
    found: dict[str, dict[str, Any]] = {"parts": parts}
    for planner, instances in sizes.items():
        frame = evening if planner == "plan" else replay(
            {name: instances[name] for name in site.names}, () if planner == "rule" else off
        )  # fmt: skip
        over = frame[frame["overloaded"] & (frame["tier"] == "core")]
        found[planner] = {
            "cost": site.cost_of(instances),
            "core": over.loc[~over["is_fixed"], "service"].tolist(),
            "fixed": over.loc[over["is_fixed"], "service"].tolist(),
            "chance": chance_of_overload(site, judging, process.names, instances),
        }
    return found


def _process(case: Any, family: str) -> FirstProcess | SecondProcess:
    if family == "second":
        return SecondProcess.of(case.company.seed)
    return FirstProcess.of(case.company.seed, case.promotion, case.as_of)


def planners_table(results: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a planner over all companies.

    Parameters
    ----------
    results
        By company what `judge_planners` returned.

    Returns
    -------
    pandas.DataFrame
        ``held``: companies without core overload that instances mend in the evening that came, with the exact interval
        and ``p``, the exact test of 95 %, companies being independent. ``chance``: of such an overload over futures of
        the true process, a mean over companies with its bootstrap interval, companies being the clusters; ``above``:
        share of companies in which it is more than promised. Cost ÷ that of the knowing planner and of the rule of
        thumb, median and quartiles. ``fixed``: companies in which something overloads that no instances mend.
    """
    rows = []
    for planner, title in PLANNERS.items():
        mine = [result[planner] for result in results]
        held = np.array([not one["core"] for one in mine])
        chance = np.array([one["chance"] for one in mine])
        by_knowing = np.array(
            [one["cost"] / result["knowing"]["cost"] for one, result in zip(mine, results, strict=True)]
        )
        by_rule = np.array([one["cost"] / result["rule"]["cost"] for one, result in zip(mine, results, strict=True)])
        low, high = proportion_confint(held.sum(), len(held), alpha=0.05, method="beta")
        drawn = chance[np.random.default_rng(0).integers(len(chance), size=(_BOOT, len(chance)))].mean(axis=1)
        rows.append(
            {
                "planner": title,
                "held": f"{held.sum()} of {len(held)} ({low:.0%} – {high:.0%})",
                "p": binomtest(int(held.sum()), len(held), 1 - PROMISED).pvalue,
                "chance": f"{chance.mean():.1%} ({np.quantile(drawn, 0.025):.1%} – {np.quantile(drawn, 0.975):.1%})",
                "above": f"{(chance > PROMISED).mean():.0%}",
                "cost ÷ knowing": quartiles(by_knowing),
                "cost ÷ rule": quartiles(by_rule),
                "fixed": sum(bool(one["fixed"]) for one in mine),
            }
        )
    return pd.DataFrame(rows)


def quartiles(values: NDArray[np.float64]) -> str:
    """Median and quartiles.

    Examples
    --------
    >>> quartiles(np.array([1.0, 2.0, 3.0]))
    '2.00 [1.50 – 2.50]'
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return f"{math.nan}"
    low, mid, high = np.quantile(known, [0.25, 0.5, 0.75])
    return f"{mid:.2f} [{low:.2f} – {high:.2f}]"
