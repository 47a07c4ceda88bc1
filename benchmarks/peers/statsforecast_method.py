"""AutoETS, AutoTheta and seasonal MSTL from statsforecast; with events through a regression that runs before them.

These models take no regressors and no gaps: closed and unknown days are filled (`grid.filled`) and forecast 0. Where
events are asked for, the log of the series is regressed on a trend with a bend each half year, weekdays, four yearly
harmonics, the events' days, the days beside closures and public holidays; the part of all but trend and seasons is
taken out, the model forecasts the rest, and the part of the coming days is put back.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.peers.grid import Grid, closure_columns, effect_columns, filled, holiday_columns

Floats = npt.NDArray[np.float64]
RIDGE = 1.0  # in days: an effect seen on one day is shrunk by half, on ten by a tenth
HARMONICS = 4


def forecaster(grid: Grid, quantiles: tuple[float, ...], *, model: str, with_events: bool) -> Callable[[int], Floats]:
    """Return the function that forecasts one series, (horizon, quantiles), by its row in the grid."""
    logs = _effects(grid) if with_events else np.zeros(grid.closed.shape)
    plain = filled(grid.volume / np.exp(logs[:, : grid.n_history]), grid.dates)
    coming = np.exp(logs[:, grid.n_history :])
    levels = sorted({_level(q) for q in quantiles if q != 0.5})

    def forecast_one(row: int) -> Floats:
        found = _model(model, grid.n_history).forecast(plain[row], h=grid.horizon, level=levels)
        return np.stack([_quantile(found, q) * coming[row] for q in quantiles], axis=1)

    return forecast_one


def _model(name: str, n_days: int) -> Any:
    from statsforecast.models import MSTL, AutoETS, AutoTheta

    if name == "autoets":
        return AutoETS(season_length=7)
    if name == "autotheta":
        return AutoTheta(season_length=7)
    # A yearly season must be seen twice.
    return MSTL(season_length=[7, 365] if n_days > 2 * 365 else 7, trend_forecaster=AutoETS(model="ZZN"))


def _level(q: float) -> float:
    return round(abs(2 * q - 1) * 100, 6)


def _quantile(found: dict[str, Floats], q: float) -> Floats:
    if q == 0.5:
        return found["mean"]
    side = "lo-" if q < 0.5 else "hi-"
    name = next(key for key in found if key.startswith(side) and abs(float(key[3:]) - _level(q)) < 1e-6)
    return found[name]


def _effects(grid: Grid) -> Floats:
    """(series, days) part of events, closures' neighbours and holidays in the logs, by ridge regression."""
    shape = grid.closed.shape
    holidays = [np.broadcast_to(values, shape) for values in holiday_columns(grid).values()]
    own = [*effect_columns(grid).values(), *closure_columns(grid).values(), *holidays]
    if not own:
        return np.zeros(shape)
    columns, base = np.stack(own, axis=2), _base(grid)
    # Trend and seasons hardly shrink; they only must not fail where a column is empty.
    penalty = np.diag(np.concatenate([np.full(base.shape[1], 1e-6), np.full(columns.shape[2], RIDGE)]))
    part = np.zeros(shape)
    for row, values in enumerate(grid.volume):
        known = np.isfinite(values) & (values > 0)
        seen = np.column_stack([base, columns[row]])[: grid.n_history][known]
        weights = np.linalg.solve(seen.T @ seen + penalty, seen.T @ np.log(values[known]))
        part[row] = columns[row] @ weights[base.shape[1] :]
    return part


def _base(grid: Grid) -> Floats:
    days = np.arange(len(grid.dates))[:, None]
    weekdays = 1.0 * (grid.dates.day_of_week.to_numpy()[:, None] == np.arange(7))
    bends = np.maximum(np.minimum(days, grid.n_history) - np.arange(0, grid.n_history, 183), 0) / 365.25
    if grid.n_history < 365:
        return np.column_stack([weekdays, bends])
    angle = 2 * np.pi * days * np.arange(1, HARMONICS + 1) / 365.25
    return np.column_stack([weekdays, bends, np.cos(angle), np.sin(angle)])
