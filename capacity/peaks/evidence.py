"""What traffic shows, as plain arrays: days, ordinary shapes and past events on this promotion's minutes.

The only file of this part that asks `Traffic` for rows. Past events that are not over at ``as_of`` are not looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.peaks.priors import Floats
from capacity.peaks.timeline import Ints, Timeline, past_minute

MOST_EVENTS = 8
_COVERED_ENOUGH = 0.9


@dataclass(frozen=True)
class PastEvent:
    """A past promotion that traffic may speak of.

    Attributes
    ----------
    id, kind : str
    starts_at : datetime
        Aware, in the workspace's zone.
    duration_min : int
    year : float
        For trends.
    actual : mapping
        Busiest second remembered by service, and ``peak_tps``, ``dau``, ``dat`` where known.
    """

    id: str
    kind: str
    starts_at: datetime
    duration_min: int
    year: float
    actual: Mapping[str, float]


@dataclass(frozen=True)
class MinuteGrid:
    """Services' minutes of one window.

    Attributes
    ----------
    rate : ndarray, shape (service, minute)
        Requests/s, rejected included; NaN where unknown.
    peak_qps : ndarray, shape (service, minute)
        Busiest second; NaN where unknown.
    width_s : ndarray, shape (service, minute)
        Interval the minute came from.
    rejected : ndarray, shape (service, minute)
        Of `rate`, what a limit turned away: it arrived here, but called nobody.
    """

    rate: Floats
    peak_qps: Floats
    width_s: Floats
    rejected: Floats

    def part(self, services: Ints, minutes: Ints | slice = slice(None)) -> "MinuteGrid":
        """Return some services and minutes."""
        columns = (self.rate, self.peak_qps, self.width_s, self.rejected)
        return MinuteGrid(*(c[services][:, minutes] for c in columns))


@dataclass(frozen=True)
class DailyVolumes:
    """Requests a day of every service, with the people and orders of that day.

    Attributes
    ----------
    day : ndarray of int, shape (day,)
        Ordinals, ascending.
    requests : ndarray, shape (day, service)
        NaN where unknown or a tenth of the day is missing.
    admitted : ndarray, shape (day, service)
        Without what limits turned away: only these call others.
    failed : ndarray, shape (service,)
        Share of requests that fail on recent days.
    dau, dat : ndarray, shape (day,)
    ordinary : ndarray of bool, shape (day,)
        Far from every promotion.
    """

    day: Ints
    requests: Floats
    admitted: Floats
    failed: Floats
    dau: Floats
    dat: Floats
    ordinary: NDArray[np.bool_]


def past_events(
    promotion: Any, promotions: Mapping[str, Any], *, as_of: date, first_at: datetime | None
) -> list[PastEvent]:
    """Past promotions before `as_of`, those of the kind first, the latest first; bounded in number."""
    found = []
    for other in promotions.values():
        if other.id == promotion.id or other.ends_at.date() > as_of or other.starts_at >= promotion.starts_at:
            continue
        seen = first_at is not None and other.ends_at > first_at
        if seen or other.actual is not None:
            found.append(_event(other))
    own = sorted((e for e in found if e.kind == promotion.kind), key=lambda e: e.starts_at, reverse=True)
    rest = sorted((e for e in found if e.kind != promotion.kind), key=lambda e: e.starts_at, reverse=True)
    return (own + rest)[:MOST_EVENTS]


def _event(promotion: Any) -> PastEvent:
    actual: dict[str, float] = {}
    if promotion.actual is not None:
        actual.update({f"qps:{k}": float(v) for k, v in dict(promotion.actual.peak_qps or {}).items()})
        for name in ("dau", "dat", "peak_tps"):
            value = getattr(promotion.actual, name, None)
            if value is not None:
                actual[name] = float(value)
    minutes = int((promotion.ends_at - promotion.starts_at) // timedelta(minutes=1))
    return PastEvent(promotion.id, promotion.kind, promotion.starts_at, minutes, year_of(promotion.starts_at), actual)


def year_of(moment: datetime) -> float:
    """Return a moment as a fractional year."""
    return moment.year + (moment.timetuple().tm_yday - 1) / 365.25


def minute_grid(frame: pd.DataFrame, start: datetime, n_minutes: int, services: Sequence[str]) -> MinuteGrid:
    """Lay rows of any interval width on minutes.

    Parameters
    ----------
    frame : DataFrame
        Columns ts, service, interval_s, requests and, optionally, peak_qps.
    start : datetime
        Aware; minute 0.
    n_minutes : int
    services : sequence of str
        Rows of the grid.

    Returns
    -------
    MinuteGrid
    """
    shape = (len(services), n_minutes)
    seconds, requests, rejected = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    peak, width = np.full(shape, -np.inf), np.full(shape, 60.0)
    code = pd.Index(services).get_indexer(pd.Index(frame["service"].astype(str)))
    use = code >= 0
    offset = (pd.DatetimeIndex(frame["ts"]) - pd.Timestamp(start)) / pd.Timedelta(minutes=1)
    first = np.floor(np.asarray(offset, dtype=float)).astype(np.int64)[use]
    interval = frame["interval_s"].to_numpy(dtype=float)[use]
    count = frame["requests"].to_numpy(dtype=float, na_value=np.nan)[use]
    second = _column(frame, "peak_qps", np.nan)[use]
    turned_away = np.nan_to_num(_column(frame, "rejected", 0.0)[use])
    second = np.where(np.isnan(second) & (interval <= 1.0), count, second)
    spread = np.maximum(np.round(interval / 60.0), 1.0).astype(np.int64)
    row = np.repeat(np.arange(first.size), spread)
    minute = first[row] + np.arange(row.size) - np.repeat(np.cumsum(spread) - spread, spread)
    inside = (minute >= 0) & (minute < n_minutes) & np.isfinite(count[row])
    row, minute = row[inside], minute[inside]
    at = (code[use][row], minute)
    part = np.minimum(interval[row], 60.0)
    np.add.at(seconds, at, part)
    np.add.at(requests, at, count[row] * part / interval[row])
    np.add.at(rejected, at, turned_away[row] * part / interval[row])
    np.maximum.at(width, at, interval[row])
    np.maximum.at(peak, at, np.where(np.isnan(second[row]), -np.inf, second[row]))
    enough = seconds >= 30.0
    length = np.where(enough, seconds, 1.0)
    rate = np.where(enough, requests / length, np.nan)
    return MinuteGrid(rate, np.where(np.isfinite(peak), peak, np.nan), width, rejected / length)


def _column(frame: pd.DataFrame, name: str, missing: float) -> Floats:
    if name not in frame:
        return np.full(len(frame), missing)
    return np.asarray(frame[name].to_numpy(dtype=float, na_value=np.nan))


def read_event(
    traffic: Any, event: PastEvent, line: Timeline, services: Sequence[str], minutes: Ints | None = None
) -> MinuteGrid:
    """Read one past event on this promotion's minutes (all, or only `minutes` of the timeline)."""
    tau = line.tau if minutes is None else line.tau[minutes]
    mapped = past_minute(tau, line.duration_min, event.duration_min)
    first, stop = int(mapped.min()), int(mapped.max()) + 1
    # Elapsed time, not wall-clock time: pandas adds across a clock change as seconds pass.
    zero = pd.Timestamp(event.starts_at)
    start, end = zero + pd.Timedelta(minutes=first), zero + pd.Timedelta(minutes=stop)
    # Coarse rows that begin before the window still cover its first minutes.
    frame = traffic.window(
        (start - pd.Timedelta(hours=1)).to_pydatetime(), end.to_pydatetime(), services=list(services)
    )
    grid = minute_grid(frame, start, stop - first, services)
    at = mapped - first
    return MinuteGrid(grid.rate[:, at], grid.peak_qps[:, at], grid.width_s[:, at], grid.rejected[:, at])


def past_clock(event: PastEvent, line: Timeline, timezone: str) -> tuple[Ints, Ints]:
    """Return local clock minutes and local days (ordinals) of a past event at this promotion's minutes."""
    mapped = past_minute(line.tau, line.duration_min, event.duration_min)
    moments = pd.Timestamp(event.starts_at).tz_convert(timezone) + pd.to_timedelta(mapped, unit="min")
    epoch = date(1970, 1, 1).toordinal()
    days = np.asarray(moments.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64) + epoch)
    return np.asarray(moments.hour * 60 + moments.minute, dtype=np.int64), days


def daily_volumes(
    frame: pd.DataFrame,
    services: Sequence[str],
    history: pd.DataFrame,
    *,
    as_of: date,
    busy: Sequence[tuple[date, date]],
) -> DailyVolumes:
    """Bring daily requests, DAU and DAT onto one calendar.

    Parameters
    ----------
    frame : DataFrame
        ``Traffic.daily()``.
    services : sequence of str
    history : DataFrame
        Columns date, dau, dat.
    as_of : date
        Nothing at or after it is used.
    busy : sequence of (first date, last date)
        Days of promotions, not ordinary.
    """
    stop = as_of.toordinal()
    ordinal = _ordinals(frame["date"]) if len(frame) else np.zeros(0, dtype=np.int64)
    people = _ordinals(history["date"]) if len(history) else np.zeros(0, dtype=np.int64)
    days = np.arange(min([*ordinal.tolist(), *people.tolist(), stop]), stop, dtype=np.int64)
    requests, admitted, failed = _volumes(frame, ordinal, services, days)
    columns = []
    for name in ("dau", "dat"):
        column = np.full(days.size, np.nan)
        here = people < stop
        column[people[here] - (days[0] if days.size else 0)] = history[name].to_numpy(dtype=float, na_value=np.nan)[
            here
        ]
        columns.append(column)
    ordinary = np.ones(days.size, dtype=bool)
    for first, last in busy:
        ordinary &= (days < first.toordinal() - 1) | (days > last.toordinal() + 1)
    return DailyVolumes(days, requests, admitted, failed, columns[0], columns[1], ordinary)


def _volumes(frame: pd.DataFrame, ordinal: Ints, services: Sequence[str], days: Ints) -> tuple[Floats, Floats, Floats]:
    requests = np.full((days.size, len(services)), np.nan)
    admitted, failed = np.array(requests), np.zeros(len(services))
    if not len(frame) or not days.size:
        return requests, admitted, failed
    code = pd.Index(services).get_indexer(pd.Index(frame["service"].astype(str)))
    count = _column(frame, "requests", np.nan)
    turned_away = np.nan_to_num(_column(frame, "rejected", 0.0))
    covered = np.nan_to_num(_column(frame, "covered_fraction", 1.0), nan=1.0)
    use = (code >= 0) & (ordinal <= days[-1]) & (covered >= _COVERED_ENOUGH)
    at = (ordinal[use] - days[0], code[use])
    requests[at] = count[use] / np.minimum(covered[use], 1.0)
    admitted[at] = np.maximum(count[use] - turned_away[use], 0.0) / np.minimum(covered[use], 1.0)
    errors = np.nan_to_num(_column(frame, "errors", 0.0))
    recent = use & (ordinal > days[-1] - 28) & np.isfinite(count)
    bad = np.bincount(code[recent], weights=errors[recent], minlength=len(services))
    total = np.bincount(code[recent], weights=count[recent], minlength=len(services))
    failed = np.where(total > 0, np.clip(bad / np.maximum(total, 1.0), 0.0, 0.5), 0.0)
    return requests, admitted, failed


def _ordinals(dates: pd.Series) -> Ints:
    stamps = pd.to_datetime(dates)
    if getattr(stamps.dt, "tz", None) is not None:
        stamps = stamps.dt.tz_localize(None)
    epoch = date(1970, 1, 1).toordinal()
    return np.asarray(stamps.to_numpy().astype("datetime64[D]").astype(np.int64) + epoch)


def ordinary_day(traffic: Any, services: Sequence[str], *, before: date) -> Floats:
    """Return ordinary days' rate by clock minute, mean one, shape (service, 1440); NaN rows where unknown."""
    out = np.full((len(services), 1440), np.nan)
    if not services or traffic is None:
        return out
    frame = traffic.typical_day(list(services), before=before)
    for name, part in frame.groupby("service", sort=False):
        if name not in services:
            continue
        minute = part["minute_of_day"].to_numpy(dtype=float)
        share = part["share"].to_numpy(dtype=float)
        good = np.isfinite(minute) & np.isfinite(share)
        if good.sum() < 2 or share[good].sum() <= 0:
            continue
        minute, share = minute[good], share[good]
        order = np.argsort(minute)
        minute, share = minute[order], share[order]
        step = float(np.median(np.diff(minute)))
        rate = np.interp(np.arange(1440) + 0.5, minute + step / 2.0, share, period=1440.0)
        out[services.index(name)] = np.maximum(rate / rate.mean(), 0.02)
    return out
