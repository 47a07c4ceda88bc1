"""The whole plan: its contract, its decisions, what it says when it cannot hold, bad input."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from capacity.catalog import Catalog, Service
from capacity.errors import InputError
from capacity.plan import Plan, check_plan_document, make_plan, signature
from capacity.settings import Risk
from tests.plan.conftest import changed

TOP = {
    "schema", "promotion", "as_of", "risk", "demand", "peak_tps", "admitted_tps", "transactions_turned_away",
    "services",
    "edges", "degradation", "cost", "core_overload_probability", "total_overload_probability", "assumptions", "inputs",
    "signature",
}  # fmt: skip
SERVICE = {
    "decision", "peak_qps", "peak_at", "instance_capacity_qps", "capacity_evidence", "instances", "instances_now",
    "instances_by_phase", "scale_schedule", "cluster_limit_qps", "instance_limit_qps",
    "instance_limit_no_false_reject_qps", "key_limit_qps", "limited_by", "rejected_fraction", "overload_probability",
    "why", "rejected",
}  # fmt: skip


def test_document_has_every_key_of_the_contract(plan):
    assert set(plan.document) >= TOP
    for entry in plan.document["services"].values():
        assert set(entry) >= SERVICE
        assert entry["decision"] in {"keep", "scale_out", "optimise", "degrade", "negotiate"}
        assert entry["why"]
    rung = plan.document["degradation"][0]
    assert set(rung) >= {
        "order", "feature", "service", "trigger", "on_at", "off_at", "owner", "saves_qps", "value_lost_per_hour",
        "recovery",
    }  # fmt: skip
    json.dumps(plan.document, allow_nan=False)


def test_same_inputs_give_the_same_bytes_and_a_signature_that_fits(plan, shop):
    catalog, peaks, curves = shop
    again = make_plan(peaks, curves, services=catalog, risk=Risk())
    assert again.to_json() == plan.to_json()
    back = json.loads(plan.to_json())
    check_plan_document(back)
    assert back["signature"] == signature(back) == plan.document["signature"]
    assert Plan.from_document(back).to_json() == plan.to_json()


def test_a_changed_plan_is_noticed(plan):
    changed = json.loads(plan.to_json())
    changed["services"]["web"]["instances"] += 1
    with pytest.raises(InputError, match="changed after it was written"):
        check_plan_document(changed)
    broken = json.loads(plan.to_json())
    del broken["cost"], broken["services"]["web"]["why"]
    with pytest.raises(InputError) as caught:
        Plan.from_document(broken)
    assert len(caught.value.problems) >= 3
    for nonsense in ([], {"schema": "capacity.plan/2"}, {"schema": "capacity.plan/1", "services": []}):
        with pytest.raises(InputError):
            check_plan_document(nonsense)


def test_inputs_are_signed_too(plan):
    files = [{"path": "data/services.yaml", "sha256": "0" * 64, "rows": 16}]
    signed = plan.with_inputs(files)
    assert signed.document["inputs"] == files
    assert signed.document["signature"] != plan.document["signature"]
    check_plan_document(signed.document)


def test_the_promise_holds_and_its_probability_is_told(plan):
    assert plan.feasible
    assert 0 < plan.document["core_overload_probability"] <= 0.05
    assert plan.document["total_overload_probability"] >= plan.document["core_overload_probability"]
    assert plan.document["services"]["web"]["decision"] == "scale_out"
    assert plan.document["services"]["admin"]["decision"] == "keep"
    assert plan.document["services"]["render"]["instances"] == plan.document["services"]["web"]["instances"]


def test_probability_is_of_offered_load_not_of_what_limits_let_through(plan, shop, bench):
    """With a degradable service's capacity far below its load the limit turns most away; the probability says so."""
    catalog, peaks, _ = shop
    curves = bench.curves_of(catalog, bench.capacity | {"banner": 1.0})
    catalog = changed(catalog, "banner", max_instances=4)
    tight = make_plan(peaks, curves, services=catalog, risk=Risk()).document["services"]["banner"]
    assert tight["overload_probability"] == 1.0
    assert tight["rejected_fraction"]["q50"] > 0.9


def test_limits_and_edges_fit_together(plan):
    services = plan.document["services"]
    sent: dict[str, float] = {}
    for edge in plan.document["edges"]:
        sent[edge["callee"]] = sent.get(edge["callee"], 0.0) + edge["limit_qps"]
    for name, rate in sent.items():
        assert rate <= services[name]["cluster_limit_qps"] * (1 + 1e-6)
    for name, entry in services.items():
        assert entry["instance_limit_qps"] is None or entry["cluster_limit_qps"] == pytest.approx(
            entry["instance_limit_qps"] * entry["instances"], rel=1e-6
        ), name


def test_more_risk_never_costs_more(shop):
    catalog, peaks, curves = shop
    costs = [
        make_plan(peaks, curves, services=catalog, risk=Risk(overload_probability=p)).document["cost"]["per_hour_peak"]
        for p in (0.005, 0.02, 0.05, 0.1, 0.2)
    ]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]


def test_more_demand_never_costs_less_and_zones_lost_cost(shop):
    catalog, peaks, curves = shop
    cost = lambda factor, losses: make_plan(  # noqa: E731
        peaks.scaled(factor), curves, services=catalog, risk=Risk(zone_losses=losses)
    ).document["cost"]["per_hour_peak"]
    costs = [cost(f, 1) for f in (0.5, 1.0, 1.1, 1.5)]
    assert costs == sorted(costs)
    assert cost(1.0, 0) < cost(1.0, 1)


def test_a_third_party_that_is_too_small_makes_it_infeasible_and_the_named_change_mends_it(shop, bench):
    catalog, peaks, _ = shop
    catalog = changed(catalog, "payco", max_qps=1000.0)
    plan = make_plan(peaks, bench.curves_of(catalog, bench.capacity), services=catalog, risk=Risk())
    payco = plan.document["services"]["payco"]
    assert not plan.feasible
    assert payco["decision"] == "negotiate"
    assert plan.document["core_overload_probability"] == pytest.approx(payco["overload_probability"], abs=0.05)
    assert "payco" in plan.infeasible_because[0]
    assert "hold back" in plan.infeasible_because[0]
    check_plan_document(plan.document)
    from capacity.plan.decide import decide
    from capacity.plan.feasibility import find_mends
    from capacity.plan.fleet import Offered, read_fleet

    fleet = read_fleet(catalog, bench.curves_of(catalog, bench.capacity), zone_losses=1)
    offered = Offered(peaks.peak_qps.values, np.ones(len(fleet.names)))
    decided = decide(fleet, offered, risk=Risk(), entries=[0, 1], transaction=np.array([1]))
    mends, fits = find_mends(decided, 0, risk=Risk())
    assert [m.kind for m in mends] == ["capacity"]
    mended = changed(catalog, "payco", max_qps=mends[0].needs)
    curves = bench.curves_of(mended, bench.capacity)
    assert make_plan(peaks, curves, services=mended, risk=Risk()).feasible
    less = changed(catalog, "payco", max_qps=0.93 * mends[0].needs)
    assert not make_plan(peaks, bench.curves_of(less, bench.capacity), services=less, risk=Risk()).feasible
    calm = peaks.scaled(fits)
    assert make_plan(calm, bench.curves_of(catalog, bench.capacity), services=catalog, risk=Risk()).feasible


def test_an_optional_feature_is_planned_off_when_core_does_not_fit_and_only_then_counts(shop, bench):
    """The order database serves an optional call; without it the core fits, with it not."""
    catalog, peaks, _ = shop
    services = [s for s in catalog.values() if s.name != "detail"]
    detail = catalog["detail"]
    calls = [*(c.model_dump(exclude_unset=True) for c in detail.calls)]
    calls.append(
        {"to": "order-db", "per_request": 1.0, "degrade": {"feature": "bought before", "switch": "bb", "owner": "x"}}
    )
    services.append(
        Service.model_validate(
            {k: getattr(detail, k) for k in detail.model_fields_set if k != "calls"} | {"calls": calls}
        )
    )
    order = list(catalog.names)
    catalog = Catalog.from_services(sorted(services, key=lambda s: order.index(s.name)))
    catalog = changed(catalog, "order-db", max_qps=6500.0)
    peaks = bench.peaks_of(catalog, bench.entry_qps)
    plan = make_plan(peaks, bench.curves_of(catalog, bench.capacity), services=catalog, risk=Risk())
    rung = plan.document["degradation"][0]
    assert rung["feature"] == "bought before"
    assert rung["planned"]
    assert rung["on_at"] < "2026-11-10T20:00" < rung["off_at"]
    assert [r["planned"] for r in plan.document["degradation"][1:]] == [False, False, False]
    assert plan.feasible
    assert plan.document["services"]["order-db"]["decision"] == "degrade"
    assert plan.document["services"]["order-db"]["peak_qps"]["q50"] == pytest.approx(4000, rel=0.05)
    wide = changed(catalog, "order-db", max_qps=30000.0)
    relaxed = make_plan(peaks, bench.curves_of(wide, bench.capacity), services=wide, risk=Risk())
    assert not any(r["planned"] for r in relaxed.document["degradation"])


def test_unknown_capacity_is_said_and_not_promised(shop, bench):
    catalog, peaks, _ = shop
    curves = bench.curves_of(catalog, {k: v for k, v in bench.capacity.items() if k != "payment"})
    plan = make_plan(peaks, curves, services=catalog, risk=Risk())
    entry = plan.document["services"]["payment"]
    assert entry["decision"] == "negotiate"
    assert "load test" in entry["why"][0]
    assert entry["overload_probability"] is None
    assert entry["instance_capacity_qps"] == {"q05": None, "q50": None, "q95": None}
    assert any("payment" in reason for reason in plan.infeasible_because)
    assert any("exclude payment" in text for text in plan.document["assumptions"])


def test_quota_connections_hot_keys_and_single_zones_are_counted(shop, bench):
    catalog, peaks, _ = shop
    catalog = changed(catalog, "cache", max_instances=6)
    catalog = changed(catalog, "order-db", max_connections=100)
    catalog = changed(catalog, "inventory", hot_key={"top_share": 0.5, "max_qps": 600.0})
    catalog = changed(catalog, "catalog", zones=1)
    plan = make_plan(peaks, bench.curves_of(catalog, bench.capacity), services=catalog, risk=Risk())
    services, reasons = plan.document["services"], " ".join(plan.infeasible_because)
    assert services["cache"]["instances"] == 6
    assert services["cache"]["decision"] == "negotiate"
    assert "quota of cache from 6 to" in reasons
    assert "connections" in reasons
    assert "inventory" in reasons
    assert services["inventory"]["key_limit_qps"] == 600.0
    assert services["inventory"]["overload_probability"] > 0.9
    assert any("without a loss" in text for text in services["catalog"]["why"])
    assert any("catalog" in text and "zone" in text for text in plan.document["assumptions"])


def test_async_callees_are_sized_for_their_delay_and_do_not_lower_their_callers(plan, shop, bench):
    catalog, peaks, curves = shop
    entry = plan.document["services"]["fulfil"]
    assert entry["instances"] < 0.5 * 1.5 * 1000 / 100
    assert plan.document["services"]["checkout"]["cluster_limit_qps"] > 3 * entry["cluster_limit_qps"]
    hurry = [c.model_dump(exclude_unset=True) for c in catalog["checkout"].calls]
    for call in hurry:
        if call["to"] == "fulfil":
            call["max_delay_s"] = 0
    at_once = changed(catalog, "checkout", calls=hurry)
    assert make_plan(peaks, curves, services=at_once, risk=Risk()).document["services"]["fulfil"]["instances"] > 12


def test_cold_caches_are_reported(plan):
    assert any("cold caches" in text for text in plan.why["catalog"])


def test_freeze_is_respected(shop, bench):
    catalog, _, curves = shop
    freeze = {"starts_at": "2026-11-09T00:00+08:00", "ends_at": "2026-11-13T00:00+08:00"}
    peaks = bench.peaks_of(catalog, bench.entry_qps, freeze=freeze)
    plan = make_plan(peaks, curves, services=catalog, risk=Risk())
    for entry in plan.document["services"].values():
        for change in entry["scale_schedule"]:
            assert not "2026-11-09T00:00" <= change["start_at"] < "2026-11-13T00:00"
            assert not "2026-11-09T00:00" <= change["ready_by"] < "2026-11-13T00:00"


def test_turning_away_is_counted_in_transactions(shop):
    catalog, peaks, curves = shop
    calm, busy = (
        make_plan(p, curves, services=catalog, risk=Risk(overload_probability=0.3)).document["transactions_turned_away"]
        for p in (peaks.scaled(0.01), peaks)
    )
    assert calm == {"q50": 0.0, "q95": 0.0}
    assert busy["q95"] > 0


def test_a_result_shows_itself(plan):
    assert "scale out" in repr(plan)
    assert len(plan.to_frame()) == 16
    assert "<table" in plan._repr_html_()
    chart = plan.plot()
    assert "tightest" in chart.alt
    assert len(chart.frame) == 16
    assert plan.promotion_id == "2026-double11"


# --- bad input -------------------------------------------------------------------------------------------------


def test_peaks_that_are_no_rates_are_named(shop):
    catalog, peaks, curves = shop
    for bad in (np.nan, np.inf, -1.0):
        values = peaks.peak_qps.copy(deep=True)
        values[3, 1, 2] = bad
        with pytest.raises(InputError, match="search"):
            make_plan(replace(peaks, peak_qps=values), curves, services=catalog, risk=Risk())


def test_samples_of_different_futures_are_refused(shop, bench):
    catalog, peaks, _ = shop
    with pytest.raises(InputError, match="same futures"):
        make_plan(peaks, bench.curves_of(catalog, bench.capacity, n=500), services=catalog, risk=Risk())


def test_infinite_capacity_is_unknown_not_enough(shop, bench):
    catalog, peaks, curves = shop
    values = curves.instance_capacity_qps.copy(deep=True)
    values[:, 0] = np.inf
    plan = make_plan(peaks, replace(curves, instance_capacity_qps=values), services=catalog, risk=Risk())
    assert plan.document["services"]["web"]["overload_probability"] is None
    assert not plan.feasible


def test_no_load_at_all(shop):
    catalog, peaks, curves = shop
    plan = make_plan(peaks.scaled(0.0), curves, services=catalog, risk=Risk())
    assert plan.feasible
    assert {e["decision"] for e in plan.document["services"].values()} == {"keep"}
    assert plan.document["core_overload_probability"] == 0


def test_one_zone_everywhere(bench):
    catalog = bench.shop()
    catalog = Catalog.from_services(
        [
            Service.model_validate({k: getattr(s, k) for k in s.model_fields_set if k != "zones"})
            for s in catalog.values()
        ]
    )
    plan = make_plan(
        bench.peaks_of(catalog, bench.entry_qps),
        bench.curves_of(catalog, bench.capacity),
        services=catalog,
        risk=Risk(),
    )
    assert plan.feasible
    assert any("without a zone loss" in text for text in plan.document["assumptions"])


def test_names_of_any_kind(bench):
    names = ["a/b", 'say "hi"', "<script>alert(1)</script>", "🛒 結帳", "it's"]
    catalog = Catalog.from_services(
        [
            Service.model_validate(
                {
                    "name": n,
                    "tier": "core",
                    "entry": {"per_dau": 1.0},
                    "zones": 3,
                    "calls": [{"to": m} for m in names[i + 1 : i + 2]],
                }
            )
            for i, n in enumerate(names)
        ]
    )
    peaks = bench.peaks_of(catalog, dict.fromkeys(names, 100.0), n=200)
    plan = make_plan(peaks, bench.curves_of(catalog, dict.fromkeys(names, 30.0), n=200), services=catalog, risk=Risk())
    check_plan_document(json.loads(plan.to_json()))
    assert "<script>" not in plan._repr_html_()
    assert plan.plot().figure is not None


def test_a_thousand_services_in_seconds(bench):
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(1000)]
    services = []
    for i, name in enumerate(names):
        to = sorted({int(j) for j in rng.integers(i + 1, min(i + 60, 1000), 5)}) if i < 990 else []
        calls = [{"to": names[j], "per_request": float(rng.uniform(0.05, 0.3))} for j in to]
        entry = {"per_dau": 1.0} if i < 30 else {"per_dau": 0.0}
        services.append(
            Service.model_validate(
                {
                    "name": name,
                    "tier": ["core", "non_core", "degradable"][i % 3],
                    "zones": 3,
                    "calls": calls,
                    "entry": entry,
                }
            )
        )
    catalog = Catalog.from_services(services)
    peaks = bench.peaks_of(catalog, dict.fromkeys(names[:30], 500.0), n=400)
    curves = bench.curves_of(catalog, dict.fromkeys(names, 100.0), n=400)
    began = time.perf_counter()
    plan = make_plan(peaks, curves, services=catalog, risk=Risk())
    assert time.perf_counter() - began < 30
    assert len(plan.document["services"]) == 1000
