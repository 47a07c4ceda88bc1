"""A history of intervals, checked and laid out as series × days × slots of the local day."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.errors import InputError, NotCoveredError, Problem, did_you_mean
from capacity.peaks.intraday.shape import Floats, Ints

_SHORTEST_S, _LONGEST_S, _DAY_S = 60, 3600, 86_400
_LEAST_DAYS = 2


@dataclass(frozen=True)
class Grid:
    """Intervals of local days.

    Attributes
    ----------
    series : tuple of str
    requests, peaks : ndarray, shape (series, day, slot)
        Requests in the interval and its largest one-second count; NaN where unknown.
    first : Timestamp
        Naive local midnight of the first day.
    interval_s, phase_s : int
        Length of an interval, and where in it the clock's whole intervals begin.
    zone : str or None
        Of the timestamps; None for wall times without one.
    end : int
        Intervals from `first` to the first that is not yet known of any series: where forecasts begin.
    last_at : Timestamp
        Start of the last known interval, as it was given.
    """

    series: tuple[str, ...]
    requests: Floats
    peaks: Floats
    first: pd.Timestamp
    interval_s: int
    phase_s: int
    zone: str | None
    end: int
    last_at: pd.Timestamp

    @property
    def n_slots(self) -> int:
        """Intervals a day."""
        return _DAY_S // self.interval_s

    @property
    def n_days(self) -> int:
        """Days begun."""
        return int(self.requests.shape[1])

    @property
    def has_peaks(self) -> bool:
        """Whether any peak second is known."""
        return bool(np.isfinite(self.peaks).any())

    def dates(self, extra: int = 0) -> pd.DatetimeIndex:
        """Local dates of the days, and so many more."""
        return pd.date_range(self.first, periods=self.n_days + extra, freq="D")

    def ahead(self, horizon: int) -> tuple[pd.DatetimeIndex, Ints]:
        """Return starts of the next intervals, and their places counted from `first` by the clock."""
        step = pd.Timedelta(seconds=self.interval_s)
        starts = pd.date_range(self.last_at + step, periods=horizon, freq=step)
        return starts, _places(starts, self.first, self.interval_s)

    def starts(self) -> pd.DatetimeIndex:
        """Wall-clock starts of all intervals of the days."""
        step = pd.Timedelta(seconds=self.interval_s)
        begin = self.first + pd.Timedelta(seconds=self.phase_s)
        return pd.date_range(begin, periods=self.n_days * self.n_slots, freq=step)


def lay_out(history: pd.DataFrame) -> Grid:
    """Lay a history out.

    Parameters
    ----------
    history : DataFrame
        ts, series, value, optionally peak. Timestamps with a zone are taken in it.

    Raises
    ------
    InputError
        Columns are missing; times are no times, off a regular grid or twice in a series; values are negative.
    NotCoveredError
        Fewer than two days.
    """
    _need(history)
    stamps = _times(history["ts"])
    zone = None if stamps.tz is None else str(stamps.tz)
    wall = stamps if stamps.tz is None else stamps.tz_localize(None)
    seconds = ((wall - pd.Timestamp(0)) // pd.Timedelta(seconds=1)).to_numpy(dtype=np.int64)
    codes, names = pd.factorize(history["series"].astype(str), sort=True)
    interval = _interval(stamps, codes)
    phase = int(np.bincount(seconds % interval).argmax())
    first = pd.Timestamp(int(seconds.min()) // _DAY_S * _DAY_S, unit="s")
    place = _places(wall, first, interval)
    columns = {name: _numbers(history, name) for name in ("value", "peak")}
    _check(columns, codes, stamps, seconds % interval != phase, interval)
    n_slots = _DAY_S // interval
    n_days = int(place.max()) // n_slots + 1
    if int(place.max()) + 1 < _LEAST_DAYS * n_slots:
        raise NotCoveredError(
            f"the history spans {(int(place.max()) + 1) / n_slots:.1f} days, expected at least {_LEAST_DAYS}",
            remedy="pass two days or more; below two weeks the days of the week are hardly told apart",
        )
    laid = {name: _mean_of(values, codes, place, len(names), n_days * n_slots) for name, values in columns.items()}
    shape = (len(names), n_days, n_slots)
    return Grid(
        tuple(str(n) for n in names), laid["value"].reshape(shape), laid["peak"].reshape(shape), first, interval, phase,
        zone, int(place.max()) + 1, stamps.max(),
    )  # fmt: skip


def _need(history: pd.DataFrame) -> None:
    missing = [name for name in ("ts", "series", "value") if name not in history.columns]
    if missing:
        known = [str(c) for c in history.columns]
        raise InputError(
            "history lacks columns",
            problems=[Problem("history", ", ".join(known), f"a column {m!r}", did_you_mean(m, known)) for m in missing],
        )
    if history.empty:
        raise InputError("history has no rows", remedy="pass at least two days of intervals")


def _times(column: "pd.Series[pd.Timestamp]") -> pd.DatetimeIndex:
    try:
        stamps = pd.DatetimeIndex(pd.to_datetime(column))
    except (ValueError, TypeError) as error:
        raise InputError(
            "history.ts holds something that is no time",
            problems=[Problem("history.ts", str(error), "times such as 2026-11-10T20:00")],
        ) from error
    if stamps.hasnans:
        raise InputError(
            "history.ts has empty times",
            problems=[Problem("history.ts", f"{int(np.count_nonzero(stamps.isna()))} empty", "times")],
        )
    return stamps


def _interval(stamps: pd.DatetimeIndex, codes: NDArray[np.intp]) -> int:
    """Seconds between neighbouring rows of a series, as most of them are."""
    at = stamps.tz_convert("UTC").tz_localize(None) if stamps.tz is not None else stamps
    seconds = ((at - pd.Timestamp(0)) // pd.Timedelta(seconds=1)).to_numpy(dtype=np.int64)
    order = np.lexsort((seconds, codes))
    step = np.diff(seconds[order])[np.diff(codes[order]) == 0]
    step = step[step > 0]
    found = int(np.bincount(step[step <= _LONGEST_S]).argmax()) if (step <= _LONGEST_S).any() else 0
    if not _SHORTEST_S <= found <= _LONGEST_S or _DAY_S % found:
        got = f"{found} s" if found else "no two rows of a series within an hour"
        raise InputError(
            "history has no usable interval",
            problems=[Problem("history.ts", got, "one interval from a minute to an hour that divides the day")],
            remedy="add rows up to intervals of 1, 5, 15, 30 or 60 minutes",
        )
    return found


def _places(wall: pd.DatetimeIndex, first: pd.Timestamp, interval: int) -> Ints:
    local = wall if wall.tz is None else wall.tz_localize(None)
    return np.asarray((local - first) // pd.Timedelta(seconds=interval), dtype=np.int64)


def _numbers(history: pd.DataFrame, name: str) -> Floats:
    if name not in history:
        return np.full(len(history), np.nan)
    return np.asarray(pd.to_numeric(history[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan))


def _check(
    columns: dict[str, Floats],
    codes: NDArray[np.intp],
    stamps: pd.DatetimeIndex,
    off_grid: NDArray[np.bool_],
    interval: int,
) -> None:
    problems = []
    for name, values in columns.items():
        if (bad := int((values < 0).sum())) > 0:
            problems.append(Problem(f"history.{name}", f"{bad} negative", "counts of at least 0"))
        if (bad := int(np.isinf(values).sum())) > 0:
            problems.append(Problem(f"history.{name}", f"{bad} infinite", "finite counts; unknown is absent"))
    if off_grid.any():
        expected = f"times {interval} s apart, on one grid"
        problems.append(Problem("history.ts", f"{int(off_grid.sum())} rows off the grid", expected))
    # An hour that a clock change repeats has its wall times twice: only the same instant twice is a fault.
    twice = int(pd.DataFrame({"at": stamps, "series": codes}).duplicated().sum())
    if twice:
        problems.append(Problem("history", f"{twice} rows repeat a time of a series", "one row a time and series"))
    if problems:
        raise InputError("history cannot be used", problems=problems)


def _mean_of(values: Floats, codes: NDArray[np.intp], place: Ints, n_series: int, n: int) -> Floats:
    """Lay values out; the two passes of a repeated hour are averaged."""
    known = np.isfinite(values)
    cell = codes[known].astype(np.int64) * n + place[known]
    total = np.bincount(cell, weights=values[known], minlength=n_series * n)
    count = np.bincount(cell, minlength=n_series * n)
    out = np.full(n_series * n, np.nan)
    out[count > 0] = total[count > 0] / count[count > 0]
    return out.reshape(n_series, n)
