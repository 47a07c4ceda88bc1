"""A company of the second family: always the same, true to its contracts, its truth that of its traffic."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from benchmarks.second_family import make_second_company
from benchmarks.second_family.world import draw_world
from capacity.catalog import parse_services
from capacity.history import Traffic
from capacity.promotion import parse_promotions


def digest(frame):
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()


@pytest.fixture(scope="module")
def promotions(second_company):
    return parse_promotions(second_company.texts["data/promotions.yaml"], timezone="Asia/Singapore")


@pytest.fixture(scope="module")
def orders(second_company):
    """Rows of the service of which one request is one order."""
    catalog = parse_services(second_company.texts["data/services.yaml"])
    (name,) = [name for name, service in catalog.items() if service.counts_as]
    return second_company.traffic[second_company.traffic["service"] == name]


def test_same_seed_same_company(second_company):
    again = make_second_company(second_company.seed)
    assert again.texts == second_company.texts
    assert again.truth == second_company.truth
    for name in ("daily_activity", "traffic", "calls"):
        assert digest(getattr(again, name)) == digest(getattr(second_company, name))


def test_bad_seed_is_refused():
    with pytest.raises(ValueError, match="seed is -1"):
        make_second_company(-1)


def test_companies_differ_in_kind():
    worlds = [draw_world(seed) for seed in range(24)]
    assert len({world.setting.market.name for world in worlds}) >= 6
    assert {world.days.form for world in worlds} == {"adoption", "piecewise", "decline"}
    assert min(len(world.graph.nodes) for world in worlds) < 12 < 24 < max(len(world.graph.nodes) for world in worlds)
    past = [sum(e.kind == w.target.kind and e.starts_s < w.target.starts_s for e in w.played) for w in worlds]
    assert min(past) == 1
    assert max(past) >= 3
    assert {len(world.days.segments) == 1 for world in worlds} == {True, False}


def test_tables_follow_their_contracts(second_company):
    traffic, daily = second_company.traffic, second_company.daily_activity
    assert not traffic.duplicated(["ts", "service"]).any()
    assert (traffic["errors"] + traffic["rejected"] <= traffic["requests"]).all()
    assert (traffic["bot_requests"] <= traffic["requests"]).all()
    assert ((traffic["p50_ms"] <= traffic["p99_ms"]) | traffic["p50_ms"].isna()).all()
    assert not daily.duplicated(["date", "segment"]).any()
    width = traffic.groupby("service")["ts"].diff(-1).dt.total_seconds().abs()
    mean = traffic["requests"] / width
    assert (traffic["peak_qps"] >= np.floor(mean))[width <= 3600].all()
    assert set(width[width <= 3600]) == {60.0, 3600.0}


def test_days_of_the_truth_are_those_of_the_tables(second_company, orders, promotions):
    truth = second_company.truth
    by_day = orders.groupby(orders["ts"].dt.date)["requests"].sum()
    total = second_company.daily_activity.query("segment == 'total'").set_index("date")
    for day in promotions[second_company.promotion].dates:
        assert truth.dat[second_company.promotion][day.isoformat()] == by_day[day]
        assert truth.dau[second_company.promotion][day.isoformat()] == total.loc[pd.Timestamp(day), "dau"]
        completed = total.loc[pd.Timestamp(day), "dat"]
        assert (
            0.99 * by_day[day] < completed + truth.process["rejected"][second_company.promotion] <= 1.01 * by_day[day]
        )


def test_peaks_of_the_truth_are_the_largest_offered_seconds(second_company, promotions):
    truth, traffic = second_company.truth, second_company.traffic
    seen = 0
    for name, services in truth.offered_peak_qps.items():
        limited = truth.process["rejected"][name] > 0
        for phase in promotions[name].phases:
            rows = traffic[(traffic["ts"] >= phase.starts_at) & (traffic["ts"] < phase.ends_at)]
            recorded = rows.groupby("service")["peak_qps"].max()
            for service, peaks in services.items():
                assert recorded[service] <= peaks[phase.name]
                assert limited or recorded[service] == peaks[phase.name]
                seen += 1
    assert seen > 100


def test_replay_without_degradation_is_the_largest_second(second_company):
    truth, promotion = second_company.truth, second_company.promotion
    replay = truth.replay(instances={}, promotion_id=promotion).set_index("service")
    for name, phases in truth.offered_peak_qps[promotion].items():
        if name in truth.queued_qps[promotion]:
            assert replay.loc[name, "offered_qps"] <= max(phases.values())
        else:
            assert replay.loc[name, "offered_qps"] == max(
                qps for phase, qps in phases.items() if phase not in {"before", "after"}
            )


def test_degrading_frees_and_more_instances_hold(second_company):
    truth, promotion = second_company.truth, second_company.promotion
    features = max(truth.degraded_peak_qps[promotion], key=len)
    assert features
    base = truth.replay(instances={}, promotion_id=promotion)
    less = truth.replay(instances={}, promotion_id=promotion, degraded_features=features)
    assert (less["offered_qps"] <= base["offered_qps"]).all()
    assert (less["offered_qps"] < base["offered_qps"]).any()
    many = dict.fromkeys(truth.instance_capacity_qps, 10**6)
    held = truth.replay(instances=many, promotion_id=promotion).query("not is_fixed")
    assert not held["overloaded"].any()
    lost = truth.replay(instances=many, promotion_id=promotion, zone_losses=truth.zones).query("not is_fixed")
    assert lost["overloaded"].all()


def test_replay_names_what_it_does_not_know(second_company):
    with pytest.raises(ValueError, match="chekout"):
        second_company.truth.replay(instances={"chekout": 3}, promotion_id=second_company.promotion)


def test_nothing_of_the_planned_promotion_is_written_down(second_company, promotions):
    target = promotions[second_company.promotion]
    assert target.actual is None
    assert 14 <= (target.starts_at.date() - second_company.as_of).days <= 42


def test_a_company_of_india_has_the_numbers_it_would_have_an_hour_beside():
    """Seed 21 is in India, 5:30 from UTC; the same local times in Bangladesh, 6:00 from it, say the same."""
    frame = make_second_company(21).traffic
    local = frame["ts"].dt.tz_localize(None)
    rows = frame.groupby(["service", local.dt.floor("h")])["ts"].transform("size")

    def ask(zone):
        traffic = Traffic.from_frame(frame.assign(ts=local.dt.tz_localize(zone)), timezone=zone)
        blocks = traffic.block_maxima("1h")
        for name in ("block_at", "max_at"):
            blocks[name] = blocks[name].dt.tz_localize(None)
        width = traffic.window(pd.Timestamp(0, tz="UTC"), pd.Timestamp("2099-01-01", tz="UTC"))
        return traffic.daily(), blocks, width.sort_values(["service", "ts"])[["interval_s"]].reset_index(drop=True)

    assert str(frame["ts"].dt.tz) == "Asia/Kolkata"
    daily, blocks, width = ask("Asia/Kolkata")
    # An hour has one row or a minute's each.
    assert width["interval_s"].tolist() == np.where(rows > 1, 60, 3600).tolist()
    assert daily["requests"].sum() == frame["requests"].sum()
    for here, there in zip((daily, blocks, width), ask("Asia/Dhaka"), strict=True):
        pd.testing.assert_frame_equal(here, there)
