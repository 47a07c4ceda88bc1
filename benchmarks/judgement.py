"""How intervals are judged: coverage with an exact test over companies, width, error and interval score.

A *row* is one truth with the interval said of it: ``company, forecaster, metric, name, q05, q50, q95, actual``.

Truths of one company share its shocks; companies are independent. So the company is the unit everywhere:

- **exact test**: of every company one truth of the metric is drawn at random, by a generator seeded with the company's
  name and the metric alone, so before anything is compared. Whether it lies inside is then one Bernoulli trial a
  company, the trials independent; under the hypothesis that a company's truths lie inside with 90 % on average, their
  sum is binomial with p = 0.9, and `binom_p` is the exact two-sided p-value. (If companies differed around 90 %, the
  sum would scatter less than the binomial, Hoeffding 1956: the test errs toward not rejecting.)
- **without the luck of the draw**: the p-values of 999 other draws, averaged and doubled, are a valid p-value whatever
  their dependence (Rüschendorf 1982; Vovk and Wang 2020): `all_draws_p`, conservative by up to a factor of two.
- **share inside**: mean over companies of the share of a company's truths; its interval a bootstrap over companies.
- **interval score** of a 90 % interval (Winkler 1972; Gneiting and Raftery 2007): width + 20 × what lies outside;
  divided by the truth (`score`), and on the log scale (`log_score`); a mean over companies of means over a company's
  truths.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

OURS = "capacity"
LEVEL = 0.9
_DRAWS = 999
_BOOT = 4000


def row(
    company: str, forecaster: str, metric: str, name: str, band: Mapping[str, float], actual: float
) -> dict[str, Any]:
    """Put one truth beside what was said of it.

    Parameters
    ----------
    company, forecaster
        Whose truth, and who said it.
    metric, name
        ``dau``, ``dat`` or ``peak_qps``; and the day or service.
    band
        ``q05``, ``q50``, ``q95``.
    actual
        The truth.
    """
    quantiles = {part: float(band[part]) for part in ("q05", "q50", "q95")}
    return {"company": company, "forecaster": forecaster, "metric": metric, "name": name, **quantiles, "actual": actual}


def interval_score(
    low: NDArray[np.float64], high: NDArray[np.float64], actual: NDArray[np.float64], *, level: float = LEVEL
) -> NDArray[np.float64]:
    """Width plus 2 / (1 − level) times the distance of the truth from the interval.

    Examples
    --------
    >>> interval_score(np.array([90.0]), np.array([110.0]), np.array([112.0])).round(6)
    array([60.])
    """
    miss = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    return np.asarray(high - low + 2 / (1 - level) * miss)


def judged(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Give every row its verdicts: inside, below, above, log width, log error, score, log score.

    A lower quantile of 0 has no logarithm: width and log score are unknown there.
    """
    frame = pd.DataFrame(list(map(dict, rows)))
    low, mid, high, actual = (frame[name].to_numpy(dtype=np.float64) for name in ("q05", "q50", "q95", "actual"))
    frame["below"], frame["above"] = actual < low, actual > high
    frame["inside"] = ~(frame["below"] | frame["above"])
    frame["score"] = interval_score(low, high, actual) / actual
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log(values) for values in (low, high, actual)]
        frame["width"] = np.where(low > 0, logs[1] - logs[0], np.nan)
        frame["log_score"] = np.where(low > 0, interval_score(*logs), np.nan)
        frame["error"] = np.where(mid > 0, logs[2] - np.log(mid), np.nan)
    return frame


def exact_test(frame: pd.DataFrame, *, metric: str) -> tuple[int, int, float, float]:
    """Test coverage of one metric over independent companies; see the module's text.

    Parameters
    ----------
    frame
        Judged rows of one forecaster and metric.
    metric
        Its name; seeds the choice.

    Returns
    -------
    tuple
        Truths inside, companies, p-value of the stated draw, p-value over all draws.

    Examples
    --------
    >>> inside = [True] * 45 + [False] * 5
    >>> frame = pd.DataFrame({"company": [f"c{k}" for k in range(50)], "name": "a day", "inside": inside})
    >>> exact_test(frame, metric="dau")[:3]
    (45, 50, 1.0)
    """
    groups = [group.sort_values("name")["inside"].to_numpy() for _, group in sorted(frame.groupby("company"))]
    names = sorted(frame["company"].unique())
    chosen = np.array([[_draws(name, metric, len(group))] for name, group in zip(names, groups, strict=True)])[:, 0]
    inside = np.array([group[draw] for group, draw in zip(groups, chosen, strict=True)]).sum(axis=0)
    by_count = {int(count): binomtest(int(count), len(groups), LEVEL).pvalue for count in np.unique(inside)}
    values = np.array([by_count[int(count)] for count in inside])
    return int(inside[0]), len(groups), float(values[0]), float(min(2 * values[1:].mean(), 1.0))


def _draws(company: str, metric: str, truths: int) -> NDArray[np.int64]:
    """Choose one truth for the stated draw and one for each of the others."""
    rng = np.random.default_rng([crc32(company.encode()), crc32(metric.encode())])
    return rng.integers(truths, size=1 + _DRAWS)


def intervals_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a metric and forecaster: coverage with its test, width, error, scores."""
    found = []
    for (metric, forecaster), group in frame.groupby(["metric", "forecaster"], sort=False):
        by_company = group.groupby("company")[["inside", "below", "above", "score", "log_score"]].mean()
        shares = by_company["inside"].to_numpy()
        low, high = np.quantile(_resampled(shares).mean(axis=1), [0.025, 0.975])
        inside, companies, binom_p, all_draws_p = exact_test(group, metric=str(metric))
        found.append(
            {
                "metric": metric,
                "forecaster": forecaster,
                "companies": companies,
                "truths": len(group),
                "inside_90": shares.mean(),
                "inside_low": low,
                "inside_high": high,
                "drawn_inside": inside,
                "binom_p": binom_p,
                "all_draws_p": all_draws_p,
                "below": by_company["below"].mean(),
                "above": by_company["above"].mean(),
                "mean_width_ratio": math.exp(group["width"].mean()),
                "median_abs_error": group["error"].abs().median(),
                "bias": group["error"].mean(),
                "score": by_company["score"].mean(),
                "log_score": by_company["log_score"].mean(),
            }
        )
    return pd.DataFrame(found)


def duels_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return our interval score against every peer's, on the truths that both spoke of.

    Returns
    -------
    pandas.DataFrame
        A row a metric and peer: companies, truths, ratio of the mean scores (below 1: ours is better) with a
        bootstrap interval over companies, the same on the log scale, and the share of companies in which ours is
        better.
    """
    keys = ["company", "metric", "name"]
    ours = frame[frame["forecaster"] == OURS].set_index(keys)
    found = []
    for (metric, peer), group in frame[frame["forecaster"] != OURS].groupby(["metric", "forecaster"], sort=False):
        theirs_scored = group.set_index(keys)[["score", "log_score"]].add_suffix("_peer")
        both = theirs_scored.join(ours[["score", "log_score"]].add_suffix("_ours"), how="inner")
        by_company = both.groupby("company").mean()
        mine, theirs = by_company["score_ours"].to_numpy(), by_company["score_peer"].to_numpy()
        pairs = _resampled(np.column_stack([mine, theirs])).mean(axis=1)
        low, high = np.quantile(pairs[:, 0] / pairs[:, 1], [0.025, 0.975])
        found.append(
            {
                "metric": metric,
                "peer": peer,
                "companies": len(by_company),
                "truths": len(both),
                "score_ratio": mine.mean() / theirs.mean(),
                "ratio_low": low,
                "ratio_high": high,
                "log_score_ratio": by_company["log_score_ours"].mean() / by_company["log_score_peer"].mean(),
                "better_in": float((mine < theirs).mean()),
            }
        )
    return pd.DataFrame(found)


def _resampled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Companies drawn with replacement, shape (draws, companies, …)."""
    return values[np.random.default_rng(0).integers(len(values), size=(_BOOT, len(values)))]
