"""Rolling origins: the forecast beside the rules of thumb."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from capacity.errors import NotCoveredError
from capacity.forecast import backtest_demand
from capacity.forecast.backtest import last_year_times_growth

ORIGINS = [date(2025, 3, 1), date(2025, 5, 30), date(2025, 10, 25)]


@pytest.fixture(scope="module")
def result(site):
    return backtest_demand(site.activity, promotions=site.promotions, origins=ORIGINS, n_samples=200)


def test_table_has_every_method_and_horizon(result):
    frame = result.to_frame()
    assert set(frame["method"]) == {"forecast", "seasonal_naive", "last_year_times_growth"}
    assert set(frame["days"]) == {"ordinary", "event"}
    assert {"all", "1–7", "8–14", "15–28", "29+"} <= set(frame["days_ahead"])
    own = frame[frame["method"] == "forecast"]
    assert own[["wape", "coverage_80", "coverage_90", "width_90", "pinball_99"]].notna().all(axis=None)


def test_forecast_beats_the_rules_of_thumb_on_event_days(result):
    frame = result.to_frame()
    event = frame[(frame["days"] == "event") & (frame["days_ahead"] == "all")].groupby("method")["wape"].mean()
    assert event["forecast"] < 0.5 * event["seasonal_naive"]


def test_no_forecast_sees_its_own_future(site, result):
    cut = site.activity.frame.copy()
    late = cut["date"] >= pd.Timestamp(ORIGINS[-1])
    cut.loc[late, ["dau", "dat"]] *= 3
    again = backtest_demand(
        type(site.activity)(cut), promotions=site.promotions, origins=ORIGINS[-1:], n_samples=200
    ).forecasts
    first = result.forecasts[result.forecasts["as_of"] == pd.Timestamp(ORIGINS[-1])]
    np.testing.assert_array_equal(again[0.5], first[0.5])


def test_last_year_times_growth_is_what_a_spreadsheet_says():
    past = np.concatenate([np.full(400, 100.0), np.full(100, 150.0)])
    rule = last_year_times_growth(past, 3, [], None)
    np.testing.assert_allclose(rule, 150)


def test_too_short_a_history_is_not_covered(site):
    short = type(site.activity)(site.activity.frame.head(40))
    with pytest.raises(NotCoveredError):
        backtest_demand(short, promotions=site.promotions)
