"""A panel as arrays of series × days, with what is known of each day; numpy and pandas only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.peers.panel import Panel

Floats = npt.NDArray[np.float64]
SIDE_DAYS = 3  # days on each side of an event or holiday with an effect of their own
OWN_DAYS = 7  # days of an event with an effect of their own; later ones share one
FAR = 15  # distances to events are counted up to here


@dataclass(frozen=True)
class EventDays:
    """Where each day (series, days) stands to the events of a kind; 0 in ``day`` and ``left`` outside of them."""

    intensity: Floats
    day: npt.NDArray[np.intp]
    left: npt.NDArray[np.intp]
    until: npt.NDArray[np.intp]
    since: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Grid:
    """A panel as arrays; ``volume`` (series, history days) is NaN where unknown or closed.

    ``holidays`` are days by name, counted from the first date; some may lie just outside of the dates.
    """

    series: tuple[str, ...]
    dates: pd.DatetimeIndex
    volume: Floats
    closed: npt.NDArray[np.bool_]
    events: dict[str, EventDays]
    holidays: dict[str, npt.NDArray[np.intp]]

    @property
    def n_history(self) -> int:
        """Days of history."""
        return int(self.volume.shape[1])

    @property
    def horizon(self) -> int:
        """Days ahead."""
        return len(self.dates) - self.n_history


def make_grid(panel: Panel) -> Grid:
    """Turn a panel's frames into arrays."""
    history = panel.history
    codes, names = pd.factorize(history["series"], sort=True)
    first, last = history["date"].min(), history["date"].max()
    n_history = (last - first).days + 1
    dates = pd.date_range(first, periods=n_history + panel.horizon, freq="D")
    values = np.full((len(names), n_history), np.nan)
    values[codes, (history["date"] - first).dt.days] = history["value"]
    closed = np.zeros((len(names), len(dates)), dtype=bool)
    if panel.closed is not None:
        row = pd.Index(names).get_indexer(panel.closed["series"])
        day = (panel.closed["date"] - first).dt.days.to_numpy()
        inside = (row >= 0) & (day >= 0) & (day < len(dates))
        closed[row[inside], day[inside]] = True
    values[closed[:, :n_history]] = np.nan
    series = tuple(str(name) for name in names)
    return Grid(
        series, dates, values, closed, event_days(panel.events, series, dates), holidays_of(panel.holidays, dates)
    )


def holidays_of(country: str | None, dates: pd.DatetimeIndex) -> dict[str, npt.NDArray[np.intp]]:
    """Days of the country's public holidays by name, those just before and after the dates too."""
    if country is None:
        return {}
    import holidays

    found: dict[str, list[int]] = {}
    for day, name in holidays.country_holidays(country, years=range(dates[0].year - 1, dates[-1].year + 2)).items():
        found.setdefault(name, []).append((pd.Timestamp(day) - dates[0]).days)
    return {name: np.array(days) for name, days in found.items()}


def event_days(events: pd.DataFrame | None, series: tuple[str, ...], dates: pd.DatetimeIndex) -> dict[str, EventDays]:
    """Where every day stands to the events of each kind."""
    if events is None or events.empty:
        return {}
    rows = {name: index for index, name in enumerate(series)}
    found = {}
    for kind, group in events.groupby("kind", sort=True):
        shape = (len(series), len(dates))
        at = EventDays(
            np.zeros(shape), np.zeros(shape, int), np.zeros(shape, int), np.full(shape, FAR), np.full(shape, FAR)
        )
        for event in group.to_dict("records"):
            name = event.get("series")
            if name is None or pd.isna(name):
                _mark(at, slice(None), event, dates)
            elif name in rows:
                _mark(at, slice(rows[name], rows[name] + 1), event, dates)
        found[str(kind)] = at
    return found


def _mark(at: EventDays, who: slice, event: dict[str, object], dates: pd.DatetimeIndex) -> None:
    start, end = (event["starts_on"] - dates[0]).days, (event["ends_on"] - dates[0]).days
    intensity = event.get("intensity")
    day = np.arange(len(dates))
    inside = (day >= start) & (day <= end)
    at.intensity[who, inside] = 1.0 if intensity is None or pd.isna(intensity) else intensity
    at.day[who, inside] = day[inside] - start + 1
    at.left[who, inside] = end - day[inside]
    at.until[who, day < start] = np.minimum(at.until[who, day < start], start - day[day < start])
    at.since[who, day > end] = np.minimum(at.since[who, day > end], day[day > end] - end)


def effect_columns(grid: Grid) -> dict[str, Floats]:
    """Regressors (series, days) of linear models: a column for each day of a kind and each of the days beside it."""
    columns: dict[str, Floats] = {}
    for kind, at in grid.events.items():
        outside = at.day == 0
        for day in range(1, OWN_DAYS + 1):
            columns[f"{kind} day {day}"] = at.intensity * (at.day == day)
        columns[f"{kind} later"] = at.intensity * (at.day > OWN_DAYS)
        for day in range(1, SIDE_DAYS + 1):
            columns[f"{kind} before {day}"] = 1.0 * (outside & (at.until == day))
            columns[f"{kind} after {day}"] = 1.0 * (outside & (at.since == day))
    return {name: values for name, values in columns.items() if values.any()}


def closure_columns(grid: Grid) -> dict[str, Floats]:
    """Regressors (series, days) of open days beside a closure that is not the week's own rhythm."""
    weekday = grid.dates.day_of_week.to_numpy()
    usual = np.stack([grid.closed[:, weekday == k].mean(axis=1) for k in range(7)], axis=1)[:, weekday]
    unusual = np.pad(grid.closed & (usual < 0.5), ((0, 0), (1, 1)))
    beside = {"before closure": unusual[:, 2:] & ~grid.closed, "after closure": unusual[:, :-2] & ~grid.closed}
    return {name: 1.0 * values for name, values in beside.items() if values.any()}


def holiday_columns(grid: Grid) -> dict[str, Floats]:
    """Regressors (days,) of linear models: a column for each holiday and each of the days beside it."""
    columns: dict[str, Floats] = {}
    for name, days in grid.holidays.items():
        for offset in range(-SIDE_DAYS, SIDE_DAYS + 1):
            columns[f"{name} {offset:+d}"] = 1.0 * np.isin(np.arange(len(grid.dates)), days + offset)
    return {name: values for name, values in columns.items() if values.any()}


def filled(values: Floats, dates: pd.DatetimeIndex) -> Floats:
    """Values (series, days) with gaps filled, for methods that take none: local level × weekday's pattern.

    The level is the mean log of the four weeks around, the pattern each weekday's mean log ratio to it; a weekday that
    was never open has the level itself. Zeros count as a hundredth of the median in both.
    """
    weekday = dates[: values.shape[1]].day_of_week.to_numpy()
    logs = np.log(np.maximum(values, 0.01 * np.nanmedian(values, axis=1, keepdims=True)))
    around = pd.DataFrame(logs.T).rolling(29, center=True, min_periods=7).mean()
    level = around.interpolate(limit_direction="both").to_numpy().T
    ratio = logs - level
    pattern = np.zeros_like(logs)
    for k in range(7):
        known = np.isfinite(ratio[:, weekday == k])
        total = np.where(known, ratio[:, weekday == k], 0.0).sum(axis=1)
        pattern[:, weekday == k] = (total / np.maximum(known.sum(axis=1), 1))[:, None]
    return np.where(np.isfinite(values), values, np.exp(level + pattern))
