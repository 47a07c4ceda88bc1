"""Events left out whole: the spread of single ones is recovered, and shared by all series."""

import numpy as np
import pandas as pd
import pytest

from capacity.forecast import forecast_panel
from capacity.forecast.occurrences import PRIOR_SPREAD

DAYS, AHEAD, N = 900, 28, 30
DATES = pd.date_range("2023-01-02", periods=DAYS + AHEAD)


def _history(stray, *, seed=0, every=45, kinds=("sale",), uplift=0.6):
    rng = np.random.default_rng(seed)
    logs = rng.normal(6, 1, (N, 1)) + rng.normal(0, 0.05, (N, DAYS)) + np.cumsum(rng.normal(0, 0.004, (N, DAYS)), 1)
    rows = []
    for k, start in enumerate(range(20, DAYS + AHEAD - 3, every)):
        kind = kinds[k % len(kinds)]
        rows.append({"kind": kind, "starts_on": DATES[start], "ends_on": DATES[start + 2]})
        logs[:, start : start + 3] += uplift * (1 + stray * rng.standard_normal())
    frame = pd.DataFrame(
        {
            "date": np.tile(DATES[:DAYS], N),
            "series": np.repeat([f"s{k:02d}" for k in range(N)], DAYS),
            "value": np.exp(logs).ravel(),
        }
    )
    return frame, pd.DataFrame(rows)


def _relative_width(forecast, events, level=0.9):
    total = forecast.total_quantiles
    inside = total["date"].isin(pd.to_datetime(events["starts_on"]))
    return float(np.log(total.loc[inside, 0.95] / total.loc[inside, 0.05]).mean())


@pytest.mark.parametrize("stray", [0.05, 0.3])
def test_total_of_an_event_day_is_as_uncertain_as_events_differ(stray):
    widths = []
    for seed in range(3):
        history, events = _history(stray, seed=seed)
        widths.append(
            _relative_width(forecast_panel(history, events=events, horizon=AHEAD, quantiles=[0.05, 0.95]), events)
        )
    # 90 % of a normal with the events' own spread in log units, 3.29 standard deviations.
    assert 0.7 < np.mean(widths) / (3.29 * 0.6 * stray) < (1.7 if stray > 0.1 else 2.2)


def test_a_kind_never_seen_has_the_effect_and_the_spread_of_the_others():
    history, events = _history(0.2, kinds=("spring", "autumn"))
    coming = events[events["starts_on"] >= DATES[DAYS]].assign(kind="new")
    past = events[events["starts_on"] < DATES[DAYS]]
    found = forecast_panel(history, events=pd.concat([past, coming]), horizon=AHEAD, quantiles=[0.05, 0.5, 0.95])
    first = found.components[found.components["date"].isin(coming["starts_on"])]
    assert first["event"].mean() == pytest.approx(0.6, abs=0.2)
    assert any("'new': no past event is in the history" in line and "other kinds" in line for line in found.why)
    own = forecast_panel(history, events=events, horizon=AHEAD, quantiles=[0.05, 0.95])
    assert _relative_width(found, coming) > _relative_width(own, coming)


def test_one_event_alone_keeps_the_stated_spread():
    history, events = _history(0.0, every=460)
    events = events.head(2).assign(starts_on=[DATES[20], DATES[DAYS + 5]], ends_on=[DATES[22], DATES[DAYS + 7]])
    found = forecast_panel(history, events=events, horizon=AHEAD, quantiles=[0.05, 0.95])
    assert any("one past event cannot show how events differ" in line for line in found.why)
    assert _relative_width(found, events.tail(1)) > 3.29 * 0.5 * PRIOR_SPREAD * 0.5


def test_events_of_one_day_and_those_of_single_series_are_told_apart():
    history, events = _history(0.1)
    twin = events.assign(kind="twin", ends_on=events["starts_on"])  # begins with each sale and ends sooner
    own = events.assign(kind="own", series="s00")
    found = forecast_panel(history, events=pd.concat([events, twin, own]), horizon=AHEAD, quantiles=[0.05, 0.5, 0.95])
    assert any("'own' differs by series" in line for line in found.why)
    assert sum("leans on" in line for line in found.why) == 2
    assert (found.quantiles[0.05] < found.quantiles[0.95]).all()
