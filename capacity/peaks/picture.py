"""Everything the models of this part need, gathered once: catalogue, days, past events, as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from capacity.graph import attempts, call_edges
from capacity.peaks.entries import Entries, callers_requests, find_entries, given_rates
from capacity.peaks.evidence import (
    DailyVolumes,
    MinuteGrid,
    PastEvent,
    daily_volumes,
    ordinary_day,
    past_clock,
    past_events,
    read_event,
    year_of,
)
from capacity.peaks.priors import Floats
from capacity.peaks.shape import PastShape
from capacity.peaks.timeline import Timeline, lay_out

_EMPTY_DAILY = pd.DataFrame(
    {"date": pd.to_datetime([]), "service": pd.Series([], dtype=str), "requests": pd.Series([], dtype=float)}
)


_READ_TOGETHER = 64  # services up to which one query for all minutes is cheaper than two


@dataclass(frozen=True)
class Picture:
    """Arrays of one question.

    Attributes
    ----------
    names : tuple of str
        Services, in the catalogue's order.
    calls : ndarray, shape (service, service)
        Mean calls per request with the attempts that base failures cause, caches warm.
    sheddable : ndarray of bool, shape (service,)
    daily : DailyVolumes
    inside : ndarray, shape (day, service)
        Requests a day that callers imply.
    entries : Entries
    line : Timeline
    events : list of PastEvent
    whole : list of MinuteGrid
        Entries, on all minutes of the timeline, one an event.
    outside : list of PastShape
        External part of it.
    openings : list of MinuteGrid
        All services, on the opening's minutes only.
    ordinary : ndarray, shape (entry, 1440)
    has_traffic : bool
    kind : str
    year : float
    stop : int
        Ordinal of ``as_of``.
    """

    names: tuple[str, ...]
    calls: Any
    sheddable: NDArray[np.bool_]
    daily: DailyVolumes
    inside: Floats
    entries: Entries
    line: Timeline
    events: list[PastEvent]
    whole: list[MinuteGrid]
    outside: list[PastShape]
    openings: list[MinuteGrid]
    opening_minutes: NDArray[np.int64]
    ordinary: Floats
    has_traffic: bool
    kind: str
    year: float
    stop: int


def gather(demand: Any, traffic: Any, services: Mapping[str, Any]) -> Picture:
    """Ask history once for all that is needed."""
    promotion, as_of = demand.promotion, demand.as_of
    names = tuple(services)
    has_traffic = traffic is not None and not traffic.is_empty
    zone = str(traffic.timezone) if traffic is not None else zone_name(promotion.starts_at)
    promotions = {p.id: p for p in getattr(demand, "past", ())}
    first_at = traffic.first_at if has_traffic else None
    events = past_events(promotion, promotions, as_of=as_of, first_at=first_at)
    busy = [(p.starts_at.date(), p.ends_at.date()) for p in promotions.values()]
    daily = daily_volumes(
        traffic.daily() if has_traffic else _empty("service", "requests"),
        names,
        history_frame(demand),
        as_of=as_of,
        busy=busy,
    )
    calls = call_probabilities(services, daily.failed)
    listed = [services[name] for name in names]
    entries = find_entries(listed, calls, daily)
    spans = [(p.name, p.starts_at, p.ends_at) for p in promotion.phases]
    line = lay_out(promotion.starts_at, promotion.ends_at, spans, timezone=zone)
    opening = next((c for c in line.cells if c.opening), None)
    minutes = np.arange(opening.first, opening.stop) if opening is not None else np.zeros(0, dtype=np.int64)
    whole, outside, openings = [], [], []
    for event in events:
        grids = _read(traffic if has_traffic else None, event, line, names, calls, entries, minutes)
        whole.append(grids[0])
        outside.append(PastShape(grids[1], grids[0].width_s, *past_clock(event, line, zone)))
        openings.append(grids[2])
    entry_names = [names[i] for i in entries.index]
    return Picture(
        names=names, calls=calls, sheddable=_sheddable(services), daily=daily,
        inside=callers_requests(given_rates(listed)[0], calls, daily), entries=entries, line=line, events=events,
        whole=whole, outside=outside, openings=openings, opening_minutes=minutes,
        ordinary=ordinary_day(traffic if has_traffic else None, entry_names, before=as_of),
        has_traffic=has_traffic, kind=promotion.kind, year=year_of(promotion.starts_at), stop=as_of.toordinal(),
    )  # fmt: skip


def _read(
    traffic: Any,
    event: PastEvent,
    line: Timeline,
    names: Sequence[str],
    calls: Any,
    entries: Entries,
    minutes: NDArray[np.int64],
) -> tuple[MinuteGrid, Floats, MinuteGrid]:
    """Entries on all minutes, their external part, and all services in the opening."""
    n_entries = entries.index.size
    if traffic is None:
        empty = [_nothing(n, m) for n, m in ((n_entries, line.size), (len(names), minutes.size))]
        return empty[0], empty[0].rate, empty[1]
    column = sparse.csc_array(calls)[:, entries.index]
    callers = np.unique(column.nonzero()[0])
    small = len(names) <= _READ_TOGETHER
    need = np.arange(len(names)) if small else np.unique(np.concatenate([entries.index, callers]))
    grid = read_event(traffic, event, line, [names[i] for i in need.tolist()])
    admitted = np.nan_to_num(np.maximum(grid.rate - grid.rejected, 0.0))
    inside = column[need].T @ admitted
    whole = grid.part(np.searchsorted(need, entries.index))
    outside = np.maximum(whole.rate - inside, 0.0)
    if not minutes.size:
        openings = _nothing(len(names), 0)
    elif small:
        openings = grid.part(need, minutes)
    else:
        openings = read_event(traffic, event, line, names, minutes)
    return whole, np.asarray(outside), openings


def _nothing(rows: int, minutes: int) -> MinuteGrid:
    unknown = np.full((rows, minutes), np.nan)
    return MinuteGrid(unknown, unknown, np.full((rows, minutes), 60.0), np.zeros((rows, minutes)))


def call_probabilities(services: Mapping[str, Any], failed: Floats) -> Any:
    """Mean calls per request with base retries, as a sparse matrix."""
    edges = call_edges(services)  # type: ignore[arg-type]
    tries = attempts(np.minimum(failed[edges.callee], 0.5), edges.retries)
    size = len(edges.services)
    return sparse.csr_array((edges.per_request * tries, (edges.caller, edges.callee)), shape=(size, size))


def _sheddable(services: Mapping[str, Any]) -> NDArray[np.bool_]:
    switched = {call.to for service in services.values() for call in service.calls if call.degrade is not None}
    return np.array([name in switched for name in services], dtype=bool)


def history_frame(demand: Any) -> pd.DataFrame:
    """DAU and DAT of past days, from whatever form the demand keeps them in."""
    history = getattr(demand, "history", None)
    frame: Any = history.totals() if history is not None and hasattr(history, "totals") else history
    if frame is None or not {"date", "dau", "dat"} <= set(frame.columns):
        return pd.DataFrame(
            {"date": pd.to_datetime([]), "dau": pd.Series([], dtype=float), "dat": pd.Series([], dtype=float)}
        )
    return pd.DataFrame(frame)


def _empty(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({"date": pd.to_datetime([]), **{name: pd.Series([], dtype=float) for name in columns}})


def zone_name(moment: Any) -> str:
    """Name of a moment's zone, as pandas takes it."""
    zone = moment.tzinfo
    return getattr(zone, "key", None) or str(zone)


def day_values(demand: Any, line: Timeline, daily: DailyVolumes) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Return DAU and DAT of the timeline's days, shape (sample, date): past days as they were, others as forecast."""
    dau, dat = demand.total_dau, demand.total_dat
    days = np.array([d.toordinal() for d in line.dates])
    have = np.array([pd.Timestamp(d).date().toordinal() for d in dau["date"].to_numpy()])
    columns, notes = [], []
    for values, past in ((dau.to_numpy(), daily.dau), (dat.to_numpy(), daily.dat)):
        out = np.empty((values.shape[0], days.size))
        for i, day in enumerate(days):
            hit = np.flatnonzero(have == day)
            row = int(day - daily.day[0]) if daily.day.size else -1
            if hit.size:
                out[:, i] = values[:, hit[0]]
            elif 0 <= row < past.size and np.isfinite(past[row]):
                out[:, i] = past[row]
            else:
                out[:, i] = values[:, np.abs(have - day).argmin()]
                notes.append(
                    f"{date.fromordinal(int(day))} is not in the demand forecast: its nearest day stands for it"
                )
        columns.append(np.maximum(out, 0.0))
    return columns[0], columns[1], tuple(dict.fromkeys(notes))
