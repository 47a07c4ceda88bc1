"""What-ifs: the change and nothing else, held and planned anew."""

import numpy as np
import pytest

from capacity.catalog import parse_services
from capacity.errors import InputError
from capacity.plan import make_plan
from capacity.plan.what_if import what_if
from capacity.settings import Risk


def services(plan, key):
    return {name: service[key] for name, service in plan.document["services"].items()}


def test_no_change_makes_no_difference(plan):
    found = what_if(plan, {})
    assert found.to_frame().empty
    assert found.warnings == ()
    for measure in found.totals.itertuples():
        assert measure.held == pytest.approx(measure.plan, rel=1e-6), measure
        assert measure.anew == pytest.approx(measure.plan, rel=1e-6), measure
    assert services(found.held, "overload_probability") == services(plan, "overload_probability")


def test_no_change_makes_no_difference_to_a_plan_with_degradation(bench):
    services = parse_services(
        """
- {name: web, tier: core, instances: 60, zones: 3, entry: {per_dau: 1}, calls: [
    {to: db, per_request: 1.0},
    {to: tips, per_request: 1.0, required: false, degrade: {feature: tips, value_per_request: 0.1}}]}
- {name: tips, tier: core, instances: 30, zones: 3, calls: [{to: db, per_request: 1.0}]}
- {name: db, tier: core, scalable: false, max_qps: 1500}
"""
    )
    peaks = bench.peaks_of(services, {"web": 1000.0}, n=400)
    curves = bench.curves_of(services, {"web": 60.0, "tips": 60.0}, n=400)
    plan = make_plan(peaks, curves, services=services, risk=Risk())
    assert [rung["planned"] for rung in plan.document["degradation"]] == [True]
    found = what_if(plan, {})
    assert found.to_frame().empty
    assert found.held.document["core_overload_probability"] == plan.document["core_overload_probability"]
    on = what_if(plan, {"demand": 0.5}).anew
    assert [rung["planned"] for rung in on.document["degradation"]] == [False]


def test_more_demand_overloads_what_is_held_and_costs_more_planned_anew(plan):
    steps = [what_if(plan, {"demand": factor}) for factor in (0.8, 1.0, 1.2, 1.5)]
    held = [step.held.document["core_overload_probability"] for step in steps]
    cost = [step.anew.document["cost"]["per_hour_peak"] for step in steps]
    assert held == sorted(held)
    assert cost == sorted(cost)
    assert held[0] < held[-1]
    assert services(steps[-1].held, "instances") == services(plan, "instances")
    assert services(steps[-1].held, "cluster_limit_qps") == pytest.approx(services(plan, "cluster_limit_qps"))
    assert steps[2].anew.document["peak_tps"]["q95"] == pytest.approx(1.2 * plan.document["peak_tps"]["q95"])


def test_fewer_instances_of_one_service_are_held_and_only_it_is_worse(plan):
    fewer = plan.document["services"]["checkout"]["instances"] // 2
    found = what_if(plan, {"checkout.instances": fewer})
    assert found.held.document["services"]["checkout"]["instances"] == fewer
    assert found.anew.document["services"]["checkout"]["instances"] == fewer
    before, after = services(plan, "overload_probability"), services(found.held, "overload_probability")
    assert after["checkout"] > before["checkout"]
    assert {n: p for n, p in after.items() if n != "checkout"} == {n: p for n, p in before.items() if n != "checkout"}
    assert not found.anew.feasible


def test_an_api_changes_the_pool_it_runs_on(plan):
    found = what_if(plan, {"render.instances": 7})
    assert found.held.document["services"]["web"]["instances"] == 7


def test_a_limit_set_by_hand_is_taken_and_its_danger_told(plan):
    own = plan.document["services"]["checkout"]["cluster_limit_qps"]
    low, high = what_if(plan, {"checkout.limit_qps": own / 2}), what_if(plan, {"checkout.limit_qps": own * 20})
    assert low.held.document["admitted_tps"] == pytest.approx(own / 2)
    turned = [f.held.document["transactions_turned_away"]["q95"] for f in (low, high)]
    assert turned[0] > turned[1]
    assert low.warnings == ()
    assert any("to checkout" in line for line in high.warnings)
    assert any("to order-db" in line for line in high.warnings)
    # Limits never make an overload less likely.
    assert low.held.document["core_overload_probability"] == plan.document["core_overload_probability"]


def test_fewer_zones_and_more_losses_are_worse(plan):
    base = plan.document["core_overload_probability"]
    for change in ({"checkout.zones": 2}, {"zone_losses": 2}):
        found = what_if(plan, change)
        assert found.held.document["core_overload_probability"] > base, change
        assert found.anew.document["cost"]["per_hour_peak"] > plan.document["cost"]["per_hour_peak"], change


def test_a_feature_that_is_off_relieves_what_it_calls(plan):
    found = what_if(plan, {"off.recommendations": 1})
    before, after = services(plan, "peak_qps")["recommend"]["q50"], services(found.held, "peak_qps")["recommend"]["q50"]
    shop = plan.services["checkout"]
    rate = next(call.per_request for call in shop.calls if call.to == "recommend")
    assert before - after == pytest.approx(rate * services(plan, "peak_qps")["checkout"]["q50"], rel=0.02)
    assert services(found.held, "peak_qps")["checkout"] == services(plan, "peak_qps")["checkout"]


def test_raising_what_does_not_scale(plan):
    weak = what_if(plan, {"payco.max_qps": 900})
    assert weak.held.document["services"]["payco"]["overload_probability"] > 0.5
    assert weak.held.document["services"]["checkout"]["instances"] == plan.document["services"]["checkout"]["instances"]


def test_the_plan_itself_is_left_alone(plan):
    before = plan.to_json()
    what_if(plan, {"demand": 2.0, "checkout.instances": 3, "checkout.limit_qps": 5})
    assert plan.to_json() == before


def test_every_change_that_is_not_understood_is_told_at_once(plan):
    with pytest.raises(InputError) as told:
        what_if(
            plan,
            {
                "chekout.instances": 3,
                "checkout.instance": 3,
                "checkout.instances": 2.5,
                "checkout.limit_qps": -1,
                "payco.instances": 4,
                "off.recomendations": 1,
                "off.banners": 2,
            },
        )
    said = str(told.value)
    for words in (
        "did you mean 'checkout'", "did you mean 'instances'", "a whole number", "a number above 0",
        "payco.max_qps says what it takes", "did you mean 'recommendations'", "1 for off, 0 for on",
    ):  # fmt: skip
        assert words in said, said


def test_the_difference_is_readable_and_drawn(plan):
    found = what_if(plan, {"demand": 1.3})
    assert "demand = 1.3" in repr(found)
    document = found.to_document()
    assert document["schema"] == "capacity.what-if/1"
    assert document["plan"]["signature"]
    chart = found.plot()
    assert len(chart.frame) == len(found.to_frame())
    assert np.isfinite(chart.frame["overload_held"]).all()
