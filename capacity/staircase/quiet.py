"""When to test: the quietest hours of a service's week and of all that it calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from capacity.history import Traffic

HOURS_OF_WEEK = 168
WEEKS = 4
"""An ordinary week is the median of so many: a promotion or a past load test among them weighs little."""

NOTICE = timedelta(days=1)
"""Nobody is told on the day itself."""

BESIDES_S = 900.0
"""Kept beside the steps of a test, to begin, to let queues drain and to look at what was seen."""

AS_GOOD = 0.10
"""Of two windows whose busiest hours differ by less than a tenth of the week's, the earlier one is taken."""

_MOST_HOURS = 24 * 400
_USUAL_NIGHT = 3
_SAME_NIGHT_S = 12 * 3600.0

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Week:
    """How busy each hour of an ordinary week is.

    Parameters
    ----------
    qps
        Mean requests/s by service (row) and local hour of the week from Monday 00:00 on, NaN where unknown.
    services
        Names of the rows.
    timezone
        Whose hours they are.
    """

    services: tuple[str, ...]
    qps: NDArray[np.float64]
    timezone: str

    def of(self, service: str) -> NDArray[np.float64] | None:
        """Requests/s by hour of one service, None where its history does not tell."""
        if service not in self.services:
            return None
        row = self.qps[self.services.index(service)]
        return None if np.isnan(row).all() or np.nanmax(row) <= 0 else row

    def business(self, services: Sequence[str]) -> NDArray[np.float64] | None:
        """Share of its own busiest hour that the busiest of some services has, by hour of the week.

        Hours of which nothing is known count as the busiest.
        """
        known = [row for name in services if (row := self.of(name)) is not None]
        if not known:
            return None
        rows = np.array(known)
        shares = rows / np.nanmax(rows, axis=1, keepdims=True)
        return np.asarray(np.nan_to_num(shares, nan=1.0).max(axis=0))


@dataclass(frozen=True)
class Window:
    """When a test may run.

    Parameters
    ----------
    starts_at, ends_at
        In the workspace's zone.
    business
        Share of its week's busiest hour that the busiest service on the path then has; None where no traffic tells.
    """

    starts_at: datetime
    ends_at: datetime
    business: float | None

    def touches(self, spans: Sequence[Span]) -> bool:
        """Whether it overlaps any of some spans."""
        return any(self.starts_at < end and start < self.ends_at for start, end in spans)


def typical_week(traffic: Traffic, *, before: date) -> Week:
    """Return the ordinary week before a day, from sums by hour over four weeks.

    Parameters
    ----------
    traffic
        Its zone says whose hours count.
    before
        The first day that is not used.
    """
    zone = ZoneInfo(traffic.timezone)
    first = datetime.combine(before - timedelta(weeks=WEEKS), datetime.min.time(), tzinfo=zone)
    start_s = int(first.timestamp())
    starts = start_s + 3600 * np.arange(WEEKS * HOURS_OF_WEEK, dtype=np.int64)
    sums = traffic.sums(pd.DataFrame({"start_s": starts, "end_s": starts + 3600}))
    services = tuple(sorted({str(name) for name in sums["service"]}))
    local = pd.to_datetime(sums["start_s"], unit="s", utc=True).dt.tz_convert(traffic.timezone)
    sums = sums.assign(hour=local.dt.day_of_week * 24 + local.dt.hour, qps=sums["requests"] / sums["covered_s"])
    table = sums.pivot_table(index="service", columns="hour", values="qps", aggfunc="median")
    table = table.reindex(index=list(services), columns=range(HOURS_OF_WEEK))
    return Week(services, table.to_numpy(dtype=float), traffic.timezone)


def find_window(
    week: Week,
    path: Sequence[str],
    *,
    duration_s: float,
    earliest: datetime,
    latest: datetime,
    taken: Sequence[Span] = (),
) -> Window | None:
    """Find the quietest window that is long enough; of windows about as quiet, the earliest.

    Parameters
    ----------
    week
        The ordinary week.
    path
        The service and all that it calls: the busiest of them decides.
    duration_s
        Of the test.
    earliest, latest
        Aware; the window begins and ends between them.
    taken
        Spans that it must not touch: freezes, promotions, other tests.

    Returns
    -------
    Window or None
        None where nothing is free.
    """
    zone = ZoneInfo(week.timezone)
    hours = max(math.ceil((duration_s + BESIDES_S) / 3600.0), 1)
    # Counted in seconds: an hour that the clock skips or repeats is no trap there. Local hours may begin at half past.
    part_s = int((earliest.astimezone(zone).utcoffset() or timedelta()).total_seconds()) % 3600
    first_s, end_s = math.ceil((earliest.timestamp() + part_s) / 3600.0) * 3600 - part_s, latest.timestamp()
    slots = np.arange(first_s, min(end_s, first_s + 3600.0 * _MOST_HOURS), 3600.0)
    free = _free(slots, hours, end_s, taken)
    if not len(free):
        return None
    local = pd.to_datetime(slots, unit="s", utc=True).tz_convert(week.timezone)
    share = week.business(path)
    if share is None:
        # Nothing tells when it is quiet: the night is where it usually is.
        night = free[local[free].hour == _USUAL_NIGHT]
        return _window(slots[(night if len(night) else free)[0]], hours, None, zone)
    of_week = share[local.day_of_week.to_numpy() * 24 + local.hour.to_numpy()]
    busiest = sliding_window_view(of_week, hours).max(axis=1)[free]
    first = int(np.flatnonzero(busiest <= busiest.min() + AS_GOOD)[0])
    # Within the same night the quietest hour costs nothing.
    near = (slots[free] >= slots[free[first]]) & (slots[free] < slots[free[first]] + _SAME_NIGHT_S)
    best = int(np.argmin(np.where(near, busiest, np.inf)))
    return _window(slots[free[best]], hours, float(busiest[best]), zone)


def _free(slots: NDArray[np.float64], hours: int, end_s: float, taken: Sequence[Span]) -> NDArray[np.intp]:
    """Places of the hours at which a window of some hours may begin."""
    if len(slots) < hours:
        return np.zeros(0, dtype=np.intp)
    blocked = slots + 3600.0 > end_s
    for start, end in taken:
        blocked |= (slots < end.timestamp()) & (slots + 3600.0 > start.timestamp())
    return np.flatnonzero(~sliding_window_view(blocked, hours).any(axis=1))


def _window(start_s: float, hours: int, business: float | None, zone: ZoneInfo) -> Window:
    start = datetime.fromtimestamp(float(start_s), zone)
    return Window(start, datetime.fromtimestamp(float(start_s) + 3600.0 * hours, zone), business)
