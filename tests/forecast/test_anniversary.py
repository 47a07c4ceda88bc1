"""Dates that no calendar names: those that came twice come again, accidents hardly."""

import numpy as np
import pandas as pd
import pytest

from capacity.forecast import forecast_panel
from capacity.forecast.anniversary import learn_anniversaries

DATES = pd.date_range("2022-03-01", "2025-03-31")


def _panel(shocks, until="2024-12-10"):
    rng = np.random.default_rng(0)
    logs = rng.normal(6, 1, (12, 1)) + rng.normal(0, 0.05, (12, len(DATES)))
    for day in shocks:
        logs[:, DATES.get_loc(pd.Timestamp(day))] += 0.6
    frame = pd.DataFrame(
        {
            "date": np.tile(DATES, 12),
            "series": np.repeat([f"s{k:02d}" for k in range(12)], len(DATES)),
            "value": np.exp(logs).ravel(),
        }
    )
    return frame[frame["date"] <= until]


def _effect(history, day):
    found = forecast_panel(history, events=None, horizon=42, quantiles=[0.5])
    middle = found.quantiles.groupby("date")[0.5].sum()
    return float(np.log(middle[day] / middle.median())), found.why


def test_a_date_seen_twice_comes_again():
    effect, why = _effect(_panel(["2022-12-23", "2023-12-23"]), "2024-12-23")
    assert effect > 0.4
    assert any("2024-12-23" in line for line in why)


def test_accidents_that_did_not_come_again_are_not_carried_on():
    history = _panel(["2022-05-05", "2022-07-20", "2023-02-03", "2023-05-15", "2023-12-23"])
    effect, _ = _effect(history, "2024-12-23")
    assert effect < 0.15


def test_ordinary_noise_is_not_an_anniversary():
    common = np.random.default_rng(1).normal(0, 0.03, 900)
    found = learn_anniversaries(common, np.arange(1000) - 365)
    assert np.abs(found.effect).max() < 0.03


@pytest.mark.parametrize("n_history", [5, 100, 400])
def test_short_histories_teach_nothing_wrong(n_history):
    found = learn_anniversaries(np.zeros(n_history), np.arange(n_history + 42) - 365)
    assert not found.effect.any()
