"""Forecast against actual: what is known is compared at its own resolution, what is not is said."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from capacity.errors import NotCoveredError


def peak(review: Any, phase: str, service: str) -> Any:
    rows = review.services[(review.services["phase"] == phase) & (review.services["service"] == service)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_every_phase_and_service_is_compared_at_its_peak_second(world: Any) -> None:
    review = world.review()
    assert len(review.services) == 4 * len(world.promotion.phases)
    row = peak(review, "opening", "search")
    samples = world.peaks.peak_qps.to_numpy()[:, list(world.peaks.phases).index("opening"), 1]
    assert row["resolution"] == "second"
    assert row["forecast_q50"] == pytest.approx(np.quantile(samples, 0.5))
    assert row["actual"] == pytest.approx(world.traffic.loc[world.traffic["service"] == "search", "peak_qps"].max())
    assert row["log_error"] == pytest.approx(np.log(row["actual"] / row["forecast_q50"]))
    assert row["inside_band"]
    assert row["peak_at"] == pd.Timestamp("2026-11-10T20:00", tz="Asia/Shanghai")
    assert row["shift_s"] == 0.0


def test_a_peak_later_than_planned_says_by_how_much(world: Any) -> None:
    world.peaks.peak_at_s[:] = -90.0
    assert peak(world.review(), "opening", "shop")["shift_s"] == 90.0


def test_bias_is_signed_and_counts_its_cases(build_world: Callable[..., Any]) -> None:
    review = build_world({"dau": 1.3}).review()
    bias = review.bias.set_index(["what", "group"])
    assert bias.loc[("dau", "promotion days"), "bias"] == pytest.approx(0.3)
    assert bias.loc[("dau", "promotion days"), "n"] == 2
    assert bias.loc[("dau", "promotion days"), "inside"] == 0
    assert review.metrics()[5] == {"name": "dau_bias", "value": pytest.approx(np.log(1.3)), "unit": "log ratio"}


def test_without_peak_seconds_minutes_are_judged_and_the_review_says_so(build_world: Callable[..., Any]) -> None:
    world = build_world({"peak_share": 1.2, "burst": 3.0})
    world.traffic["peak_qps"] = np.nan
    review = world.review()
    row = peak(review, "opening", "shop")
    minute = world.traffic.loc[world.traffic["service"] == "shop", "requests"].max() / 60.0
    burst = world.peaks.factors.sel(factor="burst").to_numpy()[:, 0]
    samples = world.peaks.peak_qps.to_numpy()[:, list(world.peaks.phases).index("opening"), 0]
    assert row["resolution"] == "minute"
    assert row["actual"] == pytest.approx(minute)
    assert row["forecast_q95"] == pytest.approx(np.quantile(samples / burst, 0.95))
    behind = peak(review, "opening", "db")
    assert behind["forecast_q95"] == pytest.approx(np.quantile(2.0 * samples / burst, 0.95))
    assert any("the busiest second held cannot be known" in line for line in review.missing)
    table = review.decomposition.set_index(["entry", "factor"])["multiplier"]
    assert table["shop", "peak_share"] == pytest.approx(1.2, abs=1e-6)
    assert "burst" not in table["shop"].index
    assert not [lesson for lesson in review.lessons if lesson.parameter == "burst"]


def test_hours_are_no_minutes_and_their_peaks_are_floors(world: Any) -> None:
    hourly = world.traffic.assign(ts=world.traffic["ts"].dt.floor("h"), peak_qps=np.nan)
    sums = ["requests", "errors", "rejected", "test_requests", "bot_requests", "interval_s"]
    rest = {name: "max" for name in hourly.columns if name not in (*sums, "ts", "service")}
    hourly = hourly.groupby(["ts", "service"], as_index=False).agg(dict.fromkeys(sums, "sum") | rest)
    world.traffic = hourly
    review = world.review()
    row = peak(review, "opening", "shop")
    assert row["resolution"] == "interval"
    assert row["inside_band"] is pd.NA
    assert "longer than a minute" in row["floor_because"]
    assert set(review.decomposition["factor"]) == set()


def test_seconds_are_rolled_up_and_are_their_own_peaks(world: Any) -> None:
    opening = world.rows("shop", "20:00", "20:02")
    fine = world.traffic[opening].loc[lambda part: part.index.repeat(60)].reset_index(drop=True)
    second = np.tile(np.arange(60), 2)
    fine["ts"] += pd.to_timedelta(second, unit="s")
    fine["interval_s"], fine["peak_qps"] = 1.0, np.nan
    fine["requests"] /= 60.0
    fine.loc[7, "requests"] *= 2.0
    world.traffic = pd.concat([world.traffic[~opening], fine], ignore_index=True)
    row = peak(world.review(), "opening", "shop")
    assert row["actual"] == pytest.approx(fine["requests"].max())
    assert row["peak_at"] == pd.Timestamp("2026-11-10T20:00", tz="Asia/Shanghai")


def test_lost_logs_are_missing_and_not_small(world: Any) -> None:
    world.traffic = world.traffic[~world.rows("shop", "19:58", "20:06")]
    review = world.review()
    row = peak(review, "opening", "shop")
    assert row["covered_fraction"] < 0.98
    assert "logs are missing" in row["floor_because"]
    assert row["inside_band"] is pd.NA
    assert peak(review, "opening", "search")["inside_band"]
    assert peak(review, "evening", "shop")["covered_fraction"] == 1.0
    assert any(line.startswith("Logs are missing, or not in yet: shop in") for line in review.missing)
    assert any("Logs around the peak of shop are missing" in line for line in review.missing)
    factors = review.decomposition[review.decomposition["entry"] == "shop"]["factor"]
    assert "peak_share" not in set(factors)
    assert not [le for le in review.lessons if le.scope.get("service") == "shop" and le.parameter == "peak_share"]


def test_one_lost_minute_at_the_opening_may_hold_the_peak(world: Any) -> None:
    world.traffic = world.traffic[~world.rows("shop", "20:00", "20:01")]
    review = world.review()
    row = peak(review, "opening", "shop")
    assert row["covered_fraction"] > 0.98
    assert row["inside_band"] is pd.NA
    assert "logs are missing" in row["floor_because"]
    world.traffic = world.traffic[~world.rows("search", "03:00", "03:01")]
    assert peak(world.review(), "before", "search")["floor_because"] == ""


def test_a_phase_whose_logs_are_all_lost_is_unknown_and_one_without_calls_is_zero(world: Any) -> None:
    world.traffic = world.traffic[~world.rows("shop", "20:00", "22:00")]
    quiet = (world.traffic["service"] == "rec") & (world.traffic["ts"].dt.strftime("%d %H:%M") != "10 20:00")
    world.traffic.loc[world.traffic["service"] == "rec", "requests"] = 3.0
    world.traffic = world.traffic[~quiet]
    review = world.review()
    assert np.isnan(peak(review, "opening", "shop")["actual"])
    assert peak(review, "opening", "shop")["inside_band"] is pd.NA
    assert "logs are missing" in peak(review, "opening", "shop")["floor_because"]
    assert peak(review, "evening", "rec")["actual"] == 0.0
    assert peak(review, "opening", "rec")["actual"] > 0.0


def test_a_service_is_a_floor_only_in_the_phases_it_was_switched_off(world: Any) -> None:
    world.say("degrade_on", "19:57", "recommendations", service="shop")
    world.say("degrade_off", "22:00", "recommendations", service="shop")
    review = world.review()
    off = review.services[review.services["floor_because"].str.contains("switched off: recommendations")]
    assert set(off["service"]) == {"rec"}
    assert list(off["phase"]) == ["before", "opening"]


def test_a_short_limit_spares_what_lies_behind_even_in_a_long_phase(world: Any) -> None:
    at = world.rows("shop", "16:00", "16:01")
    world.traffic.loc[at, "rejected"] = 0.3 * world.traffic.loc[at, "requests"]
    review = world.review()
    assert peak(review, "before", "db")["floor_because"] == "its callers turned requests away"
    assert review.demand["floor_because"].eq("").all()


def test_the_business_estimate_is_held_against_the_largest_day(build_world: Callable[..., Any]) -> None:
    world = build_world({"dau": 1.2})
    expected = {"dau": {"low": 0.8e6, "mid": 0.9e6, "high": 1.1e6}, "owner": "growth"}
    given = world.promotion.model_dump(exclude_unset=True) | {"expected": expected}
    world.peaks.promotion = type(world.promotion).model_validate(given)
    row = world.review().estimates.iloc[0]
    assert (row["metric"], row["mid"], row["actual"], row["owner"]) == ("dau", 0.9e6, 1.2e6, "growth")
    assert row["log_error"] == pytest.approx(np.log(1.2 / 0.9))
    assert not row["inside"]
    world.activity.loc[2, "dau"] = np.nan
    assert np.isnan(world.review().estimates.iloc[0]["actual"])


def test_a_quiet_service_is_not_taken_for_lost_logs(world: Any) -> None:
    rng = np.random.default_rng(5)
    quiet = world.traffic["service"] == "rec"
    world.traffic.loc[quiet, "requests"] = rng.poisson(0.02, quiet.sum()).astype(float)
    world.traffic = world.traffic[~quiet | (world.traffic["requests"] > 0)]
    assert peak(world.review(), "day", "rec")["covered_fraction"] == 1.0


def test_steady_load_tests_are_taken_off_the_peak(world: Any) -> None:
    clean = peak(world.review(), "opening", "shop")["actual"]
    at = world.rows("shop", "20:00", "20:10")
    world.traffic.loc[at, "test_requests"] = 60.0 * 500.0
    world.traffic.loc[at, "peak_qps"] += 500.0
    review = world.review()
    assert peak(review, "opening", "shop")["actual"] == pytest.approx(clean)
    assert any("Load tests ran during the promotion (shop)" in line for line in review.missing)


def test_what_was_turned_away_makes_orders_and_what_lies_behind_floors(build_world: Callable[..., Any]) -> None:
    world = build_world({"dat_per_dau": 0.5})
    at = world.rows("shop", "20:00", "20:30")
    world.traffic.loc[at, "rejected"] = 0.4 * world.traffic.loc[at, "requests"]
    review = world.review()
    dat = review.demand.set_index(["metric", "date"]).loc["dat"]
    own, next_day = dat.index[1], dat.index[2]
    assert "turned away" in dat.loc[own, "floor_because"]
    assert dat.loc[own, "inside_band"] is pd.NA
    assert dat.loc[next_day, "inside_band"] is np.False_ or not dat.loc[next_day, "inside_band"]
    assert "its callers turned requests away" in peak(review, "opening", "db")["floor_because"]
    assert peak(review, "opening", "shop")["floor_because"] == ""
    assert peak(review, "evening", "db")["floor_because"] == ""
    notes = review.decomposition.set_index(["entry", "factor"])["note"]
    assert "floor" in notes["shop", "dat_per_dau"]
    assert not [lesson for lesson in review.lessons if lesson.parameter == "requests_per_dat"]


def test_a_floor_above_the_band_is_a_miss_all_the_same(build_world: Callable[..., Any]) -> None:
    world = build_world({"dat_per_dau": 2.0})
    at = world.rows("shop", "20:00", "20:30")
    world.traffic.loc[at, "rejected"] = 0.4 * world.traffic.loc[at, "requests"]
    dat = world.review().demand.set_index("metric").loc["dat"]
    assert (dat["inside_band"] == False).all()  # noqa: E712 - a nullable column


def test_days_that_are_not_there_are_said_and_not_judged(world: Any) -> None:
    world.activity.loc[2, "dau"] = np.nan
    review = world.review()
    assert any("DAU of 2026-11-11 is not there" in line for line in review.missing)
    own = review.demand[(review.demand["metric"] == "dau") & review.demand["actual"].isna()]
    assert own["inside_band"].isna().all()


def test_a_promotion_that_has_not_happened_is_not_reviewed(world: Any) -> None:
    world.traffic = world.traffic[world.traffic["ts"] < pd.Timestamp("2026-11-10T20:00", tz="Asia/Shanghai")]
    with pytest.raises(NotCoveredError, match="2026-double11") as caught:
        world.review()
    assert "the table's last row is of 2026-11-10 19:59" in str(caught.value)
    world.traffic = world.traffic.iloc[:0]
    with pytest.raises(NotCoveredError, match="the table is empty"):
        world.review()


def test_a_plan_without_samples_says_what_it_lacks(world: Any) -> None:
    world.peaks = None
    with pytest.raises(NotCoveredError, match="without its samples"):
        world.review()


def test_without_a_catalogue_the_rest_is_still_judged(world: Any) -> None:
    world.catalog = None
    review = world.review()
    assert peak(review, "opening", "shop")["inside_band"]
    assert review.capacity["instances_needed"].isna().all()
    assert any("without its catalogue" in line for line in review.missing)
