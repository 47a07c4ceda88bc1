"""LightGBM through mlforecast: one model a quantile over all series, of lags no nearer than the horizon.

Tried on the shops beside it and left out, all being worse in error and in interval score: one recursive model of the
middle with mlforecast's conformal intervals (WAPE 8.1–8.6), whether of absolute or squared error, of differences, or
with a trend column. Trees cannot follow a trend out of what they saw: the series are scaled one by one, in logs.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.peers.grid import FAR, Grid, closure_columns, filled

Floats = npt.NDArray[np.float64]
YEAR = 364  # 52 weeks: the same weekday
TREES = {
    "n_estimators": 500,
    "learning_rate": 0.03,
    "num_leaves": 31,
    "min_child_samples": 20,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.8,
    "n_jobs": 1,
    "verbose": -1,
}


def forecast(grid: Grid, quantiles: tuple[float, ...], *, seed: int) -> Floats:
    """Return (series, horizon, quantiles); closed and unknown days have no weight; lags see them filled."""
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean
    from mlforecast.target_transforms import GlobalSklearnTransformer, LocalStandardScaler
    from sklearn.preprocessing import FunctionTransformer

    nearest = 7 * math.ceil(grid.horizon / 7)
    columns = _columns(grid)
    past = columns["ds"] < grid.dates[grid.n_history]
    learnt = columns[past].assign(
        y=filled(grid.volume, grid.dates).ravel(), weight=1.0 * np.isfinite(grid.volume).ravel()
    )
    model = MLForecast(
        models={str(q): LGBMRegressor(objective="quantile", alpha=q, random_state=seed, **TREES) for q in quantiles},
        freq="D",
        lags=sorted({nearest, nearest + 7, nearest + 14, max(YEAR, nearest)}),
        lag_transforms={nearest: [RollingMean(7), RollingMean(28), RollingMean(91)]},
        date_features=["dayofweek", "day", "month"],
        target_transforms=[
            GlobalSklearnTransformer(FunctionTransformer(np.log1p, np.expm1)),
            LocalStandardScaler(),
        ],
        num_threads=1,
    )
    model.fit(learnt, static_features=["name"], weight_col="weight", dropna=False)
    found = model.predict(grid.horizon, X_df=columns[~past].drop(columns="name"))
    found = found.sort_values(["unique_id", "ds"])
    return found[[str(q) for q in quantiles]].to_numpy().reshape(len(grid.series), grid.horizon, len(quantiles))


def _columns(grid: Grid) -> pd.DataFrame:
    """One row a series and day: what is known of it ahead. Trees take distances to events, not a column a day."""
    n_series, n_days = grid.closed.shape
    # Series are numbered so that sorting by name keeps their order.
    frame = pd.DataFrame({"unique_id": np.repeat(np.arange(n_series), n_days), "ds": np.tile(grid.dates, n_series)})
    for number, at in enumerate(grid.events.values()):
        for name in ("intensity", "day", "left", "until", "since"):
            frame[f"event{number}_{name}"] = getattr(at, name).ravel()
    for name, values in closure_columns(grid).items():
        frame[name.replace(" ", "_")] = values.ravel()
    if grid.holidays:
        apart = np.arange(n_days)[:, None] - np.concatenate(list(grid.holidays.values()))
        frame["since_holiday"] = np.tile(np.where(apart >= 0, apart, FAR).min(axis=1).clip(max=FAR), n_series)
        frame["until_holiday"] = np.tile(np.where(apart <= 0, -apart, FAR).min(axis=1).clip(max=FAR), n_series)
    frame["closed"] = 1.0 * grid.closed.ravel()
    frame["day_of_year"] = np.tile(grid.dates.day_of_year, n_series)
    frame["name"] = frame["unique_id"].astype("category")
    return frame
