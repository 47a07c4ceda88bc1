"""`forecast_panel`: daily volumes of any number of series with known events, in one linear-algebra pass."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.errors import InputError, NotCoveredError, Problem
from capacity.forecast import intervals, occurrences
from capacity.forecast.calendar import a_year_before, holiday_frame, holiday_regressors, seasons
from capacity.forecast.closure_effects import common_closures, own_closures
from capacity.forecast.design import (
    KIND_SHARE,
    Columns,
    Design,
    damping_column,
    event_names,
    event_prior,
    event_values,
    join,
    slope_column,
)
from capacity.forecast.fit import PanelFit, fit_panel
from capacity.forecast.tables import Event, PanelTable, check_quantiles, event_list, panel_table
from capacity.result import Result

Floats = npt.NDArray[np.float64]
_TOTAL_DRAWS = 1000
_FEW_SERIES = 40


@dataclass(frozen=True)
class PanelForecast(Result):
    """Forecast of a panel.

    Attributes
    ----------
    quantiles : DataFrame
        series, date and one column a quantile, named by the floats passed.
    total_quantiles : DataFrame
        date and the quantiles of the sum over series; dependence between series counted.
    samples : (n_samples, series, horizon) array
        Joint futures; the order of series is that of `series`.
    components : DataFrame
        series, date, level, season, holiday, event: they add up to the log of the middle forecast (plus ``offset``
        inside the logarithm, above 0 for series that have zeros).
    error_model : ErrorModel
        What rolling origins taught of the errors.
    n_breaks : int
        Lasting shifts of a level that were found.
    why : tuple of str
        What the events ahead lean on, how thin that is, and what else moved the forecast.
    """

    series: tuple[str, ...]
    dates: pd.DatetimeIndex
    quantiles: pd.DataFrame
    total_quantiles: pd.DataFrame
    samples: Floats
    components: pd.DataFrame
    error_model: intervals.ErrorModel
    n_breaks: int
    why: tuple[str, ...]

    def summary(self) -> str:
        """Say the panel's size and span."""
        return f"{len(self.series)} series, {len(self.dates)} days from {self.dates[0]:%Y-%m-%d}"

    def to_frame(self) -> pd.DataFrame:
        """Return the quantiles."""
        return self.quantiles


def forecast_panel(
    history: pd.DataFrame,
    *,
    events: pd.DataFrame | None,
    closed: pd.DataFrame | None = None,
    holidays: pd.DataFrame | str | None = None,
    horizon: int,
    quantiles: Iterable[float],
    n_samples: int = 0,
    seed: int = 0,
) -> PanelForecast:
    """Forecast daily volumes of many series, with events known ahead.

    Parameters
    ----------
    history : DataFrame
        date, series, value; a missing date is unknown, a zero is zero. Day 1 follows the panel's last date.
    events : DataFrame or None
        kind, starts_on, ends_on (both inside), optionally series (empty: all) and intensity; past and future.
    closed : DataFrame, optional
        date, series of known closures, past and future: nothing is learnt from them and the forecast is 0.
    holidays : DataFrame or str, optional
        date and name, or a country's code.
    horizon : int
        Days ahead, at least 1.
    quantiles : iterable of float
        Strictly between 0 and 1.
    n_samples, seed : int
        Joint samples to draw, and the seed they follow.

    Returns
    -------
    PanelForecast

    Raises
    ------
    InputError
        A table breaks its contract.
    NotCoveredError
        No series has a single known day.

    Notes
    -----
    log(value) = level + season + holiday + event + noise. The level is a random walk with the memory its series
    shows; the regression is solved in the level's innovations, each series shrunk toward the pool (empirical Bayes);
    errors are those of up to thirteen refits as of past days, scaled per series and horizon (split conformal).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> dates = pd.date_range("2026-01-01", periods=200)
    >>> history = pd.DataFrame({"date": dates, "series": "app", "value": 100 * 1.5 ** (dates.day_of_week >= 5)})
    >>> forecast = forecast_panel(history, events=None, horizon=7, quantiles=[0.5])
    >>> forecast.quantiles[0.5].round(-1).tolist()
    [100.0, 100.0, 100.0, 100.0, 100.0, 150.0, 150.0]

    References
    ----------
    .. [1] A. C. Harvey (1989). Forecasting, Structural Time Series Models and the Kalman Filter.
    .. [2] J. Lei et al. (2018). Distribution-free predictive inference for regression.
    """
    wanted = check_quantiles(quantiles)
    if horizon < 1 or n_samples < 0:
        raise InputError(
            "horizon must be at least 1 and n_samples at least 0",
            problems=[Problem("horizon, n_samples", f"{horizon}, {n_samples}", "whole numbers of at least 1 and 0")],
        )
    table = panel_table(history, closed=closed, horizon=horizon)
    if not np.isfinite(table.values).any():
        raise NotCoveredError("no series has a known day", remedy="pass a history with at least some weeks of values")
    logs, offset = to_logs(table.values)
    known = event_list(events, table)
    design, inside = panel_design(table, known, holidays)
    fit = fit_panel(design, logs, horizon=horizon, earlier=a_year_before(table.dates), events=known)
    errors = error_model_of(fit, inside)
    coming = [event for event in known if event.end >= table.n_history and event.start < table.n_days]
    why = (*occurrences.reasons(fit.spread, coming), *_other_reasons(fit, table))
    return _result(table, fit, errors, inside, offset, wanted, why=why, n_samples=n_samples, seed=seed)


def _other_reasons(fit: PanelFit, table: PanelTable) -> Iterator[str]:
    """Say what else moves the forecast or its width."""
    strong = np.flatnonzero(np.abs(fit.dates.effect[table.n_history :]) > 0.1)
    if len(strong):
        names = ", ".join(f"{table.dates[table.n_history + day]:%Y-%m-%d}" for day in strong[:5])
        yield (
            f"dates that stood out a year before are taken to come again by {fit.dates.returns:.0%}: {names}"
            f"{' and more' if len(strong) > 5 else ''}; holidays that are named are learnt better"
        )
    if n_breaks := int(fit.filtered.breaks.sum()):
        yield f"{n_breaks} lasting shifts of a level were found; levels start anew after them"
    if table.n_history < 365:
        yield f"the history has {table.n_history} days: a whole year's season has not been seen"


def to_logs(values: Floats) -> tuple[Floats, Floats]:
    """Return logs and what was added before (series, 1): a twentieth of the median where there are zeros, else 0."""
    known = np.isfinite(values)
    zeros = (known & (values == 0)).any(axis=1)
    typical = np.ones(len(values))
    some = (known & (values > 0)).any(axis=1)
    if some.any():
        typical[some] = np.nanmedian(np.where(values[some] > 0, values[some], np.nan), axis=1)
    offset = np.where(zeros | ~some, np.maximum(0.05 * typical, 0.0), 0.0)[:, None]
    return np.log(values + offset), offset


def panel_design(
    table: PanelTable, events: Sequence[Event], holidays: pd.DataFrame | str | None
) -> tuple[Design, npt.NDArray[np.bool_]]:
    """Design of a panel, and which days (series, days) lie inside an event."""
    dates = table.dates
    years = (np.arange(table.n_days) - table.n_history) / 365.25
    columns = [slope_column(table.n_history, table.n_days), *seasons(dates, table.n_history)]
    named = holiday_regressors(holiday_frame(holidays, dates), dates)
    columns += [named] if named is not None else []
    kinds = {kind: [e for e in events if e.kind == kind] for kind in sorted({e.kind for e in events})}
    columns += _event_columns(kinds, years, len(table.series))
    if table.closed.any():
        weekday = dates.day_of_week.to_numpy().astype(np.intp)
        common = common_closures(table.closed, weekday)
        columns += [block for block in (common, own_closures(table.closed, weekday)) if block is not None]
    inside = np.zeros((len(table.series), table.n_days), dtype=bool)
    for event in events:
        rows = slice(None) if event.series is None else event.series
        inside[rows, max(event.start, 0) : max(event.end + 1, 0)] = True
    return join(columns), inside


def _event_columns(kinds: Mapping[str, Sequence[Event]], years: Floats, n_series: int) -> list[Columns]:
    """Effects of each kind, and with several kinds what is common to all: a kind never seen is not without effect."""
    if not kinds:
        return []
    blocks = [damping_column(len(years))]
    shrink = np.sqrt(KIND_SHARE) if len(kinds) > 1 else 1.0
    common = [e for group in kinds.values() for e in group if e.series is None]
    if len(kinds) > 1 and common:
        blocks.append(_used(_values_of(common, years), "events", np.sqrt(1 - KIND_SHARE)))
    for kind, events in kinds.items():
        values = _values_of([e for e in events if e.series is None], years)
        own = [e for e in events if e.series is not None]
        if own:
            values = np.broadcast_to(values, (n_series, *values.shape)).copy()
            # Events of the same series are joined into one matrix: as many as there are different calendars.
            for event in own:
                values[event.series] += _values_of([event], years)
        blocks.append(_used(values, kind, shrink))
    return blocks


def _used(values: Floats, name: str, shrink: float) -> Columns:
    """Columns that some event fills."""
    used = np.flatnonzero(values.any(axis=tuple(range(values.ndim - 1))))
    names = event_names(name)
    return Columns(values[..., used], tuple(names[i] for i in used), "event", shrink * event_prior()[used])


def _values_of(events: Sequence[Event], years: Floats) -> Floats:
    return event_values([e.start for e in events], [e.end for e in events], [e.intensity for e in events], years)


def error_model_of(fit: PanelFit, inside: npt.NDArray[np.bool_]) -> intervals.ErrorModel:
    """Error model of a fit from its rolling origins."""
    origins = fit.rolling.origins
    on_event = intervals.on_event_windows(inside[fit.learners][:, : fit.n_history], origins, fit.horizon)
    return intervals.learn_errors(
        fit.rolling.errors, fit.rolling_theory, on_event, series=fit.learners, n_series=len(fit.theta)
    )


def _result(
    table: PanelTable,
    fit: PanelFit,
    errors: intervals.ErrorModel,
    inside: npt.NDArray[np.bool_],
    offset: Floats,
    wanted: tuple[float, ...],
    *,
    why: tuple[str, ...],
    n_samples: int,
    seed: int,
) -> PanelForecast:
    dates = table.dates[table.n_history :]
    open_ = ~table.closed[:, table.n_history :]
    sd = errors.sd(fit.theory, inside[:, table.n_history :])
    known: npt.NDArray[np.bool_] = np.any(np.isfinite(table.values), axis=1)
    middle = np.where(known[:, None], fit.middle, np.nan)

    def volume(logs: Floats) -> Floats:
        return np.asarray(np.where(open_, np.maximum(np.exp(logs) - offset, 0.0), 0.0))

    index = {"series": np.repeat(np.array(table.series, dtype=object), len(dates)), "date": np.tile(dates, len(middle))}
    frame = pd.DataFrame(index)
    for q in wanted:
        frame[q] = volume(middle + sd * errors.quantile(q)).ravel()
    parts = pd.DataFrame(index)
    for part, values in fit.parts_ahead().items():
        parts[part] = (np.where(known[:, None], values, np.nan) if part == "level" else values).ravel()
    parts["offset"] = np.broadcast_to(offset, middle.shape).ravel()
    rng = np.random.default_rng(seed)
    together = errors.together_on(fit.theory, fit.spread.variance[table.n_history :])
    draws = errors.draw(rng, n_samples=n_samples, together=together)
    samples = volume(middle[None] + sd[None] * draws) if n_samples else np.zeros((0, *middle.shape))
    total = (
        np.nansum(samples, axis=1)
        if n_samples >= _TOTAL_DRAWS
        else _totals(errors, volume, middle, sd, together, seed=seed)
    )
    totals = pd.DataFrame({"date": dates} | {q: np.quantile(total, q, axis=0) for q in wanted})
    return PanelForecast(
        table.series, dates, frame, totals, samples, parts, errors, int(fit.filtered.breaks.sum()), why
    )


def _totals(
    errors: intervals.ErrorModel,
    volume: Callable[[Floats], Floats],
    middle: Floats,
    sd: Floats,
    together: Floats,
    *,
    seed: int,
) -> Floats:
    """(draws, horizon) sums over series; many series are summed given what they share, their own parts averaged."""
    rng = np.random.default_rng([seed, 1])
    n_series, horizon = middle.shape
    if n_series <= _FEW_SERIES:
        draws = errors.draw(rng, n_samples=_TOTAL_DRAWS, together=together)
        return np.asarray(np.nansum(volume(middle[None] + sd[None] * draws), axis=1))
    common = errors.common(rng, n_samples=_TOTAL_DRAWS, horizon=horizon)
    grid = np.linspace(-3.5, 3.5, 29)
    mean, variance = np.empty((len(grid), horizon)), np.empty((len(grid), horizon))
    for index, shared in enumerate(grid):
        first, second = np.zeros_like(middle), np.zeros_like(middle)
        for shape, weight in errors.own_part(float(shared), together):
            value = volume(middle + sd * shape)
            first += weight * value
            second += weight * value**2
        mean[index] = np.nansum(first, axis=0)
        variance[index] = np.nansum(np.maximum(second - first**2, 0.0), axis=0)
    own = rng.standard_normal(common.shape)
    total = np.empty_like(common)
    for h in range(horizon):
        centre = np.interp(common[:, h], grid, mean[:, h])
        total[:, h] = centre + own[:, h] * np.sqrt(np.interp(common[:, h], grid, variance[:, h]))
    return np.maximum(total, 0.0)
