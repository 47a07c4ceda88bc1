"""Requests counted by second and by latency, so that a run of any number of requests fits in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_PER_OCTAVE = 128
_SHORTEST_S = 1e-6
_LONGEST_S = 1e7
_MOST_BUCKETS = 48 * _PER_OCTAVE
_MOST_CELLS = 2_000_000
_SPARSE, _WIDEST = 16, 4_000_000
LONGEST_PAUSE_S = 60
"""A longer time without any request separates runs."""
_PARTS = ("starts", "start_fraction", "ends", "end_fraction", "good", "latency_s", "users", "users_known")


@dataclass(frozen=True)
class Seconds:
    """A run by second, each array (T,).

    Attributes
    ----------
    second
        Seconds since 1970, whole, increasing by one but for pauses of more than a minute.
    starts, ends, good
        Requests that began, ended, and ended without error in it.
    latency_s
        Sum of the latencies of those that ended.
    in_flight
        Mean number of requests under way, by counting starts and ends: no use is made of Little's law.
    users
        Mean number of users that the tool wrote; NaN where it wrote none.
    """

    second: Ints
    starts: Array
    ends: Array
    good: Array
    latency_s: Array
    in_flight: Array
    users: Array


class RequestTally:
    """Counts of requests by second of start, second of end, and latency.

    Latency is kept in buckets of 0.5 % width, so a percentile is right to 0.3 %. Where a run is so long that the cells
    would not fit, latencies are kept for two, four, … seconds together.

    Examples
    --------
    >>> tally = RequestTally()
    >>> tally.add(np.array([10.0, 10.5]), np.array([0.5, 1.0]), failed=np.array([False, True]))
    >>> seconds = tally.seconds()
    >>> seconds.in_flight.tolist(), seconds.good.tolist()
    ([1.0, 0.5], [1.0, 0.0])
    >>> round(tally.percentile_s(0.5, begins_s=10, ends_s=12, good_only=True), 2)
    0.5
    """

    def __init__(self) -> None:
        self._second: list[Ints] = []
        self._sums: list[Array] = []
        self._cell: list[Ints] = []
        self._count: list[Array] = []
        self._cells = 0
        self._width_s = 1
        self.requests = 0

    def add(self, start_s: Array, latency_s: Array, *, failed: NDArray[np.bool_], users: Array | None = None) -> None:
        """Count requests.

        Parameters
        ----------
        start_s
            When each began, seconds since 1970, (n,).
        latency_s
            How long each took, (n,).
        failed
            Whether each failed, (n,).
        users
            Users at its end as the tool wrote it, (n,), NaN where unknown.
        """
        fine = (latency_s >= 0) & (latency_s < _LONGEST_S) & (np.abs(start_s) < 1e11)
        if not fine.all():
            start_s, latency_s, failed = start_s[fine], latency_s[fine], failed[fine]
            users = None if users is None else users[fine]
        if not len(start_s):
            return
        self.requests += len(start_s)
        end_s = start_s + latency_s
        first, last = np.floor(start_s).astype(np.int64), np.floor(end_s).astype(np.int64)
        good = np.where(failed, 0.0, 1.0)
        self._add_sums(first, {"starts": np.ones(len(first)), "start_fraction": start_s - first})
        known = np.zeros(len(last)) if users is None else np.isfinite(users).astype(float)
        counted = np.zeros(len(last)) if users is None else np.nan_to_num(users)
        ends = {"ends": np.ones(len(last)), "end_fraction": end_s - last, "good": good}
        self._add_sums(last, ends | {"latency_s": latency_s, "users": counted, "users_known": known})
        bucket = np.clip(np.log2(np.maximum(latency_s, _SHORTEST_S) / _SHORTEST_S) * _PER_OCTAVE, 0, _MOST_BUCKETS - 1)
        cells, counts = self._cells_of(last // self._width_s, bucket.astype(np.int64), failed)
        self._cell.append(cells)
        self._count.append(counts.astype(float))
        self._cells += len(cells)
        if self._cells > 2 * _MOST_CELLS:
            self._compact()

    def add_users(self, at_s: Array, users: Array) -> None:
        """Count users that the tool wrote by themselves, not beside a request: how many there were, and when, (n,)."""
        fine = np.isfinite(at_s) & np.isfinite(users) & (users >= 0) & (np.abs(at_s) < 1e11)
        if fine.any():
            second = np.floor(at_s[fine]).astype(np.int64)
            self._add_sums(second, {"users": users[fine], "users_known": np.ones(len(second))})

    @staticmethod
    def _cells_of(when: Ints, bucket: Ints, failed: NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """Cells that occur, sorted, and how often; numbered within the times and latencies at hand, few as they are."""
        first, lowest = int(when.min()), int(bucket.min())
        width = int(bucket.max()) - lowest + 1
        cell = ((when - first) * width + (bucket - lowest)) * 2 + failed
        if int(cell.max()) <= _WIDEST:
            every = np.bincount(cell)
            places = np.flatnonzero(every)
            counts = every[places]
        else:
            places, counts = np.unique(cell, return_counts=True)
        at, rest = np.divmod(places // 2, width)
        cells = ((at + first) * _MOST_BUCKETS + rest + lowest) * 2 + places % 2
        return cells, counts

    def _add_sums(self, second: Ints, values: dict[str, Array]) -> None:
        places, group = grouped(second)
        sums = np.zeros((len(_PARTS), len(places)))
        for name, column in values.items():
            sums[_PARTS.index(name)] = _sums(group, column, len(places))
        self._second.append(places)
        self._sums.append(sums)
        if len(self._second) > 256:
            self._second, self._sums = _merged_seconds(self._second, self._sums)

    def _compact(self) -> None:
        cell, group = grouped(np.concatenate(self._cell))
        count = _sums(group, np.concatenate(self._count), len(cell))
        if len(cell) > _MOST_CELLS:
            self._width_s *= 2
            rest = cell % (2 * _MOST_BUCKETS)
            cell = (cell // (2 * _MOST_BUCKETS) // 2) * (2 * _MOST_BUCKETS) + rest
            cell, group = grouped(cell)
            count = _sums(group, count, len(cell))
        self._cell, self._count, self._cells = [cell], [count], len(cell)

    def seconds(self) -> Seconds:
        """Give the run by second."""
        self._second, self._sums = _merged_seconds(self._second, self._sums)
        if not self._second:
            empty = np.zeros(0)
            return Seconds(empty.astype(np.int64), empty, empty, empty, empty, empty, empty)
        second, sums = _without_gaps(self._second[0], self._sums[0])
        of = dict(zip(_PARTS, sums, strict=True))
        before = np.concatenate([[0.0], np.cumsum(of["starts"] - of["ends"])[:-1]])
        in_flight = before + (of["starts"] - of["start_fraction"]) - (of["ends"] - of["end_fraction"])
        with np.errstate(invalid="ignore", divide="ignore"):
            users = np.where(of["users_known"] > 0, of["users"] / of["users_known"], np.nan)
        return Seconds(second, of["starts"], of["ends"], of["good"], of["latency_s"], np.maximum(in_flight, 0.0), users)

    def histogram(self, *, begins_s: float, ends_s: float) -> tuple[Array, Array, Array]:
        """Latency of requests that ended in a window: bucket middles in seconds, counts of good and of failed, (B,)."""
        self._compact() if len(self._cell) > 1 else None
        if not self._cell:
            return np.zeros(0), np.zeros(0), np.zeros(0)
        # Cells are sorted by time first: a window is a slice.
        first, last = np.floor(begins_s / self._width_s), np.ceil(ends_s / self._width_s)
        edges = np.array([first, last], dtype=np.int64) * (2 * _MOST_BUCKETS)
        inside = slice(*np.searchsorted(self._cell[0], edges))
        cell, count = self._cell[0][inside], self._count[0][inside]
        bucket, failed = (cell // 2) % _MOST_BUCKETS, cell % 2 == 1
        places, group = np.unique(bucket, return_inverse=True)
        bad = _sums(group, np.where(failed, count, 0.0), len(places))
        everything = _sums(group, count, len(places))
        return _SHORTEST_S * 2.0 ** ((places + 0.5) / _PER_OCTAVE), everything - bad, bad

    def percentile_s(self, share: float, *, begins_s: float, ends_s: float, good_only: bool = False) -> float:
        """Latency that a share of the requests ending in a window do not exceed; NaN where there are none."""
        middle, good, bad = self.histogram(begins_s=begins_s, ends_s=ends_s)
        return weighted_quantile(middle, good if good_only else good + bad, share)


def grouped(values: Ints) -> tuple[Ints, Ints]:
    """Find distinct values, sorted, and which of them each is; without sorting where they lie close together.

    Examples
    --------
    >>> [x.tolist() for x in grouped(np.array([7, 5, 7]))]
    [[5, 7], [1, 0, 1]]
    """
    if not len(values):
        return values, values
    low, high = int(values.min()), int(values.max())
    if high - low > min(_SPARSE * len(values), _WIDEST):
        # Stable: what is merged is mostly in order already, which this sort makes use of.
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        opens = np.append(True, ordered[1:] != ordered[:-1])
        group = np.empty(len(values), dtype=np.int64)
        group[order] = np.cumsum(opens) - 1
        return ordered[opens], group
    offset = values - low
    present = np.zeros(high - low + 1, dtype=bool)
    present[offset] = True
    return np.flatnonzero(present) + low, (np.cumsum(present, dtype=np.int32) - 1)[offset].astype(np.int64)


def _sums(group: Ints, values: Array, size: int) -> Array:
    return np.bincount(group, weights=values, minlength=size).astype(np.float64, copy=False)


def spread_over_second(count: int) -> Array:
    """Places within a second for times that are known to the second only, (n,), from 0 to before 1, evenly spread.

    Multiples of the golden ratio: any run of them is spread evenly, whatever the order of the rows.

    Examples
    --------
    >>> spread_over_second(3).round(3).tolist()
    [0.0, 0.618, 0.236]
    """
    return np.asarray(np.arange(count) * ((np.sqrt(5.0) - 1.0) / 2.0) % 1.0)


def weighted_quantile(values: Array, counts: Array, share: float) -> float:
    """Quantile of sorted values that occur so many times each; NaN of nothing.

    Examples
    --------
    >>> weighted_quantile(np.array([1.0, 2.0]), np.array([9.0, 1.0]), 0.95)
    2.0
    """
    return float(weighted_quantiles(values, counts, (share,))[0])


def weighted_quantiles(values: Array, counts: Array, shares: Sequence[float]) -> Array:
    """Quantiles of sorted values that occur so many times each, (len(shares),); NaN of nothing."""
    until = np.cumsum(counts)
    if not len(until) or until[-1] <= 0:
        return np.full(len(shares), np.nan)
    places = np.searchsorted(until, np.array(shares) * until[-1] - 1e-9)
    return np.asarray(values[np.minimum(places, len(values) - 1)])


def _merged_seconds(second: list[Ints], sums: list[Array]) -> tuple[list[Ints], list[Array]]:
    if len(second) < 2:
        return second, sums
    places, group = np.unique(np.concatenate(second), return_inverse=True)
    columns = np.concatenate(sums, axis=1)
    merged = np.stack([_sums(group, column, len(places)) for column in columns])
    return [places], [merged]


def _without_gaps(second: Ints, sums: Array) -> tuple[Ints, Array]:
    """Fill seconds in which nothing happened; a pause of more than a minute stays a gap."""
    if not len(second):
        return second, sums
    gap = np.diff(second, append=second[-1] + 1)
    length = np.where(gap <= LONGEST_PAUSE_S, gap, 1)
    begins = np.cumsum(length) - length
    full = np.repeat(second - begins, length) + np.arange(int(length.sum()))
    filled = np.zeros((len(sums), len(full)))
    filled[:, begins] = sums
    return full, filled
