"""Calls per request as traffic shows them, against what the catalogue says.

For a service that only other services call, observed requests ÷ what its callers' observed requests imply is a
correction of its fan-out, local to its own callers, so that what lies below inherits it once. Its level is that of
recent ordinary days; past events tell how it moves near a peak (retries, caches, fallbacks).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.graph import total_rates
from capacity.peaks import priors
from capacity.peaks.entries import event_axes, implied_requests
from capacity.peaks.events import EventForecast, predict_event
from capacity.peaks.evidence import DailyVolumes, PastEvent
from capacity.peaks.priors import Floats
from capacity.peaks.volume import latest_level, level_before, log_ratio

_NEAR_PEAK = 0.5
_SHED = 0.2


@dataclass(frozen=True)
class Fanout:
    """Corrections of calls per request.

    Attributes
    ----------
    forecast : EventForecast
        Of the log correction, one a service; zero and certain for entries.
    learnt : ndarray of bool, shape (service,)
        Whether traffic of the service itself speaks.
    """

    forecast: EventForecast
    learnt: NDArray[np.bool_]


def behind_limits(rejected: Floats, calls: Any) -> NDArray[np.bool_]:
    """Tell in which minutes a service stands behind one that turned requests away, shape (service, minute)."""
    limited = np.nan_to_num(rejected) > 0
    if not limited.any():
        return limited
    return np.asarray(calls.T @ total_rates(calls, limited.T.astype(float)).T > 0)


def peak_ratio(rate: Floats, rejected: Floats, calls: Any, entries: NDArray[np.int64]) -> Floats:
    """Log of observed to implied requests near the busiest minutes of one event.

    Parameters
    ----------
    rate : ndarray, shape (service, minute)
        Observed requests/s; NaN where unknown.
    rejected : ndarray, shape (service, minute)
        Of these, turned away by a limit: they call nobody.
    calls : sparse matrix, shape (service, service)
    entries : ndarray of int
        Services with requests from outside.

    Returns
    -------
    ndarray, shape (service,)
        NaN for services without callers or traffic.
    """
    # What reaches an entry that was not seen is unknown, and so is all that depends on it.
    outside = np.zeros(rate.shape)
    outside[entries] = np.nan
    implied = implied_requests(np.maximum(rate - rejected, 0.0).T, outside.T, calls).T
    known = np.isfinite(rate) & np.isfinite(implied)
    flow = np.where(known, implied, 0.0)
    near = known & (flow >= _NEAR_PEAK * flow.max(1, keepdims=True, initial=0.0)) & (flow > 0)
    return log_ratio(np.where(near, rate, 0.0).sum(1), np.where(near, flow, 0.0).sum(1))


def forecast_fanout(
    daily: DailyVolumes,
    inside: Floats,
    at_peaks: Sequence[Floats],
    events: Sequence[PastEvent],
    *,
    entries: NDArray[np.int64],
    called: NDArray[np.bool_],
    sheddable: NDArray[np.bool_],
    kind: str,
    year: float,
    stop: int,
) -> Fanout:
    """Learn each service's correction for the next event.

    Parameters
    ----------
    daily : DailyVolumes
    inside : ndarray, shape (day, service)
        What callers' observed requests imply.
    at_peaks : sequence of ndarray, shape (service,)
        `peak_ratio` of each event.
    events : sequence of PastEvent
    entries : ndarray of int
        Services with requests from outside: left as they are.
    called : ndarray of bool, shape (service,)
        Whether a service has callers.
    sheddable : ndarray of bool, shape (service,)
        Whether calls to it can be switched off: a past event with far fewer calls says that they were, not that
        they do not come.
    kind, year, stop
        As in `entries.forecast_volume`.
    """
    ratio = log_ratio(daily.requests, inside)
    ratio[:, entries] = np.nan
    level = latest_level(ratio, daily.day, daily.ordinary, before=stop)
    years, own, kinds = event_axes(events, kind)
    values = np.full((len(events), ratio.shape[1]), np.nan)
    for p, event in enumerate(events):
        then = level_before(ratio, daily.day, daily.ordinary, before=event.starts_at.date().toordinal() - 1)
        values[p] = at_peaks[p] - np.where(np.isfinite(then), then, np.nan_to_num(level))
    values[:, entries] = np.nan
    values[(values < -_SHED) & sheddable] = np.nan
    forecast = predict_event(
        values, years=years, own_kind=own, kinds=kinds, target_year=year, prior=priors.FANOUT
    ).shifted(np.nan_to_num(level))
    learnt = np.isfinite(level) | np.isfinite(values).any(0)
    inner = called & ~np.isin(np.arange(called.size), entries)
    forecast = forecast.widened(np.where(learnt, 0.0, priors.UNSEEN_FANOUT_SCALE))
    # Entries and services without callers have no fan-out to correct.
    loc, scale = np.where(inner, forecast.loc, 0.0), np.where(inner, forecast.scale, 0.0)
    return Fanout(
        EventForecast(loc, scale, forecast.weight, forecast.correlation, forecast.own, forecast.other), learnt & inner
    )
