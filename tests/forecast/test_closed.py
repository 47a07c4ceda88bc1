"""Days without anybody: closed ones are 0 ahead and teach nothing, small numbers are numbers, lost counts unknown."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import NotCoveredError
from capacity.forecast import backtest_demand, forecast_demand
from capacity.forecast.closed import ended_series, find_closures
from capacity.promotion import Promotions

DATES = pd.date_range("2025-01-01", "2026-05-31")
WEEKDAY = DATES.day_of_week.to_numpy()
OPEN_SATURDAYS = np.ones(len(DATES))
SHUT_SATURDAYS = (WEEKDAY != 5).astype(float)


def _rows(segment="total", level=1000.0, *, come=OPEN_SATURDAYS, order=OPEN_SATURDAYS, seed=0):
    """Poisson counts about a flat level, doubled by the 618 of 2025."""
    rng = np.random.default_rng(seed)
    sale = np.where((DATES >= "2025-06-18") & (DATES < "2025-06-21"), 2.0, 1.0)
    dau = (rng.poisson(level * sale) * come).astype(int)
    return pd.DataFrame({"date": DATES, "segment": segment, "dau": dau, "dat": rng.binomial(dau, 0.05) * order})


@pytest.fixture(scope="module")
def history(make_promotion, make_activity):
    past, coming = (make_promotion(year, "618", "06-18", days=3) for year in (2025, 2026))

    def forecast(*frames, country=None, **options):
        options = {"n_samples": 200, "promotions": Promotions([past, coming])} | options
        return forecast_demand(make_activity(pd.concat(frames), country=country), coming, **options)

    return forecast


def _weekdays(demand):
    return pd.DatetimeIndex(demand.dau["date"].to_numpy()).day_of_week


def test_closed_weekday_is_zero_in_every_future_and_teaches_nothing(history):
    open_all, shut = history(_rows()), history(_rows(come=SHUT_SATURDAYS))
    saturday = _weekdays(shut) == 5
    assert (shut.dau[:, saturday] == 0).all()
    assert (shut.dat[:, saturday] == 0).all()
    assert (shut.dat[:, ~saturday] > 0).all()
    ratio = shut.total_dau.median("sample") / open_all.total_dau.median("sample")
    assert float(ratio[:16][~saturday[:16]].mean()) == pytest.approx(1, abs=0.03)
    width = [float(np.log(d.total_dau[:, 0]).std()) for d in (shut, open_all)]
    assert width[0] < 1.5 * width[1]
    assert any("Saturday (no users on 10 of the last 10)" in line for line in shut.assumptions)
    assert any("2026-06-20" in line for line in shut.why)
    assert shut.components.loc[shut.components["closed"], "date"].dt.day_of_week.eq(5).all()


def test_weekday_that_opened_of_late_is_forecast_open(history):
    come = SHUT_SATURDAYS.copy()
    come[DATES > "2026-05-10"] = 1
    demand = history(_rows(come=come))
    saturday = _weekdays(demand) == 5
    assert float(demand.total_dau[:, saturday].median("sample").min()) > 800
    assert any("open only at times: Saturday (no users on 7 of the last 10)" in line for line in demand.assumptions)


def test_weekday_that_closed_of_late_is_closed():
    values = np.where((WEEKDAY == 5) & (np.arange(len(WEEKDAY)) > len(WEEKDAY) - 71), 0.0, 500.0)
    assert find_closures(values[None], WEEKDAY, np.zeros(len(WEEKDAY), dtype=bool)).weekdays[0].nonzero()[0] == [5]


def test_closed_days_are_those_of_each_segment(history):
    app, web = _rows("app", come=SHUT_SATURDAYS), _rows("web", 500, seed=1)
    total = pd.concat([app, web]).groupby("date", as_index=False)[["dau", "dat"]].sum().assign(segment="total")
    demand = history(app, web, total)
    saturday = _weekdays(demand) == 5
    assert (demand.dau.sel(segment="app")[:, saturday] == 0).all()
    assert (demand.dau.sel(segment="web")[:, saturday] > 0).all()
    np.testing.assert_allclose(demand.dau.sel(segment=["app", "web"]).sum("segment"), demand.total_dau)
    assert any(line.startswith("closed weekdays in app: Saturday") for line in demand.assumptions)


def test_orders_closed_on_a_weekday_with_users(history):
    demand = history(_rows(order=SHUT_SATURDAYS))
    saturday = _weekdays(demand) == 5
    assert (demand.dat[:, saturday] == 0).all()
    assert (demand.dau[:, saturday] > 0).all()
    assert any("Saturday (no orders on" in line for line in demand.assumptions)


def test_holidays_that_are_always_closed_are_zero_ahead(make_promotion, make_activity):
    import holidays

    days = pd.DatetimeIndex(sorted(holidays.country_holidays("DE", years=[2025, 2026])))
    frame = _rows(come=(~DATES.isin(days)).astype(float))
    coming = make_promotion(2026, "summer", "10-01", days=5)  # 3 October is a holiday of Germany
    demand = forecast_demand(make_activity(frame, country="DE"), coming, promotions=Promotions([coming]), n_samples=50)
    zero = (demand.total_dau == 0).all("sample")
    assert pd.DatetimeIndex(zero["date"][zero].to_numpy()).tolist() == [pd.Timestamp("2026-10-03")]
    assert any("public holidays are closed (10 of the last 10): 0 on 2026-10-03" in line for line in demand.assumptions)


def test_a_promotion_on_closed_days_alone_is_zero_whatever_the_business_says(make_promotion, make_activity):
    expected = {"dau": {"low": 1e3, "mid": 2e3, "high": 3e3}, "dat": {"low": 10, "mid": 20, "high": 30}}
    coming = make_promotion(2026, "saturday", "06-20", expected=expected, inventory={"units": 50})
    activity = make_activity(_rows(come=SHUT_SATURDAYS))
    demand = forecast_demand(activity, coming, promotions=Promotions([coming]), n_samples=50)
    assert (demand.total_dat.sel(date="2026-06-20") == 0).all()
    assert demand.business is None
    assert any("all days of the promotion are closed" in line for line in demand.why)
    assert np.isfinite(demand.dat).all()


def test_single_closed_days_move_nothing(history):
    come = OPEN_SATURDAYS.copy()
    come[[100, 101, 300, 505, 510]] = 0
    plain, patchy = history(_rows()), history(_rows(come=come))
    ratio = patchy.total_dau.median("sample") / plain.total_dau.median("sample")
    np.testing.assert_allclose(ratio[:15], 1, atol=0.03)
    assert (patchy.dau > 0).all()
    assert any(line.startswith("5 days without any users") for line in patchy.assumptions)


def test_segment_launched_later_and_one_that_ended(history):
    app = _rows("app")
    new = _rows("new", 400, come=(DATES > "2025-09-01").astype(float), seed=1)
    old = _rows("old", 300, come=(DATES < "2026-03-01").astype(float), seed=2)
    demand = history(app, new, old)
    assert (demand.dau.sel(segment="old") == 0).all()
    assert (demand.dat.sel(segment="old") == 0).all()
    assert float(demand.dau.sel(segment="new")[:, :14].median()) == pytest.approx(400, rel=0.06)
    assert any("have ended and are forecast 0: old (last seen 2026-02-28)" in line for line in demand.assumptions)
    assert not any("days without any users" in line for line in demand.assumptions)
    whole = pd.concat([app, new, old]).groupby("date")["dau"].sum()
    np.testing.assert_array_equal(demand.history.set_index("date")["dau"], whole)


def test_all_stopping_at_once_is_a_pause_not_the_end(history):
    demand = history(_rows(come=(DATES < "2026-05-11").astype(float)))
    assert float(demand.total_dau[:, 0].median()) == pytest.approx(1000, rel=0.1)
    assert any("forecast as open; if it ended, the forecast is too high" in line for line in demand.assumptions)


def test_nothing_but_zeros_is_not_covered(history):
    with pytest.raises(NotCoveredError, match=f"0 days .* {len(DATES)} more say that nobody came"):
        history(_rows(level=0))


def test_no_users_beside_orders_is_a_lost_count(history):
    lost = _rows()
    days = (WEEKDAY == 2) & (np.arange(len(WEEKDAY)) % 2 == 1)
    lost.loc[days, "dau"] = 0
    demand = history(lost)
    assert (demand.dau > 0).all()
    assert any(line.startswith(f"{int(days.sum())} rows with 0 users beside orders") for line in demand.assumptions)


def test_weekday_without_rows_is_unknown_and_said(history):
    frame = _rows()
    demand = history(frame[frame["date"].dt.day_of_week != 5])
    assert (demand.dau > 0).all()
    assert any("none of the last ten are known for Saturday" in line for line in demand.assumptions)


def test_zeros_of_a_small_segment_are_small_numbers(history):
    small = _rows("small", 1.0, seed=3)
    demand = history(_rows("big"), small)
    mean = float(demand.dau.sel(segment="small")[:, :14].mean())
    assert mean == pytest.approx(1.0, rel=0.35)  # without its zeros the segment's mean is 1.58
    assert not any("closed" in line for line in demand.assumptions)


def test_backtest_of_a_shop_with_closed_days_judges_open_days(make_activity):
    frame = _rows(come=SHUT_SATURDAYS)
    result = backtest_demand(make_activity(frame), promotions=Promotions([]), n_samples=100)
    assert not (result.forecasts["date"].dt.day_of_week == 5).any()
    frame = result.to_frame().set_index(["metric", "method", "days_ahead"])["wape"]
    assert frame["dau", "forecast", "all"] < 0.08  # counting noise alone makes 0.025, a sale not told of the rest


@pytest.mark.parametrize("mean", [0.3, 1.0, 3.0])
def test_zeros_of_chance_are_hardly_ever_closures(mean):
    values = np.random.default_rng(7).poisson(mean, (2000, 200)).astype(float)
    weekday = np.arange(200) % 7
    found = find_closures(values, weekday, np.zeros(200, dtype=bool))
    begun = np.maximum.accumulate(values > 0, axis=1)
    assert (found.closed & begun)[:, 28:].mean() < 0.001
    assert found.weekdays.mean() < 0.001
    assert (ended_series(values) >= 0).mean() < 0.003


@given(st.sets(st.integers(0, 6), min_size=1, max_size=5), st.integers(20, 10**6), st.integers(0, 2**32 - 1))
def test_closed_weekdays_are_found_at_any_volume(shut, level, seed):
    weekday = np.arange(90) % 7
    values = np.random.default_rng(seed).poisson(level, 90) * ~np.isin(weekday, list(shut)).astype(bool)
    found = find_closures(values[None].astype(float), weekday, np.zeros(90, dtype=bool))
    assert set(found.weekdays[0].nonzero()[0].tolist()) == shut
