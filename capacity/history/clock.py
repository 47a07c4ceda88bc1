"""Local time and UTC: a zone's offset changes as numbers, so that any engine can compute with them.

Engines disagree on time zones; a zone's offset within the span of the data is a step function with a step or
two a year. It is read once from the IANA database and enters queries as a CASE over seconds.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from capacity.errors import InputError, did_you_mean

DAY_S = 86_400
# Well beyond any zone's offset or change (26 h between the extremes).
_MARGIN_S = 2 * DAY_S


@dataclass(frozen=True)
class Change:
    """One change of a zone's offset.

    Parameters
    ----------
    at_s
        The instant, in seconds since 1970 UTC.
    before_s, after_s
        Offset from UTC in seconds.
    """

    at_s: int
    before_s: int
    after_s: int

    @property
    def wall(self) -> tuple[int, int]:
        """First and last-plus-one wall second that does not exist (clock forward) or comes twice (backward)."""
        return (self.at_s + min(self.before_s, self.after_s), self.at_s + max(self.before_s, self.after_s))

    @property
    def repeats(self) -> bool:
        """Whether wall times come twice."""
        return self.after_s < self.before_s


@dataclass(frozen=True)
class Clock:
    """A zone's offset over a span of time.

    Parameters
    ----------
    timezone
        IANA name.
    first_offset_s
        Offset before the first change.
    changes
        In time order.

    Examples
    --------
    >>> new_year = datetime(2026, 1, 1, tzinfo=UTC)
    >>> clock = read_clock("Europe/London", first=new_year, last=new_year + timedelta(days=360))
    >>> [(c.before_s, c.after_s) for c in clock.changes]
    [(0, 3600), (3600, 0)]
    """

    timezone: str
    first_offset_s: int
    changes: tuple[Change, ...]

    def offset_sql(self, seconds: str) -> str:
        """Return SQL for the offset at UTC `seconds` (an SQL expression)."""
        return _cases(seconds, [(c.at_s, c.before_s) for c in self.changes], self._last)

    def wall_offset_sql(self, seconds: str) -> str:
        """Return SQL for the offset at wall `seconds`; of a wall time that comes twice, the first."""
        return _cases(seconds, [(c.at_s + c.before_s, c.before_s) for c in self.changes], self._last)

    def second_offset_sql(self, seconds: str) -> str:
        """Return SQL for the offset when a wall time comes the second time; NULL where it comes once."""
        return _inside(seconds, [(*c.wall, str(c.after_s)) for c in self.changes if c.repeats])

    def missing_sql(self, seconds: str) -> str:
        """Return SQL that is TRUE where a wall time does not exist."""
        return f"coalesce({_inside(seconds, [(*c.wall, 'TRUE') for c in self.changes if not c.repeats])}, FALSE)"

    def offset(self, seconds: Any) -> Any:
        """Return the Ibis expression of the offset at UTC `seconds` (an Ibis integer)."""
        import ibis

        if not self.changes:
            return ibis.literal(self.first_offset_s, type="int64")
        branches = [(seconds < c.at_s, ibis.literal(c.before_s, type="int64")) for c in self.changes]
        return ibis.cases(*branches, else_=ibis.literal(self._last, type="int64"))

    @property
    def _last(self) -> int:
        return self.changes[-1].after_s if self.changes else self.first_offset_s


def read_clock(timezone: str, *, first: datetime, last: datetime) -> Clock:
    """Read a zone's offset changes between two instants.

    Parameters
    ----------
    timezone
        IANA name.
    first, last
        Aware; a margin of two days on both sides is added.

    Raises
    ------
    InputError
        If the zone is unknown.
    """
    zone = read_zone(timezone)
    start, stop = int(first.timestamp()) - _MARGIN_S, int(last.timestamp()) + _MARGIN_S
    changes = []
    here, before = start, _offset_s(zone, start)
    initial = before
    while here < stop:
        there = min(here + DAY_S // 2, stop)
        after = _offset_s(zone, there)
        if after != before:
            changes.append(Change(_bisect(zone, here, there, before), before, after))
        here, before = there, after
    return Clock(timezone, initial, tuple(changes))


def read_zone(timezone: str) -> ZoneInfo:
    """Return the zone of an IANA name.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> read_zone("Asia/Shanghai").key
    'Asia/Shanghai'
    """
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        from zoneinfo import available_timezones

        hint = did_you_mean(timezone, sorted(available_timezones()))
        raise InputError(
            f"time zone: got {timezone!r}, expected an IANA name such as 'Asia/Shanghai'", remedy=hint
        ) from None


def start_of_day(day: date, timezone: str) -> datetime:
    """Return the first instant of a local day, in UTC.

    Examples
    --------
    >>> start_of_day(date(2026, 11, 11), "Asia/Shanghai").isoformat()
    '2026-11-10T16:00:00+00:00'
    """
    zone = read_zone(timezone)
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    back = midnight.astimezone(UTC).astimezone(zone)
    if back.replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return midnight.astimezone(UTC)
    # The clock skips midnight: the day begins when the skipping does.
    at = int(midnight.astimezone(UTC).timestamp())
    here = _offset_s(zone, at - DAY_S // 2)
    return datetime.fromtimestamp(_bisect(zone, at - DAY_S // 2, at + DAY_S // 2, here), UTC)


def day_lengths_s(days: "NDArray[np.datetime64]", timezone: str) -> NDArray[np.int64]:
    """Lengths of local days in seconds: 86,400 but on clock changes.

    Examples
    --------
    >>> day_lengths_s(np.array(["2026-03-28", "2026-03-29"], "datetime64[D]"), "Europe/London")
    array([86400, 82800])
    """
    unique, inverse = np.unique(days.astype("datetime64[D]"), return_inverse=True)
    lengths = [
        (start_of_day(d + timedelta(days=1), timezone) - start_of_day(d, timezone)).total_seconds()
        for d in unique.tolist()
    ]
    return np.asarray(lengths, dtype=np.int64)[inverse]


def _offset_s(zone: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _bisect(zone: ZoneInfo, low: int, high: int, before: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_s(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _cases(seconds: str, branches: list[tuple[int, int]], last: int) -> str:
    if not branches:
        return str(last)
    whens = " ".join(f"WHEN {seconds} < {until} THEN {value}" for until, value in branches)
    return f"CASE {whens} ELSE {last} END"


def _inside(seconds: str, spans: list[tuple[int, int, str]]) -> str:
    if not spans:
        return "NULL"
    whens = " ".join(f"WHEN {seconds} >= {low} AND {seconds} < {high} THEN {value}" for low, high, value in spans)
    return f"CASE {whens} END"
