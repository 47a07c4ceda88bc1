"""The shops' recipe, and the pages that compare."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import forecast, large, rossmann, speed


@pytest.fixture
def sales():
    days = pd.date_range("2014-01-01", "2015-01-31")
    rng = np.random.default_rng(0)
    frames = []
    for name in ("1", "2"):
        open_ = (days.day_of_week < 6).astype(int)
        promo = ((days.day_of_week < 5) & (days.isocalendar().week % 2 == 0)).astype(int)
        value = open_ * (1000 + 300 * promo) * rng.lognormal(0, 0.02, len(days))
        school = ((days >= "2014-12-22") & (days.day_of_week < 5) & (name == "1")).astype(int)
        frames.append(
            pd.DataFrame(
                {"series": name, "date": days, "value": value, "open": open_, "promo": promo, "school": school}
            )
        )
    return pd.concat(frames, ignore_index=True)


def test_a_panel_knows_nothing_after_its_origin_but_what_is_known_ahead(sales):
    panel = rossmann.rolling_panels(sales, extras=rossmann.BOTH)[0]
    last = sales["date"].max() - pd.Timedelta(days=3 * rossmann.AHEAD)
    assert panel.history["date"].max() == last
    assert panel.closed["date"].max() > last
    promo = panel.events[panel.events["kind"] == "promo"]
    assert ((promo["ends_on"] - promo["starts_on"]).dt.days == 4).sum() >= len(promo) - 2
    school = panel.events[panel.events["kind"] == "school"]
    assert school["series"].unique().tolist() == ["1"]
    assert len(school) == 1  # weekends do not cut holidays
    assert panel.holidays == "DE"
    assert rossmann.rolling_panels(sales)[0].holidays is None


def test_the_table_has_ours_as_one(sales):
    panels = rossmann.rolling_panels(sales)[-1:]
    text = forecast.compare(panels, sales, ["seasonal_naive"], Path(sys.executable))
    head, _, ours, naive = [line.strip("| ").split(" | ") for line in text.splitlines()]
    assert ours[:1] + naive[:1] == ["capacity", "same weekday last"]
    assert ours[head.index("÷ ours")] == "1.00"
    # The truth repeats fortnightly: a week ago is the wrong week, ours knows the promotion.
    assert float(naive[head.index("÷ ours")]) > 2


def test_a_file_is_forecast_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(large, "BLOCK", 4)
    large.make_file(tmp_path / "history.parquet", 6)
    found = large.forecast_file(tmp_path / "history.parquet", tmp_path / "quantiles.parquet", block=4)
    assert found["n_series"] == 6
    frame = pd.read_parquet(tmp_path / "quantiles.parquet")
    assert frame["series"].nunique() == 6
    assert len(frame) == 6 * speed.AHEAD
    assert (frame["0.1"] < frame["0.9"]).all()
