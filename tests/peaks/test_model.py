"""The whole way, against companies whose truth is known."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from capacity.catalog import Catalog, Entry, Service
from capacity.errors import InputError
from capacity.history import Traffic
from capacity.lessons import Lesson, Lessons
from capacity.peaks import Peaks, forecast_peaks
from capacity.promotion import Actual, Promotion

ENTRY_PHASES = ("opening", "evening")


@pytest.fixture(scope="module")
def peaks(world: Any) -> Peaks:
    return forecast_peaks(world.demand, world.traffic, services=world.catalog)


def width(peaks: Peaks, service: str = "home", phase: str = "opening") -> float:
    low, high = np.quantile(peaks.peak_qps.sel(service=service, phase=phase), [0.05, 0.95])
    return float(np.log(high / low))


def middle(peaks: Peaks, service: str, phase: str = "opening") -> float:
    return float(peaks.peak_qps.sel(service=service, phase=phase).median())


@pytest.mark.parametrize("family", ["a", "b"])
def test_truths_lie_in_the_ninety_percent_interval(make_world: Callable[..., Any], family: str) -> None:
    n = 30
    hits: dict[tuple[str, str], list[bool]] = {}
    for seed in range(n):
        world = make_world(100 + seed, family, n_samples=300, kinds=("double11",))
        peaks = forecast_peaks(world.demand, world.traffic, services=world.catalog, seed=seed)
        low, high = np.quantile(peaks.peak_qps, [0.05, 0.95], axis=0)
        for f, phase in enumerate(peaks.phases):
            for s, service in enumerate(peaks.services):
                hits.setdefault((phase, service), []).append(
                    bool(low[f, s] <= world.truth[phase, service] <= high[f, s])
                )
    # One phase of one service a company: the companies are independent, so the binomial test is exact.
    for phase in ENTRY_PHASES:
        for service in ("home", "checkout", "db"):
            covered = sum(hits[phase, service])
            assert binomtest(covered, n, 0.9).pvalue > 0.01 or covered / n > 0.9, (phase, service, covered)
    share = np.mean([h for rows in hits.values() for h in rows])
    assert 0.85 < share < 0.995


def test_intervals_are_not_wide_for_nothing(make_world: Callable[..., Any]) -> None:
    world = make_world(3)
    peaks = forecast_peaks(world.demand, world.traffic, services=world.catalog)
    assert width(peaks, "home", "opening") < np.log(3.2)
    assert width(peaks, "home", "evening") < np.log(1.45)


def test_factors_multiply_to_the_external_worst_second(peaks: Peaks) -> None:
    product = peaks.factors.prod("factor").to_numpy() / 60.0
    worst = peaks.peak_qps.sel(service=list(peaks.entries)).max("phase").to_numpy()
    np.testing.assert_allclose(product, worst, rtol=1e-9)  # nobody inside calls these entries
    assert float(peaks.factors.sel(factor="burst").min()) >= 1.0 - 1e-12
    assert float(peaks.factors.sel(factor="peak_share").max()) <= 1.0


def test_the_real_traffic_says_the_same(make_world: Callable[..., Any]) -> None:
    world = make_world(12, years=(2025,), kinds=("double11",))
    peaks = forecast_peaks(world.demand, world.traffic, services=world.catalog)
    frame = world.traffic.frame.astype({"service": str, "requests": int, "rejected": int})
    traffic = Traffic.from_frame(frame, timezone="Asia/Shanghai", as_of=world.demand.as_of)
    found = forecast_peaks(world.demand, traffic, services=world.catalog)
    np.testing.assert_allclose(found.peak_qps.median("sample"), peaks.peak_qps.median("sample"), rtol=0.01)


def test_the_same_seed_is_the_same_future(world: Any, peaks: Peaks) -> None:
    again = forecast_peaks(world.demand, world.traffic, services=world.catalog, seed=0)
    np.testing.assert_array_equal(again.peak_qps, peaks.peak_qps)
    other = forecast_peaks(world.demand, world.traffic, services=world.catalog, seed=1)
    assert not np.array_equal(other.peak_qps, peaks.peak_qps)


def test_more_people_never_mean_less(world: Any, peaks: Peaks) -> None:
    more = forecast_peaks(world.demand.scaled(1.5), world.traffic, services=world.catalog)
    assert (more.peak_qps.to_numpy() >= peaks.peak_qps.to_numpy()).all()
    assert (more.peak_tps >= peaks.peak_tps).all()


def test_scaled_is_demand_times_factor(peaks: Peaks) -> None:
    twice = peaks.scaled(2.0)
    np.testing.assert_allclose(twice.peak_qps, 2 * peaks.peak_qps)
    np.testing.assert_allclose(twice.factors.prod("factor"), 2 * peaks.factors.prod("factor"))
    np.testing.assert_allclose(twice.demand.total_dau, 2 * peaks.demand.total_dau)
    with pytest.raises(InputError, match="positive"):
        peaks.scaled(0.0)


def test_the_opening_stands_where_it_starts(peaks: Peaks) -> None:
    at = peaks.peak_at_s.sel(phase="opening", service="checkout")
    assert 0 <= float(at.median()) < 180
    assert float(peaks.peak_at_s.sel(phase="before").max()) < 0


def test_orders_in_the_worst_second(world: Any, peaks: Peaks) -> None:
    truth = world.truth["opening", "checkout"] / 3.0
    low, high = np.quantile(peaks.peak_tps, [0.01, 0.99])
    assert low < truth < high


def test_entries_left_out_are_estimated(make_world: Callable[..., Any]) -> None:
    told, untold = make_world(5), make_world(5, told=False)
    one = forecast_peaks(told.demand, told.traffic, services=told.catalog)
    two = forecast_peaks(untold.demand, untold.traffic, services=untold.catalog)
    assert two.entries == ("home", "search", "checkout")
    for service in ("home", "checkout", "db"):
        assert middle(two, service) == pytest.approx(middle(one, service), rel=0.2)


def test_traffic_corrects_a_wrong_fanout(make_world: Callable[..., Any]) -> None:
    right, wrong = make_world(6), make_world(6, fanout=3.0)
    one = forecast_peaks(right.demand, right.traffic, services=right.catalog)
    two = forecast_peaks(wrong.demand, wrong.traffic, services=wrong.catalog)
    assert middle(two, "catalog") == pytest.approx(middle(one, "catalog"), rel=0.1)
    assert middle(two, "db") == pytest.approx(middle(one, "db"), rel=0.1)
    assert any("traffic says" in line for line in two.why["catalog"])
    assert not any("traffic says" in line for line in one.why["catalog"])


def test_what_a_limit_turned_away_is_demand(make_world: Callable[..., Any]) -> None:
    world = make_world(7)
    frame = world.traffic.frame.copy()
    limited = frame["service"].eq("checkout") & frame["peak_qps"].gt(600)
    below = frame["service"].isin(["inventory"]) & frame["ts"].isin(frame.loc[limited, "ts"])
    frame["rejected"] = np.where(limited, frame["requests"] * 0.5, 0.0)
    frame.loc[below, ["requests", "peak_qps"]] *= 0.5
    traffic = type(world.traffic)(frame)
    free = forecast_peaks(world.demand, world.traffic, services=world.catalog)
    held = forecast_peaks(world.demand, traffic, services=world.catalog)
    assert limited.any()
    assert middle(held, "checkout") == pytest.approx(middle(free, "checkout"), rel=1e-6)
    assert middle(held, "inventory") == pytest.approx(middle(free, "inventory"), rel=0.15)


def _coarse(traffic: Any, seconds: int) -> Any:
    frame = traffic.frame
    ts = frame["ts"].dt.floor(f"{seconds}s")
    out = frame.groupby([ts, "service"], as_index=False, observed=True)[["requests", "rejected"]].sum()
    out["interval_s"] = seconds
    out["peak_qps"] = np.nan
    return type(traffic)(out)


def test_hours_only_answer_wider_and_say_why(world: Any, peaks: Peaks) -> None:
    hourly = forecast_peaks(world.demand, _coarse(world.traffic, 3600), services=world.catalog)
    assert width(hourly) > 1.3 * width(peaks)
    assert not hourly.seconds_known
    assert any("wider than a minute" in line for line in hourly.why["home"])
    low, high = np.quantile(hourly.peak_qps.sel(phase="opening", service="home"), [0.01, 0.99])
    assert low < world.truth["opening", "home"] < high


def test_whole_minutes_say_that_seconds_cannot_be_known(world: Any, peaks: Peaks) -> None:
    frame = world.traffic.frame.copy()
    frame["peak_qps"] = np.nan
    minutes = forecast_peaks(world.demand, type(world.traffic)(frame), services=world.catalog)
    assert peaks.seconds_known
    assert not minutes.seconds_known
    assert any("seconds cannot be known" in line for line in minutes.assumptions)
    assert width(minutes) > width(peaks)
    share = float(minutes.factors.sel(factor="peak_share", entry_service="home").median())
    assert share == pytest.approx(
        float(peaks.factors.sel(factor="peak_share", entry_service="home").median()), rel=0.05
    )


@pytest.mark.parametrize("empty", [None, "frame"])
def test_no_traffic_at_all_still_answers(world: Any, peaks: Peaks, empty: str | None) -> None:
    traffic = None if empty is None else type(world.traffic)(world.traffic.frame.iloc[:0])
    found = forecast_peaks(world.demand, traffic, services=world.catalog)
    assert np.isfinite(found.peak_qps).all()
    assert width(found) > 2 * width(peaks)
    assert any("no traffic history" in line for line in found.assumptions)
    assert any("published" in line for line in found.why["checkout"])
    assert not found.seconds_known
    assert (found.peak_qps.sel(service="checkout", phase="opening") > 0).all()


def test_a_remembered_peak_narrows_what_no_traffic_tells(world: Any) -> None:
    day = world.demand.history.set_index("date").loc["2025-11-11"]
    actual = Actual(dau=day["dau"], dat=day["dat"], peak_qps={"checkout": 1300.0})
    past = tuple(p.model_copy(update={"actual": actual}) if p.id == "2025-double11" else p for p in world.demand.past)
    blind = forecast_peaks(world.demand, None, services=world.catalog)
    told = forecast_peaks(replace(world.demand, past=past), None, services=world.catalog)
    assert width(told, "checkout") < 0.8 * width(blind, "checkout")


def test_a_start_hour_that_moved_widens(make_world: Callable[..., Any]) -> None:
    same, moved = make_world(8), make_world(8, hours={2023: 10, 2024: 10, 2025: 10})
    one = forecast_peaks(same.demand, same.traffic, services=same.catalog)
    two = forecast_peaks(moved.demand, moved.traffic, services=moved.catalog)
    assert any("start hour moved" in line for line in two.assumptions)
    assert width(two, "home") > width(one, "home")
    low, high = np.quantile(two.peak_qps.sel(phase="opening", service="home"), [0.01, 0.99])
    assert low < moved.truth["opening", "home"] < high
    assert 0 <= float(two.peak_at_s.sel(phase="opening", service="checkout").median()) < 180


def test_no_past_event_of_the_kind_leans_on_other_kinds(make_world: Callable[..., Any]) -> None:
    own, other = make_world(9, kinds=("double11",)), make_world(9, kinds=("618",))
    one = forecast_peaks(own.demand, own.traffic, services=own.catalog)
    two = forecast_peaks(other.demand, other.traffic, services=other.catalog)
    assert width(two) > 1.3 * width(one)
    assert any("other kinds" in line for line in two.why["home"])


def test_one_past_event_says_that_it_is_thin(make_world: Callable[..., Any]) -> None:
    one, three = make_world(10, years=(2025,), kinds=("double11",)), make_world(10, kinds=("double11",))
    few = forecast_peaks(one.demand, one.traffic, services=one.catalog)
    many = forecast_peaks(three.demand, three.traffic, services=three.catalog)
    assert width(few) > 1.15 * width(many)
    assert any("thin evidence" in line for line in few.why["home"])


def test_nothing_at_or_after_as_of_is_read(world: Any, peaks: Peaks) -> None:
    frame = world.traffic.frame
    later = frame.assign(ts=frame["ts"] + pd.Timedelta(days=365), requests=frame["requests"] * 100)
    future = tuple(
        p.model_copy(update={"id": p.id + "x", "starts_at": p.starts_at.replace(year=2027)}) for p in world.demand.past
    )
    seen = type(world.traffic)(pd.concat([frame, later[later["ts"] >= "2026-10-20"]], ignore_index=True))
    demand = replace(world.demand, past=(*world.demand.past, *future))
    found = forecast_peaks(demand, seen, services=world.catalog)
    np.testing.assert_allclose(middle(found, "home"), middle(peaks, "home"), rtol=1e-9)


def test_a_service_nobody_calls_is_zero_and_says_so(world: Any) -> None:
    services = Catalog([
        *world.catalog.values(), Service(name="orphan", tier="core"),
        Service(name="closed", tier="core", entry=Entry()),
        Service(name="偏远<b>", tier="core", entry=Entry(per_dau=1.0)),
    ])  # fmt: skip
    found = forecast_peaks(world.demand, world.traffic, services=services)
    assert not found.peak_qps.sel(service=["orphan", "closed"]).any()
    assert "nobody calls it" in found.why["orphan"][0]
    assert (found.peak_qps.sel(service="偏远<b>") > 0).all()
    assert any("no traffic of its own" in line for line in found.why["偏远<b>"])


def test_lessons_move_only_what_traffic_has_not_told(world: Any) -> None:
    def lesson(promotion: str) -> Lessons:
        return Lessons([
            Lesson(parameter="peak_share", scope={"kind": "double11"}, quantiles={"q05": 1.4, "q50": 1.5, "q95": 1.6},
                   promotion=promotion, learned_at=date(2026, 1, 5)),
        ])  # fmt: skip

    plain = forecast_peaks(world.demand, world.traffic, services=world.catalog)
    known = forecast_peaks(world.demand, world.traffic, services=world.catalog, lessons=lesson("2025-double11"))
    other = forecast_peaks(world.demand, world.traffic, services=world.catalog, lessons=lesson("2022-double11"))
    assert middle(known, "home") == middle(plain, "home")
    assert 1.2 < middle(other, "home") / middle(plain, "home") < 1.5
    late = lesson("2022-double11")
    late = Lessons([late[0].model_copy(update={"learned_at": date(2026, 10, 20)})])
    unseen = forecast_peaks(world.demand, world.traffic, services=world.catalog, lessons=late)
    assert middle(unseen, "home") == middle(plain, "home")


def test_arrivals_hold_the_worst_seconds(peaks: Peaks) -> None:
    index = np.arange(5)
    rates = peaks.entry_rates(index, start_s=0, duration_s=7200)
    assert rates.shape == (5, 3, 7200)
    worst = peaks.peak_qps.sel(phase="opening", service=list(peaks.entries)).to_numpy()[:5]
    np.testing.assert_allclose(rates.max(-1), worst, rtol=1e-6)
    assert (rates >= 0).all()
    at = peaks.peak_at_s.sel(phase="opening", service=list(peaks.entries)).to_numpy()[:5]
    np.testing.assert_array_equal(rates.argmax(-1), at.astype(int))


def test_arrivals_of_a_day_are_about_its_requests(peaks: Peaks) -> None:
    rates = peaks.entry_rates(np.array([0, 1]), start_s=4 * 3600, duration_s=86400, step_s=60)
    volume = peaks.arrivals.volume[:2, 2]
    np.testing.assert_allclose(rates.sum(-1) * 60, volume, rtol=0.2)


def test_arrivals_outside_the_known_time_are_nothing(peaks: Peaks) -> None:
    assert not peaks.entry_rates([0], start_s=30 * 86400, duration_s=60).any()
    assert peaks.entry_rates([0], start_s=0, duration_s=0).shape == (1, 3, 0)
    with pytest.raises(InputError, match="sample_index"):
        peaks.entry_rates([10**6], start_s=0, duration_s=1)


def test_arrays_come_back_as_they_went(peaks: Peaks, tmp_path: Any) -> None:
    np.savez_compressed(tmp_path / "peaks.npz", **peaks.to_arrays())
    with np.load(tmp_path / "peaks.npz", allow_pickle=False) as arrays:
        back = Peaks.from_arrays(dict(arrays), promotion=peaks.promotion, demand=peaks.demand)
    np.testing.assert_array_equal(back.peak_qps, peaks.peak_qps)
    assert back.peak_qps.coords["service"].to_numpy().tolist() == list(peaks.services)
    assert back.why == peaks.why
    assert back.assumptions == peaks.assumptions
    assert back.as_of == peaks.as_of
    np.testing.assert_array_equal(
        back.entry_rates([3], start_s=-60, duration_s=300), peaks.entry_rates([3], start_s=-60, duration_s=300)
    )
    with pytest.raises(InputError, match="schema"):
        Peaks.from_arrays({}, promotion=peaks.promotion)


def test_frame_summary_and_figures(peaks: Peaks) -> None:
    frame = peaks.to_frame()
    assert len(frame) == len(peaks.phases) * len(peaks.services)
    assert (frame["q05"] <= frame["q50"]).all()
    assert "orders/s" in repr(peaks)
    for service in (None, "home", "db"):
        chart = peaks.plot(service)
        assert "Requests per second" in chart.alt
        assert len(chart.frame)
    with pytest.raises(InputError, match="home"):
        peaks.plot("hom")


def test_a_promotion_that_has_begun_takes_known_days_as_they_were(world: Any) -> None:
    demand = replace(world.demand, as_of=date(2026, 11, 11))
    late = replace(
        demand,
        total_dau=demand.total_dau.sel(date=demand.total_dau["date"] >= np.datetime64("2026-11-11")),
        total_dat=demand.total_dat.sel(date=demand.total_dat["date"] >= np.datetime64("2026-11-11")),
    )
    found = forecast_peaks(late, world.traffic, services=world.catalog)
    assert np.isfinite(found.peak_qps).all()
    assert any("nearest day" in line for line in found.assumptions)


def test_phases_of_any_name_and_place(world: Any) -> None:
    start = world.demand.promotion.starts_at
    rush = Promotion(
        id="2026-double11", kind="double11", starts_at=start, ends_at=world.demand.promotion.ends_at,
        phases=[{"name": "rush", "starts_at": start, "ends_at": start.replace(minute=10)}],
    )  # fmt: skip
    found = forecast_peaks(replace(world.demand, promotion=rush), world.traffic, services=world.catalog)
    assert "rush" in found.phases
    assert np.isfinite(found.peak_qps).all()
    assert middle(found, "home", "rush") > middle(found, "home", "before")


@pytest.mark.parametrize("names", [(), ("closed",), ("unheard-of",)])
def test_nothing_from_outside_is_zero_and_says_so(world: Any, names: tuple[str, ...]) -> None:
    services = Catalog([Service(name=n, tier="core", entry=Entry() if n == "closed" else None) for n in names])
    for traffic in (world.traffic, None):
        found = forecast_peaks(world.demand, traffic, services=services)
        assert not found.peak_qps.any()
        assert found.entry_rates([0], start_s=0, duration_s=5).shape == (1, 0, 5)
        assert all(found.why[name] for name in names)
        assert found.plot().title
