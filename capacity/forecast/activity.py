"""Daily activity as arrays: one row a segment, the days from the first known one to the eve of the forecast."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.errors import NotCoveredError

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
    """DAU and DAT (segments, days), NaN unknown; ``lead`` is the row that promotions' effects are read from, or −1.

    ``first`` is day 0, ``as_of`` the first forecast day; ``left_out`` names segments too new or gone.
    """

    segments: tuple[str, ...]
    first: np.datetime64
    as_of: date
    dau: Floats
    dat: Floats
    lead: int
    left_out: tuple[str, ...] = ()

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


def activity_arrays(daily_activity: "DailyActivity", promotion: "Promotion", hidden: pd.DataFrame | None) -> Activity:
    """Turn daily activity into arrays and refuse what it cannot answer.

    Raises
    ------
    NotCoveredError
        There is hardly any history, the promotion has begun, or lies too far ahead.
    """
    frame, n_days, as_of = _known_frame(daily_activity)
    if as_of is None or n_days < FEWEST_DAYS:
        raise _too_few(n_days, f"a promotion of the kind {promotion.kind!r}")
    _check_span(promotion, as_of)
    activity = _arrays(frame, as_of)
    return activity if hidden is None else _with_hidden(activity, hidden)


def _known_frame(daily_activity: "DailyActivity") -> tuple[pd.DataFrame, int, date | None]:
    """Rows before the first forecast day, how many days have users, and that day."""
    frame = daily_activity.frame
    if not len(frame):
        return frame, 0, None
    as_of = daily_activity.first_forecast_day
    if as_of is None:
        return frame, 0, None
    frame = frame[frame["date"] < pd.Timestamp(as_of)]
    volume = pd.to_numeric(frame["dau"], errors="coerce").fillna(0) > 0
    return frame, int(frame.loc[volume, "date"].nunique()), as_of


def _too_few(n_days: int, wanted: str) -> NotCoveredError:
    return NotCoveredError(
        f"daily activity covers {n_days} day{'s' * (n_days != 1)} before the forecast, too few to learn from",
        remedy=f"ingest at least {FEWEST_DAYS} days of daily_activity, better two years with {wanted}",
    )


def daily_arrays(daily_activity: "DailyActivity") -> Activity:
    """Turn all of daily activity into arrays.

    Raises
    ------
    NotCoveredError
        There is hardly any history.
    """
    frame, n_days, as_of = _known_frame(daily_activity)
    if as_of is None or n_days < FEWEST_DAYS:
        raise _too_few(n_days, "the promotions")
    return _arrays(frame, as_of)


def _arrays(frame: pd.DataFrame, as_of: date) -> Activity:
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
        # Nobody at all on a day is a day without logs: an unknown day, not an empty shop.
        arrays.append(np.where(values > 0, values, np.nan))
    dau, dat = arrays
    recent = np.isfinite(dau[:, -GONE_DAYS:]).any(axis=1)
    used = (np.isfinite(dau).sum(axis=1) >= FEWEST_DAYS) & (recent | ~recent.any())
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
        tuple(name for name in segments if name not in names),
    )


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


def _with_hidden(activity: Activity, hidden: pd.DataFrame) -> Activity:
    """Add the orders that limits turned away (date, dat) to every segment, in proportion to what it counted."""
    dat = activity.dat.copy()
    total = dat[activity.lead] if activity.lead >= 0 else np.nansum(dat, axis=0)
    column = (pd.to_datetime(hidden["date"]) - pd.Timestamp(activity.first)).dt.days.to_numpy()
    lost = pd.to_numeric(hidden["dat"]).to_numpy(dtype=float)
    for day, orders in zip(column, lost, strict=True):
        if 0 <= day < activity.n_history and np.isfinite(total[day]) and orders > 0:
            dat[:, day] *= 1 + orders / total[day]
    return replace(activity, dat=dat)


def lead_effect(effects: Floats, activity: Activity) -> Floats:
    """(days,) effect of the whole: the total's where there is one, else the segments' mean by volume."""
    if activity.lead >= 0:
        return np.asarray(effects[activity.lead])
    weight = np.nanmedian(activity.dau, axis=1)[:, None] * np.isfinite(effects)
    total = weight.sum(axis=0)
    return np.asarray(np.where(total > 0, np.nansum(effects * weight, axis=0) / np.where(total > 0, total, 1), np.nan))


def largest(values: Floats, days: Sequence[int], activity: Activity) -> float | None:
    """Largest known whole-site value on some days of history; ``None`` when one is unknown."""
    inside = [day for day in days if 0 <= day < activity.n_history]
    if len(inside) < len(days) or not inside:
        return None
    rows = values[activity.lead, inside] if activity.lead >= 0 else values[:, inside].sum(axis=0)
    return float(rows.max()) if np.isfinite(rows).all() else None
