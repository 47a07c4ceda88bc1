"""Locust's ``*_stats_history.csv``: cumulative numbers once a second, by differences made into what happened.

``Requests/s`` and ``Failures/s`` are means of a window that lags, so they are not used. With ``--csv-full-history``
percentiles are those of about the last ten seconds, without it those since the start or the last reset.

References
----------
.. [1] Locust, ``locust/stats.py``: ``StatsCSVFileWriter``, ``get_current_response_time_percentile``, whose window is
   ``CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW`` = 10 s.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capacity.errors import InputError, Problem
from capacity.loadtest.readers.blocks import header_cells
from capacity.loadtest.readers.delimited import Breaks, numbers, record_batches, words
from capacity.loadtest.readers.files import head_of

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

AGGREGATED = ("Aggregated", "Total")
_NAMES = {
    "time": ("Timestamp",),
    "users": ("User Count", "User count"),
    "count": ("Total Request Count", "# requests", "Total request count"),
    "failures": ("Total Failure Count", "# failures", "Total failure count"),
    "mean_ms": ("Total Average Response Time", "Average response time"),
    "least_ms": ("Total Min Response Time", "Min response time"),
    "most_ms": ("Total Max Response Time", "Max response time"),
    "name": ("Name",),
}
_MOST_NAMES = 1000
_NEEDED = ("time", "count", "mean_ms", "name")
_PERCENTILE = re.compile(r"^(\d{1,2}(?:\.\d+)?)%$")


@dataclass(frozen=True)
class Columns:
    """Which column of the file is which."""

    of: dict[str, str]
    percentiles: dict[str, str]
    names: tuple[str, ...]


def columns_of(head: bytes) -> Columns:
    """Find the columns by the header line.

    Examples
    --------
    >>> columns_of(b"Timestamp,Name,95%,99.9%").percentiles
    {'p95_ms': '95%'}
    """
    names = header_cells(head)
    of = {kind: next(n for n in known if n in names) for kind, known in _NAMES.items() if set(known) & set(names)}
    wanted = {50.0: "p50_ms", 95.0: "p95_ms", 99.0: "p99_ms"}
    percentiles = {}
    for name in names:
        found = _PERCENTILE.match(name)
        if found and float(found.group(1)) in wanted:
            percentiles[wanted[float(found.group(1))]] = name
    return Columns(of, percentiles, names)


def recognizes(head: bytes) -> bool:
    """Whether a file's header is that of a history."""
    return set(_NEEDED) <= set(columns_of(head).of)


@dataclass
class History:
    """A history as written, in the order of time, each array (n,).

    Attributes
    ----------
    at_s
        Seconds since 1970.
    users
        Users, NaN where the file has no such column.
    count, failures, latency_s
        Cumulative number of answers, of those that failed, and sum of latencies.
    least_ms, most_ms
        Shortest and longest latency since the start or the last reset.
    percentiles_ms
        By column of a step; NaN is missing.
    windowed
        Whether percentiles are those of the last ten seconds.
    names
        Number of answers by name, where the file tells them apart.
    """

    at_s: Array
    users: Array
    count: Array
    failures: Array
    latency_s: Array
    least_ms: Array
    most_ms: Array
    percentiles_ms: dict[str, Array]
    windowed: bool
    names: dict[str, int] = field(default_factory=dict)


def read_history(path: Path, breaks: Breaks, *, only: Collection[str] | None) -> History:
    """Read one file.

    Raises
    ------
    InputError
        Where it has no rows of the whole, or ``only`` asks for names that it does not tell apart.
    """
    import pyarrow as pa

    columns = columns_of(head_of(path))
    text = pa.binary()
    wanted = {*columns.of.values(), *columns.percentiles.values()}
    parts: dict[str, list[Array]] = {}
    names: list[str] = []
    for batch in record_batches(path, columns=dict.fromkeys(sorted(wanted), text), breaks=breaks):
        codes, known = words(batch.column(columns.of["name"]))
        names.extend(known[c] for c in codes)
        for kind, name in (*columns.of.items(), *columns.percentiles.items()):
            if kind != "name":
                parts.setdefault(kind, []).append(numbers(batch.column(name)))
    table = {kind: np.concatenate(values) for kind, values in parts.items()}
    return _history(path, table, np.array(names, dtype=object), only)


def _history(path: Path, table: dict[str, Array], names: NDArray[np.object_], only: Collection[str] | None) -> History:
    size = len(names)
    whole = np.isin(names, AGGREGATED)
    windowed = bool((~whole).any())
    rows = whole
    if only is not None:
        if not windowed:
            got = "only the rows of all requests together"
            problem = Problem(path.name, got, ", ".join(sorted(only)), "run Locust with --csv-full-history")
            raise InputError("the history of Locust does not tell requests apart", problems=[problem])
        rows = np.isin(names, sorted(only))
    at, count = (table.get(kind, np.full(size, np.nan)) for kind in ("time", "count"))
    rows = rows & np.isfinite(at) & (np.abs(at) < 1e11) & (count >= 0) & (count < 1e15)
    if not rows.any():
        got = f"{size} rows, none of them of all requests" if only is None else "no row of these names"
        problem = Problem(path.name, got, "rows named Aggregated" if only is None else ", ".join(sorted(only)))
        raise InputError("the history of Locust cannot be used", problems=[problem])
    chosen = {kind: values[rows] for kind, values in table.items()}
    return _in_time(chosen, windowed=windowed, names=_counts_by_name(names, count))


def _counts_by_name(names: NDArray[np.object_], count: Array) -> dict[str, int]:
    """Answers by name: what cumulative numbers grew by, across resets."""
    found: dict[str, int] = {}
    last: dict[str, float] = {}
    for name, number in zip(names.tolist(), count.tolist(), strict=True):
        if name in AGGREGATED or not 0 <= number < 1e15 or (name not in found and len(found) >= _MOST_NAMES):
            continue
        before = last.get(name, 0.0)
        found[name] = found.get(name, 0) + int(number - before if number >= before else number)
        last[name] = number
    return found


def _in_time(chosen: dict[str, Array], *, windowed: bool, names: dict[str, int]) -> History:
    """One row a time: names that were asked for are added up, the last of several rows alike counts."""
    size = len(chosen["time"])
    at, group = np.unique(np.floor(chosen["time"]), return_inverse=True)

    def sum_of(values: Array) -> Array:
        return np.bincount(group, weights=np.nan_to_num(values), minlength=len(at)).astype(np.float64)

    def most_of(values: Array, *, sign: float = 1.0) -> Array:
        found = np.full(len(at), -np.inf)
        known = np.isfinite(values)
        np.maximum.at(found, group[known], sign * values[known])
        return np.where(np.isfinite(found), sign * found, np.nan)

    unknown = np.full(size, np.nan)
    count = chosen["count"]
    mean = np.where((chosen["mean_ms"] >= 0) & (chosen["mean_ms"] < 1e10), chosen["mean_ms"], np.nan)
    failures = np.clip(chosen.get("failures", np.zeros(size)), 0.0, count)
    latency = sum_of(np.where(count > 0, count * mean / 1e3, 0.0))
    single = np.bincount(group, minlength=len(at)) == 1
    percentiles: dict[str, Array] = {}
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        if name in chosen:
            # Zero says that none was known; of several names together none can be known.
            value = np.where((chosen[name] > 0) & (chosen[name] < 1e10), chosen[name], np.nan)
            percentiles[name] = np.where(single, most_of(value), np.nan)
    return History(
        at,
        most_of(np.where(chosen.get("users", unknown) >= 0, chosen.get("users", unknown), np.nan)),
        sum_of(count),
        sum_of(failures),
        np.where(most_of(np.where(np.isnan(mean) & (count > 0), 1.0, 0.0)) > 0, np.nan, latency),
        most_of(chosen.get("least_ms", unknown), sign=-1.0),
        most_of(chosen.get("most_ms", unknown)),
        percentiles,
        windowed,
        names,
    )
