"""`forecast_intraday`: the intervals ahead, each day's busiest, and peak seconds, of ordinary traffic."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity.errors import InputError, Problem
from capacity.forecast.tables import check_quantiles
from capacity.peaks.intraday.block_maxima import PeakRatio, learn_ratio
from capacity.peaks.intraday.daily import N_PATHS, daily_quantiles, peaks_of_days
from capacity.peaks.intraday.futures import Dependence
from capacity.peaks.intraday.grid import Grid, lay_out
from capacity.peaks.intraday.outlook import MixedOutlook
from capacity.peaks.intraday.result import IntradayForecast
from capacity.peaks.intraday.shape import Floats, Ints
from capacity.peaks.intraday.targets import Target, calendar, follow_target, followed_peaks, roll_next, together
from capacity.peaks.intraday.uncertainty import at_probability, value_at_score

_FIGURE_DAYS = 7
_THIN_DAYS = 14


@dataclass(frozen=True)
class _Ahead:
    """Quantiles at `SCORES` of one target ahead, as counts, and of its daily peaks."""

    counts: Floats
    daily: Floats
    busiest: Ints
    dependence: Dependence


def forecast_intraday(
    history: pd.DataFrame,
    *,
    horizon: int,
    quantiles: Iterable[float],
    holidays: pd.DataFrame | str | None = None,
    n_samples: int = 0,
    seed: int = 0,
) -> IntradayForecast:
    """Forecast ordinary, event-free traffic by the interval.

    Parameters
    ----------
    history : DataFrame
        ts, series, value: requests in the interval that starts at ts, any regular interval from a minute to an hour
        (what the timestamps say); optionally peak, its largest one-second count. Missing is unknown, zero is zero.
        Times with a zone are taken in it: days and their shape are local.
    horizon : int
        Intervals ahead, from the one after the history's last on.
    quantiles : iterable of float
        Strictly between 0 and 1.
    holidays : DataFrame or str, optional
        date and name, or a country's code.
    n_samples, seed : int
        Joint samples to draw, and the seed they follow.

    Returns
    -------
    IntradayForecast

    Raises
    ------
    InputError
        The history or an argument breaks its contract.
    NotCoveredError
        Fewer than two days.

    Notes
    -----
    On a scale where noise is even (logarithmic, root-like near zero) an interval is the level with several memories,
    plus the shape of its weekday shrunk toward the shape of all days frequency by frequency, plus what of the last
    hours' residuals persists. Holidays move toward a rest day as past ones did; odd days and slots are held. Errors
    are those of all past origins, by horizon and slot (split conformal, steered by recent coverage). Peak seconds are
    followed likewise; where they have two separate heights (recurring bursts), as a mixture of both with the
    probability that a burst is due; where few are known, as block maxima of over-dispersed counts. Called again as an
    evening goes on, it projects anew the peak still to come: a day's peak is at least what was seen of it.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> ts = pd.date_range("2026-03-02", periods=24 * 21, freq="h")
    >>> rng = np.random.default_rng(0)
    >>> value = rng.poisson(1000 * (1.5 - np.cos(2 * np.pi * ts.hour / 24)))
    >>> forecast = forecast_intraday(
    ...     pd.DataFrame({"ts": ts, "series": "web", "value": value}), horizon=24, quantiles=[0.5, 0.99]
    ... )
    >>> forecast.daily_peaks["at"].dt.hour.item() in range(10, 15)
    True

    References
    ----------
    .. [1] B. Efron and C. Morris (1975), Data analysis using Stein's estimator and its generalizations.
    .. [2] J. Lei et al. (2018), Distribution-free predictive inference for regression.
    """
    wanted = check_quantiles(quantiles)
    if horizon < 1 or n_samples < 0:
        raise InputError(
            "horizon must be at least 1 and n_samples at least 0",
            problems=[Problem("horizon, n_samples", f"{horizon}, {n_samples}", "whole numbers of at least 1 and 0")],
        )
    grid = lay_out(history)
    starts, places = grid.ahead(horizon)
    longest = int(places.max()) - grid.end + 1
    leads = -(-(grid.end % grid.n_slots + longest) // grid.n_slots)
    weekday, holiday = calendar(grid, holidays, leads + 2)
    volume = follow_target(grid.requests, np.arange(len(grid.series)), weekday, holiday, longest=longest, bursts=False)
    requests = _ahead(volume, grid, places - grid.end, leads)
    followed = followed_peaks(grid)
    peaks = None
    seconds = None
    if grid.has_peaks:
        ratio = learn_ratio(_flat(grid.requests), _flat(grid.peaks), grid.interval_s)
        if followed.size:
            peaks = follow_target(grid.peaks, followed, weekday, holiday, longest=longest, bursts=True)
        seconds = _peaks_ahead(peaks, ratio, requests, grid, places - grid.end, leads)
    samples, peak_samples = _draw(requests, seconds, volume, peaks, horizon=horizon, n_samples=n_samples, seed=seed)
    tables = _Tables(grid, starts, wanted, leads, longest)
    return IntradayForecast(
        grid.series,
        grid.interval_s,
        tables.intervals(requests.counts),
        tables.days(requests, grid.requests),
        None if seconds is None else tables.intervals(seconds.counts),
        None if seconds is None else tables.days(seconds, grid.peaks),
        samples,
        peak_samples,
        _recent(grid),
        _why(grid, followed, peaks),
    )


def _flat(values: Floats) -> Floats:
    return values.reshape(len(values), -1)


def _ahead(target: Target, grid: Grid, horizon: Ints, leads: int) -> _Ahead:
    """Quantiles ahead of a target's series."""
    outlook, n_slots = target.outlook, grid.n_slots
    rolled = target.days(leads)
    counts = target.counts(outlook.path(-1, grid.end, horizon))
    day, slot = divmod(grid.end, n_slots)
    rest = np.arange(leads * n_slots - slot)
    rng = np.random.default_rng(0)
    scores = rolled.dependence.draw(rng, n_samples=N_PATHS, n_series=1, horizon=rest.size)
    futures = value_at_score(outlook.path(-1, grid.end, rest), scores)
    begun = np.full((*futures.shape[:2], slot), -np.inf)
    centre, scale, busiest = peaks_of_days(np.concatenate([begun, futures], axis=2), n_slots)
    table = rolled.tables[:, min(day, rolled.tables.shape[1] - 1)]
    quantiles = daily_quantiles(centre, scale, table[:, None])
    daily = target.counts(quantiles.transpose(1, 0, 2))
    return _Ahead(counts, daily, busiest, rolled.dependence)


def _peaks_ahead(
    target: Target | None, ratio: PeakRatio, requests: _Ahead, grid: Grid, horizon: Ints, leads: int
) -> _Ahead:
    """Peak seconds of all series: followed where enough are known, else from the interval's mean."""
    counts, daily = ratio.peaks(requests.counts), ratio.peaks(requests.daily)
    busiest, dependence = requests.busiest.copy(), requests.dependence
    if target is not None:
        own = _ahead(target, grid, horizon, leads)
        counts[target.rows], daily[target.rows] = own.counts, own.daily
        busiest[:, target.rows] = own.busiest
        dependence = own.dependence
    return _Ahead(counts, daily, busiest, dependence)


def _draw(
    requests: _Ahead,
    seconds: _Ahead | None,
    volume: Target,
    peaks: Target | None,
    *,
    horizon: int,
    n_samples: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Joint futures of requests and peak seconds."""
    n_series = len(requests.counts)
    none = np.zeros((0, n_series, horizon))
    if not n_samples:
        return none, none
    rng = np.random.default_rng(seed)
    shared = requests.dependence.draw(rng, n_samples=n_samples, n_series=n_series, horizon=horizon)
    samples = value_at_score(requests.counts, shared)
    if seconds is None:
        return samples, none
    own = seconds.dependence.draw(rng, n_samples=n_samples, n_series=n_series, horizon=horizon)
    alike = 0.9
    if peaks is not None:
        alike = together(roll_next(volume, ())[1][peaks.rows], roll_next(peaks, ())[1])
    return samples, value_at_score(seconds.counts, alike * shared + np.sqrt(1 - alike**2) * own)


@dataclass(frozen=True)
class _Tables:
    """Frames of a forecast."""

    grid: Grid
    starts: pd.DatetimeIndex
    wanted: tuple[float, ...]
    leads: int
    longest: int

    def intervals(self, counts: Floats) -> pd.DataFrame:
        """Build series, ts, quantiles."""
        n = len(self.grid.series)
        names = np.repeat(np.array(self.grid.series, dtype=object), len(self.starts))
        frame = pd.DataFrame({"series": names, "ts": self.starts.append([self.starts] * (n - 1))})
        for q in self.wanted:
            frame[q] = at_probability(counts, q).ravel()
        return frame

    def days(self, ahead: _Ahead, values: Floats) -> pd.DataFrame:
        """Build series, date, at, so_far, quantiles, of the days that the horizon covers to their end."""
        grid = self.grid
        day, slot = divmod(grid.end, grid.n_slots)
        whole = (slot + self.longest) // grid.n_slots
        rows = []
        for s, name in enumerate(grid.series):
            for lead in range(whole):
                seen = _busiest(values[s, day, :slot]) if lead == 0 and slot else (np.nan, -1)
                q = {p: float(at_probability(ahead.daily[s, lead], p)) for p in self.wanted}
                q = {p: value if np.isnan(seen[0]) else max(value, seen[0]) for p, value in q.items()}
                place = int(ahead.busiest[lead, s])
                middle = float(at_probability(ahead.daily[s, lead], 0.5))
                place = seen[1] if seen[0] > middle else place
                date = grid.first + pd.Timedelta(days=day + lead)
                at = date + pd.Timedelta(seconds=grid.phase_s + place * grid.interval_s)
                row: dict[object, object] = {"series": name, "date": date, "at": at, "so_far": seen[0]}
                rows.append(row | dict(q))
        columns = ["series", "date", "at", "so_far", *self.wanted]
        return pd.DataFrame(rows, columns=pd.Index(columns, dtype=object))


def _busiest(seen: Floats) -> tuple[float, int]:
    if not np.isfinite(seen).any():
        return float("nan"), -1
    return float(np.nanmax(seen)), int(np.nanargmax(seen))


def _recent(grid: Grid) -> pd.DataFrame:
    n = min(_FIGURE_DAYS * grid.n_slots, grid.end)
    times = grid.starts()[grid.end - n : grid.end]
    parts = []
    for s, name in enumerate(grid.series):
        value, peak = (_flat(a)[s, grid.end - n : grid.end] for a in (grid.requests, grid.peaks))
        part = pd.DataFrame({"series": name, "ts": times, "value": value})
        parts.append(part.assign(peak=peak) if grid.has_peaks else part)
    frame = pd.concat(parts, ignore_index=True)
    if grid.zone is not None:
        frame["ts"] = frame["ts"].dt.tz_localize(grid.zone, ambiguous="NaT", nonexistent="NaT")
    return frame.dropna(subset=["ts"])


def _why(grid: Grid, followed: Ints, peaks: Target | None) -> tuple[str, ...]:
    says = []
    days = grid.end / grid.n_slots
    if days < _THIN_DAYS:
        says.append(f"{days:.1f} days of history: weekdays are hardly told apart and intervals are wide")
    if grid.has_peaks and followed.size < len(grid.series):
        names = [name for s, name in enumerate(grid.series) if s not in set(followed.tolist())]
        says.append(
            f"peak seconds of {', '.join(names[:5])}{' …' if len(names) > 5 else ''} are hardly known: "
            "taken from the interval's mean, its over-dispersion and published figures"
        )
    if peaks is not None and isinstance(peaks.outlook, MixedOutlook) and peaks.outlook.present[-1].any():
        names = [grid.series[r] for r in peaks.rows[peaks.outlook.present[-1]]]
        says.append(f"peak seconds of {', '.join(names[:5])} have two heights: recurring bursts are forecast apart")
    return tuple(says)
