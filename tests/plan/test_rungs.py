"""The ladder as it is written: what frees what, in which order it is taken back, what is said when it is not enough."""

import pytest

from capacity.catalog import Catalog, Service
from capacity.plan import make_plan
from capacity.settings import Risk


def changed(catalog, **by_name):
    return Catalog.from_services(
        [
            Service.model_validate(
                {k: getattr(s, k) for k in s.model_fields_set} | by_name.get(s.name.replace("-", "_"), {})
            )
            for s in catalog.values()
        ]
    )


def calls_of(service, *more):
    return [*(c.model_dump(exclude_unset=True) for c in service.calls), *more]


def bought_before(catalog, max_qps, **by_name):
    """The order database serves an optional call of the detail pages, which itself leads to another feature."""
    asks = {
        "to": "history", "per_request": 0.5,
        "degrade": {"feature": "bought before", "switch": "bb", "owner": "x", "value_per_request": 0.01, "takes_s": 60},
    }  # fmt: skip
    nested = {
        "to": "order-db", "per_request": 2.0,
        "degrade": {"feature": "order status", "switch": "os", "value_per_request": 0.03, "takes_s": 10},
    }  # fmt: skip
    history = Service.model_validate(
        {"name": "history", "tier": "core", "zones": 3, "instances": 40, "calls": [nested]}
    )
    catalog = Catalog.from_services([*catalog.values(), history])
    return changed(
        catalog, detail={"calls": calls_of(catalog["detail"], asks)}, order_db={"max_qps": max_qps}, **by_name
    )


def plan_of(bench, catalog):
    curves = bench.curves_of(catalog, bench.capacity | {"history": 100.0})
    return make_plan(bench.peaks_of(catalog, bench.entry_qps), curves, services=catalog, risk=Risk())


@pytest.fixture(scope="module")
def plan(bench):
    return plan_of(bench, bought_before(bench.shop(), 6500.0))


def test_of_two_features_that_free_the_same_the_one_that_loses_less_is_planned(plan):
    """Without "bought before" the nested feature's calls are not made either, and their value is lost with it."""
    first = plan.document["degradation"][0]
    assert (first["feature"], first["planned"]) == ("order status", True)
    assert [r["planned"] for r in plan.document["degradation"]].count(True) == 1
    reach = plan.document["degradation_reach"]
    assert reach["core_does_not_fit"]["nothing_off"] > 0.5
    assert reach["core_does_not_fit"]["as_planned"] <= 0.05
    assert reach["suffices"]
    assert reach["bottlenecks"] == ["order-db"]
    assert reach["value_gap_fraction"] == pytest.approx(0, abs=1e-6)
    assert reach["value_lost_per_hour"] == pytest.approx(first["value_lost_per_hour"])


def test_each_rung_frees_what_those_before_it_have_left(plan):
    rungs = {r["feature"]: r for r in plan.document["degradation"]}
    status, before = rungs["order status"], rungs["bought before"]
    assert status["frees"][0]["service"] == "order-db"
    assert status["frees"][0]["share"] == pytest.approx(status["frees"][0]["qps"] / 6500.0)
    assert before["saves_qps"]["order-db"] == pytest.approx(status["saves_qps"]["order-db"])
    assert "order-db" not in [f["service"] for f in before["frees"]]  # switched off already by the rung before
    lost = [r["value_lost_so_far_per_hour"] for r in plan.document["degradation"]]
    assert lost == sorted(lost)


def test_it_is_taken_back_in_reverse_when_the_caller_is_calm_and_checked_by_its_calls(plan):
    rungs = plan.document["degradation"]
    assert [r["recovery_order"] for r in rungs] == [r["order"] for r in rungs][::-1]
    status = rungs[0]
    assert status["check"] == [
        {"caller": "history", "callee": "order-db", "calls_per_request": 2.0, "at_least_fraction": 0.9, "for_s": 300}
    ]
    assert status["recover"]["service"] == "history"
    services = plan.document["services"]
    share = status["recover"]["below_qps"] / (services["history"]["peak_qps"]["q50"])
    all_on = services["order-db"]["peak_qps"]["q50"] + status["frees"][0]["qps"]
    assert share == pytest.approx(0.7 * 6500.0 / all_on, rel=0.05)
    assert "switch os back when history has been under" in status["recovery"]
    assert status["effective_after_s"] == status["watch"]["for_s"] + status["takes_s"]


def test_later_rungs_at_one_service_wait_for_the_earlier_ones(plan):
    watched: dict[str, float] = {}
    for rung in plan.document["degradation"]:
        at = rung["watch"]["service"]
        assert rung["watch"]["for_s"] >= watched.get(at, 30.0)
        watched[at] = rung["watch"]["for_s"] + rung["takes_s"]


def test_switches_are_planned_off_before_the_phases_that_need_them_and_only_then(plan):
    rung = plan.document["degradation"][0]
    assert rung["on_at"] < "2026-11-10T20:00:00+08:00" < rung["off_at"]
    assert rung["off_at"] < "2026-11-12T00:00"
    before = plan.document["services"]["order-db"]["peak_qps"]["q50"]
    assert before == pytest.approx(4000, rel=0.1)


def test_when_everything_off_is_not_enough_it_is_said_with_what_would_be(bench):
    catalog = bought_before(bench.shop(), 3000.0)
    plan = plan_of(bench, catalog)
    reach = plan.document["degradation_reach"]
    assert not reach["suffices"]
    assert reach["core_does_not_fit"]["everything_off"] > 0.9
    assert any("order-db" in text for text in reach["would_suffice"])
    assert any("with all 5 features off" in text for text in plan.infeasible_because)


def test_nothing_to_switch_off_is_an_empty_ladder(bench):
    catalog = bench.shop()
    services = []
    for s in catalog.values():
        calls = [c.model_dump(exclude_unset=True) for c in s.calls if c.degrade is None]
        services.append(Service.model_validate({k: getattr(s, k) for k in s.model_fields_set} | {"calls": calls}))
    document = plan_of(bench, Catalog.from_services(services)).document
    assert document["degradation"] == []
    assert document["degradation_reach"]["suffices"]
