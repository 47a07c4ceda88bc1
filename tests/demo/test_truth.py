"""The truth agrees with the tables it stands behind, and a replay with the truth."""

import numpy as np
import pandas as pd
import pytest

from capacity.demo import parse_truth, read_truth
from capacity.demo.candidates import SCENARIOS, pick_seconds
from capacity.demo.services import DEGRADES, NAMES
from capacity.demo.simulate import simulate
from capacity.demo.truth import queued_rate
from capacity.demo.world import draw_world

TARGET = "2026-double11"
MANY = dict.fromkeys(NAMES, 100_000)


def test_file_gives_the_truth_back(company, tmp_path):
    folder = tmp_path / "truth"
    folder.mkdir()
    (folder / "truth.json").write_text(company.texts["truth/truth.json"], encoding="utf-8")
    truth = read_truth(tmp_path)
    assert truth.instance_capacity_qps == company.truth.instance_capacity_qps
    assert truth.offered_peak_qps == company.truth.offered_peak_qps
    mine = truth.replay(instances={}, promotion_id=TARGET, degraded_features=["recommendations"])
    theirs = company.truth.replay(instances={}, promotion_id=TARGET, degraded_features=["recommendations"])
    pd.testing.assert_frame_equal(mine, theirs)


def test_other_schema_is_refused():
    with pytest.raises(ValueError, match="schema"):
        parse_truth('{"schema": "else"}')


def test_recorded_peaks_are_the_true_ones_where_nothing_was_degraded(company):
    traffic, truth = company.traffic, company.truth
    start = pd.Timestamp(truth.process["events"][TARGET]["starts_at"])
    opening = traffic[(traffic["ts"] >= start) & (traffic["ts"] < start + pd.Timedelta("2h"))]
    recorded = opening.groupby("service")["peak_qps"].max()
    for name in ("home", "search", "product-detail", "cart", "checkout"):
        assert recorded[name] == truth.offered_peak_qps[TARGET][name]["opening"]
    assert recorded["recommend"] <= truth.offered_peak_qps[TARGET]["recommend"]["opening"]


def test_replay_meets_the_offered_peaks(company):
    for promotion, services in company.truth.offered_peak_qps.items():
        replay = company.truth.replay(instances=MANY, promotion_id=promotion).set_index("service")["offered_qps"]
        for name in NAMES:
            if name not in company.truth.queued_qps[promotion]:
                assert replay[name] == max(services[name].values())


def test_degraded_peaks_are_exact_though_few_seconds_are_kept():
    world = draw_world(7)
    window = simulate(world.parameters, world.rates, world.edges, world.event("2025-38"))
    kept = pick_seconds(window, most=1)
    assert len(kept.at_s) < 500
    for features in SCENARIOS:
        everything, few = window.degraded(features), kept.offered(features)
        for name in NAMES:
            assert few[name].max() == everything[name].max()


def test_more_of_anything_never_overloads_more(company):
    truth, rng = company.truth, np.random.default_rng(3)
    for _ in range(20):
        fleet = {name: int(rng.integers(1, 60)) for name in truth.instance_capacity_qps}
        more = {name: count + int(rng.integers(0, 9)) * 3 for name, count in fleet.items()}
        base = truth.replay(instances=fleet, promotion_id=TARGET)
        larger = truth.replay(instances=more, promotion_id=TARGET)
        assert not (larger["overloaded"] & ~base["overloaded"]).any()
        whole = truth.replay(instances=fleet, promotion_id=TARGET, zone_losses=0)
        assert not (whole["overloaded"] & ~base["overloaded"]).any()
        fewer = truth.replay(instances=fleet, promotion_id=TARGET, degraded_features=list(DEGRADES))
        assert (fewer["offered_qps"] <= base["offered_qps"]).all()


def test_a_lost_zone_takes_the_larger_share(company):
    truth = company.truth
    replay = truth.replay(instances={"checkout": 7}, promotion_id=TARGET, zone_losses=1).set_index("service")
    assert replay.loc["checkout", "capacity_qps"] == 4 * truth.instance_capacity_qps["checkout"]
    assert replay.loc["order-db", "capacity_qps"] == truth.fixed_capacity_qps["order-db"]
    gone = truth.replay(instances={"checkout": 7}, promotion_id=TARGET, zone_losses=3).set_index("service")
    assert gone.loc["checkout", "capacity_qps"] == 0


def test_unknown_names_are_named(company):
    for arguments in ({"instances": {"chekout": 3}}, {"degraded_features": ["x"]}, {"promotion_id": "2027"}):
        with pytest.raises(ValueError, match=r"chekout|x|2027"):
            company.truth.replay(**{"instances": {}, "promotion_id": TARGET, **arguments})


def test_truth_of_days_is_what_was_offered(company):
    total = company.daily_activity.query("segment == 'total'").set_index("date")
    for promotion, days in company.truth.dat.items():
        for day, offered in days.items():
            recorded = int(total.loc[pd.Timestamp(day), "dat"])
            assert recorded <= offered
            assert recorded + company.truth.process["rejected"][promotion] >= 0.999 * offered
            assert company.truth.dau[promotion][day] == total.loc[pd.Timestamp(day), "dau"]


def test_queue_drains_in_time():
    arrivals = np.concatenate([np.full(100, 50.0), np.zeros(1000)]).astype(np.float32)
    rate = queued_rate(arrivals, max_delay_s=400)
    assert rate == pytest.approx(10.0, rel=0.01)  # 5,000 requests: 4,000 wait behind the last one at 10/s
