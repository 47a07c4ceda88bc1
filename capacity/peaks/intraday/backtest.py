"""`backtest_intraday`: what the forecast would have said from every past origin, at the cost of one fit or two."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from capacity.errors import InputError, NotCoveredError, Problem
from capacity.forecast.tables import check_quantiles
from capacity.peaks.intraday.daily import daily_quantiles
from capacity.peaks.intraday.grid import Grid, lay_out
from capacity.peaks.intraday.result import IntradayBacktest
from capacity.peaks.intraday.shape import Floats
from capacity.peaks.intraday.targets import Target, calendar, follow_target, followed_peaks, roll_next
from capacity.peaks.intraday.track import FIRST_DAYS
from capacity.peaks.intraday.uncertainty import at_probability


def backtest_intraday(
    history: pd.DataFrame,
    *,
    quantiles: Iterable[float] = (0.05, 0.5, 0.95, 0.99),
    leads: int = 7,
    holidays: pd.DataFrame | str | None = None,
) -> IntradayBacktest:
    """Forecast every past interval from its own start and every past day's peak from the days before it.

    Parameters
    ----------
    history : DataFrame
        As for `forecast_intraday`: ts, series, value, optionally peak.
    quantiles : iterable of float
        Strictly between 0 and 1.
    leads : int
        Days ahead of daily peaks: 1 is the day that starts at the origin.
    holidays : DataFrame or str, optional

    Returns
    -------
    IntradayBacktest
        Intervals and days after the first week.

    Raises
    ------
    InputError
        The history or an argument breaks its contract.
    NotCoveredError
        The history is no longer than a week.

    Notes
    -----
    Nothing after an origin is used for it: rules are learnt from the days before (anew each time history has grown by a
    fifth), filters and error tables go on day by day.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> ts = pd.date_range("2026-03-02", periods=24 * 21, freq="h")
    >>> rng = np.random.default_rng(0)
    >>> value = rng.poisson(1000 * (1.5 - np.cos(2 * np.pi * ts.hour / 24)))
    >>> tested = backtest_intraday(pd.DataFrame({"ts": ts, "series": "web", "value": value}), leads=1)
    >>> bool(tested.to_frame()["wape"].max() < 0.05)
    True
    """
    wanted = check_quantiles(quantiles)
    if leads < 1:
        raise InputError("leads must be at least 1", problems=[Problem("leads", str(leads), "a whole number")])
    grid = lay_out(history)
    if grid.end <= FIRST_DAYS * grid.n_slots:
        raise NotCoveredError(
            f"the history spans {grid.end / grid.n_slots:.1f} days, expected more than the first week's",
            remedy="pass some weeks",
        )
    longest = leads * grid.n_slots
    weekday, holiday = calendar(grid, holidays, leads + 2)
    rows = np.arange(len(grid.series))
    volume = follow_target(grid.requests, rows, weekday, holiday, longest=longest, bursts=False)
    frame = _next_frame(grid, volume, wanted)
    daily = _daily_frame(grid, volume, wanted, leads)
    followed = followed_peaks(grid)
    if not followed.size:
        return IntradayBacktest(wanted, frame, daily, None)
    peaks = follow_target(grid.peaks, followed, weekday, holiday, longest=longest, bursts=True)
    rolled, _ = roll_next(peaks, wanted)
    shown = np.full((len(wanted), len(rows), rolled.shape[2]), np.nan)
    shown[:, followed] = rolled
    frame["peak"] = _after(grid, grid.peaks.reshape(len(rows), -1))
    for q, part in zip(wanted, shown, strict=True):
        frame[f"peak_{q:g}"] = _after(grid, part)
    return IntradayBacktest(wanted, frame, daily, _daily_frame(grid, peaks, wanted, leads))


def _after(grid: Grid, values: Floats) -> Floats:
    """Values of the intervals after the first week, series after series."""
    return values[:, FIRST_DAYS * grid.n_slots : grid.end].ravel()


def _next_frame(grid: Grid, target: Target, wanted: tuple[float, ...]) -> pd.DataFrame:
    rolled, _ = roll_next(target, wanted)
    times = grid.starts()[FIRST_DAYS * grid.n_slots : grid.end]
    n = len(grid.series)
    frame = pd.DataFrame(
        {
            "series": np.repeat(np.array(grid.series, dtype=object), len(times)),
            "ts": times.append([times] * (n - 1)),
            "value": _after(grid, grid.requests.reshape(n, -1)),
        }
    )
    for q, part in zip(wanted, rolled, strict=True):
        frame[q] = _after(grid, part)
    return frame


def _daily_frame(grid: Grid, target: Target, wanted: tuple[float, ...], leads: int) -> pd.DataFrame:
    rolled = target.days(leads)
    dates = grid.dates()
    actual = target.counts(rolled.actual)
    parts = []
    for lead in range(leads):
        origin = np.maximum(np.arange(grid.n_days) - lead, 0)
        tables = rolled.tables[lead][origin]
        quantiles = target.counts(daily_quantiles(rolled.centre[lead], rolled.scale[lead], tables))
        for k, s in enumerate(target.rows):
            use = np.flatnonzero(np.isfinite(rolled.centre[lead, k]) & np.isfinite(actual[k]))
            use = use[use - lead >= FIRST_DAYS]
            part = {"series": grid.series[s], "date": dates[use], "lead_days": lead, "value": actual[k][use]}
            part["at_slot"], part["expected_slot"] = rolled.actual_slot[k][use], rolled.slot[lead, k][use]
            parts.append(pd.DataFrame(part | {q: at_probability(quantiles[k][use], q) for q in wanted}))
    return pd.concat(parts, ignore_index=True)
