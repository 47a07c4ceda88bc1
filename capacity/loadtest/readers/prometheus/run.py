"""A run out of series: what is added up, what is differenced, what is chosen where several say the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest.cumulative import by_second, held_by_second
from capacity.loadtest.gate import Gate
from capacity.loadtest.readers.prometheus import kinds
from capacity.loadtest.readers.prometheus.document import Series
from capacity.loadtest.readers.prometheus.histogram import Histogram
from capacity.loadtest.requests import Seconds
from capacity.loadtest.steady import Steady
from capacity.loadtest.steps import to_frame

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_BUSIEST_S = 30


@dataclass
class Chosen:
    """Series by what they measure; of several metrics that measure the same, one.

    Attributes
    ----------
    of
        Series by kind; all of one metric.
    notes
        What was taken for what, and what was not used.
    """

    of: dict[str, list[Series]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def choose(series: Sequence[Series]) -> Chosen:
    """Sort series by what they measure; of several metrics alike the server's is taken, and for users the client's."""
    chosen = Chosen()
    by_kind: dict[str, dict[tuple[str, str], list[Series]]] = {}
    unused = set()
    for one in series:
        kind = kinds.kind_of(one) if len(one.at_s) else None
        if kind is None or kind == kinds.CUMULATIVE:
            unused.add(f"{one.name} ({kind})" if kind else one.name)
            continue
        by_kind.setdefault(kind, {}).setdefault((one.stem, one.name), []).append(one)
    if kinds.COUNTER in by_kind and kinds.RATE in by_kind:
        # A counter says the same without the lag of a rate's window.
        unused.update(f"{name} ({kinds.RATE})" for _, name in by_kind.pop(kinds.RATE))
    for kind, metrics in by_kind.items():
        best = max(metrics.items(), key=lambda item: _rank(kind, item[1]))
        chosen.of[kind] = best[1]
        count = f", {len(best[1])} series" if len(best[1]) > 1 else ""
        chosen.notes.append(f"{best[0][1]} of {best[0][0]} was taken for the {kind}{count}")
        unused.update(f"{name} ({kind})" for _, name in metrics if name != best[0][1])
    if unused:
        chosen.notes.append(f"not used: {', '.join(sorted(unused))}")
    return chosen


def _rank(kind: str, series: list[Series]) -> tuple[bool, int]:
    client = kinds.of_client(series[0])
    return (client if kind == kinds.USERS else not client, sum(len(s.at_s) for s in series))


def step_s(series: Sequence[Series]) -> float:
    """Give the time between samples, seconds; NaN where there are none."""
    gaps = [np.diff(s.at_s) for s in series if len(s.at_s) > 1]
    return float(np.median(np.concatenate(gaps))) if gaps else float("nan")


def added(series: Sequence[Series], second: Ints, *, counter: bool) -> Array:
    """Sum what all series added in each second, (T,); NaN where one of them is not known then.

    A counter that shrank was reset; what it had counted before is lost. A rate is that of the time before it.
    """
    total = np.zeros(len(second))
    seen = np.zeros(len(second), dtype=bool)
    for one in series:
        change = np.diff(one.numbers) if counter else one.numbers[1:] * np.diff(one.at_s)
        places, found = by_second(one.at_s, {"x": change}, change < 0)
        where, inside = _places(second, places)
        total[where] += found["x"][inside]
        seen[where] = True
    return np.where(seen, total, np.nan)


def level(series: Sequence[Series], second: Ints, *, combine: Callable[[Array, Array], Array]) -> Array:
    """Values between samples, by straight lines, combined over series, (T,); NaN where none is known."""
    total = np.full(len(second), np.nan)
    for one in series:
        inside = (second >= one.at_s[0]) & (second <= one.at_s[-1])
        values = np.interp(second[inside] + 0.5, one.at_s, one.numbers)
        total[inside] = np.where(np.isnan(total[inside]), values, combine(total[inside], values))
    return total


def held(series: Sequence[Series], second: Ints, *, tolerance: float) -> Array:
    """Sum over series numbers such as users in each second, (T,); NaN between samples that differ."""
    at = np.unique(np.concatenate([s.at_s for s in series]))
    total = np.zeros(len(at))
    for one in series:
        place = np.searchsorted(one.at_s, at, side="right") - 1
        alive = (place >= 0) & (at <= one.at_s[-1])
        total += np.where(alive, one.numbers[np.maximum(place, 0)], 0.0)
    return held_by_second(at, total, second, tolerance=tolerance)


def _places(second: Ints, some: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    where = np.searchsorted(second, some)
    inside = (where < len(second)) & (second[np.minimum(where, len(second) - 1)] == some)
    return where[inside], inside


def seconds_of(series: Sequence[Series]) -> Ints:
    """Whole seconds that any of the series covers."""
    covered = [by_second(s.at_s, {}, np.zeros(max(len(s.at_s) - 1, 0), dtype=bool))[0] for s in series]
    return np.unique(np.concatenate(covered)) if covered else np.zeros(0, np.int64)


class Tails:
    """Percentiles of a step: out of the histogram where there is one, else the mean of those that were queried.

    Those queried are of a window of time and lag behind: a share ``lag`` of each step is left out.
    """

    def __init__(self, chosen: Chosen, scale_to_ms: Callable[[Series], float], *, lag: float) -> None:
        columns = kinds.PERCENTILE | ({} if kinds.LATENCY_SUM in chosen.of else {"mean_ms": kinds.MEAN})
        self._queried = {column: chosen.of[kind] for column, kind in columns.items() if kind in chosen.of}
        self._lag = lag
        self._scale = scale_to_ms
        buckets = chosen.of.get(kinds.BUCKET, [])
        self._histogram = Histogram(buckets) if buckets else None

    def __call__(self, begins_s: float, ends_s: float) -> dict[str, float]:
        """Give what is known of a step; of several series the largest, since percentiles do not add up."""
        found: dict[str, float] = {}
        settled_s = begins_s + self._lag * (ends_s - begins_s)
        for column, series in self._queried.items():
            values = [
                float(one.numbers[inside].mean()) * self._scale(one)
                for one in series
                if (inside := (one.at_s > settled_s) & (one.at_s <= ends_s + 1.0) & (one.numbers > 0)).any()
            ]
            if values:
                found[column] = max(values)
        if self._histogram is not None:
            found |= self._histogram.percentiles_ms(begins_s, ends_s)
        return found


def busiest(seconds: Seconds, tails: Tails) -> Steady:
    """Give the busiest half minute as one step, where nothing says what load was set: a lower bound."""
    known = np.isfinite(seconds.good)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, seconds.good, 0.0))])
    length = min(_BUSIEST_S, len(known))
    whole = np.convolve(known, np.ones(length), mode="valid") >= length if length else np.zeros(0, dtype=bool)
    if not whole.any():
        return Steady(to_frame([]), (), ())
    rate = np.where(whole, (total[length:] - total[:-length]) / length, -np.inf)
    first = int(np.argmax(rate))
    begins_s, ends_s = float(seconds.second[first]), float(seconds.second[first + length - 1] + 1)
    inside = slice(first, first + length)
    answered = seconds.ends[inside].sum()
    row = {
        "achieved_qps": float(rate[first]),
        "error_fraction": float(1.0 - seconds.good[inside].sum() / answered),
        "mean_ms": float(1e3 * seconds.latency_s[inside].sum() / answered),
        "seconds": float(length),
        "begins_s": begins_s - float(seconds.second[0]),
        **tails(begins_s, ends_s),
    }
    says = f"nothing says what load was set: the busiest {length} seconds are a lower bound"
    gate = Gate("load_unknown", "bounded", None, None, says, "query users (k6_vus) or requests in progress as well", 0)
    return Steady(to_frame([row]), (gate,), ())
