"""Frames of a panel, checked and turned into arrays; all problems of a table at once."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.errors import InputError, Problem, did_you_mean

Floats = npt.NDArray[np.float64]
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class PanelTable:
    """A panel as arrays: ``values`` (series, days), NaN unknown; ``closed`` and days reach into the horizon."""

    series: tuple[str, ...]
    first: pd.Timestamp
    values: Floats
    closed: npt.NDArray[np.bool_]
    horizon: int

    @property
    def n_history(self) -> int:
        """Days of history."""
        return int(self.values.shape[1])

    @property
    def n_days(self) -> int:
        """Days of history and horizon."""
        return self.n_history + self.horizon

    @property
    def dates(self) -> pd.DatetimeIndex:
        """All dates, history first."""
        return pd.date_range(self.first, periods=self.n_days, freq="D")


@dataclass(frozen=True)
class Event:
    """One event in days of the panel; ``series`` are indices, ``None`` for all."""

    kind: str
    start: int
    end: int
    intensity: float
    series: npt.NDArray[np.intp] | None


def panel_table(history: pd.DataFrame, *, closed: pd.DataFrame | None, horizon: int) -> PanelTable:
    """Turn a history (date, series, value) into arrays.

    Raises
    ------
    InputError
        Columns are missing, dates or values are not such, a series has a date twice, values are negative or infinite.
    """
    _need_columns(history, ("date", "series", "value"), "history")
    if history.empty:
        raise InputError(
            "history has no rows",
            problems=[Problem("history", "0 rows", "one row a date and series")],
            remedy="pass at least some weeks of daily values",
        )
    dates = _days(history["date"], "history.date")
    values = pd.to_numeric(history["value"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    codes, names = pd.factorize(history["series"], sort=True)
    given = history["value"].notna().to_numpy()
    first = dates.min()
    day = (dates - first) // _DAY
    n_days = int(day.max()) + 1
    _check_values(values, given, codes, day * 1, n_days)
    filled = np.full((len(names), n_days), np.nan)
    filled[codes, day] = values
    shut = np.zeros((len(names), n_days + horizon), dtype=bool)
    if closed is not None and len(closed):
        _need_columns(closed, ("date", "series"), "closed")
        row = _rows_of(closed["series"], [str(name) for name in names])
        column = (_days(closed["date"], "closed.date") - first) // _DAY
        inside = (row >= 0) & (column >= 0) & (column < n_days + horizon)
        shut[row[inside], column[inside]] = True
    filled[shut[:, :n_days]] = np.nan
    return PanelTable(tuple(str(name) for name in names), pd.Timestamp(first), filled, shut, horizon)


def event_list(events: pd.DataFrame | None, table: PanelTable) -> list[Event]:
    """Events of a frame (kind, starts_on, ends_on, optionally series and intensity), those of many series joined."""
    if events is None or not len(events):
        return []
    _need_columns(events, ("kind", "starts_on", "ends_on"), "events")
    first = np.datetime64(table.first, "D")
    start = (_days(events["starts_on"], "events.starts_on") - first) // _DAY
    end = (_days(events["ends_on"], "events.ends_on") - first) // _DAY
    if np.any(end < start):
        row = int(np.flatnonzero(end < start)[0])
        raise InputError(
            "an event ends before it starts",
            problems=[Problem(f"events row {row}", str(events["ends_on"].iloc[row]), "a day not before starts_on")],
        )
    frame = pd.DataFrame({"kind": events["kind"].astype(str).to_numpy(), "start": start, "end": end})
    depth = events["intensity"] if "intensity" in events else pd.Series(1.0, index=events.index)
    frame["intensity"] = pd.to_numeric(depth).fillna(1.0).to_numpy(dtype=float)
    if not np.isfinite(frame["intensity"]).all() or (frame["intensity"] < 0).any():
        raise InputError(
            "an event's intensity is not a number of at least 0",
            problems=[Problem("events.intensity", "negative or infinite", "a finite number, 1.0 when unknown")],
        )
    if "series" in events:
        names = events["series"]
        frame["row"] = np.where(names.isna(), -2, _rows_of(names, table.series))
    else:
        frame["row"] = -2
    frame = frame[frame["row"] != -1]
    keys = ["kind", "start", "end", "intensity"]
    joined: list[Event] = []
    for _, group in frame.groupby(keys, sort=True):
        head = group.iloc[0]
        rows = np.unique(group["row"].to_numpy(dtype=np.intp))
        who = None if rows[0] == -2 or len(rows) == len(table.series) else rows
        joined.append(Event(str(head["kind"]), int(head["start"]), int(head["end"]), float(head["intensity"]), who))
    return joined


def _rows_of(names: pd.Series, series: Iterable[str]) -> npt.NDArray[np.intp]:
    """Rows of series by name, −1 for one that the history does not have (nothing to forecast)."""
    return pd.Index(list(series), dtype=object).get_indexer(pd.Index(names.astype(str), dtype=object))


def check_quantiles(quantiles: Iterable[float]) -> tuple[float, ...]:
    """Quantiles as floats strictly between 0 and 1, in the order given."""
    wanted = tuple(float(q) for q in quantiles)
    wrong = [q for q in wanted if not 0 < q < 1]
    if wrong or not wanted:
        raise InputError(
            "quantiles must lie strictly between 0 and 1",
            problems=[Problem("quantiles", repr(wrong or wanted), "numbers such as 0.1, 0.5, 0.9")],
        )
    return wanted


def _need_columns(frame: pd.DataFrame, needed: tuple[str, ...], where: str) -> None:
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        known = [str(name) for name in frame.columns]
        raise InputError(
            f"{where} lacks columns",
            problems=[
                Problem(f"{where}", ", ".join(known) or "no columns", f"a column {name!r}", did_you_mean(name, known))
                for name in missing
            ],
        )


def _days(column: pd.Series, where: str) -> npt.NDArray[np.datetime64]:
    try:
        moments = pd.to_datetime(column)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{where} holds something that is no date",
            problems=[Problem(where, str(error), "dates such as 2026-11-11")],
        ) from error
    if moments.isna().any():
        raise InputError(
            f"{where} has empty dates",
            problems=[Problem(where, f"{int(moments.isna().sum())} empty", "a date in every row")],
        )
    if moments.dt.tz is not None:
        moments = moments.dt.tz_localize(None)
    return moments.to_numpy().astype("datetime64[D]")


def _check_values(
    values: Floats, given: npt.NDArray[np.bool_], codes: npt.NDArray[np.intp], day: npt.NDArray[np.int64], n_days: int
) -> None:
    problems = []
    if (codes < 0).any():
        problems.append(Problem("history.series", f"{int((codes < 0).sum())} empty", "a name in every row"))
    if (bad := given & ~np.isfinite(values)).any():
        problems.append(Problem("history.value", f"{int(bad.sum())} not finite numbers", "numbers; unknown is absent"))
    if (bad := values < 0).any():
        problems.append(Problem("history.value", f"{int(bad.sum())} negative", "volumes of at least 0"))
    cell = codes.astype(np.int64) * n_days + day
    if (twice := len(cell) - int(np.count_nonzero(np.bincount(np.maximum(cell, 0))))) > 0:
        problems.append(Problem("history", f"{twice} rows repeat a date of a series", "one row a date and series"))
    if problems:
        raise InputError("history cannot be used", problems=problems)
