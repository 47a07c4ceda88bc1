"""The two targets of an interval, its requests and its peak second, followed over a history."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.forecast.calendar import holiday_frame
from capacity.peaks.intraday.counts import choose_curvature, gather, spread
from capacity.peaks.intraday.daily import DailyRolling, roll_days
from capacity.peaks.intraday.grid import Grid
from capacity.peaks.intraday.outlook import Outlook, look_ahead
from capacity.peaks.intraday.shape import Floats, Ints
from capacity.peaks.intraday.track import FIRST_DAYS, refit_days
from capacity.peaks.intraday.uncertainty import at_probability, score_under

_KNOWN_PART = 0.25  # of a week's intervals with their peak second known: then peaks are followed on their own


@dataclass(frozen=True)
class Target:
    """One target of some series, and what is made of it.

    Attributes
    ----------
    rows : ndarray of int, shape (followed,)
        The series of the grid that it is followed for.
    even : ndarray, shape (followed, day, slot)
        On the even scale.
    curvature : ndarray, shape (followed, 1)
    outlook : Outlook
    """

    rows: Ints
    even: Floats
    curvature: Floats
    outlook: Outlook

    def counts(self, even: Floats) -> Floats:
        """Return counts of values whose first axis is the series."""
        return gather(even, self.curvature.reshape((-1,) + (1,) * (even.ndim - 1)))

    def days(self, leads: int) -> DailyRolling:
        """Roll the daily peaks."""
        return roll_days(self.outlook, self.even, leads=leads)


def follow_target(
    values: Floats, rows: Ints, weekday: Ints, holiday: NDArray[np.bool_], *, longest: int, bursts: bool
) -> Target:
    """Follow a target (series, day, slot) for some series."""
    chosen = values[rows]
    # The scale is chosen by the first days alone: a forecast as of a past day must not change with what follows.
    days = max(refit_days(values.shape[1])[:1] or [1])
    curvature = choose_curvature(chosen[:, :days].reshape(rows.size, -1))
    even = spread(chosen, curvature[:, :, None])
    outlook = look_ahead(even, weekday, holiday, longest=longest, bursts=bursts)
    return Target(rows, even, curvature, outlook)


def followed_peaks(grid: Grid) -> Ints:
    """Series with enough known peak seconds to be followed on their own."""
    known = np.isfinite(grid.peaks).sum((1, 2))
    return np.flatnonzero(known >= _KNOWN_PART * min(FIRST_DAYS, grid.n_days) * grid.n_slots)


def calendar(grid: Grid, holidays: pd.DataFrame | str | None, extra: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Weekday and whether a holiday, of each day of the grid and so many more."""
    dates = grid.dates(extra)
    weekday = dates.day_of_week.to_numpy().astype(np.int64)
    frame = holiday_frame(holidays, dates)
    if frame is None or frame.empty:
        return weekday, np.zeros(len(dates), dtype=bool)
    return weekday, np.asarray(dates.isin(pd.DatetimeIndex(pd.to_datetime(frame["date"])).normalize()))


def roll_next(target: Target, wanted: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Every interval as forecast from its own start.

    Returns
    -------
    quantiles : ndarray, shape (quantile, followed, interval)
        Counts; NaN before the first rules were learnt.
    scores : ndarray, shape (followed, interval)
        Normal scores of what came.
    """
    n_series, n_days, n_slots = target.even.shape
    out = np.full((len(wanted), n_series, n_days * n_slots), np.nan)
    scores = np.full((n_series, n_days * n_slots), np.nan)
    flat = target.even.reshape(n_series, -1)
    for era, (first, stop) in enumerate(target.outlook.spans):
        for day in range(first, stop):
            origin = np.arange(day * n_slots, (day + 1) * n_slots)
            quantiles = target.outlook.next(era, origin)
            for k, q in enumerate(wanted):
                out[k][:, origin] = target.counts(at_probability(quantiles, q))
            came = flat[:, origin]
            scores[:, origin] = np.where(np.isfinite(came), score_under(quantiles, came), np.nan)
    return out, scores


def together(left: Floats, right: Floats) -> float:
    """Correlation of two targets' scores of the same intervals, shrunk to a half by twenty intervals."""
    known = np.isfinite(left) & np.isfinite(right)
    if known.sum() < 3:
        return 0.5
    a, b = np.clip(left[known], -3, 3), np.clip(right[known], -3, 3)
    own = float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-9))
    return float(np.clip((known.sum() * own + 20 * 0.5) / (known.sum() + 20), 0.0, 0.99))
