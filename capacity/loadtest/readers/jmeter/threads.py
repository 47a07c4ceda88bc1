"""The order of rows within a thread: it tells what times mean, and which rows sum up others.

A thread of JMeter does one thing at a time, so a sample begins after the one before it ended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.loadtest.readers.jmeter.rows import Array, Bools, Ints, Rows

_SLACK_MS = 1.0


@dataclass(frozen=True)
class Before:
    """For every row the start and end of the row before it in its thread, (n,); NaN where there is none."""

    start_ms: Array
    end_ms: Array


class Order:
    """Remembers the last row of every thread, so that order is known across blocks.

    Examples
    --------
    >>> order = Order()
    >>> order.before(np.array([0, 1, 0]), np.array([0.0, 5.0, 10.0]), np.array([7.0, 9.0, 12.0])).end_ms.tolist()
    [nan, nan, 7.0]
    """

    def __init__(self) -> None:
        self._last = np.full((2, 0), np.nan)

    def before(self, thread: Ints, start_ms: Array, end_ms: Array) -> Before:
        """Give the row before each, and remember the last ones; a thread of -1 is unknown."""
        size = len(thread)
        times = np.stack([start_ms, end_ms])
        highest = int(thread.max(initial=-1)) + 1
        if highest > self._last.shape[1]:
            grown = np.full((2, max(highest, 2 * self._last.shape[1])), np.nan)
            grown[:, : self._last.shape[1]] = self._last
            self._last = grown
        # Small numbers are sorted in linear time.
        order = np.argsort(thread.astype(np.int16) if highest < 32_768 else thread, kind="stable")
        sorted_thread = thread[order]
        opens = np.ones(size, dtype=bool)
        opens[1:] = sorted_thread[1:] != sorted_thread[:-1]
        previous = np.full((2, size), np.nan)
        previous[:, 1:] = times[:, order[:-1]]
        known = sorted_thread >= 0
        first = opens & known
        previous[:, opens] = np.nan
        previous[:, first] = self._last[:, sorted_thread[first]]
        previous[:, ~known] = np.nan
        closes = np.append(opens[1:], True)[:size] & known
        self._last[:, sorted_thread[closes]] = times[:, order[closes]]
        unsorted = np.empty_like(previous)
        unsorted[:, order] = previous
        return Before(unsorted[0], unsorted[1])

    @property
    def last_end_ms(self) -> Array:
        """End of the last row of every thread that had one, (k,)."""
        ends = self._last[1]
        return np.asarray(ends[np.isfinite(ends)])


def contains_the_one_before(before: Before, start_ms: Array, end_ms: Array) -> Bools:
    """Whether each row spans the row before it in its thread, as only sums do, (n,)."""
    spans = (start_ms <= before.start_ms + _SLACK_MS) & (end_ms >= before.end_ms - _SLACK_MS)
    return np.asarray(spans & (start_ms < before.end_ms))


@dataclass(frozen=True)
class Meaning:
    """Whether times are ends, and in how many of the pairs of rows that tell anything they cannot be so."""

    ends: bool
    telling: int
    against: int

    @property
    def said(self) -> str:
        """The finding in words."""
        what = "end" if self.ends else "begin"
        if self.telling == 0:
            return "times are taken as when samples begin, as JMeter ships: the order of rows does not tell"
        pairs = f"{self.telling} pairs of rows tell, {self.against} against it"
        return f"times are when samples {what}: within a thread {pairs}"


def meaning_of_times(rows: Rows, thread: Ints) -> Meaning:
    """Tell whether the times of some first rows are starts or ends.

    As starts they leave the earlier sample its time, as ends the later one. Pairs that contradict one reading only
    are counted; ends need three standard deviations more than half of them.
    """
    plain = ~rows.transaction & (thread >= 0) & (rows.elapsed_ms > 0)
    # Rows without URL in a file that has them may be sums; they contradict both.
    plain = plain & ~rows.bare if (plain & ~rows.bare).any() else plain
    stamp, elapsed = rows.stamp_ms[plain], rows.elapsed_ms[plain]
    before = Order().before(thread[plain], stamp, elapsed)
    gap = stamp - before.start_ms
    not_start = gap < before.end_ms - _SLACK_MS
    not_end = gap < elapsed - _SLACK_MS
    against_start = int((not_start & ~not_end).sum())
    against_end = int((not_end & ~not_start).sum())
    telling = against_start + against_end
    ends = against_start - against_end > 3.0 * np.sqrt(telling) if telling else False
    return Meaning(bool(ends), telling, against_end if ends else against_start)
