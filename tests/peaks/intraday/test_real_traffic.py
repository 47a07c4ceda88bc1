"""What real traffic must show; benchmarks/README.md has the figures."""

import numpy as np

from benchmarks.intraday import read_counts, read_seconds
from capacity import backtest_intraday


def test_taxi_daily_peaks_are_nearer_than_the_week_before(shared_data):
    history = read_counts(shared_data / "rates" / "nyc_taxi.csv", rule="1h", series="taxi")
    daily = backtest_intraday(history, holidays="US").daily
    top = history.groupby(history["ts"].dt.normalize())["value"].max()
    week = top.shift(7).reindex(daily["date"]).to_numpy()
    value = daily["value"].to_numpy()
    use = np.isfinite(week)
    ours = np.abs(daily[0.5].to_numpy() - value)[use].sum()
    assert ours < 0.95 * np.abs(week - value)[use].sum()
    assert (value <= daily[0.99]).mean() > 0.96


def test_the_trace_s_peak_seconds_lie_in_their_intervals(shared_data):
    history = read_seconds(shared_data / "rates" / "twitter_trace.tbz2", width_s=3600)
    hours = backtest_intraday(history, leads=1).next
    inside = ((hours["peak"] >= hours["peak_0.05"]) & (hours["peak"] <= hours["peak_0.95"])).mean()
    assert 0.86 <= inside <= 0.94
    error = np.abs(hours["peak_0.5"] / hours["peak"] - 1)
    before = np.abs(hours["peak"].shift(24) / hours["peak"] - 1)
    assert error.median() < before.median()
