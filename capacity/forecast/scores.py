"""Scores of forecasts against what came: error, bias, coverage, width, interval score, pinball."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from capacity.forecast.rules import HORIZONS

Floats = npt.NDArray[np.float64]
QUANTILES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
COVERAGES = (80, 90, 95)
FORECAST = "forecast"
PROMOTIONS = "promotions"


def score_table(forecasts: pd.DataFrame) -> pd.DataFrame:
    """One row a metric, kind of days, days ahead and method; see `Backtest.to_frame`."""
    rows = []
    for metric, of_metric in forecasts.groupby("metric", sort=True):
        for days in ("ordinary", "event"):
            chosen = of_metric[of_metric["promotion"].ne("") == (days == "event")]
            for label, part in by_horizon(chosen):
                head = {"metric": metric, "days": days, "days_ahead": label}
                rows += [head | {"method": method} | scores for method, scores in _methods(part).items()]
    return pd.DataFrame(rows)


def by_horizon(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Parts of a frame by days ahead, all of them first."""
    parts = [("all", frame)]
    for low, high in HORIZONS:
        parts.append((f"{low}–{high}" if high < 400 else f"{low}+", frame[frame["horizon"].between(low, high)]))
    return parts


def common_errors(forecasts: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Error of some methods on the days on which all of them have one: metric, group, method, wape, n.

    A rule that has no forecast of any day, as in a short history, is left out. Groups are the days ahead of ordinary
    days, and ``promotions``.
    """
    key = ["metric", "promotion", "horizon", "as_of", "date", "actual"]
    wide = forecasts[forecasts["method"].isin(methods)].pivot_table(index=key, columns="method", values=0.5)
    methods = [method for method in methods if method in wide]
    wide = wide.dropna().reset_index()
    rows = []
    for metric, part in wide.groupby("metric", sort=True):
        ordinary, event = part[part["promotion"] == ""], part[part["promotion"] != ""]
        for group, days in [*by_horizon(ordinary)[1:], (PROMOTIONS, event)]:
            if len(days):
                total = days["actual"].sum()
                errors = {method: float((days[method] - days["actual"]).abs().sum() / total) for method in methods}
                rows += [
                    {"metric": metric, "group": group, "method": method, "wape": error, "n": len(days)}
                    for method, error in errors.items()
                ]
    return pd.DataFrame(rows, columns=["metric", "group", "method", "wape", "n"])


def _methods(part: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Scores of each method, the forecast first; others say too how the forecast did on the same days."""
    key = ["as_of", "date"]
    own = part[part["method"] == FORECAST].set_index(key)
    if own.empty:
        return {}
    result = {FORECAST: score(own) | {"clusters": _clusters(own)}}
    for method in dict.fromkeys(part["method"]):
        other = part[part["method"].eq(method) & part[0.5].notna()].set_index(key)
        if method == FORECAST or other.empty:
            continue
        scores = score(other) | {"clusters": _clusters(other)}
        scores["error_ratio"] = _ratio(own, other, "wape")
        scores["interval_score_ratio"] = _ratio(own, other[other[0.05].notna()], "interval_score_90")
        result[method] = scores
    return result


def _ratio(own: pd.DataFrame, other: pd.DataFrame, name: str) -> float:
    """Give the forecast's score over another method's, on the days on which that has one."""
    if other.empty:
        return float("nan")
    return score(own.loc[other.index])[name] / score(other)[name]


def _clusters(frame: pd.DataFrame) -> int:
    """Independent units behind a score: promotions for their days, origins for other days."""
    days = frame["promotion"]
    origins: pd.Index = frame.index.get_level_values("as_of")
    return int(days.nunique() if days.ne("").all() else origins.nunique())


def score(frame: pd.DataFrame) -> dict[str, float]:
    """Scores of the quantile columns against ``actual``; intervals are judged where they are known.

    Sums of errors, widths and losses are over the sum of actuals, so that they read as fractions.
    """
    actual = frame["actual"].to_numpy(dtype=float)
    error = frame[0.5].to_numpy(dtype=float) - actual
    result = {
        "n": len(frame),
        "wape": float(np.abs(error).sum() / actual.sum()),
        "bias": float(error.sum() / actual.sum()),
    }
    known = frame[frame[list(QUANTILES)].notna().all(axis=1)]
    return result | interval_scores(
        known["actual"].to_numpy(dtype=float), {q: known[q].to_numpy(dtype=float) for q in QUANTILES}
    )


def interval_scores(actual: Floats, q: Mapping[float, Floats]) -> dict[str, float]:
    """Coverage, width and interval score of central intervals, and pinball losses.

    References
    ----------
    .. [1] T. Gneiting, A. E. Raftery (2007). Strictly proper scoring rules, prediction, and estimation.
    """
    if not len(actual):
        return {}
    result = {}
    for percent in COVERAGES:
        tail = round((100 - percent) / 200, 3)
        low, high = q[tail], q[round(1 - tail, 3)]
        outside = np.clip(low - actual, 0, None) + np.clip(actual - high, 0, None)
        result[f"coverage_{percent}"] = float(np.mean(outside == 0))
        result[f"width_{percent}"] = float((high - low).sum() / actual.sum())
        result[f"interval_score_{percent}"] = float((high - low + outside / tail).sum() / actual.sum())
    losses = {level: pinball(actual, values, level) for level, values in q.items()}
    return result | {"pinball": float(np.mean(list(losses.values()))), "pinball_99": losses[0.99]}


def pinball(actual: Floats, forecast: Floats, probability: float) -> float:
    """Pinball loss of a quantile forecast, as a fraction of the sum of actuals.

    Examples
    --------
    >>> import numpy as np
    >>> round(pinball(np.array([10.0]), np.array([12.0]), 0.9), 3)
    0.02
    """
    error = actual - forecast
    return float(np.maximum(probability * error, (probability - 1) * error).sum() / actual.sum())


def by_chance(nominal: float, clusters: int) -> tuple[float, float]:
    """Range of coverage that true intervals show nine times in ten, with so many independent promotions or origins.

    Days of one promotion err together, so that each is counted as one trial: the range is as wide as it can be.

    Examples
    --------
    >>> by_chance(0.9, 10)
    (0.7, 1.0)
    """
    low, high = (float(binom.ppf(tail, clusters, nominal)) / clusters for tail in (0.05, 0.95))
    return low, high


def quantile_columns(samples: Floats, quantiles: Sequence[float] = QUANTILES) -> dict[float, Floats]:
    """Quantiles (days,) of samples (n, days), by probability."""
    return dict(zip(quantiles, np.quantile(samples, quantiles, axis=0), strict=True))
