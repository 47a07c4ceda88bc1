"""What seconds showed: dispersion of every entry, and what its opening minute adds to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.peaks import priors
from capacity.peaks.burst import estimate_dispersion, noise_ratio
from capacity.peaks.entries import event_axes
from capacity.peaks.events import EventForecast, predict_event
from capacity.peaks.evidence import MinuteGrid, PastEvent
from capacity.peaks.priors import Floats
from capacity.peaks.timeline import Timeline

_BUSY = 0.6  # of the busiest minute: calmer minutes say little about a peak's wobble
_OPENING_REACH = 30  # minutes after the start that are not ordinary busy minutes
_LEAST_MINUTES = 10
_LOG_SPREAD_SEEN = 0.25  # of φ between events, where minutes with seconds were seen


@dataclass(frozen=True)
class Seconds:
    """Burst inside the minute of each entry.

    Attributes
    ----------
    log_dispersion, log_dispersion_scale : ndarray, shape (entry,)
        log φ and its spread.
    ramp : EventForecast
        Log ratio of the opening minute's busiest second to what noise alone gives.
    seen : ndarray of bool, shape (entry,)
        Whether seconds of this entry are known.
    """

    log_dispersion: Floats
    log_dispersion_scale: Floats
    ramp: EventForecast
    seen: NDArray[np.bool_]


def learn_seconds(
    grids: Sequence[MinuteGrid], events: Sequence[PastEvent], line: Timeline, *, kind: str, year: float, n_entries: int
) -> Seconds:
    """Learn bursts from the busy minutes of past events.

    Parameters
    ----------
    grids : sequence of MinuteGrid
        One an event, rows are entries.
    events : sequence of PastEvent
    line : Timeline
    kind, year
        Of the promotion.
    n_entries : int
    """
    rest = (line.tau < 0) | (line.tau >= _OPENING_REACH)
    phi = np.full((len(grids), n_entries), np.nan)
    for p, grid in enumerate(grids):
        phi[p] = _busy_dispersion(grid, rest)
    log_phi, scale, seen = _pool(phi)
    ramp = np.full((len(grids), n_entries), np.nan)
    opening = next((c for c in line.cells if c.opening), None)
    if opening is not None:
        first = int(np.flatnonzero(line.tau == 0)[0])
        for p, grid in enumerate(grids):
            ramp[p] = _opening_ramp(grid, slice(first, min(first + _OPENING_REACH, opening.stop)), np.exp(log_phi))
    years, own, kinds = event_axes(events, kind)
    forecast = predict_event(ramp, years=years, own_kind=own, kinds=kinds, target_year=year, prior=priors.OPENING_RAMP)
    return Seconds(log_phi, scale, forecast, seen | np.isfinite(ramp).any(0))


def _busy_dispersion(grid: MinuteGrid, rest: NDArray[np.bool_]) -> Floats:
    rate = np.where(rest, grid.rate, np.nan)
    usable = np.isfinite(rate) & np.isfinite(grid.peak_qps) & (grid.width_s <= 60.0) & (rate > 0)
    top = np.where(usable, rate, 0.0).max(1, keepdims=True)
    busy = usable & (rate >= _BUSY * top)
    ratio = np.where(busy, grid.peak_qps / np.where(busy, rate, 1.0), np.nan)
    phi = estimate_dispersion(np.where(busy, rate, np.nan), ratio)
    return np.where(busy.sum(1) >= _LEAST_MINUTES, phi, np.nan)


def _opening_ramp(grid: MinuteGrid, opening: slice, phi: Floats) -> Floats:
    rate, peak = grid.rate[:, opening], grid.peak_qps[:, opening]
    usable = np.isfinite(rate) & (grid.width_s[:, opening] <= 60.0)
    at = np.where(usable, rate, -1.0).argmax(1)
    rows = np.arange(at.size)
    good = usable[rows, at] & np.isfinite(peak[rows, at]) & (rate[rows, at] > 0)
    top = np.where(good, rate[rows, at], 1.0)
    ratio = np.where(good, peak[rows, at], 1.0) / top
    return np.where(good, np.log(np.maximum(ratio / noise_ratio(top, phi), 1e-3)), np.nan)


def _pool(phi: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Log φ of each entry: its own, else the others', else the prior; its spread; whether its own."""
    floor = 1e-6
    known = np.isfinite(phi)
    logs = np.log(np.maximum(np.where(known, phi, 1.0), floor))
    counts = known.sum(0)
    own = np.where(known, logs, 0.0).sum(0) / np.maximum(counts, 1)
    seen = counts > 0
    if not seen.any():
        n = phi.shape[1]
        return np.full(n, priors.DISPERSION_LOC), np.full(n, priors.DISPERSION_SCALE), seen
    others = float(np.median(own[seen]))
    between = float(np.std(own[seen])) if seen.sum() > 1 else 0.5 * priors.DISPERSION_SCALE
    loc = np.where(seen, own, others)
    scale = np.where(seen, _LOG_SPREAD_SEEN * np.sqrt(1 + 1 / np.maximum(counts, 1)), max(between, 0.3))
    return loc, scale, seen
