"""`forecast_peaks`: from joint samples of DAU and DAT to every service's worst second."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace as with_fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from capacity.graph import total_rates
from capacity.peaks import priors
from capacity.peaks.arrivals import Arrivals
from capacity.peaks.burst import MEDIAN_OF_60
from capacity.peaks.business import peak_estimate, seen_peaks
from capacity.peaks.entries import event_axes, forecast_volume
from capacity.peaks.events import EventDraws, EventForecast, draw_event, predict_event
from capacity.peaks.evidence import MinuteGrid
from capacity.peaks.explain import explain
from capacity.peaks.fanout import Fanout, behind_limits, forecast_fanout, peak_ratio
from capacity.peaks.picture import Picture, day_values, gather
from capacity.peaks.priors import Floats
from capacity.peaks.propagate import Network
from capacity.peaks.remembered import remembered_shares
from capacity.peaks.result import FACTORS, Peaks, make_peaks
from capacity.peaks.seconds import Seconds, learn_seconds
from capacity.peaks.shape import PastShape
from capacity.peaks.simulate import Futures, Outcome, draw_shares, draw_volume, simulate
from capacity.peaks.spikes import Spikes, learn_spikes
from capacity.peaks.taught import Shifts, read_lessons
from capacity.peaks.timeline import past_day
from capacity.peaks.transactions import transaction_rate
from capacity.peaks.volume import modelled

if TYPE_CHECKING:
    from capacity.catalog import Catalog
    from capacity.forecast import Demand
    from capacity.history import Traffic
    from capacity.lessons import Lessons


@dataclass(frozen=True)
class Learnt:
    """What history taught, before any future is drawn."""

    volume: list[EventForecast]
    fanout: Fanout
    spikes: Spikes
    seconds: Seconds
    transaction_share: Floats


def forecast_peaks(
    demand: "Demand", traffic: "Traffic | None", *, services: "Catalog", lessons: "Lessons | None" = None, seed: int = 0
) -> Peaks:
    """Forecast every service's worst second in each phase of a promotion.

    Requests of a day follow from DAU and DAT; the busiest minute's share of the day from past promotions of the kind,
    aligned on the start instant, with growth over the years and the spread between events; the busiest second from
    over-dispersed counts and the opening's ramp; and all of it travels through the call graph instant by instant,
    because callers' worst seconds do not coincide. Requests that a limit turned away count as demand, load tests do
    not. Calls through a queue count when they arrive at it. Where history is thin the intervals widen and `Peaks.why`
    says so.

    Parameters
    ----------
    demand : Demand
        Joint samples of DAU and DAT by local day; its promotion, its ``as_of`` and past promotions are used.
    traffic : Traffic or None
        Requests by service and interval, of any width; nothing at or after ``demand.as_of`` may be visible in it.
    services : Catalog
        Services and their calls.
    lessons : Lessons, optional
        Corrections of ``requests_per_dat``, ``peak_share`` and ``burst`` that reviews taught.
    seed : int
        The same seed gives the same futures.

    Returns
    -------
    Peaks

    References
    ----------
    J. R. Jackson (1957), Networks of waiting lines, Operations Research 5(4): the traffic equations.
    H. A. David and H. N. Nagaraja (2003), Order Statistics: the largest of sixty seconds.
    A. Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., ch. 5: few events of many kinds, pooled.
    """
    picture = gather(demand, traffic, services)
    if not picture.entries.index.size:
        return _nothing_arrives(demand, picture)
    learnt = learn(picture, services)
    known = lessons.before(demand.as_of) if lessons is not None else None
    taught = read_lessons(known, picture, learnt.spikes.used)
    dau, dat, notes = day_values(demand, picture.line, picture.daily)
    futures, outcome, reach = draw(picture, learnt, taught, dau, dat, np.random.default_rng(seed))
    tps = transaction_rate(services, picture, outcome, futures, learnt.transaction_share)
    why, assumptions = explain(services, picture, learnt, taught, reach, notes)
    business = peak_estimate(demand.promotion, demand.past, tps, seen_peaks(services, picture))
    if business is not None:
        counting = [name for name in picture.names if services[name].counts_as == "transaction"]
        why |= {name: (*why[name], business.summary()) for name in counting}
    entry_names = tuple(picture.names[i] for i in picture.entries.index)
    return make_peaks(
        promotion=demand.promotion, as_of=demand.as_of, demand=demand, services=picture.names,
        phases=picture.line.phases, entries=entry_names, peak_qps=outcome.peak_qps, peak_at_s=outcome.peak_at_s,
        factors=outcome.factors, peak_tps=tps, seconds_known=seconds_known(picture, learnt.seconds), why=why,
        assumptions=(*assumptions, *getattr(demand, "assumptions", ())),
        arrivals=_arrivals(picture, learnt, futures, outcome), business=business, reach=reach,
    )  # fmt: skip


def _nothing_arrives(demand: Any, picture: Picture) -> Peaks:
    n_samples, line = int(demand.total_dau.sizes["sample"]), picture.line
    none = np.zeros((n_samples, len(line.phases), len(picture.names)))
    arrivals = Arrivals(
        first_minute=int(line.tau[0]), day=line.day, cell=np.full(line.size, -1, dtype=np.int64),
        phase=np.zeros(1, dtype=np.int64), profile=np.zeros((1, 0, line.size), dtype=np.float32),
        kappa=np.zeros(n_samples, dtype=np.int64), volume=np.zeros((n_samples, len(line.dates), 0), dtype=np.float32),
        log_height=np.zeros((n_samples, 1, 0), dtype=np.float32), peak_qps=np.zeros((n_samples, len(line.phases), 0)),
        peak_at_s=np.zeros((n_samples, len(line.phases), 0)),
    )  # fmt: skip
    reason = "no requests from outside are known, in the catalogue or in traffic: zero; write the `entry` of a service"
    return make_peaks(
        promotion=demand.promotion, as_of=demand.as_of, demand=demand, services=picture.names, phases=line.phases,
        entries=(), peak_qps=none, peak_at_s=none.copy(), factors=np.zeros((n_samples, 0, len(FACTORS))),
        peak_tps=np.zeros(n_samples), seconds_known=False, why=dict.fromkeys(picture.names, (reason,)),
        assumptions=(reason,), arrivals=arrivals,
    )  # fmt: skip


def learn(picture: Picture, services: Mapping[str, Any]) -> Learnt:
    """Learn volumes, shapes, bursts and calls per request from history."""
    kind, year, line, events = picture.kind, picture.year, picture.line, picture.events
    entries = picture.entries
    volume = forecast_volume(entries, picture.daily, line, events, kind=kind, year=year, stop=picture.stop)
    n_entries = entries.index.size
    seconds = learn_seconds(picture.whole, events, line, kind=kind, year=year, n_entries=n_entries)
    orders = _transaction_share(picture)
    spikes = learn_spikes(
        expected_days(picture, volume), events, line, picture.ordinary, kind=kind, year=year, transaction_share=orders,
        remembered=remembered_shares(services, picture, seconds),
    )  # fmt: skip
    called = np.asarray(picture.calls.sum(0)).ravel() > 0
    ratios = [peak_ratio(g.rate, g.rejected, picture.calls, entries.index) for g in picture.openings]
    fanout = forecast_fanout(
        picture.daily, picture.inside, ratios, events, entries=entries.index, called=called,
        sheddable=picture.sheddable, kind=kind, year=year, stop=picture.stop,
    )  # fmt: skip
    return Learnt(volume, fanout, spikes, seconds, orders)


def expected_days(picture: Picture, volume: list[EventForecast]) -> list[PastShape]:
    """Past events with the requests that their days should have had, for days whose logs are not whole."""
    daily, line = picture.daily, picture.line
    base = modelled(picture.entries.rates, daily.dau, daily.dat)
    out = []
    for event, past in zip(picture.events, picture.outside, strict=True):
        stands_for = {
            past_day(line, d, event.starts_at, event.duration_min).toordinal(): d for d in range(len(line.dates))
        }
        expected = {}
        for day in np.unique(past.day):
            row = int(day - daily.day[0]) if daily.day.size else -1
            if 0 <= row < daily.day.size and np.isfinite(base[row]).all():
                correction = volume[stands_for.get(int(day), 0)].mean
                expected[int(day)] = base[row] * np.exp(correction)
        out.append(with_fields(past, expected=expected))
    return out


def draw(
    picture: Picture, learnt: Learnt, taught: Shifts, dau: Floats, dat: Floats, rng: np.random.Generator
) -> tuple[Futures, Outcome, Floats]:
    """Draw the joint futures; also the reach of entries over services, calls per request corrected."""
    entries, n_samples = picture.entries, dau.shape[0]
    n_entries = entries.index.size
    mode = np.divide(1.0 - entries.extra_low, np.maximum(entries.extra_high - entries.extra_low, 1e-9))
    extra = _triangular(rng.random((n_samples, n_entries)), entries.extra_low, np.clip(mode, 0, 1), entries.extra_high)
    shocks = EventDraws.of(n_samples, n_entries, rng)
    volume = draw_volume(entries.rates, extra, learnt.volume, dau, dat, shocks, taught.requests_per_dat)
    steps = np.cumsum(learnt.spikes.kappa_weight)[:-1]
    kappa: NDArray[np.int64] = (rng.random((n_samples, 1)) > steps).sum(1)
    futures = Futures(dau, dat, volume, kappa)
    log_shares = draw_shares(learnt.spikes, picture.line, kappa, rng, taught.peak_share)
    centre = learnt.fanout.forecast.mean
    corrected = sparse.csr_array(picture.calls @ sparse.diags_array(np.exp(centre)))
    outside = np.zeros((n_entries, len(picture.names)))
    outside[np.arange(n_entries), entries.index] = 1.0
    reach = total_rates(corrected, outside)
    doubt = EventDraws.of(n_samples, len(picture.names), rng)
    shock = draw_event(learnt.fanout.forecast, doubt) - centre
    shock += draw_event(
        _callee_bursts(picture, learnt.seconds, reach), EventDraws.of(n_samples, len(picture.names), rng)
    )
    outcome = simulate(
        picture.line, futures, learnt.spikes, log_shares, learnt.seconds, Network.of(reach, entries.index), shock,
        burst_shift=taught.burst, entry_index=entries.index, rng=rng,
    )  # fmt: skip
    return futures, outcome, reach


def _callee_bursts(picture: Picture, seconds: Seconds, reach: Floats) -> EventForecast:
    """Compare callees' busiest seconds in past openings with those that their callers' arrivals imply."""
    entries = picture.entries.index
    network = Network.of(reach, entries)
    values = np.full((len(picture.events), len(picture.names)), np.nan)
    phi = np.exp(seconds.log_dispersion)
    ramp = np.exp(seconds.ramp.mean)
    for p, (grid, past) in enumerate(zip(picture.openings, picture.outside, strict=True)):
        outside = past.rate[:, picture.opening_minutes]
        if not np.isfinite(outside).any():
            continue
        held = behind_limits(grid.rejected, picture.calls)
        values[p] = _burst_of_callees(grid, held, np.nan_to_num(outside), network, phi, ramp)
    values[:, entries] = np.nan
    years, own, kinds = event_axes(picture.events, picture.kind)
    forecast = predict_event(
        values, years=years, own_kind=own, kinds=kinds, target_year=picture.year, prior=priors.CALLEE_BURST
    )
    inner = np.ones(len(picture.names), dtype=bool)
    inner[entries] = False
    loc, scale = np.where(inner, forecast.loc, 0.0), np.where(inner, forecast.scale, 0.0)
    return EventForecast(loc, scale, forecast.weight, forecast.correlation, forecast.own, forecast.other)


def _burst_of_callees(
    grid: MinuteGrid, held: NDArray[np.bool_], outside: Floats, network: Network, phi: Floats, ramp: Floats
) -> Floats:
    """Log of observed to implied ratio of busiest second to mean, in each callee's busiest opening minute."""
    rate, peak = grid.rate, grid.peak_qps
    usable = np.isfinite(rate) & np.isfinite(peak) & (grid.width_s <= 60.0) & ~held & (rate > 0)
    at = np.where(usable, rate, -1.0).argmax(1)
    rows = np.arange(at.size)
    good = usable[rows, at]
    out = np.full(rate.shape[0], np.nan)
    top = outside.max(1, keepdims=True)
    lift = 1.0 + (ramp[:, None] - 1.0) * np.clip(2.0 * outside / np.where(top > 0, top, 1.0) - 1.0, 0.0, 1.0)
    for minute in np.unique(at[good]):
        flow = outside[:, minute][None]
        mean = np.asarray(flow @ network.reach)[0]
        worst = network.worst_second(flow * lift[:, minute], phi, np.array([[MEDIAN_OF_60]]))[0]
        here = good & (at == minute) & (mean > 0)
        implied = worst[here] / mean[here]
        seen = peak[here, minute] / rate[here, minute]
        out[here] = np.log(np.maximum(seen, 1e-3) / np.maximum(implied, 1e-3))
    return out


def _transaction_share(picture: Picture) -> Floats:
    """Part of each entry's requests that comes with orders, on the recent days that are known."""
    rates, daily = picture.entries.rates, picture.daily
    recent = slice(-90, None)
    dau = np.nanmean(daily.dau[recent]) if np.isfinite(daily.dau[recent]).any() else 1.0
    dat = np.nanmean(daily.dat[recent]) if np.isfinite(daily.dat[recent]).any() else 0.1
    total = rates[:, 0] * dau + rates[:, 1] * dat + rates[:, 2]
    return np.asarray(np.clip(rates[:, 1] * dat / np.where(total > 0, total, 1.0), 0.0, 1.0))


def _triangular(uniform: Floats, low: Floats, mode: Floats, high: Floats) -> Floats:
    width = high - low
    left = low + width * np.sqrt(uniform * mode)
    right = high - width * np.sqrt((1.0 - uniform) * (1.0 - mode))
    return np.where(uniform < mode, left, right)


def seconds_known(picture: Picture, seconds: Seconds) -> bool:
    """Whether seconds of every entry that traffic shows are known."""
    seen = np.isfinite(picture.entries.outside).any(0)
    return bool(picture.has_traffic and seen.any() and seconds.seen[seen].all())


def _arrivals(picture: Picture, learnt: Learnt, futures: Futures, outcome: Outcome) -> Arrivals:
    line = picture.line
    cell = np.full(line.size, -1, dtype=np.int64)
    for i, c in enumerate(line.cells):
        cell[c.first : c.stop] = i
    return Arrivals(
        first_minute=int(line.tau[0]), day=line.day, cell=cell,
        phase=np.array([c.phase for c in line.cells], dtype=np.int64),
        profile=learnt.spikes.profile.astype(np.float32), kappa=futures.kappa,
        volume=futures.volume.astype(np.float32), log_height=outcome.log_height.astype(np.float32),
        peak_qps=outcome.entry_qps, peak_at_s=outcome.entry_at_s,
    )  # fmt: skip
