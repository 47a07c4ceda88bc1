"""The numbers beside the options that were not taken, and the facts that only some services have."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from capacity.plan import make_plan
from capacity.plan.decide import decide
from capacity.plan.fleet import Offered, read_fleet
from capacity.plan.sizing import survivors
from capacity.settings import Risk
from tests.plan.conftest import changed


@pytest.fixture(scope="module")
def decided(shop):
    catalog, peaks, curves = shop
    fleet = read_fleet(catalog, curves, zone_losses=1)
    offered = Offered(peaks.peak_qps.values, np.ones(len(fleet.names)))
    return decide(fleet, offered, risk=Risk(), entries=[0, 1], transaction=np.array([1]))


def test_other_counts_are_judged_future_by_future(decided):
    fleet = decided.fleet
    for name in ("checkout", "index", "recommend"):
        s = fleet.names.index(name)
        p = int(fleet.pool[s])
        tier = int(fleet.pool_tier[p])
        for option, n in ((decided.options.kept, fleet.now[p]), (decided.options.one_fewer, decided.instances[p] - 1)):
            assert option.instances[p] == n
            left = int(survivors(n, fleet.zones[p], fleet.losses[p]))
            alone = decided.offered.peak_qps[:, :, s].max(axis=1) / fleet.capacity[:, s] > left
            assert option.own[p] == pytest.approx(alone.mean())
            if tier == 2:
                assert np.isnan(option.joint[p])
                continue
            others = decided.overloaded[:, fleet.tier == tier].any(axis=1)
            told = (decided.core_probability, decided.non_core_probability)[tier]
            assert option.joint[p] == pytest.approx(min(told - others.mean() + (others | alone).mean(), 1.0))


def test_every_option_that_was_not_taken_says_its_probability(plan):
    for entry in plan.document["services"].values():
        if entry["decision"] != "scale_out":
            continue
        for option in entry["rejected"]:
            assert "%" in option["because"], option
    options = [o["option"] for o in plan.document["services"]["recommend"]["rejected"]]
    assert options[0] == "keep"
    assert options[1].endswith("instances")
    assert options[2].startswith("degrade instead")


def test_what_waits_behind_a_queue_is_in_the_document(plan):
    queue = plan.document["services"]["fulfil"]["queue"]
    assert queue["max_delay_s"] == 1800.0
    assert queue["largest_backlog"] > 0
    assert queue["drain_s"] > 1800.0
    assert plan.document["services"]["web"]["queue"] is None


def test_cold_caches_let_ten_times_as_much_through(plan):
    """Hits of 95 % warm and 50 % cold: ten times the misses."""
    entry = plan.document["services"]["catalog"]
    assert entry["cold_caches"]["peak_qps"] == pytest.approx(10.0 * entry["peak_qps"]["q50"], rel=0.01)
    assert entry["cold_caches"]["overload_probability"] > 0.99
    assert plan.document["services"]["web"]["cold_caches"] is None


def test_a_service_without_a_zone_to_spare_says_what_its_loss_does_and_what_sparing_one_costs(shop):
    catalog, peaks, curves = shop
    plan = make_plan(peaks, curves, services=changed(catalog, "search", zones=1), risk=Risk())
    entry = plan.document["services"]["search"]
    gap = entry["zone_gap"]
    assert gap["overload_probability"] == 1.0
    assert gap["instances_if_spread"] == 2 * entry["surviving_instances"]
    assert gap["more_per_hour_if_spread"] == gap["instances_if_spread"] - entry["instances"]
    assert any("nothing is left" in text for text in entry["why"])
    assert plan.document["services"]["web"]["zone_gap"] is None


def _with_as_of(bench, catalog, when, **more):
    from dataclasses import replace

    return replace(bench.peaks_of(catalog, bench.entry_qps, **more), as_of=when)


def test_a_plan_made_too_late_says_so(shop, bench):
    """Start-up takes 4 min and the warm-up 30: a plan of the day before is in time, one of the day after is not."""
    catalog, _, curves = shop
    before = make_plan(_with_as_of(bench, catalog, date(2026, 11, 9)), curves, services=catalog, risk=Risk())
    assert all(entry["late"] is None for entry in before.document["services"].values())
    assert before.feasible
    after = make_plan(_with_as_of(bench, catalog, date(2026, 11, 11)), curves, services=catalog, risk=Risk())
    web = after.document["services"]["web"]
    assert web["late"]["in_time"] is False
    assert datetime.fromisoformat(web["late"]["serves_at"]) == datetime.fromisoformat(
        "2026-11-11T00:00+08:00"
    ) + timedelta(seconds=240)
    assert any("cannot serve in time" in reason and "web" in reason for reason in after.infeasible_because)


def test_a_plan_made_inside_the_freeze_needs_an_exception(shop, bench):
    catalog, _, curves = shop
    freeze = {"starts_at": "2026-11-09T00:00+08:00", "ends_at": "2026-11-13T00:00+08:00"}
    peaks = _with_as_of(bench, catalog, date(2026, 11, 10), freeze=freeze)
    plan = make_plan(peaks, curves, services=catalog, risk=Risk())
    web = plan.document["services"]["web"]
    assert web["late"]["in_time"] is True
    assert any("with an exception" in text for text in web["why"])
    assert plan.feasible
