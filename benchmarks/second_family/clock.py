"""A company's own time axis: seconds and days of local time, counted from the first day of its history."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAY_S = 86400
HOUR_S = 3600


@dataclass(frozen=True)
class Clock:
    """Local time without clock changes; every market of the family keeps one offset over the years it is drawn for.

    Parameters
    ----------
    zone
        IANA name.
    offset_s
        Local time minus UTC.
    origin
        Day 0, whose midnight is second 0.

    Examples
    --------
    >>> clock = Clock("Asia/Kolkata", 19800, date(2024, 1, 1))
    >>> clock.second_of("2024-01-02T00:00"), clock.date_of(31).isoformat()
    (86400, '2024-02-01')
    >>> clock.moment(3600).isoformat()
    '2024-01-01T01:00:00+05:30'
    """

    zone: str
    offset_s: int
    origin: date

    def second_of(self, local: str) -> int:
        """Seconds from the origin to a local time in ISO form."""
        since = datetime.fromisoformat(local) - datetime.combine(self.origin, datetime.min.time())
        return round(since.total_seconds())

    def day_of(self, day: date) -> int:
        """Days from the origin."""
        return (day - self.origin).days

    def date_of(self, day: int) -> date:
        """Local date of a day counted from the origin."""
        return self.origin + timedelta(days=int(day))

    def dates(self, days: int) -> pd.DatetimeIndex:
        """Local dates of the first so many days, without a zone."""
        return pd.DatetimeIndex(np.datetime64(self.origin, "us") + np.arange(days) * np.timedelta64(1, "D"))

    def moment(self, second: float) -> datetime:
        """Time, with its offset, so many seconds after the origin."""
        zone = timezone(timedelta(seconds=self.offset_s))
        return datetime.combine(self.origin, datetime.min.time(), tzinfo=zone) + timedelta(seconds=float(second))

    def stamps(self, seconds: NDArray[np.int64]) -> pd.DatetimeIndex:
        """Give the times, in the company's zone, so many seconds after the origin."""
        first = np.datetime64(self.origin, "us") - np.timedelta64(self.offset_s, "s")
        utc = pd.DatetimeIndex(first + seconds.astype("timedelta64[s]").astype("timedelta64[us]"))
        return utc.tz_localize("UTC").tz_convert(self.zone)
