"""Which services the outside calls, how many requests it brings a day, and how sure that is.

A catalogue's `entry` is believed as to who is called and corrected as to how often. Where it is silent, traffic
tells: a service that nobody calls is called from outside; one whose traffic is more than twice what its callers
send is called from outside too. Anything nearer is a wrong fan-out, which `fanout` learns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from capacity.graph import total_rates
from capacity.peaks import priors
from capacity.peaks.events import EventForecast, predict_event
from capacity.peaks.evidence import DailyVolumes, PastEvent
from capacity.peaks.priors import Floats
from capacity.peaks.timeline import Timeline, past_day
from capacity.peaks.volume import DAY_S, fit_rates, latest_level, level_before, log_ratio, modelled

_OUTSIDE_FACTOR = 2.0
_LEVEL_DRIFT = 0.03  # of the recent level until the promotion
_NO_LEVEL_NOISE = 0.10  # of an event's ratio when no ordinary day before it is known


@dataclass(frozen=True)
class Entries:
    """Services with requests from outside.

    Attributes
    ----------
    index : ndarray of int, shape (entry,)
        Positions in the catalogue.
    rates : ndarray, shape (entry, 3)
        Requests per DAU, per DAT, per day.
    extra_low, extra_high : ndarray, shape (entry,)
        Bounds of the requests a day apart from people, as factors of the third rate.
    given : ndarray of bool, shape (entry,)
        Whether the rates are the catalogue's.
    outside : ndarray, shape (day, entry)
        Observed external requests a day.
    silent : tuple of int
        Services that nobody calls and nothing is known of.
    """

    index: NDArray[np.int64]
    rates: Floats
    extra_low: Floats
    extra_high: Floats
    given: NDArray[np.bool_]
    outside: Floats
    silent: tuple[int, ...]


def given_rates(services: Sequence[Any]) -> tuple[Floats, Floats, Floats]:
    """Catalogue's rates, shape (service, 3), NaN rows where `entry` is left out; and extra's low and high factors."""
    rates = np.full((len(services), 3), np.nan)
    low, high = np.ones(len(services)), np.ones(len(services))
    for i, service in enumerate(services):
        entry = service.entry
        if entry is None:
            continue
        extra = entry.extra_qps
        mid = 0.0 if extra is None else float(extra.mid)
        rates[i] = float(entry.per_dau or 0.0), float(entry.per_dat or 0.0), mid * DAY_S
        if extra is not None and mid > 0:
            low[i], high[i] = float(extra.low) / mid, float(extra.high) / mid
    return rates, low, high


def find_entries(services: Sequence[Any], calls: Any, daily: DailyVolumes) -> Entries:
    """Find the entry services and their requests a day.

    Parameters
    ----------
    services : sequence of Service
    calls : ndarray, shape (service, service)
        Mean calls caused by one request, attempts included.
    daily : DailyVolumes

    Returns
    -------
    Entries
    """
    rates, low, high = given_rates(services)
    told = np.asarray(np.isfinite(rates).all(1))
    called = np.asarray(calls.sum(0)).ravel() > 0
    inside = callers_requests(rates, calls, daily)
    seen = np.asarray(np.isfinite(daily.requests).any(0))
    residual = np.maximum(daily.requests - inside, 0.0)
    excess = np.asarray(_median(log_ratio(daily.requests, inside)) > np.log(_OUTSIDE_FACTOR))
    from_traffic = ~told & seen & (~called | excess)
    is_entry = (told & (rates > 0).any(1)) | from_traffic
    index = np.flatnonzero(is_entry)
    fitted = fit_rates(residual[:, index], daily.dau, daily.dat)
    chosen = np.where(told[index, None], rates[index], fitted)
    volume = _mean(residual)
    # Too few days with people to fit: a level that stays.
    flat = ~np.isfinite(chosen).all(1)
    chosen[flat] = 0.0
    chosen[flat, 2] = np.nan_to_num(volume[index][flat])
    silent = np.flatnonzero(~told & ~called & ~seen)
    return Entries(
        index, chosen, low[index], high[index], told[index], residual[:, index], tuple(int(i) for i in silent)
    )


def callers_requests(rates: Floats, calls: Any, daily: DailyVolumes) -> Floats:
    """Return requests a day that callers inside send, shape (day, service); NaN where a caller's are unknown."""
    own = np.where(np.isfinite(rates), rates, 0.0)
    return implied_requests(daily.admitted, modelled(own, daily.dau, daily.dat), calls)


def implied_requests(admitted: Floats, outside: Floats, calls: Any) -> Floats:
    """Return what callers send: callers that were seen count as seen, others as what reaches them.

    Parameters
    ----------
    admitted : ndarray, shape (instant, service)
        Observed requests that were not turned away; NaN where unknown. A service with no number at all is unseen.
    outside : ndarray, shape (instant, service)
        What reaches unseen services from outside.
    calls : sparse matrix, shape (service, service)
        Mean calls per request.

    Returns
    -------
    ndarray, shape (instant, service)

    Examples
    --------
    The middle one of three is unseen: what it sends follows from what reaches it.

    >>> calls = sparse.csr_array([[0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    >>> implied_requests(np.array([[10.0, np.nan, 55.0]]), np.zeros((1, 3)), calls).tolist()
    [[0.0, 20.0, 60.0]]
    """
    if not admitted.size:
        return np.zeros(admitted.shape)
    seen = np.isfinite(admitted).any(0)
    # Nothing flows into a service that was seen: its own numbers stand for it.
    into_unseen = sparse.csr_array(calls @ sparse.diags_array(np.where(seen, 0.0, 1.0)))
    flow = total_rates(into_unseen, np.where(seen, admitted, outside))
    return np.asarray(flow @ calls)


def forecast_volume(
    entries: Entries,
    daily: DailyVolumes,
    line: Timeline,
    events: Sequence[PastEvent],
    *,
    kind: str,
    year: float,
    stop: int,
) -> list[EventForecast]:
    """Learn the log correction of each entry's requests on each of the timeline's days.

    Parameters
    ----------
    entries : Entries
    daily : DailyVolumes
    line : Timeline
    events : sequence of PastEvent
    kind : str
        Of the promotion.
    year : float
        Of the promotion.
    stop : int
        Ordinal of ``as_of``.

    Returns
    -------
    list of EventForecast
        One a date of the timeline; add it to the log of ``per_dau·DAU + per_dat·DAT + extra``.
    """
    ratio = log_ratio(entries.outside, modelled(entries.rates, daily.dau, daily.dat))
    level = latest_level(ratio, daily.day, daily.ordinary, before=stop)
    known_level = np.isfinite(level)
    years, own, kinds = event_axes(events, kind)
    before = [level_before(ratio, daily.day, daily.ordinary, before=e.starts_at.date().toordinal() - 1) for e in events]
    unseen = np.where(np.isfinite(ratio).any(0), 0.0, priors.UNSEEN_VOLUME_SCALE)
    out = []
    for day in range(len(line.dates)):
        values, noise = np.full((len(events), ratio.shape[1]), np.nan), np.zeros((len(events), ratio.shape[1]))
        for p, event in enumerate(events):
            seen = _at(ratio, daily, past_day(line, day, event.starts_at, event.duration_min).toordinal())
            then = before[p]
            has = np.isfinite(then)
            values[p] = seen - np.where(has, then, np.nan_to_num(level))
            noise[p] = np.where(has, 0.0, _NO_LEVEL_NOISE)
        forecast = predict_event(
            values, years=years, own_kind=own, kinds=kinds, target_year=year, prior=priors.VOLUME, noise=noise
        )
        drift = np.where(known_level, _LEVEL_DRIFT, unseen)
        out.append(forecast.shifted(np.nan_to_num(level)).widened(drift))
    return out


def event_axes(events: Sequence[PastEvent], kind: str) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Years, whether of the kind, and codes of kinds."""
    codes = {name: i for i, name in enumerate(dict.fromkeys(e.kind for e in events))}
    return (
        np.array([e.year for e in events], dtype=float),
        np.array([e.kind == kind for e in events], dtype=bool),
        np.array([codes[e.kind] for e in events], dtype=np.int64),
    )


def _at(values: Floats, daily: DailyVolumes, ordinal: int) -> Floats:
    row = ordinal - int(daily.day[0]) if daily.day.size else -1
    if not 0 <= row < values.shape[0]:
        return np.full(values.shape[1], np.nan)
    return np.asarray(values[row])


def _median(values: Floats) -> Floats:
    out = np.full(values.shape[1], -np.inf)
    known = np.isfinite(values).any(0)
    if known.any():
        out[known] = np.nanmedian(values[:, known], axis=0)
    return out


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    return np.asarray(np.where(known, values, 0.0).sum(0) / np.maximum(known.sum(0), 1))
