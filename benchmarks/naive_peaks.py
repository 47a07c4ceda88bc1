"""What a spreadsheet says of the worst second: the last peak of the kind, times something, with the spread of its past.

Two rules, both from the last promotion of the kind that is remembered by service:

- ``last peak × growth``: times the growth of ordinary orders since (28 days before the planning day against the 28 days
  that lay as long before that promotion);
- ``last peak × 1.2``.

Their error is that of the same rule at earlier pairs of promotions of one kind, all kinds and services together: the
root mean square s of its logarithms; q05 and q95 lie 1.645 s away. Without an earlier pair the rule's own headroom of
20 % is taken for its 95 % point.
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.judgement import row

GROWTH, TWENTY = "last peak × growth", "last peak × 1.2"
_Z = 1.6448536


def recorded_peaks(ws: Any) -> dict[str, dict[str, float]]:
    """Largest second by promotion and service, as recorded: from traffic, else from what people remember.

    Where monitoring knew no largest second, the mean of the busiest interval stands for it.
    """
    found = {}
    for name, promotion in ws.promotions.before(ws.as_of).items():
        rows = ws.traffic().window(promotion.starts_at, promotion.ends_at)
        peaks = rows["peak_qps"].fillna(rows["requests"] / rows["interval_s"]).groupby(rows["service"]).max()
        minutes = not rows.empty and float(rows["interval_s"].min()) <= 60
        remembered = promotion.actual.peak_qps if promotion.actual is not None else {}
        found[name] = {str(k): float(v) for k, v in peaks.items()} if minutes else dict(remembered)
    return {name: peaks for name, peaks in found.items() if peaks}


def naive_rows(ws: Any, promotion_id: str, actual: Mapping[str, float], *, company: str) -> list[dict[str, Any]]:
    """Forecast every service's worst second by both rules.

    Parameters
    ----------
    ws
        A `capacity.Workspace` as of the planning day.
    promotion_id
        The promotion to plan.
    actual
        Largest second by service.
    company
        Its name.

    Returns
    -------
    list of dict
        Rows of `judgement`; none for a service whose last peak nobody remembers.
    """
    peaks, target = recorded_peaks(ws), ws.promotions[promotion_id]
    orders = ws.daily_activity().totals().set_index("date")["dat"].astype("float64")
    past = [ws.promotions[name] for name in peaks]
    pairs = _successive(past)
    last = [promotion for promotion in past if promotion.kind == target.kind]
    if not last:
        return []
    errors: dict[str, list[float]] = {GROWTH: [], TWENTY: []}
    lead = target.starts_at.date() - ws.as_of
    for before, after in pairs:
        factors = _factors(orders, before, after, as_of=after.starts_at.date() - lead)
        for name in peaks[before.id].keys() & peaks[after.id].keys():
            if peaks[before.id][name] > 0 and peaks[after.id][name] > 0:
                ratio = math.log(peaks[after.id][name] / peaks[before.id][name])
                for rule, factor in factors.items():
                    errors[rule].append(ratio - math.log(factor))
    factors = _factors(orders, last[-1], target, as_of=ws.as_of)
    rows = []
    for rule, factor in factors.items():
        spread = float(np.sqrt(np.mean(np.square(errors[rule])))) if errors[rule] else math.log(1.2) / _Z
        for name, value in actual.items():
            if (mid := peaks[last[-1].id].get(name, 0.0) * factor) > 0:
                band = {"q05": mid * math.exp(-_Z * spread), "q50": mid, "q95": mid * math.exp(_Z * spread)}
                rows.append(row(company, rule, "peak_qps", name, band, value))
    return rows


def _successive(past: list[Any]) -> list[tuple[Any, Any]]:
    """Pairs of promotions of one kind that follow each other."""
    found: list[tuple[Any, Any]] = []
    last: dict[str, Any] = {}
    for promotion in past:
        if promotion.kind in last:
            found.append((last[promotion.kind], promotion))
        last[promotion.kind] = promotion
    return found


def _factors(orders: "pd.Series[float]", before: Any, after: Any, *, as_of: Any) -> dict[str, float]:
    """Give both rules' factor from one promotion to the next, as known on the planning day of the latter."""
    end = pd.Timestamp(as_of)
    since = timedelta(days=round((after.starts_at - before.starts_at).total_seconds() / 86400 / 7) * 7)
    now = orders[(orders.index >= end - timedelta(days=28)) & (orders.index < end)].mean()
    then = orders[(orders.index >= end - since - timedelta(days=28)) & (orders.index < end - since)].mean()
    growth = float(now / then)
    return {GROWTH: growth if math.isfinite(growth) and growth > 0 else 1.0, TWENTY: 1.2}
