"""Asking peers: what passes between the environments, days and events as arrays, rules of thumb, failures told."""

import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks.peers.ask import NAIVE, peer_forecasts
from benchmarks.peers.companies import forecast_companies
from benchmarks.peers.grid import FAR, closure_columns, effect_columns, filled, holiday_columns, make_grid
from benchmarks.peers.panel import Panel, Request, read_request, write_request

HERE = Path(sys.executable)
DAYS = pd.date_range("2025-01-06", periods=70)  # a Monday


@pytest.fixture
def panel():
    value = 100.0 + 10 * (DAYS.day_of_week == 4)
    history = pd.concat(
        [pd.DataFrame({"date": DAYS, "series": name, "value": value * scale}) for name, scale in (("a", 1), ("b", 2))]
    )
    events = pd.DataFrame(
        {
            "kind": ["promo", "promo", "promo", "own"],
            "starts_on": [date(2025, 2, 3), date(2025, 3, 3), date(2025, 3, 18), date(2025, 2, 10)],
            "ends_on": [date(2025, 2, 5), date(2025, 3, 5), date(2025, 3, 20), date(2025, 2, 10)],
            "series": [None, None, None, "b"],
            "intensity": [1.0, 1.0, 2.0, np.nan],
        }
    )
    shut = pd.DataFrame({"date": pd.to_datetime(["2025-02-20", "2025-03-21"]), "series": ["a", "b"]})
    return Panel("two", history, 10, events, shut, holidays="DE")


def test_a_request_arrives_as_it_was_sent(panel, tmp_path):
    other = Panel("one", panel.history[panel.history["series"] == "a"], 3)
    sent = Request((panel, other), ("prophet", "mstl"), (0.025, 0.5, 0.99), 7)
    write_request(tmp_path, sent)
    arrived = read_request(tmp_path)
    assert (arrived.methods, arrived.quantiles, arrived.seed) == (sent.methods, sent.quantiles, sent.seed)
    two, one = arrived.panels
    assert (two.name, two.horizon, two.holidays) == ("two", 10, "DE")
    assert (one.events, one.closed, one.holidays, len(one.history)) == (None, None, None, 70)
    for table, key in (("history", ["series", "date"]), ("closed", ["series", "date"])):
        assert set(map(tuple, getattr(two, table)[key].astype(str).to_numpy())) == set(
            map(tuple, getattr(panel, table)[key].astype(str).to_numpy())
        )
    assert two.history["value"].sum() == panel.history["value"].sum()
    assert two.events["starts_on"].dt.date.tolist() == panel.events["starts_on"].tolist()
    assert two.events["series"].isna().tolist() == [True, True, True, False]


def test_panels_of_one_name_are_refused(panel, tmp_path):
    with pytest.raises(ValueError, match="names of their own"):
        write_request(tmp_path, Request((panel, panel), ("mstl",), (0.5,), 0))


def test_days_stand_where_they_should_to_events_and_closures(panel, tmp_path):
    write_request(tmp_path, Request((panel,), (), (0.5,), 0))
    grid = make_grid(read_request(tmp_path).panels[0])
    at = grid.events["promo"]
    where = {
        day: (pd.Timestamp(day) - DAYS[0]).days for day in ("2025-01-06", "2025-02-01", "2025-03-04", "2025-03-18")
    }
    second = where["2025-03-04"]
    assert (at.day[0, second], at.left[0, second], at.intensity[0, second]) == (2, 1, 1.0)
    assert (at.until[0, where["2025-02-01"]], at.until[0, where["2025-01-06"]]) == (2, FAR)
    assert at.intensity[1, where["2025-03-18"]] == 2.0
    assert grid.events["own"].day.sum(axis=1).tolist() == [0, 1]
    columns = effect_columns(grid)
    assert columns["promo day 1"].sum(axis=1).tolist() == [4.0, 4.0]
    assert columns["promo before 1"].sum(axis=1).tolist() == [3.0, 3.0]
    assert "promo day 4" not in columns
    beside = closure_columns(grid)
    assert beside["before closure"].sum(axis=1).tolist() == [1.0, 1.0]
    assert beside["after closure"].sum(axis=1).tolist() == [1.0, 1.0]
    assert np.isnan(grid.volume).sum() == 1


def test_a_holiday_just_after_the_horizon_has_an_eve_inside_it():
    days = pd.date_range("2025-10-01", "2025-12-14")
    history = pd.DataFrame({"date": days, "series": "a", "value": 1.0})
    columns = holiday_columns(make_grid(Panel("eve", history, 10, holidays="DE")))
    eve = [name for name, values in columns.items() if values[-1] == 1]
    assert len(eve) == 2  # of Christmas Day and of the day after
    assert {name[-2:] for name in eve} == {"-1", "-2"}


def test_gaps_are_filled_by_level_and_weekday():
    value = 100.0 + 50 * (DAYS.day_of_week == 4)
    gaps = value.copy()
    gaps[[25, 40]] = np.nan  # a Friday and a Saturday
    done = filled(gaps[None], DAYS)[0]
    assert done[25] == pytest.approx(150, rel=0.05)
    assert done[40] == pytest.approx(100, rel=0.05)
    assert np.array_equal(done[np.isfinite(gaps)], gaps[np.isfinite(gaps)])


def test_rules_answer_through_the_subprocess(panel):
    asked = peer_forecasts([panel], quantiles=[0.9, 0.1, 0.5], methods=NAIVE, python=HERE)
    frame = asked.quantiles
    assert list(frame.columns) == ["method", "panel", "series", "date", 0.9, 0.1, 0.5]
    assert frame.groupby(["method", "series"]).size().tolist() == [10] * 4
    assert frame["date"].min() == DAYS[-1] + pd.Timedelta(days=1)
    assert (frame[0.1] <= frame[0.5]).all()
    assert (frame[0.5] <= frame[0.9]).all()
    naive = frame[(frame["method"] == "seasonal_naive") & (frame["series"] == "b")].set_index("date")[0.5]
    assert naive["2025-03-17"] == 200.0
    assert naive["2025-03-21"] == 0.0  # closed
    assert asked.times["n_series"].tolist() == [2, 2]
    assert asked.times["n_failed"].tolist() == [0, 0]


def test_last_year_times_growth_takes_a_day_like_it_and_what_has_grown():
    days = pd.date_range("2024-01-01", periods=500)
    growing = np.exp(np.arange(500) / 500) * (1 + 0.5 * (days.day_of_week == 5))
    promoted = (days >= "2024-11-11") & (days <= "2024-11-12")
    history = pd.DataFrame({"date": days, "series": "a", "value": growing * np.where(promoted, 3, 1)})
    starts = pd.to_datetime(["2024-11-11", days[-1] + pd.Timedelta(days=3)])
    events = pd.DataFrame({"kind": "big", "starts_on": starts, "ends_on": starts + pd.Timedelta(days=1)})
    panel = Panel("grown", history, 14, events)
    found = peer_forecasts([panel], quantiles=[0.5], methods=["last_year_times_growth"], python=HERE).quantiles
    dates = pd.DatetimeIndex(found["date"])
    coming = (dates >= starts[1]) & (dates <= starts[1] + pd.Timedelta(days=1))
    truth = np.exp(np.arange(500, 514) / 500) * np.where(coming, 3, 1 + 0.5 * (dates.day_of_week == 5))
    assert found[0.5].to_numpy() == pytest.approx(truth, rel=0.06)


def test_companies_come_back_in_the_columns_of_their_judge(panel):
    company = SimpleNamespace(
        company="first-1", country="DE", horizon=5, history=panel.history, events=panel.events.drop(columns="series")
    )
    found = forecast_companies([company], methods=["seasonal_naive"], python=HERE)
    assert {"peer", "company", "series", "date", "q05", "q50", "q95"} <= set(found.columns)
    assert len(found) == 10
    assert (found["company"] == "first-1").all()


def test_what_is_absent_is_named(panel, tmp_path):
    with pytest.raises(FileNotFoundError, match="make benchmarks-peers"):
        peer_forecasts([panel], quantiles=[0.5], python=tmp_path / "python")
    with pytest.raises(ValueError, match="no such peers"):
        peer_forecasts([panel], quantiles=[0.5], methods=["oracle"], python=HERE)
    # The program's own environment has no Prophet: the subprocess says so.
    with pytest.raises(RuntimeError, match="No module named 'prophet'"):
        peer_forecasts([panel], quantiles=[0.5], methods=["prophet"], python=HERE)
