"""Real shops: 42 days ahead from three origins, promotions and closures known (published peers: WAPE 8.96 at best)."""

import pandas as pd
import pytest

from capacity.forecast import forecast_panel

AHEAD = 42


@pytest.fixture(scope="module")
def sales(shared_data):
    columns = {"store": str, "stateholiday": str}
    return pd.read_csv(shared_data / "rossmann" / "sales_100stores.csv.gz", dtype=columns, parse_dates=["date"])


@pytest.fixture(scope="module")
def judged(sales):
    promoted = sales.loc[sales["promo"] == 1, "date"].drop_duplicates().sort_values()
    run = (promoted.diff().dt.days != 1).cumsum()
    events = promoted.groupby(run).agg(["min", "max"]).set_axis(["starts_on", "ends_on"], axis=1).assign(kind="promo")
    closed = sales.loc[sales["open"] == 0, ["date", "store"]].rename(columns={"store": "series"})
    known = sales[(sales["open"] == 0) | (sales["sales"] > 0)]
    history = known.rename(columns={"store": "series", "sales": "value"})[["date", "series", "value"]]
    frames = []
    for k in (3, 2, 1):
        cut = sales["date"].max() - pd.Timedelta(days=AHEAD * k)
        found = forecast_panel(
            history[history["date"] <= cut],
            events=events,
            closed=closed,
            horizon=AHEAD,
            quantiles=[0.025, 0.1, 0.5, 0.9, 0.975, 0.99],
        )
        frames.append(found.quantiles.merge(sales.rename(columns={"store": "series"}), on=["series", "date"]))
    return pd.concat(frames)


def test_error_is_below_the_best_published_peer(judged):
    # 7.20 when written; the bound leaves room for other platforms' arithmetic, not for a worse method.
    assert (judged["sales"] - judged[0.5]).abs().sum() / judged["sales"].sum() < 0.075


def test_intervals_hold_what_they_claim(judged):
    actual = judged[judged["open"] == 1]
    # One shared shock moves 100 shops at once: three origins cannot tell 80 from 76 %.
    assert 0.74 < actual["sales"].between(actual[0.1], actual[0.9]).mean() < 0.86
    assert 0.92 < actual["sales"].between(actual[0.025], actual[0.975]).mean() < 0.98
    assert (actual["sales"] <= actual[0.99]).mean() > 0.97
