import numpy as np
import pandas as pd
import pytest

from capacity import InputError, NotCoveredError, backtest_intraday, forecast_intraday
from tests.peaks.intraday.conftest import weekday_shape

LEVELS = (0.05, 0.5, 0.95, 0.99)


def known(history: pd.DataFrame) -> pd.DataFrame:
    return history.drop(columns="mean")


@pytest.mark.parametrize(
    ("interval", "level", "phi"), [("1h", 1000.0, 0.01), ("30min", 40.0, 0.2), ("15min", 2.0, 0.5)]
)
def test_intervals_hold_what_they_promise(simulate, interval, level, phi):
    history = simulate(interval=interval, level=level, phi=phi, n_series=2, n_days=42)
    tested = backtest_intraday(known(history), quantiles=LEVELS, leads=2)
    row = tested.to_frame().iloc[0]
    # Counts are whole numbers: with a mean of two, a quantile below 1 is met by every zero.
    assert row["below_0.95"] == pytest.approx(0.95, abs=0.02)
    assert row["below_0.99"] == pytest.approx(0.99, abs=0.01)
    if level > 10:
        assert row["below_0.05"] == pytest.approx(0.05, abs=0.02)
        assert row["below_0.5"] == pytest.approx(0.5, abs=0.04)
    daily = tested.to_frame().query("target == 'daily_peak'")
    assert (daily["below_0.99"] >= 0.93).all()


def test_the_error_is_little_more_than_noise(simulate):
    history = simulate(n_days=56, phi=0.003)
    tested = backtest_intraday(known(history), quantiles=LEVELS, leads=1).next
    last = tested[tested["ts"] >= tested["ts"].iloc[0] + pd.Timedelta(days=21)]
    mean = history.set_index("ts")["mean"].reindex(last["ts"]).to_numpy()
    own = np.abs(last["value"] - last[0.5]).sum()
    least = np.abs(last["value"].to_numpy() - mean).sum()
    assert own < 1.35 * least


def test_a_daily_peak_is_named_at_its_hour_and_near_its_height(simulate):
    history = simulate(n_days=35, phi=0.002, drift=0.005)
    forecast = forecast_intraday(known(history), horizon=7 * 24, quantiles=LEVELS)
    assert len(forecast.daily_peaks) == 7
    work = forecast.daily_peaks[forecast.daily_peaks["date"].dt.day_of_week < 5]
    assert (work["at"].dt.hour == 20).all()
    expected = (
        1000 * weekday_shape(24)[0].max() * history["mean"].iloc[-24:].sum() / (1000 * weekday_shape(24)[6].sum())
    )
    assert np.abs(work[0.5] / expected - 1).max() < 0.15
    frame = forecast.to_frame()
    assert len(frame) == 7 * 24
    assert (np.diff(frame[list(LEVELS)].to_numpy(), axis=1) >= 0).all()
    assert forecast.peak_qps is None
    assert "168 intervals of 60 min" in forecast.summary()


def test_nothing_after_an_origin_is_used(simulate):
    history = known(simulate(n_days=20))
    history["peak"] = history["value"] / 3600 * np.where(np.arange(len(history)) % 5 == 0, 6.0, 2.0)
    other = history.copy()
    cut = pd.Timestamp("2026-03-16")
    later = other["ts"] >= cut
    other.loc[later, ["value", "peak"]] *= 7.0
    one, two = (backtest_intraday(h, quantiles=LEVELS, leads=2) for h in (history, other))
    before = one.next["ts"] <= cut
    said = [c for c in one.next.columns if c not in {"series", "ts", "value", "peak"}]
    pd.testing.assert_frame_equal(one.next.loc[before, said], two.next.loc[before, said])
    first = one.daily["date"] - pd.to_timedelta(one.daily["lead_days"], unit="D") <= cut
    pd.testing.assert_frame_equal(one.daily.loc[first, [*LEVELS]], two.daily.loc[first, [*LEVELS]])


def test_gaps_outages_and_an_odd_day_neither_wreck_nor_hide(simulate):
    history = known(simulate(n_days=42))
    clean = forecast_intraday(history, horizon=48, quantiles=LEVELS).quantiles
    rows = np.arange(len(history))
    odd = history.copy()
    odd.loc[(rows >= 30 * 24) & (rows < 31 * 24), "value"] *= 0.2  # a storm
    odd.loc[rows == 36 * 24 + 5, "value"] *= 40  # a broken counter
    odd = odd[~((rows >= 20 * 24 + 3) & (rows < 21 * 24 + 9)) & (rows % 11 != 0)]  # an outage of logs, and losses
    said = forecast_intraday(odd, horizon=48, quantiles=LEVELS).quantiles
    assert np.abs(np.log(said[0.5] / clean[0.5])).median() < 0.06


def test_a_new_level_is_followed(simulate):
    history = known(simulate(n_days=42, drift=0.0))
    moved = history.copy()
    late = moved["ts"] >= moved["ts"].iloc[0] + pd.Timedelta(days=34)
    moved.loc[late, "value"] *= 2.0
    plain = forecast_intraday(history, horizon=24, quantiles=[0.5]).quantiles[0.5]
    said = forecast_intraday(moved, horizon=24, quantiles=[0.5]).quantiles[0.5]
    assert np.median(said / plain) == pytest.approx(2.0, rel=0.15)


def test_a_holiday_moves_toward_a_rest_day(simulate):
    history = known(simulate(n_days=49, drift=0.0))
    names = ["2026-03-18", "2026-04-01", "2026-04-20"]  # two Wednesdays of the past and the day ahead, a Monday
    sundays = history[history["ts"].dt.day_of_week == 6].groupby(lambda i: history["ts"][i].hour)["value"].mean()
    for day in names[:2]:
        rows = history["ts"].dt.strftime("%Y-%m-%d") == day
        history.loc[rows, "value"] = sundays.to_numpy()
    calendar = pd.DataFrame({"date": pd.to_datetime(names), "name": "rest"})
    plain = forecast_intraday(history, horizon=24, quantiles=[0.5]).quantiles[0.5].to_numpy()
    aware = forecast_intraday(history, horizon=24, quantiles=[0.5], holidays=calendar).quantiles[0.5].to_numpy()
    far = np.abs(np.log(plain / sundays.to_numpy())).mean()
    assert np.abs(np.log(aware / sundays.to_numpy())).mean() < 0.5 * far


def test_an_evening_is_projected_anew(simulate):
    history = known(simulate(n_days=28, phi=0.002, drift=0.0))
    start = 25 * 24 + 20  # a Friday, 20:00
    surge = history.iloc[:start].copy()
    surge.loc[surge.index[-3:], "value"] *= [1.2, 1.35, 1.5]  # 17, 18, 19 o'clock
    calm = forecast_intraday(history.iloc[:start], horizon=4, quantiles=[0.5, 0.95]).daily_peaks.iloc[0]
    said = forecast_intraday(surge, horizon=4, quantiles=[0.5, 0.95]).daily_peaks.iloc[0]
    assert said[0.5] > 1.15 * calm[0.5]
    assert said["so_far"] == surge["value"].iloc[-20:].max()
    assert said[0.5] >= said["so_far"]


def test_local_days_follow_the_zone_through_a_clock_change():
    ts = pd.date_range("2026-09-01", "2026-11-10", freq="h", tz="Europe/Berlin", inclusive="left")
    value = 1000.0 * np.where((ts.hour >= 8) & (ts.hour < 20), 2.0, 1.0)
    forecast = forecast_intraday(pd.DataFrame({"ts": ts, "series": "web", "value": value}), horizon=24, quantiles=[0.5])
    frame = forecast.quantiles
    assert str(frame["ts"].dt.tz) == "Europe/Berlin"
    day = (frame["ts"].dt.hour >= 8) & (frame["ts"].dt.hour < 20)
    assert frame.loc[day, 0.5].median() == pytest.approx(2000, rel=0.05)
    assert frame.loc[~day, 0.5].median() == pytest.approx(1000, rel=0.05)


def test_samples_are_joint_and_follow_the_seed(simulate):
    history = known(simulate(n_days=21, n_series=2))
    history["peak"] = history["value"] / 3600 * 2
    one, two = (forecast_intraday(history, horizon=30, quantiles=LEVELS, n_samples=400, seed=3) for _ in range(2))
    assert one.samples.shape == one.peak_samples.shape == (400, 2, 30)
    np.testing.assert_array_equal(one.samples, two.samples)
    for q in (0.05, 0.5, 0.95):
        drawn = np.quantile(one.samples, q, axis=0).ravel()
        assert np.abs(np.log(drawn / one.quantiles[q].to_numpy())).max() < 0.12
    log = np.log(one.samples[:, 0])
    assert np.corrcoef(log[:, 0], np.log(one.peak_samples[:, 0, 0]))[0, 1] > 0.5


def test_a_few_peak_seconds_are_enough_for_a_wide_answer(simulate):
    history = known(simulate(n_days=21, level=4e5))
    history["peak"] = np.where(np.arange(len(history)) < 10, history["value"] / 3600 * 3, np.nan)
    forecast = forecast_intraday(history, horizon=24, quantiles=LEVELS)
    ratio = forecast.peak_qps[0.5] / (forecast.quantiles[0.5] / 3600)
    assert ((ratio > 1) & (ratio < 8)).all()
    wide = forecast.peak_qps[0.95] / forecast.peak_qps[0.05]
    assert (wide > forecast.quantiles[0.95] / forecast.quantiles[0.05]).all()
    assert any("hardly known" in text for text in forecast.why)


def test_zeros_and_silence_are_forecast():
    ts = pd.date_range("2026-03-02", periods=28 * 48, freq="30min")
    rng = np.random.default_rng(0)
    value = rng.poisson(np.where((ts.hour >= 9) & (ts.hour < 17), 3.0, 0.05)).astype(float)
    history = pd.concat(
        [pd.DataFrame({"ts": ts, "series": name, "value": v}) for name, v in (("rare", value), ("never", 0 * value))]
    )
    forecast = forecast_intraday(history, horizon=48, quantiles=LEVELS).quantiles
    rare = forecast[forecast["series"] == "rare"]
    day = (rare["ts"].dt.hour >= 9) & (rare["ts"].dt.hour < 17)
    assert rare.loc[day, 0.5].between(1.5, 4.0).all()
    assert (rare.loc[~day, 0.5] < 0.5).all()
    assert (forecast.loc[forecast["series"] == "never", 0.99] < 1.0).all()


def test_two_days_are_answered_and_called_thin(simulate):
    forecast = forecast_intraday(known(simulate(n_days=2)), horizon=24, quantiles=LEVELS)
    assert np.isfinite(forecast.quantiles[list(LEVELS)]).all(axis=None)
    assert any("2.0 days" in text for text in forecast.why)
    with pytest.raises(NotCoveredError, match=r"1\.0 days"):
        forecast_intraday(known(simulate(n_days=1)), horizon=24, quantiles=LEVELS)
    with pytest.raises(NotCoveredError, match="first week"):
        backtest_intraday(known(simulate(n_days=5)))


def test_all_problems_of_a_history_are_told_at_once(simulate):
    history = known(simulate(n_days=3))
    with pytest.raises(InputError, match="a column 'value'"):
        forecast_intraday(history.rename(columns={"value": "vaule"}), horizon=1, quantiles=[0.5])
    bad = pd.concat([history, history.iloc[:1]])
    bad.iloc[3, bad.columns.get_loc("value")] = -1
    bad.iloc[5, bad.columns.get_loc("ts")] += pd.Timedelta(minutes=7)
    with pytest.raises(InputError) as caught:
        forecast_intraday(bad, horizon=1, quantiles=[0.5])
    assert len(caught.value.problems) == 3
    with pytest.raises(InputError, match="usable interval"):
        forecast_intraday(history.iloc[::2], horizon=1, quantiles=[0.5])
    with pytest.raises(InputError, match="at least 1"):
        forecast_intraday(history, horizon=0, quantiles=[0.5])


def test_the_figure_tells_the_highest_interval(simulate):
    forecast = forecast_intraday(known(simulate(n_days=9)), horizon=24, quantiles=LEVELS)
    assert "highest median" in forecast.plot().alt
    with pytest.raises(InputError, match="no series"):
        forecast.plot("s9")
