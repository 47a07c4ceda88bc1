"""Dates turned into regressors: weekdays, place in the year and month, public and lunar holidays."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.errors import InputError, Problem
from capacity.forecast.design import Columns, holiday_columns, season_columns

_NOT_A_DAY = re.compile(r"substituted|day off \(", re.IGNORECASE)


def seasons(dates: pd.DatetimeIndex, n_history: int) -> list[Columns]:
    """Weekly, monthly and yearly regressors of ``dates``."""
    weekday = dates.day_of_week.to_numpy().astype(np.intp)
    month = ((dates.day - 1) / dates.days_in_month).to_numpy(dtype=float)
    return season_columns(weekday, dates.day_of_year.to_numpy(dtype=float), month, n_history)


def a_year_before(dates: pd.DatetimeIndex) -> npt.NDArray[np.intp]:
    """Position of the same date a year before in ``dates`` (days in a row), below 0 before the first.

    Examples
    --------
    >>> int(a_year_before(pd.date_range("2025-11-11", periods=366))[-1])
    0
    """
    return ((dates - pd.DateOffset(years=1)) - dates[0]).days.to_numpy().astype(np.intp)


def country_holidays(country: str, years: Sequence[int]) -> pd.DataFrame:
    """Public holidays of a country as a frame (date, name); days that share a name are one holiday.

    Raises
    ------
    InputError
        The country is not known.

    Examples
    --------
    >>> frame = country_holidays("CN", [2026])
    >>> frame.loc[frame["name"] == "Chinese New Year", "date"].min()
    Timestamp('2026-02-17 00:00:00')
    """
    import holidays

    try:
        calendar = holidays.country_holidays(country, years=list(years), language="en_US")
    except NotImplementedError as error:
        raise InputError(
            f"no holiday calendar for country {country!r}",
            problems=[Problem("country", repr(country), "a two-letter code such as CN or DE")],
            remedy="leave country out to forecast without holidays",
        ) from error
    rows = [
        (pd.Timestamp(day), _plain(part))
        for day, name in sorted(calendar.items())
        for part in str(name).split("; ")
        if not _NOT_A_DAY.search(part)
    ]
    return pd.DataFrame({"date": [day for day, _ in rows], "name": [name for _, name in rows]})


def _plain(name: str) -> str:
    return re.sub(r"\s*\(.*?\)", "", name).strip()


def holiday_frame(holidays: "pd.DataFrame | str | None", dates: pd.DatetimeIndex) -> pd.DataFrame | None:
    """Holidays as a frame (date, name): as given, or of a country; ``None`` for none.

    Raises
    ------
    InputError
        Columns are missing, or the country is not known.
    """
    if holidays is None:
        return None
    if isinstance(holidays, str):
        return country_holidays(holidays, range(int(dates[0].year) - 1, int(dates[-1].year) + 2))
    named = holidays.rename(columns={"holiday": "name"})
    missing = [column for column in ("date", "name") if column not in named.columns]
    if missing:
        raise InputError(
            "holidays lack columns",
            problems=[Problem("holidays", ", ".join(map(str, holidays.columns)), f"a column {c!r}") for c in missing],
        )
    return named


def holiday_regressors(frame: pd.DataFrame | None, dates: pd.DatetimeIndex) -> Columns | None:
    """Holiday columns; those whose date moves by more than eight days between years get wider surroundings."""
    if frame is None or frame.empty:
        return None
    day = (pd.to_datetime(frame["date"]) - dates[0]).dt.days.to_numpy().astype(np.intp)
    names = frame["name"].astype(str).to_numpy()
    days: dict[str, npt.NDArray[np.intp]] = {str(name): np.unique(day[names == name]) for name in np.unique(names)}
    moving = frozenset(name for name, found in days.items() if _moves(found, dates[0]))
    return holiday_columns(days, len(dates), moving)


def _moves(days: npt.NDArray[np.intp], first: pd.Timestamp) -> bool:
    stamps = pd.DatetimeIndex(first + pd.to_timedelta(days, unit="D"))
    by_year = pd.Series(stamps.day_of_year.to_numpy(), index=stamps.year).groupby(level=0).min()
    return bool(len(by_year) > 1 and np.abs(np.diff(by_year)).max() > 8)
