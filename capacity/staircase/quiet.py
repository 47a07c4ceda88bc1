"""When to test: the quietest hours of a service's week and of all that it calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
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

_HOUR = timedelta(hours=1)


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

    def touches(self, spans: Sequence[tuple[datetime, datetime]]) -> bool:
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
    taken: Sequence[tuple[datetime, datetime]] = (),
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
    starts = _hours_between(earliest.astimezone(zone), latest.astimezone(zone))
    free = [
        at for at in starts if at + hours * _HOUR <= latest and not Window(at, at + hours * _HOUR, None).touches(taken)
    ]
    if not free:
        return None
    share = week.business(path)
    if share is None:
        # Nothing tells when it is quiet: the night is where it usually is.
        nights = [at for at in free if at.astimezone(zone).hour == 3]
        return _window((nights or free)[0], hours, None, zone)
    busiest = np.array([max(share[_hour_of_week(at + k * _HOUR, zone)] for k in range(hours)) for at in free])
    best = int(np.flatnonzero(busiest <= busiest.min() + AS_GOOD)[0])
    # Within one stretch of about equal hours the quietest one costs nothing: it is the same night.
    near = [k for k in range(best, len(free)) if free[k] - free[best] < timedelta(hours=12)]
    best = min(near, key=lambda k: (busiest[k], k))
    return _window(free[best], hours, float(busiest[best]), zone)


def _window(at: datetime, hours: int, business: float | None, zone: ZoneInfo) -> Window:
    return Window(at.astimezone(zone), (at + hours * _HOUR).astimezone(zone), business)


def _hours_between(earliest: datetime, latest: datetime) -> list[datetime]:
    # Counted in UTC: an hour that the clock skips or repeats is no trap there.
    utc = ZoneInfo("UTC")
    at = earliest.astimezone(utc)
    if at.minute or at.second or at.microsecond:
        at = at.replace(minute=0, second=0, microsecond=0) + _HOUR
    count = max(int((latest.astimezone(utc) - at) / _HOUR), 0)
    return [at + k * _HOUR for k in range(min(count, 24 * 400))]


def _hour_of_week(at: datetime, zone: ZoneInfo) -> int:
    local = at.astimezone(zone)
    return local.weekday() * 24 + local.hour
