"""The review on history's own tables: what the simple world of the other tests stands in for."""

from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from capacity.errors import NotCoveredError
from capacity.history import DailyActivity, Traffic
from capacity.retrospective import review

ZONE = "Asia/Shanghai"


def rounded(world: Any) -> pd.DataFrame:
    table = world.traffic.drop(columns="interval_s")
    counts = ["requests", "errors", "rejected", "test_requests", "bot_requests", "instances"]
    table[counts] = table[counts].round().astype("int64")
    return table


def plan_of(world: Any) -> Any:
    return SimpleNamespace(document=world.document, peaks=world.peaks, services=world.catalog, promotion_id="x")


def test_review_of_real_tables_says_what_that_of_the_frame_says(world: Any) -> None:
    traffic = Traffic.from_frame(rounded(world), timezone=ZONE)
    days = world.activity.assign(segment="total", dau=world.activity["dau"].astype("int64"))
    days["dat"] = days["dat"].round().astype("int64")
    activity = DailyActivity.from_frame(days, timezone=ZONE)
    real = review(plan_of(world), traffic, daily_activity=activity, journal=world.journal)
    simple = world.review()
    assert real.services["actual"].to_numpy() == pytest.approx(simple.services["actual"].to_numpy(), rel=1e-3)
    assert list(real.services["peak_at"]) == list(simple.services["peak_at"])
    assert list(real.services["inside_band"]) == list(simple.services["inside_band"])
    assert real.decomposition["log_term"].to_numpy() == pytest.approx(
        simple.decomposition["log_term"].to_numpy(), abs=2e-3
    )
    assert real.demand["actual"].to_numpy() == pytest.approx(simple.demand["actual"].to_numpy())
    assert real.missing == simple.missing


def test_rows_of_as_of_or_later_are_neither_used_nor_called_lost(world: Any) -> None:
    traffic = Traffic.from_frame(rounded(world), timezone=ZONE, as_of=date(2026, 11, 11))
    activity = DailyActivity.from_frame(pd.DataFrame(columns=["date", "dau", "dat"]), timezone=ZONE)
    real = review(plan_of(world), traffic, daily_activity=activity, journal=world.journal)
    late = real.services[real.services["phase"].isin(["evening", "after"])]
    assert late["actual"].isna().all()
    assert late["inside_band"].isna().all()
    opening = real.services[real.services["phase"] == "opening"]
    assert opening["inside_band"].all()
    assert any("or not in yet" in line for line in real.missing)
    assert any("DAU of 2026-11-10, 2026-11-11 is not there" in line for line in real.missing)
    before = Traffic.from_frame(rounded(world), timezone=ZONE, as_of=date(2026, 11, 10))
    with pytest.raises(NotCoveredError, match="the table's last row is of"):
        review(plan_of(world), before, daily_activity=activity, journal=world.journal)


def test_a_shop_with_few_orders_a_minute_is_judged_by_minutes(world: Any) -> None:
    rng = np.random.default_rng(2)
    stamps = pd.date_range("2026-10-10", "2026-11-13", freq="min", inclusive="left", tz=ZONE)
    daytime = np.asarray((stamps.hour >= 8) & (stamps.hour < 22))
    counts = rng.poisson(np.where(daytime, 0.15, 0.0))
    table = pd.DataFrame({"ts": stamps, "service": "shop", "requests": counts})[counts > 0]
    traffic = Traffic.from_frame(table, timezone=ZONE)
    activity = DailyActivity.from_frame(pd.DataFrame(columns=["date", "dau", "dat"]), timezone=ZONE)
    found = review(plan_of(world), traffic, daily_activity=activity, journal=world.journal)
    assert found.services["resolution"].eq("minute").all()
    assert found.services["floor_because"].eq("").all()
    assert found.services["covered_fraction"].eq(1.0).all()
    assert any("cannot be known" in line for line in found.missing)
