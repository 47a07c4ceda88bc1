"""Days without anybody: closed weekdays and holidays, single closed days, and zeros that are only small numbers.

A closed day says nothing of how many come when it is open; it is neither a small day nor a missing one. A zero of a
series that often comes near zero is a small number like any other.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
RECENT = 10  # last occurrences of a weekday, or of public holidays, that decide
FEWEST = 6  # of them known, or nothing is decided
CLOSED_SHARE = 0.9
BY_CHANCE = 1e-4  # zeros that the other days' share of zeros would bring about more often are no closure
ENDED_DAYS = 14  # zeros in a row, up to the end, that end a segment
_AROUND = 14  # days to each side that tell whether a series comes near zero
# Where a quarter of the days around is below this, a zero is a small number: where 8 come on average, nobody comes
# once in 3000 days.
_NEAR_ZERO = 8.0


@dataclass(frozen=True)
class Closures:
    """What zeros of some series mean.

    ``closed`` (series, days) known zeros of history that teach nothing; ``weekdays`` (series, 7) closed ahead, Monday
    first, ``zeros`` and ``known`` (series, 7) how often of the last occurrences; ``holidays`` (series,) closed on
    public holidays ahead, ``holiday_zeros`` and ``holiday_known`` (series,) how often of the last ones.
    """

    closed: Bools
    weekdays: Bools
    zeros: npt.NDArray[np.intp]
    known: npt.NDArray[np.intp]
    holidays: Bools
    holiday_zeros: npt.NDArray[np.intp]
    holiday_known: npt.NDArray[np.intp]

    def ahead(self, weekday: npt.NDArray[np.intp], holiday: Bools) -> Bools:
        """(series, horizon) closed days ahead, given their weekday and whether they are public holidays."""
        return np.asarray(self.weekdays[:, weekday] | (self.holidays[:, None] & holiday[None]))

    def of(self, series: Bools) -> "Closures":
        """Return the closures of some series only."""
        return Closures(*(getattr(self, name)[series] for name in self.__dataclass_fields__))


def find_closures(values: Floats, weekday: npt.NDArray[np.intp], holiday: Bools) -> Closures:
    """Tell what the zeros of daily series mean.

    Parameters
    ----------
    values : (series, days) array
        Volumes; NaN where unknown.
    weekday : (days,) array
        0 is Monday.
    holiday : (days,) array
        Public holidays.

    Examples
    --------
    >>> import numpy as np
    >>> weekday = np.arange(84) % 7
    >>> found = find_closures(np.where(weekday == 5, 0.0, 90.0)[None], weekday, np.zeros(84, dtype=bool))
    >>> found.weekdays[0].nonzero()[0].tolist(), found.zeros[0, 5].item(), found.known[0, 5].item()
    ([5], 10, 10)
    """
    zeros, known = _weekday_counts(values, weekday)
    weekdays = _closed_weekdays(zeros, known)
    zero = values == 0
    closed = np.asarray(zero & (weekdays[:, weekday] | ~_small(values)))
    # A holiday on a closed weekday says nothing of holidays.
    asked = np.isfinite(values) & holiday[None] & ~weekdays[:, weekday]
    recent = asked & (asked[:, ::-1].cumsum(axis=1)[:, ::-1] <= RECENT)
    holiday_known, holiday_zeros = recent.sum(axis=1), (recent & closed).sum(axis=1)
    holidays = (holiday_known >= FEWEST) & (holiday_zeros >= CLOSED_SHARE * holiday_known)
    return Closures(closed, weekdays, zeros, known, holidays, holiday_zeros, holiday_known)


def _weekday_counts(values: Floats, weekday: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """(series, 7) zeros and known days among the last occurrences of each weekday."""
    zeros, known = np.zeros((len(values), 7), dtype=np.intp), np.zeros((len(values), 7), dtype=np.intp)
    for day in range(7):
        last = values[:, np.flatnonzero(weekday == day)[-RECENT:]]
        zeros[:, day], known[:, day] = (last == 0).sum(axis=1), np.isfinite(last).sum(axis=1)
    return zeros, known


def _closed_weekdays(zeros: npt.NDArray[np.intp], known: npt.NDArray[np.intp]) -> Bools:
    """(series, 7) weekdays nearly always zero of late, where the others are not and chance would not do it."""
    open_ = zeros < CLOSED_SHARE * known
    share = ((zeros * open_).sum(axis=1) + 1) / ((known * open_).sum(axis=1) + 2)
    some: Bools = np.any(open_, axis=1)
    enough = (known >= FEWEST) & (zeros >= CLOSED_SHARE * known) & some[:, None]
    return np.asarray(enough & (share[:, None] ** zeros < BY_CHANCE))


def _small(values: Floats) -> Bools:
    """(series, days) zeros among days that come near zero: small numbers, not closures."""
    row, day = np.nonzero(values == 0)
    small: Bools = np.zeros_like(values, dtype=bool)
    if not len(row):
        return small
    padded = np.pad(values, ((0, 0), (_AROUND, _AROUND)), constant_values=np.nan)
    near = padded[row[:, None], day[:, None] + np.arange(2 * _AROUND + 1)[None]]
    near = np.sort(np.where(near > 0, near, np.inf), axis=1)
    count = np.isfinite(near).sum(axis=1)
    quarter = near[np.arange(len(row)), (np.maximum(count, 1) - 1) // 4]
    small[row, day] = quarter < _NEAR_ZERO
    # Before the first day with anybody there was nothing to be small.
    begun: Bools = np.maximum.accumulate(values > 0, axis=1)
    return np.asarray(small & begun)


def ended_series(values: Floats) -> npt.NDArray[np.intp]:
    """(series,) day of the last volume of series that have ended: zeros since, for long, as never before; else −1.

    A series without rows has not ended, it is unknown; nor has one that came back from as long a pause before.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.full((2, 60), 90.0)
    >>> values[1, 40:] = 0
    >>> ended_series(values).tolist()
    [-1, 39]
    """
    found = np.full(len(values), -1, dtype=np.intp)
    for index, series in enumerate(values):
        positive = np.flatnonzero(series > 0)
        if not len(positive):
            continue
        last = int(positive[-1])
        after = series[last + 1 :]
        run = int((after == 0).sum())
        before = series[positive[0] : last + 1]
        share = ((before == 0).sum() + 1) / (np.isfinite(before).sum() + 2)
        longest = int(np.max(np.diff(positive), initial=1)) - 1
        if run >= ENDED_DAYS and np.isfinite(after[-ENDED_DAYS:]).any() and share**run < BY_CHANCE and run > longest:
            found[index] = last
    return found


def holiday_days(dates: pd.DatetimeIndex, holidays: pd.DataFrame | None) -> Bools:
    """(days,) whether each of ``dates`` is a public holiday."""
    if holidays is None or holidays.empty:
        return np.zeros(len(dates), dtype=bool)
    return np.asarray(dates.isin(pd.DatetimeIndex(holidays["date"])))
