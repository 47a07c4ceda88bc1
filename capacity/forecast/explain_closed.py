"""What the zeros of daily activity were taken for, in sentences."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.forecast.activity import Activity
from capacity.forecast.closed import CLOSED_SHARE, ENDED_DAYS, FEWEST, Closures

if TYPE_CHECKING:
    from capacity.promotion import Promotion

Bools = npt.NDArray[np.bool_]
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMED = 5  # names written out before the rest is counted
_SHARE = f"{CLOSED_SHARE:.0%}"
_DOUBT_SHARE = 0.3  # zeros of a weekday that are worth a word though it is forecast as open


def closed_reasons(promotion: "Promotion", activity: Activity, closed: Bools) -> list[str]:
    """Say which of the promotion's days are forecast 0; ``closed`` is (2, segments, horizon)."""
    days = np.array([(day - activity.as_of).days for day in promotion.dates], dtype=np.intp)
    lines = []
    for shut, what in ((closed[0], "users and orders"), (closed[1] & ~closed[0], "orders")):
        hit = days[shut.any(axis=0)[days]]
        if not len(hit):
            continue
        names = _series(activity, shut[:, hit].any(axis=1))
        dates = _dates(pd.Timestamp(activity.as_of) + pd.to_timedelta(hit, unit="D"))
        lines.append(f"{len(hit)} of the promotion's {len(days)} days are closed{names}: {what} are 0 on {dates}")
        if len(hit) == len(days) and promotion.expected is not None:
            lines.append("all days of the promotion are closed: the business's estimate has nothing to stand beside")
    return lines


def closed_assumptions(activity: Activity, dates: pd.DatetimeIndex, closed: Bools) -> list[str]:
    """Say what zeros were taken for; ``dates`` and ``closed`` (2, segments, horizon) are the days ahead."""
    lines: list[str] = []
    same = (activity.users.weekdays == activity.orders.weekdays).all()
    for closures, what in ((activity.users, "users"), (activity.orders, "orders")):
        if what == "users" or not same:
            lines += _weekday_lines(activity, closures, what)
    lines += _holiday_lines(activity, dates, closed[0])
    lines += _single_days(activity)
    pausing = _pausing(activity.users)
    if pausing.any():
        lines.append(
            f"nobody came in the last {ENDED_DAYS} days or longer{_series(activity, pausing)}: taken as a pause or as "
            "lost counts, forecast as open; if it ended, the forecast is too high"
        )
    if activity.ended:
        ends = _listed([f"{name} (last seen {day})" for name, day in activity.ended])
        lines.append(
            f"segments with nothing but zeros of late have ended and are forecast 0: {ends}; if the promotion brings "
            "them back, their volume is missing here"
        )
    if activity.unlikely:
        rows = f"{activity.unlikely} row{'s' * (activity.unlikely != 1)}"
        lines.append(f"{rows} with 0 users beside orders, or beside users of segments, are taken as lost counts")
    return lines


def _weekday_lines(activity: Activity, closures: Closures, what: str) -> list[str]:
    zeros, known, shut = closures.zeros, closures.known, closures.weekdays
    lines = []
    for names, row, where in _groups(activity, shut):
        often = f"no {what} on {zeros[row][shut[row]].sum()} of the last {known[row][shut[row]].sum()}"
        lines.append(
            f"closed weekdays{where}: {names} ({often}); they teach nothing of open days and are forecast 0, promotion "
            "days too; nothing overrides that yet: if the promotion opens them, their volume is missing here"
        )
    # Zeros that count as small numbers are no doubt, they are in the forecast; a pause of late has its own words.
    late: Bools = np.any(closures.closed[:, -70:], axis=1) & ~_pausing(closures)
    doubt = np.asarray(~shut & (known >= FEWEST) & (zeros >= _DOUBT_SHARE * known) & late[:, None])
    for names, row, where in _groups(activity, doubt):
        often = f"no {what} on {zeros[row][doubt[row]].sum()} of the last {known[row][doubt[row]].sum()}"
        lines.append(f"open only at times{where}: {names} ({often}); forecast as open, a closure is said at {_SHARE}")
    some: Bools = np.any(known >= FEWEST, axis=1)
    absent = np.asarray((known == 0) & some[:, None])
    lines += [
        f"{what} of none of the last ten are known{where} for {names}: such days are forecast as open; if they are "
        "closed, ingest them with 0"
        for names, _, where in _groups(activity, absent)
    ]
    return lines


def _groups(activity: Activity, days: Bools) -> list[tuple[str, int, str]]:
    """Segments with the same weekdays: the weekdays' names, the first segment's row, and which segments."""
    groups = []
    for pattern in np.unique(days[days.any(axis=1)], axis=0):
        same = (days == pattern).all(axis=1)
        names = ", ".join(name for name, one in zip(_WEEKDAYS, pattern, strict=True) if one)
        groups.append((names, int(np.flatnonzero(same)[0]), _series(activity, same)))
    return groups


def _pausing(closures: Closures) -> Bools:
    """(series,) nothing but zeros in the last days."""
    return np.asarray(closures.closed[:, -ENDED_DAYS:].all(axis=1))


def _holiday_lines(activity: Activity, dates: pd.DatetimeIndex, closed: Bools) -> list[str]:
    shut, zeros, known = activity.users.holidays, activity.users.holiday_zeros, activity.users.holiday_known
    if shut.any():
        row = int(np.flatnonzero(shut)[0])
        weekdays = activity.users.weekdays[row][dates.day_of_week]
        coming = dates[closed[row] & ~weekdays]
        ahead = f"0 on {_dates(coming)}" if len(coming) else "none is ahead"
        often = f"{zeros[row]} of the last {known[row]}"
        return [f"public holidays are closed{_series(activity, shut)} ({often}): {ahead}; nothing overrides that yet"]
    if (zeros > 0).any():
        row = int(zeros.argmax())
        often = f"{zeros[row]} of the last {known[row]} public holidays were closed{_series(activity, zeros > 0)}"
        return [f"{often}, too few to tell: those ahead are forecast as open days"]
    return []


def _single_days(activity: Activity) -> list[str]:
    weekday = activity.dates(0).day_of_week.to_numpy()
    single = activity.users.closed & ~activity.users.weekdays[:, weekday]
    # Before the first day with users a segment was not there.
    begun: Bools = np.maximum.accumulate(activity.dau > 0, axis=1)
    single &= begun
    days = np.flatnonzero(single.any(axis=0))
    if not len(days):
        return []
    where: Bools = np.any(single, axis=1)
    what = f"{len(days)} days without any users{_series(activity, where)} ({_dates(activity.dates(0)[days])})"
    return [f"{what} are taken as closed, or their counts as lost: they teach nothing"]


def _series(activity: Activity, which: Bools) -> str:
    """Name segments where not all are meant."""
    if which.all():
        return ""
    return f" in {_listed([name for name, one in zip(activity.segments, which, strict=True) if one])}"


def _dates(dates: Iterable[pd.Timestamp]) -> str:
    return _listed([f"{day:%Y-%m-%d}" for day in dates])


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
