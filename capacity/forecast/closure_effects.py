"""Days beside closures: people come the day before or after instead, to a shop that shuts alone or to all that shut."""

import numpy as np
import numpy.typing as npt

from capacity.forecast.design import HOLIDAY_SD, Columns

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_PLACES = (-2, -1, 0, 1, 2)  # days about a common closure; at 0 those that stay open


def unusual_closures(closed: Bools, weekday: npt.NDArray[np.intp]) -> tuple[Bools, Bools]:
    """Closures (series, days) on weekdays that a series is mostly open on, and where it is mostly open so."""
    usual = np.stack(
        [closed[:, weekday == k].mean(axis=1) if np.any(weekday == k) else np.zeros(len(closed)) for k in range(7)],
        axis=1,
    )
    mostly_open = usual[:, weekday] < 0.5
    return closed & mostly_open, mostly_open


def own_closures(closed: Bools, weekday: npt.NDArray[np.intp]) -> Columns:
    """Days beside a series' own unusual closure.

    Returns (series, days, 3): the day before, the day after, and the day after a closure of more than two days.
    """
    unusual, _ = unusual_closures(closed, weekday)
    n_series, n_days = closed.shape
    values = np.zeros((n_series, n_days, 3))
    values[:, :-1, 0] = unusual[:, 1:] & ~closed[:, :-1]
    values[:, 1:, 1] = unusual[:, :-1] & ~closed[:, 1:]
    if n_days > 3:
        long = closed[:, 2:-1] & closed[:, 1:-2] & closed[:, :-3]
        values[:, 3:, 2] = long & ~closed[:, 3:]
    names = ("day before closure", "day after closure", "day after long closure")
    return Columns(values, names, "event", np.full(3, HOLIDAY_SD))


def common_closures(closed: Bools, weekday: npt.NDArray[np.intp]) -> Columns | None:
    """Days beside those on which most series shut that are mostly open then: public holidays, named or not.

    Returns (days, 5): two days before to two days after; on the day itself those that stay open. ``None`` for less
    than two series, whose closures are their own.
    """
    unusual, mostly_open = unusual_closures(closed, weekday)
    able = mostly_open.sum(axis=0)
    common = (able > 0) & (unusual.sum(axis=0) >= 0.5 * np.maximum(able, 1))
    if len(closed) < 2 or not common.any():
        return None
    n_days = len(common)
    values = np.zeros((n_days, len(_PLACES)))
    at = np.flatnonzero(common)
    for column, place in enumerate(_PLACES):
        days = at + place
        days = days[(days >= 0) & (days < n_days)]
        values[days[~common[days] | (place == 0)], column] = 1.0
    names = tuple(f"common closure {place:+d}" for place in _PLACES)
    return Columns(values, names, "holiday", np.full(len(_PLACES), HOLIDAY_SD))
