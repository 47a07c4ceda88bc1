"""What of a promotion's traffic was logged: silences told from quiet, by what an ordinary day would have held."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.promotion import Phase

if TYPE_CHECKING:
    from capacity.history import Traffic

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

COVERED = 0.98  # below this share of what was expected, a day or phase has lost logs
CERTAINLY_LOST = 10.0  # requests expected in a silence before it is called lost logs: by chance 1 in 22,000
_NEAR = 10  # minutes around a silence, and after an opening, in which a peak may hide
_CLOSE_TO_PEAK = 0.5  # of the known peak: what surrounds a silence at this rate may lead up to a larger one


@dataclass(frozen=True)
class Coverage:
    """How much of the traffic was logged.

    Attributes
    ----------
    phases
        Share of each phase's expected requests that was logged, shape ``(phase, service)``.
    hides_peak
        Whether what was lost may hold a phase's largest peak, shape ``(phase, service)``.
    days
        The local days.
    by_day
        Share by day, shape ``(day, service)``.
    """

    phases: Floats
    hides_peak: Mask
    days: tuple[date, ...]
    by_day: Floats


def measure_coverage(
    rows: pd.DataFrame, services: Sequence[str], phases: Sequence[Phase], opens_at: datetime, traffic: "Traffic"
) -> Coverage:
    """Find the silences that are lost logs.

    Parameters
    ----------
    rows
        ``ts, service, interval_s, requests, rate_qps`` of whole local days.
    services, phases
        In order.
    opens_at
        When the promotion starts: what is lost there may hold the peak, whatever surrounds it.
    traffic
        Whose ordinary days say what a minute holds.

    Notes
    -----
    A service that is seldom called writes no row in many minutes; only a silence in which its ordinary day, at the
    level of these days, would have held more than ten requests is lost logs.
    """
    zone = traffic.timezone
    moments = _minutes(phases, zone)
    expected = _typical_share(traffic, services, moments, moments[0].date())
    place = {service: number for number, service in enumerate(services)}
    column = rows["service"].map(place).to_numpy(dtype=np.int64)
    start = ((rows["ts"] - moments[0]) // pd.Timedelta(minutes=1)).to_numpy(dtype=np.int64)
    length = np.ceil(rows["interval_s"].to_numpy() / 60.0).astype(np.int64)
    stop = np.minimum(start + length, len(moments))
    edges = np.zeros((len(moments) + 1, len(services)))
    np.add.at(edges, (start, column), 1.0)
    np.add.at(edges, (stop, column), -1.0)
    present = np.cumsum(edges[:-1], axis=0) > 0
    # Over all minutes, silent ones too: where much is lost the level is too low and silences are excused, not invented.
    level = np.bincount(column, rows["requests"].to_numpy(), minlength=len(services)) / expected.sum(axis=0)
    lost = find_silences(present, expected * level)
    spans = [(pd.Timestamp(phase.starts_at), pd.Timestamp(phase.ends_at)) for phase in phases]
    inside = np.stack([np.asarray((moments >= begin) & (moments < end)) for begin, end in spans])
    dates = pd.Index(moments.date)
    days = tuple(dates.unique())
    on_day = np.stack([np.asarray(dates == day) for day in days])
    rate = np.zeros((len(moments), len(services)))
    np.maximum.at(rate, (start, column), rows["rate_qps"].to_numpy())
    opening = np.asarray(np.abs((moments - pd.Timestamp(opens_at)) / pd.Timedelta(minutes=1)) <= _NEAR)
    hides = _hides_peak(lost, rate, inside, opening)
    covered = _share(inside, expected, lost)
    return Coverage(covered, hides | (covered < COVERED), days, _share(on_day, expected, lost))


def find_silences(present: Mask, expected: Floats) -> Mask:
    """Mark the minutes of silences in which more requests were expected than chance can hide.

    Parameters
    ----------
    present
        Whether a minute has a row, shape ``(minute, service)``.
    expected
        Requests expected in it.

    Examples
    --------
    >>> present = np.array([[True], [False], [False], [True], [False], [True]])
    >>> find_silences(present, np.full((6, 1), 6.0)).ravel()
    array([False,  True,  True, False, False, False])
    """
    heard = np.cumsum(np.where(present, 0.0, expected), axis=0)
    before = np.maximum.accumulate(np.where(present, heard, 0.0), axis=0)
    within = heard - before  # expected since the last row, this minute included
    ends = ~present & np.vstack([present[1:], np.ones((1, present.shape[1]), dtype=bool)])
    last = len(present) - 1
    position = np.where(ends, np.arange(len(present))[:, None], last)
    end_of_run = np.minimum.accumulate(position[::-1], axis=0)[::-1]
    return np.asarray(~present & (np.take_along_axis(within, end_of_run, axis=0) > CERTAINLY_LOST))


def _hides_peak(lost: Mask, rate: Floats, inside: Mask, opening: Mask) -> Mask:
    edges = np.cumsum(np.vstack([np.zeros((1, lost.shape[1])), lost]), axis=0)
    minute = np.arange(len(lost))
    near = edges[np.minimum(minute + _NEAR + 1, len(lost))] - edges[np.maximum(minute - _NEAR, 0)] > 0
    hides = np.zeros((len(inside), lost.shape[1]), dtype=bool)
    for number, phase in enumerate(inside):
        peak = rate[phase].max(axis=0, initial=0.0)
        around = np.where(near[phase], rate[phase], 0.0).max(axis=0, initial=0.0)
        some = lost[phase].any(axis=0)
        hides[number] = some & ((around >= _CLOSE_TO_PEAK * peak) | lost[phase & opening].any(axis=0))
    return hides


def _share(inside: Mask, expected: Floats, lost: Mask) -> Floats:
    weights = inside.astype(float)
    whole = weights @ expected
    missing = np.divide(weights @ np.where(lost, expected, 0.0), whole, out=np.zeros_like(whole), where=whole > 0)
    return np.asarray(1.0 - missing)


def _minutes(phases: Sequence[Phase], zone: str) -> pd.DatetimeIndex:
    begin, end = whole_days(phases, zone)
    return pd.date_range(begin, end, freq="min", inclusive="left")


def whole_days(phases: Sequence[Phase], zone: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the local midnights before and after all phases."""
    first = min(pd.Timestamp(phase.starts_at) for phase in phases).tz_convert(zone)
    last = max(pd.Timestamp(phase.ends_at) for phase in phases).tz_convert(zone)
    end_day = last.date() if last == last.normalize() else last.date() + timedelta(days=1)
    return pd.Timestamp(first.date(), tz=zone), pd.Timestamp(end_day, tz=zone)


def _typical_share(traffic: "Traffic", services: Sequence[str], moments: pd.DatetimeIndex, before: date) -> Floats:
    """Return the share of an ordinary day that each minute holds; even where no ordinary day is known."""
    typical = traffic.typical_day(list(services), before=before)
    even = np.full((len(moments), len(services)), 1.0 / 1440.0)
    if typical.empty:
        return even
    slots = typical.groupby("service")["share"].transform("size")
    per_minute = typical.assign(share=typical["share"] * slots / 1440.0)
    table = per_minute.set_index(["minute_of_day", "service"])["share"].unstack("service")  # noqa: PD010
    table = table.reindex(index=range(1440), columns=list(services)).ffill()
    minute = np.asarray(moments.hour * 60 + moments.minute)
    share = table.to_numpy(dtype=float)[minute]
    return np.where(np.isfinite(share) & (np.nansum(share, axis=0) > 0), share, even)
