"""Promotions of eight markets, every year's start and end.

Dates are those announced (Tmall, Shopee, Lazada, Flipkart, Rakuten, Black Friday in Brazil and the Gulf) or follow the
announced rule; later years follow the pattern of the last ones. `README.md` beside this file says what is published.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

YEARS = range(2020, 2028)
Dates = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Kind:
    """Promotions that are comparable with each other.

    Parameters
    ----------
    name
        As written in `promotions.yaml`.
    strength
        Relative to the market's largest.
    script
        ``evening`` (opens at 20:00 before the main day), ``flash`` (midnight to midnight), ``festival`` (days that
        tire, with a last rush), ``two-wave`` (a long one that opens twice), ``quiet`` (no opening instant).
    dates
        Local start and end of every occurrence.
    """

    name: str
    strength: float
    script: str
    dates: Dates


def _yearly(starts: str, ends: str) -> Dates:
    """Give the same local times every year."""
    return tuple((f"{year}-{starts}", f"{year}-{ends}") for year in YEARS)


def _by_day(rule: Callable[[int], date], *, before_h: int, lasts_h: int) -> Dates:
    """Give occurrences that begin `before_h` hours before the midnight of a movable day."""
    found = []
    for year in YEARS:
        day = rule(year)
        start = timedelta(hours=-before_h)
        first = _local(day, start)
        found.append((first, _local(day, start + timedelta(hours=lasts_h))))
    return tuple(found)


def _local(day: date, since: timedelta) -> str:
    hours = round(since.total_seconds() / 3600)
    return f"{day + timedelta(days=hours // 24)}T{hours % 24:02d}:00"


def black_friday(year: int) -> date:
    """Friday after the fourth Thursday of November.

    Examples
    --------
    >>> black_friday(2024).isoformat(), black_friday(2025).isoformat()
    ('2024-11-29', '2025-11-28')
    """
    first = date(year, 11, 1)
    return first + timedelta(days=(3 - first.weekday()) % 7 + 22)


def mothers_day(year: int) -> date:
    """Second Sunday of May."""
    first = date(year, 5, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7)


_RAMADAN = {
    2020: date(2020, 4, 24), 2021: date(2021, 4, 13), 2022: date(2022, 4, 2), 2023: date(2023, 3, 23),
    2024: date(2024, 3, 11), 2025: date(2025, 3, 1), 2026: date(2026, 2, 18), 2027: date(2027, 2, 8),
}  # fmt: skip

_EVENING_11 = _yearly("11-10T20:00", "11-12T00:00")
_EVENING_618 = _yearly("06-17T20:00", "06-19T00:00")
_LONG_618 = _yearly("06-15T20:00", "06-19T00:00")

CHINA_EVENING = (
    Kind("double11", 1.0, "evening", (("2020-11-11T00:00", "2020-11-12T00:00"), *_EVENING_11[1:])),
    Kind("618", 0.7, "evening", (*_yearly("06-18T00:00", "06-19T00:00")[:2], *_EVENING_618[2:])),
    # Dropped by the largest platform after 2022: a kind without a future.
    Kind("double12", 0.45, "flash", _yearly("12-12T00:00", "12-13T00:00")[:3]),
    Kind("goddess-day", 0.35, "evening", _yearly("03-07T20:00", "03-09T00:00")),
)  # fmt: skip
CHINA_TWO_WAVE = (
    Kind("double11", 1.0, "two-wave", (
        ("2020-11-01T00:00", "2020-11-12T00:00"), *_yearly("10-31T20:00", "11-12T00:00")[1:4],
        *_yearly("10-29T20:00", "11-12T00:00")[4:],  # earlier from 2024 on
    )),
    Kind("618", 0.75, "festival", (*_yearly("06-15T00:00", "06-19T00:00")[:2], *_LONG_618[2:])),
    Kind("new-year-goods", 0.4, "festival", (
        ("2021-01-20T00:00", "2021-01-24T00:00"), ("2022-01-09T20:00", "2022-01-13T00:00"),
        ("2022-12-25T20:00", "2022-12-29T00:00"), ("2024-01-18T20:00", "2024-01-22T00:00"),
        ("2025-01-07T20:00", "2025-01-11T00:00"), ("2026-01-26T20:00", "2026-01-30T00:00"),
    )),
)  # fmt: skip
DOUBLE_DATES = (
    Kind("11.11", 1.0, "flash", _yearly("11-11T00:00", "11-12T00:00")),
    Kind("12.12", 0.85, "flash", _yearly("12-12T00:00", "12-13T00:00")),
    Kind("9.9", 0.7, "flash", _yearly("09-09T00:00", "09-10T00:00")),
    Kind("10.10", 0.5, "flash", _yearly("10-10T00:00", "10-11T00:00")),
    Kind("payday-sale", 0.12, "quiet", tuple(
        (f"{year}-{month:02d}-25T00:00", f"{year}-{month:02d}-28T00:00") for year in YEARS for month in range(1, 9)
    )),
)  # fmt: skip
INDIA = (
    Kind("big-days", 1.0, "festival", (
        ("2020-10-16T00:00", "2020-10-22T00:00"), ("2021-10-03T00:00", "2021-10-11T00:00"),
        ("2022-09-23T00:00", "2022-10-01T00:00"), ("2023-10-08T00:00", "2023-10-16T00:00"),
        ("2024-09-27T00:00", "2024-10-05T00:00"), ("2025-09-23T00:00", "2025-10-01T00:00"),
        ("2026-10-09T00:00", "2026-10-17T00:00"),
    )),
    Kind("republic-sale", 0.5, "festival", _yearly("01-14T00:00", "01-19T00:00")),
    Kind("freedom-sale", 0.45, "festival", _yearly("08-06T00:00", "08-11T00:00")),
)  # fmt: skip
BRAZIL = (
    Kind("black-friday", 1.0, "evening", _by_day(black_friday, before_h=4, lasts_h=28)),
    Kind("consumer-day", 0.4, "flash", _yearly("03-15T00:00", "03-16T00:00")),
    Kind("mothers-day", 0.3, "festival", _by_day(mothers_day, before_h=96, lasts_h=96)),
)
GULF = (
    Kind("white-friday", 1.0, "festival", _by_day(black_friday, before_h=0, lasts_h=96)),
    Kind("ramadan-sale", 0.6, "festival", _by_day(lambda year: _RAMADAN[year], before_h=4, lasts_h=100)),
    Kind("summer-sale", 0.35, "evening", _yearly("07-09T20:00", "07-11T00:00")),
)
JAPAN = (
    Kind("super-sale", 1.0, "festival", tuple(
        (f"{year}-{month:02d}-04T20:00", f"{year}-{month:02d}-11T02:00") for year in YEARS for month in (3, 6, 9, 12)
    )),
    Kind("marathon", 0.4, "festival", tuple(
        (f"{year}-{month:02d}-09T20:00", f"{year}-{month:02d}-16T02:00") for year in YEARS for month in (1, 5, 7, 10)
    )),
)  # fmt: skip
