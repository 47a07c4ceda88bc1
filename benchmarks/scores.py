"""Scores of quantile forecasts of daily volumes, all as shares of the actual volume where they are amounts."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


def pinball(actual: Floats, forecast: Floats, probability: float) -> float:
    """Pinball loss of a quantile as a share of the actual volume.

    Examples
    --------
    >>> round(pinball(np.array([10.0]), np.array([12.0]), 0.9), 3)
    0.02
    """
    error = actual - forecast
    return float(np.maximum(probability * error, (probability - 1) * error).sum() / actual.sum())


def interval_score(actual: Floats, low: Floats, high: Floats, level: float) -> float:
    """Winkler's score of the central interval of a level (width + 2/(1 − level) × what lies outside), as a share.

    Examples
    --------
    >>> round(interval_score(np.array([10.0]), np.array([8.0]), np.array([9.0]), 0.8), 3)
    1.1
    """
    missed = np.clip(low - actual, 0, None) + np.clip(actual - high, 0, None)
    return float((high - low + 2 / (1 - level) * missed).sum() / actual.sum())


def score(judged: pd.DataFrame) -> dict[str, float]:
    """Score one method's forecasts (columns actual, open, and quantiles named by floats).

    ``wape`` and ``bias`` count every day: a closed day is forecast 0 by every method. The others count open days only:
    ``inside_80``, ``width_80`` and ``interval_score_80`` of each central interval, ``below_q99`` and ``pinball_99``.

    Raises
    ------
    ValueError
        A forecast is missing: a method is not judged by the days it chose.
    """
    levels = sorted(name for name in judged.columns if isinstance(name, float))
    if missing := int(judged[levels].isna().any(axis=1).sum()):
        raise ValueError(f"{missing} of {len(judged)} forecasts are missing; leave the method out, or the days for all")
    actual = judged["actual"].to_numpy(dtype=float)
    error = judged[0.5].to_numpy(dtype=float) - actual
    found = {"wape": float(np.abs(error).sum() / actual.sum()), "bias": float(error.sum() / actual.sum())}
    seen = judged[judged["open"]]
    q = {level: seen[level].to_numpy(dtype=float) for level in levels}
    return found | _of_quantiles(seen["actual"].to_numpy(dtype=float), q)


def _of_quantiles(actual: Floats, q: Mapping[float, Floats]) -> dict[str, float]:
    found: dict[str, float] = {}
    for low in q:
        high = round(1 - low, 6)
        if low < 0.5 and high in q:
            level = round(high - low, 6)
            name = f"{100 * level:g}"
            found[f"inside_{name}"] = float(((actual >= q[low]) & (actual <= q[high])).mean())
            found[f"width_{name}"] = float((q[high] - q[low]).sum() / actual.sum())
            found[f"interval_score_{name}"] = interval_score(actual, q[low], q[high], level)
    if 0.99 in q:
        found["below_q99"] = float((actual <= q[0.99]).mean())
        found["pinball_99"] = pinball(actual, q[0.99], 0.99)
    return found


def share_better(judged: pd.DataFrame, method: str, other: str) -> float:
    """Share of series on which a method's error is smaller than another's (columns method, series, actual, 0.5)."""
    lost = judged.assign(error=(judged[0.5] - judged["actual"]).abs())
    table = lost.pivot_table(index="series", columns="method", values="error", aggfunc="sum")
    return float((table[method] < table[other]).mean())
