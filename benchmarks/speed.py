"""How many series a second: one process, one thread, with intervals, about 900 days of history, 42 days ahead.

Series are made: a level that wanders, a week, a year, a promotion of five days every fortnight and one of three days
each November, known ahead. Only the forecasting counts, not the loading of libraries or the way of the data. A peer
forecasts as few series as give a stable figure; LightGBM, which learns one model of all, is given more.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.peers.ask import peer_forecasts
from benchmarks.peers.panel import Panel

DAYS = 900
AHEAD = 42
FIRST = pd.Timestamp("2024-01-01")
QUANTILES = (0.1, 0.5, 0.9)
OURS_SERIES = (250, 1000, 4000)
PEER_SERIES = {"lightgbm": 200, "prophet": 30, "seasonal_naive": 1000, "last_year_times_growth": 1000}
FEW = 12


def make_events() -> pd.DataFrame:
    """Return the promotions of history and horizon."""
    fortnights = pd.date_range(FIRST, periods=(DAYS + AHEAD) // 14 + 1, freq="14D")
    big = pd.to_datetime(["2024-11-11", "2025-11-11"])
    starts = fortnights.append(big)
    days = np.r_[np.full(len(fortnights), 4), np.full(len(big), 2)]
    kinds = ["promo"] * len(fortnights) + ["double11"] * len(big)
    return pd.DataFrame({"kind": kinds, "starts_on": starts, "ends_on": starts + pd.to_timedelta(days, unit="D")})


def make_history(first: int, stop: int) -> pd.DataFrame:
    """Return date, series and value of the series numbered from ``first`` to before ``stop``."""
    rng = np.random.default_rng([first, stop])
    n = stop - first
    dates = pd.date_range(FIRST, periods=DAYS)
    weekday = 0.2 * rng.standard_normal((n, 7))
    year = (
        0.15
        * rng.standard_normal((n, 1))
        * np.cos(2 * np.pi * (dates.day_of_year.to_numpy() / 365.25 + rng.random((n, 1))))
    )
    logs = rng.normal(7, 1, (n, 1)) + np.cumsum(rng.normal(0, 0.01, (n, DAYS)), axis=1) + year
    logs += weekday[:, dates.day_of_week] + rng.normal(0, 0.08, (n, DAYS))
    for event in make_events().itertuples():
        inside = np.asarray((dates >= event.starts_on) & (dates <= event.ends_on))
        logs[:, inside] += (0.3 if event.kind == "promo" else 1.2) + rng.normal(0, 0.1, (n, 1))
    names = np.array([f"s{number:06d}" for number in range(first, stop)])
    return pd.DataFrame(
        {"date": np.tile(dates, n), "series": np.repeat(names, DAYS), "value": np.round(np.exp(logs), 1).ravel()}
    )


def time_ours(sizes: Sequence[int] = OURS_SERIES) -> pd.DataFrame:
    """Time ours on panels of these sizes, after one small panel that loads what is loaded late."""
    from capacity.forecast import forecast_panel

    rows = []
    for n_series in (20, *sizes):
        history, events = make_history(0, n_series), make_events()
        wall, cpu = time.perf_counter(), time.process_time()
        forecast_panel(history, events=events, horizon=AHEAD, quantiles=QUANTILES)
        spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        rows.append({"method": "capacity", "n_series": n_series} | spent)
    return pd.DataFrame(rows[1:])


def time_peers(methods: Sequence[str], python: Path) -> pd.DataFrame:
    """Time peers, each after one series that loads what is loaded late."""
    frames = []
    for method in methods:
        sizes = {"warm": 2, "timed": PEER_SERIES.get(method, FEW)}
        panels = [Panel(name, make_history(0, n), AHEAD, make_events()) for name, n in sizes.items()]
        times = peer_forecasts(panels, quantiles=QUANTILES, methods=[method], python=python).times
        frames.append(times[times["panel"] == "timed"])
    return pd.concat(frames, ignore_index=True)
