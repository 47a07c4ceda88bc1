"""Joint futures of the worst second: blocks of samples × instants × entries, maxima taken at once.

Never seconds × services for all samples: each phase is looked at in a bounded number of instants (the busiest
minute of every entry and of equal parts of the phase), each instant is propagated through the graph for all
samples together, and only the running maxima are kept.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.peaks.burst import noise_ratio
from capacity.peaks.events import EventDraws, EventForecast, draw_event
from capacity.peaks.plateau import competing_minutes, largest_of_minutes
from capacity.peaks.priors import Floats
from capacity.peaks.propagate import Network, external_second
from capacity.peaks.seconds import Seconds
from capacity.peaks.shape import choose_minutes, running_mean
from capacity.peaks.spikes import Spikes
from capacity.peaks.timeline import Cell, Ints, Timeline

_BLOCKS, _MINUTES_A_CELL, _DAYS_A_PHASE = 6, 10, 4
_VALUES_AT_ONCE = 1 << 18
_SMOOTH_MIN = 9  # few past events' minutes are noisy: a plateau is told from their running mean


@dataclass(frozen=True)
class Futures:
    """What one forecast draws once and every phase uses.

    Attributes
    ----------
    dau, dat : ndarray, shape (sample, date)
    volume : ndarray, shape (sample, date, entry)
        External requests a day.
    kappa : ndarray of int, shape (sample,)
        Position in the spikes' kappas.
    """

    dau: Floats
    dat: Floats
    volume: Floats
    kappa: NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """Worst seconds of all futures.

    Attributes
    ----------
    peak_qps, peak_at_s : ndarray, shape (sample, phase, service)
    entry_qps, entry_at_s : ndarray, shape (sample, phase, entry)
        External requests of the entry's own worst second, and when.
    factors : ndarray, shape (sample, entry, 5)
    log_height : ndarray, shape (sample, cell, entry)
        Log of a cell's share over the profile's.
    """

    peak_qps: Floats
    peak_at_s: Floats
    entry_qps: Floats
    entry_at_s: Floats
    factors: Floats
    log_height: Floats


def draw_volume(
    rates: Floats,
    extra: Floats,
    corrections: list[EventForecast],
    dau: Floats,
    dat: Floats,
    draws: EventDraws,
    shift: Floats | float = 0.0,
) -> Floats:
    """Draw external requests a day, shape (sample, date, entry).

    Parameters
    ----------
    rates : ndarray, shape (entry, 3)
        Per DAU, per DAT, per day.
    extra : ndarray, shape (sample, entry)
        Factor on the third rate.
    corrections : list of EventForecast
        One a date.
    dau, dat : ndarray, shape (sample, date)
    draws : EventDraws
        The same for all dates: one event is one shock.
    shift : float or ndarray, shape (entry,)
        Of the log, from lessons.
    """
    out = np.empty((*dau.shape, rates.shape[0]))
    for day, correction in enumerate(corrections):
        base = dau[:, day, None] * rates[:, 0] + dat[:, day, None] * rates[:, 1] + extra * rates[:, 2]
        out[:, day] = base * np.exp(draw_event(correction.shifted(shift), draws))
    return out


def draw_shares(
    spikes: Spikes, line: Timeline, kappa: NDArray[np.int64], rng: np.random.Generator, shift: Floats
) -> list[Floats]:
    """Draw the log share of each cell's busiest minute, one array (sample, entry) a cell.

    Cells of one phase share an event's shock; the opening has its own.
    """
    n_samples, n_entries = kappa.size, spikes.profile.shape[1]
    shocks = {phase: EventDraws.of(n_samples, n_entries, rng) for phase in range(len(line.phases))}
    out = []
    for i, cell in enumerate(line.cells):
        logs = np.empty((n_samples, n_entries))
        for k in range(spikes.kappas.size):
            rows = kappa == k
            if rows.any():
                drawn = draw_event(spikes.peaks[k][i].shifted(shift), shocks[cell.phase])
                logs[rows] = drawn[rows]
        out.append(np.minimum(logs, 0.0))
    return out


def simulate(
    line: Timeline,
    futures: Futures,
    spikes: Spikes,
    log_shares: list[Floats],
    seconds: Seconds,
    network: Network,
    service_shock: Floats,
    *,
    burst_shift: Floats,
    entry_index: Ints,
    rng: np.random.Generator,
) -> Outcome:
    """Find the worst second of every service in every phase and future.

    Parameters
    ----------
    line : Timeline
    futures : Futures
    spikes : Spikes
    log_shares : list of ndarray, shape (sample, entry)
        One a cell.
    seconds : Seconds
    network : Network
        Entries to services.
    service_shock : ndarray, shape (sample, service)
        Log doubt about a service's calls per request.
    burst_shift : ndarray, shape (entry,)
        Of the log ramp, from lessons.
    entry_index : ndarray of int
        Positions of the entries among the services.
    rng : Generator
    """
    n_samples, _, n_entries = futures.volume.shape
    n_services = service_shock.shape[1]
    own = rng.standard_normal((n_samples, n_entries)) * 0.5**0.5 + rng.standard_normal((n_samples, 1)) * 0.5**0.5
    dispersion = np.exp(seconds.log_dispersion + seconds.log_dispersion_scale * own)
    ramp = np.exp(draw_event(seconds.ramp.shifted(burst_shift), EventDraws.of(n_samples, n_entries, rng)))
    doubt = np.exp(service_shock)
    shape = (n_samples, len(line.phases))
    best = _Best.of(shape, n_services, n_entries)
    log_height = np.zeros((n_samples, len(line.cells), n_entries))
    pooled = spikes.profile.mean(0)
    looked_at = _cells_that_matter(line, futures, log_shares)
    for i, cell in enumerate(line.cells):
        top = spikes.profile[:, :, cell.first : cell.stop].max(-1)
        log_height[:, i] = log_shares[i] - np.log(np.maximum(top[futures.kappa], 1e-12))
        if i not in looked_at:
            continue
        minutes = choose_minutes(pooled, cell, blocks=_BLOCKS, limit=_MINUTES_A_CELL)
        relative = spikes.profile[:, :, minutes]
        relative = relative / np.maximum(relative.max(-1, keepdims=True), 1e-300)
        top_rate = futures.volume[:, cell.day] * np.exp(log_shares[i]) / 60.0
        # Where many minutes compete, their own wobble is part of a second's.
        phi = dispersion + spikes.wobble[i]
        typical = np.median(phi, axis=0)
        competing = _competing(network, pooled, cell, minutes, np.median(top_rate, axis=0), typical)
        for c, minute in enumerate(minutes):
            here = relative[futures.kappa, :, c]
            rate = top_rate * here
            uniform = np.asarray(rng.random(n_samples))
            outside_largest = largest_of_minutes(uniform, competing[c][entry_index])
            lift: Floats | float = 1.0
            if cell.opening:
                # A minute's busiest second is never below its mean.
                lift = np.maximum(_ramp_at(ramp, here), 1.0 / noise_ratio(rate, phi, outside_largest))
            at = 60.0 * line.tau[minute] + rng.integers(0, 60, n_samples)
            inflow = rate * lift
            for rows in _row_blocks(n_samples, n_services):
                largest = largest_of_minutes(uniform[rows], competing[c])
                service = network.worst_second(inflow[rows], phi[rows], largest) * doubt[rows]
                best.take_services(cell.phase, service, at[rows], rows)
            outside = external_second(inflow, phi, outside_largest) * doubt[:, entry_index]
            best.take_entries(cell.phase, outside, at, cell.day, np.exp(log_shares[i]) * here, rate)
    return Outcome(best.service, best.service_at, best.entry, best.entry_at, best.factors(futures), log_height)


def _row_blocks(n_samples: int, n_services: int) -> list[slice]:
    """Cut the futures so that samples × services of one step fit a processor's cache: thousands of services do not."""
    step = max(_VALUES_AT_ONCE // max(n_services, 1), 1)
    return [slice(start, min(start + step, n_samples)) for start in range(0, n_samples, step)]


def _competing(
    network: Network, pooled: Floats, cell: Cell, minutes: Ints, top_rate: Floats, dispersion: Floats
) -> Floats:
    """Minutes of the cell that compete with each chosen one, shape (instant, service), in a typical future."""
    part = pooled[:, cell.first : cell.stop]
    if not cell.opening:
        part = running_mean(part, _SMOOTH_MIN)
    rate = (part / np.maximum(part.max(1, keepdims=True), 1e-300)).T * top_rate
    chosen = minutes - cell.first
    mean = network.mean(rate)
    spread = np.sqrt(network.variance(rate[chosen], dispersion))
    return competing_minutes(mean, chosen, spread / np.maximum(mean[chosen], 1e-300))


def _ramp_at(ramp: Floats, relative: Floats) -> Floats:
    """Apply the ramp to the opening minute; it fades where the shape has fallen to half of it."""
    return np.asarray(1.0 + (ramp - 1.0) * np.clip(2.0 * relative - 1.0, 0.0, 1.0))


def _cells_that_matter(line: Timeline, futures: Futures, log_shares: list[Floats]) -> set[int]:
    """Cells of each phase in which the worst second may lie: long phases have many days, few of them matter."""
    keep: set[int] = set()
    for phase in range(len(line.phases)):
        cells = [i for i, c in enumerate(line.cells) if c.phase == phase]
        if len(cells) > _DAYS_A_PHASE:
            height = [
                float(np.median(futures.volume[:, line.cells[i].day] * np.exp(log_shares[i]), axis=0).sum())
                for i in cells
            ]
            cells = [cells[j] for j in np.argsort(height)[::-1][:_DAYS_A_PHASE]]
        keep.update(cells)
    return keep


@dataclass
class _Best:
    """Running maxima."""

    service: Floats
    service_at: Floats
    entry: Floats
    entry_at: Floats
    top: Floats
    day: NDArray[np.int64]
    share: Floats
    rate: Floats

    @classmethod
    def of(cls, shape: tuple[int, int], n_services: int, n_entries: int) -> "_Best":
        n = shape[0]
        return cls(
            np.zeros((*shape, n_services)), np.zeros((*shape, n_services)),
            np.zeros((*shape, n_entries)), np.zeros((*shape, n_entries)),
            np.full((n, n_entries), -1.0), np.zeros((n, n_entries), dtype=np.int64),
            np.zeros((n, n_entries)), np.zeros((n, n_entries)),
        )  # fmt: skip

    def take_services(self, phase: int, value: Floats, at: Floats, rows: slice) -> None:
        kept, when = self.service[rows, phase], self.service_at[rows, phase]
        better = value > kept
        np.copyto(kept, value, where=better)
        np.copyto(when, np.broadcast_to(at[:, None], value.shape), where=better)

    def take_entries(self, phase: int, value: Floats, at: Floats, day: int, share: Floats, rate: Floats) -> None:
        kept, when = self.entry[:, phase], self.entry_at[:, phase]
        better = value > kept
        np.copyto(kept, value, where=better)
        np.copyto(when, np.broadcast_to(at[:, None], value.shape), where=better)
        highest = value > self.top
        self.top = np.where(highest, value, self.top)
        self.day = np.where(highest, day, self.day)
        self.share = np.where(highest, share, self.share)
        self.rate = np.where(highest, rate, self.rate)

    def factors(self, futures: Futures) -> Floats:
        """DAU, DAT per DAU, requests per DAT, peak share, burst of each entry's worst second."""
        rows = np.arange(self.top.shape[0])[:, None]
        tiny = 1e-9
        dau = np.maximum(futures.dau[rows, self.day], tiny)
        dat = np.maximum(futures.dat[rows, self.day], tiny)
        columns = np.arange(self.top.shape[1])[None]
        volume = futures.volume[rows, self.day, columns]
        live = self.rate > 0
        burst = np.where(live, np.maximum(self.top, 0.0) / np.where(live, self.rate, 1.0), 1.0)
        return np.stack([dau, dat / dau, volume / dat, self.share, burst], axis=-1)
