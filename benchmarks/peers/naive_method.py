"""What a spreadsheet would say: the same weekday's last value, and last year times growth, with their past errors.

Each rule's interval is the empirical distribution of its own log errors as of up to six past origins, over all series;
the rule itself is its middle.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.peers.grid import Grid

Floats = npt.NDArray[np.float64]
PAST_ORIGINS = 6
YEAR = 364  # 52 weeks: the same weekday
MONTH = 28


def forecast(grid: Grid, quantiles: tuple[float, ...], *, rule: str) -> Floats:
    """Return (series, horizon, quantiles) by ``seasonal_naive`` or ``last_year_times_growth``."""
    begin, horizon = grid.n_history, grid.horizon
    middle = RULES[rule](grid, begin, horizon)
    errors = [np.zeros((0, horizon))]
    for origin in range(begin - horizon, max(begin - PAST_ORIGINS * horizon, 2 * MONTH) - 1, -horizon):
        with np.errstate(divide="ignore", invalid="ignore"):
            errors.append(np.log(grid.volume[:, origin : origin + horizon] / RULES[rule](grid, origin, horizon)))
    known = np.concatenate(errors)
    known = known[np.isfinite(known)]
    spread = np.exp(np.quantile(known, quantiles)) if len(known) else np.full(len(quantiles), np.nan)
    spread[np.asarray(quantiles) == 0.5] = 1.0
    return np.asarray(middle[..., None] * spread)


def seasonal_naive(grid: Grid, begin: int, horizon: int) -> Floats:
    """(series, horizon) the same weekday's last known value before day ``begin``."""
    past = grid.volume[:, :begin]
    return np.stack([_first_known(past[:, begin - 7 + h % 7 :: -7]) for h in range(horizon)], axis=1)


def last_year_times_growth(grid: Grid, begin: int, horizon: int) -> Floats:
    """(series, horizon) what was a year ago × growth, and in an event what was at the kind's last one × growth.

    Ordinary days: the ordinary open day of the same weekday nearest to 52 weeks before. Days of an event: the last
    day that was as many days from its event's end. Growth: the mean of the last four weeks' ordinary days ÷ that of
    the four weeks before the day that is taken. Without such a day: the same weekday's last value.
    """
    inside = np.zeros(grid.closed.shape, dtype=bool)
    for at in grid.events.values():
        inside |= at.day > 0
    past = grid.volume[:, :begin]
    ordinary = np.where(inside[:, :begin], np.nan, past)
    monthly = pd.DataFrame(ordinary.T).rolling(MONTH, min_periods=5).mean()
    level = monthly.shift(1).to_numpy().T
    now = monthly.to_numpy().T[:, -1:]
    nearest = np.array([YEAR + shift for shift in (0, -7, 7, -14, 14, -21, 21, -28, 28)])
    answer = seasonal_naive(grid, begin, horizon)
    for h in range(horizon):
        days = begin + h - nearest
        days = days[(days >= 0) & (days < begin)]
        if len(days):
            answer[:, h] = _or(_first_known(ordinary[:, days] / level[:, days] * now), answer[:, h])
        for at in grid.events.values():
            alike = (at.day[:, :begin] > 0) & (at.left[:, :begin] == at.left[:, begin + h, None])
            last = _first_known(np.where(alike, past / level * now, np.nan)[:, ::-1])
            answer[:, h] = np.where(at.day[:, begin + h] > 0, _or(last, answer[:, h]), answer[:, h])
    return answer


def _or(values: Floats, otherwise: Floats) -> Floats:
    return np.where(np.isfinite(values), values, otherwise)


def _first_known(values: Floats) -> Floats:
    """(series,) first known value of each row."""
    known = np.isfinite(values)
    first = known.argmax(axis=1)
    return np.where(known.any(axis=1), values[np.arange(len(values)), first], np.nan)


RULES: dict[str, Callable[[Grid, int, int], Floats]] = {
    "seasonal_naive": seasonal_naive,
    "last_year_times_growth": last_year_times_growth,
}
