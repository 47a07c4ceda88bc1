"""Daily activity as arrays: one row a segment, the days from the first known one to the eve of the forecast."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.errors import NotCoveredError
from capacity.forecast.calendar import country_holidays
from capacity.forecast.closed import ENDED_DAYS, Closures, ended_series, find_closures, holiday_days

if TYPE_CHECKING:
    from capacity.history import DailyActivity
    from capacity.promotion import Promotion

Floats = npt.NDArray[np.float64]
FEWEST_DAYS = 14  # two of each weekday: less than that is no history
FARTHEST_DAYS = 400
GONE_DAYS = 60  # a segment without users for so long, while others have some, is gone
TOTAL = "total"


@dataclass(frozen=True)
class Activity:
    """DAU and DAT (segments, days), NaN unknown or closed; ``lead`` is the row that effects are read from, or −1.

    ``first`` is day 0, ``as_of`` the first forecast day; ``left_out`` names segments too new or gone, ``ended`` those
    with only zeros of late, with their last day; ``rest`` (2, days) the users and orders of both. ``users`` and
    ``orders`` tell what zeros mean, ``unlikely`` counts zeros that other rows of the same day deny. ``hidden_log`` and
    ``hidden_sd`` (days,): what was added to the log of recorded orders for what limits turned away, and its doubt;
    ``hidden_says`` and ``hidden_assumes`` tell it.
    """

    segments: tuple[str, ...]
    first: np.datetime64
    as_of: date
    dau: Floats
    dat: Floats
    lead: int
    users: Closures
    orders: Closures
    left_out: tuple[str, ...]
    ended: tuple[tuple[str, date], ...]
    rest: Floats
    unlikely: int
    hidden_log: Floats
    hidden_sd: Floats
    hidden_says: tuple[str, ...] = ()
    hidden_assumes: tuple[str, ...] = ()

    @property
    def filled(self) -> Floats:
        """(2, segments, days) users and orders; 0 where closed, NaN unknown."""
        return np.stack([np.where(self.users.closed, 0.0, self.dau), np.where(self.orders.closed, 0.0, self.dat)])

    @property
    def whole(self) -> Floats:
        """(2, days) users and orders of the whole site; 0 where closed, NaN unknown."""
        return self.filled[:, self.lead] if self.lead >= 0 else np.asarray(self.filled.sum(axis=1) + self.rest)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(days,) days of which something is known, if only that they were closed."""
        return np.asarray((np.isfinite(self.dau) | self.users.closed).any(axis=0))

    @property
    def n_history(self) -> int:
        """Days before the first forecast day."""
        return int(self.dau.shape[1])

    def day_of(self, day: date) -> int:
        """Day counted from the first."""
        return int((np.datetime64(day, "D") - self.first) / np.timedelta64(1, "D"))

    def dates(self, horizon: int) -> pd.DatetimeIndex:
        """Dates of history and horizon."""
        return pd.date_range(pd.Timestamp(self.first), periods=self.n_history + horizon, freq="D")


def activity_arrays(daily_activity: "DailyActivity", promotion: "Promotion") -> Activity:
    """Turn daily activity into arrays and refuse what it cannot answer.

    Raises
    ------
    NotCoveredError
        There is hardly any history, the promotion has begun, or lies too far ahead.
    """
    frame, as_of = _known_frame(daily_activity, f"a promotion of the kind {promotion.kind!r}")
    _check_span(promotion, as_of)
    return _arrays(frame, as_of, daily_activity.country)


def daily_arrays(daily_activity: "DailyActivity", *, before: date | None = None) -> Activity:
    """Turn daily activity into arrays: all of it, or what was known when a day began.

    Raises
    ------
    NotCoveredError
        There is hardly any history.
    """
    frame, as_of = _known_frame(daily_activity, "the promotions", before)
    return _arrays(frame, as_of, daily_activity.country)


def _known_frame(daily_activity: "DailyActivity", wanted: str, before: date | None = None) -> tuple[pd.DataFrame, date]:
    """Rows before the first forecast day, and that day; refused when hardly any has users."""
    frame = daily_activity.frame
    as_of = (before or daily_activity.first_forecast_day) if len(frame) else None
    if as_of is None:
        raise _too_few(0, 0, wanted)
    frame = frame[frame["date"] < pd.Timestamp(as_of)]
    users = pd.to_numeric(frame["dau"], errors="coerce").astype(float)
    n_days = int(frame.loc[users > 0, "date"].nunique())
    if n_days < FEWEST_DAYS:
        raise _too_few(n_days, int(frame.loc[users == 0, "date"].nunique()), wanted)
    return frame, as_of


def _too_few(n_days: int, n_zero: int, wanted: str) -> NotCoveredError:
    zeros = f"; {n_zero} more say that nobody came" if n_zero else ""
    return NotCoveredError(
        f"daily activity covers {n_days} day{'s' * (n_days != 1)} before the forecast, too few to learn from{zeros}",
        remedy=f"ingest at least {FEWEST_DAYS} days of daily_activity, better two years with {wanted}",
    )


def _arrays(frame: pd.DataFrame, as_of: date, country: str | None) -> Activity:
    segments, first, (dau, dat) = _table(frame, as_of)
    lead = segments.index(TOTAL) if TOTAL in segments else -1
    dates = pd.date_range(first, periods=dau.shape[1], freq="D")
    # Orders without users, or segments with users and a total without: these zeros are lost counts.
    denied = (dau == 0) & (dat > 0)
    if lead >= 0:
        denied[lead] |= (dau[lead] == 0) & (dau > 0).any(axis=0)
        lost = (dat[lead] == 0) & (dat > 0).any(axis=0)
        dat[lead, lost] = np.nan
    dau[denied] = np.nan
    ended = _ended(dau, lead)
    known = country_holidays(country, range(dates[0].year, dates[-1].year + 1)) if country else None
    calendar = dates.day_of_week.to_numpy().astype(np.intp), holiday_days(dates, known)
    users, orders = find_closures(dau, *calendar), find_closures(dat, *calendar)
    dau, dat = np.where(users.closed, np.nan, dau), np.where(orders.closed, np.nan, dat)
    recent = np.isfinite(dau[:, -GONE_DAYS:]).any(axis=1)
    used = (np.isfinite(dau).sum(axis=1) >= FEWEST_DAYS) & (recent | ~recent.any()) & (ended < 0)
    if not used.any() or not (np.isfinite(dat[used]).sum(axis=1) >= FEWEST_DAYS).any():
        raise NotCoveredError(
            f"no segment has {FEWEST_DAYS} days with both users and orders",
            remedy="ingest daily_activity with dau and dat for the same segments over some weeks",
        )
    names = tuple(name for name, use in zip(segments, used, strict=True) if use)
    return Activity(
        names,
        first.to_datetime64().astype("datetime64[D]"),
        as_of,
        dau[used],
        dat[used],
        names.index(TOTAL) if TOTAL in names else -1,
        users.of(used),
        orders.of(used),
        tuple(name for name, use, day in zip(segments, used, ended, strict=True) if not use and day < 0),
        tuple((name, dates[day].date()) for name, day in zip(segments, ended, strict=True) if day >= 0),
        np.stack([np.nansum(dau[~used], axis=0), np.nansum(dat[~used], axis=0)]),
        int(denied.sum()),
        np.zeros(dau.shape[1]),
        np.zeros(dau.shape[1]),
    )


def _table(frame: pd.DataFrame, as_of: date) -> tuple[tuple[str, ...], pd.Timestamp, list[Floats]]:
    """Segments, the first day with users, and DAU and DAT (segments, days) as recorded."""
    volume = pd.to_numeric(frame["dau"], errors="coerce").fillna(0) > 0
    first = frame.loc[volume, "date"].min()
    segments = tuple(str(name) for name in sorted(frame["segment"].unique(), key=lambda name: (name != TOTAL, name)))
    n_history = (pd.Timestamp(as_of) - first).days
    row = pd.Index(segments, dtype=object).get_indexer(pd.Index(frame["segment"].astype(str), dtype=object))
    column = (frame["date"] - first).dt.days.to_numpy()
    keep = column >= 0
    arrays = []
    for metric in ("dau", "dat"):
        values = np.full((len(segments), n_history), np.nan)
        values[row[keep], column[keep]] = pd.to_numeric(frame[metric], errors="coerce").to_numpy(
            dtype=float, na_value=np.nan
        )[keep]
        arrays.append(values)
    return segments, first, arrays


def _ended(dau: Floats, lead: int) -> npt.NDArray[np.intp]:
    """(segments,) last day of segments that ended while others went on; else −1. The whole never ends."""
    ended = ended_series(dau)
    if lead >= 0:
        ended[lead] = -1
    others = np.delete(np.arange(len(dau)), lead) if lead >= 0 else np.arange(len(dau))
    # When all stop at once it is the logs, or the whole shop that pauses: that is not forecast as the end.
    return ended if (ended[others] < 0).any() or (lead >= 0 and _lives(dau[lead])) else np.full(len(dau), -1)


def _lives(values: Floats) -> bool:
    return bool((values[-ENDED_DAYS:] > 0).any())


def _check_span(promotion: "Promotion", as_of: date) -> None:
    begins = promotion.dates[0]
    if begins < as_of:
        raise NotCoveredError(
            f"promotion {promotion.id!r} begins on {begins}, before the first forecast day {as_of}",
            remedy=f"pass --as-of {begins} or an earlier day to forecast it from what was known then",
        )
    ahead = (promotion.dates[-1] - as_of).days
    if ahead > FARTHEST_DAYS:
        raise NotCoveredError(
            f"promotion {promotion.id!r} lies {ahead} days after the history's end ({as_of})",
            remedy=f"forecast at most {FARTHEST_DAYS} days ahead: ingest newer daily_activity",
        )


def lead_effect(effects: Floats, activity: Activity) -> Floats:
    """(days,) effect of the whole: the total's where there is one, else the segments' mean by volume."""
    if activity.lead >= 0:
        return np.asarray(effects[activity.lead])
    weight = np.nanmedian(activity.dau, axis=1)[:, None] * np.isfinite(effects)
    total = weight.sum(axis=0)
    return np.asarray(np.where(total > 0, np.nansum(effects * weight, axis=0) / np.where(total > 0, total, 1), np.nan))


def largest(values: Floats, days: Sequence[int]) -> float | None:
    """Largest of the whole site's ``values`` (days,) on some days; ``None`` when one is unknown.

    Examples
    --------
    >>> largest(np.array([1.0, 3.0, np.nan]), [0, 1]), largest(np.array([1.0, 3.0]), [1, 2])
    (3.0, None)
    """
    if not days or min(days) < 0 or max(days) >= len(values):
        return None
    found = values[list(days)]
    return float(found.max()) if np.isfinite(found).all() else None
