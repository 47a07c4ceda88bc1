"""Percentiles out of histogram counters: differences over a step, straight lines within a bucket."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.readers.prometheus.document import Series

Array = NDArray[np.float64]

_SHARES = (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))


class Histogram:
    """Counters by upper bound, summed over series.

    Examples
    --------
    >>> at = np.array([0.0, 10.0])
    >>> rows = [("0.1", 50.0), ("0.2", 100.0), ("+Inf", 100.0)]
    >>> series = [Series({"le": le}, "a_bucket", at, np.array([0.0, n])) for le, n in rows]
    >>> round(Histogram(series).percentiles_ms(0.0, 10.0)["p95_ms"], 1)
    190.0
    """

    def __init__(self, series: Sequence[Series]) -> None:
        self._of: dict[float, list[Series]] = {}
        for one in series:
            bound = _bound(one.labels.get("le", ""))
            if not math.isnan(bound):
                self._of.setdefault(bound, []).append(one)
        self._to_ms = 1.0 if any(w in s.name for s in series for w in ("milli", "_ms")) else 1e3

    def percentiles_ms(self, begins_s: float, ends_s: float) -> dict[str, float]:
        """Percentiles between two times, by column; those in the last, open bucket are not known."""
        bounds = np.array(sorted(self._of))
        counts = np.array([sum(_added(s, begins_s, ends_s) for s in self._of[b]) for b in bounds.tolist()])
        if len(bounds) < 2 or not np.isfinite(counts).all() or counts[-1] <= 0:
            return {}
        counts = np.maximum.accumulate(counts)
        found = {}
        for column, share in _SHARES:
            place = int(np.searchsorted(counts, share * counts[-1]))
            if not math.isfinite(bounds[place]):
                continue
            low, below = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
            within = (share * counts[-1] - below) / max(counts[place] - below, 1e-12)
            found[column] = float(low + (bounds[place] - low) * within) * self._to_ms
        return found


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _added(series: Series, begins_s: float, ends_s: float) -> float:
    """Give what a counter grew by between two times; NaN where it shrank, as it was reset then."""
    inside = (series.at_s > begins_s) & (series.at_s < ends_s)
    at = np.concatenate([[begins_s], series.at_s[inside], [ends_s]])
    if len(series.at_s) < 2 or ends_s < series.at_s[0] or begins_s > series.at_s[-1]:
        return 0.0
    change = np.diff(np.interp(at, series.at_s, series.numbers))
    return float(change.sum()) if (change >= 0).all() else math.nan
