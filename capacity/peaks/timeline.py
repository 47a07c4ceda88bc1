"""The promotion's minutes: relative to its start, by local day, by phase, and mapped onto past events.

Everything is aligned on the start instant. Days are local calendar days, because volumes are; a minute
knows its own local day and clock minute, so that clock changes need no special case.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """A phase's part of one local day: within it a share of the day's volume means something.

    Attributes
    ----------
    phase, day : int
        Positions in the timeline's phases and dates.
    first, stop : int
        Minutes ``first … stop − 1`` of the timeline.
    opening : bool
        Whether the promotion starts inside it.
    """

    phase: int
    day: int
    first: int
    stop: int
    opening: bool


@dataclass(frozen=True)
class Timeline:
    """Minutes of whole local days that a promotion's phases touch.

    Attributes
    ----------
    tau : ndarray, shape (minute,)
        Minutes after the start instant; negative before.
    clock : ndarray, shape (minute,)
        Local minute of the day, 0 … 1439.
    day : ndarray, shape (minute,)
        Position of the local date in `dates`.
    dates : tuple of date
    touched : ndarray of bool, shape (date,)
        Whether the promotion itself runs on that day.
    phases : tuple of str
    cells : tuple of Cell
    duration_min : int
    starts_at : datetime
    """

    tau: Ints
    clock: Ints
    day: Ints
    dates: tuple[date, ...]
    touched: NDArray[np.bool_]
    phases: tuple[str, ...]
    cells: tuple[Cell, ...]
    duration_min: int
    starts_at: datetime

    @property
    def size(self) -> int:
        """Number of minutes."""
        return int(self.tau.size)


def lay_out(
    starts_at: datetime, ends_at: datetime, phases: Sequence[tuple[str, datetime, datetime]], *, timezone: str
) -> Timeline:
    """Lay out a promotion's minutes.

    Parameters
    ----------
    starts_at, ends_at : datetime
        Aware.
    phases : sequence of (name, starts_at, ends_at)
        In order; a name may come once.
    timezone : str
        The workspace's zone: its days are the days.

    Returns
    -------
    Timeline

    Examples
    --------
    >>> from zoneinfo import ZoneInfo
    >>> zone = ZoneInfo("Asia/Shanghai")
    >>> start, end = datetime(2026, 11, 10, 20, tzinfo=zone), datetime(2026, 11, 12, tzinfo=zone)
    >>> line = lay_out(start, end, [("opening", start, start + timedelta(hours=2))], timezone="Asia/Shanghai")
    >>> line.size, int(line.tau[0]), [d.isoformat() for d in line.dates], line.cells[0].opening
    (2880, -1200, ['2026-11-10', '2026-11-11'], True)
    """
    start = pd.Timestamp(starts_at).tz_convert(timezone)
    end = pd.Timestamp(ends_at).tz_convert(timezone)
    spans = [(pd.Timestamp(a).tz_convert(timezone), pd.Timestamp(b).tz_convert(timezone)) for _, a, b in phases]
    first = min([start, *(a for a, _ in spans)]).normalize()
    last = max([end, *(b for _, b in spans)])
    midnight = last.normalize()
    stop = midnight if midnight == last else pd.Timestamp(midnight.date() + timedelta(days=1), tz=timezone)
    moments = pd.date_range(first, stop, freq="min", inclusive="left")
    tau = np.asarray((moments - start) // pd.Timedelta(minutes=1), dtype=np.int64)
    clock = np.asarray(moments.hour * 60 + moments.minute, dtype=np.int64)
    local = moments.tz_localize(None).normalize()
    codes, unique = pd.factorize(local)
    dates = tuple(pd.Timestamp(d).date() for d in unique)
    last_day = (end - pd.Timedelta(seconds=1)).date()
    touched = np.array([start.date() <= d <= last_day for d in dates])
    cells = _cells(spans, moments, np.asarray(codes), np.flatnonzero(tau == 0))
    duration = int((end - start) // pd.Timedelta(minutes=1))
    return Timeline(
        tau, clock, np.asarray(codes, dtype=np.int64), dates, touched, tuple(n for n, _, _ in phases), cells, duration,
        start.to_pydatetime(),
    )  # fmt: skip


def _cells(
    spans: Sequence[tuple[pd.Timestamp, pd.Timestamp]], moments: pd.DatetimeIndex, day: Ints, zero: Ints
) -> tuple[Cell, ...]:
    cells = []
    for phase, (a, b) in enumerate(spans):
        inside = np.flatnonzero((moments >= a.floor("min")) & (moments < b))
        for d in np.unique(day[inside]):
            rows = inside[day[inside] == d]
            opening = bool(zero.size and rows[0] <= zero[0] <= rows[-1])
            cells.append(Cell(phase, int(d), int(rows[0]), int(rows[-1]) + 1, opening))
    return tuple(cells)


def past_minute(tau: Ints, duration_min: int, past_duration_min: int) -> Ints:
    """Map minutes after this promotion's start onto a past one's.

    Starts and ends are aligned; where the durations differ the middle is held (the past one was shorter) or
    cut (it was longer), because what surrounds an opening and a close belongs to them.

    Examples
    --------
    A day of 28 hours onto one of 24: the last hour is the last hour.

    >>> past_minute(np.array([-60, 0, 60, 27 * 60, 28 * 60]), 28 * 60, 24 * 60).tolist()
    [-60, 0, 60, 1380, 1440]
    """
    if duration_min == past_duration_min:
        return np.array(tau)
    edge = min(duration_min, past_duration_min) // 2
    head = np.minimum(tau, edge)
    tail = np.maximum(tau - duration_min, -edge) + past_duration_min
    return np.where(tau <= edge, tau, np.where(tau >= duration_min - edge, tail, head))


def past_day(line: Timeline, day: int, past_start: datetime, past_duration_min: int) -> date:
    """Return the past local date that stands where a day of this promotion stands.

    Counted from the first touched day, and from the last where the durations differ.
    """
    dates = line.dates
    first = int(np.flatnonzero(line.touched)[0])
    n_days = int(line.touched.sum())
    past_end = past_start + timedelta(minutes=past_duration_min) - timedelta(seconds=1)
    past_days = (past_end.date() - past_start.date()).days + 1
    offset = (dates[day] - dates[first]).days
    if offset >= n_days:
        offset += past_days - n_days
    elif offset >= past_days:
        offset = past_days - 1
    return past_start.date() + timedelta(days=offset)
