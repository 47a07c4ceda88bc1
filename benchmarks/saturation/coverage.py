"""How often the 90 % interval of capacity holds the truth, and how wide it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from benchmarks.saturation.likelihood import ml_widths
from benchmarks.saturation.staircases import Simulated, make
from capacity.catalog import Catalog
from capacity.saturation import fit_curve, fit_saturation

LEVEL = 0.9
SEED = 2024
STOPPED_EARLY = 0.6
_EXACT_CURVES = ("hard_end", "usl", "pool", "usl_pool", "pool_coherency", "amdahl")
_LIKELIHOODS = 54


def judged(tests: list[Simulated], *, n_samples: int) -> pd.DataFrame:
    """One row a test: the interval and the lower bound over the true capacity."""
    rows = []
    for k, one in enumerate(tests):
        curves = fit_saturation([one.test], Catalog.from_services([one.service]), n_samples=n_samples, seed=k)
        truth = one.known.capacity_qps
        low, middle, high = np.quantile(curves.instance_capacity_qps.to_numpy()[:, 0], [0.05, 0.5, 0.95]) / truth
        bound, top = curves.lower_bound_qps["s"], one.reached * truth
        rows.append(
            {
                "family": one.known.family,
                "test": "open" if one.staircase.is_open else "closed",
                "reached": _how_far(one.reached),
                "evidence": curves.evidence["s"],
                "inside": low <= 1.0 <= high,
                "below": high < 1.0,
                "width": high - low,
                "log_error": float(np.log(middle)),
                "bound_right": 0.0 < bound <= truth,
                "bound_of_top": bound / top,
            }
        )
    return pd.DataFrame(rows)


def _how_far(reached: float) -> str:
    if reached < STOPPED_EARLY:
        return "below 60 %"
    return "60–100 %" if reached < 1.0 else "past the end"


def judged_curves(tests: list[Simulated]) -> pd.DataFrame:
    """One row a closed test whose curve is known: intervals of throughput between, past and at the top of its loads."""
    rows = []
    for one in tests:
        if one.staircase.is_open or one.known.family not in _EXACT_CURVES or len(one.test.steps) < 5:
            continue
        # One night's figures tell that night's curve.
        rates = one.known.rates[0] * one.staircase.night
        load = one.test.steps["concurrency"].to_numpy(dtype=float) / one.test.instances
        each = one.test.steps["achieved_qps"].to_numpy(dtype=float) / one.test.instances
        fit = fit_curve(load, each)
        at = np.unique(np.rint([load[0] + 0.6 * np.ptp(load), load[-1], 1.5 * load[-1]]).astype(int))
        found = fit.predict_interval(at, level=LEVEL)
        for place, (low, high), name in zip(
            at, found.to_numpy(), ("throughput between", "at the last load", "half as far again"), strict=False
        ):
            if place < len(rates):
                rows.append(_curve_row(one, name, low, high, float(rates[place])))
        if rates.argmax() < 0.98 * load[-1]:
            low, high = fit.peak_interval(level=LEVEL).loc["peak_throughput"]
            rows.append(_curve_row(one, "peak, where it was passed", low, high, float(rates.max())))
    return pd.DataFrame(rows)


def _curve_row(one: Simulated, what: str, low: float, high: float, truth: float) -> dict[str, object]:
    inside = low <= truth <= high
    return {"family": one.known.family, "what": what, "inside": inside, "width": (high - low) / truth}


def run(n: int = 500, *, seed: int = SEED, n_samples: int = 400, likelihoods: int = _LIKELIHOODS) -> str:
    """Simulate, judge, and write the tables as Markdown."""
    tests = make(n, seed=seed)
    frame = judged(tests, n_samples=n_samples)
    told = frame[frame["reached"] != "below 60 %"]
    text = [f"{n} simulated load tests, seed {seed}; 90 % intervals of capacity at the objective\n"]
    text += [_table(told.assign(all="all"), by) for by in (["all"], ["test", "reached"], ["evidence"])]
    text += [_table(told, ["family", "test"])]
    text += [_stopped_early(frame[frame["reached"] == "below 60 %"])]
    text += [f"Lower bounds of all tests right in {_share(frame['bound_right'])}", ""]
    if likelihoods:
        text += [_beside_likelihood(tests, frame, likelihoods, seed=seed)]
    curves = judged_curves(tests)
    text += ["Throughput against users, 90 % intervals of the curve:", "", _table(curves, ["what"], error=False)]
    return "\n".join(text)


def _stopped_early(early: pd.DataFrame) -> str:
    right, useful = _share(early["bound_right"]), early["bound_of_top"]
    bounded = int((early["evidence"] == "bounded").sum())
    return (
        f"Stopped below 60 % of capacity: {len(early)} tests, {bounded} told as bounded, lower bound right in {right}; "
        f"bound over highest load {useful.mean():.2f}, least {useful.min():.2f}\n"
    )


def _beside_likelihood(tests: list[Simulated], frame: pd.DataFrame, most: int, *, seed: int) -> str:
    rows = np.flatnonzero((frame["reached"] == "past the end").to_numpy())[:most]
    ideal = ml_widths([tests[i].staircase for i in rows], seed=seed)
    text = [
        f"Mean width over capacity, {len(rows)} tests past the end, beside maximum likelihood told the true model:",
        "",
    ]
    text += ["| test | n | width | of maximum likelihood | ratio of medians |", "|---|---|---|---|---|"]
    some = frame.iloc[rows].assign(ideal=ideal)
    for name, group in some.groupby("test"):
        ratio = group["width"].median() / group["ideal"].median()
        text += [f"| {name} | {len(group)} | {group['width'].mean():.3f} | {group['ideal'].mean():.3f} | {ratio:.2f} |"]
    return "\n".join([*text, ""])


def _share(values: pd.Series) -> str:
    low, high = proportion_confint(int(values.sum()), len(values), method="beta") if len(values) else (0.0, 1.0)
    return f"{values.mean():.1%} ({100 * low:.0f}–{100 * high:.0f})"


def _table(frame: pd.DataFrame, by: list[str], *, error: bool = True) -> str:
    columns = ["n", "inside (95 %)", "truth above", "mean width", "median width", "rms log error"]
    columns = columns if error else ["n", "inside (95 %)", "mean width", "median width"]
    lines = ["| " + " | ".join([*by, *columns]) + " |", "|" + "---|" * (len(by) + len(columns))]
    for key, group in frame.groupby(by, sort=False):
        cells = [str(k) for k in key] + [str(len(group)), _share(group["inside"])]
        cells += [f"{group['below'].mean():.1%}"] if error else []
        finite = group["width"][np.isfinite(group["width"])]
        cells += [f"{finite.mean():.3f}", f"{group['width'].median():.3f}"]
        cells += [f"{np.sqrt((group['log_error'] ** 2).mean()):.3f}"] if error else []
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])
